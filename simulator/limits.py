"""The shapes that venues' limits take: a sliding window, a fixed window with a ban behind it, a token bucket.

It owns the arithmetic. It must never read a clock (each verb takes `now` in seconds) nor know which venue uses what:
the numbers stand in each venue's facts, and `override` lets a run change them by name.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TypeVar

Facts = TypeVar("Facts")


def nearest(name: str, names: list[str]) -> str:
    """', did you mean …?' for the nearest of `names`, or the list of them."""
    close = get_close_matches(name, names, 1)
    return f", did you mean {close[0]!r}?" if close else f", expected one of: {', '.join(sorted(names))}"


def override(facts: Facts, values: Mapping[str, float], where: str) -> Facts:
    """`facts` (a dataclass of numbers) with `values` in place of its own.

    Raises:
        ValueError: a name is none of its fields.
    """
    known = {field.name: field.type for field in fields(facts)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ValueError(f"{where} has no limit {name!r}{nearest(name, list(known))}")
    typed = {name: int(value) if known[name] is int else float(value) for name, value in values.items()}
    changed: Facts = replace(facts, **typed)  # type: ignore[type-var]
    return changed


class SlidingWindow:
    """At most `limit` events in any `seconds`."""

    __slots__ = ("_events", "_limit", "_seconds")

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._events: deque[float] = deque()

    def allow(self, now: float) -> bool:
        """Count one event; False when it is one too many (it counts all the same)."""
        events = self._events
        while events and events[0] <= now - self._seconds:
            events.popleft()
        events.append(now)
        if len(events) > self._limit + 1:  # one beyond the limit is enough to know
            events.popleft()
        return len(events) <= self._limit


class TokenBucket:
    """`burst` at once, refilled with `rate` a second; a refusal costs nothing."""

    __slots__ = ("_burst", "_last", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._last = now

    def allow(self, now: float) -> bool:
        """Take one token if there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class WeightWindow:
    """So much weight in each fixed window; asking on while it is spent ends in a ban that doubles each time."""

    __slots__ = ("_ban", "_banned_until", "_limit", "_over", "_patience", "_seconds", "_window", "used")

    def __init__(self, limit: int, seconds: float, patience: int, ban: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._patience = patience
        self._ban = ban
        self._window = -1
        self._over = 0
        self._banned_until = 0.0
        self.used = 0

    def spend(self, weight: int, now: float) -> tuple[int, float]:
        """Count a request of `weight`: (200, 0), or (429 or 418, seconds until it may be tried again)."""
        if now < self._banned_until:
            return 418, self._banned_until - now
        window = int(now // self._seconds)
        if window != self._window:
            self._window, self.used, self._over = window, 0, 0
        self.used += weight
        if self.used <= self._limit:
            return 200, 0.0
        self._over += 1
        if self._over > self._patience:
            self._over = 0
            self._banned_until = now + self._ban
            self._ban = min(self._ban * 2, 3 * 86400)
            return 418, self._banned_until - now
        return 429, (window + 1) * self._seconds - now
