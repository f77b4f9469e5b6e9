"""A core and a simulated venue on a damaged wire, and somebody who only has the records: are they right, or do they say
that they are not?
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Literal, NamedTuple, get_args

from collector.books.sync import BookSync
from collector.clock import Now
from collector.records import Gap, Trade
from collector.venues import VENUES
from collector.venues.core import VenueCore
from collector.venues.protocol import Channel, CoreSettings, Fetch, Wanted
from simulator.markets import START_US
from tests.venues.damage import Damage, Wire
from tests.venues.exchange import Exchange, Sides
from tests.venues.kit import Bench, Consumer

PATIENCE = 600
"""Steps within which everything is repaired once nothing is damaged any more."""
AFTER = 14
"""Steps within which damage shows: both markets move."""
Way = Literal["in band", "by REST", "restarts"]
"""Where a book's snapshot comes; or the ids of a book begin again now and then."""
WAYS: tuple[Way, ...] = get_args(Way)


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
    """`plan`: what happens to the frames, one after the other; `way`: which of OKX's ways the exchange goes."""

    def __init__(self, case: Case, seed: int, plan: list[Damage], way: Way = "in band") -> None:
        self.case = case
        self.random = Random(seed)
        limits = {"in_band_snapshot": 0.0} if case.venue == "okx" and way == "by REST" else {}
        self.exchange = Exchange(case.venue, case.symbols, seed % 1000, limits)
        self.names = {symbol.removesuffix("-PERP"): symbol for symbol in case.symbols}
        venue = VENUES[case.section]
        wanted = [Wanted(name, channel) for name in self.names for channel in case.channels]
        self.core = venue.make_core(wanted, CoreSettings(depth=case.depth), venue.facts)
        self.bench = Clocked(self.core)
        self.consumers = {name: Consumer() for name in self.names}
        self.way = way
        self._taken = 0
        self._told: Counter[str] = Counter()
        self._checked: dict[str, object] = {}
        """What each book was when it was found right last."""
        self._cache: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}
        self._late: list[tuple[int, Fetch, int, bytes]] = []
        self.wire = Wire(plan if seed % 2 else [], self._deliver)
        self._plan = plan

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
        if self.way == "restarts" and self.random.random() < 0.03:
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
        """Answer requests by REST: what the venue says now or said before, some moments later."""
        for fetch in self.bench.fetches:
            failed = self.random.random() < rest_fails
            status, body = (503, b"") if failed else self.exchange.get(fetch)
            if not failed and self.random.random() >= rest_fails:
                self._cache[fetch.path, fetch.params] = body
            elif not failed:  # as a cache gives it
                body = self._cache.get((fetch.path, fetch.params), body)
            self._late.append((self.random.randint(0, 3), fetch, status, body))
        self.bench.fetches.clear()
        due = [one for one in self._late if one[0] <= 0]
        self._late = [(wait - 1, fetch, status, body) for wait, fetch, status, body in self._late if wait > 0]
        for _, fetch, status, body in due:
            self.bench.fetches.insert(0, fetch)
            self.bench.reply(body, status=status)

    def _deliver(self, frame: bytes) -> None:
        self.bench.frame(frame)
        self.check()

    def run(self) -> None:
        """Damage what comes, from the first message on or once all is in sync, and let the damage show."""
        self.connect()
        if self.wire.used_up:
            for _ in range(8):
                self.step(rest_fails=0.0)
            self.wire = Wire(self._plan, self._deliver)
        while not self.wire.used_up:
            self.step()
        for _ in range(AFTER):
            self.step()
        self.check_trades()

    def settle(self) -> None:
        """Nothing is damaged any more: all books are in sync soon, and stay it."""
        for _ in range(AFTER):
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
                self._told[record.instrument] += 1
        self._taken = len(self.bench.records)
        for name, consumer in self.consumers.items() if "book" in self.case.channels else ():
            held = self.book(name)
            state = (held.verdict, held.last, held.ts, self._told[name])
            if held.verdict.state != "in_sync" or self._checked.get(name) == state:
                continue
            self._checked[name] = state
            mine = held.book.top(self.case.proven)
            truths = self.truths(name, held)
            assert mine in truths, (name, held.last, held.ts)
            assert consumer.valid
            assert consumer.levels() == held.book.top(self.case.depth)

    def truths(self, name: str, held: BookSync) -> list[Sides]:
        """What the book may be. Without an id or time (a flip may hide an optional one) it is that of some moment."""
        at = held.last if self.exchange.venue.books_by_id else held.ts
        found = self.exchange.truths(self.names[name], at)
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
                    told_now = (record.price, record.size, record.side)
                    assert told_now == (texts.price(trade.tick), texts.size(trade.size), trade.side)

    def outcome(self) -> Counter[str]:
        """What became of it, to be counted: of the worse of its books, and what happened on the way."""
        found: set[str] = set()
        for gap in self.bench.of(Gap):
            found.add(f"gap of {gap.channel}: {gap.cause}")
        for letter in self.bench.dead:
            found.add(f"dead letter: {letter.reason}")
        if self.bench.count("duplicate"):
            found.add("duplicate dropped")
        if any((one.channel, one.verdict.state) == ("book", "unverifiable") for one in self.bench.verdicts):
            found.add("unverifiable for a while")
        if "book" in self.case.channels:
            states = {self.book(name).verdict.state for name in self.names} - {"in_sync"}
            broken = any(gap.channel == "book" for gap in self.bench.of(Gap))
            equal = "in the end equal, after a gap" if broken else "always equal"
            found.add(f"in the end {min(states)}" if states else equal)
        return Counter(found)
