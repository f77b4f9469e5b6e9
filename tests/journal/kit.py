"""What the journal's tests share: records, a clock and a disk that obey, a listener that remembers, a consumer."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from collector.clock import Now
from collector.journal import Failing, Journal, JournalSettings, Position, read, segments
from collector.journal.system import Space, System
from collector.records import (
    AnyRecord,
    BookDelta,
    BookSnapshot,
    Candle,
    FundingRate,
    Gap,
    GapCause,
    Instrument,
    Level,
    Liquidation,
    OpenInterest,
    Quote,
    Record,
    Ticker,
    Trade,
    VenueStatus,
)

T = TypeVar("T")
START_US = 1_790_000_000_000_000
PLENTY = Space(free=100 << 30, total=200 << 30)


class FakeClock:
    """Moves only when told."""

    def __init__(self) -> None:
        self.mono_ns = 1_000_000_000
        self.wall_us = START_US

    def __call__(self) -> Now:
        return Now(self.mono_ns, self.wall_us)

    def advance(self, seconds: float) -> Now:
        self.mono_ns += int(seconds * 1e9)
        self.wall_us += int(seconds * 1e6)
        return self()


class Heard:
    """A listener that remembers everything, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: self.calls.append((name, args))

    def all(self, name: str) -> list[Any]:
        """What was told under this name: the argument, or all of them where there are several."""
        return [args[0] if len(args) == 1 else args for called, args in self.calls if called == name]


class Disk:
    """The real disk, with errors on demand. `room`: bytes that writes may still take; `broken(_once)`: call → errno."""

    def __init__(self) -> None:
        self.broken: dict[str, int] = {}
        self.broken_once: dict[str, int] = {}
        self.room: int | None = None
        self.most: int | None = None
        self.space = PLENTY
        self.calls: list[str] = []
        self.writes: list[int] = []

    def system(self) -> System:
        real = System()
        return System(
            open=lambda path, flags, mode: self._run("open", lambda: real.open(path, flags, mode)),
            write=self._write,
            truncate=lambda fd, size: self._run("truncate", lambda: real.truncate(fd, size)),
            sync_data=lambda _: self._run("sync_data", lambda: None),
            rename=lambda old, new: self._run("rename", lambda: real.rename(old, new)),
            unlink=lambda path: self._run("unlink", lambda: real.unlink(path)),
            space=lambda _: self._run("space", lambda: self.space),
        )

    def _run(self, name: str, call: Callable[[], T]) -> T:
        self.calls.append(name)
        if name in self.broken:
            raise OSError(self.broken[name], os.strerror(self.broken[name]))
        if name in self.broken_once:
            code = self.broken_once.pop(name)
            raise OSError(code, os.strerror(code))
        return call()

    def _write(self, fd: int, payload: bytes | memoryview) -> int:
        def write() -> int:
            take = len(payload) if self.most is None else min(self.most, len(payload))
            if self.room is not None:
                take = min(take, self.room)
                if take == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self.room -= take
            self.writes.append(take)
            return os.write(fd, payload[:take])

        return self._run("write", write)


class Bench:
    """A journal in a directory with all of the above; `again` opens the same directory as the next run does."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.settings = JournalSettings(directory=directory, **settings)
        self.clock = FakeClock()
        self.heard = Heard()
        self.disk = Disk()
        self.journal = self.new()

    def new(self) -> Journal:
        return Journal(self.settings, self.clock, self.heard, self.disk.system())

    def again(self) -> Journal:
        self.journal.close()
        self.journal = self.new()
        return self.journal

    def due(self) -> bool:
        """Afresh at each call, which a type checker does not expect of a property."""
        return self.journal.due

    def failing(self) -> Failing | None:
        return self.journal.failing

    def tend(self, after: float = 1.0) -> None:
        self.journal.tend(self.clock.advance(after))

    def files(self) -> list[str]:
        return sorted(path.name for path in self.settings.directory.iterdir())

    def paths(self) -> list[Path]:
        return [segment.path for segment in segments(self.settings.directory)]

    def records(self) -> list[AnyRecord]:
        return [record for _, record in read(self.settings.directory)]

    def positions(self) -> list[Position]:
        return [position for position, _ in read(self.settings.directory)]


def common(instrument: str, at: int) -> dict[str, Any]:
    return {
        "venue": "binance",
        "market": "spot",
        "instrument": instrument,
        "symbol": instrument.replace("-", ""),
        "ts": None,
        "recv_ts": START_US + at,
    }


def trade(number: int, instrument: str = "BTC-USDT", **other: Any) -> Trade:
    fields = {"id": str(number), "id_space": "trade", "price": "61000.10", "size": "0.0100", "side": "buy"}
    return Trade(**{**common(instrument, number), **fields, **other})


def trades(first: int, count: int, instrument: str = "BTC-USDT") -> list[Record]:
    return [trade(number, instrument) for number in range(first, first + count)]


def quote(number: int, instrument: str = "BTC-USDT") -> Quote:
    return Quote(**common(instrument, number), bid="61000.00", bid_size="1", ask="61000.10", ask_size="2")


def others(instrument: str = "BTC-USDT") -> list[AnyRecord]:
    """One record of each type that is neither trade, quote, book nor Gap."""
    base = common(instrument, 0)
    bar: dict[str, Any] = {"open": "1", "high": "3", "low": "1", "close": "2", "volume": "9"}
    best: dict[str, Any] = {"bid": "1", "bid_size": "1", "ask": "2", "ask_size": None}
    steps: dict[str, Any] = {
        "price_step": "0.1",
        "size_step": "1",
        "min_size": None,
        "min_value": None,
        "contract_currency": "BTC",
    }
    return [
        Ticker(**base, last="2", open=None, high="3", low="1", volume="9", quote_volume=None, **best),
        Candle(**base, interval="1m", open_ts=START_US, trades=None, closed=True, **bar),
        FundingRate(**base, rate="-0.0001", funding_ts=START_US, next_rate=None, mark_price="2", index_price="2"),
        OpenInterest(**base, contract_size="0.01", open_interest="100", base_value="1"),
        Liquidation(**base, side="sell", price="2", average_price=None, size="1"),
        Instrument(**base, base="BTC", quote="USDT", settle=None, status="trading", venue_status="TRADING", **steps),
        VenueStatus(**base, status="online", venue_status="0", message=None, start_ts=None, end_ts=None),
    ]


def gap(channel: str, cause: GapCause, first: int | None = None, last: int | None = None) -> Gap:
    return Gap(
        **common("BTC-USDT", 0),
        channel=channel,
        first=first,
        last=last,
        count=None,
        cause=cause,
        detected_ts=START_US,
        repaired_ts=None,
    )


Sides = tuple[dict[str, str], dict[str, str]]


class Market:
    """A book that moves at random, and the truth about it at every update id."""

    def __init__(self, seed: int, instrument: str = "BTC-USDT") -> None:
        self._rng = random.Random(seed)
        self._instrument = instrument
        self.seq = 0
        self.sides: Sides = ({}, {})
        self.truth: dict[int, Sides] = {}
        for _ in range(20):
            self.delta()

    def delta(self) -> BookDelta:
        self.seq += 1
        changes: tuple[list[Level], list[Level]] = ([], [])
        for side, levels, base in zip(self.sides, changes, (100, 120), strict=True):
            price, size = f"{base + self._rng.randrange(20)}.50", str(self._rng.randrange(5))
            if size != "0" or price in side:
                levels.append((price, size))
            side.pop(price, None)
            if size != "0":
                side[price] = size
        self.truth[self.seq] = (dict(self.sides[0]), dict(self.sides[1]))
        where = common(self._instrument, self.seq)
        return BookDelta(
            **where, bids=changes[0], asks=changes[1], first_seq=self.seq, last_seq=self.seq, depth=1000, seq=self.seq
        )

    def snapshot(self, cause: Literal["sync", "segment"] = "segment") -> BookSnapshot:
        bids, asks = self.sides
        return BookSnapshot(
            **common(self._instrument, self.seq),
            bids=sorted(bids.items(), reverse=True),
            asks=sorted(asks.items()),
            first_seq=None,
            last_seq=self.seq,
            depth=1000,
            known_bid=None,
            known_ask=None,
            cause=cause,
        )


def rebuild(records: Iterable[AnyRecord]) -> dict[str, tuple[int, Sides]]:
    """What a consumer that starts here knows: each instrument's last update id and book. Deltas without a book fail."""
    books: dict[str, tuple[int, Sides]] = {}
    for record in records:
        if isinstance(record, BookSnapshot):
            assert record.last_seq is not None
            books[record.instrument] = (record.last_seq, (dict(record.bids), dict(record.asks)))
        elif isinstance(record, BookDelta):
            known, sides = books[record.instrument]
            assert record.first_seq == known + 1, f"{record.instrument}: {known} is followed by {record.first_seq}"
            assert record.last_seq is not None
            for side, levels in zip(sides, (record.bids, record.asks), strict=True):
                for price, size in levels:
                    side.pop(price, None)
                    if size != "0":
                        side[price] = size
            books[record.instrument] = (record.last_seq, sides)
        elif isinstance(record, Gap) and record.channel == "book" and record.repaired_ts is None:
            books.pop(record.instrument, None)
    return books


def ids(records: Sequence[AnyRecord]) -> list[int]:
    return [int(record.id) for record in records if isinstance(record, Trade)]
