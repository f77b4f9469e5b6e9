"""The watchdog of one connection: silence, per subscription, from application data only.

Armed at subscribe. A silent book is compared with a small REST book before anything is said of it; other streams are
asked for again; when everything that used to flow is silent, the connection is replaced. Pings, acknowledgements and
heartbeats never count as data. All of it moves by `look`, on the core's wake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.clock import SECOND_NS
from collector.quality.liveness import EXPECTATIONS, Expectation
from collector.venues.protocol import STATUS_NOT_ON_TAPE, Reconnect

if TYPE_CHECKING:
    from collector.clock import Now
    from collector.venues.core import VenueCore
    from collector.venues.protocol import Answer
    from collector.venues.stream import Stream

CHECK_GRACE_NS = 2 * SECOND_NS
"""How long a message that would explain a difference may still be on its way."""
ALL_SILENT_NS = 30 * SECOND_NS
"""How long everything may be silent before the connection is replaced: a REST check has had its say by then."""
ACK = Expectation(least=10.0, most=120.0, first=10.0)
"""How long a subscription may stay unacknowledged before it is sent again."""


class Watch:
    """`message_deadline_s`: the venue sends something at least this often; None where it promises nothing."""

    def __init__(self, core: VenueCore, message_deadline_s: float | None) -> None:
        self._core = core
        self._deadline_s = message_deadline_s
        self._last_data_ns = 0
        self._confirmed_ns = 0
        self.last_message_ns = 0

    def look(self, now: Now) -> None:
        """Find what has been silent for too long, and do something about it."""
        if self._deadline_s is not None and now.mono_ns - self.last_message_ns > self._deadline_s * SECOND_NS:
            self.last_message_ns = now.mono_ns
            self._core.out.commands.append(Reconnect("no_message"))
            return
        flowing = quiet = 0
        for stream in tuple(self._core.by_name.values()):
            if stream.pulse.count:
                flowing += 1
                quiet += stream.pulse.quiet(now.mono_ns, EXPECTATIONS[stream.channel])
                self._last_data_ns = max(self._last_data_ns, stream.pulse.last)
            self._settle(stream, now)
            if stream.asked and not (stream.book is not None and stream.book.phase in ("waiting", "backoff")):
                self._remedy(stream, now)
        silence_ns = now.mono_ns - self._last_data_ns
        if flowing and quiet == flowing and silence_ns > ALL_SILENT_NS and self._confirmed_ns < self._last_data_ns:
            self._confirmed_ns = now.mono_ns
            self._core.out.commands.append(Reconnect("all_silent"))

    def checked(self, stream: Stream, upto: int | None, now: Now, *, same: bool) -> None:
        """Take what a REST check said. `same`: it equals ours; `upto`: the id it stands at, ahead of ours."""
        if same:
            stream.checking = None
            self._confirmed_ns = now.mono_ns
        elif stream.checking is None:
            stream.checking = (now.mono_ns + CHECK_GRACE_NS, upto)

    def check_failed(self, stream: Stream, answer: Answer, now: Now) -> None:
        """Take note that a book could not be checked. A tape that holds no answer leaves the verdict as it is."""
        if answer.status != STATUS_NOT_ON_TAPE and stream.book is not None:
            stream.book.suspect("silent, and the check by REST failed", now, "stale")

    def _remedy(self, stream: Stream, now: Now) -> None:
        pulse = stream.pulse
        expectation = EXPECTATIONS[stream.channel] if stream.acked or pulse.count else ACK
        silence = pulse.silent(now.mono_ns, expectation)
        if silence is None:
            return
        pulse.remedies += 1
        pulse.armed = now.mono_ns
        if stream.book is not None and stream.book.phase == "live":
            self._core.want_check(stream, now)
            return
        if stream.acked and stream.book is None:
            stream.judge("stale" if pulse.count else "acknowledged", now, reason=f"no message for {silence:.0f} s")
        self._core.resubscribe(stream, now)

    def _settle(self, stream: Stream, now: Now) -> None:
        """Decide a check whose grace is over: data since then clears it, continued silence is a stall."""
        book = stream.book
        if stream.checking is None or book is None or now.mono_ns < stream.checking[0]:
            return
        at, upto = stream.checking
        stream.checking = None
        behind = upto is None or book.last is None or book.last < upto
        if behind and stream.pulse.last < at - CHECK_GRACE_NS:
            book.refuted("stalled", f"silent while the venue's book moved on to {upto or 'other levels'}", upto, now)
            if not book.rule.snapshot_in_band:  # else asking for a snapshot has subscribed again
                self._core.resubscribe(stream, now)
