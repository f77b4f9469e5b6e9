"""The one notion of time: `Now`, read once per socket read by the driver and passed down.

Nothing below the drivers reads a clock. Durations are measured on `mono_ns` (never steps), stamps are taken from
`wall_us` (the host's UTC clock, microseconds). A replayed tape that carries no receive times has `wall_us` None:
records then say `recv_ts: null` rather than inventing one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

SECOND_NS = 1_000_000_000
MILLI_NS = 1_000_000


class Now(NamedTuple):
    """One reading of both clocks: monotonic nanoseconds, and UTC microseconds since the epoch (None if unknown)."""

    mono_ns: int
    wall_us: int | None


Clock = Callable[[], Now]


def system_clock() -> Now:
    """Read the host's clocks."""
    return Now(time.monotonic_ns(), time.time_ns() // 1_000)
