"""A fetched snapshot knows a bounded range: when the market has moved through it, another one is put under the book."""

import pytest

from collector.books.contract import Budget, Snapshot
from collector.records import BookDelta, BookSnapshot, Level
from tests.books.kit import WALL_US, Bench, Chained

BIDS: list[Level] = [(str(100 - tick), "1") for tick in range(8)]
ASKS: list[Level] = [(str(101 + tick), "1") for tick in range(8)]


def bounded(bench: Bench, last: int, bids: list[Level] | None = None, ts: int | None = None) -> None:
    bench.sync.snapshot(Snapshot(BIDS if bids is None else bids, ASKS, last, ts, None, 8), bench.now)


def narrow() -> Bench:
    """A book at id 11 of whose eight known bids one is left, and that has just asked for a snapshot."""
    bench = Bench(Chained(), Budget(widen_s=30))
    bench.start()
    bounded(bench, 10)
    bench.update(11, bids=[(price, "0") for price, _ in BIDS[:7]])
    assert bench.sync.covered == 1
    bench.wait(31)
    for kept in (bench.records, bench.verdicts, bench.counts):
        kept.clear()
    assert len(bench.asked) == 2
    return bench


def test_a_book_through_whose_known_levels_the_market_moved_asks_for_a_snapshot_and_stays_live() -> None:
    bench = narrow()
    assert bench.state == "in_sync"
    bench.update(12, bids=[("50", "1")])
    assert len(bench.deltas()) == 1


def test_a_wider_snapshot_replaces_the_book_without_a_gap_and_without_repeating_a_delta() -> None:
    bench = narrow()
    bench.update(12, bids=[("92.5", "5")])
    bench.update(13, bids=[("92.4", "6")])
    bounded(bench, 12, [("93", "1"), ("92.5", "5"), *((str(90 - tick), "1") for tick in range(6))])
    assert [type(record) for record in bench.records] == [BookDelta, BookDelta, BookSnapshot]
    snapshot = bench.snapshots()[0]
    assert (snapshot.last_seq, snapshot.cause) == (13, "sync")
    assert snapshot.bids[:3] == [("93", "1"), ("92.5", "5"), ("92.4", "6")]
    assert bench.sync.covered == 8
    assert bench.verdicts == []
    bench.update(14)
    assert bench.state == "in_sync"


def test_a_wider_snapshot_that_is_ahead_of_the_stream_is_followed_by_what_is_newer() -> None:
    bench = narrow()
    bounded(bench, 20)
    bench.update(12, 20)
    bench.update(21)
    assert bench.counts == ["sync_ok", "duplicate"]
    assert bench.deltas()[-1].last_seq == 21


def test_a_wider_snapshot_may_be_older_than_the_updates_that_came_while_it_was_on_its_way() -> None:
    bench = narrow()
    bench.update(12, ts=WALL_US + 100)
    bench.update(13, ts=WALL_US + 300)
    bounded(bench, 12, ts=WALL_US + 200)
    assert (bench.counts, bench.sync.covered, bench.sync.last) == (["sync_ok"], 8, 13)
    assert bench.snapshots()[0].last_seq == 13


@pytest.mark.parametrize("last", [9, 10])
def test_a_wider_snapshot_that_is_older_than_the_book_never_moves_it_back(last: int) -> None:
    bench = narrow()
    bounded(bench, last)
    assert bench.snapshots() == []
    assert (bench.state, bench.sync.last, bench.counts) == ("in_sync", 11, ["sync_failed"])


def test_a_wider_snapshot_that_cannot_be_had_changes_nothing_and_is_asked_for_later() -> None:
    bench = narrow()
    bench.sync.failed("HTTP 503", bench.now)
    assert (bench.state, bench.records, bench.verdicts) == ("in_sync", [], [])
    bench.wait(29)
    assert len(bench.asked) == 2
    bench.wait(2)
    assert len(bench.asked) == 3


def test_a_wider_snapshot_that_is_no_book_is_a_gap() -> None:
    bench = narrow()
    bounded(bench, 12, [("101", "1")])
    assert [gap.cause for gap in bench.gaps()] == ["crossed"]
    assert bench.state == "gap"


def test_a_gap_or_a_lost_connection_ends_the_widening() -> None:
    bench = narrow()
    bench.update(20)
    bounded(bench, 19)
    assert bench.state == "in_sync"
    assert [delta.last_seq for delta in bench.deltas()] == [20]
    bench = narrow()
    bench.sync.lost("closed", bench.now)
    bounded(bench, 19)
    assert bench.snapshots() == []


def test_a_book_that_is_known_whole_never_asks() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.snapshot(10, BIDS, ASKS)
    bench.update(11, bids=[(price, "0") for price, _ in BIDS])
    bench.wait(300)
    assert len(bench.asked) == 1
