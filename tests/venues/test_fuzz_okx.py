"""Whatever a wire does to OKX's frames, the book equals the exchange's at its own id or its verdict says otherwise."""

import json
from collections import deque
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.books.sync import BookSync
from collector.records import Gap, Level, Trade
from collector.venues.okx import OkxCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.damage import PLANS, Damage, Wire
from tests.venues.kit import Bench, Consumer, as_text
from tests.venues.okxs import T0_MS, answer, book, listed, rest_book, trade

Sides = tuple[list[Level], list[Level]]
DEPTH = 400


class Exchange:
    """A tiny true market that serves one book and its trades as OKX does; `in_band` or not."""

    def __init__(self, seed: int, *, in_band: bool) -> None:
        self.random = Random(seed)
        self.in_band = in_band
        self.seq = 100_000_000
        self.ticks = 0
        self.trades = 100
        self.bids = {f"{100 - tick}.5": "1" for tick in range(8)}
        self.asks = {f"{101 + tick}.5": "1" for tick in range(8)}
        self.subscribed = False
        self.outbox: deque[bytes] = deque()
        self.truth: dict[int, Sides] = {self.seq: self.sides()}

    def sides(self) -> Sides:
        return (
            sorted(self.bids.items(), key=lambda level: -float(level[0])),
            sorted(self.asks.items(), key=lambda level: float(level[0])),
        )

    def step(self) -> None:
        self.ticks += 1
        before = self.seq
        bids: list[Level] = []
        asks: list[Level] = []
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            bid = self.random.random() < 0.5
            side, changes = (self.bids, bids) if bid else (self.asks, asks)
            price = f"{100 - self.random.randint(0, 9)}.5" if bid else f"{101 + self.random.randint(0, 9)}.5"
            size = str(self.random.randint(1, 999))
            if self.random.random() < 0.3 and len(side) > 3:
                size = "0"
                side.pop(price, None)
            else:
                side[price] = size
            changes.append((price, size))
        if self.random.random() < 0.03:
            self.seq -= 100_000  # maintenance
        elif bids or asks:
            self.seq += self.random.randint(1, 9)
        self.truth[self.seq] = self.sides()
        if self.subscribed:
            self.send(book(before, self.seq, bids, asks, ms=T0_MS + self.ticks * 1000))
        if self.random.random() < 0.5:
            count = self.random.randint(1, 3)
            self.trades += count
            self.send(trade(self.trades, count))

    def request(self, text: str) -> None:
        if text == "ping":
            self.outbox.append(b"pong")
            return
        request = json.loads(text)
        for arg in request["args"]:
            if arg["channel"] == "books":
                self.subscribed = request["op"] == "subscribe"
            self.send({"id": request["id"], "event": request["op"], "arg": arg, "connId": "a"})
            if arg["channel"] == "books" and self.subscribed and self.in_band:
                self.send(book(-1, self.seq, *self.sides(), ms=T0_MS + self.ticks * 1000))

    def send(self, message: dict[str, Any]) -> None:
        self.outbox.append(as_text(message).encode())


def values(side: list[Level]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in side]


class Session:
    """A core on a damaged wire, and a consumer of its records."""

    def __init__(self, seed: int, plan: list[Damage], *, in_band: bool) -> None:
        self.market = Exchange(seed, in_band=in_band)
        wanted = [Wanted("BTC-USDT", "book"), Wanted("BTC-USDT", "trades")]
        self.bench = Bench(OkxCore(wanted, CoreSettings(depth=DEPTH)))
        self.consumer = Consumer()
        self._taken = 0
        self.wire = Wire(plan, self._deliver)
        self.bench.connect()
        self.bench.reply(answer(listed("BTC-USDT")), endpoint="listing")
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
        for endpoint in [fetch.endpoint for fetch in self.bench.fetches]:
            whole = rest_book(self.market.seq, *self.market.sides(), ms=T0_MS + self.market.ticks * 1000)
            self.bench.reply(whole if endpoint in ("depth", "check") else answer(listed("BTC-USDT")), endpoint=endpoint)
        self.bench.wait(1.0)
        self.pump()
        self.check()

    @property
    def book(self) -> BookSync:
        assert isinstance(self.bench.core, OkxCore)
        found = self.bench.core.by_name["books:BTC-USDT"].book
        assert found is not None
        return found

    def check(self) -> None:
        """The book is the truth at its own id, or it says that it is not."""
        for record in self.bench.records[self._taken :]:
            self.consumer.take(record)
        self._taken = len(self.bench.records)
        mine = self.book
        if mine.verdict.state != "in_sync":
            return
        assert mine.last is not None
        truth = self.market.truth
        # A flip may cut an id's last zero off, which only the next update shows: the levels are right all the same.
        moments = [truth[mine.last]] if mine.last in truth else truth.values()
        mine_now = [values(side) for side in mine.book.top(DEPTH)]
        assert any(mine_now == [values(side) for side in sides] for sides in moments)
        assert self.consumer.valid
        assert self.consumer.levels() == mine.book.top(DEPTH)

    def check_trades(self) -> None:
        """Each trade once, or inside a Gap, once it is known that ids are dense."""
        assert isinstance(self.bench.core, OkxCore)
        stream = self.bench.core.by_name["trades:BTC-USDT"]
        seen = [int(record.id) for record in self.bench.of(Trade)]
        assert len(seen) == len(set(seen))
        if stream.verdict.state != "in_sync":
            return
        holes = [(gap.first or 0, gap.last or 0) for gap in self.bench.of(Gap) if gap.channel == "trades"]
        held = {ident for last in seen for ident in range(last - 2, last + 1)}  # at most three fills to an item
        for ident in range(seen[0], max(seen) + 1):
            assert ident in held or any(first <= ident <= last for first, last in holes)


@given(st.integers(0, 2**32), PLANS, st.sampled_from(["in band", "by REST"]))
def test_drop_double_delay_cut_or_flip_any_frames_and_the_book_is_right_or_the_verdict_says_otherwise(
    seed: int, plan: list[Damage], snapshots: str
) -> None:
    session = Session(seed, plan, in_band=snapshots == "in band")
    while not session.wire.used_up:
        session.step()
    session.check_trades()


@given(st.integers(0, 2**32), PLANS, st.sampled_from(["in band", "by REST"]))
def test_whatever_was_done_to_the_frames_the_book_is_in_sync_soon_after_it_ends(
    seed: int, plan: list[Damage], snapshots: str
) -> None:
    session = Session(seed, plan, in_band=snapshots == "in band")
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
