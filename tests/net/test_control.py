"""Control frames: order, pace, and their end with the connection."""

from __future__ import annotations

import asyncio

from collector.net.control import ControlSender
from tests.net.fakes import FakeClock


class Written:
    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.start = clock.ns
        self.frames: list[tuple[str, float]] = []
        self.error: OSError | None = None

    async def write(self, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.frames.append((text, (self.clock.ns - self.start) / 1e9))


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_frames_go_out_in_order_and_evenly_paced() -> None:
    clock = FakeClock()
    out = Written(clock)
    sender = ControlSender(out.write, 4.0, clock, clock.sleep)
    for text in "abcde":
        sender.send(text)
    await settle()
    assert out.frames == [("a", 0.0), ("b", 0.25), ("c", 0.5), ("d", 0.75), ("e", 1.0)]


async def test_the_pace_holds_across_a_quiet_time_and_leaves_no_task_behind() -> None:
    clock = FakeClock()
    out = Written(clock)
    sender = ControlSender(out.write, 4.0, clock, clock.sleep)
    sender.send("a")
    await settle()
    assert len(asyncio.all_tasks()) == 1
    clock.advance(0.1)
    sender.send("b")
    clock.advance(0.05)
    await settle()
    assert out.frames == [("a", 0.0), ("b", 0.25)]


async def test_what_still_waits_is_dropped_with_the_connection() -> None:
    clock, gate = FakeClock(), asyncio.Event()

    async def sleep(delay: float) -> None:
        del delay
        await gate.wait()

    out = Written(clock)
    sender = ControlSender(out.write, 1.0, clock, sleep)
    for text in "abc":
        sender.send(text)
    await settle()
    assert await sender.close() == 2
    assert len(sender) == 0
    assert [text for text, _ in out.frames] == ["a"]
    assert len(asyncio.all_tasks()) == 1


async def test_a_write_that_fails_ends_the_line_and_says_why() -> None:
    clock = FakeClock()
    out = Written(clock)
    out.error = ConnectionResetError("gone")
    sender = ControlSender(out.write, 1.0, clock, clock.sleep)
    sender.send("a")
    sender.send("b")
    await settle()
    assert (sender.error, len(sender), len(asyncio.all_tasks())) == (out.error, 0, 1)
    assert await sender.close() == 0
