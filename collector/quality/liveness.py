"""When silence means trouble: per stream, from application data only.

A quiet market is not a dead feed, so the patience grows with the stream's own pace; a stream that was acknowledged and
never spoke has a patience of its own. Pings, acknowledgements and heartbeats never count: whoever feeds this passes
data only.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.clock import SECOND_NS


@dataclass(frozen=True, slots=True)
class Expectation:
    """Seconds.

    Patience is `pace` times the mean time between messages, within `least`..`most`; `first` before the first message.
    """

    least: float
    most: float
    first: float
    pace: float = 30.0


EXPECTATIONS: dict[str, Expectation] = {
    "book": Expectation(least=10.0, most=120.0, first=30.0),
    "quotes": Expectation(least=30.0, most=600.0, first=120.0),
    "trades": Expectation(least=60.0, most=3600.0, first=600.0),
}


@dataclass(slots=True)
class Pulse:
    """One stream's heartbeat, monotonic ns. `armed` is set at subscribe and again whenever a remedy was tried."""

    armed: int | None = None
    first: int = 0
    last: int = 0
    count: int = 0
    remedies: int = 0

    def arm(self, mono_ns: int) -> None:
        """Start waiting for the first message."""
        self.armed, self.count = mono_ns, 0

    def beat(self, mono_ns: int) -> None:
        """Take one message of data."""
        if self.count == 0:
            self.first = mono_ns
        self.remedies = 0
        self.last = mono_ns
        self.count += 1

    def patience(self, expectation: Expectation, remedies: int) -> float:
        """Give the silence that is still normal, seconds. Each remedy that did not help doubles it, up to `most`."""
        normal = expectation.first
        if self.count:
            mean = (self.last - self.first) / SECOND_NS / max(1, self.count - 1)
            normal = max(expectation.least, expectation.pace * mean)
        return float(min(expectation.most, normal * 2**remedies))

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
