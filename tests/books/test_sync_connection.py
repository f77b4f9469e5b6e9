"""A book whose order is proven by its connection: told of lost messages, and snapshots that need no other proof."""

from collector.books.contract import Snapshot
from tests.books.kit import ASKS, BIDS, Bench, Signed, live


def snapshot(bench: Bench, last: int, ts: int | None = None) -> None:
    bench.sync.snapshot(Snapshot(BIDS, ASKS, last, ts, 4, ordered=True), bench.now)


def test_lost_messages_of_its_connection_make_a_live_book_a_gap_and_ask_for_a_snapshot() -> None:
    bench = live(Signed())
    bench.sync.missed("expected 5, got 8", 5, 7, bench.now)
    (gap,) = bench.gaps()
    assert (gap.cause, gap.first, gap.last, gap.count) == ("sequence", 5, 7, None)
    assert (bench.state, bench.sync.verdict.reason, len(bench.asked)) == ("gap", "expected 5, got 8", 1)


def test_a_book_that_waits_for_its_snapshot_has_nothing_to_lose() -> None:
    bench = Bench(Signed())
    bench.start()
    bench.sync.missed("expected 5, got 8", 5, 7, bench.now)
    assert (bench.records, bench.asked, bench.state) == ([], [], "syncing")


def test_an_ordered_snapshot_is_taken_whatever_its_number_and_time() -> None:
    bench = live(Signed())
    bench.update(900, checksum=4, ts=2_000_000)
    bench.sync.lost("closed", bench.now)
    snapshot(bench, 3, 1_000_000)
    assert bench.state == "in_sync"
    assert bench.snapshots()[-1].last_seq == 3


def test_an_ordered_snapshot_that_nobody_asked_for_is_no_reason_for_doubt() -> None:
    bench = live(Signed())
    snapshot(bench, 3)
    assert bench.state == "in_sync"
