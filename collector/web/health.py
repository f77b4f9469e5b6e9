"""Judges measured facts: is the collector ok, degraded or failing, and what exactly is not ok.

Pure: facts and `now` in, a report out. It owns the rules and the memory of since when each check has its state; it
measures nothing and assumes nothing, so a thing that was not measured is null with no age. `failing` is kept for what
a load balancer or a person must act on at once: no venue delivers, or the journal cannot accept. Everything else that
is not as it should be is `degraded`, and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from collector.books.verdict import State
from collector.clock import Now
from collector.quality.liveness import EXPECTATIONS
from collector.records import Market
from collector.venues.protocol import StreamStatus
from collector.web.report import (
    Check,
    ConnectionReport,
    JournalReport,
    Report,
    Status,
    StreamReport,
    VenueReport,
    VenueState,
)

LOOP_DELAY_LIMIT_S = 1.0
"""A loop that comes a second late answers late and stamps late."""
NOT_LISTED = "not listed"
"""How a stream's reason begins when the venue has no such instrument."""

_FINE: frozenset[State] = frozenset({"in_sync", "acknowledged", "unverifiable"})
"""Of all channels but books. Not `syncing`: it is not subscribed, or it used to flow and owes its first message since
the connection was lost; this is a statement about now, and an alert's patience is the alert's business."""
_WORST_FIRST: tuple[State, ...] = (
    "diverged",
    "gap",
    "stale",
    "blocked",
    "syncing",
    "unverifiable",
    "acknowledged",
    "in_sync",
)


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """One connection. `since_us`: when it got its state. `handshake_s`: what the last opening took; null before it."""

    name: str
    is_open: bool
    since_us: int | None
    handshake_s: float | None
    detail: str
    streams: Sequence[StreamStatus]


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """`assumed`: instruments nobody asked this venue for by name, so that it is no fault if it does not list them."""

    venue: str
    market: Market
    connections: Sequence[ConnectionFacts]
    assumed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """`reason`: why it does not accept, empty when it does. Times in UTC µs or seconds, null when never."""

    accepts: bool
    reason: str
    since_us: int | None
    epoch: int
    accepted: int
    durable: int
    dropped: int
    written_us: int | None
    sync_s: float | None


@dataclass(frozen=True, slots=True)
class SideFacts:
    """Something beside the way of the data that can fail by itself (dead letters, tape). `detail` empty: it is well."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a report is made from. `journal` is null where there is none (record)."""

    instance: str
    version: str
    started: Now
    loop_delay_s: float | None
    loop_measured_us: int | None
    journal: JournalFacts | None
    venues: Sequence[VenueFacts]
    sides: Sequence[SideFacts] = ()


@dataclass(slots=True)
class Judge:
    """Makes reports and remembers since when each check has its state. `since` is as exact as it is asked often."""

    _since: dict[str, tuple[Status, int | None]] = field(default_factory=dict)

    def report(self, facts: Facts, now: Now) -> Report:
        """Judge `facts` as of `now`."""
        not_ok: list[str] = []
        venues = [_venue(venue, now) for venue in facts.venues]
        checks = [_loop_check(facts, now)]
        if facts.journal is not None:
            checks.append(_journal_check(facts.journal, now))
        for venue, report in zip(facts.venues, venues, strict=True):
            checks.append(_venue_check(venue, report, now))
        checks += [_side_check(side) for side in facts.sides]
        for check in checks:
            check.since = iso(self._since_us(check, now))
            if check.state != "ok":
                not_ok.append(f"{check.name}: {check.detail}")
        status: Status = "degraded" if not_ok else "ok"
        if any(check.state == "failing" for check in checks):
            status = "failing"
        if not any(report.delivers for report in venues):
            status = "failing"
            not_ok.insert(0, "no venue delivers")
        return Report(
            status=status,
            not_ok=not_ok,
            time=iso(now.wall_us),
            instance=facts.instance,
            version=facts.version,
            started=iso(facts.started.wall_us),
            uptime_s=round((now.mono_ns - facts.started.mono_ns) / 1e9, 3),
            checks=checks,
            venues=venues,
            journal=_journal(facts.journal, now) if facts.journal is not None else None,
        )

    def _since_us(self, check: Check, now: Now) -> int | None:
        known = self._since.get(check.name)
        if known is None or known[0] != check.state:
            known = self._since[check.name] = (check.state, now.wall_us)
        return known[1]


def not_ready(facts: Facts) -> str | None:
    """Why the collector cannot take data now; None when it can."""
    if facts.journal is not None and not facts.journal.accepts:
        return f"the journal does not accept records: {facts.journal.reason}"
    return None


def iso(wall_us: int | None) -> str | None:
    """UTC µs as ISO 8601."""
    if wall_us is None:
        return None
    seconds, micros = divmod(wall_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{micros:06d}Z"


def _age_s(wall_us: int | None, now: Now) -> float | None:
    """Null also when the clock was set back since: then the age is not known, and neither below nor just 0."""
    if wall_us is None or now.wall_us is None or now.wall_us < wall_us:
        return None
    return round((now.wall_us - wall_us) / 1e6, 3)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _loop_check(facts: Facts, now: Now) -> Check:
    late = facts.loop_delay_s is not None and facts.loop_delay_s > LOOP_DELAY_LIMIT_S
    return Check(
        name="event_loop",
        state="degraded" if late else "ok",
        since=None,
        age_s=_age_s(facts.loop_measured_us, now),
        latency_s=_rounded(facts.loop_delay_s),
        detail=f"the event loop turns {facts.loop_delay_s:.1f} s late" if late else "",
    )


def _journal_check(journal: JournalFacts, now: Now) -> Check:
    return Check(
        name="journal",
        state="ok" if journal.accepts else "failing",
        since=None,
        age_s=_age_s(journal.written_us, now),
        latency_s=_rounded(journal.sync_s),
        detail="" if journal.accepts else f"does not accept records: {journal.reason}",
    )


def _side_check(side: SideFacts) -> Check:
    state: Status = "degraded" if side.detail else "ok"
    return Check(name=side.name, state=state, since=None, age_s=None, latency_s=None, detail=side.detail)


def _venue_check(venue: VenueFacts, report: VenueReport, now: Now) -> Check:
    problems = [f"connection {c.name} is closed{_because(c.detail)}" for c in venue.connections if not c.is_open]
    problems += [
        f"{stream.instrument} {stream.channel} is {stream.verdict.state}{_because(stream.verdict.reason)}"
        for connection in venue.connections
        if connection.is_open  # a closed one says it for all that it carries
        for stream in connection.streams
        if not _is_fine(stream) and not _is_excused(stream, venue)
    ]
    if not problems and report.state != "in_sync":
        problems = [f"is {report.state}"]
    newest = max((s.last_message_us for c in venue.connections for s in c.streams if s.last_message_us), default=None)
    handshakes = [c.handshake_s for c in venue.connections if c.handshake_s is not None]
    return Check(
        name=f"venue.{venue.venue}.{venue.market}",
        state="degraded" if problems else "ok",
        since=None,
        age_s=_age_s(newest, now),
        latency_s=max(handshakes, default=None),
        detail="; ".join(problems),
    )


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _is_fine(stream: StreamStatus) -> bool:
    """A book must be proven; of the rest it is enough that they are subscribed and nothing is known to be missing.

    What is told only when it happens (listings, status, liquidations) may not have been told yet.
    """
    state = stream.verdict.state
    if state == "syncing" and stream.channel not in EXPECTATIONS:
        return True
    return state == "in_sync" if stream.channel == "book" else state in _FINE


def _is_excused(stream: StreamStatus, venue: VenueFacts) -> bool:
    verdict = stream.verdict
    return (
        stream.instrument in venue.assumed
        and verdict.state == "blocked"
        and verdict.reason.casefold().startswith(NOT_LISTED)
    )


def _venue(venue: VenueFacts, now: Now) -> VenueReport:
    streams = [stream for connection in venue.connections for stream in connection.streams]
    return VenueReport(
        venue=venue.venue,
        market=venue.market,
        state=_venue_state(venue, streams),
        delivers=_delivers(venue, streams),
        connections=[
            ConnectionReport(
                name=connection.name,
                state="open" if connection.is_open else "closed",
                since=iso(connection.since_us),
                handshake_s=connection.handshake_s,
                detail=connection.detail,
            )
            for connection in venue.connections
        ],
        streams=[_stream(stream, now) for stream in streams],
    )


def _delivers(venue: VenueFacts, streams: Sequence[StreamStatus]) -> bool:
    """Whether anything that should flow does, over a connection that stands.

    A listing or a status that came once says nothing about now: it is counted only where nothing else is subscribed.
    """
    flowing = any(stream.channel in EXPECTATIONS for stream in streams)
    return any(
        stream.last_message_us is not None
        and stream.verdict.state not in {"stale", "blocked"}
        and (stream.channel in EXPECTATIONS or not flowing)
        for connection in venue.connections
        if connection.is_open
        for stream in connection.streams
    )


def _venue_state(venue: VenueFacts, streams: Sequence[StreamStatus]) -> VenueState:
    if not any(connection.is_open for connection in venue.connections):
        return "disconnected"
    counted = [stream for stream in streams if not _is_excused(stream, venue)]
    broken = [stream.verdict.state for stream in counted if not _is_fine(stream)]
    if broken:
        return min(broken, key=_WORST_FIRST.index)
    if not all(connection.is_open for connection in venue.connections):
        return "gap"  # what the closed one carries is missing
    if not counted:
        return "blocked" if streams else "syncing"
    return "in_sync"


def _stream(stream: StreamStatus, now: Now) -> StreamReport:
    return StreamReport(
        instrument=stream.instrument,
        symbol=stream.symbol,
        channel=stream.channel,
        state=stream.verdict.state,
        by=stream.verdict.by,
        reason=stream.verdict.reason,
        since=iso(stream.verdict.since_us),
        last_message=iso(stream.last_message_us),
        last_message_age_s=_age_s(stream.last_message_us, now),
        depth=stream.depth,
    )


def _journal(journal: JournalFacts, now: Now) -> JournalReport:
    return JournalReport(
        state="accepting" if journal.accepts else "failing",
        reason=journal.reason,
        since=iso(journal.since_us),
        epoch=journal.epoch,
        accepted=journal.accepted,
        durable=journal.durable,
        lag=journal.accepted - journal.durable,
        dropped=journal.dropped,
        last_write=iso(journal.written_us),
        last_write_age_s=_age_s(journal.written_us, now),
    )
