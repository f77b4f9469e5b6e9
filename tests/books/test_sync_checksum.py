"""The state machine of a book whose messages carry a checksum and whose snapshots come in band."""

from collector.books.contract import Budget
from collector.records import BookDelta, BookSnapshot, Gap
from tests.books.kit import WALL_US, Bench, Signed, live

NEW = [("98", "1")]


def mismatch(bench: Bench) -> None:
    bench.update(bids=NEW, checksum=99)


def test_a_fresh_subscription_brings_its_own_snapshot_so_none_is_asked_for() -> None:
    bench = Bench(Signed())
    bench.start()
    assert bench.asked == []
    bench.snapshot(checksum=4)
    assert (bench.state, bench.sync.verdict.by) == ("in_sync", "checksum")


def test_a_snapshot_before_the_acknowledgement_is_taken() -> None:
    bench = Bench(Signed())
    bench.snapshot(checksum=4)
    assert bench.state == "in_sync"


def test_updates_before_the_snapshot_are_void() -> None:
    bench = Bench(Signed())
    bench.update(bids=NEW, checksum=1)
    bench.snapshot(checksum=4)
    assert bench.deltas() == []
    assert bench.state == "in_sync"


def test_a_matching_update_is_published_and_counted() -> None:
    bench = live(Signed())
    bench.update(bids=NEW, checksum=5)
    assert [type(record) for record in bench.records] == [BookDelta]
    assert bench.counts == ["checksum_match"]


def test_a_mismatch_is_never_published_and_asks_for_a_snapshot() -> None:
    bench = live(Signed())
    mismatch(bench)
    assert [type(record) for record in bench.records] == [Gap]
    assert (bench.gaps()[0].cause, bench.state) == ("checksum", "gap")
    assert len(bench.asked) == 1
    bench.snapshot(checksum=4)
    assert bench.state == "in_sync"


def test_a_snapshot_with_a_wrong_checksum_is_never_published() -> None:
    bench = Bench(Signed())
    bench.start()
    bench.snapshot(checksum=3)
    assert bench.snapshots() == []
    assert len(bench.asked) == 1


def test_a_snapshot_that_does_not_come_is_asked_for_again_after_the_attempts_deadline() -> None:
    bench = Bench(Signed(), Budget(attempt_s=20))
    bench.start()
    bench.wait(19.75)
    assert bench.asked == []
    bench.wait(0.5)
    assert len(bench.asked) == 1
    bench.wait(20)
    assert bench.sync.phase == "backoff"
    bench.wait(5)
    assert len(bench.asked) == 2


def test_a_book_asks_for_snapshots_that_never_come_for_ever() -> None:
    bench = live(Signed())
    mismatch(bench)
    bench.wait(3600)
    before = len(bench.asked)
    bench.wait(3600)
    assert 40 < len(bench.asked) - before < 80


def breaker(bench: Bench) -> None:
    for _ in range(5):
        bench.snapshot(checksum=99)
        if bench.state != "unverifiable":
            bench.wait(60)
            bench.sync.phase = "waiting"


def test_a_book_whose_checksum_keeps_failing_is_published_as_unverifiable() -> None:
    bench = Bench(Signed())
    bench.start()
    breaker(bench)
    assert bench.state == "unverifiable"
    assert [type(record) for record in bench.records if not isinstance(record, Gap)] == [BookSnapshot]
    bench.update(bids=NEW, checksum=99)
    assert len(bench.deltas()) == 1
    assert bench.state == "unverifiable"


def test_a_book_published_as_unverifiable_is_tried_again_only_after_the_recheck_time() -> None:
    bench = Bench(Signed(), Budget(recheck_s=600))
    bench.start()
    breaker(bench)
    asked = len(bench.asked)
    bench.wait(599)
    assert len(bench.asked) == asked
    bench.wait(2)
    assert len(bench.asked) == asked + 1
    bench.snapshot(checksum=99)
    assert bench.state == "unverifiable"
    bench.wait(599)
    assert len(bench.asked) == asked + 1


def test_what_is_void_while_an_unverifiable_book_is_tried_again_is_a_gap() -> None:
    bench = Bench(Signed(), Budget(recheck_s=600))
    bench.start()
    breaker(bench)
    bench.records.clear()
    bench.wait(601)
    mismatch(bench)
    assert bench.deltas() == []
    assert [(gap.cause, gap.repaired_ts) for gap in bench.gaps()] == [("checksum", None)]
    bench.snapshot(checksum=4)
    assert bench.gaps()[1].repaired_ts is not None
    assert (bench.state, len(bench.snapshots())) == ("in_sync", 1)


def test_updates_that_fail_while_unverifiable_do_not_put_the_recheck_off() -> None:
    bench = Bench(Signed(), Budget(recheck_s=600))
    bench.start()
    breaker(bench)
    asked = len(bench.asked)
    for _ in range(5):
        bench.wait(100)
        mismatch(bench)
    assert len(bench.asked) == asked
    bench.wait(101)
    assert len(bench.asked) == asked + 1


def test_a_match_ends_the_unverifiable_time_and_its_recheck() -> None:
    bench = Bench(Signed())
    bench.start()
    breaker(bench)
    asked = len(bench.asked)
    bench.update(bids=NEW, checksum=5)
    assert (bench.state, bench.sync.verdict.by) == ("in_sync", "checksum")
    bench.wait(3600)
    assert len(bench.asked) == asked
    mismatch(bench)
    assert bench.state == "gap"


def test_snapshots_that_match_and_updates_that_do_not_trip_the_breaker_too() -> None:
    bench = live(Signed())
    for _ in range(5):
        mismatch(bench)
        if bench.state == "unverifiable":
            return
        bench.snapshot(checksum=4)
    raise AssertionError(bench.sync.verdict)


def test_rare_mismatches_with_health_between_them_never_trip_the_breaker() -> None:
    bench = live(Signed())
    for _ in range(20):
        mismatch(bench)
        assert bench.state == "gap"
        bench.wait(1)
        bench.snapshot(checksum=4)
        bench.wait(61)
    assert bench.state == "in_sync"


def test_an_unasked_snapshot_older_than_the_book_is_dropped() -> None:
    bench = live(Signed())
    bench.update(bids=NEW, checksum=5, ts=WALL_US + 20)
    bench.snapshot(checksum=4, ts=WALL_US + 10)
    assert bench.snapshots() == []
    assert "98" in bench.sync.book.bids.sizes


def test_an_unasked_newer_snapshot_replaces_the_book() -> None:
    bench = live(Signed())
    bench.update(bids=NEW, checksum=5, ts=WALL_US + 20)
    bench.snapshot(checksum=4, ts=WALL_US + 30)
    assert len(bench.snapshots()) == 1
    assert bench.state == "in_sync"


def test_an_unasked_snapshot_without_a_time_is_doubted_until_an_update_proves_it() -> None:
    bench = live(Signed())
    bench.update(bids=NEW, checksum=5)
    bench.snapshot(checksum=4)
    assert bench.state == "unverifiable"
    bench.update(bids=NEW, checksum=5)
    assert bench.state == "in_sync"


def test_a_snapshot_older_than_updates_that_came_before_it_is_not_trusted() -> None:
    bench = Bench(Signed())
    bench.start()
    bench.update(bids=NEW, checksum=5, ts=WALL_US + 20)
    bench.snapshot(checksum=4, ts=WALL_US + 10)
    assert bench.snapshots() == []
    assert bench.state == "syncing"
    assert len(bench.asked) == 1
    bench.snapshot(checksum=4, ts=WALL_US + 20)
    assert bench.state == "in_sync"


def test_a_venue_time_from_the_far_future_does_not_lock_the_book_out() -> None:
    bench = Bench(Signed())
    bench.start()
    bench.update(bids=NEW, checksum=5, ts=WALL_US * 2)
    bench.snapshot(checksum=4, ts=WALL_US)
    assert bench.state == "in_sync"


def test_an_update_without_a_checksum_is_applied_on_trust_of_the_next() -> None:
    bench = live(Signed())
    bench.update(bids=NEW)
    assert len(bench.deltas()) == 1
