"""What the telemetry schema consists of: metrics, attributes, spans, log events, entities, and the names that metrics
have in Prometheus.

It owns the types and the translation of names; it must never read a file (`telemetry/registry.py` does) nor know who
emits. Plain frozen values, so that cells, logs, docs and tests can all hold them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

PREFIX = "marketprism."

Instrument = Literal["counter", "updowncounter", "gauge", "histogram"]
Severity = Literal["debug", "info", "warning", "error", "critical"]
SpanKind = Literal["internal", "client", "server", "producer", "consumer"]
Emitter = Literal["cells", "sdk"]
ValueType = Literal["string", "int", "double", "boolean"]
AttributeValue = str | int | float | bool

UNITS = {"s": "seconds", "By": "bytes", "1": ""}
"""The units that we use, with their names in Prometheus. Beside them stands `{thing}`, which adds nothing to a name."""


_TYPES: Mapping[ValueType, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "double": (int, float),
    "boolean": (bool,),
}


class SchemaError(ValueError):
    """The schema, or a use of it, is wrong. The message says where, what was expected and the nearest name."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: `name` on the wire, `key` in code and in log lines.

    `members` are its values with their meanings, empty where any value will do. `bound` is how many values one metric
    may see; None for one that appears in spans, log events and resources only.
    """

    name: str
    key: str
    type: ValueType
    brief: str
    members: Mapping[str, str]
    bound: int | None
    examples: tuple[str | int | float, ...]

    @property
    def label(self) -> str:
        """Its name as a Prometheus label."""
        return re.sub(r"[^a-zA-Z0-9_]", "_", self.name)

    def objection(self, value: AttributeValue) -> str:
        """What is wrong with a value of it; empty when it fits."""
        types = _TYPES[self.type]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            return f"expected {self.type}, found {value!r}"
        if self.members and value not in self.members:
            near = nearest(str(value), self.members)
            return f"{value!r} is none of its values{near} (they are: {', '.join(self.members)})"
        return ""


@dataclass(frozen=True, slots=True)
class AttributeUse:
    """An attribute of a metric or a span; one that is not required may be left out."""

    attribute: Attribute
    required: bool


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    `buckets` are a histogram's upper bounds in `unit`, `codes` what a gauge's numbers mean, `bound` the most series
    that it may have. `emitter`: our cells, or the OpenTelemetry SDK about itself (by OTLP alone, not on `/metrics`).
    """

    name: str
    prometheus: str
    instrument: Instrument
    unit: str
    brief: str
    attributes: tuple[AttributeUse, ...]
    buckets: tuple[float, ...]
    codes: Mapping[str, int]
    bound: int
    emitter: Emitter = "cells"

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its samples in Prometheus."""
        if self.instrument == "histogram":
            return tuple(f"{self.prometheus}_{part}" for part in ("bucket", "count", "sum"))
        return (self.prometheus,)


@dataclass(frozen=True, slots=True)
class Event:
    """A log event and the attributes that it may carry."""

    name: str
    severity: Severity
    brief: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A span by the name that it has on the wire, and the attributes that it may carry."""

    name: str
    kind: SpanKind
    brief: str
    attributes: tuple[AttributeUse, ...]


@dataclass(frozen=True, slots=True)
class Entity:
    """A part of the resource, with its attributes."""

    name: str
    brief: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """The whole schema, by name."""

    attributes: Mapping[str, Attribute]
    metrics: Mapping[str, Metric]
    events: Mapping[str, Event]
    entities: Mapping[str, Entity]
    spans: Mapping[str, Span]

    def metric(self, name: str) -> Metric:
        """The metric of this name; SchemaError with the nearest name if there is none."""
        found = self.metrics.get(name)
        if found is None:
            raise SchemaError(f"{name}: no such metric in telemetry/schema{nearest(name, self.metrics)}")
        return found


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of an error message: `, did you mean X?`, or nothing when nothing is near."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f", did you mean {close[0]}?" if close else ""


def prometheus_name(name: str, unit: str, instrument: Instrument) -> str:
    """The name that Prometheus gives to an OTLP metric, by its default translation (UnderscoreEscapingWithSuffixes).

    Dots become underscores; the unit is appended unless the name has it as a word; `_total` for counters; `_ratio` for
    gauges of unit 1. Source: https://github.com/prometheus/otlptranslator/blob/main/metric_namer.go
    """
    words = [word for word in re.split(r"[^a-zA-Z0-9:]+", name) if word]
    suffix = "" if unit.startswith("{") else UNITS[unit]
    if suffix and suffix not in words:
        words.append(suffix)
    if instrument == "counter":
        words = [*(word for word in words if word != "total"), "total"]
    if instrument == "gauge" and unit == "1":
        words = [*(word for word in words if word != "ratio"), "ratio"]
    return "_".join(words)
