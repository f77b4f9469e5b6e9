"""Books whose updates name the one before them, and books that nothing proves."""

from collector.books.contract import Snapshot, Step, Update
from collector.books.verdict import VerifiedBy
from collector.records import Level
from tests.books.kit import ASKS, BIDS, Bench, Chained

CHANGE: list[Level] = [("100", "5")]


class Named(Chained):
    """A venue whose updates say which id they follow."""

    def step(self, update: Update, last: int | None) -> Step:
        return "apply" if update.prev == last else "gap"


class Unproven(Named):
    """The same when the venue gives nothing to check by."""

    verified_by: VerifiedBy | None = None  # type: ignore[assignment]


def in_sync(rule: Chained, *, renumbered: bool = False) -> Bench:
    bench = Bench(rule)
    bench.start()
    bench.sync.snapshot(Snapshot(BIDS, ASKS, 10, renumbered=renumbered), bench.now)
    return bench


def follow(bench: Bench, prev: int, last: int) -> None:
    bench.sync.update(Update(CHANGE, [], None, last, prev), bench.now)


def test_a_hole_says_which_update_was_expected_and_which_came_and_counts_nothing() -> None:
    bench = in_sync(Named())
    follow(bench, 14, 20)
    assert bench.sync.verdict.reason == "expected the update after 10, got the one after 14"
    assert [(gap.first, gap.last, gap.count) for gap in bench.gaps()] == [(11, 14, None)]


def test_a_hole_behind_which_ids_fell_has_no_last_id() -> None:
    bench = in_sync(Named())
    follow(bench, 3, 5)
    assert [(gap.first, gap.last, gap.count) for gap in bench.gaps()] == [(11, None, None)]


def test_a_book_that_nothing_proves_is_unverifiable_whatever_comes() -> None:
    bench = in_sync(Unproven())
    assert bench.state == "unverifiable"
    follow(bench, 10, 20)
    assert bench.state == "unverifiable"
    bench.sync.confirmed(bench.now)
    follow(bench, 20, 30)
    assert bench.sync.verdict.reason == "the venue gave no ids to check it by"


def test_a_lower_id_is_too_old_unless_the_venue_may_have_begun_its_ids_anew() -> None:
    for renumbered in (False, True):
        bench = in_sync(Named())
        bench.sync.lost("gone", bench.now)
        bench.start()
        bench.sync.snapshot(Snapshot(BIDS, ASKS, 3, renumbered=renumbered), bench.now)
        assert (bench.state == "in_sync") is renumbered
