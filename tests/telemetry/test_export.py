"""The cells leave as real OpenTelemetry metrics: exact, cumulative, with exemplars, patched and not rebuilt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from telemetry.cells import Cell, Exemplar, Metrics
from telemetry.export import SERIES_PER_PIECE, Ask, CellExporter, Read, SendError
from telemetry.ledger import Ledger
from telemetry.redaction import MASK, register_secret
from telemetry.registry import load_registry
from telemetry.turns import Turns
from tests.telemetry.otlp_sink import OtlpSink, Point, Request

AT = {"venue": "kraken", "market": "spot", "channel": "book"}
START, NOW = 1_000, 2_000


class Wire:
    """Keeps what is sent; `fails` makes it refuse."""

    def __init__(self) -> None:
        self.sink = OtlpSink()
        self.fails = False
        self.refuses = 0
        self.closed = False

    def send(self, body: bytes, _timeout_s: float) -> int:
        if self.fails:
            raise SendError("HTTP 503")
        message = ExportMetricsServiceRequest.FromString(body)
        self.sink.requests.append(Request("/v1/metrics", {}, body, message))
        return self.refuses

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sdk_data() -> Iterator[MetricsData]:
    """What the reader gives: one gauge of the SDK."""
    reader = InMemoryMetricReader()
    resource = Resource({"service.name": "me"})
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    provider.get_meter("sdk").create_gauge("marketprism.up").set(1)
    data = reader.get_metrics_data()
    assert data is not None
    yield data
    provider.shutdown()


class Rig:
    def __init__(self, data: MetricsData, ask: Ask = lambda read: read()) -> None:
        self.data = data
        self.metrics = Metrics(load_registry(), lambda: START)
        self.wire = Wire()
        self.breaths = 0
        self.ledger = Ledger(self.metrics, "metrics", now_ns=lambda: 5_000_000_000)
        self.exporter = CellExporter(
            self.metrics.families(), self.wire, self.ledger, Turns(), ask=ask, now_ns=lambda: NOW, breathe=self._breathe
        )

    def _breathe(self) -> None:
        self.breaths += 1

    def export(self) -> MetricExportResult:
        return self.exporter.export(self.data)

    def point(self, name: str, **attributes: str) -> Point:
        return self.wire.sink.metric(name, **attributes)

    def own(self, name: str, **attributes: str) -> float:
        return self.metrics.counter(name).cell(**attributes).n


@pytest.fixture
def rig(sdk_data: MetricsData) -> Rig:
    return Rig(sdk_data)


def test_a_counter_is_a_cumulative_monotonic_sum_of_whole_numbers(rig: Rig) -> None:
    cell = rig.metrics.counter("marketprism.messages.received").cell(**AT)
    cell.n = 7
    rig.export()
    point = rig.point("marketprism.messages.received", **AT)
    assert (point.value, point.is_int, point.monotonic, point.temporality) == (7, True, True, 2)
    assert (point.start_ns, point.time_ns, point.unit) == (START, NOW, "{message}")
    cell.n = 9
    rig.export()
    assert rig.point("marketprism.messages.received", **AT).value == 9


def test_an_up_down_counter_may_fall(rig: Rig) -> None:
    rig.metrics.up_down_counter("process.memory.usage").cell().n = 5
    rig.export()
    assert rig.point("process.memory.usage").monotonic is False


def test_a_gauge_is_a_float_without_temporality(rig: Rig) -> None:
    rig.metrics.gauge("marketprism.journal.size").cell().n = 3
    rig.export()
    point = rig.point("marketprism.journal.size")
    assert (point.value, point.is_int, point.temporality) == (3.0, False, None)


def test_a_histogram_has_the_buckets_and_the_sum_of_its_cell(rig: Rig) -> None:
    cell = rig.metrics.histogram("marketprism.burst.size").cell()
    for value in (1, 1, 2, 10_000):
        cell.observe(value)
    rig.export()
    point = rig.point("marketprism.burst.size")
    assert (point.count, point.sum) == (4, 10_004)
    assert (point.buckets[:2], point.buckets[-1], point.bounds[:2]) == ([2, 1], 1, [1, 2])


def test_an_exemplar_is_sent_until_it_has_arrived_and_then_no_more(rig: Rig) -> None:
    cell = rig.metrics.histogram("marketprism.feed.lag").cell(**AT)
    cell.observe(0.001)
    cell.ex[2] = Exemplar(0.001, 1234, 0xAB, 0xCD)
    rig.wire.fails = True
    assert rig.export() is MetricExportResult.FAILURE
    rig.wire.fails = False
    rig.export()
    (exemplar,) = rig.point("marketprism.feed.lag", **AT).exemplars
    assert (exemplar.as_double, exemplar.time_unix_nano) == (0.001, 1234)
    assert (int.from_bytes(exemplar.trace_id, "big"), int.from_bytes(exemplar.span_id, "big")) == (0xAB, 0xCD)
    rig.export()
    assert rig.point("marketprism.feed.lag", **AT).exemplars == []
    cell.ex[2] = Exemplar(0.001, 999, 1, 1)  # an older one that came later is new all the same
    rig.export()
    assert len(rig.point("marketprism.feed.lag", **AT).exemplars) == 1


def test_a_counter_has_exemplars_too_and_a_gauge_has_none(rig: Rig) -> None:
    gauge, counter = rig.metrics.gauge("marketprism.journal.size"), rig.metrics.counter("marketprism.messages.received")
    gauge.cell().ex[0] = counter.cell(**AT).ex[0] = Exemplar(1.0, 1, 1, 1)
    rig.export()
    assert len(rig.point("marketprism.messages.received", **AT).exemplars) == 1
    assert rig.point("marketprism.journal.size").exemplars == []


def test_a_new_series_builds_only_its_own_piece_anew(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    family = rig.metrics.gauge("marketprism.last_message.time")
    instruments = [f"A{n}-USD" for n in range(SERIES_PER_PIECE + 1)]
    for instrument in instruments:
        family.cell(**AT, instrument=instrument).n = 1
    rig.export()
    built: list[int] = []
    from telemetry import export  # noqa: PLC0415 - to look into it

    skeleton = export._skeleton

    def counted(family: Any, cells: Any) -> Any:
        built.append(len(cells))
        return skeleton(family, cells)

    monkeypatch.setattr(export, "_skeleton", counted)
    rig.export()
    assert built == []
    family.cell(**AT, instrument="NEW-USD").n = 2
    rig.export()
    assert built == [2]
    values = [point.value for point in rig.wire.sink.points(1) if point.metric == "marketprism.last_message.time"]
    assert sorted(value for value in values if value is not None) == [1.0] * (SERIES_PER_PIECE + 1) + [2.0]


def test_a_series_that_is_dropped_is_sent_no_more_and_one_made_again_starts_anew(sdk_data: MetricsData) -> None:
    rig = Rig(sdk_data)
    times = count(10)
    family = Metrics(load_registry(), lambda: next(times)).counter("marketprism.messages.received")
    exporter = CellExporter([family], rig.wire, rig.ledger, Turns(), breathe=lambda: None)
    family.cell(**AT).n = 1
    exporter.export(sdk_data)
    first = rig.point("marketprism.messages.received").start_ns
    family.drop(**AT)
    exporter.export(sdk_data)
    assert [point.metric for point in rig.wire.sink.points(1)] == ["marketprism.up"]
    family.cell(**AT).n = 1
    exporter.export(sdk_data)
    assert rig.point("marketprism.messages.received").start_ns > first


def test_a_series_that_takes_the_place_of_another_is_not_taken_for_it(rig: Rig) -> None:
    family = rig.metrics.gauge("marketprism.last_message.time")
    family.cell(**AT, instrument="OLD-USD").n = 1
    rig.export()
    family.drop(**AT, instrument="OLD-USD")
    family.cell(**AT, instrument="NEW-USD").n = 2
    rig.export()
    points = [point for point in rig.wire.sink.points(1) if point.metric == "marketprism.last_message.time"]
    assert [(point.attributes["marketprism.instrument"], point.value) for point in points] == [("NEW-USD", 2)]


def test_a_watched_value_is_read_where_it_lives(sdk_data: MetricsData) -> None:
    asked: list[int] = []

    def ask(read: Read) -> dict[Cell, float]:
        asked.append(1)
        return read()

    rig = Rig(sdk_data, ask)
    rig.metrics.counter("process.cpu.time").watch(lambda: 1.5, cpu_mode="user")
    rig.export()
    assert (rig.point("process.cpu.time").value, asked) == (1.5, [1])


def test_a_value_that_is_not_known_is_marked_so_and_comes_back(rig: Rig) -> None:
    said = [math.nan, 4.0]
    rig.metrics.gauge("marketprism.journal.free").watch(lambda: said.pop(0))
    rig.export()
    assert rig.point("marketprism.journal.free").value is None
    message = rig.wire.sink.requests[-1].message
    metrics = message.resource_metrics[1].scope_metrics[0].metrics
    (free,) = (metric.gauge.data_points[0] for metric in metrics if metric.name == "marketprism.journal.free")
    assert free.flags == 1
    rig.export()
    assert rig.point("marketprism.journal.free").value == 4.0


def test_where_the_event_loop_does_not_answer_the_rest_is_exported(sdk_data: MetricsData) -> None:
    rig = Rig(sdk_data, lambda _: {})
    rig.metrics.gauge("marketprism.journal.free").watch(lambda: 1.0)
    rig.metrics.counter("marketprism.messages.received").cell(**AT).n = 3
    assert rig.export() is MetricExportResult.SUCCESS
    assert rig.point("marketprism.journal.free").value is None
    assert rig.point("marketprism.messages.received", **AT).value == 3


def test_it_lets_others_run_every_so_many_series(rig: Rig) -> None:
    family = rig.metrics.gauge("marketprism.last_message.time")
    rig.export()
    before = rig.breaths
    for n in range(500):
        family.cell(**AT, instrument=f"A{n}-USD")
    rig.export()
    assert rig.breaths - 2 * before >= 10


def test_series_beyond_the_bound_arrive_as_the_overflow_series(rig: Rig) -> None:
    family = rig.metrics.histogram("http.client.request.duration")
    for n in range(40):
        family.cell(http_request_method="GET", server_address=f"h{n}", venue="kraken", endpoint="depth").observe(0.1)
    rig.export()
    points = [point for point in rig.wire.sink.points(1) if point.metric == "http.client.request.duration"]
    (overflow,) = (point for point in points if point.attributes == {"otel.metric.overflow": True})
    assert overflow.count == 8
    assert rig.point("marketprism.telemetry.series.refused").value == 8


def test_everything_is_under_one_resource_and_what_the_sdk_measured_is_there(rig: Rig) -> None:
    rig.export()
    assert rig.wire.sink.resources() == [{"service.name": "me"}] * 2
    assert rig.point("marketprism.up").value == 1
    names = [point.metric for point in rig.wire.sink.points()]
    assert len(set(names)) > 10


def test_success_and_failure_are_counted_where_metrics_shows_them(rig: Rig) -> None:
    rig.wire.fails = True
    rig.export()
    assert rig.own("marketprism.telemetry.export.failures", telemetry_signal="metrics") == 1
    assert rig.ledger.failing
    rig.wire.fails = False
    rig.wire.refuses = 3
    rig.export()
    points = len(rig.wire.sink.points())
    assert rig.own("marketprism.telemetry.exported", telemetry_signal="metrics") == points - 3
    dropped = {"telemetry_signal": "metrics", "telemetry_drop_reason": "rejected"}
    assert rig.own("marketprism.telemetry.dropped", **dropped) == 3
    last = rig.metrics.gauge("marketprism.telemetry.last_export.time").cell(telemetry_signal="metrics")
    assert (last.n, rig.ledger.failing) == (5.0, False)


def test_an_export_that_breaks_counts_as_one_that_failed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(_body: bytes, _timeout_s: float) -> int:
        "中".encode("latin-1")  # as http.client does with a header that it cannot write
        return 0

    monkeypatch.setattr(rig.wire, "send", send)
    with pytest.raises(UnicodeEncodeError):  # for the reader to log
        rig.export()
    assert rig.ledger.failing
    assert rig.own("marketprism.telemetry.export.failures", telemetry_signal="metrics") == 1


def test_a_secret_in_an_attribute_does_not_leave(rig: Rig) -> None:
    register_secret("planted-in-metric-1")
    rig.metrics.gauge("marketprism.last_message.time").cell(**AT, instrument="planted-in-metric-1").n = 1
    rig.export()
    assert "planted-in-metric-1" not in rig.wire.sink.text()
    assert rig.point("marketprism.last_message.time", instrument=MASK).value == 1


def test_ending_gives_the_connection_back(rig: Rig) -> None:
    rig.exporter.shutdown()
    assert rig.wire.closed
    assert rig.exporter.force_flush()
