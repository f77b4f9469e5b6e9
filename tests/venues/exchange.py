"""One venue of the simulator, without sockets or clocks: what it would send stands in `outbox`, REST answers at once.

It owns the way between a venue of `simulator/` and a core on a bench, and the truth at every moment (`truths`). Markets
are small, so that thousands of them fit into a test. It shares nothing with the collector's own encoders and decoders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web
from multidict import MultiDict

from collector.records import Level
from collector.venues.protocol import Fetch
from simulator.binance_usdm.venue import BinanceUsdm
from simulator.clock import Clock
from simulator.connection import Connection
from simulator.faults import Faults
from simulator.frames import Frame
from simulator.ledger import group_fills
from simulator.markets import START_US, World
from simulator.okx.venue import Okx
from simulator.registry import VENUES
from simulator.venue import Venue

LEVELS = 34
"""Levels a side: the market keeps at least thirty."""
FREE = 1_000_000
LIMITS = {
    "binance": {"weight": FREE},
    "binance_usdm": {"weight": FREE},
    "coinbase": {"rest_per_second": FREE, "levels": LEVELS},
    "kraken": {"rest_per_second": FREE, "rest_burst": FREE},
    "okx": {"rest_factor": FREE},
}
Sides = tuple[list[Level], list[Level]]
Ticks = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def asked(path: str, **query: str) -> web.Request:
    """A request, as far as the simulator looks at one. (aiohttp's own for tests takes ten milliseconds to make.)"""
    about = SimpleNamespace(
        path=path, path_qs=path, query=MultiDict(query), remote="127.0.0.1", match_info={}, headers={}
    )
    return cast("web.Request", about)


class Client:
    """Stands for `simulator.connection.Connection`: what is sent is put into the outbox."""

    number = 1

    def __init__(self, path: str, outbox: deque[bytes], clock: Clock) -> None:
        self.request = asked(path)
        self.keys: dict[str, str] = {}
        self.combined = False
        self.closed = False
        self.pings: set[bytes] = set()
        self.opened = self.last_sent = self.last_ping = self.last_pong = clock.mono()
        self._clock = clock
        self._outbox = outbox

    def send(self, frame: Frame) -> None:
        self.last_sent = self._clock.mono()
        self._outbox.append(frame.combined() if self.combined else frame.numbered(self.number))

    def say(self, channel: str, text: str) -> None:
        del channel
        self.last_sent = self._clock.mono()
        self._outbox.append(text.encode())

    def control(self, opcode: object, payload: bytes) -> None:
        """Pings are the socket's business."""

    def ping(self, payload: bytes, now: float) -> None:
        """As above."""

    def close(self, code: int, reason: str) -> None:
        del code, reason
        self.closed = True


class Exchange:
    """A venue with these canonical symbols. `seconds` is its monotonic time."""

    def __init__(self, name: str, symbols: tuple[str, ...], seed: int, limits: dict[str, float] | None = None) -> None:
        self.seconds = 1.0
        self.outbox: deque[bytes] = deque()
        self.symbols = symbols
        clock = self._clock = Clock(lambda: self.seconds, lambda: START_US)
        world = World(seed, clock, running=False, faults=Faults(clock), ledger_limit=FREE)
        self.venue: Venue = _small(name)(world, symbols, LIMITS[name] | (limits or {}))
        self.prefix = f"/{name}"
        self._routes = {route.path: route.handler for route in self.venue.routes() if isinstance(route, web.RouteDef)}
        self._truths: dict[str, dict[int, list[Ticks]]] = {symbol: {} for symbol in symbols}
        """By the id (or, where it has none, the time) of the book: more than one where ids come again."""
        self._written: dict[tuple[str, tuple[int, int]], Level] = {}
        for symbol in symbols:
            self._note(symbol)

    def connect(self, path: str) -> None:
        """A client connects; the one before is gone."""
        for client in list(self.venue.connections.values()):
            for key in list(client.keys):
                self.venue.unsubscribe(client, key)
        self.outbox.clear()
        self.client = cast("Connection", Client(f"{self.prefix}{path}", self.outbox, self._clock))
        self.venue.connections[1] = self.client
        self.venue.greet(self.client)

    @property
    def closed(self) -> bool:
        """Whether the venue ended the connection."""
        return cast("Client", self.client).closed

    def step(self, symbol: str) -> None:
        """One moment of one market."""
        self.venue.advance(symbol)
        self.venue.flush(None)
        self._note(symbol)

    def keep(self, seconds: float) -> None:
        """Time passes: heartbeats, lifetimes."""
        self.seconds += seconds
        self.venue.keep(self.client, self.seconds)

    def restart_ids(self, symbol: str) -> None:
        """The ids of a book begin again, where the venue can do that."""
        if isinstance(self.venue, Okx):
            self.venue.reset_sequence(symbol)
            self._note(symbol)

    def get(self, fetch: Fetch) -> tuple[int, bytes]:
        """Answer a request."""
        path = f"{self.prefix}{fetch.path}"
        handler = cast("Any", self._routes[path])
        work: Coroutine[Any, Any, web.Response] = handler(asked(path, **dict(fetch.params)))
        try:
            work.send(None)
        except StopIteration as done:
            response = done.value
            return response.status, bytes(response.body)
        raise AssertionError("a REST answer waits for something")

    def trade_ids(self, symbol: str, *, aggregates: str) -> list[int]:
        """The ids of all trades as the venue's stream has them: of each fill, or of each taker order at one price
        (`own`: with an id of its own, `last`: its last fill's).
        """
        trades = self.venue.ledgers[symbol].trades()
        if not aggregates:
            return [trade.id for trade in trades]
        return [fills[-1].aggregate if aggregates == "own" else fills[-1].id for fills in group_fills(trades)]

    def truths(self, symbol: str, at: int | None) -> list[Sides]:
        """What a book at this id (or time) is; without one, that of any moment."""
        noted, texts = self._truths[symbol], self.venue.texts(symbol)
        found = [ticks for every in noted.values() for ticks in every] if at is None else noted.get(at, [])

        def written(side: list[tuple[int, int]]) -> list[Level]:
            return [self._written.get((symbol, level)) or write(level) for level in side]

        def write(level: tuple[int, int]) -> Level:
            text = self._written[symbol, level] = (texts.price(level[0]), texts.size(level[1]))
            return text

        return [(written(bids), written(asks)) for bids, asks in found]

    def _note(self, symbol: str) -> None:
        market = self.venue.markets[symbol]
        at = market.last_id if self.venue.books_by_id else market.ts_us
        if isinstance(self.venue, Okx):
            at = self.venue.seq(symbol, at)
        elif isinstance(self.venue, BinanceUsdm):
            at = self.venue.shown_id(symbol)
        self._truths[symbol].setdefault(at, []).append(market.top())


def _small(name: str) -> Any:
    made = VENUES[name]

    def instrument(symbol: str) -> object:
        found = made.instrument(symbol)
        return None if found is None else replace(found, levels=LEVELS)

    return type(made.__name__, (made,), {"instrument": staticmethod(instrument)})
