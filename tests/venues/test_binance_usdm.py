"""Binance USDⓈ-M perpetuals: the `pu` chain, both paths of the split host, funding, open interest, liquidations."""

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
)
from collector.venues import VENUES
from collector.venues.binance import BinanceCore
from collector.venues.protocol import STATUS_NOT_ON_TAPE, Channel, CoreSettings
from tests.venues.binances import (
    START_MS,
    USDM,
    agg_trade,
    bench,
    contract,
    data,
    force_order,
    fresh,
    interest,
    kline,
    listing,
    mark_price,
    names,
    perp_book,
    perp_depth,
    perp_quote,
    ticker,
)
from tests.venues.kit import Bench

BIDS = [("100.0", "1.0"), ("99.0", "1.0")]
ASKS = [("101.0", "1.0"), ("102.0", "1.0")]
FACTS = VENUES["binance_usdm"].facts


def live(last: int = 100) -> Bench:
    """A book in sync at id `last`, as the snapshot left it."""
    made = bench("binance_usdm", "book")
    made.reply(perp_book(last, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"
    made.forget()
    return made


def tape() -> Bench:
    made = Bench(BinanceCore((), CoreSettings(open_world=True), FACTS))
    made.connect()
    made.reply(status=STATUS_NOT_ON_TAPE)
    return made


# -- what is asked for, and where --------------------------------------------------------------------------------------


def test_each_channel_is_served_on_one_path_and_the_venue_itself_says_nothing() -> None:
    served = {endpoint.path: set(endpoint.channels) for endpoint in FACTS.endpoints}
    assert served == {
        "/public/stream": {"quotes", "book"},
        "/market/stream": {
            "trades", "tickers", "candles", "instruments", "funding", "open_interest", "liquidations",
        },
    }  # fmt: skip
    assert len(FACTS.channels) == len(set(FACTS.channels))


def test_the_streams_have_the_names_of_this_product() -> None:
    wanted: tuple[Channel, ...] = ("book", "quotes", "trades", "tickers", "candles", "funding", "liquidations")
    made = fresh("binance_usdm", *wanted, settings=CoreSettings(candle_interval="5m"))
    (fetch,) = made.fetches
    assert (fetch.endpoint, fetch.path, fetch.weight) == ("listing", "/fapi/v1/exchangeInfo", 1)
    made.reply(USDM)
    kinds = ("depth@100ms", "bookTicker", "aggTrade", "ticker", "kline_5m", "markPrice@1s", "forceOrder")
    assert names(made) == [("SUBSCRIBE", [f"btcusdt@{kind}" for kind in kinds])]


@pytest.mark.parametrize(
    ("published", "limit", "weight"), [(10, "50", 2), (100, "100", 5), (400, "500", 10), (1000, "1000", 20)]
)
def test_a_snapshot_costs_what_its_depth_does(published: int, limit: str, weight: int) -> None:
    (fetch,) = bench("binance_usdm", "book", settings=CoreSettings(depth=published)).fetches
    assert (fetch.path, fetch.params) == ("/fapi/v1/depth", (("symbol", "BTCUSDT"), ("limit", limit)))
    assert fetch.weight == weight


def test_perpetuals_are_listed_those_on_shares_and_metals_too_and_no_other_futures() -> None:
    made = fresh("binance_usdm", "trades", instruments=("BTC-USDT", "TSLA-USDT", "ETH-USDT"))
    made.reply(
        listing(
            contract("BTC", "USDT"),
            contract("TSLA", "USDT", kind="TRADIFI_PERPETUAL"),
            contract("ETH", "USDT", kind="CURRENT_QUARTER", symbol="ETHUSDT_261225"),
        )
    )
    assert names(made) == [("SUBSCRIBE", ["btcusdt@aggTrade", "tslausdt@aggTrade"])]
    assert made.verdict("ETH-USDT", "trades").reason == "not listed"


@pytest.mark.parametrize(
    ("word", "status"),
    [("TRADING", "trading"), ("PENDING_TRADING", "pre_open"), ("SETTLING", "halted"), ("CLOSE", "delisted")],
)
def test_a_contract_is_an_instrument_that_settles_in_its_margin(word: str, status: str) -> None:
    made = fresh("binance_usdm", "instruments")
    made.reply(listing(contract("BTC", "USDT", word)))
    (record,) = made.of(Instrument)
    assert (record.market, record.instrument, record.settle, record.min_value) == ("perp", "BTC-USDT", "USDT", "100")
    assert (record.status, record.venue_status) == (status, word)


# -- books -------------------------------------------------------------------------------------------------------------


def test_the_first_update_spans_the_snapshot_and_each_other_names_the_one_before() -> None:
    made = bench("binance_usdm", "book")
    made.frames(perp_depth(90, 95, 80), perp_depth(97, 105, 95, bids=[("100.0", "2.0")]), perp_depth(120, 130, 105))
    made.reply(perp_book(100, BIDS, ASKS))
    assert [(delta.first_seq, delta.last_seq) for delta in made.of(BookDelta)] == [(97, 105), (120, 130)]
    (snapshot,) = made.of(BookSnapshot)
    assert (snapshot.market, snapshot.last_seq, snapshot.ts) == ("perp", 100, (START_MS + 100) * 1000)
    assert made.of(BookDelta)[0].ts == (START_MS + 105) * 1000
    assert (made.state("BTC-USDT", "book"), made.verdict("BTC-USDT", "book").by) == ("in_sync", "sequence")
    assert made.of(Gap) == []


def test_after_the_first_update_one_that_spans_the_book_without_naming_the_one_before_is_a_gap() -> None:
    made = bench("binance_usdm", "book")
    made.frame(perp_depth(97, 105, 95))
    made.reply(perp_book(100, BIDS, ASKS))
    made.frame(perp_depth(104, 110, 103))
    assert [(gap.cause, gap.channel) for gap in made.of(Gap)] == [("sequence", "book")]
    assert made.state("BTC-USDT", "book") == "gap"


def test_an_update_that_ends_where_the_snapshot_stands_is_in_it_already() -> None:
    made = bench("binance_usdm", "book")
    made.frames(perp_depth(95, 100, 90, bids=[("100.0", "2.0")]), perp_depth(110, 112, 100))
    made.reply(perp_book(100, BIDS, ASKS))
    assert [delta.last_seq for delta in made.of(BookDelta)] == [112]
    assert made.state("BTC-USDT", "book") == "in_sync"


@pytest.mark.parametrize(("first", "before"), [(102, 101), (150, 140)])
def test_a_snapshot_that_the_updates_do_not_reach_back_to_is_fetched_again(first: int, before: int) -> None:
    made = bench("binance_usdm", "book")
    made.frame(perp_depth(first, 160, before))
    made.reply(perp_book(100, BIDS, ASKS))
    assert made.of(BookSnapshot) == []
    made.reply(perp_book(155, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_ids_that_leap_are_no_gap_and_one_that_names_another_before_it_is() -> None:
    made = live()
    made.frames(perp_depth(99, 105, 98), perp_depth(500, 510, 105))
    assert made.of(Gap) == []
    made.frame(perp_depth(601, 610, 600))
    (gap,) = made.of(Gap)
    assert (gap.instrument, gap.market, gap.cause, gap.first) == ("BTC-USDT", "perp", "sequence", 511)
    assert made.state("BTC-USDT", "book") == "gap"
    made.reply(perp_book(605, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_an_update_that_names_none_before_it_is_a_gap() -> None:
    made = live()
    lone = perp_depth(101, 105, 100)
    del lone["data"]["pu"]
    made.frame(lone)
    assert made.state("BTC-USDT", "book") == "gap"


def test_an_update_seen_before_is_dropped() -> None:
    made = live()
    made.frames(perp_depth(101, 105, 100), perp_depth(101, 105, 100), perp_depth(95, 100, 90))
    assert len(made.of(BookDelta)) == 1
    assert made.count("duplicate") == 2


def test_a_silent_book_is_compared_with_a_small_rest_book() -> None:
    made = live()
    made.frame(perp_depth(101, 105, 100))
    made.wait(12)
    (fetch,) = made.fetches
    assert (fetch.endpoint, fetch.params[1], fetch.weight) == ("check", ("limit", "50"), 2)
    made.reply(perp_book(105, BIDS, ASKS))
    assert made.state("BTC-USDT", "book") == "in_sync"


@pytest.mark.parametrize(("levels", "known"), [(499, None), (500, "501.0")])
def test_a_limit_that_was_not_named_is_this_products_own(levels: int, known: str | None) -> None:
    made = bench("binance_usdm", "book")
    deep = [(f"{1000 - level}.0", "1") for level in range(levels)]
    made.reply(perp_book(100, deep, [("1001.0", "1")]), request="GET https://x/fapi/v1/depth?symbol=BTCUSDT")
    assert made.of(BookSnapshot)[0].known_bid == known


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_quote_has_the_time_of_its_transaction() -> None:
    made = bench("binance_usdm", "quotes")
    made.frame(perp_quote(7))
    (quote,) = made.of(Quote)
    assert (quote.ts, quote.seq, quote.market) == ((START_MS + 7) * 1000, 7, "perp")


def test_what_the_insurance_fund_trades_has_ids_and_is_no_gap() -> None:
    made = bench("binance_usdm", "trades")
    made.frames(agg_trade(1, 10, 12), agg_trade(2, 14, 14), agg_trade(4, 16, 16))
    assert [(gap.first, gap.last) for gap in made.of(Gap)] == [(3, 3)]
    assert [(trade.market, trade.id_space) for trade in made.of(Trade)] == [("perp", "aggTrade")] * 3


def test_a_ticker_tells_no_best_bid_and_ask() -> None:
    made = bench("binance_usdm", "tickers")
    made.frame(ticker(best=False))
    (record,) = made.of(Ticker)
    assert (record.last, record.bid, record.bid_size, record.ask, record.ask_size) == ("100.10", None, None, None, None)


def test_a_candle_is_that_of_spot() -> None:
    made = bench("binance_usdm", "candles")
    made.frame(kline(0, closed=True))
    assert [(bar.market, bar.closed) for bar in made.of(Candle)] == [("perp", True)]


@pytest.mark.parametrize("rate", ["0.00010000", "-0.00032100", "0"])
def test_a_funding_rate_has_the_marks_and_the_time_of_its_payment(rate: str) -> None:
    made = bench("binance_usdm", "funding")
    made.frame(mark_price(rate))
    (record,) = made.of(FundingRate)
    assert (record.rate, record.funding_ts, record.next_rate) == (rate, (START_MS + 3_600_000) * 1000, None)
    assert (record.mark_price, record.index_price, record.ts) == ("100.50000000", "100.40000000", START_MS * 1000)


@pytest.mark.parametrize(("side", "told"), [("SELL", "sell"), ("BUY", "buy")])
def test_a_liquidation_has_the_side_of_the_order(side: str, told: str) -> None:
    made = bench("binance_usdm", "liquidations")
    assert made.frame(force_order(side)) == "liquidations"
    assert made.frame(force_order(side)["data"]) == "liquidations"
    record = made.of(Liquidation)[1]
    assert (record.side, record.price, record.average_price, record.size) == (told, "99.10", "99.25", "0.014")
    assert record.ts == (START_MS - 9) * 1000
    assert made.dead == []


def test_liquidations_missed_in_an_interruption_are_a_gap_also_where_none_had_come_yet() -> None:
    made = bench("binance_usdm", "liquidations")
    made.disconnect()
    made.connect()
    made.disconnect()
    made.connect()
    made.frame(force_order())
    assert [(gap.cause, gap.first, gap.repaired_ts is not None) for gap in made.of(Gap)] == [
        ("disconnect", None, False),
        ("disconnect", None, True),
    ]


@pytest.mark.parametrize(
    ("message", "keys", "value"),
    [(mark_price(), ("r",), "--1"), (mark_price(), ("r",), ""), (mark_price(), ("p",), "-1"),
     (mark_price(), ("T",), "1"),
     (force_order(), ("o", "S"), "HOLD"), (force_order(), ("o", "q"), "-1"), (force_order(), ("o", "s"), "ETHUSDT"),
     (perp_quote(1), ("a",), "1 0"), (perp_quote(1), ("T",), "x"), (agg_trade(1, 1, 1), ("f",), None)],
)  # fmt: skip
def test_what_breaks_the_protocol_is_a_dead_letter(message: dict[str, Any], keys: tuple[str, ...], value: str) -> None:
    made = bench("binance_usdm", "funding", "liquidations", "quotes", "trades")
    broken = {"stream": message["stream"], "data": {**message["data"]}}
    holder = broken["data"]
    for key in keys[:-1]:
        holder[key] = {**holder[key]}
        holder = holder[key]
    holder[keys[-1]] = value
    made.frame(broken)
    assert made.records == []
    assert len(made.dead) == 1


# -- open interest -----------------------------------------------------------------------------------------------------


def test_open_interest_is_asked_for_every_half_minute_for_each_instrument_that_is_listed() -> None:
    made = fresh("binance_usdm", "open_interest", instruments=("BTC-USDT", "ETH-USDT", "NO-USDT"))
    made.wait(5)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing"]
    made.reply(USDM)
    for _ in range(2):
        made.wait(1)
        assert [(fetch.path, fetch.params, fetch.weight) for fetch in made.fetches] == [
            ("/fapi/v1/openInterest", (("symbol", symbol),), 1) for symbol in ("BTCUSDT", "ETHUSDT")
        ]
        made.reply(interest())
        made.reply(interest("5", "ETHUSDT"))
        made.wait(29.5)
    told = [(one.instrument, one.open_interest, one.base_value, one.ts) for one in made.of(OpenInterest)]
    assert told[:2] == [("BTC-USDT", "10659.509", None, START_MS * 1000), ("ETH-USDT", "5", None, START_MS * 1000)]
    assert len(told) == 4
    assert made.sends == []
    assert made.verdict("NO-USDT", "open_interest").reason == "not listed"


@pytest.mark.parametrize(("status", "body"), [(0, b""), (503, b""), (429, b"{}"), (403, b"<html>")])
def test_an_open_interest_that_cannot_be_had_is_stale_after_a_while(status: int, body: bytes) -> None:
    made = bench("binance_usdm", "open_interest")
    made.wait(1)
    made.reply(interest())
    for _ in range(60):
        made.wait(5)
        while made.fetches:
            made.reply(body, status=status)
    assert made.state("BTC-USDT", "open_interest") == "stale"
    assert (made.dead, made.sends) == ([], [])
    made.wait(31)
    made.reply(interest(), endpoint="open_interest")
    assert made.state("BTC-USDT", "open_interest") == "unverifiable"


@pytest.mark.parametrize(
    ("body", "reason"), [(b"{}", "type"), (interest("-1"), "value"), (interest("1", "X"), "value")]
)
def test_an_open_interest_that_is_none_is_a_dead_letter(body: Any, reason: str) -> None:
    made = bench("binance_usdm", "open_interest")
    made.wait(1)
    made.reply(body)
    assert [(letter.channel, letter.reason) for letter in made.dead] == [("open_interest", reason)]


# -- what only a tape carries ------------------------------------------------------------------------------------------


def test_streams_of_all_symbols_give_each_its_own() -> None:
    made = tape()
    pair = [mark_price()["data"], mark_price(symbol="ETHUSDT")["data"]]
    assert made.frame(data("!markPrice@arr", pair)) == "funding"
    assert made.frame(data("!forceOrder@arr", force_order()["data"])) == "liquidations"
    assert [record.instrument for record in made.of(FundingRate)] == ["BTC-USDT", "ETH-USDT"]
    assert len(made.of(Liquidation)) == 1


def test_a_partial_book_is_a_snapshot_with_its_time() -> None:
    made = tape()
    update = perp_depth(5, 9, 4, BIDS, ASKS)["data"]
    made.frame(data("btcusdt@depth20", update))
    (snapshot,) = made.of(BookSnapshot)
    assert (snapshot.cause, snapshot.last_seq, snapshot.ts) == ("partial", 9, (START_MS + 9) * 1000)


def test_dated_futures_are_counted_as_not_spoken() -> None:
    made = tape()
    assert made.frame(data("btcusdt_261225@aggTrade", {})) == "unknown"
    assert [event.detail for event in made.events] == ["dated future"]
    assert made.dead == []


# -- blind spots -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "noticed"),
    # A first id that is wrong does no harm while the one before is named right: sizes are absolute.
    [({"U": 90}, False), ({"U": 104}, False), ({"pu": 99}, True), ({"pu": 101}, True), ({"u": 104}, True),
     ({"u": 106}, True), ({"E": 1}, False), ({"b": [("99.0", "7.0")]}, False)],
)  # fmt: skip
def test_what_a_changed_digit_of_an_update_does(changed: dict[str, Any], noticed: bool) -> None:  # noqa: FBT001 - a table
    made = live()
    made.frame(perp_depth(98, 100, 97))
    first = perp_depth(101, 105, 100, bids=[("99.0", "5.0")])
    first["data"].update(changed)
    made.frames(first, perp_depth(111, 115, 105))
    assert bool(made.of(Gap)) == noticed
