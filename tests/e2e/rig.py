"""The real collector and the simulator as processes, and what the journal must equal: the simulator's ledger."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from collector.journal import Position, read
from collector.records import AnyRecord, BookDelta, BookSnapshot, Gap, Trade

VENUES = ("binance", "kraken")
EVERY = ("binance", "binance_usdm", "okx", "okx_swap", "coinbase", "kraken")
"""Sections of the configuration."""
BY_ID = ("binance", "okx")
"""Venues whose books are numbered, so that an id says which book it was; the others' time does."""
SIMULATED = {"okx_swap": "okx"}
"""The simulator's name of a venue where it is another."""
SYMBOLS = ("BTC-USDT", "ETH-USDT")
Levels = dict[str, str]
Key = tuple[str, str, str]
"""Venue, market, instrument."""


def poll_until(check: Callable[[], object], sentence: str, seconds: float = 30.0) -> Any:
    """Give the check's first true result; fail with the sentence and the last result otherwise."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        last = check()
        if last:
            return last
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {sentence}; last: {last!r}")


@dataclass
class Books:
    """What a consumer holds who applies snapshots and deltas."""

    books: dict[Key, tuple[Levels, Levels]] = field(default_factory=dict)
    broken: set[Key] = field(default_factory=set)
    last: dict[Key, AnyRecord] = field(default_factory=dict)
    known: dict[Key, tuple[float, float]] = field(default_factory=dict)
    """The worst bid and ask to which the last snapshot was complete."""
    prices: dict[Key, tuple[list[float], list[float]]] = field(default_factory=dict)
    """Of both sides, rising: to look for the best of a thousand after each delta is slower than a feed."""

    def take(self, record: AnyRecord) -> None:
        """Apply one record."""
        key = (record.venue, record.market, record.instrument)
        if isinstance(record, BookSnapshot):
            self.books[key] = (dict(record.bids), dict(record.asks))
            self.known[key] = (float(record.known_bid or 0), float(record.known_ask or "inf"))
            self.broken.discard(key)
            bids, asks = self.books[key]
            self.prices[key] = (sorted(map(float, bids)), sorted(map(float, asks)))
            self._is_whole(key, record)
        elif isinstance(record, BookDelta):
            assert key in self.books, f"a delta of {key} before any snapshot"
            if key in self.broken:
                raise AssertionError(f"a delta of {key} after its gap and before a snapshot")
            changed = (record.bids, record.asks)
            for side, prices, changes in zip(self.books[key], self.prices[key], changed, strict=True):
                for price, size in changes:
                    if size == "0":
                        if side.pop(price, None) is not None:
                            prices.pop(bisect_left(prices, float(price)))
                        continue
                    if price not in side:
                        insort(prices, float(price))
                    side[price] = size
            self._is_whole(key, record)
        elif isinstance(record, Gap) and record.channel == "book" and record.repaired_ts is None:
            self.broken.add(key)

    def _is_whole(self, key: Key, record: BookSnapshot | BookDelta) -> None:
        bids, asks = self.prices[key]
        if bids and asks:
            assert bids[-1] < asks[0], f"{key} is crossed"
        assert len(bids) <= record.depth, f"{key} is deeper than published"
        assert len(asks) <= record.depth, f"{key} is deeper than published"
        self.last[key] = record

    def sides(self, key: Key, depth: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Give the first levels by value, best first."""
        bids, asks = ([(float(p), float(s)) for p, s in side.items()] for side in self.books[key])
        return sorted(bids, reverse=True)[:depth], sorted(asks)[:depth]


class Rig:
    """A simulator, and collectors pointed at it."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 1,
        rate: int = 200,
        options: tuple[str, ...] = (),
        venues: tuple[str, ...] = VENUES,
        symbols: tuple[str, ...] = SYMBOLS,
    ) -> None:
        self.folder = folder
        self.venues = venues
        self.journal = folder / "journal"
        self.ca = folder / "ca.pem"
        command = [sys.executable, "-m", "simulator", "--port", "0", "--tls-port", "0", "--seed", str(seed)]
        command += ["--rate", str(rate), "--symbols", ",".join(symbols), "--ca-file", str(self.ca), *options]
        command += ["--venues", ",".join(dict.fromkeys(SIMULATED.get(venue, venue) for venue in venues))]
        self.simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.simulator.stdout is not None
        ready = json.loads(self.simulator.stdout.readline())
        self.port, self.tls_port = ready["port"], ready["tls_port"]
        self.collector: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.books = Books()
        self.trades: dict[Key, set[int]] = defaultdict(set)
        self.gaps: list[Gap] = []
        self._next: Position | None = None
        self.environment: dict[str, str] = {}
        """Added to the collector's environment."""
        self._log = (folder / "collector.log").open("ab")

    def __enter__(self) -> Self:
        """Leave with everything stopped."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what still runs."""
        for process in (self.collector, self.simulator):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        if self.simulator.stdout is not None:
            self.simulator.stdout.close()
        self._log.close()

    # -- the collector ----------------------------------------------------------------------------------------------

    def config(self, **changes: object) -> Path:
        """Write a configuration; `changes` are top-level keys."""
        config: dict[str, object] = {
            "instruments": list(SYMBOLS),
            "channels": ["trades", "quotes", "book"],
            "venues": {
                venue: {
                    "ws_url": f"wss://127.0.0.1:{self.tls_port}/{SIMULATED.get(venue, venue)}",
                    "rest_url": f"https://127.0.0.1:{self.tls_port}/{SIMULATED.get(venue, venue)}",
                }
                if venue in self.venues
                else {"enabled": False}
                for venue in EVERY
            },
            "tls": {"ca_file": str(self.ca)},
            "journal": {"directory": str(self.journal)},
            "web": {"port": _free_port()},
            **changes,
        }
        path = self.folder / "config.yaml"
        path.write_text(json.dumps(config))
        self.url = f"http://127.0.0.1:{config['web']['port']}"  # type: ignore[index]
        return path

    def start(self, *arguments: str, **changes: object) -> None:
        """Start the collector; it need not be in sync yet."""
        command = [sys.executable, "-m", "collector", "run", "--config", str(self.config(**changes)), *arguments]
        environment = {**os.environ, **self.environment}
        self.collector = subprocess.Popen(command, stderr=self._log, stdout=self._log, env=environment)
        poll_until(lambda: self.get("/live"), "the collector answers", 20)

    def stop(self) -> int:
        """SIGTERM; give the exit code. It must end within 10 s."""
        assert self.collector is not None
        self.collector.send_signal(signal.SIGTERM)
        return self.collector.wait(timeout=10)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.collector is not None
        self.collector.kill()
        self.collector.wait()

    def get(self, path: str) -> Any:
        """Give a JSON or text answer, whatever its status; None when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            return None
        with contextlib.suppress(ValueError):
            return json.loads(body)
        return body.decode()

    def health(self) -> dict[str, Any]:
        """Give /health."""
        return dict(self.get("/health") or {})

    def metric(self, name: str, **labels: str) -> float:
        """Give the sum over the series of /metrics that carry the labels."""
        total = 0.0
        for line in str(self.get("/metrics")).splitlines():
            series, _, value = line.partition(" # ")[0].rpartition(" ")
            if series.partition("{")[0] == name and all(f'{key}="{text}"' in series for key, text in labels.items()):
                total += float(value)
        return total

    def in_sync(self) -> bool:
        """Say whether every venue is in sync."""
        venues = self.health().get("venues", [])
        states = [venue["state"] for venue in (venues.values() if isinstance(venues, dict) else venues)]
        return len(states) == len(self.venues) and set(states) == {"in_sync"}

    def wait_in_sync(self, seconds: float = 40.0) -> None:
        """Wait until every venue is in sync."""
        try:
            poll_until(self.in_sync, "all venues are in sync", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; not ok: {self.health().get('not_ok')}") from error

    # -- the simulator ----------------------------------------------------------------------------------------------

    def control(self, path: str, body: object = None, method: str | None = None) -> Any:
        """Call a control endpoint."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/control/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def fault(self, kind: str, venue: str, **parameters: object) -> Any:
        """Put a fault in force."""
        return self.control("faults", {"kind": kind, "venue": venue, **parameters})

    def heal(self) -> None:
        """Lift all faults."""
        self.control("faults", method="DELETE")

    def settle(self) -> None:
        """Stop the markets and wait until the collector has taken all that was sent."""
        self.control("market", {"running": False})
        before = -1.0
        while True:
            now = self.metric("marketprism_journal_records_accepted_total")
            if now == before:
                return
            before = now
            time.sleep(1.0)

    # -- the truth --------------------------------------------------------------------------------------------------

    def records(self) -> Iterator[AnyRecord]:
        """Give everything in the journal, in order."""
        for _, record in read(self.journal):
            yield record

    def follow(self) -> None:
        """Take what the journal holds since the last time."""
        for position, record in read(self.journal, self._next):
            self._next = Position(position.epoch, position.offset + 1)
            self.books.take(record)
            key = (record.venue, record.market, record.instrument)
            if isinstance(record, Trade):
                assert int(record.id) not in self.trades[key], f"{key}: trade {record.id} stands twice"
                self.trades[key].add(int(record.id))
            elif isinstance(record, Gap):
                self.gaps.append(record)

    def check_books(self) -> int:
        """Compare every book that the journal rebuilds with the ledger, to the depth of its verdict."""
        self.follow()
        return self.compare(self.books)

    def compare(self, books: Books) -> int:
        """Compare a consumer's books with the ledger at the same id or time; give how many were compared."""
        compared = 0
        for key in books.books:
            assert key not in books.broken, f"{key} has an open gap"
            last = books.last[key]
            assert isinstance(last, BookSnapshot | BookDelta)
            at = last.last_seq if key[0] in BY_ID else last.ts
            if at is None:
                continue  # Kraken's snapshots carry no time: until its first update nobody can say what the truth was
            truth = self.control(f"ledger/book?{_truth(key)}&at={at}")
            depth = 10 if key[0] == "kraken" else min(500, last.depth)
            worst_bid, worst_ask = books.known[key]
            for name, mine in zip(("bids", "asks"), books.sides(key, depth), strict=True):
                true = [(float(price), float(size)) for price, size in truth[name]][:depth]
                known = [[level for level in side if worst_bid <= level[0] <= worst_ask] for side in (mine, true)]
                assert known[0] == known[1], f"{key} {name} differ from the ledger at {at}"
                assert known[0], f"{key}: none of the {name} are known"
            compared += 1
        return compared

    def _true_trades(self, key: Key, first: int) -> list[int]:
        """Give the ids from `first` on that the venue's messages must have carried."""
        venue, market, _ = key
        start = "" if (venue, market) == ("binance", "perp") else f"&from={first}"
        true = self.control(f"ledger/trades?{_truth(key)}{start}")["trades"]
        if (venue, market) == ("binance", "perp"):  # aggregates, numbered for themselves
            return sorted({trade["aggregate"] for trade in true if trade["aggregate"] >= first})
        if venue == "okx":  # a message carries the id of its last fill
            return list({trade["aggregate"]: trade["id"] for trade in true}.values())
        return [trade["id"] for trade in true]

    def check_trades(self) -> int:
        """Hold every trade of the ledger, from the first one journaled on, against the journal: once, or in a Gap."""
        self.follow()
        for key, have in self.trades.items():
            holes = [
                (gap.first or 0, gap.last or 1 << 62)
                for gap in self.gaps
                if (gap.venue, gap.market, gap.instrument, gap.channel) == (*key, "trades") and gap.repaired_ts is None
            ]
            for true in self._true_trades(key, min(have)):
                known = true in have or any(first <= true <= last for first, last in holes)
                assert known, f"{key}: trade {true} is neither there nor in a gap"
        return sum(map(len, self.trades.values()))


def _truth(key: Key) -> str:
    """Give the ledger's name of a market."""
    venue, market, instrument = key
    if market == "perp":
        venue, instrument = {"binance": "binance_usdm"}.get(venue, venue), f"{instrument}-PERP"
    return f"venue={venue}&symbol={instrument}"


def _free_port() -> int:
    import socket  # noqa: PLC0415 - only here

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
