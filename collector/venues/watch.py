"""The watchdog of one connection: silence, per subscription, from application data only.

Armed at subscribe. A subscription that was refused, or not answered, is asked for again, a refused one soon. A silent
book is compared with a small REST book before anything is said of it; other streams are judged and asked for again;
when everything that used to flow is silent, the connection is replaced. Pings, acknowledgements and heartbeats never
count as data. A channel without an expectation is never silent. Never more is asked for again than the venue's budget
of control messages lets through: what found no room waits for the next look. All of it moves by `look`, on the core's
wake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.clock import SECOND_NS
from collector.quality.liveness import ACK, EXPECTATIONS, REFUSED
from collector.venues.protocol import STATUS_NOT_ON_TAPE, Reconnect

if TYPE_CHECKING:
    from collector.books.verdict import State
    from collector.clock import Now
    from collector.venues.core import VenueCore
    from collector.venues.protocol import Answer
    from collector.venues.stream import Stream

CHECK_GRACE_NS = 2 * SECOND_NS
"""How long a message that would explain a difference may still be on its way."""
ALL_SILENT_NS = 30 * SECOND_NS
"""How long everything may be silent before the connection is replaced."""
CHECKED_NS = 20 * SECOND_NS
"""How long after a book's patience a REST check has had its say."""
RESUBSCRIBE_FRAMES = 2
"""What asking again costs: an unsubscribe and a subscribe."""


class Watch:
    """`message_deadline_s`: the venue sends something at least this often; None where it promises nothing."""

    def __init__(self, core: VenueCore, message_deadline_s: float | None) -> None:
        self._core = core
        self._deadline_s = message_deadline_s
        self._last_data_ns = 0
        self._confirmed_ns = 0
        self._paced_ns = 0
        """When what was asked for again so far has gone out at the venue's pace."""
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
                self._last_data_ns = max(self._last_data_ns, stream.pulse.last)
                expectation = EXPECTATIONS.get(stream.channel)
                if expectation is not None:
                    flowing += 1
                    checked_ns = 0 if stream.book is None else CHECKED_NS
                    quiet += stream.pulse.quiet(now.mono_ns - checked_ns, expectation)
            self._settle(stream, now)
        # Who has waited longest goes first: a venue that refuses many is not asked for the same few over and over.
        for stream in sorted(self._core.by_name.values(), key=lambda stream: stream.pulse.armed or 0):
            if stream.asked and stream.pulse.armed is not None:
                self._remedy(stream, stream.pulse.armed, now)
        silence_ns = now.mono_ns - self._last_data_ns
        if flowing and quiet == flowing and silence_ns > ALL_SILENT_NS and self._confirmed_ns < self._last_data_ns:
            self._confirmed_ns = now.mono_ns
            self._core.out.commands.append(Reconnect("all_silent"))

    def checked(self, stream: Stream, upto: int | None, now: Now, *, same: bool) -> None:
        """Take what a REST check said. `same`: it equals ours; `upto`: the id it stands at, ahead of ours.

        What came on the stream since it was asked for may be why they differ, and the stream is not silent any more.
        """
        if same:
            stream.checking = None
            self._confirmed_ns = now.mono_ns
        elif stream.checking is None and stream.pulse.last <= (stream.pulse.armed or 0):
            stream.checking = (now.mono_ns + CHECK_GRACE_NS, upto)

    def check_failed(self, stream: Stream, answer: Answer, now: Now) -> None:
        """Take note that a book could not be checked. A tape that holds no answer leaves the verdict as it is."""
        if answer.status != STATUS_NOT_ON_TAPE and stream.book is not None:
            stream.book.suspect("silent, and the check by REST failed", now, "stale")

    def _remedy(self, stream: Stream, armed: int, now: Now) -> None:
        pulse, waited_s = stream.pulse, (now.mono_ns - armed) / SECOND_NS
        if stream.refused and pulse.last <= armed:
            self._ask_again(stream, waited_s, REFUSED.wait(stream.tries), now)
        elif stream.book is not None and stream.book.phase in ("waiting", "backoff"):
            return  # the book asks by itself
        elif not stream.acked and not pulse.count:
            self._ask_again(stream, waited_s, ACK.wait(stream.tries), now)
        else:
            self._silence(stream, now)

    def _ask_again(self, stream: Stream, waited_s: float, patience_s: float, now: Now) -> None:
        if waited_s >= patience_s and self._has_room(now):
            stream.tries += 1
            stream.refused = False
            stream.pulse.armed = now.mono_ns
            self._core.resubscribe(stream, now)

    def _silence(self, stream: Stream, now: Now) -> None:
        """Act when a stream is silent for longer than its patience.

        One that has flowed, on this connection or before, is stale; one that never did stays `acknowledged`.
        """
        pulse, expectation = stream.pulse, EXPECTATIONS.get(stream.channel)
        silence = None if expectation is None else pulse.silent(now.mono_ns, expectation)
        if silence is None:
            return
        live = stream.book is not None and stream.book.phase == "live"
        room = live or self._has_room(now)
        state: State = "acknowledged" if stream.last_us is None else "stale"
        if stream.book is None and (room or stream.verdict.state != state):
            stream.judge(state, now, reason=f"no message for {silence:.0f} s{stream.since_when()}")
        if not room:
            return
        pulse.remedies += 1
        pulse.armed = now.mono_ns
        if live:
            self._core.want_check(stream, now)
        else:
            self._core.resubscribe(stream, now)

    def _has_room(self, now: Now) -> bool:
        """Take the time that asking again takes at the venue's pace, unless a second of it is waiting already."""
        if self._paced_ns > now.mono_ns + SECOND_NS:
            return False
        cost_ns = round(RESUBSCRIBE_FRAMES / self._core.facts.control_per_s * SECOND_NS)
        self._paced_ns = max(self._paced_ns, now.mono_ns) + cost_ns
        return True

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
