"""What all venues share: markets moved on, truth written down, messages handed through the faults to their subscribers.

It owns the way of a step from market to socket and of a connection from upgrade to end. It must never know one venue's
wire: a venue is a subclass that renders steps, answers messages and lists its REST routes.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from aiohttp import WSMsgType, web

from simulator.clock import Clock
from simulator.connection import CLOSE_SECONDS, Connection
from simulator.errors import BadRequestError
from simulator.faults import Faults
from simulator.frames import Frame, Meter
from simulator.instruments import Instrument
from simulator.ledger import Ledger
from simulator.limits import SlidingWindow
from simulator.market import Market, Step
from simulator.tape import Line, TapeVenue

START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z: where time begins when nothing but steps moves it
LARGEST_MESSAGE = 64 * 1024

Answer = Callable[[web.Request], web.Response]


@dataclass(slots=True)
class World:
    """What the venues have in common. `running`: the wall clock dates the markets; else their steps do."""

    seed: int
    clock: Clock
    running: bool
    faults: Faults
    ledger_limit: int
    meter: Meter = field(default_factory=Meter)


class Texts(Protocol):
    """A market's numbers as its venue writes them."""

    def price(self, tick: int) -> str:
        """A price."""

    def size(self, lots: int) -> str:
        """A size."""


class Venue(ABC):
    """One exchange. Markets and ledgers are by canonical symbol."""

    name: ClassVar[str]
    books_by_id: ClassVar[bool]  # whether its books are numbered; else time tells one from another

    def __init__(self, world: World, instruments: Iterable[Instrument], tape: TapeVenue | None) -> None:
        self.world = world
        self.tape = tape
        start_us = world.clock.wall_us() if world.running else START_US
        self.markets = {one.symbol: Market(one, world.seed, start_us) for one in instruments}
        limit = world.ledger_limit // max(len(self.markets), 1)
        self.ledgers = {symbol: Ledger(market, limit) for symbol, market in self.markets.items()}
        self.connections: dict[int, Connection] = {}
        self._subscribers: dict[str, dict[int, Connection]] = {}
        self._connects: dict[str | None, SlidingWindow] = {}
        self.subscribed = asyncio.Event()

    # What a venue is

    @staticmethod
    @abstractmethod
    def tape_symbols(tape: TapeVenue) -> list[str]:
        """The canonical symbols on a tape of this venue."""

    @abstractmethod
    def texts(self, symbol: str) -> Texts:
        """How the venue writes a market's numbers."""

    @abstractmethod
    def routes(self) -> list[web.AbstractRouteDef]:
        """Its endpoints, under its own path prefix."""

    @abstractmethod
    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """The messages of one step for which there are subscribers."""

    @abstractmethod
    def receive(self, connection: Connection, message: str) -> None:
        """A client's text message."""

    @abstractmethod
    def incoming_window(self) -> SlidingWindow:
        """A new connection's limit on incoming messages."""

    @abstractmethod
    def connect_window(self) -> SlidingWindow:
        """A new client address's limit on connection attempts."""

    @abstractmethod
    def keep(self, connection: Connection, now: float) -> None:
        """Heartbeats, pings and lifetimes of one connection; called several times a second."""

    @abstractmethod
    def overloaded(self, connection: Connection) -> bool:
        """More messages came than are allowed; whether the message is to be ignored."""

    @abstractmethod
    def key_market(self, key: str) -> tuple[str | None, str | None]:
        """The canonical symbol and our channel that a subscription key stands for."""

    @abstractmethod
    def play(self, line: Line) -> None:
        """Send a recorded message to those who subscribed to it."""

    @abstractmethod
    def greet(self, connection: Connection) -> None:
        """What a new connection hears first."""

    def settle(self, now: float | None) -> Iterator[Frame]:
        """Messages that wait for a time of their own: those due at `now`, or all of them when it is None."""
        _ = now
        return iter(())

    def announce_shutdown(self) -> int:
        """Tell every client that its connection will end soon; how many there were.

        Raises:
            BadRequestError: the venue has no such message.
        """
        raise BadRequestError(f"{self.name} announces no shutdown")

    # Time and markets

    def now_us(self) -> int:
        """The venue's own clock in microseconds, with its skew."""
        if self.world.running or self.tape is not None or not self.markets:
            now = self.world.clock.wall_us()
        else:
            now = max(market.ts_us for market in self.markets.values())
        return now + self.skew_us()

    def skew_us(self) -> int:
        """How far a fault has put the venue's clock off; truth in the ledger does not follow it."""
        return self.world.faults.skew_us(self.name)

    def advance(self, symbol: str) -> None:
        """Take one step of one market and send what follows from it at once."""
        market = self.markets[symbol]
        step = market.step(self.world.clock.wall_us() if self.world.running else None)
        self.ledgers[symbol].record(step)
        for frame in self.render(market, step):
            self.publish(frame)

    def flush(self, now: float | None) -> None:
        """Send what waited for its time."""
        for frame in self.settle(now):
            self.publish(frame)

    # Who gets what

    def wanted(self, key: str) -> bool:
        """Whether anybody subscribed to `key`."""
        return key in self._subscribers

    def keys(self) -> list[str]:
        """All keys that somebody subscribed to."""
        return list(self._subscribers)

    def subscribe(self, connection: Connection, key: str, note: str = "") -> None:
        """From now on `connection` gets `key`."""
        connection.keys[key] = note
        self._subscribers.setdefault(key, {})[connection.number] = connection
        self.subscribed.set()

    def unsubscribe(self, connection: Connection, key: str) -> bool:
        """No longer; False when it never did."""
        if connection.keys.pop(key, None) is None:
            return False
        subscribers = self._subscribers.get(key, {})
        subscribers.pop(connection.number, None)
        if not subscribers:
            self._subscribers.pop(key, None)
        return True

    def publish(self, frame: Frame) -> None:
        """Send to all subscribers of the frame's key what the faults leave of it."""
        subscribers = self._subscribers.get(frame.key)
        if not subscribers:
            return
        for out in self.world.faults.on_frame(frame):
            for connection in subscribers.values():
                connection.send(out)

    def send_to(self, connection: Connection, frame: Frame) -> None:
        """Send to one client alone (a snapshot), through the same faults."""
        for out in self.world.faults.on_frame(frame):
            connection.send(out)

    # A connection's life

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Upgrade, serve until it ends."""
        refused = self._refuse(request)
        if refused is not None:
            return refused
        ws = web.WebSocketResponse(timeout=CLOSE_SECONDS, autoping=False, compress=True, max_msg_size=LARGEST_MESSAGE)
        await ws.prepare(request)
        world = self.world
        connection = Connection(request, ws, self.name, world.meter, world.clock, self.incoming_window())
        self.connections[connection.number] = connection
        try:
            self.greet(connection)
            async for message in ws:
                self._take(connection, message.type, message.data)
        finally:
            for key in list(connection.keys):
                self.unsubscribe(connection, key)
            await connection.finish()
            del self.connections[connection.number]
        return ws

    def _take(self, connection: Connection, kind: WSMsgType, data: object) -> None:
        if not connection.messages.allow(self.world.clock.mono()) and self.overloaded(connection):
            return
        if kind is WSMsgType.PING and isinstance(data, bytes | bytearray):
            connection.control(WSMsgType.PONG, bytes(data))
        elif kind is WSMsgType.PONG and isinstance(data, bytes | bytearray):
            if bytes(data) in connection.pings:  # an unsolicited pong keeps nothing alive
                connection.pings.clear()
                connection.last_pong = self.world.clock.mono()
        elif kind is WSMsgType.TEXT and isinstance(data, str):
            self.receive(connection, data)
        elif kind is WSMsgType.BINARY:
            connection.close(1003, "binary messages are not supported")

    def _refuse(self, request: web.Request) -> web.Response | None:
        faults = self.world.faults
        fault = faults.take("refuse", self.name)
        if fault is not None:
            if fault.request.params["how"] == "abort" and request.transport is not None:
                request.transport.abort()
            return web.Response(status=int(fault.request.params["status"]), text="Service Unavailable")
        http = faults.take_rest("http", self.name, "ws", None)
        if http is not None:
            params = http.request.params
            headers = {} if params["retry_after"] is None else {"Retry-After": str(params["retry_after"])}
            return web.Response(status=int(params["status"]), headers=headers, text="Refused")
        window = self._connects.setdefault(request.remote, self.connect_window())
        if not window.allow(self.world.clock.mono()):
            return web.Response(status=429, text="Too many connections")
        return None

    def close_matching(self, symbol: str | None, channel: str | None, code: int, reason: str, *, abrupt: bool) -> int:
        """Close the connections that subscribed to the symbol and channel (None: any); how many."""
        chosen = [one for one in self.connections.values() if self._subscribes(one, symbol, channel)]
        for connection in chosen:
            if abrupt:
                connection.abort("aborted by a fault")
            else:
                connection.close(code, reason)
        return len(chosen)

    def _subscribes(self, connection: Connection, symbol: str | None, channel: str | None) -> bool:
        if symbol is None and channel is None:
            return True
        marks = [self.key_market(key) for key in connection.keys]
        return any((symbol is None or s == symbol) and (channel is None or c == channel) for s, c in marks)

    # REST

    def rest(self, endpoint: str, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A REST handler: faults first, then the venue's own limits and answer."""

        async def handle(request: web.Request) -> web.Response:
            faults = self.world.faults
            symbol = self.request_symbol(request)
            slow = faults.take_rest("slow", self.name, endpoint, symbol)
            if slow is not None:
                await asyncio.sleep(slow.request.params["ms"] / 1000)
            http = faults.take_rest("http", self.name, endpoint, symbol)
            return answer(request) if http is None else self.fail(http.request.params)

        return handle

    @abstractmethod
    def request_symbol(self, request: web.Request) -> str | None:
        """The canonical symbol that a REST request is about."""

    @abstractmethod
    def fail(self, params: Mapping[str, Any]) -> web.Response:
        """The venue's way to fail a REST request as an `http` fault says."""
