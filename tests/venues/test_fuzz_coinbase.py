"""Whatever a wire does to Coinbase's messages, the books equal the exchange's or the verdict says otherwise."""

import json
from collections import deque
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.books.sync import BookSync
from collector.records import Gap, Level, Trade
from collector.venues.coinbase import CoinbaseCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.coinbases import book, heartbeat, listing, product, stamp, subscriptions, ticker, trades
from tests.venues.damage import PLANS, Damage, Wire
from tests.venues.kit import Bench, Consumer

Sides = tuple[list[Level], list[Level]]
PRODUCTS = ("BTC-USD", "ETH-USD")
LEVELS = 8


class Exchange:
    """Two tiny true markets and one connection to them, numbered as Coinbase does it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.number = 0
        self.beats = 0
        self.trades = dict.fromkeys(PRODUCTS, 100)
        self.bids = {name: {f"{100 - tick}.5": "1" for tick in range(LEVELS)} for name in PRODUCTS}
        self.asks = {name: {f"{101 + tick}.5": "1" for tick in range(LEVELS)} for name in PRODUCTS}
        self.asked: dict[str, list[str]] = {}
        self.outbox: deque[bytes] = deque()
        self.truth: dict[tuple[str, int], Sides] = {}
        """A book after the message with this number."""

    def sides(self, name: str) -> Sides:
        return (
            sorted(self.bids[name].items(), key=lambda level: -float(level[0])),
            sorted(self.asks[name].items(), key=lambda level: float(level[0])),
        )

    def step(self) -> None:
        """One moment of both markets, and a heartbeat."""
        for name in PRODUCTS:
            if self.random.random() < 0.8:
                self._change(name)
            if self.random.random() < 0.4:
                count = self.random.randint(1, 3)
                first = self.trades[name] + 1
                self.trades[name] += count
                self._tell("market_trades", name, trades(*range(first, first + count), product=name))
                self._tell("ticker", name, ticker(f"{first}", product=name))
        self._send(heartbeat(self.beats))
        self.beats += 1

    def _change(self, name: str) -> None:
        changes: dict[bool, dict[str, str]] = {True: {}, False: {}}
        for _ in range(self.random.randint(1, 3)):
            bid, tick = self.random.random() < 0.5, self.random.randint(0, LEVELS + 3)
            price = f"{100 - tick}.5" if bid else f"{101 + tick}.5"
            side = (self.bids if bid else self.asks)[name]
            side[price] = changes[bid][price] = f"{self.random.randint(1, 999) / 8}"
            if self.random.random() < 0.4 and len(side) > 2:
                del side[price]
                changes[bid][price] = "0"
        told = book("update", list(changes[True].items()), list(changes[False].items()), name, self.number % 1_000_000)
        self._tell("level2", name, told)

    def request(self, text: str) -> None:
        request = json.loads(text)
        channel, names = request["channel"], request.get("product_ids", ["heartbeats"])
        held = self.asked.setdefault(channel, [])
        for name in names:
            if request["type"] == "unsubscribe":
                held.remove(name)
            elif name not in held:
                held.append(name)
                self._begin(channel, name)
        self._send(subscriptions(**self.asked))

    def _begin(self, channel: str, name: str) -> None:
        if channel == "level2":
            self._tell(channel, name, book("snapshot", *self.sides(name), name))
        elif channel == "market_trades":
            last = self.trades[name]
            self._tell(channel, name, trades(*range(last - 4, last + 1), kind="snapshot", product=name))

    def _tell(self, channel: str, name: str, event: dict[str, Any]) -> None:
        if name in self.asked.get(channel, ()):
            if channel == "level2":
                self.truth[name, self.number] = self.sides(name)
            self._send(event)

    def _send(self, event: dict[str, Any]) -> None:
        body = {"channel": event["channel"], "client_id": "", "timestamp": stamp(), "sequence_num": self.number,
                "events": event["events"]}  # fmt: skip
        self.number += 1
        self.outbox.append(json.dumps(body, separators=(",", ":")).encode())


class Session:
    """A core on a damaged wire, and a consumer of its records."""

    def __init__(self, seed: int, plan: list[Damage]) -> None:
        self.market = Exchange(seed)
        wanted = [Wanted(name, channel) for name in PRODUCTS for channel in ("book", "trades", "quotes")]
        self.core = CoinbaseCore(wanted, CoreSettings())
        self.bench = Bench(self.core)
        self.consumers = {name: Consumer() for name in PRODUCTS}
        self._taken = 0
        self.wire = Wire(plan, self._deliver)
        self.bench.connect()
        self.pump()

    def _deliver(self, frame: bytes) -> None:
        self.bench.frame(frame)
        self.check()

    def pump(self) -> None:
        """Carry what either side has to say until both are quiet."""
        while self.bench.sends or self.market.outbox:
            sends, self.bench.sends = self.bench.sends, []
            for send in sends:
                self.market.request(send.text)
            while self.market.outbox:
                self.wire.push(self.market.outbox.popleft())

    def step(self) -> None:
        self.market.step()
        self.pump()
        self.bench.wait(1.0)
        while self.bench.fetches:
            if self.bench.fetches[0].endpoint == "listing":
                self.bench.reply(listing(*map(product, PRODUCTS)))
            else:
                self.bench.reply(status=503)
        self.pump()
        self.check()

    def book(self, name: str) -> BookSync:
        found = self.core.by_name[f"book:{name}"].book
        assert found is not None
        return found

    def check(self) -> None:
        """Each book is the truth at its own number, or it says that it is not."""
        for record in self.bench.records[self._taken :]:
            if record.instrument in self.consumers:
                self.consumers[record.instrument].take(record)
        self._taken = len(self.bench.records)
        for name, consumer in self.consumers.items():
            held = self.book(name)
            if held.verdict.state == "in_sync":
                assert held.last is not None
                assert held.book.top(1000) == self.market.truth[name, held.last]
                assert consumer.valid
                assert consumer.levels() == held.book.top(1000)

    def in_sync(self) -> bool:
        return all(self.book(name).verdict.state == "in_sync" for name in PRODUCTS)

    def check_trades(self) -> None:
        """Each trade once, or inside a Gap, from the first one on."""
        for name in PRODUCTS:
            seen = [int(record.id) for record in self.bench.of(Trade) if record.instrument == name]
            assert len(seen) == len(set(seen))
            holes = [gap for gap in self.bench.of(Gap) if (gap.channel, gap.instrument) == ("trades", name)]
            for ident in range(seen[0], max(seen) + 1) if seen else ():
                assert ident in seen or any(gap.first <= ident <= gap.last for gap in holes if gap.first and gap.last)


@given(st.integers(0, 2**32), PLANS)
def test_drop_double_delay_cut_or_flip_any_frames_and_the_books_are_right_or_the_verdict_says_otherwise(
    seed: int, plan: list[Damage]
) -> None:
    session = Session(seed, plan)
    while not session.wire.used_up:
        session.step()
    session.check_trades()


@given(st.integers(0, 2**32), PLANS)
def test_whatever_was_done_to_the_frames_the_books_are_in_sync_soon_after_it_ends(
    seed: int, plan: list[Damage]
) -> None:
    session = Session(seed, plan)
    while not session.wire.used_up:
        session.step()
    for _ in range(200):
        session.step()
        if session.in_sync():
            break
    for _ in range(3):
        assert session.in_sync()
        session.step()
    session.check_trades()
