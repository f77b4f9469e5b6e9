"""Telemetry of the process as a whole: made once from the environment, ended once within a deadline.

It owns the three OpenTelemetry providers, what they say about their sender, and their end. Without an endpoint nothing
of it runs: cells, `/metrics` and the lines on stderr do not depend on it. It must never block the event loop, keep
more than its queues hold, or take longer than its deadline to end, whatever the receiver does; what was left then is
told. Nothing is registered globally, and nothing waits at the interpreter's exit.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import platform
import socket
import sys
import threading
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from telemetry.cells import Cell, Metrics
from telemetry.export import SCOPE, Ask, CellExporter, Read
from telemetry.ledger import Ledger
from telemetry.logs import get_logger
from telemetry.otlp_logs import CleanLogs, OtlpLogs, log_provider
from telemetry.otlp_senders import log_exporter, metric_sender, span_exporter
from telemetry.otlp_settings import Settings, Signal, Target, read_settings
from telemetry.redaction import clean
from telemetry.sdk_spans import CleanSpans, Gate, GivenIds, SdkSpans
from telemetry.tracing import OFF, Tracer
from telemetry.turns import Turns

if TYPE_CHECKING:
    from telemetry.logs import Export

log = get_logger("telemetry.setup")

SHUTDOWN_S = 3.0
ASK_S = 1.0
"""How long the event loop may take to answer for the watched cells. One that hangs has no values to tell."""
UP = "marketprism.up"
"""The one metric that goes through an instrument of the SDK: a reader without any never calls its exporter."""
SELF_METRICS = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
SERVICE_NAME, SERVICE_NAMESPACE = "marketprism-collector", "marketprism"


@dataclass(slots=True)
class Pipe:
    """One signal's way out.

    `end` exports what waits and ends, in at most so many seconds or when it can; `cut` makes what it still does fail.
    """

    ledger: Ledger
    end: Callable[[float], None]
    cut: Callable[[], None]


@dataclass(slots=True)
class Telemetry:
    """The running telemetry. The code makes spans with `tracer` and gives log lines to `log`."""

    metrics: Metrics
    settings: Settings
    tracer: Tracer = OFF
    log: Export | None = None
    pipes: dict[Signal, Pipe] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)

    def say(self) -> None:
        """Say once in the log where telemetry goes, or why it goes nowhere."""
        targets = self.settings.targets
        if not targets:
            log.info("marketprism.telemetry.off", subject=self.settings.why_off)
            return
        ways = (f"{signal} to {target.host} by {target.protocol}" for signal, target in targets.items())
        log.info("marketprism.telemetry.started", subject=", ".join(ways))

    async def shutdown(self, deadline_s: float = SHUTDOWN_S) -> dict[Signal, int]:
        """Export what waits and end, all signals at once; how many spans, series and log records were left.

        Never takes longer than `deadline_s`: a thread that hangs in a request is left behind, and holds nothing back.
        There is nothing left to end the second time.
        """
        pipes, self.pipes = self.pipes, {}
        lost = {signal: pipe.ledger.lost for signal, pipe in pipes.items()}
        ends = {signal: _end(signal, pipe, deadline_s) for signal, pipe in pipes.items()}
        if ends:
            await asyncio.wait(ends.values(), timeout=deadline_s)
        left: dict[Signal, int] = {}
        for signal, pipe in pipes.items():
            ledger = pipe.ledger
            if not ends[signal].done():
                pipe.cut()
            if signal == "metrics":
                left[signal] = 0 if ends[signal].done() and not ledger.failing else self.metrics.series()
                ledger.drop("shutdown", left[signal])
            else:
                left[signal] = ledger.pending + ledger.lost - lost[signal]
                ledger.drop("shutdown", ledger.pending)
        return left


def start_telemetry(
    metrics: Metrics,
    *,
    service_version: str,
    instance_id: str,
    environ: MutableMapping[str, str] = os.environ,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Telemetry:
    """Start what the environment asks for. TelemetryError when a variable is wrong.

    `loop` is where the watched cells live; without one they are read in the exporter's thread.
    """
    settings = read_settings(environ)
    telemetry = Telemetry(metrics, settings)
    targets = settings.targets
    if not targets:
        return telemetry
    environ.setdefault(SELF_METRICS, "true")  # the SDK reads it from the environment alone
    resource = make_resource(service_version, instance_id, settings)
    meters: MeterProvider | None = None
    if "metrics" in targets:
        meters = _start_metrics(telemetry, targets["metrics"], resource, _ask(loop))
    if "traces" in targets:
        _start_traces(telemetry, targets["traces"], resource, meters, service_version)
    if "logs" in targets:
        _start_logs(telemetry, targets["logs"], resource, meters, service_version)
    return telemetry


def make_resource(service_version: str, instance_id: str, settings: Settings) -> Resource:
    """What all signals say about their sender; the environment has the last word.

    The instance's id is the configured one, so that series go on after a restart. Nothing here grows with use.
    """
    given: dict[str, str | int] = {
        "service.name": SERVICE_NAME,
        "service.namespace": SERVICE_NAMESPACE,
        "service.instance.id": instance_id,
        "service.version": service_version,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": version("opentelemetry-sdk"),
        "process.pid": os.getpid(),
        "process.executable.name": Path(sys.executable).name,
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        "host.name": socket.gethostname(),
        "os.type": platform.system().lower(),
        **settings.resource,
    }
    return Resource({name: clean(name, value) for name, value in given.items()})


def _start_metrics(telemetry: Telemetry, target: Target, resource: Resource, ask: Ask) -> MeterProvider:
    metrics = telemetry.metrics
    ledger = Ledger(metrics, "metrics")
    up = metrics.gauge(UP)
    up_cell = up.cell()
    families = [family for family in metrics.families() if family is not up]
    sender = metric_sender(target)
    reader = PeriodicExportingMetricReader(
        CellExporter(families, sender, ledger, telemetry.turns, ask=ask),
        export_interval_millis=telemetry.settings.interval_ms,
        export_timeout_millis=target.timeout_s * 1000,
    )
    seconds = [
        View(instrument_name=metric.name, aggregation=ExplicitBucketHistogramAggregation(metric.buckets))
        for metric in metrics.registry.metrics.values()
        if metric.emitter == "sdk" and metric.instrument == "histogram"
    ]
    provider = MeterProvider([reader], resource, shutdown_on_exit=False, views=seconds)

    def observe_up(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(up_cell.n)]

    provider.get_meter(SCOPE).create_observable_gauge(UP, [observe_up], up.unit, up.desc)
    telemetry.pipes["metrics"] = Pipe(ledger, lambda seconds: provider.shutdown(seconds * 1000), sender.close)
    return provider


def _start_traces(
    telemetry: Telemetry, target: Target, resource: Resource, meters: MeterProvider | None, service_version: str
) -> None:
    batching = telemetry.settings.spans
    ledger = Ledger(telemetry.metrics, "traces", batching.queue)
    ids = GivenIds()
    provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=ids, meter_provider=meters)
    exporter = CleanSpans(span_exporter(target, meters), ledger, telemetry.turns)
    batches = BatchSpanProcessor(
        exporter,
        batching.queue,
        batching.delay_ms,
        batching.batch,
        meter_provider=meters,
    )
    provider.add_span_processor(Gate(batches, ledger))
    telemetry.tracer = Tracer(telemetry.metrics.registry, SdkSpans(provider, ids, service_version))
    telemetry.pipes["traces"] = Pipe(ledger, lambda _: provider.shutdown(), exporter.cut)


def _start_logs(
    telemetry: Telemetry, target: Target, resource: Resource, meters: MeterProvider | None, service_version: str
) -> None:
    batching = telemetry.settings.logs
    ledger = Ledger(telemetry.metrics, "logs", batching.queue)
    exporter = CleanLogs(log_exporter(target, meters), ledger, telemetry.turns)
    provider = log_provider(exporter, batching, resource, meters)
    logs = OtlpLogs(provider, telemetry.metrics.registry, ledger, service_version)
    telemetry.log = logs
    telemetry.pipes["logs"] = Pipe(ledger, lambda _: logs.shutdown(), exporter.cut)


def _ask(loop: asyncio.AbstractEventLoop | None) -> Ask:
    """Reads on the event loop, for the exporter's thread."""

    def ask(read: Read) -> dict[Cell, float]:
        if loop is None:
            return read()
        answer: concurrent.futures.Future[dict[Cell, float]] = concurrent.futures.Future()

        def answer_now() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(read())
                except Exception as error:  # noqa: BLE001 - handed to who asked
                    answer.set_exception(error)

        try:
            loop.call_soon_threadsafe(answer_now)
            return answer.result(ASK_S)
        except (TimeoutError, RuntimeError):  # it hangs, or it is closed
            answer.cancel()
            return {}

    return ask


def _end(signal: Signal, pipe: Pipe, deadline_s: float) -> asyncio.Future[None]:
    """End a pipe in a thread of its own; done when it has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        try:
            pipe.end(deadline_s)
        finally:
            with contextlib.suppress(RuntimeError):  # it came too late: the loop is closed
                loop.call_soon_threadsafe(ended.set_result, None)

    threading.Thread(target=end, name=f"telemetry end {signal}", daemon=True).start()
    return ended
