"""Kraken's other channels: tickers beside quotes, bars without a mark, listings, the exchange's status."""

from __future__ import annotations

from typing import Any

import pytest

from collector.records import Candle, Gap, Instrument, Quote, Ticker, VenueStatus
from collector.venues.kraken import KrakenCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.kit import Bench, kraken_ack, kraken_instruments
from tests.venues.krakens import beating, bench

MINUTE = 60_000_000
BEGIN = 1_700_000_000_000_000 // MINUTE * MINUTE


def ticker(bid: str = "100.5", last: str = "100.6", volume: str = "9.10") -> str:
    day = f'"last":{last},"volume":{volume},"vwap":1.0,"low":99.0,"high":120.50,"change":-1,"change_pct":-1.0'
    best = f'"symbol":"BTC/USD","bid":{bid},"bid_qty":1.50,"ask":101.5,"ask_qty":2.5'
    return f'{{"channel":"ticker","type":"update","data":[{{{best},{day},"timestamp":"2023-11-14T22:13:20.5Z"}}]}}'


def begins(minute: int) -> str:
    return f"2023-11-14T22:{13 + minute:02d}:00.000000000Z"


def bars(*states: tuple[int, str], kind: str = "update", interval: int = 1, symbol: str = "BTC/USD") -> str:
    rows = ",".join(
        f'{{"symbol":"{symbol}","open":1.0,"high":9.50,"low":0.5,"close":{close},"vwap":1.0,"volume":7.10,'
        f'"trades":3,"interval_begin":"{begins(minute)}","interval":{interval},"timestamp":"{begins(minute + 1)}"}}'
        for minute, close in states
    )
    return f'{{"channel":"ohlc","type":"{kind}","data":[{rows}]}}'


def closes(made: Bench) -> list[tuple[int, bool, str]]:
    return [(bar.open_ts // MINUTE % 60 - 13, bar.closed, bar.close) for bar in made.of(Candle)]


def pairs(*listed: tuple[str, str], kind: str = "snapshot") -> dict[str, Any]:
    message = kraken_instruments(*(symbol for symbol, _ in listed))
    message["type"] = kind
    for pair, (_, status) in zip(message["data"]["pairs"], listed, strict=True):
        pair |= {"status": status, "price_increment": 0.1, "qty_increment": 1e-8, "qty_min": 0.0001, "cost_min": 0.5}
    return message


# -- tickers and quotes: one subscription


def test_quotes_and_tickers_are_one_subscription_and_both_are_acknowledged() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "quotes"), Wanted("BTC-USD", "tickers")], CoreSettings()))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    [asked] = made.sent()[1:]
    assert asked["params"] == {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo", "snapshot": True}
    made.frame(kraken_ack("ticker"))
    assert {made.state("BTC-USD", "quotes"), made.state("BTC-USD", "tickers")} == {"acknowledged"}


def test_tickers_alone_come_at_trades() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "tickers")], CoreSettings()))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    assert made.sent()[-1]["params"]["event_trigger"] == "trades"


def test_a_ticker_carries_the_venues_text_and_null_where_it_is_silent() -> None:
    made = bench("quotes", "tickers")
    assert made.frame(ticker()) == "quotes"
    [record] = made.of(Ticker)
    assert (record.last, record.volume, record.high, record.low) == ("100.6", "9.10", "120.50", "99.0")
    assert (record.bid, record.bid_size, record.open, record.quote_volume) == ("100.5", "1.50", None, None)
    assert record.ts == 1_700_000_000_500_000
    assert len(made.of(Quote)) == 1


def test_a_better_bid_is_a_quote_and_no_ticker() -> None:
    made = bench("quotes", "tickers")
    made.frames(ticker(), ticker(bid="100.7"), ticker(bid="100.7", last="100.7"))
    assert [quote.bid for quote in made.of(Quote)] == ["100.5", "100.7", "100.7"]
    assert [record.last for record in made.of(Ticker)] == ["100.6", "100.7"]


def test_a_ticker_that_was_stale_is_told_again_when_quotes_come_back_though_nothing_traded() -> None:
    made = bench("quotes", "tickers")
    made.frames(ticker(bid="100.1"))
    beating(made, 40)
    assert made.state("BTC-USD", "tickers") == "stale"
    made.frame(ticker(bid="100.2"))
    assert (made.verdict("BTC-USD", "tickers").state, made.verdict("BTC-USD", "tickers").reason) == ("unverifiable", "")
    assert len(made.of(Ticker)) == 2
    made.frame(ticker(bid="100.3"))
    assert len(made.of(Ticker)) == 2


def test_after_a_reconnect_the_first_ticker_closes_the_gap_even_if_nothing_traded() -> None:
    made = bench("quotes", "tickers")
    made.frame(ticker())
    made.disconnect()
    made.connect()
    made.forget()
    made.frame(ticker())
    assert [(gap.channel, gap.repaired_ts is not None) for gap in made.of(Gap)] == [("quotes", True), ("tickers", True)]
    assert len(made.of(Ticker)) == 1


def test_a_ticker_without_its_statistics_is_a_dead_letter_of_both() -> None:
    made = bench("quotes", "tickers")
    made.frame(ticker())
    made.frame('{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD"}]}')
    assert [letter.reason for letter in made.dead] == ["type"]
    assert made.verdict("BTC-USD", "tickers").reason.startswith("a message could not be decoded")


# -- candles


def test_bars_are_asked_for_in_minutes() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "candles")], CoreSettings(candle_interval="4h")))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    assert made.sent()[-1]["params"] == {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 240, "snapshot": True}


def test_a_bar_is_closed_when_the_next_begins() -> None:
    made = bench("candles")
    made.frames(bars((0, "2.0"), (1, "3.0"), (2, "4.00"), kind="snapshot"), bars((2, "5.0")), bars((3, "6.0")))
    assert closes(made) == [(2, False, "4.00"), (2, False, "5.0"), (2, True, "5.0"), (3, False, "6.0")]
    assert made.of(Candle)[0].high == "9.50"
    assert made.state("BTC-USD", "candles") == "unverifiable"


def test_a_bar_that_a_break_cut_off_is_closed_by_the_next_snapshot() -> None:
    made = bench("candles")
    made.frame(bars((2, "4.0"), kind="snapshot"))
    made.disconnect()
    made.connect()
    made.frame(bars((4, "9.0"), (2, "4.5"), (1, "3.0"), (3, "8.0"), kind="snapshot"))
    told = [(2, False, "4.0"), (2, False, "4.5"), (2, True, "4.5"), (3, False, "8.0"), (3, True, "8.0")]
    assert closes(made) == [*told, (4, False, "9.0")]
    assert made.of(Gap) == []


def test_a_bar_that_the_snapshot_does_not_show_again_is_a_gap_and_never_closed() -> None:
    made = bench("candles")
    made.frame(bars((2, "4.0"), kind="snapshot"))
    made.disconnect()
    made.connect()
    made.frame(bars((4, "9.0"), kind="snapshot"))
    assert closes(made) == [(2, False, "4.0"), (4, False, "9.0")]
    [gap] = made.of(Gap)
    assert (gap.channel, gap.cause, gap.count) == ("candles", "disconnect", 2)  # nobody knows of the one between them
    assert made.state("BTC-USD", "candles") == "gap"
    made.frame(bars((5, "1.0")))
    assert made.state("BTC-USD", "candles") == "unverifiable"


@pytest.mark.parametrize("broken", ["-4.5", '"4.5"', "{"])
def test_a_bar_whose_last_state_could_not_be_decoded_is_a_gap_and_never_closed(broken: str) -> None:
    made = bench("candles")
    made.frames(bars((2, "4.0")), bars((2, broken)), bars((3, "9.0")))
    assert closes(made) == [(2, False, "4.0"), (3, False, "9.0")]
    assert len(made.of(Gap)) == 1
    made.frames(bars((3, broken)), bars((3, "9.5")), bars((4, "1.0")))
    assert closes(made)[2:] == [(3, False, "9.5"), (3, True, "9.5"), (4, False, "1.0")]


@pytest.mark.parametrize("interval", [5, 7])
def test_a_bar_of_another_interval_is_refused(interval: int) -> None:
    made = bench("candles")
    made.frame(bars((0, "1.0"), interval=interval))
    assert [letter.detail for letter in made.dead] == [f"interval {interval} was not asked for"]
    assert made.of(Candle) == []


# -- instruments and status


def test_what_is_listed_is_told_once_and_again_when_it_changes() -> None:
    made = bench("instruments", listed=())
    made.forget()
    made.frames(pairs(("BTC/USD", "online")), pairs(("BTC/USD", "online")))
    [first] = made.of(Instrument)
    assert (first.instrument, first.base, first.quote, first.status) == ("BTC-USD", "BTC", "USD", "trading")
    assert (first.price_step, first.size_step, first.min_size, first.min_value) == ("0.1", "1e-08", "0.0001", "0.5")
    made.frame(pairs(("BTC/USD", "cancel_only"), kind="update"))
    assert [(one.status, one.venue_status) for one in made.of(Instrument)[1:]] == [("halted", "cancel_only")]


def test_a_pair_that_is_delisted_is_named_once_and_the_rest_goes_on() -> None:
    made = bench("trades", "instruments", instruments=("BTC-USD", "ETH-USD"), listed=("BTC/USD", "ETH/USD"))
    made.frames(pairs(("ETH/USD", "delisted"), kind="update"), pairs(("ETH/USD", "delisted"), kind="update"))
    assert made.verdict("ETH-USD", "trades").reason == "delisted"
    assert made.count("subscription_rejected") == 1
    assert made.of(Instrument)[-1].status == "delisted"
    assert made.state("BTC-USD", "trades") == "acknowledged"


def test_a_pair_that_is_listed_again_is_subscribed_again() -> None:
    made = bench("trades", listed=("ETH/USD",))
    assert made.state("BTC-USD", "trades") == "blocked"
    made.sent()
    made.frame(pairs(("BTC/USD", "online"), kind="update"))
    [asked] = made.sent()
    assert (asked["method"], asked["params"]["symbol"]) == ("subscribe", ["BTC/USD"])
    assert made.state("BTC-USD", "trades") == "syncing"


@pytest.mark.parametrize(
    ("system", "status"),
    [("online", "online"), ("cancel_only", "degraded"), ("maintenance", "maintenance"), ("odd", "unknown")],
)
def test_the_exchanges_own_status_is_a_record(system: str, status: str) -> None:
    made = Bench(KrakenCore([Wanted("*", "status")], CoreSettings()))
    made.connect()
    message = {"channel": "status", "type": "update", "data": [{"system": system, "version": "2.0.0"}]}
    assert made.frame(message) == "status"
    [record] = made.of(VenueStatus)
    assert (record.instrument, record.status, record.venue_status) == ("*", status, system)


def test_old_spellings_are_canonical() -> None:
    made = Bench(KrakenCore((), CoreSettings(open_world=True)))
    made.connect()
    made.frame(ticker().replace("BTC/USD", "XBT/USD"))
    assert [(quote.instrument, quote.symbol) for quote in made.of(Quote)] == [("BTC-USD", "XBT/USD")]


def test_bars_of_two_lengths_on_a_tape_close_none_of_each_other() -> None:
    made = Bench(KrakenCore((), CoreSettings(open_world=True)))
    made.connect()
    for minute in range(2, 5):
        made.frames(bars((minute, f"10.{minute}")), bars((2, f"50.{minute}"), interval=5))
    assert closes(made) == [(2, False, "10.2"), (2, True, "10.2"), (3, False, "10.3"), (3, True, "10.3"),
                            (4, False, "10.4")]  # fmt: skip
    assert {event.detail for event in made.events if event.kind == "not_spoken"} == {
        "ohlc of 5m beside another interval"
    }
