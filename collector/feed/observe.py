"""What a feed tells telemetry: every cell that its connection adds to, and what is worth a line in the log.

It owns the binding between what the drivers see and the names of the telemetry schema, and decides nothing about data.
A message costs three additions on cells that are held, a record two; everything else happens once a burst or less. All
series of a venue and market are made when the feed is, so that they exist at 0 before anything happens; those of an
instrument when its stream is known. Lines that a venue could repeat for ever are held back for a while and say how many
were.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Final, get_args

from collector.books.verdict import STATES
from collector.clock import SECOND_NS
from collector.feed.deadletters import DeadLetters
from collector.feed.observe_connection import ConnectionObserver
from collector.feed.spans import FeedSpans, mark
from collector.net.websocket import End
from collector.records import CHANNEL_OF, BookDelta, Gap, GapCause, Liquidation, Quote, Record, Ticker, Trade
from collector.venues.protocol import (
    Channel,
    DeadLetter,
    Event,
    EventKind,
    Facts,
    FrameKind,
    Send,
    StreamStatus,
    UndecodableReason,
    VerdictChange,
)
from telemetry.cells import Counter, Gauge, Histogram, Metrics
from telemetry.logs import SayRarely
from telemetry.tracing import NO_SPAN, SpanRef, inside

HOLD_BACK_S = 10.0
"""A line of one kind about one thing is said at most this often."""
SKEW_LOOKS = 30
"""After so many looks at the streams' state, one a second, the least delay of all messages since is told."""
_SAMPLE = 200
TIMED: Final = frozenset({Trade, Quote, BookDelta, Ticker, Liquidation})
"""Records whose time is that of an event: a snapshot's is not, and a Gap has none."""
_OFTEN: Final = frozenset({"checksum_match", "not_spoken"})
"""Events that many messages give; no span knows of them."""

_CODE: Final = {state: code for code, state in enumerate(STATES)}


class _Messages:
    """One channel's messages. `burst`: how many came since the last burst ended; `traced`: the one that is traced."""

    __slots__ = ("burst", "duration", "received", "size", "traced")

    def __init__(self, received: Counter, size: Counter, duration: Histogram) -> None:
        self.received = received
        self.size = size
        self.duration = duration
        self.burst = 0
        self.traced = NO_SPAN


class FeedObserver(ConnectionObserver):
    """Counts and logs for one connection: the `Observer` of a LiveFeed.

    `run` names the connection's tape in the dead-letter file. `mono_ns` tells the time by which lines are held back.
    `spans`: those of the connection, which it keeps told and whose ids its lines carry; without them there are none.
    """

    def __init__(
        self,
        metrics: Metrics,
        facts: Facts,
        connection: str,
        mono_ns: Callable[[], int],
        *,
        dead_letters: DeadLetters | None = None,
        run: str | None = None,
        spans: FeedSpans | None = None,
    ) -> None:
        super().__init__(metrics, facts, connection, spans)
        self._venue, self._market = facts.venue, facts.market
        self._channels = facts.channels
        self._dead_letters = dead_letters
        self._run = run or connection
        self._rarely = SayRarely(
            mono_ns, metrics.counter("marketprism.log.records.dropped").cell(log_drop_reason="rate")
        )
        self._bind_messages(metrics)
        self._bind_quality(metrics)
        self._verdicts: dict[tuple[str, Channel], tuple[Gauge, Gauge]] = {}
        self._states: dict[tuple[str, Channel], str] = {}
        self._verdict_family = metrics.gauge("marketprism.verdict")
        self._last_family = metrics.gauge("marketprism.last_message.time")

    def _bind_messages(self, metrics: Metrics) -> None:
        at = {"venue": self._venue, "market": self._market}
        received, size = (metrics.counter(f"marketprism.{name}") for name in ("messages.received", "received.size"))
        duration = metrics.histogram("marketprism.message.process.duration")
        kinds: tuple[FrameKind, ...] = (*self._channels, "control", "unknown")
        self._messages = {
            kind: _Messages(
                received.cell(channel=kind, **at), size.cell(channel=kind, **at), duration.cell(channel=kind, **at)
            )
            for kind in kinds
        }
        written, lag = metrics.counter("marketprism.records.written"), metrics.histogram("marketprism.feed.lag")
        lags: dict[str, Histogram] = {channel: lag.cell(channel=channel, **at) for channel in self._channels}
        served = [kind for kind, channel in CHANNEL_OF.items() if channel in self._channels] + [Gap]
        self._written: dict[type[Record], tuple[Counter, Histogram | None]] = {
            kind: (written.cell(record_type=kind.__name__, **at), lags[CHANNEL_OF[kind]] if kind in TIMED else None)
            for kind in served
        }
        self._burst_size = metrics.histogram("marketprism.burst.size").cell()
        self._least_us: float = math.inf
        self._looks = 0
        self._skew = metrics.gauge("marketprism.clock.skew").cell(connection=self._connection, **at)
        self._skew.n = math.nan  # not known is not zero
        undecodable = metrics.counter("marketprism.message.undecodable")
        reasons: tuple[UndecodableReason, ...] = get_args(UndecodableReason)
        self._undecodable = {
            (kind, reason): undecodable.cell(channel=kind, undecodable_reason=reason, **at)
            for kind in kinds
            for reason in reasons
        }

    def _bind_quality(self, metrics: Metrics) -> None:
        at = {"venue": self._venue, "market": self._market}
        gaps, lost = (metrics.counter(f"marketprism.{name}") for name in ("gaps", "gap.records.lost"))
        causes: tuple[GapCause, ...] = get_args(GapCause)
        self._gaps = {
            (channel, cause): (
                gaps.cell(channel=channel, gap_cause=cause, **at),
                lost.cell(channel=channel, gap_cause=cause, **at),
            )
            for channel in self._channels
            for cause in causes
        }
        repair = metrics.histogram("marketprism.gap.repair.duration")
        self._repairs = {channel: repair.cell(channel=channel, **at) for channel in self._channels}
        duplicates = metrics.counter("marketprism.duplicates.dropped")
        syncs, sums = metrics.counter("marketprism.book.syncs"), metrics.counter("marketprism.book.checksums")
        requests = metrics.counter("marketprism.subscription.requests")
        self._duplicates = {channel: duplicates.cell(channel=channel, **at) for channel in self._channels}
        self._sent = requests.cell(subscription_outcome="sent", **at)
        self._events: dict[EventKind, Counter] = {
            "sync_ok": syncs.cell(sync_outcome="ok", **at),
            "sync_failed": syncs.cell(sync_outcome="failed", **at),
            "checksum_match": sums.cell(checksum_outcome="match", **at),
            "checksum_mismatch": sums.cell(checksum_outcome="mismatch", **at),
            "subscription_acked": requests.cell(subscription_outcome="acked", **at),
            "subscription_rejected": requests.cell(subscription_outcome="rejected", **at),
        }

    # -- messages and records -----------------------------------------------------------------------------------------

    def frame(self, kind: FrameKind, size: int) -> None:
        """Count one message: its payload has `size` bytes."""
        messages = self._messages[kind]
        messages.received.n += 1
        messages.size.n += size
        messages.burst += 1

    def burst(self, duration_ns: int) -> None:
        """Share the time of a burst among its messages."""
        seen = [messages for messages in self._messages.values() if messages.burst]
        count = sum(messages.burst for messages in seen)
        for messages in seen:
            share_s = duration_ns / count / SECOND_NS
            messages.duration.observe(share_s, messages.burst)
            messages.burst = 0
            if messages.traced:
                mark(messages.duration, share_s, messages.traced, self._spans.now_ns())
                messages.traced = NO_SPAN

    def traced(self, kind: FrameKind, ref: SpanRef) -> None:
        """Take note that a message of this burst is traced: the time of its kind will lead to it."""
        self._messages[kind].traced = ref

    def records(self, records: list[Record]) -> None:
        """Count records that were published together, and how late they are."""
        self._burst_size.observe(len(records))
        by_type = self._written
        for record in records:
            written, lag = by_type[type(record)]
            written.n += 1
            if lag is not None:
                if record.ts is not None and record.recv_ts is not None:
                    # A venue whose clock is ahead must not make the sum fall: it would look like a restart.
                    late_us = record.recv_ts - record.ts
                    self._least_us = min(self._least_us, late_us)
                    late_s = max(late_us, 0) / 1e6
                    lag.b[bisect_left(lag.bounds, late_s)] += 1
                    lag.sum += late_s
            elif isinstance(record, Gap):
                self._gap(record)

    def _gap(self, gap: Gap) -> None:
        ref = self._spans.gap(gap)
        with inside(ref):
            self._count_gap(gap, ref)

    def _count_gap(self, gap: Gap, ref: SpanRef) -> None:
        channel: Channel = gap.channel  # type: ignore[assignment]  # a record's text, written by a core
        if gap.repaired_ts is None:
            gaps, lost = self._gaps[channel, gap.cause]
            gaps.n += 1
            mark(gaps, 1, ref, self._spans.now_ns())
            lost.n += gap.count or 0
            self._log_gap(gap)
        elif gap.detected_ts is not None:
            seconds = max(gap.repaired_ts - gap.detected_ts, 0) / 1e6
            self._repairs[channel].observe(seconds)
            mark(self._repairs[channel], seconds, ref, self._spans.now_ns())
            held = self._rarely.every(("repaired", channel, gap.instrument), HOLD_BACK_S)
            if channel == "book" and held is not None:
                self._log.info(
                    "marketprism.book.repaired",
                    instrument=gap.instrument,
                    gap_cause=gap.cause,
                    duration=seconds,
                    suppressed=held,
                )

    def _log_gap(self, gap: Gap) -> None:
        held = self._rarely.every(("gap", gap.channel, gap.instrument, gap.cause), HOLD_BACK_S)
        # A lost connection says so itself, once and not for every stream.
        if held is None or gap.cause == "disconnect":
            return
        fields: dict[str, object] = {"instrument": gap.instrument, "gap_cause": gap.cause, "suppressed": held}
        if gap.first is not None:
            fields |= {"gap_first": str(gap.first), "gap_last": str(gap.last)}
        if gap.count is not None:
            fields["gap_count"] = gap.count
        if gap.channel == "book":
            self._log.warning("marketprism.book.gap", **fields)
        else:
            self._log.warning("marketprism.stream.gap", channel=gap.channel, **fields)

    # -- what else the core says --------------------------------------------------------------------------------------

    def said(self, verdicts: list[VerdictChange], dead: list[DeadLetter], events: list[Event]) -> None:
        """Take verdicts, dead letters and events."""
        spans = self._spans
        for change in verdicts:
            spans.verdict(change)
            with inside(spans.gap_of(change.instrument, change.channel)):
                self._verdict(change)
        with inside(spans.connection):
            for letter in dead:
                self._dead(letter)
        for event in events:
            self._event(event)

    def _verdict(self, change: VerdictChange) -> None:
        key, state = (change.instrument, change.channel), change.verdict.state
        self._gauges(key)[0].n = _CODE[state]
        before, self._states[key] = self._states.get(key), state
        if before == state:
            return
        held = self._rarely.every(("verdict", key, state), HOLD_BACK_S)
        if held is not None:
            self._log.info(
                "marketprism.verdict.changed",
                instrument=change.instrument,
                channel=change.channel,
                verdict=state,
                previous_verdict=before or "none",
                reason=change.verdict.reason,
                suppressed=held,
            )

    def _dead(self, letter: DeadLetter) -> None:
        self._undecodable[letter.channel, letter.reason].n += 1
        if self._dead_letters is not None:
            self._dead_letters.write(self._venue, self._market, self._run, letter)
        held = self._rarely.every(("dead", letter.channel, letter.reason), HOLD_BACK_S)
        if held is not None:
            self._log.warning(
                "marketprism.message.undecodable",
                connection=self._connection,
                channel=letter.channel,
                undecodable_reason=letter.reason,
                error_message=letter.detail,
                sample=letter.raw[:_SAMPLE].decode(errors="replace"),
                suppressed=held,
            )

    def _event(self, event: Event) -> None:
        counter = self._events.get(event.kind)
        if counter is not None:
            counter.n += 1
        if event.kind == "duplicate":
            channel: Channel = event.channel  # type: ignore[assignment]  # only data has duplicates
            self._duplicates[channel].n += 1
        elif event.kind not in _OFTEN:
            with inside(self._spans.event(event)):
                self._log_event(event)

    def _log_event(self, event: Event) -> None:
        if event.kind == "subscription_rejected":
            held = self._rarely.every(("rejected", event.instrument, event.detail), HOLD_BACK_S)
            if held is not None:
                self._log.warning(
                    "marketprism.subscription.rejected",
                    connection=self._connection,
                    channel=event.channel,
                    instrument=event.instrument,
                    error_message=event.detail,
                    suppressed=held,
                )
        elif event.kind == "sync_ok":
            held = self._rarely.every(("synced", event.instrument), HOLD_BACK_S)
            if held is not None:
                self._log.info("marketprism.book.synced", instrument=event.instrument, suppressed=held)

    def status(self, streams: list[StreamStatus]) -> None:
        """Set every stream's gauges; now and then, what the least delay since the last time says of the clocks."""
        self._looks += 1
        if self._looks == SKEW_LOOKS:
            self._skew.n = self._least_us / 1e6 if math.isfinite(self._least_us) else math.nan
            self._looks, self._least_us = 0, math.inf
        for stream in streams:
            verdict, last = self._gauges((stream.instrument, stream.channel))
            verdict.n = _CODE[stream.verdict.state]
            last.n = 0 if stream.last_message_us is None else stream.last_message_us / 1e6

    def _gauges(self, key: tuple[str, Channel]) -> tuple[Gauge, Gauge]:
        found = self._verdicts.get(key)
        if found is None:
            at = {"venue": self._venue, "market": self._market, "instrument": key[0], "channel": key[1]}
            found = self._verdicts[key] = self._verdict_family.cell(**at), self._last_family.cell(**at)
        return found

    def sent(self, command: Send) -> None:
        """Count a subscription request."""
        self._spans.sent(command)
        if command.purpose != "ping":
            self._sent.n += command.streams

    def closed(self, end: End, seconds: float, delay_s: float) -> None:
        """Take note of a connection that ended; a message that was too big never reached the core."""
        super().closed(end, seconds, delay_s)
        if end.cause == "too_big":
            self._undecodable["unknown", "too_big"].n += 1
