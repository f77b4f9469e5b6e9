"""The REST budget: weight, reserve, the venue's own count, pauses."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.net.budget import LONGEST_PAUSE_S, Budget, retry_after_s
from tests.net.fakes import FakeClock

WALL_US = 1_700_000_000_000_000


def pool(clock: FakeClock, limit: int = 100, interval_s: float = 60.0, reserve: float = 0.25) -> Budget:
    return Budget("test", limit, interval_s, clock, reserve=reserve, sleep=clock.sleep)


async def take(budget: Budget, weight: int, *, important: bool = True, max_wait_s: float = 1e9) -> float:
    return await budget.acquire(weight, important=important, max_wait_s=max_wait_s)


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0, 30), st.booleans()), max_size=30))
def test_no_interval_ever_holds_more_than_the_limit(requests: list[tuple[int, float, bool]]) -> None:
    async def run() -> list[tuple[int, int]]:
        clock = FakeClock()
        budget = pool(clock)
        granted = []
        for weight, pause, important in requests:
            assert await take(budget, weight, important=important) == 0
            granted.append((clock.ns, weight))
            clock.advance(pause)
        return granted

    granted = asyncio.run(run())
    for at, _ in granted:
        assert sum(weight for when, weight in granted if at - 60 * 10**9 < when <= at) <= 100


async def test_the_reserve_is_for_important_requests_only() -> None:
    clock = FakeClock()
    budget = pool(clock)
    await take(budget, 75, important=False)
    assert await take(budget, 1, important=False, max_wait_s=0) == 60
    assert await take(budget, 25, max_wait_s=0) == 0
    assert await take(budget, 1, max_wait_s=0) == 60
    assert budget.used == 100


async def test_an_ordinary_request_that_waits_does_not_stand_before_an_important_one() -> None:
    clock, gate = FakeClock(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()
        clock.advance(seconds)

    budget = Budget("test", 100, 60.0, clock, sleep=sleep)
    await take(budget, 75)
    ordinary = asyncio.create_task(take(budget, 10, important=False))
    await asyncio.sleep(0)
    assert await take(budget, 20) == 0
    assert not ordinary.done()
    gate.set()
    await ordinary


async def test_an_ordinary_request_heavier_than_its_share_waits_for_an_empty_window_and_not_for_ever() -> None:
    clock = FakeClock()
    budget = pool(clock)
    await take(budget, 1)
    start = clock.ns
    assert await take(budget, 90, important=False) == 0
    assert (clock.ns - start) / 1e9 == 60


async def test_a_request_that_cannot_be_granted_in_time_takes_nothing_and_says_when() -> None:
    clock = FakeClock()
    budget = pool(clock)
    await take(budget, 100)
    clock.advance(20)
    assert await take(budget, 1, max_wait_s=39.9) == 40
    assert (budget.used, clock.slept) == (100, [])
    assert await take(budget, 1, max_wait_s=40) == 0


async def test_waiters_are_served_in_order_and_a_cancelled_one_leaves_the_line() -> None:
    clock, order = FakeClock(), []
    budget = pool(clock)
    await take(budget, 100)

    async def ask(name: str) -> None:
        await take(budget, 60)
        order.append((name, clock.ns // 10**9 - 1000))

    tasks = [asyncio.create_task(ask(name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert order == [("a", 60), ("c", 120)]


async def test_a_pause_stops_all_waiters_and_a_shorter_one_does_not_end_it() -> None:
    clock = FakeClock()
    budget = pool(clock)
    budget.pause(120)
    budget.pause(5)
    assert budget.paused_s == 120
    assert await take(budget, 1, max_wait_s=100) == 120
    results = await asyncio.gather(*(take(budget, 1, max_wait_s=120) for _ in range(3)))
    assert (results, (clock.ns - 1_000 * 10**9) / 1e9) == ([0, 0, 0], 120)
    assert budget.paused_s == 0


async def test_a_pause_that_comes_while_somebody_waits_is_seen() -> None:
    clock = FakeClock()
    budget = pool(clock)
    await take(budget, 100)
    waiter = asyncio.create_task(take(budget, 1, max_wait_s=70))
    await asyncio.sleep(0)
    budget.pause(300)
    assert await waiter == 240
    assert budget.used == 0


async def test_the_venues_count_raises_ours_and_never_lowers_it() -> None:
    clock = FakeClock()
    budget = pool(clock)
    await take(budget, 10)
    budget.told(5)
    assert budget.used == 10
    budget.told(70)
    assert budget.used == 70
    assert await take(budget, 31, max_wait_s=0) == 60
    budget.told(10**9)
    assert budget.used == 100
    clock.advance(60)
    assert budget.used == 0


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (200, "5", None),
        (503, "5", None),
        (429, "5", 5.0),
        (429, None, 60.0),
        (418, None, 120.0),
        (418, "soon", 120.0),
        (429, "-3", 60.0),
        (429, "²", 60.0),
        (429, "", 60.0),
        (429, "9" * 400, LONGEST_PAUSE_S),
        (418, "Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        (429, "Tue, 14 Nov 2023 22:14:20 -0000", 60.0),
        (429, "Tue, 14 Nov 2000 22:14:20 GMT", 1.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_never_trusted_blindly(
    status: int, header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(status, header, WALL_US) == seconds


@pytest.mark.parametrize(("limit", "interval_s", "reserve"), [(0, 1.0, 0.1), (1, 0.0, 0.1), (1, 1.0, 1.0)])
def test_a_pool_that_allows_nothing_is_refused(limit: int, interval_s: float, reserve: float) -> None:
    with pytest.raises(ValueError, match="pool test: expected"):
        Budget("test", limit, interval_s, FakeClock(), reserve=reserve)
