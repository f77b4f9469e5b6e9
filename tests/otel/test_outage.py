"""Backends, gateway and agent away or restarted under load: nothing that a queue on disk could hold is missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.otel.traffic import (
    Maker,
    accepted,
    asked,
    in_jaeger,
    of_count,
    of_log,
    of_traces,
    own_metric,
    part,
    poll_until,
)
from tests.telemetry.otlp_sink import OtlpSink
from tools.components import Ports
from tools.stack import Stack

pytestmark = pytest.mark.full
SETTINGS = {"STACK_TRACES_DECIDE_AFTER": "1s"}
COUNTER = "marketprism_test_sent_total"


@dataclass
class Load:
    """A program that sends all three signals every tenth of a second, each until it is taken, and knows what was."""

    port: int
    service: str
    traces: list[str] = field(default_factory=list)
    points: dict[float, int] = field(default_factory=dict)
    """Seconds since 1970, to the millisecond as Prometheus has them: the value."""
    logs: list[str] = field(default_factory=list)
    waited: int = 0
    """How often something was not taken at once."""
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sends while the block runs; what was begun is finished."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _run(self) -> None:
        maker, began = Maker(), time.time_ns()
        number = 0
        while not self._ended.wait(0.1):
            number += 1
            trace = maker.trace(["marketprism.gap", "GET"])
            now = time.time_ns() // 10**6
            self._send("traces", of_traces(trace.spans, self.service))
            self.traces.append(trace.id)
            self._send("metrics", of_count("marketprism.test.sent", number, self.service, now * 10**6, began))
            self.points[now / 1000] = number
            self._send("logs", of_log(f"line {number}", self.service))
            self.logs.append(f"line {number}")

    def _send(self, signal: str, body: dict[str, object]) -> None:
        while not accepted(self.port, signal, body):
            self.waited += 1
            time.sleep(0.2)


def stored(ports: Ports, seconds: int) -> dict[float, int]:
    """Every sample of the counter that Prometheus has: when, and the value."""
    found = asked(f"http://127.0.0.1:{ports.prometheus}/api/v1/query?query={COUNTER}[{seconds}s]")
    rows = (found or {"data": {"result": []}})["data"]["result"]
    assert len(rows) <= 1
    return {at: int(value) for row in rows for at, value in row["values"]}


def figures(title: str, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(  # noqa: T201 - the figures are to be seen
            f"\n{title}: {len(load.traces)} traces, {len(load.points)} samples, {len(load.logs)} log lines sent; "
            f"{load.waited} times the sender had to wait"
        )


def all_there(load: Load, ports: Ports, loki: OtlpSink, seconds: int = 600) -> None:
    """Every trace, sample and line that was taken is where it belongs; no sample that was not sent."""
    poll_until(lambda: set(load.traces) <= set(in_jaeger(ports, load.service)), "Jaeger has every trace")
    assert {len(spans) for spans in in_jaeger(ports, load.service).values()} == {2}
    poll_until(lambda: load.points.items() <= stored(ports, seconds).items(), "Prometheus has every sample")
    assert stored(ports, seconds).keys() == load.points.keys()
    poll_until(lambda: set(load.logs) <= {log.body for log in loki.logs()}, "Loki has every line")


def queued(ports: Ports) -> float:
    """Bytes that wait in all queues of a collector."""
    return own_metric(ports.otelcol_metrics, "otelcol_exporter_queue_size")


def outage(folder: Path, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    """Jaeger, Prometheus and Loki away for so long; the gateway restarted in the middle of it."""
    ports = Ports.free()
    with OtlpSink() as loki:
        gateway = part(ports, folder, "otelcol", **SETTINGS, STACK_LOKI_URL=loki.url)
        parts = [part(ports, folder, "jaeger"), part(ports, folder, "prometheus"), gateway]
        with Stack(ports=ports, data=folder, parts=parts) as stack:
            stack.end("jaeger")  # its memory ends with it, so it ends before the first trace
            load = Load(ports.otlp_http, "outage")
            with load.running():
                poll_until(lambda: stored(ports, 600), "data flows")
                stack.end("prometheus")
                loki.mode = "refuse"
                time.sleep(seconds / 2)
                assert loki.refused
                assert load.waited == 0
                stack.end("otelcol")
                stack.begin("otelcol")
                waited = load.waited
                time.sleep(seconds / 2)
                assert load.waited == waited
                held = queued(ports)
                loki.mode = "ok"
                stack.begin("jaeger")
                stack.begin("prometheus")
                time.sleep(2)
            figures(f"{seconds:.0f} s without backends, {held / 1000:.0f} kB on disk at their end", load, capsys)
            assert held > 0
            assert len(load.traces) > 3 * seconds
            all_there(load, ports, loki, int(seconds) + 600)
            poll_until(lambda: queued(ports) == 0, "the queues are empty")
            assert own_metric(ports.otelcol_metrics, "otelcol_exporter_enqueue_failed_spans_total") == 0


def test_nothing_is_missing_after_an_outage_of_all_backends_and_a_restart_within_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outage(tmp_path, 10, capsys)


@pytest.mark.soak
def test_nothing_is_missing_after_two_minutes_without_any_backend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outage(tmp_path, 120, capsys)


def test_log_lines_that_were_taken_survive_the_kill_of_the_gateway(tmp_path: Path) -> None:
    ports = Ports.free()
    with OtlpSink(mode="refuse") as loki:
        gateway = part(ports, tmp_path, "otelcol", **SETTINGS, STACK_LOKI_URL=loki.url)
        with Stack(ports=ports, data=tmp_path, parts=[gateway]) as stack:
            load = Load(ports.otlp_http, "killed")
            with load.running():
                poll_until(lambda: loki.refused >= 2 and len(load.logs) >= 10, "Loki refuses")
                _, process = stack.running.pop()
                process.kill()
                process.wait()
                stack.begin("otelcol")
                loki.mode = "ok"
                poll_until(loki.logs, "Loki takes")
            poll_until(lambda: set(load.logs) <= {log.body for log in loki.logs()}, "Loki has every line")


def test_beyond_its_size_a_queue_refuses_and_says_so_and_what_it_took_arrives(tmp_path: Path) -> None:
    ports = Ports.free()
    with OtlpSink(mode="refuse") as loki:
        settings = {**SETTINGS, "STACK_LOKI_URL": loki.url, "STACK_QUEUE_BYTES": "600000"}
        with Stack(ports=ports, data=tmp_path, parts=[part(ports, tmp_path, "otelcol", **settings)]):
            lines = [f"{number:03d}" + "x" * 10_000 for number in range(80)]
            taken = [line for line in lines if accepted(ports.otlp_http, "logs", of_log(line, "much"))]
            assert 40 < len(taken) < 70
            assert taken == lines[: len(taken)]
            failed = own_metric(ports.otelcol_metrics, "otelcol_exporter_enqueue_failed_log_records_total")
            assert failed == len(lines) - len(taken)
            loki.mode = "ok"
            poll_until(lambda: {log.body for log in loki.logs()} == set(taken), "Loki has what was taken")


def test_a_gateway_that_is_away_costs_nothing_where_an_agent_stands_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports, near, folder = Ports.free(), Ports.free(), tmp_path / "gateway"
    with OtlpSink() as loki:
        gateway = part(ports, folder, "otelcol", **SETTINGS, STACK_LOKI_URL=loki.url)
        parts = [part(ports, folder, "jaeger"), part(ports, folder, "prometheus"), gateway]
        before = part(near, tmp_path / "agent", "otelcol", STACK_GATEWAY_INSECURE="true")
        command = [option.replace("gateway.yaml", "agent.yaml") for option in before.command]
        target = {"STACK_GATEWAY_OTLP_ENDPOINT": f"127.0.0.1:{ports.otlp_grpc}"}
        agent = replace(before, name="agent", command=tuple(command), environment={**before.environment, **target})
        with (
            Stack(ports=ports, data=folder, parts=parts) as far,
            Stack(ports=near, data=tmp_path / "agent", parts=[agent]) as stack,
        ):
            load = Load(near.otlp_http, "near")
            with load.running():
                poll_until(loki.logs, "data flows")
                far.end("otelcol")
                time.sleep(4)
                assert load.waited == 0
                stack.end("agent")
                stack.begin("agent")
                time.sleep(2)
                assert queued(near) > 0
                far.begin("otelcol")
            figures("6 s without a gateway, the agent restarted meanwhile", load, capsys)
            all_there(load, ports, loki)
            poll_until(lambda: queued(near) == 0, "the agent's queue is empty")
