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

    `instrument` is canonical (`BTC-USDT`), `symbol` the venue's name of it. `traceparent` (W3C) is present on traced
    records only.
    """

    schema: int = SCHEMA_VERSION
    venue: str
    market: Market
    instrument: str
    symbol: str
    ts: int | None
    recv_ts: int | None
    seq: int | None = None
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


AnyRecord = Trade | Quote | BookSnapshot | BookDelta | Gap

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""One record as JSON bytes, no newline."""
encode_lines = _encoder.encode_lines
"""A list of records as JSON lines, each ended by a newline."""
decode = msgspec.json.Decoder(AnyRecord).decode
"""One JSON line to its record. Raises msgspec.ValidationError (with the path) or msgspec.DecodeError."""
