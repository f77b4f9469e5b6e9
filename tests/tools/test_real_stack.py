"""The real OpenTelemetry Collector, Prometheus and Jaeger take all three signals and give them back."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tools.components import Ports, bindable, components
from tools.programs import ROOT, path
from tools.signals import Signals
from tools.stack import Stack, get

pytestmark = pytest.mark.full

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
RESOURCE = {
    "attributes": [
        {"key": "service.name", "value": {"stringValue": "marketprism-collector"}},
        {"key": "service.namespace", "value": {"stringValue": "marketprism"}},
        {"key": "service.instance.id", "value": {"stringValue": "collector-1"}},
        {"key": "service.version", "value": {"stringValue": "0.1.0"}},
    ]
}
VENUE = [{"key": "marketprism.venue", "value": {"stringValue": "kraken"}}]
CUMULATIVE, DELTA = 2, 1


def send(stack: Stack, signal_path: str, body: dict[str, Any]) -> None:
    """One OTLP/HTTP request in JSON, as https://opentelemetry.io/docs/specs/otlp/ has it."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.ports.otlp_http}/v1/{signal_path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
        assert json.loads(answer.read() or "{}").get("partialSuccess", {}) == {}


def send_metrics(stack: Stack, *metrics: dict[str, Any]) -> None:
    send(stack, "metrics", {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": list(metrics)}]}]})


def total(name: str, value: int, temporality: int = CUMULATIVE) -> dict[str, Any]:
    now = time.time_ns()
    point = {"attributes": VENUE, "startTimeUnixNano": str(now - 10**9), "timeUnixNano": str(now), "asInt": str(value)}
    points = {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": [point]}
    return {"name": name, "unit": "{frame}", "sum": points}


def latency(name: str) -> dict[str, Any]:
    now = time.time_ns()
    exemplar = {"timeUnixNano": str(now), "asDouble": 0.02, "traceId": TRACE, "spanId": SPAN}
    point = {
        "attributes": VENUE,
        "startTimeUnixNano": str(now - 10**9),
        "timeUnixNano": str(now),
        "count": "3",
        "sum": 0.5,
        "explicitBounds": [0.01, 0.1],
        "bucketCounts": ["1", "1", "1"],
        "exemplars": [exemplar],
    }
    return {"name": name, "unit": "s", "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": [point]}}


def ask(stack: Stack, endpoint: str, **parameters: str) -> Any:
    query = urllib.parse.urlencode(parameters)
    status, _, body = get(f"http://127.0.0.1:{stack.ports.prometheus}/api/v1/{endpoint}?{query}")
    assert status == 200, body
    return json.loads(body)["data"]


def value(stack: Stack, query: str) -> float | None:
    result = ask(stack, "query", query=query)["result"]
    return float(result[0]["value"][1]) if result else None


def poll_until(check: Callable[[], bool], sentence: str, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {sentence}"
        time.sleep(0.2)


def test_a_counter_arrives_in_prometheus_under_its_translated_name(stack: Stack) -> None:
    send_metrics(stack, total("marketprism.test.frames", 4894))
    name = "marketprism_test_frames_total"
    poll_until(lambda: value(stack, name) == 4894, "Prometheus has the counter")
    (series,) = ask(stack, "series", **{"match[]": name})
    assert series == {
        "__name__": name,
        "job": "marketprism/marketprism-collector",
        "instance": "collector-1",
        "marketprism_venue": "kraken",
        "service_name": "marketprism-collector",
        "service_namespace": "marketprism",
        "service_instance_id": "collector-1",
        "service_version": "0.1.0",
    }


def test_a_histogram_arrives_with_its_unit_in_the_name_and_its_exemplar(stack: Stack) -> None:
    send_metrics(stack, latency("marketprism.test.duration"))
    name = "marketprism_test_duration_seconds"
    poll_until(lambda: value(stack, f"{name}_count") == 3, "Prometheus has the histogram")
    assert value(stack, name + '_bucket{le="0.1"}') == 2
    now = time.time()
    found = ask(stack, "query_exemplars", query=f"{name}_bucket", start=str(now - 60), end=str(now + 60))
    assert [exemplar["labels"] for series in found for exemplar in series["exemplars"]] == [
        {"trace_id": TRACE, "span_id": SPAN}
    ]


def test_a_delta_is_dropped_and_counted_while_what_came_with_it_arrives(stack: Stack) -> None:
    send_metrics(stack, total("marketprism.test.delta", 1, DELTA), total("marketprism.test.beside", 1))
    poll_until(lambda: value(stack, "marketprism_test_beside_total") == 1, "Prometheus has the cumulative one")
    assert value(stack, "marketprism_test_delta_total") is None
    dropped = "otelcol_processor_filter_datapoints_filtered_total"
    poll_until(lambda: (value(stack, dropped) or 0) >= 1, "the collector says that it dropped one")


def test_a_trace_arrives_in_jaeger(stack: Stack) -> None:
    now = time.time_ns()
    span = {"traceId": TRACE, "spanId": SPAN, "name": "book sync", "kind": 1}
    times = {"startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now)}
    spans = [{"spans": [span | times | {"attributes": VENUE}]}]
    send(stack, "traces", {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": spans}]})
    url = f"http://127.0.0.1:{stack.ports.jaeger}/api/traces/{TRACE}"
    poll_until(lambda: get(url)[0] == 200, "Jaeger has the trace")
    (found,) = json.loads(get(url)[2])["data"]
    assert [span["operationName"] for span in found["spans"]] == ["book sync"]
    assert {process["serviceName"] for process in found["processes"].values()} == {"marketprism-collector"}


def test_a_log_record_arrives_in_loki_with_its_trace(stack: Stack) -> None:
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityText": "WARN",
        "body": {"stringValue": "book gap"},
        "traceId": TRACE,
        "spanId": SPAN,
    }
    send(stack, "logs", {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [record]}]}]})
    query = '{service_name="marketprism-collector"} |= "book gap"'
    poll_until(lambda: bool(Signals(stack.ports).lines(query)), "Loki has the log line")
    (line,) = Signals(stack.ports).lines(query)
    assert (line.labels["trace_id"], line.labels["span_id"], line.labels["severity_text"]) == (TRACE, SPAN, "WARN")


@pytest.mark.parametrize("job", ["otelcol", "jaeger", "loki", "prometheus", "alertmanager", "bridge"])
def test_each_component_is_scraped(stack: Stack, job: str) -> None:
    poll_until(lambda: value(stack, f'up{{job="{job}"}}') == 1, f"{job} is scraped")


class Product(BaseHTTPRequestHandler):
    """Our collector, as Prometheus sees it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"marketprism_frames_received_total 4894\n")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_whether_the_product_lives_is_scraped_and_nothing_else_of_it(stack: Stack) -> None:
    up = 'up{job="marketprism-collector"}'
    poll_until(lambda: value(stack, up) == 0, "a dead product shows")
    with HTTPServer(("127.0.0.1", stack.ports.collector), Product) as product:
        thread = threading.Thread(target=product.serve_forever)
        thread.start()
        try:
            poll_until(lambda: value(stack, up) == 1, "a living product shows")
        finally:
            product.shutdown()
            thread.join()
    scraped = {series["__name__"] for series in ask(stack, "series", **{"match[]": '{job="marketprism-collector"}'})}
    assert "scrape_samples_scraped" in scraped
    ours = {"up", "ALERTS", "ALERTS_FOR_STATE"}  # the rules' own series keep the label `job` of what they are about
    assert [name for name in scraped - ours if not name.startswith("scrape_")] == []


def test_the_collectors_own_metrics_are_named_as_the_rules_will_name_them(stack: Stack) -> None:
    send_metrics(stack, total("marketprism.test.own", 1))
    poll_until(
        lambda: (value(stack, "otelcol_receiver_accepted_metric_points_total") or 0) >= 1,
        "Prometheus has the collector's counter, with _total",
    )
    assert value(stack, "otelcol_process_uptime_seconds_total") is not None
    assert value(stack, "otelcol_process_memory_rss_bytes") is not None
    assert value(stack, "otelcol_exporter_queue_capacity") is not None
    # Prometheus asks in a format where counters always end in _total; people and other scrapers must see the same.
    plain = get(f"http://127.0.0.1:{stack.ports.otelcol_metrics}/metrics")[2]
    assert "otelcol_receiver_accepted_metric_points_total{" in plain


@pytest.mark.parametrize(
    "command",
    [
        (path("otelcol"), "validate", f"--config={ROOT / 'otel' / 'agent.yaml'}"),
        (path("otelcol"), "validate", f"--config={ROOT / 'otel' / 'gateway.yaml'}"),
        (path("jaeger"), "validate", f"--config={ROOT / 'otel' / 'jaeger.yaml'}"),
        (
            path("promtool"),
            "check",
            "config",
            "--lint=all",
            "--lint-fatal",
            str(ROOT / "prometheus" / "prometheus.yml"),
        ),
    ],
    ids=lambda command: Path(command[-1].removeprefix("--config=")).name,
)
@pytest.mark.usefixtures("built")
def test_the_programs_accept_the_committed_configs_with_their_defaults(command: tuple[str, ...]) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("STACK_")}
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.usefixtures("built")
def test_ctrl_c_stops_the_stack_in_order_and_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.stack", "--data", str(tmp_path)]
    ports = Ports.free()
    taken = [port for component in components(ports, tmp_path) for port in component.takes.values()]
    environment = os.environ | ports.variables()
    runner = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    said = []
    for line in runner.stdout:
        said.append(line)
        if "; Ctrl-C" in line:
            break
    assert [port for port in taken if bindable(port)] == []
    runner.send_signal(signal.SIGINT)
    rest, _ = runner.communicate(timeout=60)
    assert runner.returncode == 0
    assert [line.split()[0] for line in said[:6]] == [
        "jaeger",
        "loki",
        "bridge",
        "alertmanager",
        "prometheus",
        "otelcol",
    ]
    assert rest == "stopped\n"
    assert [port for port in taken if not bindable(port)] == []
