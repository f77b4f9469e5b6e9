"""What /health says, as declarations: names, units and nullness of every field. Holds no rule; `health` fills it in."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from collector.books.verdict import State, VerifiedBy
from collector.records import Market
from collector.venues.protocol import Channel

Status = Literal["ok", "degraded", "failing"]
VenueState = Literal["disconnected"] | State


class Check(Struct, kw_only=True):
    """One thing that was looked at. `age_s`: of what it was judged by. `latency_s`: what it last took."""

    name: str
    state: Status
    since: str | None
    age_s: float | None
    latency_s: float | None
    detail: str


class StreamReport(Struct, kw_only=True):
    """One stream's verdict. `depth`: book levels a side that it covers."""

    instrument: str
    symbol: str
    channel: Channel
    state: State
    by: VerifiedBy | None
    reason: str
    since: str | None
    last_message: str | None
    last_message_age_s: float | None
    depth: int | None


class ConnectionReport(Struct, kw_only=True):
    """One connection to a venue."""

    name: str
    state: Literal["open", "closed"]
    since: str | None
    handshake_s: float | None
    detail: str


class VenueReport(Struct, kw_only=True):
    """A venue is `in_sync` when each book is and all other streams are fine (see `_FINE`); else its worst stream."""

    venue: str
    market: Market
    state: VenueState
    delivers: bool
    connections: list[ConnectionReport]
    streams: list[StreamReport]


class JournalReport(Struct, kw_only=True):
    """Counters in records; `lag` is what a power loss would take now."""

    state: Literal["accepting", "failing"]
    reason: str
    since: str | None
    epoch: int
    accepted: int
    durable: int
    lag: int
    dropped: int
    last_write: str | None
    last_write_age_s: float | None


class Report(Struct, kw_only=True):
    """/health. `not_ok`: one sentence for each thing that keeps `status` from ok."""

    status: Status
    not_ok: list[str]
    time: str | None
    instance: str
    version: str
    started: str | None
    uptime_s: float
    checks: list[Check]
    venues: list[VenueReport]
    journal: JournalReport | None
