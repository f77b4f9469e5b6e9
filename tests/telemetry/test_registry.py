"""The schema is read whole, checked, and named as Prometheus names it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from collector.books.verdict import STATES
from collector.records import GapCause, Record
from telemetry.model import Instrument, SchemaError, prometheus_name
from telemetry.redaction import is_secret_name
from telemetry.registry import load_registry

ATTRIBUTES = """
groups:
  - id: registry.a
    type: attribute_group
    attributes:
      - {id: marketprism.colour, type: string, brief: A colour., annotations: {marketprism: {bound: 2}}}
      - {id: marketprism.note, type: string, brief: In logs only.}
"""
METRIC = """
  - id: metric.marketprism.things
    type: metric
    metric_name: marketprism.things
    instrument: counter
    unit: "{thing}"
    brief: Things.
"""
EVENT = """
  - id: event.marketprism.happened
    type: event
    name: marketprism.happened
    brief: It happened.
    annotations: {marketprism: {severity: info}}
"""


@pytest.fixture
def schema(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        (tmp_path / "test.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("name", "unit", "instrument", "expected"),
    [
        ("marketprism.messages.received", "{message}", "counter", "marketprism_messages_received_total"),
        ("marketprism.feed.lag", "s", "histogram", "marketprism_feed_lag_seconds"),
        ("marketprism.received.size", "By", "counter", "marketprism_received_size_bytes_total"),
        ("marketprism.last_message.time", "s", "gauge", "marketprism_last_message_time_seconds"),
        ("queue.used", "1", "gauge", "queue_used_ratio"),
        ("queue.used.ratio", "1", "gauge", "queue_used_ratio"),
        ("requests.count", "1", "counter", "requests_count_total"),
        ("requests.total.count", "{request}", "counter", "requests_count_total"),
        ("bytes.read", "By", "counter", "bytes_read_total"),
        ("process.memory.usage", "By", "updowncounter", "process_memory_usage_bytes"),
        ("some.share", "1", "updowncounter", "some_share"),
    ],
)
def test_names_are_those_of_prometheus_own_translation(
    name: str, unit: str, instrument: Instrument, expected: str
) -> None:
    assert prometheus_name(name, unit, instrument) == expected


def test_the_schema_is_valid_and_every_own_name_has_our_prefix() -> None:
    registry = load_registry()
    assert {name.split(".")[0] for name in registry.metrics} == {"marketprism", "http", "process", "otel"}
    assert all(name.startswith("marketprism.") for name in registry.events)
    assert registry.metrics["marketprism.feed.lag"].buckets[0] == 0.0


def test_the_verdict_codes_are_those_of_the_books() -> None:
    assert load_registry().metrics["marketprism.verdict"].codes == {state: i for i, state in enumerate(STATES)}


def test_every_gap_cause_and_record_type_of_the_code_is_a_value_of_the_schema() -> None:
    attributes = load_registry().attributes
    assert set(get_args(GapCause)) <= set(attributes["marketprism.gap.cause"].members)
    tags = {str(record.__struct_config__.tag) for record in Record.__subclasses__()}
    assert tags == set(attributes["marketprism.record.type"].members)


def test_no_attribute_has_a_name_that_redaction_would_mask() -> None:
    assert [a.key for a in load_registry().attributes.values() if is_secret_name(a.key) or is_secret_name(a.name)] == []


def test_an_unknown_metric_is_named_with_the_nearest_one() -> None:
    with pytest.raises(SchemaError, match=r"marketprism\.gapz.*did you mean marketprism\.gaps\?"):
        load_registry().metric("marketprism.gapz")


def test_a_small_schema_is_read(schema: Callable[[str], Path]) -> None:
    registry = load_registry(schema(ATTRIBUTES + METRIC + "    attributes: [{ref: marketprism.colour}]" + EVENT))
    metric = registry.metrics["marketprism.things"]
    assert (metric.prometheus, metric.bound) == ("marketprism_things_total", 2000)
    assert [(use.attribute.key, use.required) for use in metric.attributes] == [("colour", False)]
    assert registry.events["marketprism.happened"].severity == "info"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test.yaml: Expected `object`, got `null`"),
        ("groups: []", "no schema files"),
        ("groups: [{id: x, type: trace}]", r"test.yaml: Invalid value 'trace' - at `\$.groups\[0\].type`"),
        (ATTRIBUTES + METRIC + "    colour: red", "unknown field `colour`"),
        (ATTRIBUTES + METRIC + METRIC, "marketprism.things is defined twice"),
        (ATTRIBUTES + METRIC.replace("brief: Things.", "brief: ''"), "brief: expected a sentence"),
        (ATTRIBUTES + METRIC.replace("{thing}", "ms"), "unit: expected s, By, 1 or {thing}, found 'ms'"),
        (ATTRIBUTES + METRIC.replace("_name: marketprism.", "_name: marketprism.X"), "expected lower-case words"),
        (ATTRIBUTES + METRIC.replace("metric.marketprism.things", "metric.other"), "id: expected metric.marketprism"),
        (ATTRIBUTES + METRIC + "    attributes: [{ref: marketprism.color}]", "did you mean marketprism.colour?"),
        (ATTRIBUTES + METRIC + "    attributes: [{ref: marketprism.note}]", "no metric may carry it"),
        (
            ATTRIBUTES + METRIC + "    attributes: [{ref: marketprism.colour}, {ref: marketprism.colour}]",
            "marketprism.colour is there twice",
        ),
        (ATTRIBUTES + METRIC.replace("counter", "histogram"), "buckets: expected rising bounds"),
        (
            ATTRIBUTES
            + METRIC.replace("counter", "histogram")
            + "    annotations: {marketprism: {buckets: [1, 3, 2]}}",
            "buckets: expected rising bounds",
        ),
        (ATTRIBUTES + METRIC + "    annotations: {marketprism: {buckets: [1]}}", "buckets: expected only bound, codes"),
        (ATTRIBUTES + EVENT.replace("severity: info", ""), "severity: expected debug, info"),
        (ATTRIBUTES + "      - {id: marketprism.colour.dark, type: string, brief: B.}", "also the namespace of"),
        (
            ATTRIBUTES
            + "      - {id: colour.x, type: string, brief: B.}\n      - {id: colour_x.y, type: int, brief: C.}"
            + "\n      - {id: colour.x_y, type: int, brief: D.}",
            "are both colour_x_y",
        ),
        (ATTRIBUTES + METRIC + METRIC.replace("marketprism.things", "marketprism.things.total"), "are both"),
        (ATTRIBUTES.replace("type: string, brief: A", "type: {members: [{id: a, value: a}]}, brief: A"), "its members"),
        ("groups: [", "test.yaml: while parsing"),
    ],
)
def test_a_mistake_in_the_schema_is_named_with_its_place(
    schema: Callable[[str], Path], text: str, message: str
) -> None:
    pattern = message if "\\" in message else re.escape(message)
    with pytest.raises(SchemaError, match=pattern):
        load_registry(schema(text))
