"""What became of one signal's telemetry: how much left the process, how much was lost and why, and when it last worked.

It owns the numbers that say whether the pipeline lives; they are cells, so `/metrics` shows them when nothing else
gets out. It bounds what waits, exactly: an item is either admitted, and then settled once, or it is counted as
dropped. It must never block. Admitting happens on the event loop, settling in the signal's export thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from telemetry.cells import Counter, Metrics
from telemetry.logs import get_logger
from telemetry.otlp_settings import Signal

log = get_logger("telemetry.export")

Reason = Literal["queue", "export", "rejected", "rate", "shutdown"]
_REASONS: dict[Signal, tuple[Reason, ...]] = {
    "traces": ("queue", "export", "shutdown"),
    "metrics": ("rejected", "shutdown"),
    "logs": ("queue", "export", "rate", "shutdown"),
}


class Ledger:
    """The account of one signal. `capacity`: how many items may wait or be on their way.

    `now_ns` tells the time in ns since 1970.
    """

    def __init__(
        self, metrics: Metrics, signal: Signal, capacity: int = 0, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.signal = signal
        self._capacity = capacity
        self._now_ns = now_ns
        self._lock = threading.Lock()  # log lines come from several threads
        self._pending = 0
        self._failing_since: int | None = None
        self._exported = metrics.counter("marketprism.telemetry.exported").cell(telemetry_signal=signal)
        self._failures = metrics.counter("marketprism.telemetry.export.failures").cell(telemetry_signal=signal)
        self._last = metrics.gauge("marketprism.telemetry.last_export.time").cell(telemetry_signal=signal)
        family = metrics.counter("marketprism.telemetry.dropped")
        self._dropped: dict[Reason, Counter] = {
            reason: family.cell(telemetry_signal=signal, telemetry_drop_reason=reason) for reason in _REASONS[signal]
        }

    @property
    def pending(self) -> int:
        """Items that were admitted and are not settled."""
        return self._pending

    @property
    def lost(self) -> int:
        """Admitted items whose export failed."""
        return self._dropped["export"].n if "export" in self._dropped else 0

    @property
    def failing(self) -> bool:
        """Whether the last export failed."""
        return self._failing_since is not None

    def admit(self) -> bool:
        """Whether there is room for one more; it waits from now on. If not, it is counted as dropped."""
        with self._lock:
            if self._pending < self._capacity:
                self._pending += 1
                return True
            self._dropped["queue"].n += 1
            return False

    def drop(self, reason: Reason, items: int = 1) -> None:
        """Count items that will never leave."""
        with self._lock:
            self._dropped[reason].n += items

    def succeeded(self, items: int, *, admitted: bool = True) -> None:
        """An export of so many items was taken."""
        now = self._now_ns()
        with self._lock:
            self._exported.n += items
            self._pending -= items if admitted else 0
            self._last.n = now / 1e9
            since, self._failing_since = self._failing_since, None
        if since is not None:
            log.info("marketprism.telemetry.recovered", telemetry_signal=self.signal, duration=(now - since) / 1e9)

    def failed(self, items: int, why: str, *, admitted: bool = True) -> None:
        """An export of so many items failed. Admitted ones are lost; the others are in the next export again."""
        now = self._now_ns()
        with self._lock:
            self._failures.n += 1
            if admitted:
                self._pending -= items
                self._dropped["export"].n += items
            first = self._failing_since is None
            if first:
                self._failing_since = now
        if first:
            log.warning("marketprism.telemetry.failing", telemetry_signal=self.signal, error_message=why)
