"""Starts the collector, keeps it until a signal, and ends it in order: sockets, journal, tape and dead letters, web,
telemetry last.

It owns the process: its event loop, its signals, its exit code. The port is bound before anything is written, and the
journal is open before anything is received. SIGTERM and Ctrl-C are the same; the whole end takes less than 10 s
whatever hangs, and what was left is logged. A second signal ends the process at once. Nothing here judges data or
knows a venue.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from importlib.metadata import version
from random import SystemRandom
from typing import TYPE_CHECKING

from collector.clock import SECOND_NS, Clock, system_clock
from collector.config.model import DEFAULT_INSTRUMENTS
from collector.config.source import variable
from collector.feed.deadletters import DeadLetters
from collector.feed.observe_net import dead_letter_trouble, observe_dead_letters
from collector.journal import Journal, JournalError, JournalSettings, restart_gaps
from collector.net.session import open_session, tls_context
from collector.service.building import Parts, build_feeds
from collector.service.collection import Collection
from collector.service.journal_watch import JournalWatch
from collector.service.loop_watch import LoopWatch
from collector.service.observed import observed
from collector.service.process import close_journal, drive, end_workers, make_workers
from collector.service.restarts import Restarts
from collector.service.tape_guard import GuardedTape
from collector.venues import VENUES
from collector.web.health import Facts, Judge, SideFacts, not_ready
from collector.web.report import Report
from collector.web.server import AddressError, AddressInUseError, WebServer, bind
from telemetry.cells import Metrics
from telemetry.exposition import Exposition
from telemetry.logs import get_logger
from telemetry.otlp_settings import TelemetryError
from telemetry.registry import load_registry

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    import aiohttp

    from collector.config import Config
    from collector.feed.deadletters import Trouble
    from collector.web.health import JournalFacts
    from telemetry.setup import Telemetry

log = get_logger("collector.service")

SWITCH_INTERVAL_S = 0.0005
"""Threads (syncs) give the loop back within this: half a millisecond instead of five."""
JUDGE_EVERY_S = 5.0
EXIT_OK, EXIT_DEFECT, EXIT_INTERRUPTED = 0, 1, 130


class ServiceError(Exception):
    """The collector cannot start; the message names the setting and what to do."""


def run(config: Config, source: str = "defaults") -> int:
    """Collect until a signal; give the exit code. `source`: where the configuration is from, for the log.

    Raises ServiceError before anything was received.
    """
    try:
        listener = bind(config.web.host, config.web.port)
    except AddressInUseError as error:
        raise ServiceError(f"web.port: {error}; choose another ({variable('web.port')}=…)") from error
    except AddressError as error:
        raise ServiceError(f"web.host: {error}") from error
    try:
        return drive(Service(config, source).serve(listener))
    except TelemetryError as error:
        raise ServiceError(str(error)) from error
    finally:
        listener.close()


def record(config: Config, seconds: float | None) -> int:
    """Write the tape that the configuration names until a signal, or for so long; give the exit code."""
    try:
        return drive(Service(config).record(seconds))
    except TelemetryError as error:
        raise ServiceError(str(error)) from error


class Service:
    """One collector. Implements `web.server.Source`."""

    def __init__(self, config: Config, source: str = "defaults", clock: Clock = system_clock) -> None:
        self.config = config
        self.source = source
        self.clock = clock
        self.started = clock()
        self.version = version("marketprism")
        self.metrics = Metrics(load_registry())
        self.telemetry: Telemetry  # while it runs
        self.collection = Collection(None, clock, defaults=config.instruments == DEFAULT_INSTRUMENTS)
        self._judge = Judge()
        self._loop_watch = LoopWatch(self.metrics)
        self._journal_facts: Callable[[], JournalFacts] | None = None
        self._dead_letters: DeadLetters | None = None
        self._letters_trouble: tuple[int, str] | None = None  # how many were kept by then, why no more
        self._tape: GuardedTape | None = None
        self._stop = asyncio.Event()
        self._signal = ""
        self._background: list[asyncio.Task[None]] = []  # what must not end
        self._helpers: list[asyncio.Task[None]] = []
        self._executor = make_workers()

    # -- web.server.Source --------------------------------------------------------------------------------------------

    def not_ready(self) -> str | None:
        """See Source."""
        return not_ready(self._facts())

    def health(self) -> Report:
        """See Source."""
        return self._judge.report(self._facts(), self.clock())

    def _facts(self) -> Facts:
        sides = [SideFacts("dead_letters", self._letters_detail())]
        if self._tape is not None:
            sides.append(SideFacts("tape", self._tape.failed))
        return Facts(
            instance=self.config.instance_id,
            version=self.version,
            started=self.started,
            loop_delay_s=self._loop_watch.delay_s,
            loop_measured_us=self._loop_watch.measured_us,
            journal=None if self._journal_facts is None else self._journal_facts(),
            venues=self.collection.venues(),
            sides=sides,
        )

    def _letters_detail(self) -> str:
        """What is wrong with the dead letters; a letter that was kept since ends it."""
        if self._dead_letters is None or self._letters_trouble is None:
            return ""
        kept, text = self._letters_trouble
        return f"undecodable messages are not kept: {text}" if self._dead_letters.written == kept else ""

    # -- the two ways to run ------------------------------------------------------------------------------------------

    async def serve(self, listener: socket.socket) -> int:
        """Collect into the journal until a signal."""
        async with observed(self.config, self.metrics, self.version) as self.telemetry:
            return await self._serve(listener)

    async def record(self, seconds: float | None) -> int:
        """Collect onto the tape alone."""
        async with observed(self.config, self.metrics, self.version) as self.telemetry:
            return await self._record(seconds)

    async def _serve(self, listener: socket.socket) -> int:
        self._prepare()
        tls = self._tls()
        journal = self._open_journal()
        web = WebServer(listener, Exposition(self.metrics))
        try:
            self._open_tape()
            self._dead_letters = self._open_dead_letters()
            async with open_session(tls) as session:
                self._build(session)
                web.source = self
                await web.start()
                self._spawn(journal.run(self.collection.turn), "journal")
                self._say_started(web.port)
                code = await self._until_stopped(None)
                late = await self.collection.stop()
        finally:
            await self._end_background()
            left = await close_journal(journal)
            self._close_files()
            await web.stop()
        return self._say_stopped(code, late, journal.accepted, left)

    async def _record(self, seconds: float | None) -> int:
        self._prepare()
        tls = self._tls()
        self._open_tape()
        try:
            async with open_session(tls) as session:
                self._build(session)
                code = await self._until_stopped(seconds)
                late = await self.collection.stop()
        finally:
            await self._end_background()
            self._close_files()
        tape = self._tape
        if tape is None:
            raise ServiceError("record.tape: expected a path")
        sys.stderr.write(f"{tape.path}: {tape.lines} lines\n")
        if tape.failed:
            raise ServiceError(f"record.tape: {tape.failed}")
        return self._say_stopped(code, late, 0, 0)

    # -- start --------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(self._executor)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _tls(self) -> ssl.SSLContext:
        try:
            return tls_context(self.config.tls.ca_file)
        except ValueError as error:
            raise ServiceError(f"tls.ca_file: {error}") from error

    def _on_signal(self, number: signal.Signals) -> None:
        if self._signal:
            os._exit(EXIT_INTERRUPTED)  # asked twice: now, whatever hangs; what was accepted is on disk
        self._signal = number.name
        log.info("marketprism.service.stopping", signal=number.name)
        self._stop.set()

    def _open_journal(self) -> Journal:
        settings = self.config.journal
        watch = JournalWatch(self.metrics, self.clock)
        journal = Journal(
            JournalSettings(
                directory=settings.directory,
                segment_bytes=settings.segment_bytes,
                segment_age_s=settings.segment_age,
                retain_age_s=settings.retain_age,
                retain_bytes=settings.retain_bytes,
                reserve_bytes=settings.reserve_bytes,
                sync_every_s=settings.sync_every,
            ),
            self.clock,
            watch,
        )
        try:
            opened = journal.open()
        except JournalError as error:
            raise ServiceError(f"journal.directory: {error}") from error
        log.info(
            "marketprism.journal.opened",
            path=str(settings.directory),
            epoch=opened.epoch,
            size=opened.size,
            free=journal.free,
        )
        self._journal_facts = watch.watch(journal)
        gaps = restart_gaps(opened, self.clock())
        self.collection.spool = journal
        self.collection.restarts = Restarts(gaps)
        self.collection.on_closed = watch.restart_ended
        if gaps:
            watch.restarted(gaps)
            journal.append(gaps)
        return journal

    def _open_tape(self) -> None:
        path = self.config.record.tape
        if path is None:
            return
        try:
            self._tape = GuardedTape(path)
        except OSError as error:
            raise ServiceError(f"record.tape: {path}: cannot be written: {error.strerror or error}") from error

    def _open_dead_letters(self) -> DeadLetters:
        settings = self.config.dead_letters
        letters = DeadLetters(
            self.config.dead_letters_file(), max_bytes=settings.max_bytes, on_trouble=self._on_letters_trouble
        )
        observe_dead_letters(self.metrics, letters)
        return letters

    def _on_letters_trouble(self, trouble: Trouble, path: Path, text: str) -> None:
        self._letters_trouble = (0 if self._dead_letters is None else self._dead_letters.written, text)
        dead_letter_trouble(trouble, path, text)

    def _build(self, session: aiohttp.ClientSession) -> None:
        parts = Parts(
            self.config,
            VENUES,
            session,
            self.metrics,
            self._dead_letters,
            self._tape,
            self.collection.publish,
            self.clock,
            SystemRandom(),
            self.telemetry.tracer,
        )
        try:
            self.collection.placed = build_feeds(parts)
        except OSError as error:  # only a tape writes here
            raise ServiceError(f"record.tape: cannot be written: {error.strerror or error}") from error
        for place in self.collection.placed:
            self._spawn(place.feed.run(), f"feed {place.feed.core.facts.venue} {place.feed.name}")
        # without these two less is known, and collecting goes on
        self._helpers = [self._task(self._loop_watch.run(), "loop watch"), self._task(self._remember(), "judge")]
        for helper in self._helpers:
            helper.add_done_callback(lambda task: None if task.cancelled() else self._say_failed(task))

    async def _remember(self) -> None:
        """Judge now and then, so that /health knows since when."""
        while True:
            self.health()
            await asyncio.sleep(JUDGE_EVERY_S)

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        self._background.append(self._task(work, name))

    @staticmethod
    def _task(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=name)

    def _say_started(self, port: int) -> None:
        # What was made until now stays until the end: a full collection that walks it stalls the loop by 16 to 39 ms.
        gc.collect()
        gc.freeze()
        log.info("marketprism.config.loaded", source=self.source, instruments=len(self.config.instruments))
        self.telemetry.say()
        log.info(
            "marketprism.service.started",
            build_version=self.version,
            instruments=len(self.config.instruments),
            server_address=self.config.web.host,
            server_port=port,
            duration=self._seconds(),
        )

    # -- end ----------------------------------------------------------------------------------------------------------

    async def _until_stopped(self, seconds: float | None) -> int:
        """Wait for a signal, the time, or the end of a part that must not end, which is a defect."""
        stop = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait({stop, *self._background}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        code = EXIT_OK
        for task in self._background:
            if task in done:
                self._say_failed(task)
                code = EXIT_DEFECT
        return code

    @staticmethod
    def _say_failed(task: asyncio.Task[None]) -> None:
        error = task.exception()
        log.critical(
            "marketprism.service.failed",
            subject=task.get_name(),
            error_type=type(error).__name__,
            error_message=str(error),
            exc_info=error,
        )

    async def _end_background(self) -> None:
        tasks = [*self._background, *self._helpers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await end_workers(self._executor)

    def _close_files(self) -> None:
        if self._tape is not None:
            self._tape.close()
        if self._dead_letters is not None:
            self._dead_letters.close()

    def _say_stopped(self, code: int, late: int, accepted: int, left: int) -> int:
        clean = code == EXIT_OK and not left and not late
        log.info(
            "marketprism.service.stopped",
            duration=self._seconds(),
            records=accepted,
            left=left,
            status="clean" if clean else f"{late} connections did not end, {left} records are not durable",
        )
        return code or (EXIT_DEFECT if left else EXIT_OK)

    def _seconds(self) -> float:
        return round((self.clock().mono_ns - self.started.mono_ns) / SECOND_NS, 3)
