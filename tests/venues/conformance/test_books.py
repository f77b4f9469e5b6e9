"""What every venue does with every book: in sync, broken, repaired in the venue's scope, never wrong and silent."""

from __future__ import annotations

import pytest

from collector.records import BookDelta, BookSnapshot, Gap, Level
from tests.venues.conformance.adapter import LEVELS, Adapter, text_of
from tests.venues.conformance.every import checksummed, having
from tests.venues.kit import Bench, Consumer

Make = type[Adapter]
EVERY = having("book")


def both(adapter: Adapter) -> Bench:
    return adapter.ready("book", instruments=(adapter.pair, adapter.other))


def held(made: Bench, name: str) -> tuple[list[Level], list[Level]]:
    """The book of who has the records alone."""
    consumer = Consumer()
    for record in made.records:
        if record.instrument == name:
            consumer.take(record)
    assert consumer.valid
    return consumer.levels()


def lose(adapter: Adapter, made: Bench) -> None:
    """Lose an update of the one book; its next one comes."""
    adapter.update(adapter.pair)
    made.frame(adapter.update(adapter.pair))


def asked_for(adapter: Adapter, made: Bench) -> set[str]:
    """Of which of the two instruments anything is asked."""
    texts = [send.text for send in made.sends] + [str(fetch.symbol) for fetch in made.fetches]
    names = (adapter.pair, adapter.other)
    return {name for name in names if any(adapter.symbol(name).lower() in text.lower() for text in texts)}


@EVERY
def test_a_book_is_in_sync_with_its_snapshot_and_equals_the_venues_after_every_update(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    assert made.state(adapter.pair, "book") == "in_sync"
    assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides
    for price, size in (("100.5", "9.87500000"), ("100.6", "0.12500000"), ("89.5", "0.50000000")):
        made.frame(adapter.update(adapter.pair, [(price, size)]))
        made.frame(adapter.update(adapter.pair, [], [("101.4", size)]))
        assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides
    assert len(made.of(BookDelta)) == 6
    assert made.state(adapter.pair, "book") == "in_sync"
    assert made.of(Gap) == []


@EVERY
def test_a_lost_update_is_a_gap_named_and_repaired_in_the_venues_scope_alone(make: Make) -> None:
    adapter = make()
    made = both(adapter)
    made.frame(adapter.update(adapter.other))
    made.forget()
    made.fetches.clear()
    lose(adapter, made)
    hit = {adapter.pair, adapter.other} if adapter.scope == "connection" else {adapter.pair}
    found = {gap.instrument: gap for gap in made.of(Gap)}
    assert set(found) == hit
    for gap in found.values():
        assert (gap.channel, gap.cause, gap.symbol) == ("book", adapter.gap_cause, adapter.symbol(gap.instrument))
        if adapter.gap_cause == "sequence":
            assert gap.first is not None
            assert gap.last is not None
            assert gap.first <= gap.last
    names = (adapter.pair, adapter.other)
    assert {name: made.state(name, "book") for name in names} == {
        name: "gap" if name in hit else "in_sync" for name in names
    }
    made.wait(1)
    assert asked_for(adapter, made) == hit
    for name in hit:
        adapter.repair(made, name)
    whole = {gap.instrument: gap for gap in made.of(Gap) if gap.repaired_ts is not None}
    assert {name: gap.detected_ts for name, gap in whole.items()} == {
        name: gap.detected_ts for name, gap in found.items()
    }
    assert {snapshot.instrument for snapshot in made.of(BookSnapshot)} == hit
    assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides


@EVERY
def test_an_update_that_comes_twice_changes_nothing(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    update = adapter.update(adapter.pair)
    made.frames(update, update)
    assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides
    assert made.state(adapter.pair, "book") == "in_sync"
    assert made.of(Gap) == []
    made.frame(adapter.update(adapter.pair))
    assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides


@EVERY
def test_a_book_is_never_published_crossed(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    made.forget()
    made.frame(adapter.update(adapter.pair, [("105.5", "1.25000000")]))
    assert made.of(BookDelta) == []
    assert [(gap.channel, gap.cause) for gap in made.of(Gap)] == [("book", "crossed")]
    assert made.state(adapter.pair, "book") == "gap"


@pytest.mark.parametrize("wrong", ["crossed", "unsorted"])
@EVERY
def test_a_snapshot_that_is_crossed_or_out_of_order_is_not_taken(make: Make, wrong: str) -> None:
    adapter = make()
    made = adapter.bench("book")
    adapter.open(made)
    if wrong == "crossed":
        adapter.markets[adapter.pair].bids["105.5"] = "1.25000000"
    else:
        adapter.markets[adapter.pair].backwards = True
    adapter.bring(made, adapter.pair)
    assert made.of(BookSnapshot) == []
    assert made.state(adapter.pair, "book") != "in_sync"
    assert {gap.cause for gap in made.of(Gap)} == {wrong}


@checksummed
def test_a_snapshot_that_its_checksum_refutes_is_not_taken(make: Make) -> None:
    adapter = make()
    made = adapter.bench("book")
    adapter.open(made)
    adapter.bring(made, adapter.pair, text_of(adapter.image(adapter.pair)).replace("1.25000000", "1.26000000", 1))
    assert made.of(BookSnapshot) == []
    assert {gap.cause for gap in made.of(Gap)} == {"checksum"}
    adapter.repair(made, adapter.pair)


@EVERY
def test_an_older_snapshot_never_moves_a_book_backwards(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    adapter.idle(made, 1)
    old = adapter.image(adapter.pair)  # made now, and on its way for a long time
    if adapter.scope == "connection":  # each message has its place
        made.frame(old)
    for _ in range(3):
        made.frame(adapter.update(adapter.pair))
    newest = made.of(BookDelta)[-1]
    lose(adapter, made)
    adapter.answer(made)
    made.records.clear()
    adapter.bring(made, adapter.pair, old)
    assert [snapshot for snapshot in made.of(BookSnapshot) if (snapshot.ts or 0) < (newest.ts or 0)] == []
    assert made.of(BookDelta) == []
    assert made.state(adapter.pair, "book") != "in_sync"
    adapter.repair(made, adapter.pair)
    assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides


@EVERY
def test_an_older_snapshot_is_not_taken_after_a_reconnect_either(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    old = adapter.image(adapter.pair)
    if adapter.scope == "connection":  # numbers begin anew with the connection: nothing of the one before can come
        made.frame(old)
        return
    made.frame(adapter.update(adapter.pair))
    made.disconnect("cut")
    made.forget()
    made.fetches.clear()
    adapter.open(made)
    adapter.bring(made, adapter.pair, old)
    assert made.of(BookSnapshot) == []
    adapter.repair(made, adapter.pair)
    assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides


@EVERY
def test_a_disconnected_book_says_so_and_is_whole_again_after_a_reconnect(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    made.disconnect("cut")
    (gap,) = made.of(Gap)
    assert (gap.cause, gap.repaired_ts) == ("disconnect", None)
    assert made.state(adapter.pair, "book") == "syncing"
    adapter.update(adapter.pair)
    made.forget()
    made.fetches.clear()
    adapter.open(made)
    adapter.bring(made, adapter.pair)
    assert made.state(adapter.pair, "book") == "in_sync"
    (repaired,) = made.of(Gap)
    assert (repaired.detected_ts, repaired.cause) == (gap.detected_ts, "disconnect")
    assert held(made, adapter.pair) == adapter.markets[adapter.pair].sides


@EVERY
def test_a_silent_book_is_compared_with_the_venues_and_stays_in_sync_while_they_are_equal(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    made.frame(adapter.update(adapter.pair))
    adapter.idle(made, 15)
    assert [(fetch.endpoint, fetch.symbol) for fetch in made.fetches] == [("check", adapter.symbol(adapter.pair))]
    adapter.reply(made, "check", adapter.pair, adapter.check_body(adapter.pair))
    adapter.idle(made, 5)
    assert made.state(adapter.pair, "book") == "in_sync"
    assert made.of(Gap) == []


@EVERY
def test_a_silent_book_whose_market_moved_on_is_stale_and_asked_for_again(make: Make) -> None:
    adapter = make()
    made = both(adapter)
    made.frame(adapter.update(adapter.pair))
    for _ in range(15):
        adapter.idle(made, 1)
        made.frame(adapter.update(adapter.other))
    adapter.update(adapter.pair)  # never sent
    adapter.reply(made, "check", adapter.pair, adapter.check_body(adapter.pair))
    made.forget()
    made.wait(4)
    assert made.state(adapter.pair, "book") == "stale"
    assert [(gap.instrument, gap.cause) for gap in made.of(Gap)] == [(adapter.pair, "stalled")]
    assert adapter.pair in asked_for(adapter, made)
    assert made.state(adapter.other, "book") == "in_sync"
    adapter.repair(made, adapter.pair)


@EVERY
def test_a_check_that_cannot_be_had_leaves_no_book_in_sync(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    made.frame(adapter.update(adapter.pair))
    adapter.idle(made, 15)
    made.reply(status=503, endpoint="check")
    assert made.state(adapter.pair, "book") == "stale"
    made.frame(adapter.update(adapter.pair))
    assert made.state(adapter.pair, "book") == "in_sync"


@EVERY
def test_all_levels_that_the_venue_told_are_known_and_no_more_is_promised(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book")
    covered = made.status(adapter.pair, "book").depth
    assert covered is not None
    assert 0 < covered <= LEVELS
    (image,) = made.of(BookSnapshot)
    assert (image.cause, image.depth) == ("sync", 50)
