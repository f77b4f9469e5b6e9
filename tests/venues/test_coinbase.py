"""Coinbase's core: subscriptions, control messages, errors, aliases."""

import json

import pytest

from collector.records import BookDelta, Gap, Quote, Trade
from collector.venues.coinbase import FACTS, CoinbaseCore, throttle_seconds
from collector.venues.protocol import CoreSettings, Wanted
from collector.venues.watch import ALL_SILENT_NS
from tests.venues.coinbases import (
    ASKS,
    BIDS,
    Coinbase,
    beating,
    bench,
    book,
    candles,
    heartbeat,
    listing,
    product,
    stamp,
    subscriptions,
    ticker,
    trades,
    with_books,
)


def fresh(*wanted: tuple[str, str]) -> Coinbase:
    """A core that has just been connected."""
    made = Coinbase(CoinbaseCore([Wanted(name, channel) for name, channel in wanted], CoreSettings()))  # type: ignore[arg-type]
    made.connect()
    return made


ALL = [("BTC-USD", channel) for channel in ("trades", "quotes", "tickers", "book", "candles", "instruments")]


def test_heartbeats_are_asked_for_before_anything_is_known() -> None:
    made = fresh(*ALL)
    assert made.sent() == [{"type": "subscribe", "channel": "heartbeats"}]


def test_each_channel_is_asked_for_with_one_message_once_the_listing_came() -> None:
    made = fresh(*ALL, ("ETH-USD", "book"))
    made.sent()
    made.wait(1)
    assert made.fetches[0].path == "/api/v3/brokerage/market/products"
    made.reply(listing(product("BTC-USD"), product("ETH-USD")))
    assert made.sent() == [
        {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD", "ETH-USD"]},
        {"type": "subscribe", "channel": "market_trades", "product_ids": ["BTC-USD"]},
        {"type": "subscribe", "channel": "ticker", "product_ids": ["BTC-USD"]},
        {"type": "subscribe", "channel": "candles", "product_ids": ["BTC-USD"]},
        {"type": "subscribe", "channel": "status", "product_ids": ["BTC-USD"]},
    ]


def test_streams_are_asked_for_within_five_seconds_though_the_listing_never_comes() -> None:
    made = fresh(("BTC-USD", "book"))
    made.wait(1)
    made.reply(status=503)
    made.wait(2)
    assert ("subscribe", "level2", "BTC-USD") in made.asked()
    made.wait(31)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing"]


def test_a_listing_that_cannot_be_read_is_a_dead_letter_and_holds_nothing_up() -> None:
    made = fresh(("BTC-USD", "book"))
    made.wait(1)
    made.reply('{"products":7}')
    made.wait(2)
    assert [letter.channel for letter in made.dead] == ["control"]
    assert ("subscribe", "level2", "BTC-USD") in made.asked()


def test_a_product_that_is_not_listed_is_blocked_and_not_asked_for() -> None:
    made = fresh(("BTC-USD", "book"), ("XXX-USD", "book"), ("OLD-USD", "book"))
    made.wait(1)
    made.reply(listing(product("BTC-USD"), product("OLD-USD", "delisted")))
    assert made.verdict("XXX-USD", "book").reason == "not listed"
    assert made.verdict("OLD-USD", "book").reason == "delisted"
    assert made.asked()[-1] == ("subscribe", "level2", "BTC-USD")
    assert made.count("subscription_rejected") == 2


@pytest.mark.parametrize(
    "cut", [{"num_products": 5}, {"pagination": {"has_next": True}}, {"products": [], "num_products": 0}]
)
def test_a_part_of_a_listing_blocks_nothing(cut: dict[str, object]) -> None:
    made = fresh(("BTC-USD", "book"))
    made.wait(1)
    made.reply(listing(product("ETH-USD")) | cut)
    assert made.asked()[-1] == ("subscribe", "level2", "BTC-USD")


def test_a_product_that_is_listed_later_is_asked_for_then() -> None:
    made = fresh(("NEW-USD", "trades"))
    made.wait(1)
    made.reply(listing(product("BTC-USD")))
    made.wait(301)
    made.reply(listing(product("BTC-USD"), product("NEW-USD")))
    assert made.asked()[-1] == ("subscribe", "market_trades", "NEW-USD")


def test_a_product_that_is_listed_again_is_let_go_first_so_that_its_snapshot_comes() -> None:
    made = with_books("BTC-USD", "ETH-USD")
    for listed in (["BTC-USD"], ["BTC-USD", "ETH-USD"]):
        beating(made, 301)
        made.sent()
        made.reply(listing(*map(product, listed)), endpoint="listing")
    assert made.asked() == [("unsubscribe", "level2", "ETH-USD"), ("subscribe", "level2", "ETH-USD")]


def test_after_a_reconnect_nothing_waits_for_the_listing() -> None:
    made = with_books("BTC-USD")
    made.disconnect()
    made.connect()
    assert made.asked() == [("subscribe", "heartbeats", ""), ("subscribe", "level2", "BTC-USD")]


def test_what_the_venue_says_we_are_subscribed_to_is_acknowledged() -> None:
    made = fresh(("BTC-USD", "trades"), ("ETH-USD", "trades"))
    made.wait(3)
    made.says(
        subscriptions(heartbeats=["heartbeats"]), subscriptions(heartbeats=["heartbeats"], market_trades=["BTC-USD"])
    )
    assert (made.state("BTC-USD", "trades"), made.state("ETH-USD", "trades")) == ("acknowledged", "syncing")
    assert made.count("subscription_acked") == 1


def test_every_answer_names_everything_and_acknowledges_only_what_is_new() -> None:
    made = fresh(("BTC-USD", "trades"), ("BTC-USD", "book"))
    made.wait(3)
    made.says(subscriptions(level2=["BTC-USD"]), subscriptions(level2=["BTC-USD"], market_trades=["BTC-USD"]))
    assert made.count("subscription_acked") == 2


def test_an_answer_that_never_comes_is_asked_for_again() -> None:
    made = fresh(("BTC-USD", "trades"))
    made.wait(3)
    made.sent()
    beating(made, 12)
    assert made.asked() == [("unsubscribe", "market_trades", "BTC-USD"), ("subscribe", "market_trades", "BTC-USD")]


# -- errors ----------------------------------------------------------------------------------------------------------


def error(message: str) -> dict[str, str]:
    return {"type": "error", "message": message}


def test_a_product_that_there_is_not_is_named_once_and_the_others_of_its_message_are_asked_for_again() -> None:
    made = fresh(("BTC-USD", "book"), ("XXX-USD", "book"), ("BTC-USD", "trades"), ("XXX-USD", "trades"))
    made.wait(3)
    made.say(subscriptions(heartbeats=["heartbeats"]))
    made.sent()
    made.frame(error("failed to subscribe: XXX-USD is not a valid product"))
    assert {made.state("XXX-USD", "book"), made.state("XXX-USD", "trades")} == {"blocked"}
    assert made.asked() == [("unsubscribe", "level2", "BTC-USD"), ("subscribe", "level2", "BTC-USD")]
    made.frame(error("failed to subscribe: XXX-USD is not a valid product"))
    made.wait(2)
    assert made.asked() == [("unsubscribe", "market_trades", "BTC-USD"), ("subscribe", "market_trades", "BTC-USD")]
    assert [event.detail for event in made.events if event.kind == "subscription_rejected"] == [
        "failed to subscribe: XXX-USD is not a valid product"
    ] * 2  # once a stream


def test_a_refused_product_is_not_asked_for_again_when_something_is_lost() -> None:
    made = fresh(("BTC-USD", "trades"), ("XXX-USD", "trades"))
    made.wait(3)
    made.say(subscriptions(heartbeats=["heartbeats"]))
    made.frame(error("XXX-USD is not a valid product"))
    made.wait(2)
    made.sent()
    made.skip()
    made.say(heartbeat(0))
    assert made.asked() == [("unsubscribe", "market_trades", "BTC-USD"), ("subscribe", "market_trades", "BTC-USD")]


def test_a_refusal_that_may_pass_is_counted_and_asked_again_soon() -> None:
    made = fresh(("BTC-USD", "trades"))
    made.wait(3)
    made.say(subscriptions(heartbeats=["heartbeats"]))
    made.sent()
    made.frame(error("rate limit exceeded"))
    assert made.count("subscription_rejected") == 1
    assert made.verdict("BTC-USD", "trades").reason == "refused: rate limit exceeded"
    beating(made, 3)
    assert ("subscribe", "market_trades", "BTC-USD") in made.asked()


def test_after_a_hole_nobody_knows_whom_an_error_is_about() -> None:
    made = fresh(("BTC-USD", "trades"))
    made.wait(3)
    made.say(subscriptions(heartbeats=["heartbeats"]))
    made.skip()
    made.say(heartbeat(0))
    made.frame(error("rate limit exceeded"))
    assert [event.channel for event in made.events if event.kind == "subscription_rejected"] == ["control"]


def test_an_error_about_nothing_that_we_asked_is_counted_and_harms_nobody() -> None:
    made = with_books("BTC-USD")
    made.frame(error("malformed request"))
    made.say(book("update", [("100.00", "3")]))
    assert made.count("subscription_rejected") == 1
    assert made.state("BTC-USD", "book") == "in_sync"


# -- aliases ---------------------------------------------------------------------------------------------------------


def test_an_error_that_has_a_number_is_one_of_the_row_and_no_hole_in_it() -> None:
    made = with_books("BTC-USD")
    made.frame({**error("something else"), "sequence_num": made.number})
    made.number += 1
    made.say(book("update", [("100.00", "7")]))
    assert (made.state("BTC-USD", "book"), made.of(Gap)) == ("in_sync", [])
    assert made.count("subscription_rejected") == 1


def test_a_usdc_product_and_its_usd_product_are_one_stream_and_its_ids_are_keyed_anew() -> None:
    made = fresh(("BTC-USDC", "trades"), ("BTC-USD", "trades"))
    made.wait(1)
    made.reply(listing(product("BTC-USD", alias_to=["BTC-USDC"]), product("BTC-USDC", alias="BTC-USD")))
    assert made.asked()[-1] == ("subscribe", "market_trades", "BTC-USD")
    assert len(made.core.streams()) == 1
    made.say(subscriptions(market_trades=["BTC-USDC"]))
    made.says(trades(1, product="BTC-USDC"), trades(2))
    assert [(trade.instrument, trade.symbol, trade.id) for trade in made.of(Trade)] == [
        ("BTC-USD", "BTC-USD", "1"), ("BTC-USD", "BTC-USD", "2"),
    ]  # fmt: skip


def test_two_usdc_products_are_their_own() -> None:
    made = bench("quotes", instruments=("USDT-USDC", "EURC-USDC"))
    made.says(ticker(product="USDT-USDC"), ticker(product="EURC-USDC"))
    assert [quote.instrument for quote in made.of(Quote)] == ["USDT-USDC", "EURC-USDC"]


def test_an_alias_that_only_the_listing_knows_is_keyed_anew_too() -> None:
    made = fresh(("BTC-USD", "trades"))
    made.wait(1)
    made.reply(listing(product("BTC-USD"), product("BTC-DOLLAR", alias="BTC-USD")))
    made.say(trades(1, product="BTC-DOLLAR"))
    assert [trade.instrument for trade in made.of(Trade)] == ["BTC-USD"]


# -- messages that cannot be read ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[]", b'{"channel":5}', b'{"channel":"l2_data","events":[]}']
)
def test_what_has_no_number_makes_everything_doubtful_until_the_next_number_settles_it(data: bytes) -> None:
    made = with_books("BTC-USD")
    made.frame(data)
    assert (len(made.dead), made.state("BTC-USD", "book")) == (1, "unverifiable")
    made.say(book("update", [("100.00", "3")]))
    assert made.state("BTC-USD", "book") == "in_sync"
    made.frame(data)
    made.skip()  # it was one of the row
    made.say(book("update", [("100.00", "4")]))
    assert made.state("BTC-USD", "book") == "gap"


def test_a_book_message_whose_content_is_lost_is_a_gap_of_its_product_that_no_later_one_mends() -> None:
    made = with_books("BTC-USD", "ETH-USD")
    made.frame(made.numbered(book("update", [("100.00", "x")])))
    made.says(book("update", [("99.50", "3")]), book("update", [("99.50", "3")], product="ETH-USD"))
    assert (made.state("BTC-USD", "book"), made.state("ETH-USD", "book")) == ("gap", "in_sync")
    assert [letter.reason for letter in made.dead] == ["value"]


def test_a_message_of_a_product_that_nobody_asked_for_may_have_been_any_product_of_its_channel() -> None:
    made = with_books("BTC-USD")
    made.say(book("update", [("100.00", "3")], product="BTC-USE"))
    assert [letter.reason for letter in made.dead] == ["unknown_symbol"]
    assert made.state("BTC-USD", "book") == "gap"


def test_an_unknown_channel_is_counted_and_ignored() -> None:
    made = with_books("BTC-USD")
    assert made.say({"channel": "horoscope", "events": [{"sign": "leo"}]}) == "unknown"
    made.say({"channel": "user", "events": [{"type": "snapshot", "orders": []}]})
    assert [letter.reason for letter in made.dead] == ["unknown_type"]
    assert made.count("not_spoken") == 1
    assert made.state("BTC-USD", "book") == "in_sync"


def test_an_unknown_channel_with_our_data_may_be_ours() -> None:
    made = with_books("BTC-USD")
    made.say(book("update", [("100.00", "3")]) | {"channel": "l2_datb"})
    assert made.state("BTC-USD", "book") == "gap"


def test_a_heartbeat_or_an_answer_that_cannot_be_read_lowers_nothing() -> None:
    made = with_books("BTC-USD")
    made.says({"channel": "heartbeats", "events": [{}]}, {"channel": "subscriptions", "events": [5]}, heartbeat("x"))
    assert len(made.dead) == 3
    made.say(book("update", [("100.00", "3")]))
    assert made.state("BTC-USD", "book") == "in_sync"
    assert len(made.of(BookDelta)) == 1


# -- liveness, limits ------------------------------------------------------------------------------------------------


def test_a_number_of_thousands_of_digits_is_a_dead_letter() -> None:
    made = bench("trades", "candles", "book")
    endless = "9" * 5_000
    said = [
        (trades(1), '"trade_id":"1"', f'"trade_id":"{endless}"'),
        (candles((300, "100")), '"start":"300"', f'"start":"{endless}"'),
        (heartbeat("1"), '"heartbeat_counter":"1"', f'"heartbeat_counter":"{endless}"'),
    ]
    for event, is_so, becomes in said:
        text = str(made.numbered(event))
        assert is_so in text
        made.frame(text.replace(is_so, becomes))
    assert [(letter.channel, letter.reason) for letter in made.dead] == [
        ("trades", "value"), ("candles", "value"), ("control", "type"),
    ]  # fmt: skip


def test_heartbeats_are_no_data_and_their_absence_ends_the_connection() -> None:
    made = bench("trades")
    beating(made, 60)
    assert made.status("BTC-USD", "trades").last_message_us is None
    assert made.reconnects == []
    made.wait(12)
    assert [reconnect.cause for reconnect in made.reconnects] == ["no_message"]


def test_silence_that_a_fresh_snapshot_without_news_explains_is_in_sync() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), *(trades(ident) for ident in range(2, 5)))
    beating(made, ALL_SILENT_NS // 10**9 + 80)
    assert ("subscribe", "market_trades", "BTC-USD") in made.asked()
    made.say(trades(3, 4, kind="snapshot"))
    assert made.state("BTC-USD", "trades") == "in_sync"


def test_a_connection_carries_few_products_and_large_messages() -> None:
    assert FACTS.instruments_per_connection <= 10
    assert 16 * 1024 * 1024 <= FACTS.max_frame_bytes < 100_000_000


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (200, {}, b'{"products":[]}', None),
        (404, {}, b'{"error":"NOT_FOUND"}', None),
        (429, {}, b"", 5.0),
        (429, {"Retry-After": "7"}, b"", 7.0),
        (429, {"x-ratelimit-reset": "3"}, b"", 3.0),
        (429, {"x-ratelimit-reset": "1763800000"}, b"", 5.0),
        (403, {}, b'{"errors":[{"id":"rate_limit_exceeded"}]}', 5.0),
    ],
)
def test_an_answer_that_says_too_fast_rests_the_pool(
    status: int, headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    assert throttle_seconds(status, headers, body) == seconds


def test_sends_say_how_many_subscriptions_they_hold() -> None:
    made = fresh(("BTC-USD", "book"), ("ETH-USD", "book"))
    made.wait(3)
    assert [send.streams for send in made.sends] == [1, 2]
    assert all(len(json.loads(send.text).get("product_ids", [])) in (0, 2) for send in made.sends)


def test_a_time_that_is_none_is_a_dead_letter() -> None:
    made = with_books("BTC-USD")
    event = json.loads(str(made.numbered(book("snapshot", BIDS, ASKS))))
    made.frame(event | {"timestamp": stamp()[:-1]})
    assert [letter.reason for letter in made.dead] == ["type"]
    assert made.state("BTC-USD", "book") == "gap"
