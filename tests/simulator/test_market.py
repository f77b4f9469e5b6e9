"""The market model and the ledger, without any socket."""

from itertools import pairwise

import pytest

from simulator.book import Book
from simulator.instruments import (
    binance_instrument,
    binance_usdm_instrument,
    kraken_instrument,
    parse_symbols,
    split_symbol,
)
from simulator.ledger import CHUNK, Ledger
from simulator.market import Market, Step, Trade
from simulator.text import decimal_text, iso_micros


def market(seed: int = 1, symbol: str = "ETH-USD") -> Market:
    return Market(kraken_instrument(symbol), seed, 0)


def content(step: Step) -> object:
    return step.first_id, step.last_id, step.changes, [(t.id, t.tick, t.size, t.side, t.aggregate) for t in step.trades]


def test_two_markets_of_one_seed_take_the_same_steps_whatever_the_clock_says() -> None:
    one, other = market(), market()
    for number in range(2000):
        assert content(one.step(None)) == content(other.step(1_000_000_000 + number))


def test_another_seed_or_symbol_gives_another_market() -> None:
    first = [content(market(1).step(None)) for _ in range(5)]
    assert first != [content(market(2).step(None)) for _ in range(5)]
    assert first != [content(market(1, "BTC-USD").step(None)) for _ in range(5)]


def test_a_book_is_never_crossed_and_keeps_its_depth_and_a_narrow_spread() -> None:
    one = market()
    spreads = []
    for _ in range(20_000):
        one.step(None)
        assert not one.book.crossed()
        (bid, _), (ask, _) = one.book.best()
        spreads.append(ask - bid)
    assert abs(len(one.book.bids) - 1200) < 20
    assert abs(len(one.book.asks) - 1200) < 20
    assert sum(spreads) / len(spreads) < 50


def test_the_first_book_of_btc_on_binance_is_deeper_than_the_largest_rest_answer() -> None:
    instrument = binance_instrument("BTC-USDT")
    assert instrument is not None
    first = Market(instrument, 1, 0)
    assert len(first.book.bids) > 5000
    assert len(first.book.asks) > 5000


def test_trade_ids_are_consecutive_and_times_rise() -> None:
    one = market()
    steps = [one.step(None) for _ in range(3000)]
    trades = [trade for step in steps for trade in step.trades]
    assert [t.id for t in trades] == list(range(trades[0].id, trades[0].id + len(trades)))
    assert all(a.ts_us < b.ts_us for a, b in pairwise(trades))
    assert all(a.ts_us < b.ts_us for a, b in pairwise(steps))
    assert {t.side for t in trades} == {"buy", "sell"}


def test_update_ids_have_no_hole_between_steps_and_one_id_for_each_change() -> None:
    one = market()
    last = one.last_id
    for _ in range(2000):
        step = one.step(None)
        assert step.first_id == last + 1
        assert step.last_id - step.first_id + 1 >= len(step.changes)
        last = step.last_id


def test_a_wall_clock_that_goes_back_does_not_turn_time_back() -> None:
    one = market()
    first = one.step(5_000_000).ts_us
    assert one.step(4_000_000).ts_us > first


def test_the_ledger_rebuilds_the_book_at_every_update_id_and_time() -> None:
    one = market()
    ledger = Ledger(one, 1_000_000)
    wanted = {}
    while one.last_id - ledger.first_id < CHUNK + 5000:  # over the border between two chunks
        step = one.step(None)
        ledger.record(step)
        if step.number % 500 == 0:
            wanted[one.last_id, one.ts_us] = (dict(one.book.bids.sizes), dict(one.book.asks.sizes))
    assert len(wanted) > 10
    for (update_id, ts_us), (bids, asks) in wanted.items():
        for book, _, _ in (ledger.book_at_id(update_id), ledger.book_at_time(ts_us)):
            assert (book.bids.sizes, book.asks.sizes) == (bids, asks)


def test_the_ledger_knows_the_book_in_the_middle_of_a_step() -> None:
    one = market()
    ledger = Ledger(one, 1_000_000)
    before = dict(one.book.bids.sizes), dict(one.book.asks.sizes)
    step = one.step(None)
    while len(step.changes) < 2:
        ledger.record(step)
        before = dict(one.book.bids.sizes), dict(one.book.asks.sizes)
        step = one.step(None)
    ledger.record(step)
    side, tick, size = step.changes[0]
    expected = Book(*before)
    expected.sides[side].set(tick, size)
    book, last_id, _ = ledger.book_at_id(step.first_id)
    assert last_id == step.first_id
    assert (book.bids.sizes, book.asks.sizes) == (expected.bids.sizes, expected.asks.sizes)


def test_a_full_ledger_lets_the_oldest_go_and_says_where_it_begins() -> None:
    one = market()
    ledger = Ledger(one, CHUNK)
    first = ledger.first_id
    while not ledger.dropped_changes:
        ledger.record(one.step(None))
    assert ledger.first_id > first
    with pytest.raises(LookupError, match=f"begins at {ledger.first_id}"):
        ledger.book_at_id(first)
    book, _, _ = ledger.book_at_id(one.last_id)
    assert book.bids.sizes == one.book.bids.sizes


def test_the_ledger_gives_trades_by_id_by_time_and_in_aggregates() -> None:
    one = market()
    ledger = Ledger(one, 1_000_000)
    trades: list[Trade] = []
    while len(trades) < 200:
        step = one.step(None)
        ledger.record(step)
        trades += step.trades
    assert ledger.trades() == trades
    assert ledger.trades(trades[10].id, trades[20].id) == trades[10:21]
    assert ledger.trades_after(trades[10].ts_us, 5) == trades[11:16]
    groups = ledger.aggregates(trades[0].aggregate, 10_000)
    assert [t for group in groups for t in group] == trades
    assert max(len(group) for group in groups) > 1
    assert all(len({(t.aggregate, t.tick, t.side) for t in group}) == 1 for group in groups)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(12, 3, "0.012"), (100, 2, "1.00"), (0, 8, "0.00000000"), (-5, 1, "-0.5"), (7, 0, "7")],
)
def test_numbers_keep_all_their_decimals(value: int, decimals: int, text: str) -> None:
    assert decimal_text(value, decimals) == text


def test_times_are_written_with_six_decimals() -> None:
    assert iso_micros(1_690_731_000_029_286) == "2023-07-30T15:30:00.029286Z"


@pytest.mark.parametrize(
    ("symbol", "parts"), [("BTC-USDT", ("BTC", "USDT", "spot")), ("BTC-USDT-PERP", ("BTC", "USDT", "perp"))]
)
def test_a_perpetual_has_the_base_and_quote_of_its_pair(symbol: str, parts: tuple[str, str, str]) -> None:
    assert split_symbol(symbol) == parts
    assert parse_symbols(symbol) == (symbol,)
    made = [make(symbol) for make in (binance_instrument, binance_usdm_instrument)]
    assert [(one.base, one.quote, one.kind) for one in made if one is not None] == [parts]


@pytest.mark.parametrize("text", ["", "BTCUSDT", "btc-usdt", "BTC-USDT,BTC-USDT", "BTC-PERP-PERP-X", "BTC--PERP"])
def test_a_wrong_list_of_symbols_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="symbol"):
        parse_symbols(text)
