"""What Kraken's WebSocket v2 and REST send, as declarations. Prices and quantities are JSON numbers: kept as raw text,
because the checksum covers their digits.

Shapes: https://docs.kraken.com/api/docs/websocket-v2/book (also trade, ticker, instrument) and the REST pages.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct


class Envelope(Struct, gc=False):
    """Any message: a channel's (`channel`, `type`, `data`) or the answer to a request (`method`, `success`, `result` or
    `error`).
    """

    channel: str = ""
    type: str = ""
    data: Raw = Raw(b"")
    method: str = ""
    success: bool | None = None
    result: Raw = Raw(b"")
    error: str = ""
    symbol: str = ""
    req_id: int | None = None
    Error: str = ""


class Level(Struct, gc=False):
    """One level."""

    price: Raw
    qty: Raw


class BookItem(Struct, gc=False):
    """An item of the book channel, snapshot and update alike."""

    symbol: str
    bids: list[Level]
    asks: list[Level]
    checksum: int
    timestamp: str = ""


class TradeItem(Struct, gc=False):
    """An item of the trade channel. `side` is the taker's."""

    symbol: str
    side: Literal["buy", "sell"]
    price: Raw
    qty: Raw
    trade_id: int
    timestamp: str


class TickerItem(Struct, gc=False):
    """An item of the ticker channel, the part that makes a quote."""

    symbol: str
    bid: Raw
    bid_qty: Raw
    ask: Raw
    ask_qty: Raw
    timestamp: str = ""


class Named(Struct):
    """An item of which nothing but its owner can be read."""

    symbol: str


Item = BookItem | TradeItem | TickerItem


class Pair(Struct):
    """One pair of the instrument channel."""

    symbol: str
    status: str = ""
    price_precision: int = 0
    qty_precision: int = 0


class Instruments(Struct):
    """`data` of the instrument channel."""

    pairs: list[Pair] = []


class Acknowledged(Struct):
    """`result` of an answer to subscribe or unsubscribe."""

    channel: str = ""
    symbol: str = ""
    depth: int | None = None


class RestDepth(Struct):
    """GET /0/public/Depth: levels are [price, volume, time]."""

    bids: list[tuple[str, str, int]]
    asks: list[tuple[str, str, int]]


class RestAnswer(Struct):
    """The envelope of every REST answer; `result` is keyed by a pair name that need not be the one asked for."""

    error: list[str]
    result: dict[str, RestDepth] = {}


envelope = msgspec.json.Decoder(Envelope).decode
books = msgspec.json.Decoder(list[BookItem]).decode
trades = msgspec.json.Decoder(list[TradeItem]).decode
tickers = msgspec.json.Decoder(list[TickerItem]).decode
named = msgspec.json.Decoder(list[Named]).decode
instruments = msgspec.json.Decoder(Instruments).decode
acknowledged = msgspec.json.Decoder(Acknowledged).decode
rest_depth = msgspec.json.Decoder(RestAnswer).decode
