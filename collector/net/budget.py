"""What a family of REST endpoints may still be asked: a pool of weight that all callers share, and the pauses that the
venue orders.

It owns the count, the line of waiters and the time at which the pool opens again; it sends nothing. The count is a
sliding window, which never exceeds the limit in a fixed window either, wherever the venue's begins. The venue's own
count, when its header tells one, only ever raises ours: others may share our address, and requests in flight are in our
count and not yet in theirs. A part of the limit is kept for important requests (a book cannot be repaired without its
snapshot). 429 and 418 close the whole pool, whoever got them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC
from email.utils import parsedate_to_datetime

from collector.clock import SECOND_NS, Clock
from collector.net.connects import Sleep

DEFAULT_PAUSE_S = {429: 60.0, 418: 120.0}
"""Seconds to stay away when neither the answer nor the venue says. Binance's shortest ban is two minutes:
https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md#ip-limits"""
LONGEST_PAUSE_S = 3 * 86_400.0
"""Binance's longest ban is three days; a longer or absurd Retry-After is cut to it."""


def retry_after_s(
    status: int, retry_after: str | None, wall_us: int | None, venue_s: float | None = None
) -> float | None:
    """Seconds for which a 429 or 418 forbids requests, None for any other status.

    `retry_after` is the header: seconds or an HTTP date (https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3). What
    cannot be read counts as missing, and then it is `venue_s`, where the venue is known to have a window of its own.
    """
    default = DEFAULT_PAUSE_S.get(status)
    if default is None:
        return None
    return min(_seconds(retry_after, wall_us) or venue_s or default, LONGEST_PAUSE_S)


def _seconds(text: str | None, wall_us: int | None) -> float | None:
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:12])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if wall_us is None:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(at.timestamp() - wall_us / 1e6, 1.0)


class Budget:
    """One pool: `limit` weight in any `interval_s`, `reserve` (a share of it) for important requests only."""

    def __init__(
        self,
        name: str,
        limit: int,
        interval_s: float,
        clock: Clock,
        *,
        reserve: float = 0.25,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if limit < 1 or interval_s <= 0 or not 0 <= reserve < 1:
            raise ValueError(f"pool {name}: expected a limit above 0, an interval above 0 s and a reserve from 0 to 1")
        self.name = name
        self.limit = limit
        self._ordinary = limit - int(limit * reserve)
        self._interval_ns = int(interval_s * SECOND_NS)
        self._clock = clock
        self._sleep = sleep
        self._granted: deque[tuple[int, int]] = deque()  # (when, weight)
        self._used = 0
        self._open_at = 0
        # Two lines, first come first served: an ordinary request must not stand before an important one. A cancelled
        # waiter leaves its line.
        self._turns = {True: asyncio.Lock(), False: asyncio.Lock()}

    @property
    def used(self) -> int:
        """Weight used in the last interval."""
        self._expire(self._clock().mono_ns)
        return self._used

    @property
    def paused_s(self) -> float:
        """Seconds until the pool opens again, 0 when it is open."""
        return max(0, self._open_at - self._clock().mono_ns) / SECOND_NS

    async def acquire(self, weight: int, *, important: bool, max_wait_s: float) -> float:
        """Wait for `weight` and take it: 0.0. When it cannot be had within `max_wait_s`: take nothing, return the
        seconds it would need.
        """
        give_up = self._clock().mono_ns + int(max_wait_s * SECOND_NS)
        async with self._turns[important]:
            while True:
                now = self._clock().mono_ns
                wait_ns = self._wait_ns(now, weight, important=important)
                if wait_ns <= 0:
                    self._granted.append((now, weight))
                    self._used += weight
                    return 0.0
                if now + wait_ns > give_up:
                    return wait_ns / SECOND_NS
                await self._sleep(wait_ns / SECOND_NS)  # what the venue says meanwhile is seen on waking

    def pause(self, seconds: float) -> None:
        """Close the pool for `seconds` from now. A later end that was set before stays."""
        self._open_at = max(self._open_at, self._clock().mono_ns + int(min(seconds, LONGEST_PAUSE_S) * SECOND_NS))

    def told(self, used: int) -> None:
        """Take the venue's own count of the present interval."""
        now = self._clock().mono_ns
        self._expire(now)
        unseen = min(used, self.limit) - self._used
        if unseen > 0:
            self._granted.append((now, unseen))
            self._used += unseen

    def _expire(self, now: int) -> None:
        start = now - self._interval_ns
        while self._granted and self._granted[0][0] <= start:
            self._used -= self._granted.popleft()[1]

    def _wait_ns(self, now: int, weight: int, *, important: bool) -> int:
        """Nanoseconds until `weight` could be granted if nobody else took anything; 0 when it can be now."""
        self._expire(now)
        free_at = now
        excess = self._used + weight - (self.limit if important else self._ordinary)
        for when, granted in self._granted:
            if excess <= 0:
                break
            free_at = when + self._interval_ns
            excess -= granted
        # A request heavier than its share is let through once nothing else is in the window, or it would wait for ever.
        return max(free_at, self._open_at) - now
