"""What OKX's WebSocket and REST APIs send, as declarations: decoded once, at the edge, typed from there on.

Field names are the venue's, and so is that times, ids and counts are text. Shapes: https://www.okx.com/docs-v5/en/
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

Level4 = tuple[str, str, str, str]
"""Price, size, "0", number of orders."""


class Arg(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What a subscription is to, and what a message belongs to."""

    channel: str = ""
    inst_id: str = ""
    inst_type: str = ""

    @property
    def key(self) -> str:
        """One name for it; a channel of all instruments is named by their type."""
        return f"{self.channel}:{self.inst_id or self.inst_type}"


class Message(Struct, gc=False):
    """Any message: a channel's (`arg`, `data`, of books also `action`), or about the connection (`event`)."""

    arg: Arg | None = None
    action: str = ""
    data: Raw = Raw(b"")
    event: str = ""
    code: str = ""
    msg: str = ""
    id: str = ""


class BookItem(Struct, gc=False, rename="camel"):
    """An item of a book channel, and of GET /api/v5/market/books. `checksum` is fixed at 0 since 2026 and never used.

    Tapes of 2022 hold no ids; partial books and `bbo-tbt` have no `prevSeqId`.
    """

    asks: list[Level4]
    bids: list[Level4]
    ts: str
    seq_id: int | None = None
    prev_seq_id: int | None = None
    inst_id: str = ""


class TradeItem(Struct, gc=False, rename="camel"):
    """An item of `trades` or `trades-all`. `side` is the taker's; `count` fills up to `tradeId` are one item."""

    inst_id: str
    trade_id: str
    px: str
    sz: str
    side: Literal["buy", "sell"]
    ts: str
    count: str = "1"
    seq_id: int | None = None


class TickerItem(Struct, gc=False, rename="camel"):
    """An item of `tickers`. Empty: there is none."""

    inst_id: str
    last: str
    ts: str
    ask_px: str = ""
    ask_sz: str = ""
    bid_px: str = ""
    bid_sz: str = ""
    open24h: str = ""
    high24h: str = ""
    low24h: str = ""
    vol24h: str = ""
    vol_ccy24h: str = msgspec.field(name="volCcy24h", default="")


class FundingItem(Struct, gc=False, rename="camel"):
    """An item of `funding-rate`."""

    inst_id: str
    funding_rate: str
    funding_time: str
    next_funding_rate: str = ""
    ts: str = ""


class OpenInterestItem(Struct, gc=False, rename="camel"):
    """An item of `open-interest`: contracts, and what they are in base currency."""

    inst_id: str
    oi: str
    ts: str
    oi_ccy: str = ""


class LiquidationDetail(Struct, gc=False, rename="camel"):
    """One order of a `liquidation-orders` item. `bkPx`: the price at which the venue's account took the position."""

    side: Literal["buy", "sell"]
    bk_px: str
    sz: str
    ts: str


class LiquidationItem(Struct, rename="camel"):
    """An item of `liquidation-orders`, which carries every instrument of a type."""

    inst_id: str
    details: list[LiquidationDetail]


class InstrumentItem(Struct, rename="camel"):
    """An item of `instruments`, and of GET /api/v5/public/instruments. Contract fields are empty for spot."""

    inst_id: str
    inst_type: str
    state: str
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    ct_val: str = ""
    ct_mult: str = ""
    ct_val_ccy: str = ""
    tick_sz: str = ""
    lot_sz: str = ""
    min_sz: str = ""


class StatusItem(Struct, rename="camel"):
    """An item of `status`, and of GET /api/v5/system/status: one maintenance. `env` 2 is the demo's."""

    title: str
    state: str
    begin: str = ""
    end: str = ""
    service_type: str = ""
    env: str = ""
    ts: str = ""


class Answer(Struct):
    """The envelope of every REST answer: `code` is "0", or says what is wrong."""

    code: str
    msg: str = ""
    data: Raw = Raw(b"[]")


Row = list[str]
"""A candle: [ts, open, high, low, close, volume, volume in currency, in quote currency, confirm]; the last two came
later."""

message = msgspec.json.Decoder(Message).decode
books = msgspec.json.Decoder(list[BookItem]).decode
trades = msgspec.json.Decoder(list[TradeItem]).decode
tickers = msgspec.json.Decoder(list[TickerItem]).decode
candles = msgspec.json.Decoder(list[Row]).decode
funding = msgspec.json.Decoder(list[FundingItem]).decode
open_interest = msgspec.json.Decoder(list[OpenInterestItem]).decode
liquidations = msgspec.json.Decoder(list[LiquidationItem]).decode
instruments = msgspec.json.Decoder(list[Raw]).decode
"""Each an InstrumentItem, read one by one."""
instrument = msgspec.json.Decoder(InstrumentItem).decode
status = msgspec.json.Decoder(list[StatusItem]).decode
answer = msgspec.json.Decoder(Answer).decode
