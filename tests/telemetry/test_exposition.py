"""What /metrics says is what the cells hold, in both formats."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric as Parsed
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from telemetry.cells import Exemplar, Metrics
from telemetry.exposition import CELLS_PER_BLOCK, CONTENT_TYPES, Exposition, Format, negotiate
from telemetry.registry import load_registry

FORMATS: list[Format] = ["openmetrics", "prometheus"]
REGISTRY = load_registry()
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def parse(exposition: Exposition, form: Format) -> list[Parsed]:
    text = exposition.render(form).decode()
    return list((parse_openmetrics if form == "openmetrics" else parse_prometheus)(text))


def samples(exposition: Exposition, form: Format) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(exposition, form)
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    """One series of every metric of the schema, with a value of its own."""
    metrics = Metrics(REGISTRY)
    for number, family in enumerate(metrics.families(), 1):
        attrs = {
            use.attribute.key: next(iter(use.attribute.members), None) or use.attribute.examples[0]
            for use in family.metric.attributes
        }
        cell = family.cell(**attrs)
        if hasattr(cell, "observe"):
            cell.observe(number)
        else:
            cell.n = number
    return metrics


@pytest.mark.parametrize("form", FORMATS)
def test_every_metric_of_the_schema_is_there_under_its_prometheus_name(metrics: Metrics, form: Format) -> None:
    names = {name for name, _ in samples(Exposition(metrics), form)}
    ours = (metric for metric in REGISTRY.metrics.values() if metric.emitter == "cells")
    assert names == {name for metric in ours for name in metric.samples}


@pytest.mark.parametrize("form", FORMATS)
def test_types_and_help_are_those_of_the_schema(metrics: Metrics, form: Format) -> None:
    families = {family.name: family for family in parse(Exposition(metrics), form)}
    messages = families["marketprism_messages_received"]
    assert (messages.type, messages.documentation) == (
        "counter",
        REGISTRY.metrics["marketprism.messages.received"].brief,
    )
    assert families["process_memory_usage_bytes"].type == "gauge"
    assert families["marketprism_feed_lag_seconds"].type == "histogram"
    if form == "openmetrics":
        assert families["marketprism_received_size_bytes"].unit == "bytes"
        assert families["marketprism_burst_size"].unit == ""


@pytest.mark.parametrize("form", FORMATS)
def test_buckets_are_cumulative_and_end_at_the_count(form: Format) -> None:
    metrics = Metrics(REGISTRY)
    cell = metrics.histogram("marketprism.burst.size").cell()
    for value in (1, 1, 3, 300):
        cell.observe(value)
    found = samples(Exposition(metrics), form)
    name = "marketprism_burst_size"
    assert [found[f"{name}_bucket", (("le", le),)] for le in ("1.0", "2.0", "4.0", "256.0", "+Inf")] == [2, 2, 3, 3, 4]
    assert (found[f"{name}_count", ()], found[f"{name}_sum", ()]) == (4, 305)


def test_both_formats_hold_the_same_numbers(metrics: Metrics) -> None:
    exposition = Exposition(metrics)
    assert samples(exposition, "openmetrics") == samples(exposition, "prometheus")


def test_exemplars_are_in_openmetrics_only() -> None:
    metrics = Metrics(REGISTRY)
    cell = metrics.histogram("marketprism.burst.size").cell()
    cell.observe(2)
    cell.ex[1] = Exemplar(2.0, 1_700_000_000_123_456_789, 0xABC, 0xDEF)
    counter = metrics.counter("marketprism.dead_letters.written").cell()
    counter.n = 1
    counter.ex[0] = Exemplar(1.0, 1_700_000_000_000_000_000, 1, 2)
    exposition = Exposition(metrics)
    found = {
        (sample.name, sample.labels.get("le")): sample.exemplar
        for family in parse(exposition, "openmetrics")
        for sample in family.samples
        if sample.exemplar
    }
    bucket = found.pop(("marketprism_burst_size_bucket", "2.0"))
    assert (bucket.labels, bucket.value) == ({"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}, 2.0)
    assert str(bucket.timestamp) == "1700000000.123000000"
    assert list(found) == [("marketprism_dead_letters_written_total", None)]
    assert b"trace_id" not in exposition.render("prometheus")


def test_a_series_appears_and_disappears_with_its_cell() -> None:
    metrics = Metrics(REGISTRY)
    exposition = Exposition(metrics)
    family = metrics.gauge("marketprism.connection.state")
    key = (
        "marketprism_connection_state",
        (("marketprism_connection", "a"), ("marketprism_market", "spot"), ("marketprism_venue", "kraken")),
    )
    assert key not in samples(exposition, "prometheus")
    cell = family.cell(venue="kraken", market="spot", connection="a")
    assert samples(exposition, "prometheus")[key] == 0
    cell.n = 1
    assert samples(exposition, "prometheus")[key] == 1
    family.drop(venue="kraken", market="spot", connection="a")
    assert key not in samples(exposition, "prometheus")


def test_the_overflow_series_has_its_label() -> None:
    metrics = Metrics(REGISTRY)
    family = metrics.gauge("marketprism.rest.paused")
    for i in range(20):
        family.cell(venue="kraken", pool=f"pool-{i}").n = i
    found = samples(Exposition(metrics), "openmetrics")
    assert found["marketprism_rest_paused_seconds", (("otel_metric_overflow", "true"),)] == 19
    assert found["marketprism_telemetry_series_refused_total", ()] == 4


@pytest.mark.parametrize("form", FORMATS)
@given(name=st.text(st.characters(exclude_categories=["Cs"])), value=st.floats())
def test_any_label_and_any_value_come_back_as_they_were(form: Format, name: str, value: float) -> None:
    metrics = Metrics(REGISTRY)
    metrics.gauge("marketprism.rest.paused").cell(venue="kraken", pool=name).n = value
    found = samples(Exposition(metrics), form)
    back = found["marketprism_rest_paused_seconds", (("marketprism_pool", name), ("marketprism_venue", "kraken"))]
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_many_series_come_in_blocks_that_make_up_the_whole() -> None:
    metrics = Metrics(REGISTRY)
    family = metrics.gauge("marketprism.last_message.time")
    for i in range(3 * CELLS_PER_BLOCK):
        family.cell(venue="kraken", market="spot", instrument=f"C{i}-USD", channel="book")
    exposition = Exposition(metrics)
    blocks = list(exposition.blocks("openmetrics"))
    assert max(block.count("\n") for block in blocks) <= CELLS_PER_BLOCK + 3
    assert "".join(blocks).encode() == exposition.render("openmetrics")
    assert blocks[-1] == "# EOF\n"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "prometheus"),
        ("*/*", "prometheus"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "prometheus"),
        ("application/openmetrics-text", "openmetrics"),
        ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", "openmetrics"),
        (
            PROMETHEUS_3,
            "openmetrics",
        ),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.3", "prometheus"),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", "prometheus"),
        ("application/openmetrics-text;q=0", "prometheus"),
        ("application/openmetrics-text;q=many", "prometheus"),
    ],
)
def test_the_format_is_what_the_client_prefers(accept: str, expected: Format) -> None:
    assert negotiate(accept) == expected


def test_content_types_are_those_of_the_formats() -> None:
    assert CONTENT_TYPES == {
        "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "prometheus": "text/plain; version=0.0.4; charset=utf-8",
    }
