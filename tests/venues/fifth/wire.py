"""What the fifth exchange sends, as declarations: decoded once, at the edge, typed from there on."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from collector.records import Level


class Envelope(Struct, gc=False):
    """Any message: a topic's (`topic`, `market`), an answer (`op`, with `ok`), or a heartbeat (`op`)."""

    topic: str = ""
    market: str = ""
    op: str = ""
    ok: bool = True
    why: str = ""


class Book(Struct, gc=False):
    """`n` rises by one from message to message of a market. `at`: ms."""

    kind: Literal["full", "change"]
    n: int
    bids: list[Level]
    asks: list[Level]
    at: int


class Trade(Struct, gc=False):
    """`n` rises by one from trade to trade of a market. `side` is the taker's."""

    n: int
    price: str
    size: str
    side: Literal["buy", "sell"]
    at: int


class Best(Struct, gc=False):
    """The best bid and ask, each [price, size]."""

    bid: Level
    ask: Level
    at: int


class ListedMarket(Struct):
    """One market of GET /markets."""

    market: str
    base: str
    quote: str
    state: str


class Markets(Struct):
    """GET /markets."""

    markets: list[Raw]
    """Each a ListedMarket, read one by one."""


class RestBook(Struct):
    """GET /book."""

    bids: list[Level]
    asks: list[Level]


envelope = msgspec.json.Decoder(Envelope).decode
book = msgspec.json.Decoder(Book).decode
trade = msgspec.json.Decoder(Trade).decode
best = msgspec.json.Decoder(Best).decode
markets = msgspec.json.Decoder(Markets).decode
listed_market = msgspec.json.Decoder(ListedMarket).decode
rest_book = msgspec.json.Decoder(RestBook).decode
