"""The two clocks, passed in so that a test can hold them.

It owns nothing but them: the wall clock dates running markets, the monotonic one measures limits and faults.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


def _wall_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Clock:
    """`mono` gives seconds that never go back, `wall_us` microseconds since the epoch."""

    mono: Callable[[], float] = time.monotonic
    wall_us: Callable[[], int] = _wall_us
