"""A core and a simulated venue on a damaged wire, and somebody who only has the records: are they right, or do they say
that they are not?
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random
from typing import NamedTuple

from collector.books.sync import BookSync
from collector.clock import Now
from collector.records import Gap, Level, Trade
from collector.venues import VENUES
from collector.venues.core import VenueCore
from collector.venues.protocol import Channel, CoreSettings, Fetch, Wanted
from simulator.markets import START_US
from tests.venues.damage import Damage, Wire
from tests.venues.exchange import Exchange, Sides
from tests.venues.kit import Bench, Consumer

PATIENCE = 600
"""Steps within which everything is repaired once nothing is damaged any more."""


class Case(NamedTuple):
    """What is run: a section of the configuration, the simulator's venue, the endpoint, and what is asked of it."""

    section: str
    venue: str
    path: str
    symbols: tuple[str, ...]
    channels: tuple[Channel, ...]
    depth: int = 50
    aggregates: str = ""
    """See `Exchange.trade_ids`."""
    proven: int = 1000
    """Levels a side that the venue's check covers."""
    dense: bool = True
    """Whether trade ids are known to be without holes from the first one on."""


SPOT: tuple[str, ...] = ("BTC-USDT", "ETH-USDT")
PERP: tuple[str, ...] = ("BTC-USDT-PERP", "ETH-USDT-PERP")
USD: tuple[str, ...] = ("BTC-USD", "ETH-USD")
PUBLIC = "/ws/v5/public"
CASES: dict[str, Case] = {
    "binance": Case("binance", "binance", "/stream", SPOT, ("book", "trades", "quotes")),
    "binance-shallow": Case("binance", "binance", "/stream", SPOT, ("book",), 5),
    "binance_usdm": Case("binance_usdm", "binance_usdm", "/public/stream", PERP, ("book", "quotes")),
    "binance_usdm-trades": Case("binance_usdm", "binance_usdm", "/market/stream", PERP, ("trades",), aggregates="own"),
    "okx": Case("okx", "okx", PUBLIC, SPOT, ("book", "trades", "quotes"), 400, "last", dense=False),
    "okx_swap": Case("okx_swap", "okx", PUBLIC, PERP, ("book", "trades"), 400, "last", dense=False),
    "coinbase": Case("coinbase", "coinbase", "", USD, ("book", "trades", "quotes")),
    "kraken": Case("kraken", "kraken", "/v2", USD, ("book", "trades", "quotes"), 10, proven=10),
    "kraken-25": Case("kraken", "kraken", "/v2", USD, ("book",), 25, proven=10),
}


class Clocked(Bench):
    """A bench in the simulator's time."""

    @property
    def now(self) -> Now:
        return Now(self.mono, START_US + self.mono // 1000)


class Session:
    """`plan`: what happens to the frames, one after the other; `in_band` (OKX): whether snapshots come on the stream."""

    def __init__(self, case: Case, seed: int, plan: list[Damage], *, in_band: bool = True, restarts: bool = False) -> None:
        self.case = case
        self.random = Random(seed)
        limits = {} if in_band or case.venue != "okx" else {"in_band_snapshot": 0.0}
        self.exchange = Exchange(case.venue, case.symbols, seed % 1000, limits)
        self.names = {symbol.removesuffix("-PERP"): symbol for symbol in case.symbols}
        venue = VENUES[case.section]
        wanted = [Wanted(name, channel) for name in self.names for channel in case.channels]
        self.core = venue.make_core(wanted, CoreSettings(depth=case.depth), venue.facts)
        self.bench = Clocked(self.core)
        self.consumers = {name: Consumer() for name in self.names}
        self.restarts = restarts
        self._taken = 0
        self._late: list[tuple[int, Fetch, int, bytes]] = []
        self.wire = Wire(plan, self._deliver)

    def connect(self) -> None:
        self._late.clear()
        self.exchange.connect(self.case.path)
        self.bench.fetches.clear()
        self.bench.sends.clear()
        self.bench.connect()
        self.pump()

    def pump(self) -> None:
        """Carry what either side has to say until both are quiet."""
        while self.bench.sends or self.exchange.outbox:
            sends, self.bench.sends = self.bench.sends, []
            for send in sends:
                self.exchange.venue.receive(self.exchange.client, send.text)
            while self.exchange.outbox:
                self.wire.push(self.exchange.outbox.popleft())

    def step(self, *, rest_fails: float = 0.1) -> None:
        """One moment: a market moves, requests are answered, half a second passes."""
        if self.restarts and self.random.random() < 0.03:
            self.exchange.restart_ids(self.random.choice(self.case.symbols))
        self.exchange.step(self.random.choice(self.case.symbols))
        self.pump()
        self.serve(rest_fails)
        self.bench.wait(0.5)
        self.exchange.keep(0.5)
        self.pump()
        self.check()
        if self.exchange.closed or self.bench.reconnects:
            self.bench.reconnects.clear()
            self.bench.disconnect()
            self.connect()

    def serve(self, rest_fails: float) -> None:
        """Answer requests by REST: what the venue says now, some moments later."""
        for fetch in self.bench.fetches:
            failed = self.random.random() < rest_fails
            status, body = (503, b"") if failed else self.exchange.get(fetch)
            self._late.append((self.random.randint(0, 3), fetch, status, body))
        self.bench.fetches.clear()
        due = [one for one in self._late if one[0] <= 0]
        self._late = [(wait - 1, *rest) for wait, *rest in self._late if wait > 0]
        for _, fetch, status, body in due:
            self.bench.fetches.insert(0, fetch)
            self.bench.reply(body, status=status)

    def _deliver(self, frame: bytes) -> None:
        self.bench.frame(frame)
        self.check()

    def run(self) -> None:
        """Until the plan is used up."""
        self.connect()
        while not self.wire.used_up:
            self.step()
        self.check_trades()

    def settle(self) -> None:
        """Nothing is damaged any more: what is missing shows, all books are in sync soon, and stay it."""
        for _ in range(20):
            self.step()
        for _ in range(PATIENCE):
            if self.in_sync():
                break
            self.step()
        for _ in range(4):
            assert self.in_sync(), {name: self.book(name).verdict for name in self.names}
            self.step(rest_fails=0.0)

    def in_sync(self) -> bool:
        return all(self.book(name).verdict.state == "in_sync" for name in self.names)

    # -- what must hold ----------------------------------------------------------------------------------------------

    def book(self, name: str) -> BookSync:
        assert isinstance(self.core, VenueCore)
        return next(
            stream.book
            for stream in self.core.by_name.values()
            if stream.book is not None and stream.who.instrument == name
        )

    def check(self) -> None:
        """Each book is the truth at its own id, or it says that it is not; who has the records has the book."""
        for record in self.bench.records[self._taken :]:
            if record.instrument in self.consumers:
                self.consumers[record.instrument].take(record)
        self._taken = len(self.bench.records)
        for name, consumer in self.consumers.items() if "book" in self.case.channels else ():
            held = self.book(name)
            if held.verdict.state != "in_sync":
                continue
            mine = held.book.top(self.case.proven)
            truths = self.truths(name, held)
            assert mine in truths or values(mine) in [values(truth) for truth in truths], (name, held.last, held.ts)
            assert consumer.valid
            assert consumer.levels() == held.book.top(self.case.depth)

    def truths(self, name: str, held: BookSync) -> list[Sides]:
        """What the book may be. Without an id or time (a flip may hide an optional one) it is that of some moment."""
        noted = self.exchange.truths[self.names[name]]
        at = held.last if self.exchange.venue.books_by_id else held.ts
        found = [sides for every in noted.values() for sides in every] if at is None else noted.get(at, [])
        proven = min(self.case.proven, held.book.limit)
        return [(bids[:proven], asks[:proven]) for bids, asks in found]

    def check_trades(self) -> None:
        """Each trade once, or inside a Gap, from the first one on; in the venue's own numbers."""
        for name, symbol in self.names.items() if "trades" in self.case.channels else ():
            records = [record for record in self.bench.of(Trade) if record.instrument == name]
            seen = [int(record.id) for record in records]
            assert len(seen) == len(set(seen))
            dense = self.case.dense or self.bench.state(name, "trades") == "in_sync"
            gaps = [gap for gap in self.bench.of(Gap) if (gap.channel, gap.instrument) == ("trades", name)]
            true = self.exchange.trade_ids(symbol, aggregates=self.case.aggregates)
            for ident in true if seen and dense else ():
                told = any((gap.first or 0) <= ident <= (gap.last or -1) for gap in gaps)
                assert ident in seen or told or not seen[0] <= ident <= max(seen)
            assert set(seen) <= set(true)
            if not self.case.aggregates:
                texts = self.exchange.venue.texts(symbol)
                ledger = {trade.id: trade for trade in self.exchange.venue.ledgers[symbol].trades()}
                for record in records:
                    trade = ledger[int(record.id)]
                    assert Decimal(record.price) == Decimal(texts.price(trade.tick))
                    assert Decimal(record.size) == Decimal(texts.size(trade.size))
                    assert record.side == trade.side

    def outcome(self) -> Counter[str]:
        """What became of it, to be counted."""
        count: Counter[str] = Counter()
        for name in self.names if "book" in self.case.channels else ():
            gaps = [gap for gap in self.bench.of(Gap) if (gap.channel, gap.instrument) == ("book", name)]
            state = self.book(name).verdict.state
            whole = "never broken" if not gaps else "resynced"
            count[f"book: {whole}" if state == "in_sync" else f"book: at the end {state}"] += 1
        for gap in {(gap.channel, gap.cause) for gap in self.bench.of(Gap)}:
            count[f"gap of {gap[0]}: {gap[1]}"] += 1
        for reason in {letter.reason for letter in self.bench.dead}:
            count[f"dead letter: {reason}"] += 1
        count["duplicate dropped"] += bool(self.bench.count("duplicate"))
        count["unverifiable for a while"] += any(
            (change.channel, change.verdict.state) == ("book", "unverifiable") for change in self.bench.verdicts
        )
        return count


def values(sides: tuple[list[Level], list[Level]]) -> list[list[tuple[Decimal, Decimal]]]:
    """By value: a flip may turn a trailing zero of a JSON number into a blank, which JSON allows."""
    return [[(Decimal(price), Decimal(size)) for price, size in side] for side in sides]
