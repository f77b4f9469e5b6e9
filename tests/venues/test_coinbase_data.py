"""Coinbase's quotes, tickers, candles, instruments and state: what is published, and what a hole does to it."""

import json
from typing import Any

import pytest

from collector.records import Candle, Gap, Instrument, Quote, Ticker, Trade, VenueStatus
from collector.venues.coinbase import CoinbaseCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.feed.kit import replayed
from tests.recordings import lines, recording
from tests.venues.coinbases import (
    Coinbase,
    beating,
    bench,
    book,
    candles,
    heartbeat,
    holes,
    listing,
    product,
    reconnected,
    status,
    subscriptions,
    ticker,
    trades,
)
from tests.venues.kit import Bench

BAR = 1_775_521_800


# -- quotes and tickers ----------------------------------------------------------------------------------------------


def test_a_ticker_message_is_a_quote_and_a_ticker() -> None:
    made = bench("quotes", "tickers")
    made.say(ticker())
    (quote,), (seen,) = made.of(Quote), [record for record in made.records if isinstance(record, Ticker)]
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == ("100.00", "1.5", "101.00", "0.5")
    assert (seen.last, seen.open, seen.high, seen.low, seen.volume) == (
        "100.5",
        None,
        "110.00",
        "90.00",
        "15328.12345678",
    )
    assert quote.ts == seen.ts == 1_700_000_000_999_999
    assert {made.state("BTC-USD", "quotes"), made.state("BTC-USD", "tickers")} == {"in_sync"}


def test_a_ticker_of_which_only_the_quote_changed_is_a_quote_alone() -> None:
    made = bench("quotes", "tickers")
    made.says(ticker(), ticker(bid="100.25"), ticker("100.75"))
    assert [quote.bid for quote in made.of(Quote)] == ["100.00", "100.25", "100.00"]
    assert [record.last for record in made.records if isinstance(record, Ticker)] == ["100.5", "100.75"]


def test_both_are_subscribed_with_one_message() -> None:
    made = Coinbase(CoinbaseCore([Wanted("BTC-USD", "quotes"), Wanted("BTC-USD", "tickers")], CoreSettings()))
    made.connect()
    made.wait(3)
    assert made.asked() == [("subscribe", "heartbeats", ""), ("subscribe", "ticker", "BTC-USD")]


def test_a_book_without_one_side_gives_no_quote() -> None:
    made = bench("quotes", "tickers")
    made.say(ticker(best_ask="", best_ask_quantity=""))
    assert made.of(Quote) == []
    assert made.state("BTC-USD", "quotes") == "in_sync"  # there was a message, and none before it is missing
    assert [record.ask for record in made.records if isinstance(record, Ticker)] == [None]


def test_a_hole_is_a_gap_of_quotes_and_tickers_that_the_next_message_closes() -> None:
    made = bench("quotes", "tickers")
    made.say(ticker())
    made.skip()
    made.say(heartbeat(0))
    assert {made.state("BTC-USD", "quotes"), made.state("BTC-USD", "tickers")} == {"gap"}
    made.say(ticker())
    assert holes(made, "quotes") == holes(made, "tickers") == [(None, None, False), (None, None, True)]
    assert {made.state("BTC-USD", "quotes"), made.state("BTC-USD", "tickers")} == {"in_sync"}


def test_a_hole_is_a_gap_of_what_was_silent_for_long_too() -> None:
    made = bench("quotes", "tickers")
    made.says(ticker())
    made.wait(1)
    made.say(ticker("101"))
    beating(made, 40)
    assert {made.state("BTC-USD", "quotes"), made.state("BTC-USD", "tickers")} == {"stale"}
    made.skip()
    made.say(ticker("102"))
    assert holes(made, "quotes") == holes(made, "tickers") == [(None, None, False), (None, None, True)]


# -- candles ---------------------------------------------------------------------------------------------------------


def bars(made: Bench) -> list[tuple[int, str, bool]]:
    return [(r.open_ts // 10**6 - BAR, r.close, r.closed) for r in made.records if isinstance(r, Candle)]


def test_a_candle_is_closed_when_the_next_begins_and_not_before() -> None:
    made = bench("candles")
    made.says(candles((BAR, "1")), candles((BAR, "2")), candles((BAR + 300, "3"), (BAR, "2.5")))
    assert bars(made) == [(0, "1", False), (0, "2", False), (0, "2.5", False), (0, "2.5", True), (300, "3", False)]
    assert made.verdict("BTC-USD", "candles").by == "sequence"


def test_of_the_first_snapshot_only_the_newest_candle_is_told() -> None:
    made = bench("candles")
    made.say(candles((BAR, "1"), (BAR + 300, "2"), kind="snapshot"))
    assert bars(made) == [(300, "2", False)]


def test_the_snapshot_after_a_reconnect_closes_the_candles_that_ended_meanwhile() -> None:
    made = bench("candles")
    made.say(candles((BAR, "1")))
    reconnected(made)
    made.say(candles((BAR - 300, "0"), (BAR, "2"), (BAR + 300, "3"), (BAR + 600, "4"), kind="snapshot"))
    assert bars(made) == [
        (0, "1", False),
        (0, "2", False),
        (0, "2", True),
        (300, "3", False),
        (300, "3", True),
        (600, "4", False),
    ]
    assert made.of(Gap) == []


def test_a_candle_whose_end_was_lost_is_never_taken_for_closed() -> None:
    made = bench("candles")
    made.say(candles((BAR, "1")))
    made.skip()
    made.say(candles((BAR + 300, "3")))
    assert bars(made) == [(0, "1", False), (300, "3", False)]
    assert [gap.count for gap in made.of(Gap)] == [1]


def test_candles_that_the_snapshot_after_a_long_break_does_not_reach_are_a_gap() -> None:
    made = bench("candles")
    made.say(candles((BAR, "1")))
    reconnected(made)
    made.say(candles((BAR + 900, "3"), (BAR + 1800, "4"), kind="snapshot"))
    (gap,) = made.of(Gap)
    assert (gap.first, gap.last, gap.count) == (BAR * 10**6, (BAR + 600) * 10**6, 3)
    assert bars(made) == [(0, "1", False), (900, "3", False), (900, "3", True), (1800, "4", False)]


def test_a_candle_that_did_not_change_is_said_once() -> None:
    made = bench("candles")
    made.says(candles((BAR, "1")), candles((BAR, "1")))
    assert (bars(made), made.count("duplicate")) == ([(0, "1", False)], 0)


def test_streams_without_a_book_are_mended_at_once_and_then_only_now_and_again() -> None:
    made = bench("trades", "quotes", "candles")
    made.says(trades(1), ticker(), candles((BAR, "1")))
    asked = []
    for _ in range(7):
        made.skip()
        made.say(heartbeat(0))
        asked.append([channel for kind, channel, _ in made.asked() if kind == "subscribe"])
        made.wait(3)
    all_of_them = ["market_trades", "ticker", "candles"]
    assert asked == [all_of_them, [], [], [], all_of_them, [], []]


# -- instruments and the venue ---------------------------------------------------------------------------------------


def instruments(made: Bench) -> list[Instrument]:
    return [record for record in made.records if isinstance(record, Instrument)]


def test_the_listing_tells_an_instrument_and_a_pushed_word_that_agrees_is_no_news() -> None:
    made = Coinbase(CoinbaseCore([Wanted("BTC-USD", "instruments")], CoreSettings()))
    made.connect()
    made.wait(1)
    made.reply(listing(product("BTC-USD")))
    made.says(subscriptions(heartbeats=["heartbeats"]), subscriptions(status=["BTC-USD"]), status())
    (known,) = instruments(made)
    assert (known.base, known.quote, known.status, known.venue_status) == ("BTC", "USD", "trading", "online")
    assert (known.price_step, known.size_step, known.min_size, known.min_value) == ("0.01", "0.00000001", "0.0001", "1")
    assert made.state("BTC-USD", "instruments") == "unverifiable"


def test_a_row_with_a_number_that_is_none_hides_no_other() -> None:
    made = Coinbase(CoinbaseCore([Wanted("BTC-USD", "instruments")], CoreSettings()))
    made.connect()
    made.wait(1)
    made.reply(listing(product("ETH-USD", base_increment="n/a"), product("BTC-USD")), endpoint="listing")
    assert [record.symbol for record in instruments(made)] == ["BTC-USD"]
    assert [letter.reason for letter in made.dead] == ["value"]


def test_a_pushed_word_that_differs_is_published_and_the_listing_asked() -> None:
    made = Coinbase(CoinbaseCore([Wanted("BTC-USD", "instruments")], CoreSettings()))
    made.connect()
    made.wait(1)
    made.reply(listing(product("BTC-USD")))
    made.say(status("offline"))
    assert [(known.status, known.min_size) for known in instruments(made)] == [
        ("trading", "0.0001"),
        ("halted", "0.0001"),
    ]
    made.wait(2)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing"]


def test_a_delisted_word_is_no_news_of_what_the_listing_has_dropped() -> None:
    made = Coinbase(CoinbaseCore([Wanted("BTC-USD", "instruments")], CoreSettings()))
    made.connect()
    made.wait(1)
    made.reply(listing(product("BTC-USD"), product("ETH-USD")))
    made.wait(61)
    made.reply(listing(product("ETH-USD")), endpoint="listing")
    made.says(status("delisted"), status("delisted"))
    assert [known.venue_status for known in instruments(made)] == ["online", "not listed"]


@pytest.mark.parametrize(
    ("flags", "word", "state"),
    [
        ({"post_only": True}, "online post_only", "pre_open"),
        ({"cancel_only": True}, "online cancel_only", "halted"),
        ({"trading_disabled": True, "cancel_only": True}, "online trading_disabled", "halted"),
        ({"status": "offline"}, "offline", "halted"),
        ({"status": "delisted"}, "delisted", "delisted"),
        ({"status": "dreaming"}, "dreaming", "unknown"),
    ],
)
def test_a_products_flags_are_words_of_the_venue(flags: dict[str, Any], word: str, state: str) -> None:
    made = Coinbase(CoinbaseCore([Wanted("BTC-USD", "instruments")], CoreSettings()))
    made.connect()
    made.wait(1)
    made.reply(
        listing(
            product("BTC-USD", **{"word": "online"} | flags) if "status" not in flags else product("BTC-USD") | flags
        )
    )
    assert [(known.venue_status, known.status) for known in instruments(made)] == [(word, state)]


def test_one_of_two_products_that_is_halted_is_not_the_venues_state() -> None:
    made = Coinbase(CoinbaseCore([Wanted("*", "status")], CoreSettings()))
    made.connect()
    made.wait(1)
    made.reply(listing(product("BTC-USD"), product("ETH-USD", "zzz"), product("SOL-USD", trading_disabled=True)))
    assert [record.status for record in made.records if isinstance(record, VenueStatus)] == ["online"]


def test_the_venues_state_is_what_most_products_say_and_written_when_it_changes() -> None:
    made = Coinbase(CoinbaseCore([Wanted("*", "status")], CoreSettings()))
    made.connect()
    made.wait(1)
    made.reply(listing(product("BTC-USD"), product("ETH-USD"), product("XYZ-USD", "delisted")))
    for _ in range(2):
        made.wait(61)
        made.reply(listing(product("BTC-USD", cancel_only=True), product("ETH-USD", cancel_only=True)))
    made.wait(61)
    made.reply(listing(product("BTC-USD", "offline"), product("ETH-USD", "offline"), product("XYZ-USD")))
    seen = [record for record in made.records if isinstance(record, VenueStatus)]
    assert [(one.instrument, one.status, one.venue_status) for one in seen] == [
        ("*", "online", "online"), ("*", "degraded", "online cancel_only"), ("*", "offline", "offline"),
    ]  # fmt: skip


# -- real messages ---------------------------------------------------------------------------------------------------


def test_the_recorded_trades_are_met_but_for_the_side_that_cryptofeed_passes_through() -> None:
    (expected,) = lines("expected/coinbase.cryptofeed-current.jsonl")
    made = Bench(CoinbaseCore((), CoreSettings(open_world=True)))
    made.connect()
    made.frame(lines(expected["file"])[expected["line"] - 1]["raw"])
    ours = [(t.instrument, t.id, t.price, t.size, t.side, t.ts) for t in made.of(Trade)]
    theirs = [
        (t["symbol"], t["trade_id"], t["price"], t["size"], {"buy": "sell", "sell": "buy"}[t["side"]],
         round(t["timestamp"] * 1e6)) for t in reversed(expected["expected"])
    ]  # fmt: skip
    assert ours == theirs


def test_the_recorded_rest_ticker_is_an_answer_to_what_nobody_asks() -> None:
    (expected,) = lines("expected/coinbase.ccxt.jsonl")
    result = replayed(recording(expected["file"]))
    assert (result.code, result.records) == (0, [])
    assert "REST lines that nothing asked for: coinbase spot ticker 1" in result.err


def test_every_recorded_message_is_read() -> None:
    for line in lines("coinbase.ws.jkorf.jsonl"):
        made = Bench(CoinbaseCore((), CoreSettings(open_world=True)))
        made.connect()
        assert made.frame(line["raw"]) == {"trade": "trades"}.get(line["channel"], "control")
        assert made.dead == []


def test_a_tape_says_what_it_carries_by_carrying_it() -> None:
    made = Coinbase(CoinbaseCore((), CoreSettings(open_world=True)))
    made.connect()
    made.says(
        trades(1, 2, kind="snapshot"),
        ticker(),
        candles((BAR, "1")),
        status(),
        book("snapshot", [("1", "1")], [("2", "1")]),
    )
    assert {type(record).__name__ for record in made.records} == {
        "Trade", "Quote", "Ticker", "Candle", "Instrument", "BookSnapshot",
    }  # fmt: skip
    assert json.loads(made.sends[0].text) == {"type": "subscribe", "channel": "heartbeats"}
