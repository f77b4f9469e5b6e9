"""Days, candles and what a perpetual has of its own, without any socket."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from simulator.instruments import binance_usdm_instrument
from simulator.market import BUY, SELL, Market, Trade
from simulator.perpetual import Perpetual
from simulator.statistics import MONDAY_US, Candles, Day, Period, every, months

S = 1_000_000


def trade(number: int, seconds: float, tick: int, size: int = 1, side: str = BUY) -> Trade:
    return Trade(number, tick, size, side, int(seconds * S), number)


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * S


def test_a_day_counts_from_the_start() -> None:
    day = Day(100)
    assert (day.vwap(), day.last, day.count) == (100, 100, 0)
    day.add([trade(7, 1, 90, 2), trade(8, 2, 120, 1)])
    assert (day.opening, day.low, day.high, day.last) == (100, 90, 120, 120)
    assert (day.volume, day.turnover, day.vwap()) == (3, 300, 100)
    assert (day.first_id, day.last_id, day.last_size, day.count) == (7, 8, 1, 2)


def test_a_bar_closes_when_its_end_is_reached_and_not_before() -> None:
    bars = Candles(every(60), fill=False)
    assert bars.take([trade(1, 61, 100, 2), trade(2, 70, 90, 1, SELL), trade(3, 80, 95)], 119 * S) == []
    (bar,) = bars.take([], 120 * S)
    assert (bar.begin_us, bar.end_us) == (60 * S, 120 * S)
    assert (bar.opening, bar.high, bar.low, bar.closing) == (100, 100, 90, 95)
    assert (bar.volume, bar.bought, bar.count, bar.first_id, bar.last_id) == (4, 3, 3, 1, 3)
    assert (bar.turnover, bar.bought_turnover, bar.vwap()) == (385, 295, 96)
    assert bars.current is None
    assert list(bars.closed) == [bar]


def test_a_trade_after_the_end_closes_the_bar_and_opens_its_own() -> None:
    bars = Candles(every(60), fill=False)
    closed = bars.take([trade(1, 10, 100), trade(2, 200, 101)], 200 * S)
    assert [bar.begin_us for bar in closed] == [0]
    assert bars.current is not None
    assert (bars.current.begin_us, bars.current.opening) == (180 * S, 101)


def test_a_filled_interval_without_trades_has_one_price_and_no_ids() -> None:
    bars = Candles(every(60), fill=True)
    closed = bars.take([trade(1, 10, 100), trade(2, 200, 101)], 200 * S)
    assert [bar.begin_us // S for bar in closed] == [0, 60, 120]
    assert all(
        (b.opening, b.high, b.low, b.closing, b.count, b.first_id) == (100, 100, 100, 100, 0, -1) for b in closed[1:]
    )
    assert bars.current is not None
    assert (bars.current.opening, bars.current.closing, bars.current.low) == (101, 101, 101)


def test_a_long_silence_makes_up_only_as_many_bars_as_are_kept() -> None:
    bars = Candles(every(1), fill=True, history=5)
    closed = bars.take([trade(1, 0, 100)], 1_000_000 * S)
    assert [bar.begin_us // S for bar in closed] == [0, *range(999_995, 1_000_000)]
    assert [bar.begin_us // S for bar in bars.last(3)] == [999_998, 999_999, 1_000_000]


@pytest.mark.parametrize(
    ("period", "at", "begin", "end"),
    [
        (every(300), "2026-03-04T05:06:07", "2026-03-04T05:05:00", "2026-03-04T05:10:00"),
        (every(7 * 86400, MONDAY_US), "2026-03-04T05:06:07", "2026-03-02T00:00:00", "2026-03-09T00:00:00"),
        (months, "2026-02-28T23:59:59", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        (months, "2026-12-31T00:00:00", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_a_period_begins_and_ends_where_it_should(period: Period, at: str, begin: str, end: str) -> None:
    assert period(us(at)) == (us(begin), us(end))


def perpetual(seed: int, steps: int, funding_seconds: int = 3) -> tuple[Market, Perpetual, dict[int, Trade]]:
    instrument = binance_usdm_instrument("BTC-USDT-PERP")
    assert instrument is not None
    market = Market(instrument, seed, 0)
    one = Perpetual(market, seed, funding_seconds)
    trades: dict[int, Trade] = {}
    for _ in range(steps):
        step = market.step(None)
        one.take(market, step)
        trades |= {t.id: t for t in step.trades}
    return market, one, trades


def test_two_perpetuals_of_one_seed_are_equal_and_of_another_are_not() -> None:
    first, again, other = (perpetual(seed, 800)[1] for seed in (4, 4, 5))
    for kind in ("funding", "settlements", "open_interest", "liquidations"):
        assert list(getattr(first, kind)) == list(getattr(again, kind))
        assert list(getattr(first, kind)) != list(getattr(other, kind))


def test_funding_settles_on_time_at_the_rate_that_stood_and_mark_stays_near_the_book() -> None:
    market, one, _ = perpetual(4, 1000)  # ten seconds
    assert [paid.ts_us for paid in one.settlements] == [3 * S, 6 * S, 9 * S]
    for paid in one.settlements:
        before = [now for now in one.funding if now.ts_us < paid.ts_us][-1]
        assert (paid.rate, paid.mark, paid.settled) == (before.rate, before.mark, True)
        assert paid.next_us == paid.ts_us + 3 * S
    assert all(a.ts_us < b.ts_us for a, b in pairwise(one.funding))
    assert len({now.rate for now in one.funding}) > 10
    start = market.instrument.start_tick * 10**7
    assert all(abs(now.mark - start) < start // 100 and abs(now.index - start) < start // 100 for now in one.funding)


def test_a_liquidation_is_made_of_trades_of_the_market() -> None:
    _, one, trades = perpetual(4, 2000)
    assert len(one.liquidations) > 10
    for liquidation in one.liquidations:
        fills = [trades[number] for number in range(liquidation.first_trade, liquidation.last_trade + 1)]
        assert sum(fill.size for fill in fills) == liquidation.size
        assert {(fill.side, fill.tick) for fill in fills} == {(liquidation.side, liquidation.tick)}
    assert {liquidation.side for liquidation in one.liquidations} == {BUY, SELL}


def test_open_interest_moves_with_trades_and_is_never_negative() -> None:
    _, one, _ = perpetual(4, 2000)
    lots = [now.lots for now in one.open_interest]
    assert min(lots) >= 0
    assert any(b > a for a, b in pairwise(lots))
    assert any(b < a for a, b in pairwise(lots))
