"""Starts the bridge, keeps it until a signal, and ends it in order: what is on its way, web, memory, telemetry last.

It owns the process and the wiring. What is on and what is off is said at the start. SIGTERM and Ctrl-C are the same: a
message that is on its way still gets its answer, everything that waits is told to ask again, and all of it takes less
than 10 s. The metrics leave by /metrics alone, so that the watch over the delivery of alerts does not ride on the
pipeline that it watches; traces and logs go where OTEL_EXPORTER_OTLP_ENDPOINT says.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version
from pathlib import Path

import aiohttp

from alerting.bridge.logbook import Logbook
from alerting.bridge.memory import Memory
from alerting.bridge.observe import Observer, bridge_registry
from alerting.bridge.outbox import Outbox
from alerting.bridge.pace import Pace
from alerting.bridge.robots import DingTalk, Robot, Verdict, WeCom, host_of, post
from alerting.bridge.server import BridgeServer, Deliver
from alerting.bridge.settings import Channel, Settings
from alerting.errors import AlertingError
from telemetry.cells import Metrics
from telemetry.exposition import Exposition
from telemetry.logs import configure_logs, get_logger
from telemetry.otlp_settings import TelemetryError
from telemetry.process import watch_process
from telemetry.redaction import register_secret
from telemetry.registry import load_registry
from telemetry.setup import Telemetry, start_telemetry

log = get_logger("alerting.bridge")

SERVICE_NAME = "marketprism-bridge"
LAST_ANSWER_S = 5.5
"""A robot's answer is waited for 5 s; one that is on its way at the end gets that."""
EXIT_OK, EXIT_DEFECT = 0, 1
RESOLVERS = "asyncio_"
"""How the names of the event loop's own threads begin; it needs them to resolve names."""


class SystemClocks:
    """Implements `outbox.Clocks`."""

    def mono(self) -> float:
        """See Clocks."""
        return time.monotonic()

    def wall(self) -> float:
        """See Clocks."""
        return time.time()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """See Clocks."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


def run(settings: Settings, environ: Mapping[str, str] = os.environ) -> int:
    """Serve until a signal; the exit code. Raises AlertingError before anything is served."""
    loop = asyncio.new_event_loop()
    try:
        code = loop.run_until_complete(_main(settings, environ))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except TelemetryError as error:
        raise AlertingError(str(error)) from error
    finally:
        loop.close()
    if any(thread.name.startswith(RESOLVERS) for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(code)  # a thread that asks a name server which hangs would hold the exit back for as long
    return code


async def _main(settings: Settings, environ: Mapping[str, str]) -> int:
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        log.info("marketprism.bridge.stopping", signal=number.name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    metrics = Metrics(bridge_registry(load_registry()))
    async with _observed(settings, metrics, environ) as telemetry, serving(settings, metrics, telemetry) as bridge:
        log.info(
            "marketprism.bridge.started",
            build_version=version("marketprism"),
            server_address=settings.host,
            server_port=bridge.port,
            path=str(settings.data),
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, *bridge.tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return EXIT_OK if stop.is_set() else EXIT_DEFECT


class Bridge:
    """A bridge that serves: its port, and the tasks that must not end."""

    def __init__(self, port: int, tasks: list[asyncio.Task[None]]) -> None:
        self.port = port
        self.tasks = tasks


@contextlib.asynccontextmanager
async def serving(settings: Settings, metrics: Metrics, telemetry: Telemetry) -> AsyncIterator[Bridge]:
    """The whole bridge but for its logs and signals. Raises AlertingError when it cannot begin."""
    clocks = SystemClocks()
    now = clocks.wall()
    memory = Memory(settings.data, settings.duplicates_within_s, now)
    off = settings.why_off()
    observer = Observer(
        metrics, telemetry.tracer, clocks.wall, off, lambda: memory.trouble, version("marketprism")
    )  # fmt: skip
    robots: list[Robot] = [DingTalk(settings.dingtalk)] if settings.dingtalk is not None else []
    robots += [WeCom(settings.wecom)] if settings.wecom is not None else []
    async with aiohttp.ClientSession() as session:

        async def send(robot: Robot, body: bytes, wall_s: float) -> Verdict:
            return await post(session, robot, body, wall_s)

        outboxes: list[Outbox] = []
        for robot in robots:
            before = [clocks.mono() - (now - at) for at in memory.sent_before(robot.channel) if at <= now]
            outboxes.append(
                Outbox(robot, Pace(settings.messages_per_minute, before), memory, clocks, send, observer.sent)
            )
        channels: dict[Channel, Deliver] = {outbox.robot.channel: outbox.deliver for outbox in outboxes}
        channels["log"] = Logbook(settings.log_language, metrics, memory, clocks.wall, observer.logged).deliver
        for outbox in outboxes:
            observer.watch_waiting(outbox.robot.channel, lambda outbox=outbox: outbox.waiting)  # type: ignore[misc]
        texts = _runbooks(settings.runbooks)
        server = BridgeServer(settings.token, channels, observer, Exposition(metrics), off, texts, clocks.wall)
        try:
            try:
                port = await server.start(settings.host, settings.port)
            except OSError as error:
                reason = error.strerror or error
                raise AlertingError(f"MARKETPRISM_BRIDGE_LISTEN: {settings.host}:{settings.port}: {reason}") from error
            _say_channels(robots, off)
            tasks = [asyncio.create_task(outbox.run(), name=f"to {outbox.robot.channel}") for outbox in outboxes]
            try:
                yield Bridge(port, tasks)
            finally:
                await _end(outboxes, tasks)
        finally:
            await server.stop()
            memory.close()


def _runbooks(folder: Path | None) -> dict[str, str]:
    """What is in it, by the paths below it. Raises AlertingError for what cannot be read."""
    found: dict[str, str] = {}
    if folder is None:
        return found
    for path in sorted(folder.rglob("*.md")):
        try:
            found[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AlertingError(f"MARKETPRISM_BRIDGE_RUNBOOKS: {path} cannot be read: {error}") from error
    return found


async def _end(outboxes: list[Outbox], tasks: list[asyncio.Task[None]]) -> None:
    for outbox in outboxes:
        outbox.close()
    if tasks:
        await asyncio.wait(tasks, timeout=LAST_ANSWER_S)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    left = sum(outbox.stop() for outbox in outboxes)
    await asyncio.sleep(0)  # whoever waited gets the answer before the server ends
    log.info("marketprism.bridge.stopped", left=left)
    for end in ends:
        if isinstance(end, Exception):
            raise end


def _say_channels(robots: list[Robot], off: Mapping[Channel, str]) -> None:
    for robot in robots:
        signed = ", signed" if robot.settings.secret else ""
        log.info(
            "marketprism.bridge.channel.on",
            alert_channel=robot.channel,
            subject=f"{host_of(robot)}{signed}, {robot.settings.language}",
        )
    log.info("marketprism.bridge.channel.on", alert_channel="log", subject="this log")
    for channel, reason in off.items():
        log.info("marketprism.bridge.channel.off", alert_channel=channel, reason=reason)


@contextlib.asynccontextmanager
async def _observed(settings: Settings, metrics: Metrics, environ: Mapping[str, str]) -> AsyncIterator[Telemetry]:
    """Logs and traces, from before the first line to after the last. TelemetryError if the environment is wrong."""
    for secret in settings.secrets():
        register_secret(secret)
    ours = {"OTEL_SERVICE_NAME": SERVICE_NAME, **environ, "OTEL_METRICS_EXPORTER": "none"}
    telemetry = start_telemetry(
        metrics,
        service_version=version("marketprism"),
        instance_id=socket.gethostname(),
        environ=ours,
        loop=asyncio.get_running_loop(),
    )
    configure_logs(metrics=metrics, export=telemetry.log)
    watch_process(metrics, version("marketprism"))
    telemetry.say()
    try:
        yield telemetry
    finally:
        for name, left in (await telemetry.shutdown()).items():
            if left:
                log.warning("marketprism.telemetry.left", telemetry_signal=name, left=left)
