"""What follows from trades alone: a day's statistics and candles.

It owns this arithmetic, in ticks and lots. It must never read a clock, write text or know a venue: a bar begins and
ends by the market's own time, so that the candles of a run follow from its trades and can be computed again from the
ledger.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from simulator.market import BUY, Trade

SECOND_US = 1_000_000
MONDAY_US = 4 * 86400 * SECOND_US  # 1970-01-05, the first Monday
HISTORY = 1000  # closed bars kept of each interval

Period = Callable[[int], tuple[int, int]]
"""The bar that a time falls into: its begin and its end (which belongs to the next), in microseconds."""


class Day:
    """A ticker's statistics, in ticks and lots, since the simulator started."""

    __slots__ = ("count", "first_id", "high", "last", "last_id", "last_size", "low", "opening", "turnover", "volume")

    def __init__(self, tick: int) -> None:
        self.opening = self.last = self.low = self.high = tick
        self.volume = self.turnover = self.last_size = self.count = 0  # turnover in ticks times lots
        self.first_id = self.last_id = -1

    def add(self, trades: Iterable[Trade]) -> None:
        """Count fills."""
        for trade in trades:
            if not self.count:
                self.first_id = trade.id
            self.last, self.last_size, self.last_id = trade.tick, trade.size, trade.id
            self.low, self.high = min(self.low, trade.tick), max(self.high, trade.tick)
            self.volume += trade.size
            self.turnover += trade.size * trade.tick
            self.count += 1

    def vwap(self) -> int:
        """The volume-weighted average price in ticks."""
        return self.turnover // self.volume if self.volume else self.last


@dataclass(slots=True)
class Candle:
    """One bar: prices in ticks, volumes in lots, turnovers in ticks times lots; `end_us` belongs to the next bar.

    `bought` and `bought_turnover` are what takers bought. A bar without trades has no ids (-1) and one price.
    """

    begin_us: int
    end_us: int
    opening: int
    high: int
    low: int
    closing: int
    volume: int = 0
    turnover: int = 0
    bought: int = 0
    bought_turnover: int = 0
    count: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, trade: Trade) -> None:
        """Count a fill."""
        tick, size = trade.tick, trade.size
        if not self.count:  # what an empty bar carried on from the one before is no price of its own
            self.first_id, self.opening, self.high, self.low = trade.id, tick, tick, tick
        self.last_id, self.closing = trade.id, tick
        self.high, self.low = max(self.high, tick), min(self.low, tick)
        self.volume += size
        self.turnover += size * tick
        if trade.side == BUY:
            self.bought += size
            self.bought_turnover += size * tick
        self.count += 1

    def vwap(self) -> int:
        """The volume-weighted average price in ticks."""
        return self.turnover // self.volume if self.volume else self.closing


def every(seconds: int, offset_us: int = 0) -> Period:
    """Bars of `seconds`, one of which begins at `offset_us` after the epoch."""
    length = seconds * SECOND_US

    def period(ts_us: int) -> tuple[int, int]:
        begin = ts_us - (ts_us - offset_us) % length
        return begin, begin + length

    return period


def months(ts_us: int) -> tuple[int, int]:
    """Calendar months in UTC."""
    begin = datetime.fromtimestamp(ts_us // SECOND_US, UTC).replace(day=1, hour=0, minute=0, second=0)
    later = begin.month == 12
    end = begin.replace(year=begin.year + later, month=1 if later else begin.month + 1)
    return int(begin.timestamp()) * SECOND_US, int(end.timestamp()) * SECOND_US


class Candles:
    """The bars of one market and interval: `current` (None before anything happened) and the last `closed` ones.

    `fill`: whether an interval without trades has a bar of its own, at the last price; else there is none.
    """

    __slots__ = ("_fill", "_period", "closed", "current")

    def __init__(self, period: Period, *, fill: bool, history: int = HISTORY) -> None:
        self._period = period
        self._fill = fill
        self.current: Candle | None = None
        self.closed: deque[Candle] = deque(maxlen=history)

    def take(self, trades: Iterable[Trade], ts_us: int) -> list[Candle]:
        """Count fills and move on to `ts_us`, at or after the last of them; the bars that closed by it."""
        closed: list[Candle] = []
        for trade in trades:
            closed += self._pass(trade.ts_us)
            if self.current is None:
                begin, end = self._period(trade.ts_us)
                self.current = Candle(begin, end, trade.tick, trade.tick, trade.tick, trade.tick)
            self.current.add(trade)
        return closed + self._pass(ts_us)

    def _pass(self, ts_us: int) -> list[Candle]:
        """Close what ended by `ts_us`. Long without trades, only the last `history` empty bars are made up."""
        bar = self.current
        if bar is None or ts_us < bar.end_us:
            return []
        closed, self.current = [bar], None
        if self._fill:
            tick, current = bar.closing, self._period(ts_us)
            missing, begin = deque[tuple[int, int]](), current[0]
            while begin > bar.end_us and len(missing) < (self.closed.maxlen or 0):
                missing.appendleft(self._period(begin - 1))
                begin = missing[0][0]
            closed += [Candle(*span, tick, tick, tick, tick) for span in missing]
            self.current = Candle(*current, tick, tick, tick, tick)
        self.closed.extend(closed)
        return closed

    def last(self, count: int) -> list[Candle]:
        """The last `count` bars, oldest first, the current one last."""
        bars = [*self.closed] if self.current is None else [*self.closed, self.current]
        return bars[-count:]
