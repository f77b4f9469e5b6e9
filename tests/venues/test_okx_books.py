"""OKX's books: chained by `prevSeqId`, snapshots in band or by REST, compared with REST when silent."""

from typing import Any

import pytest

from collector.records import BookDelta, BookSnapshot, Gap, Level
from tests.venues.kit import Bench
from tests.venues.okxs import (
    ASKS,
    BIDS,
    SNAPSHOT,
    T0_MS,
    acknowledge,
    asked,
    bench,
    book,
    four,
    made_of,
    pongs,
    push,
    rest_book,
    with_book,
)

AGAIN = [("unsubscribe", "books:BTC-USDT"), ("subscribe", "books:BTC-USDT")]
CHANGE: list[Level] = [("100.5", "7")]


def test_a_snapshot_is_published_with_the_text_of_the_wire() -> None:
    made = bench("book")
    bids: list[Level] = [("100.10", "0.00100000"), ("99", "5E-8")]
    assert made.frame(book(-1, 10, bids, ASKS)) == "book"
    (snapshot,) = made.of(BookSnapshot)
    assert (snapshot.bids, snapshot.asks) == (bids, ASKS)
    assert (snapshot.symbol, snapshot.seq, snapshot.ts, snapshot.cause) == ("BTC-USDT", 10, T0_MS * 1000, "sync")
    assert (snapshot.known_bid, snapshot.known_ask) == (None, None)
    assert made.verdict("BTC-USDT", "book").by == "sequence"


def test_updates_follow_whose_prev_is_the_last_id_however_far_it_jumps() -> None:
    made = with_book()
    made.frames(book(10, 15, CHANGE), book(15, 90_000, [("100.5", "0")]))
    assert [delta.bids for delta in made.of(BookDelta)] == [CHANGE, [("100.5", "0")]]
    assert [delta.last_seq for delta in made.of(BookDelta)] == [15, 90_000]
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_the_venues_own_example_of_a_repeated_id_and_a_reset_is_one_whole_chain() -> None:
    made = with_book()
    made.frames(book(10, 15, CHANGE), book(15, 15), book(15, 3, [("100.5", "8")]), book(3, 5, [("100.5", "9")]))
    assert [delta.last_seq for delta in made.of(BookDelta)] == [15, 15, 3, 5]
    assert made.of(Gap) == []
    assert made.dead == []


def test_an_empty_update_proves_a_doubtful_book_whole() -> None:
    made = with_book()
    made.frame(b"{")
    assert made.state("BTC-USDT", "book") == "unverifiable"
    made.frame(book(10, 10))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_hole_in_the_chain_is_a_gap_that_names_both_ids_and_does_not_count_them() -> None:
    made = with_book()
    made.frame(book(12, 15, CHANGE))
    (gap,) = made.of(Gap)
    assert (gap.first, gap.last, gap.count, gap.cause, gap.instrument) == (11, 12, None, "sequence", "BTC-USDT")
    assert made.verdict("BTC-USDT", "book").reason == "expected the update after 10, got the one after 12"
    assert made.of(BookDelta) == []


def test_a_hole_behind_a_reset_has_no_end_that_could_be_named() -> None:
    made = with_book()
    made.frame(book(3, 5, CHANGE))
    assert [(gap.first, gap.last) for gap in made.of(Gap)] == [(11, None)]


def test_a_gap_repairs_that_instrument_alone_by_subscribing_it_again() -> None:
    made = bench("book", "trades", instruments=("BTC-USDT", "ETH-USDT"))
    made.frames(SNAPSHOT, book(-1, 7, BIDS, ASKS, inst="ETH-USDT"))
    made.forget()
    made.frame(book(12, 15, CHANGE))
    assert asked(made) == AGAIN
    assert (made.state("BTC-USDT", "book"), made.state("ETH-USDT", "book")) == ("gap", "in_sync")
    made.frame(book(-1, 20, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert [gap.repaired_ts is not None for gap in made.of(Gap)] == [False, True]


def test_updates_that_were_on_their_way_before_the_new_snapshot_change_nothing() -> None:
    made = with_book()
    made.frames(book(12, 15, CHANGE), book(15, 16, CHANGE), book(-1, 20, BIDS, ASKS), book(20, 21))
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert [delta.last_seq for delta in made.of(BookDelta)] == [21]


def test_the_same_update_twice_is_a_duplicate_and_an_older_one_a_gap() -> None:
    made = with_book()
    made.frames(book(10, 15, CHANGE), book(10, 15, CHANGE))
    assert made.count("duplicate") == 1
    assert made.state("BTC-USDT", "book") == "in_sync"
    made.frames(book(15, 20), book(10, 15, CHANGE))
    assert made.state("BTC-USDT", "book") == "gap"


def test_after_maintenance_a_snapshot_with_a_lower_id_is_not_too_old() -> None:
    made = with_book()
    made.disconnect()
    made.connect()
    acknowledge(made)
    made.frame(book(-1, 3, BIDS, ASKS, ms=T0_MS + 5))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_snapshot_with_an_older_time_is_too_old() -> None:
    made = with_book()
    made.disconnect()
    made.connect()
    acknowledge(made)
    made.frame(book(-1, 30, BIDS, ASKS, ms=T0_MS - 5))
    assert made.state("BTC-USDT", "book") == "syncing"


# -- what is checked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"ts": "yesterday"},
        {"ts": 5},
        {"seqId": None},
        {"prevSeqId": None},
        {"seqId": "11"},
        {"bids": [["100.5", " 1", "0", "1"]]},
        {"bids": [["1_0", "1", "0", "1"]]},
        {"bids": [["100.5", "-1", "0", "1"]]},
        {"bids": [["100.5", "1"]]},
        {"bids": [["200", "1", "0", "1"]]},
    ],
)
def test_an_update_that_is_not_what_it_should_be_is_never_published(change: dict[str, Any]) -> None:
    made = with_book()
    message = book(10, 15, CHANGE)
    message["data"][0] |= change
    made.frame(message)
    assert made.of(BookDelta) == []
    assert made.state("BTC-USDT", "book") == "gap"
    assert asked(made) == AGAIN


@pytest.mark.parametrize(
    "message",
    [
        push("books", {"asks": [], "bids": [], "ts": str(T0_MS), "seqId": 5, "prevSeqId": 4}, action="snapshot"),
        push("books", {"asks": [], "bids": [], "ts": str(T0_MS), "seqId": 15, "prevSeqId": 10}, action="upd"),
        push("books", action="update"),
    ],
)
def test_a_message_of_a_book_without_a_known_meaning_is_a_dead_letter_of_that_book(message: dict[str, Any]) -> None:
    made = with_book()
    assert made.frame(message) == "book"
    assert [letter.reason for letter in made.dead] == ["value"]
    assert made.state("BTC-USDT", "book") == "gap"


def test_a_checksum_is_never_believed() -> None:
    made = with_book()
    message = book(10, 15, CHANGE)
    message["data"][0]["checksum"] = -855196043
    made.frame(message)
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert made.count("checksum_match") + made.count("checksum_mismatch") == 0


def test_a_tape_without_ids_gives_books_that_are_unverifiable() -> None:
    made = made_of(open_world=True)
    made.connect()
    made.frame(book(None, None, CHANGE))
    assert made.state("BTC-USDT", "book") == "syncing"
    made.frame(push("books", {"asks": four(ASKS), "bids": four(BIDS), "ts": str(T0_MS)}, action="snapshot"))
    made.frame(book(None, None, CHANGE))
    assert [delta.bids for delta in made.of(BookDelta)] == [CHANGE]
    assert made.verdict("BTC-USDT", "book").reason == "the venue gave no ids to check it by"


def test_a_partial_book_is_published_whole_and_cannot_be_verified() -> None:
    made = made_of(open_world=True)
    made.connect()
    item = {"asks": four(ASKS[:5]), "bids": four(BIDS[:5]), "instId": "BTC-USDT", "ts": str(T0_MS), "seqId": 7}
    assert made.frame(push("books5", item)) == "book"
    (snapshot,) = made.of(BookSnapshot)
    assert (snapshot.cause, snapshot.depth, snapshot.last_seq, snapshot.bids) == ("partial", 5, 7, BIDS[:5])
    assert made.state("BTC-USDT", "book") == "unverifiable"
    made.frame(push("books5", item | {"bids": four(ASKS[:5])}))
    assert [letter.reason for letter in made.dead] == ["value"]


# -- silence -----------------------------------------------------------------------------------------------------------


def silent_book() -> Bench:
    made = with_book()
    pongs(made, 12)
    assert [(fetch.endpoint, dict(fetch.params)["sz"]) for fetch in made.fetches] == [("check", "20")]
    made.forget()
    return made


def test_a_silent_book_that_equals_the_rest_book_stays_in_sync() -> None:
    made = silent_book()
    made.reply(rest_book(10))
    pongs(made, 5)
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert asked(made) == []


def test_a_silent_book_that_the_venue_left_behind_is_stale_and_subscribed_again() -> None:
    made = silent_book()
    made.reply(rest_book(15, CHANGE, ms=T0_MS + 1))
    assert made.state("BTC-USDT", "book") == "in_sync"
    pongs(made, 4)
    assert made.state("BTC-USDT", "book") == "stale"
    assert [(gap.cause, gap.first, gap.last) for gap in made.of(Gap)] == [("stalled", 11, 15)]
    assert asked(made) == AGAIN


def test_a_difference_that_the_next_message_explains_is_no_stall() -> None:
    made = silent_book()
    made.reply(rest_book(15, CHANGE, ms=T0_MS + 1))
    made.frame(book(10, 15, CHANGE, ms=T0_MS + 1))
    pongs(made, 5)
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_other_levels_at_the_same_id_are_a_divergence() -> None:
    made = silent_book()
    made.reply(rest_book(10, CHANGE))
    assert [gap.cause for gap in made.of(Gap)] == ["diverged"]
    assert asked(made) == AGAIN


def test_fewer_levels_at_the_same_id_are_a_divergence_too() -> None:
    made = with_book()
    pongs(made, 40)
    made.reply(rest_book(10, BIDS[:9]), endpoint="check")
    assert made.state("BTC-USDT", "book") == "diverged"


def test_an_answer_older_than_the_book_proves_nothing() -> None:
    made = silent_book()
    made.reply(rest_book(9, CHANGE, ms=T0_MS - 1))
    pongs(made, 4)
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_rest_book_without_an_id_is_compared_by_its_levels() -> None:
    made = silent_book()
    made.reply(rest_book(None, CHANGE, ms=T0_MS + 1))
    pongs(made, 4)
    assert made.state("BTC-USDT", "book") == "stale"


def test_a_silent_book_that_could_not_be_checked_is_stale_until_it_could() -> None:
    made = silent_book()
    made.reply(status=503)
    assert made.state("BTC-USDT", "book") == "stale"
    pongs(made, 25)
    made.reply(rest_book(10))
    assert (made.state("BTC-USDT", "book"), made.verdict("BTC-USDT", "book").by) == ("in_sync", "rest")
