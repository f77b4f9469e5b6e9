"""The live driver: one venue core moved by one connection, reconnected for ever.

It owns the order in which things happen to the core and nothing that they mean: it waits for its turn, connects,
passes every message on with its time, and after each burst takes what the core has to say: records are published,
commands are carried out, the rest is observed. It never decodes, never judges and never retries what the core asked
for. Everything happens on the event loop's thread and a burst is handled without an await, so no two inputs of a core
overlap. An optional tape is given the same inputs in the same order.

An error that escapes the core or the publisher is a defect of ours, and one venue's must not end the others'
collection: it is logged whole, counted as a close with cause `internal_error`, and the connection is made anew, which
makes the core forget its books.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import aiohttp

from collector.clock import MILLI_NS, SECOND_NS, Clock, Now, system_clock
from collector.feed.journeys import Journeys, Publish
from collector.feed.seams import Observer, Tape
from collector.net.connects import Backoff, ConnectBudget, Sleep
from collector.net.control import ControlSender
from collector.net.rest import RestClient
from collector.net.websocket import ConnectError, End, WebSocket, WebSocketOptions, connect
from collector.records import Record
from collector.venues.protocol import CHANNELS, STATUS_TRANSPORT, Answer, Command, Core, Fetch, Reconnect

MAX_RECORDS = 256
"""Records that are published together at most, one message's own number aside."""
STATUS_EVERY_NS = SECOND_NS
ORDINARY_ENDPOINTS = frozenset({"check"})
"""Fetches that may not use a pool's reserve: without them nothing is lost, a verdict is only older."""
_DATA = frozenset(CHANNELS) - {"instruments", "status"}
"""Kinds of message that show that a connection delivers: those two come whenever one is opened."""
_LONGEST_TIMER_S = 3600.0
_SHORTEST_TIMER_S = 0.001
_EARLY_S = 900.0


@dataclass(frozen=True, slots=True)
class Network:
    """A venue's way out. `rest`'s budget and `connects` are shared by all of its connections."""

    session: aiohttp.ClientSession
    url: str
    rest: RestClient
    connects: ConnectBudget
    options: WebSocketOptions


class LiveFeed:
    """One core and its connection. `name` is the connection's, the same after every reconnect.

    `publish` takes the records of a burst, synchronously; it may call `flush` of any feed. `journeys` traces some
    messages; without it none is.
    """

    def __init__(  # noqa: PLR0913 (everything it needs is passed in)
        self,
        name: str,
        core: Core,
        network: Network,
        publish: Publish,
        observer: Observer,
        *,
        rng: Random,
        clock: Clock = system_clock,
        sleep: Sleep = asyncio.sleep,
        tape: Tape | None = None,
        journeys: Journeys | None = None,
    ) -> None:
        self.name = name
        self.core = core
        self._network = network
        self._publish = publish
        self._observer = observer
        self._rng = rng
        self._clock = clock
        self._sleep = sleep
        self._tape = tape
        self._journeys = journeys
        self._backoff = Backoff(rng)
        self._socket: WebSocket | None = None
        self._control: ControlSender | None = None
        self._fetches: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0  # when it rings
        self._status_ns = 0
        self._data = False  # whether this burst carried application data
        self._planned = False
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self._socket is not None

    async def run(self) -> None:
        """Collect until `stop` is called. Returns then, and never ends otherwise (unless cancelled)."""
        self._task = asyncio.current_task()
        self._arm()
        try:
            while not self._stopping:
                await self._connect_and_serve()
        except asyncio.CancelledError:
            if not self._stopping or self._task is None or self._task.uncancel() > 0:
                raise
        finally:
            self._stopping = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            await self._drop_fetches()
            self._observer.stopped()

    async def stop(self) -> None:
        """End `run` and wait for it: the socket is closed, what was received is published, no task is left."""
        self._stopping = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    def flush(self) -> None:
        """Publish now what the core has, as before a new journal segment."""
        self._drain_safely()

    def snapshots(self, now: Now) -> list[Record]:
        """Give the head of a new journal segment. Flush first."""
        return self.core.snapshots(now)

    # -- Sink: called by the WebSocket --------------------------------------------------------------------------------

    def on_frame(self, data: bytes, now: Now) -> None:
        """Take one text message."""
        journeys = self._journeys
        if journeys is None or now.mono_ns < journeys.look_ns:
            kind = self.core.frame(data, now)
        else:
            kind = journeys.frame(self.core, data, now)
        self._observer.frame(kind, len(data))
        if self._tape is not None:
            self._tape.frame(kind, data, now)
        if kind in _DATA:
            self._data = True
        if len(self.core.out.records) >= MAX_RECORDS:
            self._drain()

    def on_binary(self, data: bytes, now: Now) -> None:
        """Take one binary message."""
        kind = self.core.binary(data, now)
        self._observer.frame(kind, len(data))
        if self._tape is not None:
            self._tape.binary(data, now)

    def on_burst_end(self, now: Now) -> None:
        """Publish what the burst gave."""
        if self._data:
            self._data = False
            self._backoff.data(now.mono_ns)
        self._drain_safely()
        self._observer.burst(self._clock().mono_ns - now.mono_ns)

    # -- the connection -----------------------------------------------------------------------------------------------

    async def _connect_and_serve(self) -> None:
        network, observer = self._network, self._observer
        await network.connects.acquire()
        observer.connecting(network.url)
        started = self._clock().mono_ns
        try:
            socket = await connect(network.session, network.url, network.options, self._clock)
        except ConnectError as error:
            delay_s = max(self._backoff.lost(), error.wait_s)
            observer.refused(network.url, error, delay_s)
            await self._sleep(delay_s)
            return
        opened = self._clock().mono_ns
        observer.opened(network.url, (opened - started) / SECOND_NS)
        end = End("shutdown")
        try:
            end = await self._serve(socket)
        finally:
            delay_s = 0.0 if self._stopping else self._backoff.lost(planned=self._planned)
            observer.closed(end, (self._clock().mono_ns - opened) / SECOND_NS, delay_s)
        await self._sleep(delay_s)

    async def _serve(self, socket: WebSocket) -> End:
        facts = self.core.facts
        self._planned = False
        self._socket = socket
        self._control = ControlSender(socket.send, facts.control_per_s, self._clock, self._sleep)
        expiry: asyncio.TimerHandle | None = None
        if facts.lifetime_s is not None:
            early_s = min(_EARLY_S, facts.lifetime_s / 4)
            life_s = facts.lifetime_s - self._rng.uniform(early_s / 15, early_s)
            expiry = asyncio.get_running_loop().call_later(life_s, self._expire)
        end = End("shutdown")
        try:
            self._input(self._connected)
            end = await socket.pump(self)
        except Exception as error:  # noqa: BLE001 (see the module's docstring)
            self._observer.defect(error)
            end = End("internal_error", text=type(error).__name__)
        finally:
            if expiry is not None:
                expiry.cancel()
            control, self._control, self._socket = self._control, None, None
            self._input(lambda now: self._disconnected(now, end.cause))
            try:
                await control.close()
                await self._drop_fetches()
            finally:
                await socket.close()
        return end

    async def _drop_fetches(self) -> None:
        """Give up what is still being fetched: a core forgets its fetches when its connection ends."""
        for task in self._fetches:
            task.cancel()
        if self._fetches:
            await asyncio.wait(set(self._fetches))

    def _expire(self) -> None:
        self._reconnect(Reconnect("lifetime", planned=True))

    def _connected(self, now: Now) -> None:
        self.core.connected(now)
        if self._tape is not None:
            self._tape.connected(now)

    def _disconnected(self, now: Now, cause: str) -> None:
        self.core.disconnected(now, cause)
        if self._tape is not None:
            self._tape.disconnected(now, cause)

    # -- what the core says and asks ----------------------------------------------------------------------------------

    def _input(self, give: Callable[[Now], None]) -> None:
        """Give the core an input that is not a message, and take what it says."""
        try:
            give(self._clock())
            self._drain()
        except Exception as error:  # noqa: BLE001 (see the module's docstring)
            self._defect(error)

    def _drain_safely(self) -> None:
        try:
            self._drain()
        except Exception as error:  # noqa: BLE001 (see the module's docstring)
            self._defect(error)

    def _defect(self, error: Exception) -> None:
        self._observer.defect(error)
        if self._socket is not None:
            self._socket.end("internal_error", type(error).__name__)

    def _drain(self) -> None:
        out = self.core.out
        # Copies, because `publish` may come back through `flush`.
        records, commands = out.records[:], out.commands[:]
        verdicts, dead, events = out.verdicts[:], out.dead[:], out.events[:]
        out.clear()
        if records:
            self._observer.records(records)
        if self._journeys is not None and self._journeys.open:
            self._journeys.flush(self._publish, records)
        elif records:
            self._publish(records)
        if verdicts or dead or events:
            self._observer.said(verdicts, dead, events)
        for command in commands:
            self._carry_out(command)
        self._arm()

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Fetch):
            task = asyncio.get_running_loop().create_task(self._fetch(command), name=f"fetch {command.endpoint}")
            self._fetches.add(task)
            task.add_done_callback(self._fetches.discard)
        elif isinstance(command, Reconnect):
            self._reconnect(command)
        elif self._control is not None:  # without a connection there is nobody to send to, and nothing was promised
            self._control.send(command.text)
            self._observer.sent(command)

    def _reconnect(self, command: Reconnect) -> None:
        if self._socket is not None:
            self._planned = command.planned
            self._socket.end(command.cause)

    async def _fetch(self, fetch: Fetch) -> None:
        self._observer.fetching(fetch, self.core.streams)
        try:
            reply = await self._network.rest.get(
                fetch.endpoint,
                fetch.path,
                fetch.params,
                weight=fetch.weight,
                important=fetch.endpoint not in ORDINARY_ENDPOINTS,
            )
        except Exception as error:  # noqa: BLE001 (see the module's docstring)
            self._defect(error)
            return
        error_text = f"{reply.failure}: {reply.text}" if reply.failure is not None else ""
        answer = Answer(reply.status or STATUS_TRANSPORT, reply.body, reply.request, error_text)
        self._input(lambda now: self._replied(fetch, answer, now))

    def _replied(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        self.core.reply(fetch, answer, now)
        if self._tape is not None:
            self._tape.reply(fetch, answer, now)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Keep one timer for the core's deadline: a deadline that moves away costs nothing until the timer rings."""
        deadline = self.core.deadline
        if self._timer is not None:
            if deadline >= self._timer_ns:
                return
            self._timer.cancel()
        if self._stopping:
            return
        now = self._clock().mono_ns
        wait_s = min(max((deadline - now) / SECOND_NS, _SHORTEST_TIMER_S), _LONGEST_TIMER_S)
        self._timer_ns = max(deadline, now + MILLI_NS)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._clock().mono_ns >= self.core.deadline:
            self._input(self._wake)
        self._arm()

    def _wake(self, now: Now) -> None:
        self.core.wake(now)
        if self._tape is not None:
            self._tape.wake(now)
        if now.mono_ns - self._status_ns >= STATUS_EVERY_NS:
            self._status_ns = now.mono_ns
            self._observer.status(self.core.streams())
