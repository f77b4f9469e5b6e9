"""The ledger of the truth: every trade, and every change of the book, of one market.

It owns what really happened, whatever was sent about it. It must never be altered by a fault. Changes stand in plain
integer columns, in chunks that begin with a whole book: any past book is one copy and one replay, two million entries
cost some 60 MB, and the oldest chunk can be let go.
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

from simulator.book import Book
from simulator.market import BUY, SELL, Market, Step, Trade

CHUNK = 20_000


@dataclass(slots=True)
class _Chunk:
    base_id: int
    base_ts: int
    bids: dict[int, int]
    asks: dict[int, int]
    ids: "array[int]" = field(default_factory=lambda: array("q"))
    times: "array[int]" = field(default_factory=lambda: array("q"))
    sides: "array[int]" = field(default_factory=lambda: array("b"))
    ticks: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("q"))

    def replay(self, entries: int) -> tuple[Book, int, int]:
        """The book after the first `entries` changes, its last id and its time."""
        bids, asks = dict(self.bids), dict(self.asks)
        sides = (bids, asks)
        for side, tick, size in zip(self.sides[:entries], self.ticks[:entries], self.sizes[:entries], strict=True):
            if size:
                sides[side][tick] = size
            else:
                sides[side].pop(tick, None)
        if entries == 0:
            return Book(bids, asks), self.base_id, self.base_ts
        return Book(bids, asks), self.ids[entries - 1], self.times[entries - 1]


class Ledger:
    """One market's truth, bounded to `limit` entries of each kind; the oldest are dropped and counted."""

    def __init__(self, market: Market, limit: int) -> None:
        self._market = market
        self._limit = max(limit, CHUNK)
        self._chunks = [self._chunk()]
        self._first_trade = market.last_trade_id + 1
        self._ticks = array("q")
        self._sizes = array("q")
        self._buys = array("b")
        self._times = array("q")
        self._aggregates = array("q")
        self.dropped_changes = 0
        self.dropped_trades = 0

    def _chunk(self) -> _Chunk:
        book = self._market.book
        return _Chunk(self._market.last_id, self._market.ts_us, dict(book.bids.sizes), dict(book.asks.sizes))

    def record(self, step: Step) -> None:
        """Write down one step; the market must have taken it just now."""
        chunk = self._chunks[-1]
        for number, (side, tick, size) in enumerate(step.changes, step.first_id):
            chunk.ids.append(number)
            chunk.times.append(step.ts_us)
            chunk.sides.append(side)
            chunk.ticks.append(tick)
            chunk.sizes.append(size)
        for trade in step.trades:
            self._ticks.append(trade.tick)
            self._sizes.append(trade.size)
            self._buys.append(trade.side == BUY)
            self._times.append(trade.ts_us)
            self._aggregates.append(trade.aggregate)
        if len(chunk.ids) >= CHUNK:
            self._chunks.append(self._chunk())
            if (len(self._chunks) - 2) * CHUNK >= self._limit:
                self.dropped_changes += len(self._chunks.pop(0).ids)
        if len(self._ticks) > self._limit * 5 // 4:
            self._drop_trades(len(self._ticks) - self._limit)

    def _drop_trades(self, count: int) -> None:
        for column in (self._ticks, self._sizes, self._buys, self._times, self._aggregates):
            del column[:count]
        self._first_trade += count
        self.dropped_trades += count

    def book_now(self) -> tuple[Book, int, int]:
        """The book as it is, its last update id and its time in microseconds."""
        market = self._market
        return market.book, market.last_id, market.ts_us

    def book_at_id(self, update_id: int) -> tuple[Book, int, int]:
        """The book after the last change whose update id is at most `update_id`.

        Raises:
            LookupError: the id is older than what is kept.
        """
        at = bisect_right(self._chunks, update_id, key=lambda chunk: chunk.base_id) - 1
        if at < 0:
            raise LookupError(f"update id {update_id} is older than the ledger, which begins at {self.first_id}")
        chunk = self._chunks[at]
        book, _, ts_us = chunk.replay(bisect_right(chunk.ids, update_id))
        return book, min(update_id, self._market.last_id), ts_us

    def book_at_time(self, ts_us: int) -> tuple[Book, int, int]:
        """The book after the last change whose time is at most `ts_us` (microseconds).

        Raises:
            LookupError: the time is older than what is kept.
        """
        at = bisect_right(self._chunks, ts_us, key=lambda chunk: chunk.base_ts) - 1
        if at < 0:
            raise LookupError(f"time {ts_us} is older than the ledger, which begins at {self._chunks[0].base_ts}")
        chunk = self._chunks[at]
        return chunk.replay(bisect_right(chunk.times, ts_us))

    @property
    def first_id(self) -> int:
        """The oldest update id at which the book is known."""
        return self._chunks[0].base_id

    @property
    def first_trade_id(self) -> int:
        """The oldest trade kept (the next one to come when there is none)."""
        return self._first_trade

    @property
    def last_trade_id(self) -> int:
        """The newest trade (one less than the first when there is none)."""
        return self._first_trade + len(self._ticks) - 1

    def trades(self, first: int | None = None, last: int | None = None) -> list[Trade]:
        """The trades with ids from `first` to `last`, both included, as far as they are kept, oldest first."""
        start = 0 if first is None else max(first - self._first_trade, 0)
        stop = len(self._ticks) if last is None else min(last - self._first_trade + 1, len(self._ticks))
        return [self._trade(index) for index in range(start, stop)]

    def trades_after(self, ts_us: int, limit: int) -> list[Trade]:
        """At most `limit` trades later than `ts_us` (microseconds), oldest first."""
        start = bisect_right(self._times, ts_us)
        return [self._trade(index) for index in range(start, min(start + limit, len(self._times)))]

    def aggregates(self, first: int | None, limit: int) -> list[list[Trade]]:
        """At most `limit` aggregate trades, each as its fills: from aggregate id `first` on, or the newest ones."""
        if not self._aggregates:
            return []
        if first is None:
            first = max(self._aggregates[-1] - limit + 1, self._aggregates[0])
        start = bisect_right(self._aggregates, first - 1)
        stop = bisect_right(self._aggregates, first + limit - 1)
        return group_fills([self._trade(index) for index in range(start, stop)])

    def _trade(self, index: int) -> Trade:
        return Trade(
            self._first_trade + index,
            self._ticks[index],
            self._sizes[index],
            BUY if self._buys[index] else SELL,
            self._times[index],
            self._aggregates[index],
        )


def group_fills(trades: list[Trade]) -> list[list[Trade]]:
    """The fills in order, those of one taker order at one price together."""
    groups: list[list[Trade]] = []
    for trade in trades:
        if groups and groups[-1][0].aggregate == trade.aggregate:
            groups[-1].append(trade)
        else:
            groups.append([trade])
    return groups
