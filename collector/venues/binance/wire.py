"""What Binance spot sends, as declarations: decoded once, at the edge, typed from there on.

Field names are the venue's. Shapes: https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md
and rest-api.md.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from collector.records import Level


class Envelope(Struct, gc=False):
    """Any message: combined (`stream`, `data`), a raw event (`e`, `s`), or the answer to a control message (`id`,
    `result` or `code`, `msg`).
    """

    stream: str = ""
    data: Raw = Raw(b"")
    e: str = ""
    s: str = ""
    u: int = 0
    id: int | None = None
    code: int | None = None
    msg: str = ""
    error: Raw = Raw(b"")


class TradeEvent(Struct, gc=False):
    """`<symbol>@trade`. `m`: the buyer was the maker, so the taker sold. `T`, `E` in ms."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class AggTradeEvent(Struct, gc=False):
    """`<symbol>@aggTrade`: fills `f`..`l` of one taker order at one price."""

    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 - the venue's name
    T: int
    m: bool


class BookTickerEvent(Struct, gc=False):
    """`<symbol>@bookTicker`. Spot sends no time with it. `u`: the order book's update id."""

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class DepthEvent(Struct, gc=False):
    """`<symbol>@depth[@100ms]`: absolute quantities of updates `U`..`u`."""

    E: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]


class DepthBook(Struct, gc=False):
    """GET /api/v3/depth, and each message of `<symbol>@depth<5|10|20>`."""

    lastUpdateId: int  # noqa: N815 - the venue's name
    bids: list[Level]
    asks: list[Level]


class ListedSymbol(Struct):
    """One of exchangeInfo's symbols."""

    symbol: str
    status: str
    baseAsset: str  # noqa: N815 - the venue's name
    quoteAsset: str  # noqa: N815 - the venue's name


class ExchangeInfo(Struct):
    """GET /api/v3/exchangeInfo, the part that is used."""

    symbols: list[ListedSymbol]


envelope = msgspec.json.Decoder(Envelope).decode
trade = msgspec.json.Decoder(TradeEvent).decode
agg_trade = msgspec.json.Decoder(AggTradeEvent).decode
book_ticker = msgspec.json.Decoder(BookTickerEvent).decode
depth = msgspec.json.Decoder(DepthEvent).decode
depth_book = msgspec.json.Decoder(DepthBook).decode
exchange_info = msgspec.json.Decoder(ExchangeInfo).decode
