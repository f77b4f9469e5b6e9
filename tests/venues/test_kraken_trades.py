"""Kraken's trades and quotes."""

import json

from collector.records import Gap, Quote, Trade
from tests.venues.kit import (
    kraken_ack,
    kraken_instruments,
    kraken_ticker,
    kraken_trade,
    kraken_trades,
)
from tests.venues.krakens import bench


def test_a_trade_is_published_with_its_own_numbers_and_the_takers_side() -> None:
    made = bench("trades")
    text = json.dumps(kraken_trade(7)).replace("100.5", "100.50").replace("0.25", "2.5E-1")
    assert made.frame(text) == "trades"
    (trade,) = made.of(Trade)
    assert (trade.id, trade.id_space, trade.price, trade.size, trade.side) == ("7", "trade", "100.50", "2.5E-1", "buy")
    assert (trade.ts, trade.seq, trade.symbol) == (1_700_000_000_000_007, None, "BTC/USD")
    assert made.verdict("BTC-USD", "trades").by == "sequence"


def test_the_trade_snapshot_after_an_interruption_fills_the_hole_and_repeats_nothing() -> None:
    made = bench("trades")
    made.frames(kraken_trade(1), kraken_trade(2))
    made.disconnect()
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    assert made.sent()[-1]["params"]["snapshot"] is True
    made.frame(kraken_trades(range(1, 6), kind="snapshot"))
    assert [trade.id for trade in made.of(Trade)] == ["1", "2", "3", "4", "5"]
    assert made.of(Gap) == []
    assert made.count("duplicate") == 2


def test_a_trade_snapshot_in_which_nothing_is_new_shows_that_nothing_was_missed() -> None:
    made = bench("trades")
    made.frames(kraken_trade(1), kraken_trade(2))
    made.disconnect()
    made.connect()
    made.frames(kraken_instruments("BTC/USD"), kraken_ack("trade"), kraken_trades([1], kind="snapshot"))
    assert made.state("BTC-USD", "trades") != "in_sync"
    made.frame(kraken_trades([1, 2], kind="snapshot"))
    assert made.state("BTC-USD", "trades") == "in_sync"
    assert (len(made.of(Trade)), made.of(Gap)) == (2, [])


def test_trades_lost_in_an_interruption_are_a_gap_with_its_cause() -> None:
    made = bench("trades")
    made.frame(kraken_trade(2))
    made.disconnect()
    made.connect()
    made.frames(kraken_instruments("BTC/USD"), kraken_trades(range(60, 110), kind="snapshot"))
    (gap,) = made.of(Gap)
    assert (gap.first, gap.last, gap.count, gap.cause, gap.channel) == (3, 59, 57, "disconnect", "trades")
    assert made.state("BTC-USD", "trades") == "in_sync"


def test_a_lost_trade_is_a_gap_and_a_late_one_repairs_it() -> None:
    made = bench("trades")
    made.frames(kraken_trade(1), kraken_trade(4))
    assert made.verdict("BTC-USD", "trades").reason == "trades 2..3 are missing"
    made.frames(kraken_trade(3), kraken_trade(3), kraken_trade(5))
    assert [trade.id for trade in made.of(Trade)] == ["1", "4", "3", "5"]
    assert [(gap.first, gap.last, gap.repaired_ts is not None) for gap in made.of(Gap)] == [(2, 3, False), (3, 3, True)]
    assert made.count("duplicate") == 1


def test_a_bad_trade_harms_only_itself_among_the_items_of_its_message() -> None:
    made = bench("trades")
    made.frame(
        json.dumps(kraken_trades([1, 2, 3])).replace('"timestamp": "2023-11-14T22:13:20.000002Z"', '"timestamp": "x"')
    )
    assert [trade.id for trade in made.of(Trade)] == ["1", "3"]
    assert [(gap.first, gap.last) for gap in made.of(Gap)] == [(2, 2)]
    assert [letter.reason for letter in made.dead] == ["value"]


def test_a_quote_is_published_and_cannot_be_verified() -> None:
    made = bench("quotes")
    assert made.frame(kraken_ticker()) == "quotes"
    (quote,) = made.of(Quote)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == ("100.5", "1.5", "101.5", "2.5")
    assert (quote.ts, quote.seq) == (None, None)
    assert made.state("BTC-USD", "quotes") == "unverifiable"


def test_quotes_lost_in_an_interruption_are_a_gap_that_the_next_quote_ends() -> None:
    made = bench("quotes")
    made.frame(kraken_ticker())
    made.disconnect()
    made.connect()
    made.frames(kraken_instruments("BTC/USD"), kraken_ticker(102.5))
    assert [(gap.cause, gap.repaired_ts is not None) for gap in made.of(Gap)] == [
        ("disconnect", False),
        ("disconnect", True),
    ]
