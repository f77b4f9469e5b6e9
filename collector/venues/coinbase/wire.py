"""What Coinbase Advanced Trade sends, as declarations. Field names are the venue's; numbers are text.

Shapes: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels and the REST pages.
What is required here is what the collector cannot do without: a message that lacks it is as good as lost.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

Kind = Literal["snapshot", "update"]


class Envelope(Struct, gc=False):
    """Any message. An error has `type` and `message` instead, and no number."""

    channel: str = ""
    timestamp: str = ""
    sequence_num: int | None = None
    events: Raw = Raw(b"")
    type: str = ""
    message: str = ""


class LevelUpdate(Struct, gc=False):
    """One level. `new_quantity` is absolute, "0" removes; `event_time` is the epoch's begin in snapshots."""

    side: Literal["bid", "offer"]
    price_level: str
    new_quantity: str
    event_time: str = ""


class BookEvent(Struct, gc=False):
    """An event of `l2_data`, which is what a subscription to `level2` brings."""

    type: Kind
    product_id: str
    updates: list[LevelUpdate]


class TradeItem(Struct, gc=False):
    """An item of `market_trades`. `side` is the maker's."""

    trade_id: str | int
    product_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    time: str


class TradesEvent(Struct, gc=False):
    """An event of `market_trades`; a snapshot holds the last trades, newest first."""

    type: Kind
    trades: list[TradeItem]


class TickerItem(Struct, gc=False):
    """An item of `ticker`."""

    product_id: str
    price: str
    volume_24_h: str = ""
    low_24_h: str = ""
    high_24_h: str = ""
    best_bid: str = ""
    best_bid_quantity: str = ""
    best_ask: str = ""
    best_ask_quantity: str = ""


class TickersEvent(Struct, gc=False):
    """An event of `ticker`."""

    type: Kind
    tickers: list[TickerItem]


class CandleItem(Struct, gc=False):
    """An item of `candles`: the five minutes from `start` (seconds) on."""

    product_id: str
    start: str | int
    open: str
    high: str
    low: str
    close: str
    volume: str


class CandlesEvent(Struct, gc=False):
    """An event of `candles`."""

    type: Kind
    candles: list[CandleItem]


class StatusItem(Struct):
    """A product of channel `status`."""

    id: str
    base_currency: str
    quote_currency: str
    status: str
    base_increment: str = ""
    quote_increment: str = ""
    min_market_funds: str = ""
    product_type: str = "SPOT"


class StatusEvent(Struct):
    """An event of `status`."""

    type: Kind
    products: list[StatusItem]


class HeartbeatEvent(Struct):
    """An event of `heartbeats`."""

    heartbeat_counter: int | str


class SubscriptionsEvent(Struct):
    """An event of `subscriptions`: everything that this connection is subscribed to, by channel."""

    subscriptions: dict[str, list[str]]


class Product(Struct):
    """A product of GET /market/products. `alias`: the product that this one is another name of."""

    product_id: str
    base_currency_id: str
    quote_currency_id: str
    status: str
    alias: str = ""
    product_type: str = "SPOT"
    price_increment: str = ""
    quote_increment: str = ""
    base_increment: str = ""
    base_min_size: str = ""
    quote_min_size: str = ""
    is_disabled: bool = False
    trading_disabled: bool = False
    cancel_only: bool = False
    post_only: bool = False
    limit_only: bool = False
    auction_mode: bool = False


class Pagination(Struct):
    """Of a listing: whether there is more of it."""

    has_next: bool = False


class Products(Struct):
    """GET /market/products."""

    products: list[Raw]
    """Each a Product, read one by one."""
    num_products: int | None = None
    pagination: Pagination | None = None


class RestLevel(Struct, gc=False):
    """One level."""

    price: str
    size: str


class PriceBook(Struct):
    """The book in GET /market/product_book."""

    product_id: str
    bids: list[RestLevel]
    asks: list[RestLevel]


class ProductBook(Struct):
    """GET /market/product_book. It says no sequence, so it can check a book and not seed one."""

    pricebook: PriceBook


envelope = msgspec.json.Decoder(Envelope).decode
books = msgspec.json.Decoder(list[BookEvent]).decode
trades = msgspec.json.Decoder(list[TradesEvent]).decode
tickers = msgspec.json.Decoder(list[TickersEvent]).decode
candles = msgspec.json.Decoder(list[CandlesEvent]).decode
statuses = msgspec.json.Decoder(list[StatusEvent]).decode
heartbeats = msgspec.json.Decoder(list[HeartbeatEvent]).decode
subscriptions = msgspec.json.Decoder(list[SubscriptionsEvent]).decode
products = msgspec.json.Decoder(Products).decode
product = msgspec.json.Decoder(Product).decode
product_book = msgspec.json.Decoder(ProductBook).decode
