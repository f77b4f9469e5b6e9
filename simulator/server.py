"""The whole simulator: venues, control and markets behind one plain and one TLS port, startable in a test's process.

It owns starting and stopping. It must never know a venue's wire. `async with Simulator(...) as simulator` gives its
ports, its ledgers and `step`; leaving it closes every socket at once.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from simulator.clock import Clock
from simulator.control import Control
from simulator.driver import Driver
from simulator.faultkinds import parse
from simulator.faults import Faults
from simulator.ledger import Ledger
from simulator.limits import nearest
from simulator.markets import World
from simulator.perpetual import FUNDING_SECONDS
from simulator.registry import VENUES
from simulator.tape import read_tape
from simulator.venue import Venue

DEFAULT_SYMBOLS = ("BTC-USDT", "ETH-USDT", "BTC-USD", "ETH-USD", "BTC-USDT-PERP", "ETH-USDT-PERP")
LEDGER_LIMIT = 2_000_000
_KEEP_SECONDS = 0.1


class Simulator:
    """The exchanges on loopback.

    `rate` is steps a second over all markets; with 0 nothing moves but by `step`, and time is the steps'. `limits`
    changes venues' limits by name (`binance.weight`). `tls_dir` (or `tls=True`, with a directory of its own that goes
    with it) opens the TLS port; `tls_names` are further names of this host. `open_control`: /control answers everyone.
    `venues`: only these exist (default: all). `funding_seconds`: how often perpetuals settle.

    Raises:
        ValueError: a venue, symbol, limit or tape is not what it must be.
        OSError: a port is in use, or a file cannot be read or written.
    """

    def __init__(  # noqa: PLR0913 - each is one thing to choose, by name
        self,
        *,
        seed: int = 1,
        symbols: Iterable[str] = DEFAULT_SYMBOLS,
        venues: Iterable[str] | None = None,
        rate: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        tls_port: int = 0,
        tls_dir: Path | None = None,
        tls_names: Iterable[str] = (),
        open_control: bool = False,
        tape: Path | None = None,
        speed: float = 1.0,
        limits: Mapping[str, float] | None = None,
        ledger_limit: int = LEDGER_LIMIT,
        funding_seconds: int = FUNDING_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        self.host = host
        self.port = port
        self.tls_port = tls_port
        self.ca_file: Path | None = None
        self._tls = tls or tls_dir is not None
        self._tls_dir = tls_dir
        self._tls_names = tuple(tls_names)
        self.open_control = open_control
        self.world = World(seed, clock, rate > 0, Faults(clock), ledger_limit, funding_seconds)
        chosen = chosen_venues(tuple(VENUES) if venues is None else tuple(venues))
        self.venues = _venues(self.world, chosen, tuple(symbols), limits or {}, tape)
        self.driver = Driver(self.world, self.venues, rate, speed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._sites: list[web.TCPSite] = []
        self._stack = contextlib.ExitStack()

    async def start(self) -> None:
        """Open the ports and set the markets going."""
        app = web.Application()
        app.add_routes(Control(self).routes())
        for venue in self.venues.values():
            app.add_routes(venue.routes())
        runner = self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handle_signals=False)
        await runner.setup()
        try:
            await self._open(runner)
        except OSError:
            await self.stop()
            raise
        self._spawn(self._keep())
        self._spawn(self.driver.run())
        for venue in self.venues.values():
            if venue.tape is not None and self.world.running:
                self._spawn(self.driver.play(venue, venue.tape))

    async def _open(self, runner: web.AppRunner) -> None:
        plain = web.TCPSite(runner, self.host, self.port)
        await plain.start()
        self.port = runner.addresses[0][1]
        self._sites = [plain]
        if self._tls:
            from simulator.tls import Tls  # noqa: PLC0415 - needs a package that a plain run does not

            directory = self._tls_dir or Path(
                self._stack.enter_context(tempfile.TemporaryDirectory(prefix="simulator-"))
            )
            tls = Tls(directory, self.host, self.world.faults.certificate, self._tls_names)
            self.ca_file = tls.ca_file
            secure = web.TCPSite(runner, self.host, self.tls_port, ssl_context=tls.context)
            await secure.start()
            self.tls_port = runner.addresses[1][1]
            self._tls_context = tls.context
            self._sites.append(secure)

    def _spawn(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Close everything at once."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for venue in self.venues.values():
            for connection in list(venue.connections.values()):
                connection.abort("the simulator stopped")
        if self._runner is not None:
            await self._runner.cleanup()
        self._stack.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def http_url(self) -> str:
        """Where REST and control are."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where the WebSockets are."""
        return f"ws://{self.host}:{self.port}"

    @property
    def https_url(self) -> str:
        """Where REST is over TLS; `ca_file` is to be trusted for it."""
        return f"https://{self.host}:{self.tls_port}"

    @property
    def wss_url(self) -> str:
        """Where the WebSockets are over TLS; `ca_file` is to be trusted for it."""
        return f"wss://{self.host}:{self.tls_port}"

    def ledger(self, venue: str, symbol: str) -> Ledger:
        """The truth about one market."""
        return self.venues[venue].ledgers[symbol]

    async def step(self, count: int = 1, venue: str | None = None, symbol: str | None = None) -> None:
        """Take `count` steps in turn over the chosen markets (or lines of the tape); returns when all was sent.

        Raises:
            ValueError: the markets run by themselves, or there is no such market.
            TimeoutError: a client has not taken its messages in ten seconds.
        """
        done = await self.driver.step(count, venue, symbol)
        if done["undelivered"]:
            raise TimeoutError(f"{done['undelivered']} clients do not read")

    async def run_markets(self, *, running: bool) -> int:
        """Let the markets run or stand; standing, what waited is sent. How many clients have not taken it."""
        if running and self.driver.rate <= 0:
            raise ValueError("the rate is 0: POST /control/rate first")
        self.world.running = running
        if running:
            return 0
        for venue in self.venues.values():
            venue.flush(None)
        return await self.driver.drain()

    async def add_fault(self, body: object) -> dict[str, Any]:
        """Put a fault in force, as POST /control/faults does; its report.

        Raises:
            ValueError: the request is not one that can be carried out.
        """
        faults = self.world.faults
        request = parse(body, {name: list(venue.markets) for name, venue in self.venues.items()})
        faults.check(request)
        fault = faults.add(request)
        params = request.params
        if request.kind == "close" and request.venue is not None:
            struck = self.venues[request.venue].close_matching(
                request.symbol, request.channel, params["code"], params["reason"], abrupt=params["abrupt"]
            )
            faults.note(fault, request.venue, request.symbol)
            faults.clear(fault.id)
            return {**fault.report(), "connections": struck}
        if request.kind == "clock_skew" and request.venue is not None:
            faults.note(fault, request.venue, None)
        if request.kind == "refuse" and params["how"] == "listen" and request.seconds is not None:
            faults.note(fault, "all", None)
            self._spawn(self._deaf(request.seconds))
        return fault.report()

    async def _deaf(self, seconds: float) -> None:
        """Close both listening sockets for a while; open connections stay."""
        for site in self._sites:
            await site.stop()
        await asyncio.sleep(seconds)
        if self._runner is None:
            return
        self._sites = [web.TCPSite(self._runner, self.host, self.port)]
        if self._tls:
            self._sites.append(web.TCPSite(self._runner, self.host, self.tls_port, ssl_context=self._tls_context))
        for site in self._sites:
            await site.start()

    async def _keep(self) -> None:
        clock = self.world.clock
        while True:
            await asyncio.sleep(_KEEP_SECONDS)
            now = clock.mono()
            for venue in self.venues.values():
                for connection in list(venue.connections.values()):
                    venue.keep(connection, now)


def chosen_venues(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, once each is known.

    Raises:
        ValueError: one is unknown, or there is none.
    """
    for name in names:
        if name not in VENUES:
            raise ValueError(f"unknown venue {name!r}{nearest(name, list(VENUES))}")
    if not names:
        raise ValueError(f"no venue given, expected some of: {', '.join(VENUES)}")
    return names


def _venues(
    world: World, names: tuple[str, ...], symbols: tuple[str, ...], limits: Mapping[str, float], tape: Path | None
) -> dict[str, Venue]:
    by_venue: dict[str, dict[str, float]] = {name: {} for name in VENUES}
    for name, value in limits.items():
        venue, _, limit = name.partition(".")
        if venue not in VENUES or not limit:
            raise ValueError(f"limit {name!r} is not of the form venue.limit{nearest(venue, list(VENUES))}")
        by_venue[venue][limit] = value
    if tape is None:
        return {name: VENUES[name](world, symbols, by_venue[name]) for name in VENUES if name in names}
    lines = read_tape(tape)
    chosen = {name: make for name, make in VENUES.items() if name in lines and name in names}
    if not chosen:
        raise ValueError(f"{tape}: no line of {', '.join(VENUES)} on this tape")
    return {
        name: make(world, make.tape_symbols(lines[name]), by_venue[name], lines[name]) for name, make in chosen.items()
    }
