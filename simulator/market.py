"""The market model: a book that lives around a slow random walk, and the trades that move it.

It owns how a market goes on from one step to the next. It must never read a clock, know a venue's wire or be told what
to do: its content is a pure function of (seed, venue, symbol, step number), so that two runs with one seed are equal;
time only decides when a step happens and which time it carries.
"""

from dataclasses import dataclass, field
from math import log
from random import Random

from simulator.book import ASK, BID, Book, Level
from simulator.instruments import Instrument

BUY, SELL = "buy", "sell"
STEP_US = 10_000  # how far a market's time moves with a step that no wall clock drives

_TRADE_SHARE = 0.20
_WALK_SHARE = 0.15
_FAR_SHARE = 0.12
_FLICKER_SHARE = 0.03
_LEAST_LEVELS = 30


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill. `side` is the taker's; `aggregate` numbers the fills of one taker order at one price."""

    id: int
    tick: int
    size: int
    side: str
    ts_us: int
    aggregate: int


@dataclass(slots=True)
class Step:
    """What one step did: level changes in order as (side, tick, lots), the fills, and whether the best prices moved.

    `first_id` to `last_id` are the update ids that it used up: one for each change, and some that show nothing.
    """

    number: int
    ts_us: int
    first_id: int
    last_id: int
    changes: list[tuple[int, int, int]] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    top_changed: bool = False


class Market:
    """One market of one venue. `step` is its only verb; everything else may only be read."""

    def __init__(self, instrument: Instrument, seed: int, start_us: int) -> None:
        self.instrument = instrument
        self.number = 0
        self.ts_us = start_us
        self._random = Random(f"{seed}:{instrument.venue}:{instrument.symbol}")
        self.last_id = self._random.randrange(10**9, 10**10)
        self.last_trade_id = self._random.randrange(10**6, 10**8)
        self.last_aggregate = self._random.randrange(10**6, 10**7)
        self.book = self._first_book()
        self.last_trade: Trade | None = None
        self._step = Step(0, start_us, 0, 0)

    def step(self, wall_us: int | None) -> Step:
        """Move on by one step at `wall_us` (microseconds), or STEP_US after the last when no wall clock drives."""
        self.number += 1
        ts_us = self.ts_us + STEP_US if wall_us is None else max(wall_us, self.ts_us + 1)
        step = self._step = Step(self.number, ts_us, self.last_id + 1, self.last_id)
        before = self.book.best()
        chance = self._random.random()
        if chance < _TRADE_SHARE:
            self._trade()
        elif chance < _TRADE_SHARE + _WALK_SHARE:
            self._walk()
        else:
            self._update()
        self._tighten()
        self._keep_depth()
        if self._random.random() < 0.05:
            self.last_id += 1 + int(self._random.random() * 3)
        self.last_id = max(self.last_id, step.first_id)
        step.last_id = self.last_id
        step.top_changed = self.book.best() != before
        if step.trades:
            self.last_trade = step.trades[-1]
            step.ts_us = max(ts_us, step.trades[-1].ts_us)
        self.ts_us = step.ts_us
        return step

    def _first_book(self) -> Book:
        instrument = self.instrument
        middle = instrument.start_tick
        sides: list[dict[int, int]] = []
        for direction in (-1, 1):
            tick, levels = middle, {}
            for _ in range(instrument.levels):
                tick += direction * (1 + int(self._random.random() * 3))
                if tick < 1:
                    break
                levels[tick] = self._size()
            sides.append(levels)
        return Book(*sides)

    def _size(self) -> int:
        lots = int(10 ** (4.0 + 5.0 * self._random.random()))
        return max(lots // self.instrument.lot_step, 1) * self.instrument.lot_step

    def _set(self, side: int, tick: int, size: int) -> None:
        self.book.sides[side].set(tick, size)
        self.last_id += 1
        self._step.changes.append((side, tick, size))

    def _near(self, mean: float) -> int:
        return int(-log(1.0 - self._random.random()) * mean)

    def _update(self) -> None:
        """A few levels are set, inserted or removed: most near the best prices, some anywhere in the book."""
        random = self._random.random
        for _ in range(1 + int(random() * 4)):
            side = ASK if random() < 0.5 else BID
            levels = self.book.sides[side]
            far = random() < _FAR_SHARE
            rank = int(random() * len(levels)) if far else min(self._near(8), len(levels) - 1)
            chance = random()
            if chance < 0.4:
                self._set(side, levels.nth(rank), self._size())
            elif chance < 0.7:
                if len(levels) > _LEAST_LEVELS:
                    self._set(side, levels.nth(rank), 0)
            else:
                outward = 1 if side == ASK else -1
                self._insert(side, levels.nth(rank) + outward * (int(random() * 5) - 2))
        if random() < _FLICKER_SHARE:  # comes and goes within one step: the removal of a level that nobody knew
            side = ASK if random() < 0.5 else BID
            tick = self.book.sides[side].nth(0) + (-1 if side == BID else 1)
            if tick not in self.book.sides[side].sizes and self._insert(side, tick):
                self._set(side, tick, 0)

    def _insert(self, side: int, tick: int) -> bool:
        """Set a level at `tick`, moved to its own side of the spread; False when there is no room for it."""
        (bid, _), (ask, _) = self.book.best()
        tick = min(tick, ask - 1) if side == BID else max(tick, bid + 1)
        if tick < 1:
            return False
        self._set(side, tick, self._size())
        return True

    def _trade(self) -> None:
        """A taker order takes from the best one or two levels, each in one to three fills."""
        random = self._random.random
        side, taken = (BUY, ASK) if random() < 0.5 else (SELL, BID)
        levels = self.book.sides[taken]
        for _ in range(1 if random() < 0.8 else 2):
            if len(levels) <= _LEAST_LEVELS:
                return
            tick = levels.nth(0)
            size = levels.sizes[tick]
            step = self.instrument.lot_step
            whole = random() < 0.5 or size <= 2 * step
            take = size if whole else max(int(size * random()) // step * step, step)
            self.last_aggregate += 1
            for fill in self._fills(take):
                self._fill(tick, fill, side)
            self._set(taken, tick, size - take)
            if not whole:
                return

    def _fills(self, take: int) -> list[int]:
        step = self.instrument.lot_step
        fills = []
        for _ in range(int(self._random.random() * 3)):
            part = int(take * self._random.random()) // step * step
            if step <= part < take:
                fills.append(part)
                take -= part
        return [*fills, take]

    def _fill(self, tick: int, size: int, side: str) -> None:
        self.last_trade_id += 1
        trades = self._step.trades
        ts_us = trades[-1].ts_us + 1 if trades else self._step.ts_us
        trades.append(Trade(self.last_trade_id, tick, size, side, ts_us, self.last_aggregate))

    def _walk(self) -> None:
        """The best prices move one way: up to two levels go from one side, and the other side follows."""
        random = self._random.random
        (bid, _), (ask, _) = self.book.best()
        start = self.instrument.start_tick
        pull = max(-0.3, min(0.3, (start - (bid + ask) / 2) / start * 20))
        gone, follows = (ASK, BID) if random() < 0.5 + pull else (BID, ASK)
        levels = self.book.sides[gone]
        for _ in range(1 + int(random() * 2)):
            if len(levels) > _LEAST_LEVELS:
                self._set(gone, levels.nth(0), 0)
        (bid, _), (ask, _) = self.book.best()
        spread = ask - bid
        if spread > 1:
            room = 1 + int(random() * (spread - 1))
            self._insert(follows, bid + room if follows == BID else ask - room)

    def _tighten(self) -> None:
        """Makers fill a wide spread again, soon but not always at once."""
        (bid, _), (ask, _) = self.book.best()
        spread = ask - bid
        if spread > 2 and self._random.random() < 0.7:
            inward = 1 + int(self._random.random() * (spread - 1))
            buys = self._random.random() < 0.5
            self._insert(BID if buys else ASK, bid + inward if buys else ask - inward)

    def _keep_depth(self) -> None:
        """Far levels come and go so that each side stays about as deep as it began."""
        for side, levels in enumerate(self.book.sides):
            surplus = len(levels) - self.instrument.levels
            if surplus > 4:
                last = len(levels) - 1
                self._set(side, levels.nth(last - int(self._random.random() * last / 10)), 0)
            elif surplus < -4:
                gap = 1 + int(self._random.random() * 3)
                self._insert(side, levels.nth(len(levels) - 1) + (gap if side == ASK else -gap))

    def top(self, depth: int | None = None) -> tuple[list[Level], list[Level]]:
        """Bids and asks, best first, each level as (tick, lots)."""
        return self.book.bids.top(depth), self.book.asks.top(depth)
