"""When a connection may be opened: a budget of attempts that all connections of a venue share, and the delay after a
failure.

It owns two numbers' worth of state and no socket. It never gives up and never counts an attempt for less than it is:
every handshake takes from the budget, also a planned one. The delay is full jitter
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/) under a doubling ceiling, and it starts
small again only after data has flowed for a while: a venue that accepts and drops us at once is not healthy. Clock,
sleep and randomness are passed in, so tests are instant.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from random import Random

from tenacity import AsyncRetrying, RetryCallState, wait_exponential

from collector.clock import SECOND_NS, Clock

Sleep = Callable[[float], Awaitable[None]]


class ConnectBudget:
    """At most `limit` attempts in any `interval_s`, in the order in which they asked."""

    def __init__(self, limit: int, interval_s: float, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        if limit < 1 or interval_s <= 0:
            raise ValueError(
                f"connect budget: expected at least 1 attempt in more than 0 s, got {limit} in {interval_s} s"
            )
        self._attempts: deque[int] = deque(maxlen=limit)
        self._limit = limit
        self._interval_ns = int(interval_s * SECOND_NS)
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()  # first come, first served; a cancelled waiter leaves the line

    async def acquire(self) -> None:
        """Wait for an attempt and take it."""
        async with self._turn:
            while (wait_ns := self._wait_ns()) > 0:
                await self._sleep(wait_ns / SECOND_NS)
            self._attempts.append(self._clock().mono_ns)

    def _wait_ns(self) -> int:
        if len(self._attempts) < self._limit:
            return 0
        return self._attempts[0] + self._interval_ns - self._clock().mono_ns


class Backoff:
    """How long one connection waits before its next attempt."""

    def __init__(self, rng: Random, *, base_s: float = 1.0, cap_s: float = 30.0, healthy_after_s: float = 30.0) -> None:
        self._rng = rng
        self._ceiling = wait_exponential(multiplier=base_s, max=cap_s)
        self._state = RetryCallState(AsyncRetrying(), None, (), {})
        self._healthy_ns = int(healthy_after_s * SECOND_NS)
        self._data_since: int | None = None
        self._proven = False
        self.failures = 0
        """Failures in a row: since the last time that data flowed for long enough."""

    def data(self, mono_ns: int) -> None:
        """Take note of application data at this time on the open connection."""
        if self._data_since is None:
            self._data_since = mono_ns
        elif not self._proven and mono_ns - self._data_since >= self._healthy_ns:
            self._proven = True
            self.failures = 0

    def lost(self, *, planned: bool = False) -> float:
        """Take note that a connection ended or could not be opened; return the seconds to wait before the next attempt.

        A planned end waits for nothing, but only once in a row on connections that had not proven healthy: a venue that
        asks for a new connection again and again is treated like one that fails.
        """
        proven, self._proven, self._data_since = self._proven, False, None
        if planned and self.failures == 0:
            self.failures = 0 if proven else 1
            return 0.0
        self.failures += 1
        self._state.attempt_number = self.failures
        return self._rng.uniform(0.0, self._ceiling(self._state))
