"""The collector on the real stack: OpenTelemetry Collector, Prometheus, Jaeger, Loki, each signal of each component.

Traffic and faults come from the simulator, whose ledger says what the numbers must be.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import VENUES, Rig, poll_until
from tools.components import Ports
from tools.signals import EVERYTHING, Line, Signals
from tools.stack import Stack

pytestmark = pytest.mark.full
NAMES = Path(__file__).parents[2] / "telemetry/schema/prometheus-names.txt"
EXPORT_S = 1.0
SERVICE = "marketprism-collector"
OF_THE_BRIDGE = "marketprism_bridge_"
ONCE_ONLY = ("otel_sdk_",)
"""Names that the SDK owns: some of its metrics exist only once it had reason to count."""
COMPONENTS: dict[str, tuple[str, str, str]] = {
    # component: a metric of its own, a span of its own, a log event of its own
    "connection": ("marketprism_connection_attempts_total", "marketprism.connection", "marketprism.connection.opened"),
    "book": ("marketprism_book_syncs_total", "marketprism.book.sync", "marketprism.book.synced"),
    "journal": ("marketprism_journal_records_accepted_total", "marketprism.burst.flush", "marketprism.journal.opened"),
    "REST": ("http_client_request_duration_seconds_count", "GET", "marketprism.rest.failed"),
    "service": ("marketprism_up", "marketprism.message", "marketprism.service.started"),
    "SDK": ("otel_sdk_exporter_span_exported_total", "marketprism.subscription", "marketprism.verdict.changed"),
}


@dataclass
class Running:
    """A collector that exports to a running stack."""

    rig: Rig
    stack: Stack

    @property
    def signals(self) -> Signals:
        return Signals(self.stack.ports)

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.signals.query(expression)

    def value(self, expression: str) -> float:
        return sum(float(row["value"][1]) for row in self.query(expression))

    def exemplars(self, expression: str) -> list[dict[str, Any]]:
        return self.signals.exemplars(expression)

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        return self.signals.trace(trace_id)

    def logs(self, query: str = EVERYTHING) -> list[Line]:
        return self.signals.lines(query)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One run: in sync, faults that leave a gap on both venues, in sync again, and the markets stand."""
    folder = tmp_path_factory.mktemp("stack")
    with Stack(ports=Ports.free(), data=folder / "stack") as stack, Rig(folder, rate=300) as rig:
        rig.environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{stack.ports.otlp_http}",
            "OTEL_METRIC_EXPORT_INTERVAL": str(int(EXPORT_S * 1000)),
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        rig.start()
        rig.wait_in_sync()
        rig.fault("close", "kraken")  # a connection's span is told when it has ended
        poll_until(
            lambda: rig.metric("marketprism_connection_closed_total", marketprism_venue="kraken"), "it is closed"
        )
        rig.wait_in_sync()
        rig.fault("http", "binance", status=503, endpoint="depth", count=1)
        for venue, count in (("binance", 1), ("kraken", 40)):  # Kraken's checksum sees ten levels of a thousand
            rig.fault("drop", venue, channel="book", symbol="BTC-USDT", count=count)
        refused = {"http_response_status_code": "503"}
        poll_until(lambda: rig.metric("http_client_request_duration_seconds_count", **refused), "a snapshot is refused")
        for venue in VENUES:
            poll_until(lambda: _lost(rig, venue), f"{venue} has a gap from the lost messages", 60)  # noqa: B023
        rig.heal()
        time.sleep(2)
        rig.wait_in_sync(60)
        rig.settle()
        time.sleep(EXPORT_S * 3)
        yield Running(rig, stack)
        assert rig.stop() == 0


def _lost(rig: Rig, venue: str) -> float:
    """Gaps of books but for the interruption's: sequence, checksum, or crossed where the checksum comes too late."""
    of_book = {"marketprism_venue": venue, "marketprism_channel": "book"}
    name = "marketprism_gaps_total"
    return rig.metric(name, **of_book) - rig.metric(name, **of_book, marketprism_gap_cause="disconnect")


def test_prometheus_answers_for_every_metric_of_the_schema_under_its_generated_name(running: Running) -> None:
    others = (*ONCE_ONLY, OF_THE_BRIDGE)
    names = [name for name in NAMES.read_text().splitlines() if name and not name.startswith(others)]
    assert len(names) > 60

    def absent() -> list[str]:
        return [name for name in names if not running.query(f'{{__name__="{name}"}}')]

    with contextlib.suppress(AssertionError):
        poll_until(lambda: not absent(), "every metric answers (a clock's skew is known after half a minute)", 60)
    assert absent() == []
    sdk = [name for name in NAMES.read_text().splitlines() if name.startswith(ONCE_ONLY)]
    assert [name for name in sdk if running.query(f'{{__name__="{name}"}}')]


def test_every_signal_of_every_component_arrives(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    spans = {span for _, span, _ in COMPONENTS.values()}
    poll_until(lambda: running.signals.operations(SERVICE) >= spans, "Jaeger has a span of every component")
    operations = running.signals.operations(SERVICE)
    events = {line.labels.get("event_name") for line in running.logs()}
    with capsys.disabled():
        print("\ncomponent   metric  trace  log")  # noqa: T201 - the matrix is to be seen
        for component, (metric, span, event) in COMPONENTS.items():
            cells = (bool(running.query(metric)), span in operations, event in events)
            print(f"{component:<11} {'  '.join('yes   ' if cell else 'NO    ' for cell in cells)}")  # noqa: T201
            assert all(cells), component


def test_counters_start_at_zero_so_that_the_first_failure_is_seen(running: Running) -> None:
    never = running.query('marketprism_gaps_total{marketprism_gap_cause="unsorted"}')
    assert never
    assert {row["value"][1] for row in never} == {"0"}


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("marketprism_messages_received_total", "messages"),
        ("marketprism_received_size_bytes_total", "bytes"),
    ],
)
def test_messages_and_bytes_in_prometheus_equal_what_the_simulator_sent(
    running: Running, name: str, total: str
) -> None:
    sent = running.rig.control("ledger/sent")["venues"]
    for venue in VENUES:
        for channel in ("trades", "quotes", "book"):  # heartbeats go on while the markets stand
            true = sent[venue][channel][total]
            assert running.rig.metric(name, marketprism_venue=venue, marketprism_channel=channel) == true
            labels = f'marketprism_venue="{venue}",marketprism_channel="{channel}"'
            assert running.value(f"{name}{{{labels}}}") == true


def test_records_and_gaps_in_prometheus_equal_the_journal(running: Running) -> None:
    rig = running.rig
    rig.follow()
    accepted = sum(1 for _ in rig.records())
    assert running.value("marketprism_journal_records_accepted_total") == accepted
    assert rig.metric("marketprism_journal_records_accepted_total") == accepted
    gaps = sum(1 for gap in rig.gaps if gap.repaired_ts is None)
    assert gaps >= 2
    assert running.value("marketprism_gaps_total") == gaps == rig.metric("marketprism_gaps_total")


def test_a_gaps_exemplar_leads_to_its_repair_span_with_size_and_cause_and_to_its_log_line(running: Running) -> None:
    name = "marketprism_gap_repair_duration_seconds_bucket"
    found = poll_until(lambda: running.exemplars(name), "an exemplar of a repaired gap")
    running.rig.follow()
    true = {
        (gap.cause, *(None if end is None else str(end) for end in (gap.first, gap.last)), gap.count)
        for gap in running.rig.gaps
        if gap.repaired_ts is not None
    }
    for exemplar in found:
        trace_id = exemplar["labels"]["trace_id"]
        spans = poll_until(lambda: running.trace(trace_id), "Jaeger has the exemplar's trace")  # noqa: B023
        (gap,) = [span for span in spans if span["operationName"] == "marketprism.gap"]
        tags = {tag["key"]: tag["value"] for tag in gap["tags"]}
        assert tags["marketprism.gap.outcome"] == "repaired"
        ids = [tags.get(f"marketprism.gap.{key}") for key in ("first", "last")]
        told = (tags["marketprism.gap.cause"], *ids, tags.get("marketprism.gap.count"))
        assert told in true
        of_it = poll_until(lambda: running.signals.lines_of(trace_id), "Loki has the lines of that trace")  # noqa: B023
        assert {line.labels["trace_id"] for line in of_it} == {trace_id}


def test_streams_of_logs_have_few_labels_and_a_line_with_a_trace_leads_to_it(running: Running) -> None:
    bounded = {"service_name", "service_namespace", "deployment_environment_name"}
    streams = running.signals.streams()
    assert {name for stream in streams for name in stream} <= bounded
    assert {stream["service_name"] for stream in streams} >= {SERVICE, "marketprism-bridge"}
    traced = [line for line in running.logs() if line.labels.get("event_name") == "marketprism.book.repaired"]
    assert traced
    for line in traced:
        spans = poll_until(lambda: running.trace(line.labels["trace_id"]), "Jaeger has the line's trace")  # noqa: B023
        assert line.labels["span_id"] in {span["spanID"] for span in spans}


def test_a_messages_trace_reaches_from_the_frame_to_the_journal(running: Running) -> None:
    found = poll_until(
        lambda: running.exemplars("marketprism_message_process_duration_seconds_bucket"), "an exemplar of a message"
    )
    for exemplar in found[-5:]:
        spans = poll_until(lambda: running.trace(exemplar["labels"]["trace_id"]), "Jaeger has the message's trace")  # noqa: B023
        names = {span["operationName"] for span in spans}
        assert {"marketprism.message", "marketprism.decode", "marketprism.journal"} <= names


def test_a_record_carries_the_trace_that_jaeger_has(running: Running) -> None:
    carried = [r.traceparent for r in running.rig.records() if isinstance(r.traceparent, str)]
    assert carried
    spans = poll_until(lambda: running.trace(carried[-1].split("-")[1]), "Jaeger has the record's trace")
    assert carried[-1].split("-")[2] in {span["spanID"] for span in spans}


def test_the_collector_is_scraped_for_up_alone(running: Running) -> None:
    assert poll_until(lambda: running.query('up{job="marketprism-collector"}'), "up is scraped", 20) is not None
    assert running.query('marketprism_up{job="marketprism-collector"}') == []
