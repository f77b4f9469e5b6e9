"""One venue's markets: moved on by steps, their truth written down, halted, delisted and listed during the run.

It owns what happens on a venue whether anybody listens or not. It must never send: `Venue`, which adds the wire, is
told what a step brought and when a listing or the state of the venue changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from simulator.clock import Clock
from simulator.errors import BadRequestError
from simulator.faults import Faults
from simulator.frames import Meter
from simulator.instruments import PERP, Instrument
from simulator.ledger import Ledger
from simulator.limits import nearest
from simulator.market import Market, Step
from simulator.perpetual import FUNDING_SECONDS, Perpetual
from simulator.statistics import Candle, Candles, Day, Period
from simulator.tape import TapeVenue

START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z: where time begins when nothing but steps moves it
TRADING, HALTED, DELISTED = "trading", "halted", "delisted"
LISTINGS = (TRADING, HALTED, DELISTED)
SYSTEM_STATUSES = ("online", "maintenance", "cancel_only", "post_only")


@dataclass(slots=True)
class World:
    """What the venues have in common. `running`: the wall clock dates the markets; else their steps do."""

    seed: int
    clock: Clock
    running: bool
    faults: Faults
    ledger_limit: int
    funding_seconds: int = FUNDING_SECONDS
    meter: Meter = field(default_factory=Meter)


class Markets:
    """Everything by canonical symbol: markets, ledgers, days (statistics), listings, and perpetuals where they are one.

    `system` is the state of the whole (one of SYSTEM_STATUSES) and what is said about it. A market whose listing is not
    TRADING takes no step. `closed_bars` are those of the last step, by the name of their interval.
    """

    name: ClassVar[str]
    empty_candles: ClassVar[bool] = True  # whether an interval without trades has a candle

    def __init__(self, world: World, instruments: Iterable[Instrument], tape: TapeVenue | None) -> None:
        self.world = world
        self.tape = tape
        self.markets: dict[str, Market] = {}
        self.ledgers: dict[str, Ledger] = {}
        self.perpetuals: dict[str, Perpetual] = {}
        self.days: dict[str, Day] = {}
        self.listings: dict[str, str] = {}
        self.system = ("online", "")
        self.closed_bars: dict[str, list[Candle]] = {}
        self._bars: dict[str, dict[str, Candles]] = {}
        listed = list(instruments)
        self._limit = world.ledger_limit // max(len(listed), 1)
        self.start_us = world.clock.wall_us() if world.running else START_US
        for one in listed:
            self.open(one, self.start_us)

    def open(self, instrument: Instrument, start_us: int) -> Market:
        """A new market, trading from `start_us` (microseconds) on."""
        symbol = instrument.symbol
        market = self.markets[symbol] = Market(instrument, self.world.seed, start_us)
        self.ledgers[symbol] = Ledger(market, self._limit)
        if instrument.kind == PERP:
            self.perpetuals[symbol] = Perpetual(market, self.world.seed, self.world.funding_seconds)
        self.days[symbol] = Day(instrument.start_tick)
        self.listings[symbol] = TRADING
        self._bars[symbol] = {}
        return market

    def now_us(self) -> int:
        """The venue's own clock in microseconds, with its skew."""
        if self.world.running or self.tape is not None or not self.markets:
            now = self.world.clock.wall_us()
        else:
            now = max(market.ts_us for market in self.markets.values())
        return now + self.skew_us()

    def skew_us(self) -> int:
        """How far a fault has put the venue's clock off; truth in the ledger does not follow it."""
        return self.world.faults.skew_us(self.name)

    def take(self, symbol: str) -> Step | None:
        """Take one step of one market and write it down; None when it does not trade."""
        if self.listings[symbol] != TRADING:
            return None
        market = self.markets[symbol]
        step = market.step(self.world.clock.wall_us() if self.world.running else None)
        self.ledgers[symbol].record(step)
        if step.trades:
            self.days[symbol].add(step.trades)
        if symbol in self.perpetuals:
            self.perpetuals[symbol].take(market, step)
        self.closed_bars = {name: bars.take(step.trades, step.ts_us) for name, bars in self._bars[symbol].items()}
        return step

    def candles(self, symbol: str, name: str, period: Period) -> Candles:
        """A market's candles of the interval `name`: made from the ledger when first asked for, kept up from then."""
        bars = self._bars[symbol].get(name)
        if bars is None:
            bars = self._bars[symbol][name] = Candles(period, fill=self.empty_candles)
            bars.take(self.ledgers[symbol].trades(), self.markets[symbol].ts_us)
        return bars

    def change_listing(self, symbol: str, status: object) -> None:
        """Halt, delist or resume a market.

        Raises:
            ValueError: the status is unknown.
        """
        if status not in LISTINGS:
            raise BadRequestError(f"unknown listing {status!r}{nearest(str(status), list(LISTINGS))}")
        self.listings[symbol] = str(status)

    def change_system(self, status: object, message: object) -> None:
        """Change the state of the whole venue. Markets go on: what it says is all that changes.

        Raises:
            ValueError: the status is unknown or the message no text.
        """
        if status not in SYSTEM_STATUSES:
            raise BadRequestError(f"unknown status {status!r}{nearest(str(status), list(SYSTEM_STATUSES))}")
        if not isinstance(message, str):
            raise BadRequestError(f"message must be a text, not {message!r}")
        self.system = (str(status), message)
