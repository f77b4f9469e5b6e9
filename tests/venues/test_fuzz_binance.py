"""Whatever a wire does to Binance's frames, the book equals the exchange's at its id or says that it does not."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.books.sync import BookSync
from collector.records import Gap, Level, Trade
from collector.venues import VENUES
from collector.venues.binance import BinanceCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.binances import SPOT, USDM, agg_trade, perp_book, perp_depth, perp_quote
from tests.venues.damage import PLANS, Damage, Wire
from tests.venues.kit import Bench, Consumer, as_text, binance_trade, book_ticker, depth, depth_book

Sides = tuple[dict[str, str], dict[str, str]]
PRODUCTS = pytest.mark.parametrize("section", ["binance", "binance_usdm"])


class Exchange:
    """A tiny true market: every book at every id, every trade. Perpetuals: ids leap, and REST may be behind."""

    def __init__(self, seed: int, *, perp: bool) -> None:
        self.random = Random(seed)
        self.perp = perp
        self.ident = 1000
        self.fills = 0
        self.trades: list[int] = []
        self.bids = {f"{100 - tick}.0": "1.0" for tick in range(8)}
        self.asks = {f"{101 + tick}.0": "1.0" for tick in range(8)}
        self.books: dict[int, Sides] = {}
        self._note()

    def _note(self) -> None:
        self.books[self.ident] = (dict(self.bids), dict(self.asks))

    def step(self) -> list[bytes]:
        """One moment: a change of the book that spans a few ids, perhaps a trade and a quote."""
        before, first = self.ident, self.ident + 1
        changes: tuple[dict[str, str], dict[str, str]] = ({}, {})
        for number in range(self.random.randint(1, 3)):
            bid = self.random.random() < 0.5
            tick = self.random.randint(0, 12)
            price = f"{100 - tick}.0" if bid else f"{101 + tick}.0"
            size = self.random.choice(["0.0", f"{self.random.randint(1, 99)}.5"])
            side, changed = (self.bids, changes[0]) if bid else (self.asks, changes[1])
            changed[price] = size
            side[price] = size
            if size == "0.0":
                del side[price]
            self.ident += self.random.randint(1, 5) if self.perp else 1
            first = self.ident if number == 0 else first
            self._note()
        bids, asks = (list(side.items()) for side in changes)
        if self.perp:
            frames = [perp_depth(first, self.ident, before, bids, asks)]
        else:
            frames = [depth(first, self.ident, bids, asks)]
        if self.random.random() < 0.5:
            self.trades.append(len(self.trades) + 1)
            frames.append(self._trade(self.trades[-1]))
        if self.random.random() < 0.3:
            frames.append(perp_quote(self.ident) if self.perp else book_ticker(self.ident))
        return [as_text(frame).encode() for frame in frames]

    def _trade(self, ident: int) -> dict[str, object]:
        if not self.perp:
            return binance_trade(ident)
        first = self.fills + self.random.randint(1, 2)
        self.fills = first + self.random.randint(0, 2)
        return agg_trade(ident, first, self.fills)

    def rest(self) -> dict[str, object]:
        if not self.perp:
            return depth_book(self.ident, *levels(self.books[self.ident]))
        ident = self.random.choice(list(self.books)[-3:])
        return perp_book(ident, *levels(self.books[ident]))


def levels(sides: Sides) -> tuple[list[Level], list[Level]]:
    return (
        sorted(sides[0].items(), key=lambda level: -float(level[0])),
        sorted(sides[1].items(), key=lambda level: float(level[0])),
    )


class Session:
    """A core on a damaged wire, and a consumer of its records."""

    def __init__(self, section: str, seed: int, plan: list[Damage], published: int) -> None:
        perp = section == "binance_usdm"
        self.market = Exchange(seed, perp=perp)
        wanted = [Wanted("BTC-USDT", "book"), Wanted("BTC-USDT", "trades"), Wanted("BTC-USDT", "quotes")]
        self.bench = Bench(BinanceCore(wanted, CoreSettings(depth=published), VENUES[section].facts))
        self.published = published
        self.consumer = Consumer()
        self._taken = 0
        self.wire = Wire(plan, self._deliver)
        self.bench.connect()
        self.bench.reply(USDM if perp else SPOT)
        self.bench.frame({"result": None, "id": 1})

    def _deliver(self, frame: bytes) -> None:
        self.bench.frame(frame)
        self.check()

    def step(self, rest_fails: float = 0.2) -> None:
        for frame in self.market.step():
            self.wire.push(frame)
        for _ in tuple(self.bench.fetches):
            if self.market.random.random() < rest_fails:
                self.bench.reply(status=503)
            else:
                self.bench.reply(self.market.rest())
        self.bench.wait(0.5)
        self.check()

    @property
    def book(self) -> BookSync:
        assert isinstance(self.bench.core, BinanceCore)
        book = self.bench.core.by_name["btcusdt@depth@100ms"].book
        assert book is not None
        return book

    def check(self) -> None:
        """The book is the truth at its id, or says that it is not; who has the records has the book."""
        for record in self.bench.records[self._taken :]:
            if record.instrument == "BTC-USDT":
                self.consumer.take(record)
        self._taken = len(self.bench.records)
        if self.book.verdict.state != "in_sync":
            return
        assert self.book.last is not None
        truth = levels(self.market.books[self.book.last])
        assert self.book.book.top(1000) == truth
        assert self.consumer.valid
        assert self.consumer.levels() == (truth[0][: self.published], truth[1][: self.published])

    def check_trades(self) -> None:
        """Each trade once, or inside a Gap."""
        seen = [int(record.id) for record in self.bench.of(Trade)]
        assert len(seen) == len(set(seen))
        if not seen:
            return
        holes = [gap for gap in self.bench.of(Gap) if gap.channel == "trades" and gap.first is not None]
        for ident in range(seen[0], max(seen) + 1):
            told = any(gap.first <= ident <= gap.last for gap in holes if gap.first and gap.last)
            assert ident in seen or told


@PRODUCTS
@given(seed=st.integers(0, 2**32), plan=PLANS, published=st.sampled_from([3, 5, 1000]))
def test_drop_double_delay_cut_or_flip_any_frames_and_the_book_is_right_or_says_that_it_is_not(
    section: str, seed: int, plan: list[Damage], published: int
) -> None:
    session = Session(section, seed, plan, published)
    while not session.wire.used_up:
        session.step()
    session.check_trades()


@PRODUCTS
@given(seed=st.integers(0, 2**32), plan=PLANS)
def test_whatever_was_done_to_the_frames_the_book_is_in_sync_soon_after_it_ends(
    section: str, seed: int, plan: list[Damage]
) -> None:
    session = Session(section, seed, plan, 1000)
    while not session.wire.used_up:
        session.step()
    for _ in range(250):
        session.step(rest_fails=0.0)
        if session.book.verdict.state == "in_sync":
            break
    assert session.book.verdict.state == "in_sync"
    for _ in range(3):
        session.step()
    assert session.book.verdict.state == "in_sync"
