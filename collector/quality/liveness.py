"""When silence means trouble: per stream, from application data only.

A quiet market is not a dead feed, so the patience grows with the stream's own pace, which is carried over a reconnect;
a stream that was acknowledged and never spoke has a patience of its own. Pings, acknowledgements and heartbeats never
count: whoever feeds this passes data only. What to do about silence is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.clock import SECOND_NS


@dataclass(frozen=True, slots=True)
class Expectation:
    """Seconds.

    Patience is `pace` times the mean time between messages, within `least`..`most`; `first` before the first message
    of a stream whose pace is not known yet.
    """

    least: float
    most: float
    first: float
    pace: float = 30.0


EXPECTATIONS: dict[str, Expectation] = {
    "book": Expectation(least=10.0, most=120.0, first=30.0),
    "quotes": Expectation(least=30.0, most=600.0, first=120.0),
    "trades": Expectation(least=60.0, most=3600.0, first=600.0),
    "tickers": Expectation(least=30.0, most=600.0, first=120.0),
    "candles": Expectation(least=150.0, most=3600.0, first=600.0),
    "funding": Expectation(least=180.0, most=3600.0, first=600.0),
    "open_interest": Expectation(least=180.0, most=3600.0, first=600.0),
}
"""By channel. A channel without an entry (instruments, status, liquidations) speaks only when something happens: its
silence means nothing."""
REMEMBERED = 100
"""How many messages' worth the pace of earlier connections counts as: enough to outweigh a burst at the start of a new
one, little enough for a market that changed its pace."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Seconds to wait for an answer before asking again: `first`, doubled by each try, up to `most`."""

    first: float
    most: float

    def wait(self, tries: int) -> float:
        """Give the wait after `tries` repetitions, seconds."""
        return float(min(self.most, self.first * 2**tries))


ACK = Retry(first=10.0, most=120.0)
"""How long a subscription may stay unanswered."""
REFUSED = Retry(first=1.0, most=120.0)
"""How soon a refused subscription is asked for again, counted from the refusal."""


@dataclass(slots=True)
class Pulse:
    """One stream's heartbeat on one connection, monotonic ns.

    `armed` is set at subscribe and again whenever a remedy was tried. `count`: messages, those of one read as one (a
    snapshot of fifty old trades says nothing about the pace). `learnt_ns`, `weight`: the mean time between messages on
    earlier connections, and how many messages that counts as.
    """

    armed: int | None = None
    first: int = 0
    last: int = 0
    count: int = 0
    remedies: int = 0
    learnt_ns: float = 0.0
    weight: int = 0

    def arm(self, mono_ns: int) -> None:
        """Start waiting for the first message."""
        self.armed, self.count = mono_ns, 0

    def beat(self, mono_ns: int) -> None:
        """Take one message of data."""
        if self.count == 0:
            self.first = mono_ns
            self.count = 1
        elif mono_ns != self.last:
            self.count += 1
        self.remedies = 0
        self.last = mono_ns

    def reconnected(self) -> Pulse:
        """Give the pulse to begin the next connection with: nothing came yet, and the pace is known."""
        mean_ns, weight = self._pace()
        return Pulse(remedies=self.remedies, learnt_ns=mean_ns, weight=min(weight, REMEMBERED))

    def patience(self, expectation: Expectation, remedies: int) -> float:
        """Give the silence that is still normal, seconds. Each remedy that did not help doubles it, up to `most`."""
        mean_ns, weight = self._pace()
        normal = expectation.first
        if self.count or weight:
            normal = max(expectation.least, expectation.pace * mean_ns / SECOND_NS)
        return float(min(expectation.most, normal * 2**remedies))

    def explains_silence(self, expectation: Expectation) -> bool:
        """Say whether a quiet market explains that nothing has come yet on this connection.

        It does while the pace is unknown, or so slow that it, and not `least`, sets the patience. A faster stream owes
        a message about at once, and one that was overdue before has no excuse.
        """
        return not self.remedies and self.patience(expectation, 0) > expectation.least

    def quiet(self, mono_ns: int, expectation: Expectation) -> bool:
        """Say whether the last message is longer ago than this stream's own pace explains."""
        return (mono_ns - self.last) / SECOND_NS > self.patience(expectation, 0)

    def silent(self, mono_ns: int, expectation: Expectation) -> float | None:
        """Give the seconds of silence when they exceed the patience, else None."""
        if self.armed is None:
            return None
        since = max(self.armed, self.last)
        silence = (mono_ns - since) / SECOND_NS
        return silence if silence > self.patience(expectation, self.remedies) else None

    def _pace(self) -> tuple[float, int]:
        """Give the mean ns between messages, and how many of them it was made from."""
        here = max(0, self.count - 1)
        weight = self.weight + here
        if not weight:
            return 0.0, 0
        span = self.last - self.first if here else 0
        return (self.learnt_ns * self.weight + span) / weight, weight
