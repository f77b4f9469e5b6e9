"""Connection attempts: budget and delays."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from collector.net.connects import Backoff, ConnectBudget
from tests.net.fakes import FakeClock


def seconds(clock: FakeClock, ns: int) -> float:
    return (clock.ns - ns) / 1e9


class Highest(Random):
    """Draws the ceiling itself."""

    def uniform(self, a: float, b: float) -> float:
        del a
        return b


async def test_no_interval_holds_more_attempts_than_the_budget() -> None:
    clock = FakeClock()
    budget = ConnectBudget(3, 10.0, clock, clock.sleep)
    start, at = clock.ns, []
    for _ in range(8):
        await budget.acquire()
        at.append(seconds(clock, start))
        clock.advance(1)
    assert at == [0, 1, 2, 10, 11, 12, 20, 21]


async def test_attempts_are_granted_in_the_order_in_which_they_were_asked_for() -> None:
    clock, order = FakeClock(), []
    budget = ConnectBudget(1, 5.0, clock, clock.sleep)

    async def attempt(name: str) -> None:
        await budget.acquire()
        order.append(name)

    await asyncio.gather(*(attempt(name) for name in "abcd"))
    assert order == list("abcd")
    assert sum(clock.slept) == 15


async def test_a_cancelled_waiter_leaves_the_line_and_takes_nothing() -> None:
    clock, gate = FakeClock(), asyncio.Event()

    async def sleep(delay: float) -> None:
        await gate.wait()
        clock.advance(delay)

    budget = ConnectBudget(1, 5.0, clock, sleep)
    await budget.acquire()
    first, second = asyncio.create_task(budget.acquire()), asyncio.create_task(budget.acquire())
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    await second
    assert first.cancelled()
    assert seconds(clock, 1_000_000_000_000) == 5


@pytest.mark.parametrize(("limit", "interval_s"), [(0, 1.0), (1, 0.0)])
def test_a_budget_that_allows_nothing_is_refused(limit: int, interval_s: float) -> None:
    with pytest.raises(ValueError, match=f"at least 1 attempt in more than 0 s, got {limit} in {interval_s}"):
        ConnectBudget(limit, interval_s, FakeClock())


def test_the_ceiling_doubles_to_its_cap_and_nobody_ever_gives_up() -> None:
    backoff = Backoff(Highest(), base_s=1.0, cap_s=30.0)
    assert [backoff.lost() for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert all(backoff.lost() == 30 for _ in range(5_000))


def test_the_jitter_is_full_between_nothing_and_the_ceiling() -> None:
    backoff = Backoff(Random(1), cap_s=30.0)
    drawn = [backoff.lost() for _ in range(2_000)][10:]
    assert min(drawn) < 1
    assert 29 < max(drawn) <= 30
    assert 13 < sum(drawn) / len(drawn) < 17


def test_two_seeds_do_not_come_back_together() -> None:
    first, second = (Backoff(Random(seed)) for seed in (1, 2))
    assert [first.lost() for _ in range(5)] != [second.lost() for _ in range(5)]


def test_the_delay_starts_small_again_only_after_sustained_data() -> None:
    backoff, clock = Backoff(Highest(), healthy_after_s=30.0), FakeClock()
    for _ in range(4):
        backoff.lost()
    backoff.data(clock.ns)
    clock.advance(29.9)
    backoff.data(clock.ns)
    assert backoff.lost() == 16
    clock.advance(100)  # without a connection
    backoff.data(clock.ns)
    assert backoff.lost() == 30, "data of an earlier connection does not count"
    backoff.data(clock.ns)
    clock.advance(30)
    backoff.data(clock.ns)
    assert backoff.failures == 0
    assert backoff.lost() == 1


def test_a_planned_reconnect_goes_at_once_but_not_again_and_again() -> None:
    backoff, clock = Backoff(Highest()), FakeClock()
    assert [backoff.lost(planned=True) for _ in range(3)] == [0, 2, 4]
    for _ in range(3):
        backoff.data(clock.ns)
        clock.advance(30)
        backoff.data(clock.ns)
        assert backoff.lost(planned=True) == 0
