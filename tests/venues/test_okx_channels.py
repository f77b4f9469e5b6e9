"""OKX's other channels, its listing, its status, and what is a swap's own."""

from typing import Any

import pytest

from collector.records import (
    BookDelta,
    BookSnapshot,
    Candle,
    FundingRate,
    Gap,
    Instrument,
    Liquidation,
    OpenInterest,
    Quote,
    Ticker,
    Trade,
    VenueStatus,
)
from collector.venues.protocol import Channel
from tests.venues.kit import Bench
from tests.venues.okxs import (
    ASKS,
    BIDS,
    T0_MS,
    acknowledge,
    answer,
    asked,
    bbo,
    bench,
    book,
    listed,
    made_of,
    pongs,
    push,
    trade,
)

SWAP = "BTC-USDT-SWAP"
MINUTE = 60_000
TICKER = {
    "instType": "SPOT", "instId": "BTC-USDT", "last": "100.1", "lastSz": "0.1", "askPx": "101", "askSz": "11",
    "bidPx": "100", "bidSz": "5", "open24h": "90", "high24h": "110", "low24h": "80", "volCcy24h": "2222.5",
    "vol24h": "22.2", "sodUtc0": "95", "sodUtc8": "96", "ts": str(T0_MS),
}  # fmt: skip


def bar(minute: int, *, confirm: str = "0", close: str = "4") -> dict[str, Any]:
    return push("candle1m", [str(T0_MS + minute * MINUTE), "1", "5", "0.5", close, "10.0", "40", "40", confirm])


def maintenance(state: str, **fields: str) -> dict[str, str]:
    return {
        "title": "WebSocket upgrade", "state": state, "begin": str(T0_MS), "end": str(T0_MS + MINUTE),
        "serviceType": "0", "env": "1", "ts": str(T0_MS + 1),
    } | fields  # fmt: skip


def told(item: dict[str, str]) -> dict[str, Any]:
    return {"arg": {"channel": "status"}, "data": [item]}


def test_a_ticker_is_published_in_the_venues_own_numbers() -> None:
    made = bench("tickers")
    assert made.frame(push("tickers", TICKER)) == "tickers"
    (record,) = made.of(Ticker)
    assert (record.last, record.open, record.high, record.low) == ("100.1", "90", "110", "80")
    assert (record.volume, record.quote_volume) == ("22.2", "2222.5")
    assert (record.bid, record.bid_size, record.ask, record.ask_size) == ("100", "5", "101", "11")
    assert record.ts == T0_MS * 1000


def test_what_a_ticker_leaves_empty_is_null_and_one_that_never_traded_is_no_ticker() -> None:
    made = bench("tickers")
    made.frames(push("tickers", TICKER | {"high24h": "", "bidPx": ""}), push("tickers", TICKER | {"last": ""}))
    assert [(record.high, record.bid, record.bid_size) for record in made.of(Ticker)] == [(None, None, "5")]
    assert made.dead == []
    made.frame(push("tickers", TICKER | {"high24h": "1,5"}))
    assert [letter.reason for letter in made.dead] == ["value"]


def test_a_bar_is_closed_when_the_venue_says_so_and_not_before() -> None:
    made = bench("candles")
    made.frames(bar(0), bar(0, close="3"), bar(0, close="3", confirm="1"), bar(1))
    assert [(one.open_ts, one.close, one.closed) for one in made.of(Candle)] == [
        (T0_MS * 1000, "4", False),
        (T0_MS * 1000, "3", False),
        (T0_MS * 1000, "3", True),
        ((T0_MS + MINUTE) * 1000, "4", False),
    ]
    assert (made.of(Candle)[0].interval, made.of(Candle)[0].volume) == ("1m", "10.0")
    assert made.verdict("BTC-USDT", "candles").by == "sequence"


def test_a_bar_that_was_never_seen_closed_is_missing() -> None:
    made = bench("candles")
    made.frames(bar(0, confirm="1"), bar(1), bar(3))
    assert [(gap.first, gap.last, gap.count) for gap in made.of(Gap)] == [
        ((T0_MS + MINUTE) * 1000, (T0_MS + 2 * MINUTE) * 1000, 2)
    ]


@pytest.mark.parametrize("row", [["1"], [str(T0_MS), "1", "5", "0.5", "x", "1", "1", "1", "0"], ["1"] * 10])
def test_a_bar_that_is_not_what_it_should_be_is_a_dead_letter(row: list[str]) -> None:
    made = bench("candles")
    made.frame(push("candle1m", row))
    assert [letter.reason for letter in made.dead] == ["value"]
    made.frame(push("candle1m", [str(T0_MS), "1", "5", "0.5", "4", "1", "1", "1", "2"]))
    assert len(made.dead) == 2


# -- the listing -------------------------------------------------------------------------------------------------------


def test_an_instrument_is_published_when_first_learnt_and_when_it_changes() -> None:
    made = made_of("instruments")
    made.connect()
    made.reply(answer(listed("BTC-USDT"), listed("ETH-USDT")))
    acknowledge(made)
    (record,) = made.of(Instrument)
    assert (record.base, record.quote, record.status, record.venue_status) == ("BTC", "USDT", "trading", "live")
    assert (record.price_step, record.size_step, record.min_size) == ("0.1", "0.001", "0.01")
    assert (record.settle, record.contract_currency) == (None, None)
    arg = {"channel": "instruments", "instType": "SPOT"}
    made.frame({"arg": arg, "data": [listed("BTC-USDT"), listed("BTC-USDT", tickSz="0.01"), listed("X-Y")]})
    made.frame({"arg": arg, "data": [listed("BTC-USDT", "suspend", tickSz="0.01")]})
    made.frame({"arg": arg, "data": [listed("BTC-USDT", instType="MARGIN", tickSz="5")]})
    assert [(one.price_step, one.status) for one in made.of(Instrument)[1:]] == [
        ("0.01", "trading"),
        ("0.01", "halted"),
    ]


def test_a_delisted_instrument_is_named_once_and_freed_when_it_is_listed_again() -> None:
    made = bench("trades", "book", instruments=("BTC-USDT", "ETH-USDT"))
    for _ in range(2):
        pongs(made, 301)
        made.reply(answer(listed("ETH-USDT")), endpoint="listing")
    assert made.verdict("BTC-USDT", "book").reason == "delisted"
    assert made.state("ETH-USDT", "trades") == "acknowledged"
    assert made.count("subscription_rejected") == 2
    made.sent()
    pongs(made, 301)
    made.reply(answer(listed("ETH-USDT"), listed("BTC-USDT")), endpoint="listing")
    assert [name for op, name in asked(made) if op == "subscribe"][-2:] == ["trades:BTC-USDT", "books:BTC-USDT"]


def test_an_instrument_that_expired_is_delisted_by_the_push() -> None:
    made = bench("instruments", "trades")
    made.frame({"arg": {"channel": "instruments", "instType": "SPOT"}, "data": [listed("BTC-USDT", "expired")]})
    assert made.verdict("BTC-USDT", "trades").reason == "delisted"
    assert [one.status for one in made.of(Instrument)] == ["delisted"]


@pytest.mark.parametrize("body", [answer(), answer({"instId": 5}), b"{", answer(listed("A-B", tickSz="x"))])
def test_a_listing_that_is_none_delists_nothing(body: dict[str, Any] | bytes) -> None:
    made = bench("trades")
    pongs(made, 301)
    made.reply(body, endpoint="listing")
    assert made.state("BTC-USDT", "trades") == "acknowledged"
    pongs(made, 12)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing"]


def again_after_silence(channel: Channel, *messages: dict[str, Any]) -> Bench:
    """A stream that fell silent and was subscribed again, which brings its last message once more."""
    made = bench(channel)
    for message in messages:
        made.frame(message)
        pongs(made, 1)
    pongs(made, 200)
    assert made.state("BTC-USDT", channel) == "stale"
    acknowledge(made)
    made.frame(messages[-1])
    return made


def test_a_quote_that_comes_again_after_silence_shows_that_the_stream_is_alive() -> None:
    made = again_after_silence("quotes", bbo(5), bbo(6))
    assert made.verdict("BTC-USDT", "quotes").state == "unverifiable"
    assert len(made.of(Quote)) == 2


def test_a_book_without_one_side_is_a_message_all_the_same() -> None:
    made = bench("quotes", "tickers")
    message = bbo(5)
    message["data"][0]["asks"] = []
    made.frames(message, push("tickers", TICKER | {"last": ""}))
    assert {made.state("BTC-USDT", "quotes"), made.state("BTC-USDT", "tickers")} == {"unverifiable"}


def test_a_bar_that_comes_again_after_silence_shows_that_nothing_was_missed() -> None:
    made = again_after_silence("candles", bar(0), bar(0, close="3"))
    assert made.verdict("BTC-USDT", "candles").by == "sequence"
    assert len(made.of(Candle)) == 2


def test_a_bar_that_is_as_it_was_after_a_reconnect_shows_that_nothing_was_missed() -> None:
    made = bench("candles")
    made.frames(bar(0))
    made.disconnect()
    made.connect()
    acknowledge(made)
    made.frame(bar(0))
    assert made.verdict("BTC-USDT", "candles").by == "sequence"


# -- the venue's status ------------------------------------------------------------------------------------------------


def test_the_status_is_asked_for_on_connecting_and_no_maintenance_is_online() -> None:
    made = made_of("status")
    made.connect()
    pongs(made, 1)
    fetch = made.reply(answer(), endpoint="status")
    assert fetch.path == "/api/v5/system/status"
    (record,) = made.of(VenueStatus)
    assert (record.instrument, record.status, record.venue_status, record.start_ts) == ("*", "online", "", None)


def test_both_markets_never_ask_for_the_status_at_the_same_time() -> None:
    made = made_of("status", market="perp")
    made.connect()
    pongs(made, 5)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing"]
    pongs(made, 3)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing", "status"]


def test_a_maintenance_is_published_whenever_it_changes_and_its_end_is_online() -> None:
    made = bench("status")
    made.frames(*(told(maintenance(state)) for state in ("scheduled", "scheduled", "ongoing", "pre_open", "completed")))
    assert [(one.status, one.venue_status) for one in made.of(VenueStatus)] == [
        ("online", "scheduled"), ("maintenance", "ongoing"), ("maintenance", "pre_open"), ("online", "completed"),
    ]  # fmt: skip
    first = made.of(VenueStatus)[0]
    assert (first.message, first.start_ts, first.end_ts) == ("WebSocket upgrade", T0_MS * 1000, (T0_MS + MINUTE) * 1000)


def test_a_maintenance_that_ended_while_nobody_listened_is_over() -> None:
    made = bench("status")
    pongs(made, 1)
    made.reply(answer(), endpoint="status")
    made.frame(told(maintenance("ongoing")))
    made.disconnect()
    made.connect()
    pongs(made, 100)
    assert "status" not in [fetch.endpoint for fetch in made.fetches]
    pongs(made, 25)
    made.reply(answer(), endpoint="status")
    assert [one.status for one in made.of(VenueStatus)] == ["online", "maintenance", "online"]


def test_a_maintenance_that_is_announced_does_not_hide_the_one_that_is_going_on() -> None:
    made = bench("status")
    going_on, announced = maintenance("ongoing"), maintenance("scheduled", title="later")
    pongs(made, 1)
    made.reply(answer(going_on, announced), endpoint="status")
    made.frames(told(announced | {"end": "1800000000000"}), told(maintenance("completed")))
    assert [(one.status, one.venue_status) for one in made.of(VenueStatus)] == [
        ("maintenance", "ongoing"), ("maintenance", "scheduled"), ("maintenance", "scheduled"), ("online", "completed"),
    ]  # fmt: skip


def test_a_maintenance_that_cannot_be_read_is_not_taken_for_none() -> None:
    made = bench("status")
    pongs(made, 1)
    made.reply(answer(maintenance("ongoing", end="soon")), endpoint="status")
    assert made.of(VenueStatus) == []


def test_a_maintenance_that_is_told_no_more_is_over_though_others_are() -> None:
    made = bench("status")
    worse, less, later = maintenance("ongoing"), maintenance("ongoing", serviceType="7", title="bots"), "1800000000000"
    announced = maintenance("scheduled", title="later", begin=later, end=later)
    for items in ((worse, less, announced), (less, announced), (announced,)):
        pongs(made, 3600)
        made.reply(answer(*items), endpoint="status")
    assert [(one.status, one.message) for one in made.of(VenueStatus)][2:] == [
        ("maintenance", "later"), ("degraded", "bots"), ("online", None),
    ]  # fmt: skip


def test_what_does_not_touch_market_data_is_no_maintenance_and_the_demo_is_nobodys_business() -> None:
    made = bench("status")
    made.frames(told(maintenance("ongoing", serviceType="7")), told(maintenance("ongoing", env="2", title="demo")))
    assert [one.status for one in made.of(VenueStatus)] == ["degraded"]


# -- swaps -------------------------------------------------------------------------------------------------------------


def test_swaps_are_not_subscribed_before_their_contracts_are_known() -> None:
    made = made_of("trades", market="perp")
    made.connect()
    made.reply(status=503)
    pongs(made, 8)
    assert made.sends == []
    pongs(made, 4)
    fetch = made.reply(answer(listed(SWAP)), endpoint="listing")
    assert dict(fetch.params) == {"instType": "SWAP"}
    assert asked(made) == [("subscribe", f"trades:{SWAP}")]


def test_every_record_of_a_swap_says_what_one_contract_is_worth() -> None:
    made = bench(
        "trades", "quotes", "tickers", "book", "candles", "funding", "open_interest", "liquidations", market="perp"
    )
    made.frames(
        trade(1, inst=SWAP),
        bbo(1, inst=SWAP),
        push("tickers", TICKER | {"instId": SWAP}, inst=SWAP),
        book(-1, 10, BIDS, ASKS, inst=SWAP),
        book(10, 11, [("100.5", "9")], inst=SWAP),
        {**bar(0), "arg": {"channel": "candle1m", "instId": SWAP}},
        push("funding-rate", {"instId": SWAP, "fundingRate": "-0.0001", "fundingTime": str(T0_MS)}, inst=SWAP),
        push("open-interest", {"instId": SWAP, "oi": "5000", "oiCcy": "50", "ts": str(T0_MS)}, inst=SWAP),
        liquidation(),
    )
    kinds = [type(record) for record in made.records]
    assert kinds == [
        Trade, Quote, Ticker, BookSnapshot, BookDelta, Candle, FundingRate, OpenInterest, Liquidation,
    ]  # fmt: skip
    assert {(one.instrument, one.symbol, one.market, one.contract_size) for one in made.records} == {
        ("BTC-USDT", SWAP, "perp", "0.01")
    }
    assert made.of(Ticker)[0].quote_volume is None
    assert (made.of(FundingRate)[0].rate, made.of(FundingRate)[0].next_rate) == ("-0.0001", None)
    assert (made.of(OpenInterest)[0].open_interest, made.of(OpenInterest)[0].base_value) == ("5000", "50")


def liquidation(inst: str = SWAP, **fields: str) -> dict[str, Any]:
    detail = {"bkLoss": "0", "bkPx": "99.5", "ccy": "", "posSide": "long", "side": "sell", "sz": "13"}
    data = [{"details": [detail | {"ts": str(T0_MS)} | fields], "instId": inst, "instType": "SWAP", "uly": "BTC-USDT"}]
    return {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": data}


def test_liquidations_of_what_was_not_asked_for_are_passed_over() -> None:
    made = bench("liquidations", market="perp")
    made.frames(liquidation(), liquidation("ETH-USDT-SWAP"), liquidation(side="buy"))
    assert [(one.instrument, one.side, one.price, one.size) for one in made.of(Liquidation)] == [
        ("BTC-USDT", "sell", "99.5", "13"),
        ("BTC-USDT", "buy", "99.5", "13"),
    ]
    assert made.dead == []
    made.frames(liquidation(bkPx="x"), liquidation(side="none"))
    assert [letter.reason for letter in made.dead] == ["value", "type"]


def test_an_inverse_contract_counts_dollars() -> None:
    made = made_of("instruments", "trades", instruments=("BTC-USD",), market="perp")
    made.connect()
    inverse = {"ctVal": "100", "ctValCcy": "USD", "settleCcy": "BTC"}
    made.reply(answer(listed("BTC-USD-SWAP", **inverse), listed("BTC-USD-SWAP-X"), listed("BTC-USDT-220624")))
    (record,) = made.of(Instrument)
    assert (record.instrument, record.contract_size, record.contract_currency, record.settle) == (
        "BTC-USD", "100", "USD", "BTC",
    )  # fmt: skip
    assert (record.base, record.quote) == ("BTC", "USD")


def test_a_row_of_the_listing_that_cannot_be_read_hides_no_other_and_says_nothing_of_its_own() -> None:
    made = made_of("trades", instruments=("BTC-USDT", "ETH-USDT"), market="perp")
    made.connect()
    made.reply(answer(listed(SWAP), listed("ETH-USDT-SWAP", tickSz="abc")))
    assert asked(made) == [("subscribe", f"trades:{SWAP}")]
    assert [(letter.channel, letter.reason) for letter in made.dead] == [("instruments", "value")]
    assert "ETH-USDT-SWAP" in made.dead[0].detail
    assert made.state("ETH-USDT", "trades") == "syncing"
    made.frame({"arg": {"channel": "instruments", "instType": "SWAP"}, "data": [listed("ETH-USDT-SWAP")]})
    assert asked(made) == [("subscribe", "trades:ETH-USDT-SWAP")]


def test_a_multiplier_makes_the_contract_unknown_rather_than_computed() -> None:
    made = made_of("instruments", market="perp")
    made.connect()
    made.reply(answer(listed(SWAP, ctMult="10")))
    assert [one.contract_size for one in made.of(Instrument)] == [None]


def test_on_a_foreign_tape_the_worth_of_a_contract_is_unknown_until_a_listing_tells() -> None:
    made = made_of(open_world=True, market="perp")
    made.connect()
    made.frame(trade(1, inst=SWAP))
    made.reply(answer(listed(SWAP)))
    made.frame(trade(2, inst=SWAP))
    assert [record.contract_size for record in made.of(Trade)] == [None, "0.01"]
