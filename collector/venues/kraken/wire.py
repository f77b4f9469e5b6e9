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
    """An item of the ticker channel: the best bid and ask, and the statistics of 24 hours."""

    symbol: str
    bid: Raw
    bid_qty: Raw
    ask: Raw
    ask_qty: Raw
    timestamp: str = ""
    last: Raw = Raw(b"")
    volume: Raw = Raw(b"")
    low: Raw = Raw(b"")
    high: Raw = Raw(b"")


class CandleItem(Struct, gc=False):
    """An item of the ohlc channel: one bar's state. `interval` in minutes."""

    symbol: str
    open: Raw
    high: Raw
    low: Raw
    close: Raw
    volume: Raw
    trades: int
    interval_begin: str
    interval: int
    timestamp: str = ""


class Named(Struct):
    """An item of which nothing but its owner can be read."""

    symbol: str


Item = BookItem | TradeItem | TickerItem | CandleItem


class Pair(Struct):
    """One pair of the instrument channel."""

    symbol: str
    status: str = ""
    price_precision: int = 0
    qty_precision: int = 0
    price_increment: Raw = Raw(b"")
    qty_increment: Raw = Raw(b"")
    qty_min: Raw = Raw(b"")
    cost_min: Raw = Raw(b"")


class Instruments(Struct):
    """`data` of the instrument channel."""

    pairs: list[Raw] = []
    """Each a Pair, read one by one."""


class System(Struct):
    """An item of the status channel."""

    system: str


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
candles = msgspec.json.Decoder(list[CandleItem]).decode
systems = msgspec.json.Decoder(list[System]).decode
named = msgspec.json.Decoder(list[Named]).decode
instruments = msgspec.json.Decoder(Instruments).decode
pair = msgspec.json.Decoder(Pair).decode
acknowledged = msgspec.json.Decoder(Acknowledged).decode
rest_depth = msgspec.json.Decoder(RestAnswer).decode
