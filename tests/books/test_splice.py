"""Snapshots that meet buffered updates, or do not."""

from __future__ import annotations

from collector.books.contract import Snapshot, Update
from collector.books.splice import following, unbroken
from tests.books.kit import ASKS, BIDS, Bench, Chained


def update(first: int, last: int) -> Update:
    return Update([("100", str(last))], [], first, last)


def spans(updates: object) -> list[tuple[int | None, int | None]]:
    assert isinstance(updates, list)
    return [(one.first, one.last) for one in updates]


def test_what_the_snapshot_holds_already_is_left_out() -> None:
    assert spans(following(Chained(), [update(1, 3), update(4, 6), update(7, 9)], 5)) == [(4, 6), (7, 9)]


def test_a_snapshot_before_the_first_update_says_where_it_ends() -> None:
    assert following(Chained(), [update(8, 9)], 5) == "the snapshot at 5 does not reach the next update 8"


def test_a_hole_says_between_which_ids() -> None:
    assert following(Chained(), [update(6, 7), update(9, 9)], 5) == "an update is missing between 7 and 9"


def test_the_unbroken_part_is_the_newest_one() -> None:
    damaged = update(9_000, 9_001)
    assert spans(unbroken(Chained(), [])) == []
    assert spans(unbroken(Chained(), [update(1, 2), update(3, 4)])) == [(1, 2), (3, 4)]
    assert spans(unbroken(Chained(), [update(1, 2), update(5, 6), update(7, 8)])) == [(5, 6), (7, 8)]
    assert spans(unbroken(Chained(), [update(1, 2), damaged, update(3, 4), update(5, 6)])) == [(3, 4), (5, 6)]
    assert spans(unbroken(Chained(), [update(1, 2), damaged])) == [(9_000, 9_001)]


def test_an_update_that_never_happened_keeps_a_book_out_for_one_snapshot_and_no_longer() -> None:
    bench = Bench(Chained())
    bench.sync.start(bench.now)
    bench.sync.snapshot(Snapshot(BIDS, ASKS, 10), bench.now)
    bench.sync.update(update(9_000, 9_001), bench.now)  # a digit of its ids was damaged on the way
    assert bench.sync.verdict.state == "gap"
    bench.sync.update(update(11, 12), bench.now)
    bench.sync.snapshot(Snapshot(BIDS, ASKS, 12), bench.now)
    assert bench.sync.phase == "backoff"
    bench.sync.update(update(13, 14), bench.now)
    bench.wait(5)
    bench.sync.snapshot(Snapshot(BIDS, ASKS, 13), bench.now)
    assert (bench.sync.verdict.state, bench.sync.last) == ("in_sync", 14)
