"""OKX's books when no snapshot comes in band: fetched by REST and spliced, never on faith."""

from typing import Any

import pytest

from collector.records import BookDelta, Gap, Level
from collector.venues.okx import OkxCore
from tests.venues.kit import Bench
from tests.venues.okxs import ASKS, BIDS, T0_MS, acknowledge, answer, bench, book, pongs, rest_book, with_book

CHANGE: list[Level] = [("100.5", "7")]


def without_snapshot(*, depth: int = 400) -> Bench:
    """A book that was fetched by REST because nothing came within five seconds."""
    made = bench("book")
    made.frame(book(5, 8, ms=T0_MS - 4))
    pongs(made, 4)
    assert made.fetches == []
    pongs(made, 2)
    (fetch,) = made.fetches
    assert (fetch.endpoint, fetch.path) == ("depth", "/api/v5/market/books")
    assert dict(fetch.params) == {"instId": "BTC-USDT", "sz": str(depth), "source": "0"}
    return made


def test_after_five_seconds_without_a_snapshot_the_rest_book_is_spliced() -> None:
    made = without_snapshot()
    made.frames(book(8, 9, [("50", "1")], ms=T0_MS - 2), book(9, 12, CHANGE, ms=T0_MS + 2))
    made.reply(rest_book(10))
    assert [delta.last_seq for delta in made.of(BookDelta)] == [12]
    made.frame(book(12, 14, ms=T0_MS + 3))
    assert made.verdict("BTC-USDT", "book").by == "sequence"


def test_behind_the_first_spliced_update_the_chain_is_exact_again() -> None:
    made = without_snapshot()
    made.reply(rest_book(10))
    assert made.state("BTC-USDT", "book") == "in_sync"
    made.frames(book(9, 12, CHANGE, ms=T0_MS + 2), book(11, 14, CHANGE, ms=T0_MS + 3))
    assert made.state("BTC-USDT", "book") == "gap"
    assert [fetch.endpoint for fetch in made.fetches] == ["depth"]


def test_a_rest_book_that_does_not_reach_the_stream_is_fetched_again() -> None:
    made = without_snapshot()
    made.frame(book(20, 25, CHANGE, ms=T0_MS + 1))
    made.reply(rest_book(10))
    assert made.state("BTC-USDT", "book") == "syncing"
    made.reply(rest_book(30, ms=T0_MS + 5))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_rest_book_without_an_id_is_never_clean_but_a_hole_in_its_chain_is_still_seen() -> None:
    made = without_snapshot()
    made.frames(book(8, 9, [("50", "1")], ms=T0_MS), book(9, 12, CHANGE, ms=T0_MS + 1))
    made.reply(rest_book(None))
    assert made.verdict("BTC-USDT", "book").state == "unverifiable"
    assert [delta.bids for delta in made.of(BookDelta)] == [CHANGE]
    made.frame(book(12, 13, ms=T0_MS + 2))
    assert made.verdict("BTC-USDT", "book").state == "unverifiable"
    made.frame(book(14, 15, ms=T0_MS + 3))
    assert made.verdict("BTC-USDT", "book").state == "gap"


def test_a_snapshot_that_comes_in_band_after_all_is_preferred() -> None:
    made = without_snapshot()
    made.frame(book(-1, 40, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    made.reply(rest_book(39))
    made.frame(book(40, 41))
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert made.of(Gap) == []


def test_a_snapshot_that_comes_in_band_after_all_makes_the_updates_before_it_void() -> None:
    made = without_snapshot()
    made.frames(book(8, 9, CHANGE, ms=T0_MS - 3), book(9, 12, CHANGE, ms=T0_MS - 2))
    made.frame(book(-1, 40, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert made.of(BookDelta) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 503),
        (b"{", 200),
        (answer(code="51001", msg="Instrument ID doesn't exist"), 200),
        (answer(), 200),
        (answer({"asks": [], "bids": [["1", "x", "0", "1"]], "ts": "1700000000000"}), 200),
        (answer({"asks": [["1"]], "bids": [], "ts": "1700000000000"}), 200),
    ],
)
def test_a_rest_book_that_cannot_be_had_is_asked_for_again(body: bytes | dict[str, Any], status: int) -> None:
    made = without_snapshot()
    made.reply(body, status=status)
    assert made.state("BTC-USDT", "book") == "syncing"
    assert [fetch.endpoint for fetch in made.fetches] == ["depth"]


def test_a_new_connection_expects_the_snapshot_in_band_again() -> None:
    made = without_snapshot()
    made.reply(rest_book(10))
    made.disconnect()
    made.connect()
    acknowledge(made)
    made.forget()
    made.frames(book(11, 12, CHANGE), book(-1, 20, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert [fetch.endpoint for fetch in made.fetches if fetch.endpoint == "depth"] == []


def test_books_are_repaired_by_rest_when_the_hours_requests_are_used_up() -> None:
    made = with_book()
    assert isinstance(made.core, OkxCore)
    for _ in range(300):
        made.core.resubscribe(made.core.by_name["books:BTC-USDT"], made.now)
    made.drain()
    made.forget()
    made.frame(book(12, 15, CHANGE))
    assert made.sends == []
    made.reply(rest_book(15), endpoint="depth")
    made.frame(book(15, 16))
    assert made.verdict("BTC-USDT", "book").by == "sequence"


def test_a_slow_answer_is_waited_for() -> None:
    made = without_snapshot()
    pongs(made, 60)
    assert [fetch.endpoint for fetch in made.fetches] == ["depth"]
    made.reply(rest_book(10))
    assert made.state("BTC-USDT", "book") == "in_sync"


@pytest.mark.parametrize(("later_ms", "state"), [(900, "in_sync"), (1100, "gap")])
def test_lower_ids_long_after_the_fetched_book_began_anew_and_others_are_in_it_already(
    later_ms: int, state: str
) -> None:
    made = without_snapshot()
    made.reply(rest_book(10))
    made.frame(book(3, 5, CHANGE, ms=T0_MS + later_ms))
    assert made.state("BTC-USDT", "book") == state
    assert made.of(BookDelta) == []


def test_updates_that_waited_since_before_the_ids_began_anew_are_passed_over() -> None:
    made = without_snapshot()
    made.frames(book(90, 95, CHANGE, ms=T0_MS - 2), book(95, 2, CHANGE, ms=T0_MS - 1), book(2, 4, CHANGE, ms=T0_MS + 1))
    made.reply(rest_book(3))
    assert [delta.last_seq for delta in made.of(BookDelta)] == [4]
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_silent_book_without_ids_is_not_clean_because_the_rest_book_equals_it() -> None:
    made = without_snapshot()
    made.reply(rest_book(None))
    made.frame(book(10, 11, ms=T0_MS + 1))
    pongs(made, 130)
    made.reply(rest_book(None, ms=T0_MS + 2), endpoint="check")
    assert made.state("BTC-USDT", "book") == "unverifiable"
