"""Measures how late the event loop runs a timer: the one number that tells whether this process keeps up.

It owns the sampling and the last few samples; what is too late is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.cells import Metrics

EVERY_S = 0.5
KEPT = 10


class LoopWatch:
    """`delay_s`: the longest of the last KEPT delays, null before the first; `measured_us`: when the last was taken."""

    def __init__(self, metrics: Metrics) -> None:
        self._cell = metrics.histogram("marketprism.event_loop.delay").cell()
        self._recent: deque[float] = deque(maxlen=KEPT)
        self.measured_us: int | None = None

    @property
    def delay_s(self) -> float | None:
        """Seconds."""
        return max(self._recent, default=None)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            due = time.monotonic() + EVERY_S  # uvloop's own clock counts whole milliseconds
            await asyncio.sleep(EVERY_S)
            self.take(time.monotonic() - due, time.time_ns() // 1000)

    def take(self, delay_s: float, wall_us: int) -> None:
        """Take one sample."""
        delay_s = max(0.0, delay_s)
        self._cell.observe(delay_s)
        self._recent.append(delay_s)
        self.measured_us = wall_us
