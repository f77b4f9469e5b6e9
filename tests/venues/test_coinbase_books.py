"""Coinbase's books: in-band snapshots, and one row of numbers that a hole in is everybody's."""

import json

import pytest

from collector.records import BookDelta, BookSnapshot, Gap
from collector.venues.coinbase.chain import RESTARTED, Chain
from tests.venues.coinbases import (
    ASKS,
    BIDS,
    beating,
    bench,
    book,
    heartbeat,
    stamp,
    subscriptions,
    ticker,
    with_books,
)
from tests.venues.kit import Consumer

SEEN_US = 1_700_000_000_000_000
"""The moment that the messages' time stamps count from."""


def test_a_snapshot_and_what_follows_make_a_book_in_sync_by_sequence() -> None:
    made = bench("book")
    made.say(book("snapshot", BIDS, ASKS))
    made.say(book("update", [("100.00", "0")], [("100.75", "2")]))
    verdict = made.verdict("BTC-USD", "book")
    assert (verdict.state, verdict.by) == ("in_sync", "sequence")
    assert [type(record) for record in made.records] == [BookSnapshot, BookDelta]
    consumer = Consumer()
    for record in made.records:
        consumer.take(record)
    assert consumer.levels() == (BIDS[1:], [("100.75", "2"), *ASKS])


def test_a_books_records_carry_the_number_of_their_message_and_the_venues_time() -> None:
    made = bench("book")
    made.says(book("snapshot", BIDS, ASKS), book("update", [("100.00", "3")], at=41))
    (snapshot,), (delta,) = made.of(BookSnapshot), made.of(BookDelta)
    assert (snapshot.seq, delta.first_seq, delta.last_seq, delta.seq) == (2, 3, 3, 3)
    assert delta.ts == SEEN_US + 41
    assert snapshot.ts == SEEN_US + 999_999  # its levels have no time, so it is that of the message
    assert (snapshot.known_bid, snapshot.known_ask) == (None, None)


def test_the_newest_change_dates_an_update() -> None:
    made = with_books("BTC-USD")
    event = book("update", [("100.00", "3"), ("99.50", "1")])
    event["events"][0]["updates"][0]["event_time"] = stamp(50)
    made.say(event)
    assert made.of(BookDelta)[0].ts == SEEN_US + 50


def test_a_lost_message_is_a_gap_of_every_book_of_the_connection_that_names_both_numbers() -> None:
    made = with_books("BTC-USD", "ETH-USD")
    expected = made.number
    made.skip(2)
    made.say(ticker(product="BTC-USD"), None)
    assert {made.state(name, "book") for name in ("BTC-USD", "ETH-USD")} == {"gap"}
    assert made.verdict("ETH-USD", "book").reason == f"expected sequence_num {expected}, got {expected + 2}"
    gaps = made.of(Gap)
    assert [(gap.instrument, gap.cause, gap.first, gap.last, gap.count) for gap in gaps] == [
        ("BTC-USD", "sequence", expected, expected + 1, None),
        ("ETH-USD", "sequence", expected, expected + 1, None),
    ]


def test_all_books_of_the_connection_are_subscribed_again_with_two_messages() -> None:
    made = with_books("BTC-USD", "ETH-USD")
    made.skip()
    made.say(heartbeat(0))
    assert made.asked() == [("unsubscribe", "level2", "BTC-USD,ETH-USD"), ("subscribe", "level2", "BTC-USD,ETH-USD")]
    made.says(book("snapshot", BIDS, ASKS), book("snapshot", BIDS, ASKS, "ETH-USD"))
    assert {made.state(name, "book") for name in ("BTC-USD", "ETH-USD")} == {"in_sync"}
    assert [gap.repaired_ts is None for gap in made.of(Gap)] == [True, True, False, False]


def test_books_that_want_a_snapshot_within_a_second_share_their_messages() -> None:
    names = [f"A{number}-USD" for number in range(8)]
    made = with_books(*names)
    for _ in range(2):  # the second time each waits for a while of its own
        made.skip()
        made.say(heartbeat(0))
        made.asked()
        made.says(*(book("snapshot", BIDS, ASKS, name) for name in names))
    made.skip()
    made.say(heartbeat(0))
    made.wait(4)
    asked = [names for kind, _, names in made.asked() if kind == "subscribe"]
    assert len(asked) <= 4
    assert sorted(",".join(asked).split(",")) == names


def test_another_connections_books_know_nothing_of_it() -> None:
    made, other = with_books("BTC-USD"), with_books("ETH-USD")
    made.skip()
    made.say(heartbeat(0))
    other.say(heartbeat(0))
    assert (made.state("BTC-USD", "book"), other.state("ETH-USD", "book")) == ("gap", "in_sync")


@pytest.mark.parametrize("lost", [heartbeat(5), subscriptions(level2=["BTC-USD"]), ticker()])
def test_a_lost_control_message_is_a_hole_like_any_other(lost: dict[str, object]) -> None:
    made = with_books("BTC-USD")
    made.numbered(lost)
    made.say(book("update", [("100.00", "3")]))
    assert made.state("BTC-USD", "book") == "gap"


def test_updates_between_a_hole_and_the_snapshot_are_void() -> None:
    made = with_books("BTC-USD")
    made.skip()
    made.says(book("update", [("100.00", "3")]), book("update", [("99.00", "3")]))
    assert made.of(BookDelta) == []
    made.says(book("snapshot", BIDS, ASKS), book("update", [("99.50", "9")]))
    assert [delta.bids for delta in made.of(BookDelta)] == [[("99.50", "9")]]


def test_a_hole_while_a_book_waits_asks_for_nothing_more() -> None:
    made = with_books("BTC-USD")
    made.skip()
    made.say(heartbeat(0))
    made.forget()
    made.skip()
    made.say(heartbeat(2))
    assert made.sends == []
    assert made.of(Gap) == []


def test_holes_that_go_on_are_repaired_ever_more_slowly() -> None:
    made = with_books("BTC-USD")
    asked = 0
    for _ in range(200):
        made.skip()
        made.say(heartbeat(0))
        if ("subscribe", "level2", "BTC-USD") in made.asked():
            asked += 1
            made.say(book("snapshot", BIDS, ASKS))
        made.wait(0.5)
    assert 4 <= asked <= 16


def test_a_message_that_comes_again_or_late_is_counted_and_dropped() -> None:
    made = with_books("BTC-USD")
    again = made.numbered(book("update", [("100.00", "3")]))
    assert made.frame(again) == made.frame(again) == "book"
    assert (made.count("duplicate"), len(made.of(BookDelta))) == (1, 1)
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_message_that_was_overtaken_is_dropped_and_its_hole_stays_a_gap() -> None:
    made = with_books("BTC-USD")
    late = made.numbered(book("update", [("100.00", "3")]))
    made.say(book("update", [("99.50", "7")]))
    made.frame(late)
    assert made.state("BTC-USD", "book") == "gap"
    assert made.of(BookDelta) == []
    assert made.count("duplicate") == 1


def test_a_fresh_connection_counts_from_nought_and_its_snapshot_is_taken() -> None:
    made = with_books("BTC-USD")
    for _ in range(50):
        made.say(book("update", [("100.00", "3")], at=500))
    made.disconnect()
    made.connect()
    made.says(subscriptions(heartbeats=["heartbeats"]), book("snapshot", BIDS, ASKS))
    assert made.state("BTC-USD", "book") == "in_sync"
    assert made.of(BookSnapshot)[-1].last_seq == 1
    assert [gap.cause for gap in made.of(Gap)] == ["disconnect", "disconnect"]


def test_numbers_that_begin_elsewhere_are_followed_after_a_while_and_everything_is_a_gap() -> None:
    made = with_books("BTC-USD")
    for _ in range(20):
        made.say(book("update", [("100.00", "3")]))
    made.number = 0
    for _ in range(RESTARTED):
        made.say(heartbeat(0))
    assert made.state("BTC-USD", "book") == "gap"
    made.say(book("snapshot", BIDS, ASKS))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_number_far_too_high_does_not_silence_the_connection() -> None:
    made = with_books("BTC-USD")
    made.say(heartbeat(0), 9_000_000)
    made.say(heartbeat(1))
    for count in range(RESTARTED):
        made.say(heartbeat(count))
    made.say(book("snapshot", BIDS, ASKS))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_missing_heartbeat_is_a_hole_though_the_numbers_are_whole() -> None:
    made = with_books("BTC-USD")
    made.says(heartbeat(7), heartbeat("8"))
    assert made.state("BTC-USD", "book") == "in_sync"
    made.say(heartbeat(10))
    assert made.verdict("BTC-USD", "book").reason == "heartbeats 9..9 are missing"


def test_a_lost_heartbeat_is_told_once() -> None:
    chain = Chain()
    assert (chain.take(0), chain.beat(12)) == ("next", None)
    assert (chain.take(2), chain.hole, chain.beat(14)) == ("hole", (1, 1), None)
    assert (chain.take(3), chain.beat(16)) == ("next", (15, 15))
    assert (chain.take(4), chain.beat(2)) == ("next", None)


def test_a_snapshot_out_of_order_is_not_taken() -> None:
    made = bench("book")
    made.say(book("snapshot", BIDS[::-1], ASKS))
    assert [gap.cause for gap in made.of(Gap)] == ["unsorted"]
    assert made.asked()[0] == ("unsubscribe", "level2", "BTC-USD")


def test_an_unasked_snapshot_without_any_time_is_taken_because_its_number_says_that_it_is_newer() -> None:
    made = with_books("BTC-USD")
    message = json.loads(str(made.numbered(book("snapshot", BIDS[1:], ASKS))))
    made.frame(message | {"timestamp": ""})
    assert made.state("BTC-USD", "book") == "in_sync"
    assert made.of(BookSnapshot)[0].bids == BIDS[1:]


def test_a_crossed_book_is_a_gap() -> None:
    made = with_books("BTC-USD")
    made.say(book("update", [("101.00", "1")]))
    assert [gap.cause for gap in made.of(Gap)] == ["crossed"]


def test_the_removal_of_an_unknown_level_is_nothing_unusual() -> None:
    made = with_books("BTC-USD")
    made.say(book("update", [("1.00", "0")]))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_one_message_may_tell_of_several_products() -> None:
    made = with_books("BTC-USD", "ETH-USD")
    event = book("update", [("100.00", "3")])
    event["events"] += book("update", [("100.00", "4")], product="ETH-USD")["events"]
    made.say(event)
    assert [(delta.instrument, delta.bids) for delta in made.of(BookDelta)] == [
        ("BTC-USD", [("100.00", "3")]), ("ETH-USD", [("100.00", "4")]),
    ]  # fmt: skip


def test_a_book_far_larger_than_what_is_published_is_kept_whole() -> None:
    made = bench("book", depth=5)
    bids = [(f"{50_000 - tick}.00", "1") for tick in range(22_000)]
    asks = [(f"{50_001 + tick}.00", "1") for tick in range(22_000)]
    made.say(book("snapshot", bids, asks))
    made.say(book("update", [(price, "0") for price, _ in bids[:-3]]))
    (snapshot,), (delta,) = made.of(BookSnapshot), made.of(BookDelta)
    assert len(snapshot.bids) == 5
    assert [level for level in delta.bids if level[1] != "0"] == bids[-3:]
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_silent_book_that_equals_the_venues_stays_in_sync() -> None:
    made = with_books("BTC-USD")
    beating(made, 40)
    fetch = made.reply(rest_book(BIDS, ASKS), endpoint="check")
    assert dict(fetch.params) == {"product_id": "BTC-USD", "limit": "10"}
    beating(made, 5)
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_silent_book_that_differs_from_the_venues_is_stale_and_subscribed_again() -> None:
    made = with_books("BTC-USD")
    beating(made, 40)
    made.sent()
    made.reply(rest_book([("100.00", "9"), *BIDS[1:]], ASKS), endpoint="check")
    beating(made, 5)
    assert [gap.cause for gap in made.of(Gap)] == ["stalled"]
    assert ("subscribe", "level2", "BTC-USD") in made.asked()
    made.say(book("snapshot", BIDS, ASKS))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_slow_market_keeps_its_connection_until_the_venues_book_had_time_to_confirm_it() -> None:
    made = with_books("BTC-USD")
    for size in range(2, 12):
        beating(made, 6)
        made.say(book("update", [("100.00", str(size))]))
    beating(made, 125)
    made.reply(rest_book([("100.00", "11"), *BIDS[1:]], ASKS), endpoint="check")
    beating(made, 60)
    assert made.reconnects == []
    beating(made, 90)
    made.say(book("update", [("100.00", "12")]))
    beating(made, 150)  # nobody answers the check
    assert [reconnect.cause for reconnect in made.reconnects] == ["all_silent"]


def test_what_came_while_the_venues_book_was_asked_for_explains_that_they_differ() -> None:
    made = with_books("BTC-USD")
    beating(made, 40)
    made.say(book("update", [("100.00", "9")]))
    made.reply(rest_book(BIDS, ASKS), endpoint="check")
    beating(made, 5)
    assert made.of(Gap) == []
    assert made.state("BTC-USD", "book") == "in_sync"


@pytest.mark.parametrize(("bids", "asks"), [(BIDS[:2], ASKS), (BIDS, []), (BIDS, [*ASKS, ("103.00", "1")])])
def test_a_silent_book_with_more_or_fewer_levels_than_the_venues_is_not_equal_to_it(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]]
) -> None:
    made = with_books("BTC-USD")
    beating(made, 40)
    made.reply(rest_book(bids, asks), endpoint="check")
    beating(made, 5)
    assert [gap.cause for gap in made.of(Gap)] == ["stalled"]


@pytest.mark.parametrize(
    "body", ["{}", '{"pricebook":{"product_id":"BTC-USD","bids":[{"price":"x","size":"1"}],"asks":[]}}']
)
def test_a_check_that_cannot_be_read_is_kept_and_the_book_is_stale(body: str) -> None:
    made = with_books("BTC-USD")
    beating(made, 40)
    made.reply(body, endpoint="check")
    assert [letter.channel for letter in made.dead] == ["book"]
    assert made.state("BTC-USD", "book") == "stale"


def rest_book(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> dict[str, object]:
    sides = {side: [{"price": price, "size": size} for price, size in levels]
             for side, levels in (("bids", bids), ("asks", asks))}  # fmt: skip
    return {"pricebook": {"product_id": "BTC-USD", **sides, "time": stamp()}, "last": "1", "mid_market": "1"}
