"""Binance spot's books: splicing, the `U`/`u` chain, and what is done about silence."""

import json

import pytest

from collector.records import BookDelta, BookSnapshot, Gap, Level
from collector.venues.binance import BinanceCore
from collector.venues.protocol import STATUS_NOT_ON_TAPE, CoreSettings, Wanted
from tests.venues.kit import Bench, Consumer, depth, depth_book, exchange_info

BIDS: list[Level] = [("100.0", "1.0"), ("99.0", "1.0")]
ASKS: list[Level] = [("101.0", "1.0"), ("102.0", "1.0")]


def bench(instruments: tuple[str, ...] = ("BTC-USDT",), depth: int = 1000) -> Bench:
    """Books that are subscribed and acknowledged, their snapshots asked for, nothing said so far."""
    made = Bench(BinanceCore([Wanted(name, "book") for name in instruments], CoreSettings(depth=depth)))
    made.connect()
    made.reply(exchange_info(("BTC", "USDT"), ("ETH", "USDT")))
    made.frame({"result": None, "id": made.sent()[0]["id"]})
    made.forget()
    return made


def live(last: int = 10) -> Bench:
    made = bench()
    made.reply(depth_book(last, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    made.forget()
    return made


@pytest.mark.parametrize(
    ("published", "limit", "weight"), [(10, "100", 5), (100, "100", 5), (1000, "1000", 50), (5000, "5000", 250)]
)
def test_the_snapshot_is_as_deep_as_what_is_published(published: int, limit: str, weight: int) -> None:
    (fetch,) = bench(depth=published).fetches
    assert (fetch.endpoint, fetch.path, fetch.params) == (
        "depth",
        "/api/v3/depth",
        (("symbol", "BTCUSDT"), ("limit", limit)),
    )
    assert fetch.weight == weight


def test_the_snapshot_and_the_updates_that_follow_it_are_published() -> None:
    made = bench()
    made.frames(depth(8, 10, bids=[("100.0", "9.0")]), depth(11, 12, bids=[("100.0", "2.000")]))
    made.reply(depth_book(10, BIDS, ASKS))
    (snapshot,), (delta,) = made.of(BookSnapshot), made.of(BookDelta)
    assert (snapshot.bids, snapshot.asks, snapshot.seq, snapshot.cause) == (BIDS, ASKS, 10, "sync")
    assert (delta.bids, delta.asks, delta.first_seq, delta.last_seq) == ([("100.0", "2.000")], [], 11, 12)
    assert (delta.ts, delta.seq) == (1_700_000_000_012_000, 12)
    assert made.verdict("BTC-USDT", "book").by == "sequence"


def test_a_first_update_that_starts_right_behind_the_snapshot_follows_it() -> None:
    made = live(10)
    made.frame(depth(11, 11))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_snapshot_older_than_the_first_update_is_fetched_again() -> None:
    made = bench()
    made.frame(depth(20, 21))
    made.reply(depth_book(10, BIDS, ASKS))
    assert made.of(BookSnapshot) == []
    made.reply(depth_book(20, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"


@pytest.mark.parametrize(
    ("status", "body"),
    [(0, b""), (503, b""), (451, b""), (200, b"{"), (200, b'{"lastUpdateId":"x"}'), (200, b"\xff"),
     (200, b'{"lastUpdateId":5,"bids":[["100.0","1 "]],"asks":[]}'),
     (200, b'{"lastUpdateId":5,"bids":[["1e5","nan"]],"asks":[]}')],
)  # fmt: skip
def test_a_snapshot_that_cannot_be_had_is_tried_again(status: int, body: bytes) -> None:
    made = bench()
    made.reply(body, status=status)
    made.wait(5)
    made.reply(depth_book(10, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"


@pytest.mark.parametrize("request_text", ["GET https://x/api/v3/depth?limit=abc", "GET http://[x/?limit=5", ""])
def test_a_request_that_cannot_be_read_bounds_nothing_and_harms_nothing(request_text: str) -> None:
    made = bench()
    made.reply(depth_book(10, BIDS, ASKS), request=request_text)
    made.wait(3)
    assert made.state("BTC-USDT", "book") in ("in_sync", "syncing")


def test_the_request_that_was_really_answered_bounds_what_is_known() -> None:
    made = bench()
    made.reply(depth_book(10, BIDS, ASKS), request="GET https://x/api/v3/depth?symbol=BTCUSDT&limit=2")
    assert (made.of(BookSnapshot)[0].known_bid, made.of(BookSnapshot)[0].known_ask) == ("99.0", "102.0")
    assert made.status("BTC-USDT", "book").depth == 2
    other = bench()
    other.reply(depth_book(10, BIDS, ASKS))
    assert other.of(BookSnapshot)[0].known_bid is None


def test_a_lost_update_marks_the_book_as_gap_and_resyncs_that_symbol_only() -> None:
    made = bench(("BTC-USDT", "ETH-USDT"))
    made.reply(depth_book(10, BIDS, ASKS))
    made.reply(depth_book(10, BIDS, ASKS))
    made.forget()
    made.frame(depth(15, 16))
    (gap,) = made.of(Gap)
    assert (gap.instrument, gap.first, gap.last, gap.cause) == ("BTC-USDT", 11, 14, "sequence")
    assert (made.state("BTC-USDT", "book"), made.state("ETH-USDT", "book")) == ("gap", "in_sync")
    assert [fetch.symbol for fetch in made.fetches] == ["BTCUSDT"]
    assert made.sends == []
    made.reply(depth_book(14, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert [delta.first_seq for delta in made.of(BookDelta)] == [15]


def test_an_update_seen_before_is_dropped() -> None:
    made = live()
    made.frames(depth(11, 12), depth(11, 12), depth(10, 11))
    assert len(made.of(BookDelta)) == 1
    assert made.count("duplicate") == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [("u", 5), ("u", "x"), ("b", [["1"]]), ("s", "ETHUSDT"), ("b", [["100.0", "1 0"]]), ("b", [["100.0", "1_0"]]),
     ("b", [["100.0", "+1"]]), ("b", [["100.0", "\uff11"]]), ("b", [["100.0", "1\t"]]), ("b", [["98", "nan"]]),
     ("a", [["100.0", "1.0"]])],
)  # fmt: skip
def test_an_update_that_is_none_is_never_published_and_the_book_is_fetched_again(key: str, value: object) -> None:
    made = live()
    broken = depth(11, 12)
    broken["data"][key] = value
    assert made.frame(broken) == "book"
    assert made.of(BookDelta) == []
    assert made.state("BTC-USDT", "book") == "gap"
    assert len(made.of(Gap)) == 1
    assert [fetch.endpoint for fetch in made.fetches] == ["depth"]


def test_a_foreign_digit_in_a_frame_is_no_number() -> None:
    made = live()
    made.frame(json.dumps(depth(11, 12, bids=[("100.0", "\uff11")]), ensure_ascii=False, separators=(",", ":")))
    assert made.of(BookDelta) == []
    assert [letter.reason for letter in made.dead] == ["value"]


def test_answers_to_requests_of_an_earlier_connection_are_void() -> None:
    made = bench()
    made.disconnect()
    made.connect()
    made.reply(depth_book(10, BIDS, ASKS))
    assert made.of(BookSnapshot) == []
    made.frame({"result": None, "id": made.sent()[0]["id"]})
    made.reply(depth_book(12, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_periodic_snapshot_lets_a_consumer_join() -> None:
    made = live()
    joined = Consumer()
    for ident in range(11, 711):
        made.frame(depth(ident, ident, bids=[(f"{50 + ident % 50}.0", str(ident))]))
        made.wait(1)
    periodic = [record for record in made.of(BookSnapshot) if record.cause == "periodic"]
    assert len(periodic) == 2
    for record in made.records[made.records.index(periodic[-1]) :]:
        joined.take(record)
    made.frame(depth(711, 711))
    assert joined.levels() == (periodic_image(made), ASKS)


def periodic_image(made: Bench) -> list[Level]:
    (image,) = made.core.snapshots(made.now)
    assert isinstance(image, BookSnapshot)
    assert image.cause == "segment"
    return image.bids


def test_only_books_that_are_live_have_a_segment_snapshot() -> None:
    assert bench().core.snapshots(bench().now) == []
    assert len(live().core.snapshots(live().now)) == 1


# -- silence -----------------------------------------------------------------------------------------------------------


def silent() -> Bench:
    """A book that stands at id 11 and fell silent; a small REST book is asked for."""
    made = live()
    made.frame(depth(11, 11))
    made.wait(12)
    assert [(fetch.endpoint, fetch.params[1]) for fetch in made.fetches] == [("check", ("limit", "100"))]
    made.forget()
    return made


def test_a_silent_book_that_equals_the_rest_book_stays_in_sync() -> None:
    made = silent()
    made.reply(depth_book(11, BIDS, ASKS))
    made.wait(5)
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert made.records == []


def test_a_rest_book_that_is_behind_proves_nothing() -> None:
    made = silent()
    made.reply(depth_book(9, [], []))
    made.wait(5)
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_quiet_market_that_the_rest_book_confirms_keeps_its_connection() -> None:
    made = silent()
    assert made.reconnects == []
    made.reply(depth_book(11, BIDS, ASKS))
    made.wait(60)
    assert made.reconnects == []


def test_a_silent_connection_that_nothing_confirms_is_replaced() -> None:
    made = silent()
    made.reply(depth_book(9, [], []))
    made.wait(25)
    assert [reconnect.cause for reconnect in made.reconnects] == ["all_silent"]


def test_a_rest_book_that_is_ahead_is_explained_by_data_that_then_comes() -> None:
    made = silent()
    made.reply(depth_book(13, BIDS, ASKS))
    made.frame(depth(12, 13))
    made.wait(5)
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert made.of(Gap) == []


def test_a_rest_book_that_is_ahead_while_the_stream_stays_silent_is_a_stall() -> None:
    made = silent()
    made.reply(depth_book(15, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    made.wait(3)
    assert made.state("BTC-USDT", "book") == "stale"
    assert [(gap.cause, gap.first, gap.last) for gap in made.of(Gap)] == [("stalled", 12, 15)]
    assert [sent["method"] for sent in made.sent()] == ["UNSUBSCRIBE", "SUBSCRIBE"]
    made.reply(depth_book(15, BIDS, ASKS), endpoint="depth")
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_rest_book_that_is_ahead_is_explained_by_a_sync_of_the_book_meanwhile() -> None:
    made = silent()
    made.reply(depth_book(15, BIDS, ASKS))
    made.frame(depth(12, 11))
    made.reply(depth_book(15, BIDS, ASKS), endpoint="depth")
    made.wait(5)
    assert made.state("BTC-USDT", "book") == "in_sync"
    assert "stalled" not in [gap.cause for gap in made.of(Gap)]


def test_other_levels_at_the_same_id_are_a_divergence() -> None:
    made = silent()
    made.reply(depth_book(11, [("100.0", "7.0"), BIDS[1]], ASKS))
    assert made.state("BTC-USDT", "book") == "diverged"
    assert [gap.cause for gap in made.of(Gap)] == ["diverged"]
    made.reply(depth_book(12, BIDS, ASKS), endpoint="depth")
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_fewer_levels_at_the_same_id_are_a_divergence_too() -> None:
    made = silent()
    made.reply(depth_book(11, BIDS[:1], ASKS))
    assert made.state("BTC-USDT", "book") == "diverged"


@pytest.mark.parametrize(
    ("status", "body"), [(503, b""), (0, b""), (200, b"{"), (200, depth_book(11, [("x", "1")], []))]
)
def test_a_check_that_failed_makes_the_book_stale_until_one_succeeds(status: int, body: bytes) -> None:
    made = silent()
    made.reply(body, status=status)
    assert made.state("BTC-USDT", "book") == "stale"
    made.wait(25)
    made.reply(depth_book(11, BIDS, ASKS))
    assert (made.state("BTC-USDT", "book"), made.verdict("BTC-USDT", "book").by) == ("in_sync", "rest")


def test_a_tape_that_cannot_answer_the_check_leaves_the_verdict_as_it_is() -> None:
    made = silent()
    made.reply(status=STATUS_NOT_ON_TAPE)
    made.wait(5)
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_a_check_compares_only_levels_that_are_known() -> None:
    made = bench()
    made.reply(depth_book(10, BIDS, ASKS), request="GET https://x/api/v3/depth?symbol=BTCUSDT&limit=2")
    made.frame(depth(11, 11, bids=[("99.0", "0.0")]))
    made.wait(12)
    made.reply(depth_book(11, [BIDS[0], ("98.5", "4.0")], ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
