"""Rotation: when a segment ends, how the next one begins, and when records become durable."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

import pytest

from collector.journal import read
from tests.journal.kit import Bench, Market, Sides, ids, rebuild, trades

MakeBench = Callable[..., Bench]


def test_a_full_segment_is_due(make: MakeBench) -> None:
    bench = make(segment_bytes=2000)
    bench.journal.open()
    bench.journal.append(trades(0, 1))
    assert not bench.due()
    bench.journal.append(trades(1, 10))
    assert bench.due()
    assert bench.journal.rotate(trades(11, 1))
    assert not bench.due()
    assert [each.kind for each in bench.heard.all("rotated")] == ["first", "full"]


def test_a_head_larger_than_a_segment_does_not_make_every_burst_begin_the_next_one(make: MakeBench) -> None:
    bench = make(segment_bytes=2000)
    bench.journal.open()
    bench.journal.append(trades(0, 20))
    assert bench.journal.rotate(trades(20, 20))
    bench.journal.append(trades(40, 1))
    bench.tend()
    assert not bench.due()
    bench.journal.append(trades(41, 30))
    assert bench.due()


def test_an_old_segment_is_due_but_an_empty_one_is_not(make: MakeBench) -> None:
    bench = make(segment_age_s=60)
    bench.journal.open()
    bench.tend(61)
    assert not bench.due()
    bench.journal.append(trades(0, 1))
    bench.tend(59)
    assert not bench.due()
    bench.tend(1)
    assert bench.due()
    bench.journal.rotate([])
    bench.tend(61)
    assert not bench.due()
    assert bench.journal.segments == 2


def test_the_head_of_an_empty_segment_goes_into_it(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.rotate([])
    bench.disk.calls.clear()
    bench.journal.rotate(trades(1, 2))
    assert bench.disk.calls == ["write"]
    assert len(bench.paths()) == 2
    assert ids(bench.records()) == [0, 1, 2]


def test_an_empty_segment_is_replaced_after_an_outage_not_listed_twice(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.rotate([])
    bench.disk.room = 0
    bench.journal.append(trades(1, 1))
    bench.disk.room = None
    bench.tend()
    assert bench.journal.rotate(trades(2, 1))
    assert bench.journal.segments == len(bench.paths()) == 2
    assert bench.journal.size == sum(path.stat().st_size for path in bench.paths())


def test_the_old_segment_is_durable_before_the_new_one_exists(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.append(trades(1, 5))
    bench.disk.calls.clear()
    bench.journal.rotate(trades(6, 2))
    assert bench.disk.calls == ["sync_data", "open", "write", "sync_data", "rename"]
    assert bench.journal.durable == bench.journal.accepted == 8


@pytest.mark.parametrize("call", ["open", "write", "sync_data", "rename"])
def test_when_no_new_segment_can_be_made_the_old_one_goes_on(make: MakeBench, call: str) -> None:
    bench = make(segment_bytes=2000)
    bench.journal.open()
    bench.journal.append(trades(0, 10))
    bench.tend(0)
    bench.disk.broken[call] = errno.ENOSPC
    assert not bench.journal.rotate(trades(100, 1))
    del bench.disk.broken[call]
    assert bench.failing() is None
    assert [each.error for each in bench.heard.all("rotation_failed")] == ["ENOSPC"]
    assert bench.journal.append(trades(10, 10))
    assert not bench.due()
    bench.tend(10)
    assert bench.due()
    assert bench.journal.rotate(trades(20, 1))
    assert ids(bench.records()) == list(range(21))
    assert not any(".new" in name for name in bench.files())


def test_a_rotation_that_cannot_sync_the_old_segment_is_an_outage(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.append(trades(1, 1))
    bench.disk.broken_once["sync_data"] = errno.EIO
    assert not bench.journal.rotate(trades(2, 1))
    assert bench.failing() is not None
    assert len(bench.paths()) == 1


def test_records_become_durable_at_most_once_in_the_sync_interval(make: MakeBench) -> None:
    bench = make(sync_every_s=2.0)
    bench.journal.open()
    bench.journal.append(trades(0, 1))
    bench.journal.append(trades(1, 1))
    bench.tend(1)
    assert bench.journal.durable == 2
    bench.journal.append(trades(2, 1))
    bench.tend(1)
    assert bench.journal.durable == 2
    bench.tend(1)
    assert bench.journal.durable == 3
    bench.disk.calls.clear()
    bench.tend(5)
    assert "sync_data" not in bench.disk.calls
    assert [args[0] for args in bench.heard.all("synced")] == [1, 1, 1]


def test_a_sync_that_ends_after_a_rotation_counts_nothing_twice(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.append(trades(1, 4))
    now = bench.clock.advance(1)
    chores = bench.journal._plan(now)
    bench.journal.rotate(trades(5, 1))
    chores.do(bench.settings.directory, bench.disk.system(), bench.clock)
    assert chores.sync_error is None
    bench.journal._settle(chores, now)
    assert bench.journal.durable == bench.journal.accepted == 6


def test_a_sync_that_failed_in_the_thread_also_fails_the_rotation_that_comes_before_its_result(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.append(trades(1, 4))
    bench.disk.broken_once["sync_data"] = errno.EIO  # the kernel reports it once
    now = bench.clock.advance(1)
    chores = bench.journal._plan(now)
    chores.do(bench.settings.directory, bench.disk.system(), bench.clock)
    assert not bench.journal.rotate(trades(5, 1))
    bench.journal._settle(chores, now)
    assert bench.failing() is not None
    assert (bench.journal.accepted, bench.journal.durable) == (5, 1)


def test_closing_makes_everything_durable(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.append(trades(1, 9))
    bench.journal.close()
    assert bench.journal.durable == bench.journal.accepted == 10


async def test_run_syncs_and_asks_for_a_turn_when_a_segment_is_due(make: MakeBench) -> None:
    bench = make(sync_every_s=0.001, segment_bytes=2000)
    bench.journal.open()
    bench.journal.append(trades(0, 1))
    bench.journal.append(trades(1, 20))
    bench.clock.advance(1)
    turned = asyncio.Event()

    def turn() -> None:
        assert bench.journal.rotate(trades(21, 1))
        turned.set()

    task = asyncio.create_task(bench.journal.run(turn))
    await asyncio.wait_for(turned.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.journal.durable == bench.journal.accepted == 22


def test_any_one_segment_rebuilds_every_book(make: MakeBench) -> None:
    bench = make(segment_bytes=20_000)
    bench.journal.open()
    markets = [Market(1, "BTC-USDT"), Market(2, "ETH-USDT")]
    bench.journal.append([market.snapshot("sync") for market in markets])
    for number in range(200):
        bench.journal.append([markets[number % 2].delta() for _ in range(number % 7)])
        if bench.due():
            bench.journal.rotate([market.snapshot() for market in markets])
    segments = bench.paths()
    assert len(segments) > 5
    books: dict[str, tuple[int, Sides]] = {}
    for path in segments:
        books = rebuild(record for _, record in read(path))
        assert set(books) == {"BTC-USDT", "ETH-USDT"}
        for market in markets:
            seq, sides = books[market._instrument]
            assert sides == market.truth[seq]
    assert books[markets[0]._instrument] == (markets[0].seq, markets[0].sides)
