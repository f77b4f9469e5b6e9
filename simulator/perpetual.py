"""What a perpetual has besides its book and trades: mark and index price, funding, open interest, liquidations.

It owns their course and the ledger of it. It must never read a clock nor write text: its content is a pure function of
(seed, venue, symbol, step number); time only decides when funding settles. Prices and rates count in units of 10^-8.
"""

from collections import deque
from dataclasses import dataclass, field
from random import Random

from simulator.instruments import SIZE_DECIMALS
from simulator.market import Market, Step, Trade
from simulator.statistics import Period, every

FUNDING_SECONDS = 8 * 3600  # what both Binance and OKX settle by, unless a contract says otherwise
KEPT = 100_000
_STEPS = 10  # between two marks
_BASE_RATE, _MOST_RATE = 10_000, 75_000  # 0.01 % and 0.075 % a period
_LIQUIDATED = 0.1  # of taker orders


@dataclass(frozen=True, slots=True)
class Funding:
    """The mark and index price and the rate as they stand; `settled`: the rate was paid, at `ts_us`."""

    ts_us: int
    mark: int
    index: int
    rate: int
    next_us: int
    settled: bool = False


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """All open contracts, in lots of the base currency."""

    ts_us: int
    lots: int


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A position closed by force: one taker order, whose fills are trades of the market. `side` is the taker's."""

    ts_us: int
    side: str
    tick: int
    size: int
    first_trade: int
    last_trade: int


@dataclass(slots=True)
class News:
    """What the last step brought."""

    funding: Funding | None = None
    settled: Funding | None = None
    open_interest: OpenInterest | None = None
    liquidations: list[Liquidation] = field(default_factory=list)


class Perpetual:
    """One perpetual beside its `Market`. The histories are the truth, the oldest dropped beyond KEPT entries."""

    def __init__(self, market: Market, seed: int, funding_seconds: int) -> None:
        instrument = market.instrument
        self._random = Random(f"{seed}:{instrument.venue}:{instrument.symbol}:perp")
        self._unit = 10 ** (SIZE_DECIMALS - instrument.price_decimals)
        self._period: Period = every(funding_seconds)
        self._basis = 0  # how far the index is from the middle of the book, in millionths
        self._rate = _BASE_RATE
        self._lots = self._random.randrange(10_000, 100_000) * 10**SIZE_DECIMALS
        self.funding: deque[Funding] = deque(maxlen=KEPT)  # every change of what stands
        self.settlements: deque[Funding] = deque(maxlen=KEPT)
        self.open_interest: deque[OpenInterest] = deque([OpenInterest(market.ts_us, self._lots)], maxlen=KEPT)
        self.liquidations: deque[Liquidation] = deque(maxlen=KEPT)
        self.now = self._stands(market, market.ts_us)
        self.funding.append(self.now)
        self.news = News()

    def _stands(self, market: Market, ts_us: int) -> Funding:
        (bid, _), (ask, _) = market.book.best()
        middle = (bid + ask) * self._unit // 2
        index = middle + middle * self._basis // 1_000_000
        return Funding(ts_us, (middle + 3 * index) // 4, index, self._rate, self._period(ts_us)[1])

    def take(self, market: Market, step: Step) -> None:
        """Go on by the step that the market has just taken; `news` says what came of it."""
        news = self.news = News()
        if step.trades:
            self._trades(step, news)
        if step.ts_us >= self.now.next_us:
            paid, now = self.now.next_us, self.now
            news.settled = Funding(paid, now.mark, now.index, now.rate, self._period(paid)[1], settled=True)
            self.settlements.append(news.settled)
        if step.number % _STEPS == 0:
            self._basis = max(-300, min(300, self._basis + int(self._random.random() * 21) - 10))
            moved = self._rate + int(self._random.random() * 401) - 200
            self._rate = max(-_MOST_RATE, min(_MOST_RATE, moved))
        if step.number % _STEPS == 0 or news.settled is not None:
            self.now = news.funding = self._stands(market, step.ts_us)
            self.funding.append(self.now)

    def _trades(self, step: Step, news: News) -> None:
        for order in _orders(step.trades):
            size = sum(trade.size for trade in order)
            chance = self._random.random()
            self._lots += size if chance < 0.4 else -min(size, self._lots) if chance < 0.8 else 0
            if self._random.random() < _LIQUIDATED:
                first, last = order[0], order[-1]
                news.liquidations.append(Liquidation(last.ts_us, first.side, first.tick, size, first.id, last.id))
        news.open_interest = OpenInterest(step.ts_us, self._lots)
        self.open_interest.append(news.open_interest)
        self.liquidations.extend(news.liquidations)


def _orders(trades: list[Trade]) -> list[list[Trade]]:
    orders: dict[int, list[Trade]] = {}
    for trade in trades:
        orders.setdefault(trade.aggregate, []).append(trade)
    return list(orders.values())
