"""The journeys of single messages, from the socket to the journal, as spans.

It owns the choice of the message (at most one a second for each channel of a venue's market) and the nanoseconds kept
of it; the spans are made when its records have been written. A message that is not chosen costs the driver one
comparison of integers, with `look_ns`: nothing else of this module is called, and nothing is kept.

What a message carries is known only when it has been decoded, so when a channel is due, messages are looked at: given
to the core with two readings of the clock around. Looks that found nothing due are rationed, so that a quiet channel
next to a busy one costs next to nothing and its turn still comes.

    message   from the socket read to its records' write         every record made of it carries its `traceparent`
    decode    from text to values
    verify    ids, checksum, the book: until its records stand
    journal   the write that took its records, with others of the burst: the flush, a trace of its own that links here

A core knows nothing of this and reads no clock. But every core stamps what it decoded with the receive time, and asks
the `Now` that it was given for it exactly when text has become values; that is how decode and verify are told apart.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final

from collector.clock import MILLI_NS, SECOND_NS, Now
from collector.feed.observe import TIMED
from collector.feed.spans import mark
from collector.records import Record
from collector.venues.protocol import Channel, Core, Facts, FrameKind
from telemetry.cells import Histogram, Metrics
from telemetry.tracing import SpanRef, Tracer, inside

PERIOD_NS: Final = SECOND_NS
MOST_LOOKS: Final = 4
"""Looks in vain before a pause of LOOK_PAUSE_NS: some in a row, so that not only the first of a burst is ever seen."""
LOOK_PAUSE_NS: Final = 20 * MILLI_NS
NEVER: Final = sys.maxsize

Publish = Callable[[list[Record]], bool | None]
"""Takes a burst's records. False: they were not accepted; None: they are written nowhere."""


class Sampler:
    """When each channel's next message is to be traced, in monotonic ns. Shared by the connections of a market.

    `channels`: those that are collected; one that never comes would be looked for for ever.
    """

    __slots__ = ("_due",)

    def __init__(self, channels: Iterable[Channel]) -> None:
        self._due: dict[FrameKind, int] = dict.fromkeys(channels, 0)

    def take(self, kind: FrameKind, now_ns: int) -> bool:
        """Say whether this message is to be traced."""
        if now_ns < self._due.get(kind, NEVER):
            return False
        self._due[kind] = now_ns + PERIOD_NS
        return True

    def next_ns(self) -> int:
        """Give when the first channel is due."""
        return min(self._due.values())


class _Marked(Now):
    """A `Now` that keeps when its wall clock was first asked for; see the module's docstring. `mono_ns` tells time."""

    read_ns: int = 0
    clock: Callable[[], int]

    @property
    def wall_us(self) -> int | None:
        """See `Now`."""
        if not self.read_ns:
            self.read_ns = self.clock()
        return self[1]


class Journey:
    """One message under way. Times are monotonic ns; `offset_ns` makes them ns since 1970."""

    __slots__ = (
        "began_ns",
        "decoded_ns",
        "done_ns",
        "error",
        "kind",
        "made",
        "offset_ns",
        "received_ns",
        "ref",
        "size",
    )

    def __init__(self, kind: FrameKind, ref: SpanRef, now: Now, size: int) -> None:
        self.kind = kind
        self.ref = ref
        self.size = size
        self.received_ns = now.mono_ns
        self.offset_ns = (now.wall_us or 0) * 1000 - now.mono_ns
        self.began_ns = self.decoded_ns = self.done_ns = now.mono_ns
        self.error: str | None = None
        self.made: list[Record] = []


class Journeys:
    """Those of one connection. `mono_ns` tells the time; `traced` is told of every message that was chosen."""

    __slots__ = (
        "_at",
        "_connection",
        "_lags",
        "_looks",
        "_mono_ns",
        "_sampler",
        "_traced",
        "_tracer",
        "look_ns",
        "open",
    )

    def __init__(
        self,
        tracer: Tracer,
        sampler: Sampler,
        metrics: Metrics,
        facts: Facts,
        connection: str,
        mono_ns: Callable[[], int],
        traced: Callable[[FrameKind, SpanRef], None],
    ) -> None:
        self.look_ns = 0
        """A message received at this time or later is given to `frame`; others only to the core."""
        self.open: list[Journey] = []
        """Those whose records are not written yet."""
        self._tracer = tracer
        self._sampler = sampler
        self._mono_ns = mono_ns
        self._traced = traced
        self._at = {"venue": facts.venue, "market": facts.market}
        self._connection = connection
        self._looks = 0
        lag = metrics.histogram("marketprism.feed.lag")
        self._lags: dict[FrameKind, Histogram] = {
            channel: lag.cell(channel=channel, **self._at) for channel in facts.channels
        }

    def frame(self, core: Core, data: bytes, now: Now) -> FrameKind:
        """Give a message to the core and look whether it is to be traced. Gives what the core says."""
        marked = _Marked(*now)
        marked.clock = self._mono_ns
        out = core.out
        records, dead = len(out.records), len(out.dead)
        began_ns = self._mono_ns()
        kind = core.frame(data, marked)
        done_ns = self._mono_ns()
        if not self._sampler.take(kind, now.mono_ns):
            self._looked_in_vain(now.mono_ns)
            return kind
        self.look_ns = self._sampler.next_ns()
        ref = self._tracer.new_ref("marketprism.message")
        if ref:  # the sampler may not want it
            journey = Journey(kind, ref, now, len(data))
            journey.began_ns, journey.done_ns = began_ns, done_ns
            journey.decoded_ns = marked.read_ns or done_ns
            journey.made = out.records[records:]
            if len(out.dead) > dead:
                journey.error = out.dead[-1].reason
                journey.decoded_ns = done_ns
            for record in journey.made:
                record.traceparent = ref.traceparent or record.traceparent
            self.open.append(journey)
            self._traced(kind, ref)
        return kind

    def flush(self, publish: Publish, records: list[Record]) -> None:
        """Publish a burst in which there are journeys, and end them."""
        journeys, self.open = self.open, []
        began_ns = self._mono_ns()
        written, error = len(records), None
        try:
            if records:
                with inside(journeys[-1].ref):
                    accepted = publish(records)
                if accepted is None:
                    written = 0
                elif not accepted:
                    error = "not_accepted"
        except Exception as defect:
            self._ended(journeys, began_ns, written, defect)
            raise
        self._ended(journeys, began_ns, written, error)

    def _looked_in_vain(self, now_ns: int) -> None:
        self._looks += 1
        pause_ns = LOOK_PAUSE_NS if self._looks % MOST_LOOKS == 0 else 0
        self.look_ns = max(self._sampler.next_ns(), now_ns + pause_ns)

    def _ended(self, journeys: list[Journey], began_ns: int, written: int, error: str | BaseException | None) -> None:
        """Make the spans of a burst of which so many records were written just now."""
        ended_ns = self._mono_ns()
        parts = [journey for journey in journeys if journey.made and written]
        for journey in journeys:
            self._spans(journey, (began_ns, ended_ns) if journey in parts else None, error)
            self._exemplar(journey)
        if parts:
            offset_ns = parts[0].offset_ns
            self._tracer.span(
                "marketprism.burst.flush",
                began_ns + offset_ns,
                ended_ns + offset_ns,
                {"records": written},
                links=[journey.ref for journey in parts],
                error=error,
            )

    def _spans(self, journey: Journey, write: tuple[int, int] | None, error: str | BaseException | None) -> None:
        tracer, ref, offset_ns = self._tracer, journey.ref, journey.offset_ns
        decoded_ns, done_ns = journey.decoded_ns + offset_ns, journey.done_ns + offset_ns
        tracer.span("marketprism.decode", journey.began_ns + offset_ns, decoded_ns, {}, parent=ref, error=journey.error)
        if journey.error is None:
            tracer.span("marketprism.verify", decoded_ns, done_ns, {}, parent=ref)
        if write is not None:
            began_ns, done_ns = write[0] + offset_ns, write[1] + offset_ns
            about = {"records": len(journey.made)}
            tracer.span("marketprism.journal", began_ns, done_ns, about, parent=ref, error=error)
        tracer.span(
            "marketprism.message",
            journey.received_ns + offset_ns,
            done_ns,
            {
                **self._at,
                "channel": journey.kind,
                "connection": self._connection,
                "size": journey.size,
                "records": len(journey.made),
            },
            ref=ref,
            error=journey.error or (None if write is None else error),
        )

    def _exemplar(self, journey: Journey) -> None:
        """Let the lag that its last record was counted with lead to it."""
        for record in reversed(journey.made):
            if type(record) in TIMED:
                if record.ts is not None and record.recv_ts is not None:
                    late_s = max(record.recv_ts - record.ts, 0) / 1e6  # as FeedObserver counts it
                    mark(self._lags[journey.kind], late_s, journey.ref, journey.received_ns + journey.offset_ns)
                return
