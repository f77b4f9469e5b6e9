"""The spans of one connection: the connection itself, its subscriptions, its books' syncs, its gaps until their repair.

It owns what is open of these and derives it all from what a driver sees: commands, records, verdicts, events. It
decides nothing about data and is never called per message (journeys.py traces messages). Off, it does nothing and
keeps nothing. The trees:

    connection ─┬─ subscription, one for each stream
                └─ book sync of a fresh book ── GET

    gap ── book sync ── GET          linked to the connection that it was found on

A gap is a trace of its own, for it outlives connections and is what a metric's exemplar leads to. Trades and bars that
are missing are not asked for again: their gap is lost when it is found. That of a book or of quotes is open until the
stream is whole again, or lost when the feed ends first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from collector.clock import Clock
from collector.records import Gap
from collector.venues.protocol import Event, Facts, Fetch, Send, StreamStatus, VerdictChange
from telemetry.cells import Counter, Exemplar, Histogram
from telemetry.tracing import NO_SPAN, OpenSpan, SpanRef, Tracer

SERVING: ContextVar[SpanRef] = ContextVar("serving", default=NO_SPAN)
"""The span that a fetch's task works for: its GET becomes a child of it."""

QUIET: Final = frozenset({"rotation", "shutdown"})
"""Causes of a close that are no failure."""
_BROKEN: Final = frozenset({"gap", "stale", "diverged"})
_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}
SNAPSHOT_ENDPOINT: Final = "depth"
_LOST_WHEN_FOUND: Final = frozenset({"trades", "candles"})
"""Channels whose gaps nobody closes. One stream may have several, so none of them may wait for the next."""


def mark(cell: Counter | Histogram, value: float, ref: SpanRef, time_ns: int) -> None:
    """Give the bucket that `value` was counted in (a counter's only one) an exemplar that leads to `ref`."""
    if ref:
        bucket = bisect_left(cell.bounds, value) if isinstance(cell, Histogram) else 0
        cell.ex[bucket] = Exemplar(value, time_ns, ref.trace_id, ref.span_id)


def server_of(url: str) -> tuple[str, int]:
    """Host and port of an address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


@dataclass(slots=True)
class _Asked:
    """A subscription request: when it was sent, for how many streams no answer has come."""

    at_ns: int
    left: int


@dataclass(slots=True)
class _Found:
    """A gap that is open. `attempt`: the connection that it was found on."""

    gap: Gap
    ref: SpanRef
    attempt: int


@dataclass(slots=True)
class _Sync:
    """A sync that goes on. `fresh`: the verdict of the gap that began it is still to come."""

    ref: SpanRef
    parent: SpanRef
    start_ns: int
    fresh: bool
    failures: int = 0


class FeedSpans:
    """Told in the order in which it happens. What gives a ref gives the span that a log line about it belongs in."""

    def __init__(self, tracer: Tracer, facts: Facts, connection: str, clock: Clock) -> None:
        self.on = tracer.on
        self.connection = NO_SPAN
        """Of the connection that is open or was last."""
        self._tracer = tracer
        self._clock = clock
        self._at = {"venue": facts.venue, "market": facts.market}
        self._name = connection
        self._open: OpenSpan | None = None
        self._attempts = 0  # all there were
        self._tries = 0  # since one succeeded
        self._asked: list[_Asked] = []
        self._sent_ns = 0  # when the newest of them was sent
        self._answered_ns = 0
        self._gaps: dict[tuple[str, str], _Found] = {}
        self._syncs: dict[str, _Sync] = {}

    def now_ns(self) -> int:
        """Give the time in ns since 1970."""
        return (self._clock().wall_us or 0) * 1000

    # -- the connection -----------------------------------------------------------------------------------------------

    def connecting(self, url: str) -> None:
        """Take note that an attempt begins."""
        if not self.on:
            return
        self._attempts += 1
        self._tries += 1
        host, port = server_of(url)
        self._open = self._tracer.begin(
            "marketprism.connection",
            self.now_ns(),
            {
                **self._at,
                "connection": self._name,
                "attempt_number": self._tries,
                "server_address": host,
                "server_port": port,
            },
        )
        self.connection = self._open.ref

    def opened(self) -> None:
        """Take note that the attempt succeeded."""
        self._tries = 0
        if self._open is not None:
            self._open.set(attempt_outcome="ok")

    def refused(self, outcome: str, error: str) -> None:
        """Take note that the attempt failed. `error`: the class of the failure."""
        if self._open is not None:
            self._open.set(attempt_outcome=outcome)
            self._end(error)

    def closed(self, cause: str, error: str) -> None:
        """Take note that the connection ended. `cause` is what it counts as, `error` its name in detail."""
        if self._open is None:
            return
        self._open.set(close_cause=cause)
        for instrument in tuple(self._syncs):
            self._sync_ended(instrument, "failed", error="disconnect")
        for asked in self._asked:
            if asked.at_ns > self._answered_ns:  # an older one was answered in a way that only the venue's core sees
                self._subscription(asked.at_ns, {"subscription_outcome": "sent"}, error)
        self._asked.clear()
        self._end(None if cause in QUIET else error)

    def stopped(self) -> None:
        """End everything that is open: the feed ends."""
        if self._open is not None:
            self._open.set(attempt_outcome="error")
            self._end("cancelled")
        for found in self._gaps.values():
            self._gap_span(found.gap, found.ref, "lost", self.now_ns())
        self._gaps.clear()

    def _end(self, error: str | None) -> None:
        if self._open is not None:
            self._open.end(self.now_ns(), error)
            self._open = None

    # -- subscriptions ------------------------------------------------------------------------------------------------

    def sent(self, command: Send) -> None:
        """Take note of a control frame."""
        if self.on and command.purpose == "subscribe":
            self._sent_ns = self.now_ns()
            self._asked.append(_Asked(self._sent_ns, command.streams))

    def _answer(self, event: Event, outcome: str) -> SpanRef:
        """Give the span of one stream's subscription: venues answer at once, so the newest request was meant."""
        asked = next((asked for asked in reversed(self._asked) if asked.left), None)
        if asked is None:  # it was refused without having been sent
            return self.connection
        asked.left -= 1
        if not asked.left:
            self._asked.remove(asked)
        self._answered_ns = self.now_ns()
        about = {"channel": event.channel, "instrument": event.instrument or None, "subscription_outcome": outcome}
        return self._subscription(asked.at_ns, about, "rejected" if outcome == "rejected" else None)

    def _subscription(self, start_ns: int, about: Mapping[str, str | None], error: str | None) -> SpanRef:
        return self._tracer.span(
            "marketprism.subscription",
            start_ns,
            self.now_ns(),
            {**self._at, "connection": self._name, **about},
            parent=self.connection,
            error=error,
        )

    # -- gaps ---------------------------------------------------------------------------------------------------------

    def gap(self, gap: Gap) -> SpanRef:
        """Take a Gap that is about to be published: it will carry its span's `traceparent`. Gives that span."""
        if not self.on:
            return NO_SPAN
        key = gap.instrument, gap.channel
        if gap.repaired_ts is not None:
            if gap.channel == "book":
                self._sync_began(gap.instrument, unseen=True)
            found = self._gaps.pop(key, None)
            ref = self._tracer.new_ref("marketprism.gap") if found is None else found.ref
            self._gap_span(gap, ref, "repaired", gap.repaired_ts * 1000)
        else:
            ref = self._tracer.new_ref("marketprism.gap")
            if gap.channel in _LOST_WHEN_FOUND:
                self._gap_span(gap, ref, "lost", (gap.detected_ts or 0) * 1000)
            else:
                self._gaps[key] = _Found(gap, ref, self._attempts)
                if gap.channel == "book" and gap.cause != "disconnect":
                    self._sync_began(gap.instrument, fresh=True)
        if ref:
            gap.traceparent = ref.traceparent or gap.traceparent
        return ref

    def gap_of(self, instrument: str, channel: str) -> SpanRef:
        """Give the span of this stream's open gap, else the connection's."""
        found = self._gaps.get((instrument, channel))
        return self.connection if found is None else found.ref

    def _gap_span(self, gap: Gap, ref: SpanRef, outcome: str, end_ns: int) -> None:
        start_ns = end_ns if gap.detected_ts is None else gap.detected_ts * 1000
        self._tracer.span(
            "marketprism.gap",
            start_ns,
            max(end_ns, start_ns),
            {
                **self._at,
                "instrument": gap.instrument,
                "channel": gap.channel,
                "gap_cause": gap.cause,
                "gap_outcome": outcome,
                "gap_first": None if gap.first is None else str(gap.first),
                "gap_last": None if gap.last is None else str(gap.last),
                "gap_count": gap.count,
            },
            ref=ref,
            links=(self.connection,),
        )

    # -- syncs --------------------------------------------------------------------------------------------------------

    def verdict(self, change: VerdictChange) -> None:
        """Take a verdict: it shows that a sync begins, or that an attempt at it gave a book that does not hold."""
        if change.channel != "book":
            return
        state, sync = change.verdict.state, self._syncs.get(change.instrument)
        if state == "syncing" and sync is None:
            found = self._gaps.get((change.instrument, "book"))
            # The end of the connection itself says so too; then the sync begins with the next one.
            if found is None or found.gap.cause != "disconnect" or found.attempt != self._attempts:
                self._sync_began(change.instrument)
        elif state in _BROKEN and sync is not None:
            sync.failures += not sync.fresh
            sync.fresh = False
        elif state == "blocked" and sync is not None:
            self._sync_ended(change.instrument, "failed", error="blocked")

    def event(self, event: Event) -> SpanRef:
        """Take an event that is not of every message. Gives the span that it belongs to."""
        if event.kind == "subscription_acked":
            return self._answer(event, "acked")
        if event.kind == "subscription_rejected":
            return self._answer(event, "rejected")
        if event.kind == "sync_ok":
            self._sync_began(event.instrument, unseen=True)
        sync = self._syncs.get(event.instrument)
        if event.kind == "sync_failed" and sync is not None:
            sync.failures += 1
        if event.kind != "sync_ok" or sync is None:
            return self.connection
        self._sync_ended(event.instrument, "ok")
        again = self._gaps.get((event.instrument, "book"))
        if again is not None and again.gap.cause != "disconnect":  # in the same burst it was lost again
            self._sync_began(event.instrument)
        return sync.ref

    def fetching(self, fetch: Fetch, streams: list[StreamStatus]) -> None:
        """Take note that this task fetches: its GET is the sync's that wants it, else the connection's."""
        of_symbol = (stream.instrument for stream in streams if stream.symbol == fetch.symbol)
        sync = self._syncs.get(next(of_symbol, "")) if fetch.endpoint == SNAPSHOT_ENDPOINT else None
        SERVING.set(self.connection if sync is None else sync.ref)

    def _sync_began(self, instrument: str, *, fresh: bool = False, unseen: bool = False) -> None:
        """Begin a sync unless one goes on. `unseen`: it is over already, for the snapshot that the subscription brought
        came before anything else was said: it began with that request.
        """
        if instrument not in self._syncs:
            parent = self.gap_of(instrument, "book")
            ref = self._tracer.new_ref("marketprism.book.sync", parent)
            start_ns = self._sent_ns if unseen and self._sent_ns else self.now_ns()
            self._syncs[instrument] = _Sync(ref, parent, start_ns, fresh)

    def _sync_ended(self, instrument: str, outcome: str, error: str | None = None) -> None:
        sync = self._syncs.pop(instrument)
        self._tracer.span(
            "marketprism.book.sync",
            sync.start_ns,
            self.now_ns(),
            {**self._at, "instrument": instrument, "sync_outcome": outcome, "sync_attempts": sync.failures + 1},
            ref=sync.ref,
            parent=sync.parent,
            links=() if sync.parent == self.connection else (self.connection,),
            error=error,
        )
