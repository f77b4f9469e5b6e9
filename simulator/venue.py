"""What all venues share on the wire: messages handed through the faults to their subscribers, connections, REST.

It owns the way of a step from market to socket and of a connection from upgrade to end. It must never know one venue's
wire: a venue is a subclass that renders steps, answers messages and lists its REST routes.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from aiohttp import WSMsgType, web

from simulator.book import Book
from simulator.connection import CLOSE_SECONDS, Connection
from simulator.errors import BadRequestError
from simulator.frames import Frame
from simulator.instruments import Instrument, check_symbol
from simulator.limits import SlidingWindow
from simulator.market import Market, Step
from simulator.markets import Markets, World
from simulator.tape import Line, TapeVenue

LARGEST_MESSAGE = 64 * 1024

Answer = Callable[[web.Request], web.Response]


class Texts(Protocol):
    """A market's numbers as its venue writes them."""

    def price(self, tick: int) -> str:
        """A price."""

    def size(self, lots: int) -> str:
        """A size."""


class Venue(Markets, ABC):
    """One exchange on the wire."""

    books_by_id: ClassVar[bool]  # whether its books are numbered; else time tells one from another

    def __init__(self, world: World, instruments: Iterable[Instrument], tape: TapeVenue | None) -> None:
        super().__init__(world, instruments, tape)
        self.connections: dict[int, Connection] = {}
        self._subscribers: dict[str, dict[int, Connection]] = {}
        self._connects: dict[str | None, SlidingWindow] = {}
        self.subscribed = asyncio.Event()

    # What a venue is

    @staticmethod
    @abstractmethod
    def instrument(symbol: str) -> Instrument | None:
        """The canonical symbol on this venue; None when it has no such."""

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

    def book_at(self, symbol: str, at: int | None) -> tuple[Book, int, int]:
        """The true book now, or at an id or time as the venue's messages carry it; its id and time (microseconds).

        Raises:
            LookupError: it is older than the ledger.
        """
        ledger = self.ledgers[symbol]
        if at is None:
            return ledger.book_now()
        return ledger.book_at_id(at) if self.books_by_id else ledger.book_at_time(at)

    def reset_sequence(self, symbol: str) -> None:
        """Let the ids of a market's book begin again, as after maintenance.

        Raises:
            BadRequestError: the venue's books have no such ids.
        """
        raise BadRequestError(f"{self.name} {symbol}: its sequence cannot begin again")

    # Listings and the state of the venue

    def set_listing(self, symbol: object, status: object) -> None:
        """Halt, delist or resume a market, or list a new one; the venue tells its clients as the real one does.

        Raises:
            ValueError: the status is unknown, or the venue can have no such symbol.
        """
        if not isinstance(symbol, str):
            raise BadRequestError(f"expected a symbol, not {symbol!r}")
        if symbol not in self.markets:
            check_symbol(symbol)
            instrument = self.instrument(symbol)
            if instrument is None:
                raise BadRequestError(f"{self.name} cannot list {symbol!r}")
            self.listed(self.open(instrument, self.now_us() - self.skew_us()))
        self.change_listing(symbol, status)
        self.announce_listing(symbol)

    def set_system(self, status: object, message: object) -> None:
        """Change the state of the whole venue; it tells its clients as the real one does.

        Raises:
            ValueError: the status is unknown or the message no text.
        """
        self.change_system(status, message)
        self.announce_system()

    @abstractmethod
    def listed(self, market: Market) -> None:
        """A market was opened during the run; the venue prepares what it keeps of each."""

    @abstractmethod
    def announce_listing(self, symbol: str) -> None:
        """Tell clients that a market's listing changed, where the venue has such a message."""

    @abstractmethod
    def announce_system(self) -> None:
        """Tell clients that the state of the venue changed, where the venue has such a message."""

    # What follows from a step

    def advance(self, symbol: str) -> None:
        """Take one step of one market, if it trades, and send what follows from it at once."""
        step = self.take(symbol)
        if step is not None:
            for frame in self.render(self.markets[symbol], step):
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
        self.deliver(frame, subscribers.values())

    def send_to(self, connection: Connection, frame: Frame) -> None:
        """Send to one client alone (a snapshot), through the same faults."""
        self.deliver(frame, (connection,))

    def deliver(self, frame: Frame, connections: Collection[Connection]) -> None:
        """Hand a message through the faults to these clients."""
        for out in self.world.faults.on_frame(frame):
            for connection in connections:
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
