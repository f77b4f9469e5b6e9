"""The state machine of a book whose updates are chained and whose snapshots are fetched."""

import pytest

from collector.books.contract import Budget
from collector.records import BookDelta, BookSnapshot, Gap
from tests.books.kit import ASKS, BIDS, WALL_US, Bench, Chained, live


def ids(bench: Bench) -> list[tuple[int | None, int | None]]:
    return [(delta.first_seq, delta.last_seq) for delta in bench.deltas()]


def test_a_book_asks_for_a_snapshot_when_it_starts_and_only_once() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.start()
    bench.update(11)
    assert len(bench.asked) == 1
    assert bench.state == "syncing"


def test_a_book_starts_with_its_first_update_when_the_acknowledgement_was_lost() -> None:
    bench = Bench(Chained())
    bench.update(11, bids=[("100", "5")])
    assert len(bench.asked) == 1
    bench.snapshot(10)
    assert ids(bench) == [(11, 11)]


def test_updates_that_waited_are_spliced_behind_the_snapshot() -> None:
    bench = Bench(Chained())
    bench.start()
    for first, last in ((5, 7), (8, 10), (11, 12), (13, 13)):
        bench.update(first, last, bids=[("100", str(last))])
    bench.snapshot(10)
    assert [type(record) for record in bench.records] == [BookSnapshot, BookDelta, BookDelta]
    assert bench.snapshots()[0].last_seq == 10
    assert ids(bench) == [(11, 12), (13, 13)]
    assert bench.sync.book.bids.sizes["100"] == "13"
    assert (bench.state, bench.sync.verdict.by) == ("in_sync", "sequence")


def test_an_update_that_overlaps_the_snapshot_is_applied() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.update(8, 12, bids=[("100", "5")])
    bench.snapshot(10)
    assert ids(bench) == [(8, 12)]


def test_a_spliced_update_keeps_the_time_at_which_it_came() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.update(11)
    came = bench.now.wall_us
    bench.wait(3)
    bench.snapshot(10)
    assert bench.deltas()[0].recv_ts == came
    assert bench.snapshots()[0].recv_ts == bench.now.wall_us != came


def test_a_snapshot_older_than_the_first_update_is_fetched_again() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.update(15)
    bench.snapshot(10)
    assert len(bench.asked) == 2
    assert bench.records == []
    assert bench.counts == ["sync_failed"]
    bench.snapshot(14)
    assert bench.state == "in_sync"
    assert ids(bench) == [(15, 15)]


def test_a_hole_among_the_waiting_updates_needs_a_snapshot_beyond_it() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.update(11)
    bench.update(13)
    bench.snapshot(10)
    assert bench.state == "syncing"
    assert "an update is missing between 11 and 13" in [verdict.reason for verdict in bench.verdicts]
    bench.snapshot(12)
    assert ids(bench) == [(13, 13)]


def test_a_lost_update_marks_the_book_as_gap_and_says_which_ids() -> None:
    bench = live()
    bench.update(15, 16)
    (gap,) = bench.gaps()
    assert (gap.first, gap.last, gap.count, gap.cause) == (11, 14, 4, "sequence")
    assert (gap.channel, gap.repaired_ts, gap.detected_ts) == ("book", None, bench.now.wall_us)
    assert bench.state == "gap"
    assert len(bench.asked) == 1


def test_a_gap_is_written_again_as_repaired_before_the_snapshot_that_repairs_it() -> None:
    bench = live()
    bench.update(15)
    found = bench.gaps()[0]
    bench.wait(2)
    bench.snapshot(14)
    assert [type(record) for record in bench.records] == [Gap, Gap, BookSnapshot, BookDelta]
    repaired = bench.gaps()[1]
    assert (repaired.first, repaired.last, repaired.cause) == (11, 14, "sequence")
    assert (repaired.detected_ts, repaired.repaired_ts) == (found.detected_ts, bench.now.wall_us)
    assert bench.state == "in_sync"


def test_nothing_is_published_between_a_gap_and_the_snapshot_that_repairs_it() -> None:
    bench = live()
    bench.update(15)
    for ident in (16, 17, 18):
        bench.update(ident)
    assert [type(record) for record in bench.records] == [Gap]


def test_an_update_seen_before_is_counted_and_dropped() -> None:
    bench = live()
    bench.update(11)
    bench.update(11)
    bench.update(9, 10)
    assert bench.counts == ["duplicate", "duplicate"]
    assert ids(bench) == [(11, 11)]
    assert bench.state == "in_sync"


def test_a_crossing_update_is_never_published() -> None:
    bench = live()
    bench.update(11, bids=[("101", "1")])
    assert [type(record) for record in bench.records] == [Gap]
    assert (bench.gaps()[0].cause, bench.state) == ("crossed", "gap")


def test_a_malformed_level_is_never_published() -> None:
    bench = live()
    bench.update(11, bids=[("98", "nan")])
    assert [type(record) for record in bench.records] == [Gap]
    assert bench.gaps()[0].cause == "undecodable"


@pytest.mark.parametrize(
    ("bids", "cause"),
    [([("101", "1")], "crossed"), ([("99", "1"), ("100", "1")], "unsorted"), ([("x", "1")], "undecodable")],
)
def test_an_unusable_snapshot_is_never_published_and_fetched_again(bids: list[tuple[str, str]], cause: str) -> None:
    bench = Bench(Chained())
    bench.start()
    bench.snapshot(10, bids)
    assert [gap.cause for gap in bench.gaps()] == [cause]
    assert bench.snapshots() == []
    assert len(bench.asked) == 2


def test_an_older_snapshot_never_moves_a_published_book_back() -> None:
    bench = live()
    bench.update(11, 20)
    bench.update(25)
    bench.snapshot(15)
    assert bench.snapshots() == []
    assert bench.state == "gap"
    bench.wait(60)
    bench.snapshot(24)
    assert bench.state == "in_sync"


def test_an_older_snapshot_never_moves_a_book_back_when_no_update_shows_its_age() -> None:
    bench = live()
    bench.update(11, 20)
    bench.sync.undecodable(bench.now)
    bench.snapshot(15)
    assert bench.snapshots() == []
    bench.wait(60)
    bench.snapshot(20)
    assert bench.state == "in_sync"


def test_an_older_snapshot_never_moves_a_book_back_after_a_reconnect_either() -> None:
    bench = live()
    bench.update(11, 20)
    bench.sync.lost("closed", bench.now)
    bench.start()
    bench.snapshot(15)
    assert bench.snapshots() == []
    bench.wait(60)
    bench.snapshot(20)
    assert bench.state == "in_sync"


def test_a_late_answer_to_an_attempt_that_was_given_up_is_ignored() -> None:
    bench = live()
    bench.snapshot(50)
    assert bench.records == []
    assert bench.sync.last == 10


def test_a_lost_connection_opens_a_gap_that_the_next_sync_repairs() -> None:
    bench = live()
    bench.sync.lost("closed by the venue", bench.now)
    assert [(gap.cause, gap.first, gap.last) for gap in bench.gaps()] == [("disconnect", None, None)]
    assert (bench.state, bench.sync.verdict.reason) == ("syncing", "closed by the venue")
    bench.sync.lost("closed again", bench.now)
    assert len(bench.gaps()) == 1
    bench.start()
    bench.snapshot(30)
    assert [gap.repaired_ts is not None for gap in bench.gaps()] == [False, True]


def test_a_connection_lost_before_the_first_sync_is_no_gap() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.update(11)
    bench.sync.lost("closed", bench.now)
    assert bench.records == []
    bench.start()
    bench.snapshot(12)
    assert ids(bench) == []


def test_a_second_trouble_before_the_repair_keeps_the_first_gap_open() -> None:
    bench = live()
    bench.update(15)
    bench.sync.lost("closed", bench.now)
    bench.start()
    bench.snapshot(40)
    assert [(gap.cause, gap.first, gap.last) for gap in bench.gaps()] == [("sequence", 11, 14)] * 2


def test_an_unusable_snapshot_after_a_gap_is_no_second_gap() -> None:
    bench = live()
    bench.update(15)
    bench.snapshot(14, [("101", "1")])
    assert [gap.cause for gap in bench.gaps()] == ["sequence"]
    assert bench.state == "gap"


def failing(bench: Bench, times: int) -> list[float]:
    """Fail every attempt; seconds between the tries."""
    waits = []
    for _ in range(times):
        before, asked = bench.mono, len(bench.asked)
        bench.sync.failed("HTTP 503", bench.now)
        while len(bench.asked) == asked:
            bench.wait(0.25)
        waits.append((bench.asked[-1] - before) / 1e9)
    return waits


def test_attempts_are_repeated_at_once_first_and_then_with_a_doubling_capped_wait() -> None:
    bench = Bench(Chained())
    bench.start()
    assert failing(bench, 9) == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_the_wait_is_drawn_between_nothing_and_its_ceiling() -> None:
    bench = Bench(Chained())
    bench.start()
    failing(bench, 4)
    assert bench.random.drawn == (0.0, 4.0)


def test_a_book_never_stops_trying() -> None:
    bench = Bench(Chained(), Budget(cap_s=2))
    bench.start()
    assert failing(bench, 50)[-1] == 2


def test_the_wait_is_forgotten_only_after_sustained_health() -> None:
    bench = Bench(Chained())
    bench.start()
    failing(bench, 4)
    bench.snapshot(10)
    bench.wait(59)
    bench.update(20)
    assert bench.sync.phase == "backoff"
    assert bench.random.drawn == (0.0, 8.0)

    bench.wait(8)
    bench.snapshot(30)
    bench.wait(61)
    asked = len(bench.asked)
    bench.update(40)
    assert len(bench.asked) == asked + 1


def test_a_rest_request_has_no_deadline_here_because_it_is_always_answered() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.wait(600)
    assert len(bench.asked) == 1


def test_a_stalled_book_becomes_stale_with_the_missing_ids_named_and_is_fetched_again() -> None:
    bench = live()
    bench.sync.refuted("stalled", "silent", 20, bench.now)
    assert [(gap.cause, gap.first, gap.last) for gap in bench.gaps()] == [("stalled", 11, 20)]
    assert bench.state == "stale"
    assert len(bench.asked) == 1
    bench.snapshot(20)
    assert bench.state == "in_sync"


def test_a_diverged_book_says_so_and_is_fetched_again() -> None:
    bench = live()
    bench.sync.refuted("diverged", "other levels", None, bench.now)
    assert [(gap.cause, gap.first, gap.last) for gap in bench.gaps()] == [("diverged", None, None)]
    assert bench.state == "diverged"
    assert len(bench.asked) == 1


def test_an_undecodable_message_of_this_book_is_a_gap() -> None:
    bench = live()
    bench.sync.undecodable(bench.now)
    assert [gap.cause for gap in bench.gaps()] == ["undecodable"]
    assert bench.state == "gap"


def test_an_undecodable_message_that_may_have_been_this_books_lowers_its_verdict_until_the_chain_proves_it_whole() -> (
    None
):
    bench = live()
    bench.sync.suspect("who knows", bench.now)
    assert (bench.state, bench.sync.verdict.reason) == ("unverifiable", "who knows")
    bench.update(11)
    assert bench.state == "in_sync"
    assert bench.gaps() == []


def test_a_confirmed_book_is_in_sync_by_rest() -> None:
    bench = live()
    bench.sync.suspect("silent", bench.now, "stale")
    bench.sync.confirmed(bench.now)
    assert (bench.state, bench.sync.verdict.by) == ("in_sync", "rest")
    bench.update(11)
    assert (bench.state, bench.sync.verdict.by) == ("in_sync", "sequence")


def test_suspicion_and_confirmation_do_not_touch_a_book_that_is_being_rebuilt() -> None:
    bench = live()
    bench.update(15)
    bench.sync.suspect("who knows", bench.now)
    bench.sync.confirmed(bench.now)
    bench.sync.undecodable(bench.now)
    bench.sync.refuted("stalled", "silent", 20, bench.now)
    assert bench.state == "gap"
    assert len(bench.gaps()) == 1


def test_a_blocked_book_says_why_and_waits_for_nothing() -> None:
    bench = Bench(Chained())
    bench.start()
    bench.sync.blocked("not listed", bench.now)
    bench.wait(300)
    assert (bench.state, bench.sync.verdict.reason) == ("blocked", "not listed")
    assert len(bench.asked) == 1


def test_a_verdict_remembers_since_when_its_state_holds() -> None:
    bench = live()
    since = bench.sync.verdict.since_us
    bench.wait(5)
    bench.update(11)
    assert bench.sync.verdict.since_us == since
    bench.update(15)
    assert bench.sync.verdict.since_us == bench.now.wall_us == WALL_US + bench.mono // 1000


def test_an_image_is_the_book_as_it_stands() -> None:
    bench = live()
    bench.update(11, bids=[("100", "9")], ts=5)
    image = bench.sync.image("segment", bench.now)
    assert (image.bids, image.asks) == ([("100", "9"), BIDS[1]], ASKS)
    assert (image.seq, image.last_seq, image.ts, image.cause, image.depth) == (11, 11, 5, "segment", 10)
    assert (image.venue, image.instrument, image.symbol) == ("nowhere", "A-B", "AB")


def test_the_verdict_covers_what_is_known_without_holes_and_published() -> None:
    bench = live()
    assert bench.sync.covered == 2
    bench.sync.rule.covered_depth = 1
    assert bench.sync.covered == 1
