"""What observing costs: CPU a message of the whole collector with telemetry off, with metrics, with all three signals;
and how late the event loop runs while 1 000 series are exported.

It owns the receiver, which takes everything and keeps nothing, in a process of its own. The collectors are those of
`benchmarks/compare.py`, on the same tape from the same player, in turn (off, metrics, all, off, …), so that the ratios
hold on any machine. Paced, metrics go out as often as in a default configuration (5 s); as fast as messages are read a
round is short, and they go out every second. Observing costs by the second, so the pace decides its share. For the
delay, a third process sends its clock 2 000 times a second; how late each arrives is the loop's delay, and only those
count that arrive while an export runs.

    python -m benchmarks.telemetry [--rounds N] [--messages N] [--rate N] [--seconds N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median, quantiles
from typing import NamedTuple

import msgspec

from benchmarks.compare import RunError, playing, verify
from benchmarks.results import HOST, Offer, Played, Result, Settings
from telemetry.cells import Exemplar, Metrics
from telemetry.export import CellExporter
from telemetry.logs import configure_logs, get_logger
from telemetry.otlp_logs import CleanLogs
from telemetry.registry import load_registry
from telemetry.sdk_spans import CleanSpans
from telemetry.setup import SELF_METRICS, start_telemetry
from telemetry.tracing import Tracer

EXPORT_MS, EXPORT_FAST_MS = 5000, 1000
BOUND_RATIO, BOUND_US = 0.08, 0.7
BOUND_P99_MS = 2.0
SERIES = 1000
PING_S = 0.0005
SWITCH_INTERVAL_S = 0.0005
"""As the collector sets it (collector/service/app.py)."""
JOURNEYS_PER_S = 20
"""Traced messages: every venue and channel once a second."""


def main(arguments: list[str] | None = None) -> int:
    """Run; give the exit code, 1 when a bound is passed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry", description="What observing costs.")
    parser.add_argument("--rounds", type=int, default=5, help="of each kind (5)")
    parser.add_argument("--messages", type=int, default=400_000, help="a round (400000)")
    parser.add_argument("--rate", type=int, default=0, help="messages a second (0: as fast as they are read)")
    parser.add_argument("--seconds", type=float, default=20.0, help="to measure the loop's delay (20)")
    parser.add_argument("--part", choices=("cost", "delay"), action="append", help="only this part")
    parser.add_argument("--serve", choices=("sink", "pings"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve is not None:
        return {"sink": serve_sink, "pings": serve_pings}[options.serve]()
    parts = options.part or ["cost", "delay"]
    figures: dict[str, float] = {}
    with process("sink") as sink:
        url = f"http://{HOST}:{line(sink)}"
        if "cost" in parts:
            figures |= cost(url, options.rounds, options.messages, options.rate)
        if "delay" in parts:
            figures |= delay(url, options.seconds)
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))
    return int(any(name.endswith("over") and figure for name, figure in figures.items()))


# What a message costs --------------------------------------------------------------------------


def cost(url: str, rounds: int, messages: int, rate: int) -> dict[str, float]:
    """Off, metrics, all: CPU µs a message."""
    every_ms = EXPORT_MS if rate else EXPORT_FAST_MS
    otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": str(every_ms)}
    kinds: dict[str, dict[str, str]] = {
        "off": {},
        "metrics": {**otlp, "OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
        "all": otlp,
    }
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    with playing(Settings("quiet", "", messages=messages, rate=rate)) as player:
        offer = msgspec.json.decode(line(player), type=Offer)
        for _ in range(rounds):
            for kind, more in kinds.items():
                spent[kind].append(read(kind, offer, more).cpu_us)
                msgspec.json.decode(line(player), type=Played)
    off = median(spent["off"])
    pace = f"{rate:,} a second" if rate else "as fast as they are read"
    print(f"\ncost: {messages:,} messages, {pace}, {rounds} rounds, an export every {every_ms} ms; CPU µs a message")
    figures: dict[str, float] = {}
    for kind, values in spent.items():
        ratio = median(one / other for one, other in zip(values, spent["off"], strict=True))
        more_us = median(one - other for one, other in zip(values, spent["off"], strict=True))
        spread = f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
        print(f"{kind:10}{spread:>26}   {ratio:.3f} of off, {more_us:+.2f} µs")
        figures |= {f"{kind} µs": median(values), f"{kind}/off": ratio, f"{kind}-off µs": more_us}
    allowed = max(BOUND_RATIO * off, BOUND_US)
    over = figures["all-off µs"] > allowed
    print(f"{'over' if over else 'ok'}: all three may cost {allowed:.2f} µs more")
    return figures | {"cost over": float(over)}


def read(kind: str, offer: Offer, more: Mapping[str, str]) -> Result:
    """One collector, once."""
    order = msgspec.json.encode(offer).decode()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "benchmarks.ours", order],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**plain, **more},
    )
    if done.returncode:
        raise RunError(f"{kind}: ended with {done.returncode}; what it said stands above")
    result = msgspec.json.decode(done.stdout, type=Result)
    verify(kind, result, offer)
    return result


# How late the loop runs ------------------------------------------------------------------------


class Late(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float
    worst: float
    samples: int


def delay(url: str, seconds: float) -> dict[str, float]:
    """The loop's delay while SERIES series, spans and log records are exported, beside that of the same loop idle."""
    import uvloop  # noqa: PLC0415 - the rest runs without it

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        idle = runner.run(arrivals(seconds / 4))
        exports, during = runner.run(exporting(url, seconds))
    busy = [(end - start) / 1e6 for start, end in exports]
    quiet, late = lateness(idle, None), lateness(during, exports)
    print(f"\ndelay: {SERIES} series; {len(exports)} exports of {median(busy):.0f} ms, seen by {late.samples} samples")
    print(f"{'':10}{'p50 ms':>8}{'p99 ms':>8}{'worst':>8}")
    for name, figures in (("idle", quiet), ("exporting", late)):
        print(f"{name:10}{figures.p50:>8.2f}{figures.p99:>8.2f}{figures.worst:>8.2f}")
    over = late.p99 > BOUND_P99_MS
    print(f"{'over' if over else 'ok'}: p99 during exports may be {BOUND_P99_MS:g} ms")
    result = {"idle p99 ms": quiet.p99, "exporting p99 ms": late.p99, "exporting worst ms": late.worst}
    return result | {"delay over": float(over)}


async def exporting(url: str, seconds: float) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """When exports ran, and when pings were sent and came, in monotonic ns."""
    exports: list[tuple[int, int]] = []
    os.environ[SELF_METRICS] = "true"
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    metrics = Metrics(load_registry())
    loop = asyncio.get_running_loop()
    with timed(exports, CellExporter, CleanSpans, CleanLogs):
        telemetry = start_telemetry(metrics, service_version="0", instance_id="bench", environ=environ, loop=loop)
        configure_logs("info", "json", io.StringIO(), metrics=metrics, export=telemetry.log)
        changing = [loop.create_task(journeys(telemetry.tracer)), loop.create_task(repeat(fill(metrics), 0.05))]
        await asyncio.sleep(1.5)  # the first export builds every series
        gc.collect()
        gc.freeze()  # a full collection takes 20 ms, whoever causes it, and is not what is measured here
        exports.clear()
        pings = await arrivals(seconds)
        for task in changing:
            task.cancel()
        await telemetry.shutdown()
        configure_logs()
    return exports, pings


@contextmanager
def timed(exports: list[tuple[int, int]], *exporters: type) -> Iterator[None]:
    """Note when these export, in monotonic ns."""
    plain = {exporter: vars(exporter)["export"] for exporter in exporters}

    def around(export: Callable[..., object]) -> Callable[..., object]:
        def measured(*args: object, **more: object) -> object:
            start = time.monotonic_ns()
            try:
                return export(*args, **more)
            finally:
                exports.append((start, time.monotonic_ns()))

        return measured

    try:
        for exporter, export in plain.items():
            exporter.export = around(export)  # type: ignore[attr-defined]
        yield
    finally:
        for exporter, export in plain.items():
            exporter.export = export  # type: ignore[attr-defined]


def fill(metrics: Metrics) -> Callable[[], None]:
    """Make SERIES series: a fifth histograms, the rest gauges; what changes them all."""
    family = metrics.histogram("http.client.request.duration")
    histograms = [
        family.cell(http_request_method="GET", server_address=f"h{n % 8}", venue="kraken", endpoint=f"e{n // 8}")
        for n in range(SERIES // 5)
    ]
    times = metrics.gauge("marketprism.last_message.time")
    at = {"venue": "kraken", "market": "spot", "channel": "book"}
    gauges = [times.cell(**at, instrument=f"A{n}-USD") for n in range(SERIES - len(histograms))]

    def change() -> None:
        now = time.time_ns()
        for gauge in gauges:
            gauge.n = now / 1e9
        for n, histogram in enumerate(histograms):
            histogram.observe(n / 100)
            histogram.ex[0] = Exemplar(0.001, now, 1 + n, 1 + n)

    return change


async def journeys(tracer: Tracer) -> None:
    """Trace as many messages as four venues do, each with its parts and a log line now and then."""
    log = get_logger("benchmarks")
    about = {"venue": "kraken", "market": "spot", "channel": "book"}
    while True:
        now = time.time_ns()
        root = tracer.new_ref("marketprism.message")
        for part in ("decode", "verify", "journal"):
            tracer.span(f"marketprism.{part}", now, now + 1000, {"records": 3}, parent=root)
        tracer.span("marketprism.message", now, now + 3000, about, ref=root)
        log.info("marketprism.book.synced", venue="kraken", instrument="BTC-USD")
        await asyncio.sleep(1 / JOURNEYS_PER_S)


async def repeat(work: Callable[[], None], every_s: float) -> None:
    """Do it again and again."""
    while True:
        work()
        await asyncio.sleep(every_s)


class Arrivals(asyncio.DatagramProtocol):
    """When each ping was sent and when the loop saw it. The loop reads them itself, as it does the venues' sockets."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def datagram_received(self, data: bytes, _address: object) -> None:
        """See DatagramProtocol."""
        self.seen.append((int(data), time.monotonic_ns()))


async def arrivals(seconds: float) -> list[tuple[int, int]]:
    """The pings of so long."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Arrivals, local_addr=(HOST, 0))
    with process("pings") as pings:
        if pings.stdin is None:
            raise RunError("the pings have no standard input")
        pings.stdin.write(f"{transport.get_extra_info('sockname')[1]}\n")
        pings.stdin.flush()
        await asyncio.sleep(seconds)
    transport.close()
    return protocol.seen[len(protocol.seen) // 20 :]  # the first ones saw the process start


def lateness(pings: list[tuple[int, int]], exports: list[tuple[int, int]] | None) -> Late:
    """Of the pings that were on their way while an export ran; of all without exports."""
    late = sorted(
        (came - sent) / 1e6
        for sent, came in pings
        if exports is None or any(sent <= end and came >= start for start, end in exports)
    )
    cuts = quantiles(late, n=100)
    return Late(cuts[49], cuts[98], late[-1], len(late))


# The other processes ---------------------------------------------------------------------------


@contextmanager
def process(what: str) -> Iterator[subprocess.Popen[str]]:
    """Start one, and end it."""
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "benchmarks.telemetry", "--serve", what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.terminate()


def line(started: subprocess.Popen[str]) -> str:
    """What it says next."""
    said = started.stdout.readline() if started.stdout is not None else ""
    if not said:
        raise RunError("a process ended; what it said stands above")
    return said.strip()


def serve_sink() -> int:
    """Take OTLP and keep nothing."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
    return 0


def serve_pings() -> int:
    """Send the clock to the port that is said on standard input."""
    port = int(sys.stdin.readline())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        while True:
            out.sendto(b"%d" % time.monotonic_ns(), (HOST, port))
            time.sleep(PING_S)


if __name__ == "__main__":
    sys.exit(main())
