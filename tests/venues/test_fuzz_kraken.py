"""Whatever a wire does to Kraken's frames, the top ten levels equal the exchange's or the verdict says otherwise."""

import json
from collections import deque
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from collector.books.sync import BookSync
from collector.records import Gap, Level, Trade
from collector.venues.kraken import KrakenCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.damage import PLANS, Damage, Wire
from tests.venues.kit import (
    Bench,
    Consumer,
    as_text,
    kraken_ack,
    kraken_book,
    kraken_crc,
    kraken_instruments,
    kraken_trade,
)

Sides = tuple[list[Level], list[Level]]


class Exchange:
    """A tiny true market that serves one book subscription as Kraken does."""

    def __init__(self, seed: int, depth: int) -> None:
        self.random = Random(seed)
        self.depth = depth
        self.ticks = 0
        self.trades = 0
        self.bids = {f"{100 - tick}.0": "1.00000000" for tick in range(depth + 5)}
        self.asks = {f"{101 + tick}.0": "1.00000000" for tick in range(depth + 5)}
        self.subscribed = False
        self.outbox: deque[bytes] = deque()
        self.tops: dict[int, Sides] = {0: self.sides()}

    def sides(self) -> Sides:
        return (
            sorted(self.bids.items(), key=lambda level: -float(level[0]))[: self.depth],
            sorted(self.asks.items(), key=lambda level: float(level[0]))[: self.depth],
        )

    def step(self) -> None:
        """One moment: a few levels change; who is subscribed is told what changed within the depth."""
        before = self.sides()
        for _ in range(self.random.randint(1, 3)):
            bid = self.random.random() < 0.5
            tick = self.random.randint(0, self.depth + 8)
            price = f"{100 - tick}.0" if bid else f"{101 + tick}.0"
            side = self.bids if bid else self.asks
            side[price] = f"{self.random.randint(1, 999) / 8:.8f}"
            if self.random.random() < 0.4 and len(side) > self.depth + 1:
                del side[price]
        self.ticks += 1
        after = self.tops[self.ticks] = self.sides()
        if self.subscribed:
            bids = self._changes(before[0], after[0], self.bids)
            asks = self._changes(before[1], after[1], self.asks)
            if bids or asks:
                self._send(kraken_book("update", bids, asks, kraken_crc(*after), ticks=self.ticks))
        if self.random.random() < 0.4:
            self.trades += 1
            self._send(as_text(kraken_trade(self.trades)))

    @staticmethod
    def _changes(before: list[Level], after: list[Level], whole: dict[str, str]) -> list[Level]:
        """New and changed levels, and removals: never of a level that only fell out of the depth."""
        gone = [(price, "0.00000000") for price, _ in before if price not in whole]
        return gone + [level for level in after if level not in before]

    def request(self, text: str) -> None:
        request = json.loads(text)
        params = request["params"]
        if params["channel"] == "instrument":
            self._send(as_text(kraken_instruments("BTC/USD")))
            return
        if params["channel"] == "book":
            self.subscribed = request["method"] == "subscribe"
        self._send(as_text(kraken_ack(params["channel"], method=request["method"])))
        if params["channel"] == "book" and self.subscribed:
            top = self.sides()
            self._send(kraken_book("snapshot", *top, kraken_crc(*top), ticks=self.ticks))

    def _send(self, text: str) -> None:
        self.outbox.append(text.encode())


def values(side: list[Level]) -> list[tuple[Decimal, Decimal]]:
    """By value: a flip may turn a trailing zero into a blank, which JSON allows and the checksum pads again."""
    return [(Decimal(price), Decimal(size)) for price, size in side]


class Session:
    """A core on a damaged wire, and a consumer of its records."""

    def __init__(self, seed: int, plan: list[Damage], depth: int) -> None:
        self.market = Exchange(seed, depth)
        wanted = [Wanted("BTC-USD", "book"), Wanted("BTC-USD", "trades")]
        self.bench = Bench(KrakenCore(wanted, CoreSettings(depth=depth)))
        self.consumer = Consumer()
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
        while self.bench.fetches:
            self.bench.reply(status=503)
        self.bench.wait(1.0)
        self.bench.frame({"channel": "heartbeat"})
        self.pump()
        self.check()

    @property
    def book(self) -> BookSync:
        assert isinstance(self.bench.core, KrakenCore)
        book = self.bench.core.by_name["book:BTC/USD"].book
        assert book is not None
        return book

    def check(self) -> None:
        """The top ten are the truth at the book's own time, or it says that they are not."""
        for record in self.bench.records[self._taken :]:
            self.consumer.take(record)
        self._taken = len(self.bench.records)
        book = self.book
        if book.verdict.state != "in_sync":
            return
        # A flip may hide the time stamp, which is optional; the levels are then those of some moment.
        moments = self.market.tops if book.ts is None else [book.ts % 1_000_000]
        truths = [[values(side[:10]) for side in self.market.tops[moment]] for moment in moments]
        assert [values(side) for side in book.book.top(10)] in truths
        assert self.consumer.valid
        assert self.consumer.levels() == book.book.top(1000)

    def check_trades(self) -> None:
        """Each trade once, or inside a Gap."""
        seen = [int(record.id) for record in self.bench.of(Trade)]
        assert len(seen) == len(set(seen))
        holes = [gap for gap in self.bench.of(Gap) if gap.channel == "trades"]
        for ident in range(seen[0], max(seen) + 1) if seen else ():
            assert ident in seen or any(gap.first <= ident <= gap.last for gap in holes if gap.first and gap.last)


@given(st.integers(0, 2**32), PLANS, st.sampled_from([10, 25]))
def test_drop_double_delay_cut_or_flip_any_frames_and_the_top_ten_are_right_or_the_verdict_says_otherwise(
    seed: int, plan: list[Damage], depth: int
) -> None:
    session = Session(seed, plan, depth)
    while not session.wire.used_up:
        session.step()
    session.check_trades()


@given(st.integers(0, 2**32), PLANS)
def test_whatever_was_done_to_the_frames_the_book_is_in_sync_soon_after_it_ends(seed: int, plan: list[Damage]) -> None:
    session = Session(seed, [Damage("ok", 0), *plan], 10)  # a listing without this pair would rightly block it
    while not session.wire.used_up:
        session.step()
    for _ in range(400):
        session.step()
        if session.book.verdict.state == "in_sync":
            break
    assert session.book.verdict.state == "in_sync"
    for _ in range(3):
        session.step()
    assert session.book.verdict.state == "in_sync"
