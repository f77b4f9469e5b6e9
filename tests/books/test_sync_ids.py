"""A book whose own id is wrong: damaged on the way, or from before the venue began its ids anew."""

from collector.books.contract import Budget
from tests.books.kit import live

SKIPS = Budget().skips


def test_a_book_whose_id_became_far_too_high_is_a_gap_after_a_while_and_in_sync_again_at_the_true_ids() -> None:
    bench = live()
    bench.update(11, 9_011)
    for number in range(12, 11 + SKIPS):
        bench.update(number)
    assert (bench.state, bench.asked) == ("in_sync", [])
    bench.update(11 + SKIPS)
    (gap,) = bench.gaps()
    assert (bench.state, gap.cause, gap.first, gap.last, len(bench.asked)) == ("gap", "sequence", None, None, 1)
    bench.update(12 + SKIPS, bids=[("100", "7")])
    bench.snapshot(11 + SKIPS)
    assert (bench.state, bench.sync.last) == ("in_sync", 12 + SKIPS)


def test_updates_that_a_snapshot_holds_already_are_no_reason_for_doubt() -> None:
    bench = live()
    for _ in range(3):
        for number in range(10 - SKIPS + 2, 11):
            bench.update(number)
        bench.update(bench.sync.last + 1 if bench.sync.last else None)
    assert (bench.state, bench.gaps(), bench.asked) == ("in_sync", [], [])


def test_after_a_reconnect_a_snapshot_below_the_published_id_is_taken_when_the_stream_follows_it() -> None:
    bench = live()
    bench.update(11, 9_011)
    bench.sync.lost("closed", bench.now)
    bench.start()
    bench.update(20)
    bench.snapshot(19)
    assert (bench.state, bench.sync.last) == ("in_sync", 20)


def test_after_a_reconnect_a_snapshot_below_the_published_id_that_nothing_follows_is_not_taken() -> None:
    bench = live()
    bench.update(11, 9_011)
    bench.sync.lost("closed", bench.now)
    bench.start()
    bench.snapshot(19)
    assert (bench.state, bench.snapshots()) == ("syncing", [])
