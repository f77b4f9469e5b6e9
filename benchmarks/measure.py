"""CPU a message of the process that calls it: two readings of (messages, CPU, time), and their difference.

It owns the rule by which both readers are measured and imports neither. Nothing is added to a message's way: a task
looks at the reader's own counter every few milliseconds, and a reading holds the count that goes with its CPU time, so
where exactly it falls does not matter. The clock is the process's CPU clock (user and system, all threads).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

LOOK_S = 0.02
PATIENCE_S = 20.0


class LostError(Exception):
    """Messages are missing; the text says how many came."""


class Reading(NamedTuple):
    """What lies between two looks."""

    messages: int
    cpu_ns: int
    wall_ns: int


async def measure(received: Callable[[], int], start: int, end: int) -> Reading:
    """Measure from the last look at no more than `start` messages to the one after `end` were received.

    The player rests at `start`, so that what comes before (handshake, snapshots) is not counted. Raises LostError when
    nothing has come for PATIENCE_S.
    """
    first = last = Reading(0, 0, time.monotonic_ns())
    while True:
        look = Reading(received(), time.process_time_ns(), time.monotonic_ns())
        if look.messages <= start:
            first = look
        if last.messages >= end:  # a second look: the last burst is then done with
            return Reading(*(after - before for after, before in zip(look, first, strict=True)))
        if look.messages != last.messages:
            last = look
        elif look.wall_ns - last.wall_ns > PATIENCE_S * 1e9:
            raise LostError(f"{look.messages} of {end} messages came, then none for {PATIENCE_S:g} s")
        await asyncio.sleep(LOOK_S)
