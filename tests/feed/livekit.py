"""A live feed with a fake core against a real aiohttp server on loopback, for tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

from aiohttp import WSMsgType, web

from collector.clock import Now, system_clock
from collector.feed.live import LiveFeed, Network
from collector.net.budget import Budget
from collector.net.connects import ConnectBudget
from collector.net.rest import RestClient, Throttled
from collector.net.session import open_session
from collector.net.websocket import ConnectError, End, WebSocketOptions
from collector.records import Record, Trade
from collector.venues.protocol import (
    Answer,
    DeadLetter,
    Endpoint,
    Event,
    Facts,
    Fetch,
    FrameKind,
    Output,
    Pool,
    Send,
    StreamStatus,
    VerdictChange,
)
from tests.net.fakes import serving

FACTS = Facts(
    venue="binance",
    market="spot",
    ws_urls=(),
    endpoints=(Endpoint("/", ("trades", "quotes", "book")),),
    rest_urls=(),
    pool=Pool("test", 100, 60.0),
    control_per_s=1000.0,
    connects=(1000, 1.0),
    streams_per_connection=10,
    max_frame_bytes=1 << 20,
    lifetime_s=None,
    docs=(),
)
FETCH = Fetch(1, "depth", "/depth", (("symbol", "BTCUSDT"),), "BTCUSDT", 5)


def trade(text: str) -> Trade:
    return Trade(
        venue="binance",
        market="spot",
        instrument="BTC-USDT",
        symbol="BTCUSDT",
        ts=None,
        recv_ts=None,
        id=text,
        id_space="trade",
        price="1",
        size="1",
        side="buy",
    )


class FakeCore:
    """Makes a trade of every frame, and does what a test hangs on its inputs."""

    def __init__(self, facts: Facts = FACTS) -> None:
        self.facts = facts
        self.out = Output()
        self.deadline = 2**62
        self.inputs: list[tuple[object, ...]] = []
        self.last_ns = 0
        self.on_connected: Callable[[], None] = lambda: None
        self.on_frame: Callable[[bytes], FrameKind | None] = lambda _: None
        self.on_wake: Callable[[Now], None] = lambda _: None

    def note(self, now: Now, *event: object) -> None:
        assert now.mono_ns >= self.last_ns, "time went backwards"
        self.last_ns = now.mono_ns
        self.inputs.append((*event, now))

    def names(self) -> list[object]:
        return [event[0] for event in self.inputs]

    def connected(self, now: Now) -> None:
        self.note(now, "connected")
        self.on_connected()

    def disconnected(self, now: Now, cause: str) -> None:
        self.note(now, "disconnected", cause)

    def frame(self, data: bytes, now: Now) -> FrameKind:
        self.note(now, "frame", data)
        kind = self.on_frame(data)
        if kind is None:
            self.out.records.append(trade(data.decode()))
        return kind or "trades"

    def binary(self, data: bytes, now: Now) -> FrameKind:
        self.note(now, "binary", data)
        return "unknown"

    def reply(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        self.note(now, "reply", fetch, answer)

    def wake(self, now: Now) -> None:
        self.note(now, "wake")
        self.deadline = 2**62
        self.on_wake(now)

    def snapshots(self, now: Now) -> list[Record]:
        del now
        return [trade("snapshot")]

    def streams(self, *, digests: bool = False) -> list[StreamStatus]:
        del digests
        return []


class Notes:
    """An Observer that keeps what it is told."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.delays: list[float] = []
        self.failures: list[str] = []
        self.defects: list[Exception] = []
        self.sends: list[str] = []
        self.frames = 0
        self.bursts = 0
        self.statuses = 0
        self.attempts = 0
        self.fetching_of: list[Fetch] = []
        self.ended = 0
        self.closed_once = asyncio.Event()

    def frame(self, kind: FrameKind, size: int) -> None:
        del kind, size
        self.frames += 1

    def burst(self, duration_ns: int) -> None:
        assert duration_ns >= 0
        self.bursts += 1

    def records(self, records: list[Record]) -> None:
        assert records

    def said(self, verdicts: list[VerdictChange], dead: list[DeadLetter], events: list[Event]) -> None:
        assert verdicts or dead or events

    def sent(self, command: Send) -> None:
        self.sends.append(command.text)

    def fetching(self, fetch: Fetch, streams: Callable[[], list[StreamStatus]]) -> None:
        assert streams() == []
        self.fetching_of.append(fetch)

    def connecting(self, url: str) -> None:
        del url
        self.attempts += 1

    def opened(self, url: str, seconds: float) -> None:
        del url, seconds

    def refused(self, url: str, error: ConnectError, delay_s: float) -> None:
        del url
        self.failures.append(error.outcome)
        self.delays.append(delay_s)

    def closed(self, end: End, seconds: float, delay_s: float) -> None:
        del seconds
        self.ends.append(end.cause)
        self.delays.append(delay_s)
        self.closed_once.set()

    def status(self, streams: list[StreamStatus]) -> None:
        del streams
        self.statuses += 1

    def defect(self, error: Exception) -> None:
        self.defects.append(error)

    def stopped(self) -> None:
        self.ended += 1


class Taped:
    """A Tape that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[object, ...]] = []

    def line(self, *line: object) -> None:
        self.lines.append(line)

    def connected(self, now: Now) -> None:
        self.line("connected", now)

    def disconnected(self, now: Now, cause: str) -> None:
        self.line("disconnected", cause, now)

    def frame(self, kind: FrameKind, data: bytes, now: Now) -> None:
        assert kind in ("trades", "control")
        self.line("frame", data, now)

    def binary(self, data: bytes, now: Now) -> None:
        self.line("binary", data, now)

    def reply(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        self.line("reply", fetch, answer, now)

    def wake(self, now: Now) -> None:
        self.line("wake", now)


class Stage:
    """A feed, its fakes, and the server's side of its connections."""

    def __init__(self, core: FakeCore, feed: LiveFeed, notes: Notes, published: list[list[Record]]) -> None:
        self.core = core
        self.feed = feed
        self.notes = notes
        self.published = published

    def ids(self) -> list[str]:
        return [record.id for records in self.published for record in records if isinstance(record, Trade)]


Script = Callable[[web.WebSocketResponse, web.Request, int], Awaitable[None]]


async def stay(ws: web.WebSocketResponse, _: web.Request, __: int) -> None:
    """Serve until the client goes."""
    while (await ws.receive()).type is not WSMsgType.CLOSE:
        pass


@asynccontextmanager
async def playing(
    script: Script,
    core: FakeCore | None = None,
    *,
    rest: Callable[[web.Request], Awaitable[web.Response]] | None = None,
    tape: Taped | None = None,
    publish: Callable[[list[Record]], None] | None = None,
    throttled: Throttled | None = None,
    connects: tuple[int, float] = (1000, 1.0),
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> AsyncIterator[Stage]:
    """Run a feed against a server that runs `script` with the number of the connection."""
    core = core or FakeCore()
    notes, published = Notes(), list[list[Record]]()
    count = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal count
        if request.path != "/ws":
            return await rest(request) if rest is not None else web.Response(body=b"body")
        count += 1
        ws = web.WebSocketResponse(timeout=0.1)
        await ws.prepare(request)
        await script(ws, request, count)
        return ws

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    async with serving(handler) as host, open_session() as session:
        network = Network(
            session,
            f"ws://{host}/ws",
            RestClient(
                session, f"http://{host}", Budget("test", 100, 60.0, system_clock), system_clock, throttled=throttled
            ),
            ConnectBudget(*connects, system_clock, sleep or at_once),
            WebSocketOptions(1 << 20, close_s=0.1),
        )
        feed = LiveFeed(
            "binance-0",
            core,
            network,
            publish or published.append,
            notes,
            rng=Random(1),
            sleep=sleep or at_once,
            tape=tape,
        )
        task = asyncio.create_task(feed.run())
        try:
            yield Stage(core, feed, notes, published)
        finally:
            await feed.stop()
            assert task.done()
            assert task.cancelled() or task.exception() is None
            assert notes.ended == 1
            assert notes.attempts >= len(notes.ends)


async def until(check: Callable[[], bool], what: str) -> None:
    """Let the loop run until `check` holds."""
    end = time.monotonic() + 5
    while not check():
        assert time.monotonic() < end, f"never happened: {what}"
        await asyncio.sleep(0)
