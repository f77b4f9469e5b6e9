"""How often a robot may be called: 20 times in any minute, and when to wait for company.

It owns the budget of one robot as pure arithmetic on passed-in times. The first messages of a quiet minute go at once;
after a burst, messages wait so that whatever comes meanwhile shares them and the minute is never used up. A P1 does
not wait for company, only for the hard limit. A robot that said "too many" is left alone for a while: DingTalk shuts a
robot out for ten minutes, WeCom until the minute is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

WINDOW_S = 61.0
"""A minute, and a second because messages do not all take equally long to arrive."""


class Pace:
    """The budget of one robot. Times are monotonic seconds."""

    def __init__(self, per_minute: int, sent: Iterable[float] = ()) -> None:
        self._limit = per_minute
        self._burst = max(1, per_minute * 2 // 5)
        # After the burst: evenly, so that with the burst a fifth of the minute's messages is left for what is urgent.
        self._spacing = WINDOW_S / max(1, per_minute // 2)
        self._sent = deque(sorted(sent))
        self._until = 0.0

    def delay(self, now: float, *, urgent: bool) -> float:
        """Seconds to wait before the next message."""
        while self._sent and self._sent[0] <= now - WINDOW_S:
            self._sent.popleft()
        ready = max(now, self._until)
        if len(self._sent) >= self._limit:
            ready = max(ready, self._sent[-self._limit] + WINDOW_S)
        if len(self._sent) >= self._burst and not urgent:
            ready = max(ready, self._sent[-1] + self._spacing)
        return ready - now

    def sent(self, now: float) -> None:
        """A message goes out now, whatever will become of it."""
        self._sent.append(now)

    def pause(self, now: float, seconds: float) -> None:
        """Leave the robot alone for so long."""
        self._until = max(self._until, now + seconds)

    def paused(self, now: float) -> float:
        """How much longer the robot is left alone, in seconds; 0 when it is not."""
        return max(0.0, self._until - now)
