"""Binance spot beyond trades, quotes and books: tickers, candles, the listing as it changes, the venue's own status."""

import json
from typing import Any

import pytest

from collector.records import Candle, Gap, Instrument, Ticker, Trade, VenueStatus
from collector.venues.binance import BinanceCore
from collector.venues.protocol import STATUS_NOT_ON_TAPE, CoreSettings, Wanted
from tests.venues.binances import (
    SPOT,
    START_MS,
    agg_trade,
    bench,
    data,
    fresh,
    kline,
    listed,
    listing,
    names,
    ticker,
)
from tests.venues.kit import Bench, binance_trade, book_ticker, depth, depth_book

MAINTENANCE = {"status": 1, "msg": "system_maintenance"}


def minutes(made: Bench) -> list[tuple[int, bool, str]]:
    return [((bar.open_ts // 1000 - START_MS) // 60_000, bar.closed, bar.close) for bar in made.of(Candle)]


# -- tickers -----------------------------------------------------------------------------------------------------------


def test_a_ticker_is_published_in_the_venues_text_and_proves_nothing() -> None:
    made = bench("binance", "tickers")
    assert made.frame(ticker()) == "tickers"
    (record,) = made.of(Ticker)
    assert (record.last, record.open, record.high, record.low) == ("100.10", "99.00", "110.0", "90.0")
    assert (record.volume, record.quote_volume, record.ts) == ("1234.500", "123450.0", START_MS * 1000)
    assert (record.bid, record.bid_size, record.ask, record.ask_size) == ("100.0", "1.5", "100.2", "2.50")
    assert made.state("BTC-USDT", "tickers") == "unverifiable"


@pytest.mark.parametrize("key", ["c", "o", "h", "l", "v", "q", "b", "B", "a", "A"])
@pytest.mark.parametrize("value", ["nan", "-1", "1 0", "", " 1", "1e5"])
def test_a_ticker_whose_numbers_are_none_is_a_dead_letter(key: str, value: str) -> None:
    made = bench("binance", "tickers")
    broken = ticker()
    broken["data"][key] = value
    made.frame(broken)
    assert made.of(Ticker) == []
    assert [letter.reason for letter in made.dead] == ["value"]


def test_an_interruption_of_tickers_is_a_gap_that_the_next_one_closes() -> None:
    made = bench("binance", "tickers")
    made.frame(ticker())
    made.disconnect()
    made.connect()
    made.frame(ticker("100.2"))
    assert [(gap.cause, gap.repaired_ts is None) for gap in made.of(Gap)] == [
        ("disconnect", True),
        ("disconnect", False),
    ]


# -- candles -----------------------------------------------------------------------------------------------------------


def test_the_wanted_interval_is_subscribed() -> None:
    made = fresh("binance", "candles", settings=CoreSettings(candle_interval="4h"))
    made.reply(SPOT)
    assert names(made) == [("SUBSCRIBE", ["btcusdt@kline_4h"])]


def test_a_bar_is_closed_when_the_venue_says_so_and_every_state_is_published() -> None:
    made = bench("binance", "candles")
    made.frames(kline(0), kline(0, close="10.6"), kline(0, close="10.7", closed=True), kline(1))
    assert minutes(made) == [(0, False, "10.5"), (0, False, "10.6"), (0, True, "10.7"), (1, False, "10.5")]
    bar = made.of(Candle)[0]
    assert (bar.open, bar.high, bar.low, bar.volume, bar.trades) == ("10.0", "11.00", "9.5", "3.250", 9)
    assert (bar.interval, bar.ts) == ("1m", (START_MS + 500) * 1000)
    assert (made.state("BTC-USDT", "candles"), made.verdict("BTC-USDT", "candles").by) == ("in_sync", "sequence")


def test_a_bar_that_did_not_change_while_the_connection_was_away_is_a_message_all_the_same() -> None:
    made = bench("binance", "candles")
    made.frame(kline(0))
    made.disconnect()
    made.connect()
    for request in made.sent():
        made.frame({"result": None, "id": request["id"]})
    made.frame(kline(0))
    assert made.state("BTC-USDT", "candles") == "in_sync"
    assert len(made.of(Candle)) == 1


def test_a_bar_that_was_never_seen_closed_is_a_gap_and_never_taken_for_closed() -> None:
    made = bench("binance", "candles")
    made.frames(kline(0), kline(3))
    (gap,) = made.of(Gap)
    assert gap.first == START_MS * 1000
    assert (gap.last, gap.count, gap.channel) == ((START_MS + 120_000) * 1000, 3, "candles")
    assert minutes(made) == [(0, False, "10.5"), (3, False, "10.5")]
    assert made.state("BTC-USDT", "candles") == "gap"


@pytest.mark.parametrize(
    "changed",
    [{"i": "5m"}, {"s": "ETHUSDT"}, {"T": START_MS}, {"t": START_MS - 60_000}, {"h": "NaN"}, {"v": "-1"}, {"x": None},
     {"n": "9"}, {"o": 5}],
)  # fmt: skip
def test_a_bar_that_breaks_the_protocol_is_a_dead_letter(changed: dict[str, Any]) -> None:
    made = bench("binance", "candles")
    made.frame(kline(0))
    made.frame(kline(0, **changed))
    assert len(made.dead) == len(made.of(Candle)) == 1
    assert made.state("BTC-USDT", "candles") == "unverifiable"


def test_a_month_has_no_one_length_so_its_bars_prove_nothing() -> None:
    made = Bench(BinanceCore((), CoreSettings(open_world=True)))
    made.connect()
    made.reply(status=STATUS_NOT_ON_TAPE)
    made.frames(kline(0, interval="1M", T=START_MS + 31 * 86_400_000))
    assert [bar.interval for bar in made.of(Candle)] == ["1M"]
    assert made.state("BTC-USDT", "candles") == "unverifiable"


def test_an_interval_that_the_venue_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="kline_1x"):
        fresh("binance", "candles", settings=CoreSettings(candle_interval="1x"))


# -- aggregates --------------------------------------------------------------------------------------------------------


def aggregates() -> Bench:
    return bench("binance", "trades", settings=CoreSettings(trade_stream="aggTrade"))


def test_a_fill_that_is_in_no_aggregate_is_a_gap_of_as_many_fills() -> None:
    made = aggregates()
    made.frames(agg_trade(1, 10, 12), agg_trade(2, 13, 13), agg_trade(3, 16, 16), agg_trade(4, 17, 18))
    assert [(gap.first, gap.last, gap.count, gap.cause) for gap in made.of(Gap)] == [(None, None, 2, "sequence")]
    assert [trade.id for trade in made.of(Trade)] == ["1", "2", "3", "4"]
    assert [change.verdict.state for change in made.verdicts] == ["in_sync", "gap", "in_sync"]


def test_the_fills_of_a_lost_late_or_repeated_aggregate_are_no_second_gap() -> None:
    made = aggregates()
    made.frames(agg_trade(1, 10, 12), agg_trade(3, 15, 15), agg_trade(2, 13, 14), agg_trade(4, 16, 16))
    assert [(gap.first, gap.last, gap.repaired_ts is None) for gap in made.of(Gap)] == [(2, 2, True), (2, 2, False)]
    made.frames(agg_trade(1, 10, 12), agg_trade(5, 17, 18))
    assert (len(made.of(Gap)), made.count("duplicate")) == (2, 1)


# -- the listing -------------------------------------------------------------------------------------------------------


def test_an_instrument_is_published_with_its_filters_as_the_venue_writes_them() -> None:
    made = fresh("binance", "instruments")
    made.reply(SPOT)
    (record,) = made.of(Instrument)
    assert (record.instrument, record.symbol, record.base, record.quote) == ("BTC-USDT", "BTCUSDT", "BTC", "USDT")
    assert (record.price_step, record.size_step, record.min_size) == ("0.01000000", "0.00001", "0.00010")
    assert (record.min_value, record.settle, record.contract_currency) == ("5.00", None, None)
    assert (record.status, record.venue_status, record.ts) == ("trading", "TRADING", START_MS * 1000)
    assert made.sends == []
    assert made.state("BTC-USDT", "instruments") == "unverifiable"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("BREAK", "halted"),
        ("HALT", "halted"),
        ("PRE_TRADING", "pre_open"),
        ("END_OF_DAY", "halted"),
        ("NEW", "unknown"),
    ],
)
def test_a_change_of_the_listing_is_published_when_it_is_refreshed(word: str, status: str) -> None:
    made = fresh("binance", "instruments")
    made.reply(SPOT)
    for symbols in ([listed("BTC", "USDT")], [listed("BTC", "USDT", word)]):
        made.wait(601)
        made.reply(listing(*symbols, at=START_MS + 1))
    assert [(one.status, one.venue_status) for one in made.of(Instrument)] == [("trading", "TRADING"), (status, word)]


def test_what_is_delisted_is_named_once_unsubscribed_and_free_again_when_it_is_listed_again() -> None:
    made = bench("binance", "book", "trades", "instruments", instruments=("BTC-USDT", "ETH-USDT"))
    for _ in range(2):
        made.wait(601)
        made.reply(listing(listed("ETH", "USDT")), endpoint="listing")
    assert made.count("subscription_rejected") == 2
    assert {made.verdict("BTC-USDT", channel).reason for channel in ("book", "trades")} == {"delisted"}
    assert (made.state("ETH-USDT", "trades"), made.state("ETH-USDT", "book")) != ("blocked", "blocked")
    assert [one.status for one in made.of(Instrument)] == ["delisted"]
    assert [method for method, streams in names(made) if "btcusdt@trade" in streams][-1] == "UNSUBSCRIBE"
    made.wait(601)
    made.reply(SPOT, endpoint="listing")
    assert ("SUBSCRIBE", ["btcusdt@depth@100ms", "btcusdt@trade"]) in names(made)
    assert made.of(Instrument)[-1].status == "trading"


def test_messages_that_were_on_their_way_when_a_symbol_was_delisted_do_not_bring_it_back() -> None:
    made = bench("binance", "book", "trades", "quotes")
    made.reply(depth_book(11, [("100", "1")], [("101", "1")]), endpoint="depth")
    made.frame(binance_trade(5))
    made.wait(601)
    made.reply(listing(listed("ETH", "USDT")), endpoint="listing")
    made.frames(depth(12, 12), binance_trade(6), book_ticker(13))
    assert {made.state("BTC-USDT", channel) for channel in ("book", "trades", "quotes")} == {"blocked"}
    assert "depth" not in [fetch.endpoint for fetch in made.fetches]
    assert [trade.id for trade in made.of(Trade)] == ["5", "6"]


def test_a_listing_of_nothing_delists_nothing() -> None:
    made = bench("binance", "trades")
    made.wait(601)
    made.reply(listing(), endpoint="listing")
    assert made.state("BTC-USDT", "trades") != "blocked"
    made.wait(62)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing"]


def test_a_book_of_a_symbol_that_the_venue_does_not_have_is_not_fetched_again() -> None:
    made = bench("binance", "book", instruments=("BTC-USDT", "ETH-USDT"))
    made.reply({"code": -1121, "msg": "Invalid symbol."}, status=400)
    made.reply(depth_book(10, [("100.0", "1")], [("101.0", "1")]))
    made.wait(100)
    assert (made.verdict("BTC-USDT", "book").reason, made.state("ETH-USDT", "book")) == ("not listed", "in_sync")
    assert made.count("subscription_rejected") == 1
    assert names(made) == [("UNSUBSCRIBE", ["btcusdt@depth@100ms"])]
    assert [fetch for fetch in made.fetches if fetch.symbol == "BTCUSDT"] == []


def test_a_reconnect_subscribes_what_is_known_and_refreshes_the_listing_at_leisure() -> None:
    made = bench("binance", "trades", "instruments")
    made.disconnect()
    assert made.state("BTC-USDT", "instruments") == "syncing"
    made.connect()
    assert names(made) == [("SUBSCRIBE", ["btcusdt@trade"])]
    made.wait(1)
    made.reply(SPOT)
    assert made.of(Instrument) == []
    assert made.state("BTC-USDT", "instruments") == "unverifiable"


# -- the venue's own status --------------------------------------------------------------------------------------------


def status() -> Bench:
    made = Bench(BinanceCore([Wanted("*", "status")], CoreSettings()))
    made.connect()
    made.reply(SPOT)
    made.wait(1)
    return made


def test_the_venues_status_is_asked_for_every_minute_and_published_when_it_changes() -> None:
    made = status()
    for body in ({"status": 0, "msg": "normal"}, {"status": 0, "msg": "normal"}, MAINTENANCE, {"status": 7}):
        (fetch,) = made.fetches
        assert (fetch.endpoint, fetch.path, fetch.params, fetch.weight) == ("status", "/sapi/v1/system/status", (), 1)
        made.reply(body)
        made.wait(61)
    told = [(one.instrument, one.status, one.venue_status, one.message) for one in made.of(VenueStatus)]
    assert told == [
        ("*", "online", "0", "normal"),
        ("*", "maintenance", "1", "system_maintenance"),
        ("*", "unknown", "7", None),
    ]
    assert made.sends == []


def test_a_status_that_stands_is_heard_and_told_again_only_on_a_new_connection() -> None:
    made = status()
    made.reply({"status": 0, "msg": "normal"})
    made.wait(61)
    made.reply({"status": 0, "msg": "normal"})
    assert len(made.of(VenueStatus)) == 1
    assert made.status("*", "status").last_message_us == made.now.wall_us
    made.disconnect()
    made.connect()
    made.wait(1)
    made.reply({"status": 0, "msg": "normal"}, endpoint="status")
    assert len(made.of(VenueStatus)) == 2
    assert made.state("*", "status") == "unverifiable"


@pytest.mark.parametrize("answer", [(0, b""), (503, b"<html>"), (429, b"{}")])
def test_a_status_that_could_not_be_had_says_nothing(answer: tuple[int, bytes]) -> None:
    made = status()
    made.reply(answer[1], status=answer[0])
    made.wait(61)
    assert (made.records, made.dead, made.events) == ([], [], [])
    made.reply({"status": 0, "msg": "normal"})
    assert len(made.of(VenueStatus)) == 1


def test_a_host_that_does_not_tell_the_status_is_named_once() -> None:
    made = status()
    for _ in range(3):
        made.reply(b"<html>", status=404)
        made.wait(61)
    assert [event.kind for event in made.events] == ["subscription_rejected"]
    assert made.verdict("*", "status").reason == "this host does not tell it: HTTP 404"
    made.reply({"status": 0, "msg": "normal"})
    assert made.state("*", "status") == "unverifiable"


def test_a_status_that_is_none_is_a_dead_letter() -> None:
    made = status()
    made.reply(b'{"status":"0"}')
    assert [(letter.channel, letter.reason) for letter in made.dead] == [("status", "type")]


def test_polls_do_not_pile_up_while_the_budget_is_paused() -> None:
    made = status()
    made.wait(1_000)
    assert sorted(fetch.endpoint for fetch in made.fetches) == ["listing", "status"]


# -- what only a tape carries ------------------------------------------------------------------------------------------


def test_a_tape_is_asked_for_nothing_but_its_listing() -> None:
    made = Bench(BinanceCore((), CoreSettings(open_world=True)))
    made.connect()
    made.reply(SPOT)
    made.frames(ticker(), kline(0))
    made.wait(2_000)
    assert made.fetches == []


def test_an_event_without_an_envelope_goes_to_its_own_stream() -> None:
    made = bench("binance", "tickers", "candles", "trades")
    assert [made.frame(one["data"]) for one in (ticker(), kline(0), binance_trade(1))] == [
        "tickers",
        "candles",
        "trades",
    ]
    assert made.dead == []
    made.frame({"e": "kline", "s": "BTCUSDT"})
    assert [letter.reason for letter in made.dead] == ["type"]


def test_the_stream_of_all_tickers_gives_each_symbol_its_own() -> None:
    made = Bench(BinanceCore((), CoreSettings(open_world=True)))
    made.connect()
    made.reply(SPOT)
    made.frame(data("!ticker@arr", [ticker()["data"], ticker(symbol="ETHUSDT")["data"]]))
    assert [record.instrument for record in made.of(Ticker)] == ["BTC-USDT", "ETH-USDT"]
    broken = ticker()["data"] | {"c": "x"}
    made.frame(data("!ticker@arr", [broken, ticker(symbol="ETHUSDT")["data"]]))
    assert len(made.of(Ticker)) == 3
    assert json.loads(made.dead[0].raw) == {"stream": "btcusdt@ticker", "data": broken}


# -- what only others' tapes carry


@pytest.mark.parametrize("answer", ['{"result":null,"id":"a-text"}', '{"result":null,"id":null}'])
def test_an_answer_to_somebody_elses_request_is_control_and_no_dead_letter(answer: str) -> None:
    made = Bench(BinanceCore((), CoreSettings(open_world=True)))
    made.connect()
    assert made.frame(answer) == "control"
    assert made.dead == []


def test_a_list_of_events_without_an_envelope_is_taken_one_by_one() -> None:
    made = Bench(BinanceCore((), CoreSettings(open_world=True)))
    made.connect()
    one = {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 7, "p": "1.0", "q": "2.0", "T": 1, "m": True, "M": True}
    assert made.frame(json.dumps([one, {**one, "t": 8}])) == "trades"
    assert [trade.id for trade in made.of(Trade)] == ["7", "8"]
    assert made.frame("[]") == "unknown"
    assert [letter.reason for letter in made.dead] == ["type"]
