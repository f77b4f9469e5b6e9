"""What leaves the collector: one flat record a fact, one JSON line each, `type` first.

This module owns the shape of every record and nothing else. Prices and sizes are the exact text that the exchange sent
(never a float: a float would lose digits and checksums). Times are integer microseconds UTC. `ts` is the venue's own
time and `seq` the venue's own sequence number: null where the venue sends none, never one of ours. Sides are the
taker's. Structs are untracked by the garbage collector (`gc=False`): they hold text, numbers and lists of those, so
they cannot form cycles.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

SCHEMA_VERSION = 1

Market = Literal["spot", "perp"]
Side = Literal["buy", "sell"]
Level = tuple[str, str]
"""Price and size as the venue's text. In a delta, size "0" removes the level."""

GapCause = Literal[
    "sequence",  # the venue's ids do not follow one another
    "checksum",  # the venue's checksum does not match the book
    "crossed",  # best bid at or above best ask after an update
    "unsorted",  # a snapshot's levels are out of order or repeated
    "undecodable",  # a message of this stream could not be decoded
    "disconnect",  # the connection ended while the stream was flowing
    "restart",  # this collector was not running
    "journal",  # the journal could not accept records (full, read-only)
    "stalled",  # the stream went silent and a check showed that data was missed
    "diverged",  # a comparison with the venue's REST book failed
    "venue",  # the venue said so (rejected, unsubscribed, maintenance)
]

SnapshotCause = Literal["sync", "segment", "periodic", "partial"]


class Record(Struct, gc=False, kw_only=True):
    """Fields that every record has.

    `instrument` is canonical (`BTC-USDT`; `*` is the whole venue), `symbol` the venue's name of it. A perpetual has the
    name of its pair: only `market` tells it from the spot pair, so both belong to every key. `contract_size` is present
    where sizes count contracts instead of base currency: what one contract is worth, in the instrument's
    `contract_currency`; null while that is not known. `traceparent` (W3C) is present on traced records only.
    """

    schema: int = SCHEMA_VERSION
    venue: str
    market: Market
    instrument: str
    symbol: str
    ts: int | None
    recv_ts: int | None
    seq: int | None = None
    contract_size: str | UnsetType | None = UNSET
    traceparent: str | UnsetType = UNSET


class Trade(Record, tag="Trade", gc=False, kw_only=True):
    """One execution (or, where `id_space` says so, one aggregate of them).

    `id` is the venue's, unique within `id_space`.
    """

    id: str
    id_space: str
    price: str
    size: str
    side: Side


class Quote(Record, tag="Quote", gc=False, kw_only=True):
    """Best bid and ask."""

    bid: str
    bid_size: str
    ask: str
    ask_size: str


class BookSnapshot(Record, tag="BookSnapshot", gc=False, kw_only=True):
    """The first `depth` levels a side, best first. It replaces whatever a consumer held.

    `known_bid` / `known_ask`: the worst price to which the side is completely known; null when none of the first
    `depth` levels is missing. Beyond it only levels that changed since the sync are present. `first_seq`/`last_seq`:
    the venue's update ids covered by it, where it has any. `cause`: `sync` (the book was just verified), `segment` (a
    journal segment begins), `periodic`, or `partial` (the venue's own self-contained partial book).
    """

    bids: list[Level]
    asks: list[Level]
    first_seq: int | None
    last_seq: int | None
    depth: int
    known_bid: str | None
    known_ask: str | None
    cause: SnapshotCause


class BookDelta(Record, tag="BookDelta", gc=False, kw_only=True):
    """Changes of the first `depth` levels: absolute sizes, "0" removes. Snapshot + deltas reproduce the collector's
    book exactly.

    A delta may be empty: it then only carries the chain (`first_seq`, `last_seq`) on.
    """

    bids: list[Level]
    asks: list[Level]
    first_seq: int | None
    last_seq: int | None
    depth: int


class Ticker(Record, tag="Ticker", gc=False, kw_only=True):
    """The venue's own statistics of the last 24 hours, in its own text; null: this venue does not say.

    `volume` is in base currency (or contracts), `quote_volume` in quote currency.
    """

    last: str
    open: str | None
    high: str | None
    low: str | None
    volume: str | None
    quote_volume: str | None
    bid: str | None
    bid_size: str | None
    ask: str | None
    ask_size: str | None


class Candle(Record, tag="Candle", gc=False, kw_only=True):
    """One bar, from `open_ts` (UTC µs) on, `interval` long (`1m`, `5m`, `1h`, `1d`).

    `closed`: it will not change any more, because the venue says so or, where it has no such mark, because the next bar
    began while this one was watched without a break. Every open state supersedes the one before.
    """

    interval: str
    open_ts: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    trades: int | None
    closed: bool


class FundingRate(Record, tag="FundingRate", gc=False, kw_only=True):
    """A perpetual's funding rate for the payment at `funding_ts` (UTC µs), as the venue estimates it now.

    A positive rate is paid by longs to shorts. `next_rate`: the venue's forecast of the one after.
    """

    rate: str
    funding_ts: int | None
    next_rate: str | None
    mark_price: str | None
    index_price: str | None


class OpenInterest(Record, tag="OpenInterest", gc=False, kw_only=True):
    """How much of a perpetual is held open, in the unit of its sizes; `base_value`: in base currency where the venue
    says so too.
    """

    open_interest: str
    base_value: str | None


class Liquidation(Record, tag="Liquidation", gc=False, kw_only=True):
    """A position that the venue closed by force. `side` is the order's: a `sell` closes a long position.

    Venues tell only some of them (at most one a second and instrument), so no sum of these is a total. `price` is the
    bankruptcy or order price, `average_price` what it was filled at.
    """

    side: Side
    price: str
    average_price: str | None
    size: str


InstrumentStatus = Literal["trading", "pre_open", "halted", "delisted", "unknown"]


class Instrument(Record, tag="Instrument", gc=False, kw_only=True):
    """What the venue says of an instrument; written when first learnt and whenever it changes.

    `venue_status` is its own word. Steps and least order sizes are null where it does not say. `contract_currency`:
    what `contract_size` counts; null where sizes are base currency.
    """

    base: str
    quote: str
    settle: str | None
    status: InstrumentStatus
    venue_status: str
    price_step: str | None
    size_step: str | None
    min_size: str | None
    min_value: str | None
    contract_currency: str | None


SystemStatus = Literal["online", "maintenance", "degraded", "offline", "unknown"]


class VenueStatus(Record, tag="VenueStatus", gc=False, kw_only=True):
    """What the venue says of itself (`instrument` is `*`). `venue_status` is its own word, `message` its own text.

    `start_ts`, `end_ts` (UTC µs): of a maintenance that it announces.
    """

    status: SystemStatus
    venue_status: str
    message: str | None
    start_ts: int | None
    end_ts: int | None


class Gap(Record, tag="Gap", gc=False, kw_only=True):
    """Data of this stream that is missing, as far as it is known: ids `first`..`last` (null: unknown or open), `count`
    of them.

    Written when found (`repaired_ts` null) and again, with the same `detected_ts`, when the stream is whole again.
    After a book's Gap its deltas mean nothing until the next BookSnapshot.
    """

    channel: str
    first: int | None
    last: int | None
    count: int | None
    cause: GapCause
    detected_ts: int | None
    repaired_ts: int | None


AnyRecord = (
    Trade
    | Quote
    | BookSnapshot
    | BookDelta
    | Ticker
    | Candle
    | FundingRate
    | OpenInterest
    | Liquidation
    | Instrument
    | VenueStatus
    | Gap
)

CHANNEL_OF: dict[type[Record], str] = {
    Trade: "trades",
    Quote: "quotes",
    BookSnapshot: "book",
    BookDelta: "book",
    Ticker: "tickers",
    Candle: "candles",
    FundingRate: "funding",
    OpenInterest: "open_interest",
    Liquidation: "liquidations",
    Instrument: "instruments",
    VenueStatus: "status",
}
"""The channel that each type of record belongs to; a Gap says its own."""

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""One record as JSON bytes, no newline."""
encode_lines = _encoder.encode_lines
"""A list of records as JSON lines, each ended by a newline."""
decode = msgspec.json.Decoder(AnyRecord).decode
"""One JSON line to its record. Raises msgspec.ValidationError (with the path) or msgspec.DecodeError."""
