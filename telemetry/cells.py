"""Cells: the plain numbers that the hot path adds to, and the only truth of every metric.

It owns the families of the schema and their cells. It must never lock, log, render or export: `telemetry/exposition.py`
renders cells as text, the OTLP exporter reads the same families. A cell is shaped for the one who writes it: whoever
counts a message holds its cell and says `c.n += 1` (15 ns), or, for a histogram,
`h.b[bisect_left(h.bounds, v)] += 1; h.sum += v` (90 ns) with no call in between, so that a reader in another thread
never sees a sum without its bucket. An OpenTelemetry instrument call would cost 6 µs.

Everything else here is a cold path: a series is checked against the schema once, when its cell is made, and exists at 0
from then on.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

from telemetry.model import Attribute, AttributeValue, Instrument, Metric, Registry, SchemaError, nearest

Kind = Literal["sum", "gauge", "hist"]

OVERFLOW = "otel.metric.overflow"
"""The attribute of the one series that stands for all beyond the bound, as the OpenTelemetry SDK names it."""


class SeriesError(ValueError):
    """A metric was asked for in a way that the schema does not know. The message says which, and the nearest name."""


class Exemplar(NamedTuple):
    """One observed value with the trace that it came from: `time_ns` since 1970, ids as OpenTelemetry's integers."""

    value: float
    time_ns: int
    trace_id: int
    span_id: int


class Cell:
    """One series: its attributes by full name, when it began (ns since 1970), the last exemplar of each bucket.

    A number has one bucket, 0.
    """

    __slots__ = ("attrs", "ex", "start")

    def __init__(self, attrs: Mapping[str, AttributeValue], start: int) -> None:
        self.attrs = attrs
        self.start = start
        self.ex: dict[int, Exemplar] = {}


N = TypeVar("N", int, float)


class Number(Cell, Generic[N]):
    """A counter's or a gauge's series: add to `n` or set it. One that is watched has `read`, and its `n` stays 0."""

    __slots__ = ("n", "read")

    def __init__(self, attrs: Mapping[str, AttributeValue], start: int) -> None:
        super().__init__(attrs, start)
        self.n: N = 0
        self.read: Callable[[], float] | None = None

    def value(self) -> float:
        """What it is now. NaN where the operating system refuses to tell: not known is not zero."""
        if self.read is None:
            return self.n
        try:
            return self.read()
        except OSError:
            return math.nan


Counter = Number[int]
Gauge = Number[float]


class Histogram(Cell):
    """A histogram's series: `b` counts per bucket (not cumulative, the last without upper bound), `sum` adds up.

    `bounds` are inclusive upper bounds, in the metric's unit.
    """

    __slots__ = ("b", "bounds", "sum")

    def __init__(self, attrs: Mapping[str, AttributeValue], start: int, bounds: Sequence[float]) -> None:
        super().__init__(attrs, start)
        self.bounds = bounds
        self.b = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Add a value, in the metric's unit, `times` over."""
        i = bisect_left(self.bounds, value)
        self.b[i] += times
        self.sum += value * times

    @property
    def n(self) -> int:
        """How many values there were."""
        return sum(self.b)


C = TypeVar("C", bound=Cell)


class Family(Generic[C]):
    """All series of one metric. `generation` rises whenever a series is added or dropped."""

    __slots__ = ("_by_key", "_make", "_now_ns", "_seen", "bounds", "cells", "generation", "kind", "metric", "refused")

    def __init__(self, metric: Metric, make: Callable[[Mapping[str, AttributeValue], int], C], now_ns: Clock) -> None:
        self.metric = metric
        self.kind: Kind = _KINDS[metric.instrument]
        self.bounds = metric.buckets
        self.cells: dict[tuple[AttributeValue | None, ...], C] = {}
        self.generation = 0
        self.refused = 0
        self._make = make
        self._now_ns = now_ns
        self._by_key = {use.attribute.key: use for use in metric.attributes}
        self._seen: dict[str, dict[AttributeValue, int]] = {key: {} for key in self._by_key}
        if not metric.attributes and self.kind != "gauge":
            self.cell()

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric.name

    @property
    def unit(self) -> str:
        """The metric's unit, as OpenTelemetry writes it."""
        return self.metric.unit

    @property
    def desc(self) -> str:
        """What the metric is."""
        return self.metric.brief

    @property
    def monotonic(self) -> bool:
        """Whether a sum only rises."""
        return self.metric.instrument == "counter"

    def cell(self, **attrs: AttributeValue) -> C:
        """The series of these attributes, given by their keys; always the same cell for the same attributes.

        Beyond a bound of the schema it is the overflow series, and `refused` counts it. SeriesError for an attribute
        or a value that the schema does not have, or a required one that is missing.
        """
        key = self._key(attrs)
        found = self.cells.get(key)
        if found is not None:
            return found
        if len(self.cells) >= self.metric.bound or any(
            value is not None and value not in self._seen[name] and len(self._seen[name]) >= _bound(use.attribute)
            for (name, use), value in zip(self._by_key.items(), key, strict=True)
        ):
            self.refused += 1
            return self._overflow()
        named = {self._by_key[name].attribute.name: attrs[name] for name in self._by_key if name in attrs}
        for name, value in attrs.items():
            self._seen[name][value] = self._seen[name].get(value, 0) + 1
        return self._add(key, named)

    def watch(self: Family[Number[N]], read: Callable[[], float], **attrs: AttributeValue) -> Number[N]:
        """As `cell`, for a value that is asked for whenever somebody reads it: `read` must be quick."""
        cell = self.cell(**attrs)
        cell.read = read
        return cell

    def drop(self, **attrs: AttributeValue) -> bool:
        """Forget the series; whether there was one. Whoever still holds its cell adds in vain."""
        if self.cells.pop(self._key(attrs), None) is None:
            return False
        self.generation += 1
        for name, value in attrs.items():
            seen = self._seen[name]
            seen[value] -= 1
            if not seen[value]:
                del seen[value]
        return True

    def _add(self, key: tuple[AttributeValue | None, ...], attrs: Mapping[str, AttributeValue]) -> C:
        cell = self.cells[key] = self._make(attrs, self._now_ns())
        self.generation += 1
        return cell

    def _overflow(self) -> C:
        key: tuple[AttributeValue | None, ...] = (OVERFLOW,)
        return self.cells.get(key) or self._add(key, {OVERFLOW: True})

    def _key(self, attrs: Mapping[str, AttributeValue]) -> tuple[AttributeValue | None, ...]:
        for name, value in attrs.items():
            if name not in self._by_key:
                expected = ", ".join(self._by_key) or "none"
                raise SeriesError(
                    f"{self.name}: {name}: no such attribute{nearest(name, self._by_key)} (it has: {expected})"
                )
            if wrong := self._by_key[name].attribute.objection(value):
                raise SeriesError(f"{self.name}: {name}: {wrong}")
        for name, use in self._by_key.items():
            if use.required and name not in attrs:
                raise SeriesError(f"{self.name}: {name}: expected a value, found none")
        return tuple(attrs.get(name) for name in self._by_key)


AnyFamily = Family[Counter] | Family[Gauge] | Family[Histogram]
Clock = Callable[[], int]
"""Tells the time in ns since 1970."""


class Metrics:
    """One family per metric of the schema, those that the SDK emits excepted. Made once, passed to whoever counts.

    `now_ns` tells when a series began, in ns since 1970.
    """

    def __init__(self, registry: Registry, now_ns: Clock = time.time_ns) -> None:
        self.registry = registry
        self._numbers: dict[str, Family[Counter]] = {}
        self._gauges: dict[str, Family[Gauge]] = {}
        self._histograms: dict[str, Family[Histogram]] = {}
        ours = {name: metric for name, metric in registry.metrics.items() if metric.emitter == "cells"}
        for name, metric in ours.items():
            if metric.instrument == "histogram":
                self._histograms[name] = _histogram_family(metric, now_ns)
            elif metric.instrument == "gauge":
                self._gauges[name] = Family(metric, Gauge, now_ns)
            else:
                self._numbers[name] = Family(metric, Counter, now_ns)
        self.gauge("marketprism.telemetry.series").watch(self.series)
        refused = self.counter("marketprism.telemetry.series.refused")
        refused.watch(lambda: sum(family.refused for family in self.families()))

    def counter(self, name: str) -> Family[Counter]:
        """The counter of this name. SeriesError if it is something else, SchemaError if there is none."""
        self._check(name, "counter")
        return self._numbers[name]

    def up_down_counter(self, name: str) -> Family[Counter]:
        """The up-down counter of this name. Errors as `counter`."""
        self._check(name, "updowncounter")
        return self._numbers[name]

    def gauge(self, name: str) -> Family[Gauge]:
        """The gauge of this name. Errors as `counter`."""
        self._check(name, "gauge")
        return self._gauges[name]

    def histogram(self, name: str) -> Family[Histogram]:
        """The histogram of this name. Errors as `counter`."""
        self._check(name, "histogram")
        return self._histograms[name]

    def families(self) -> list[AnyFamily]:
        """All families, in the order of their names."""
        every: list[AnyFamily] = [*self._numbers.values(), *self._gauges.values(), *self._histograms.values()]
        return sorted(every, key=lambda family: family.name)

    def series(self) -> int:
        """How many series there are."""
        return sum(len(family.cells) for family in self.families())

    def _check(self, name: str, instrument: Instrument) -> None:
        metric = self.registry.metric(name)
        found = metric.instrument
        if metric.emitter != "cells":
            raise SeriesError(f"{name}: the SDK's own, not to be counted here")
        if found != instrument:
            raise SeriesError(f"{name}: expected a {instrument}, but the schema says that it is a {found}")


_KINDS: Mapping[Instrument, Kind] = {"counter": "sum", "updowncounter": "sum", "gauge": "gauge", "histogram": "hist"}


def _histogram_family(metric: Metric, now_ns: Clock) -> Family[Histogram]:
    return Family(metric, lambda attrs, start: Histogram(attrs, start, metric.buckets), now_ns)


def _bound(attribute: Attribute) -> int:
    if attribute.bound is None:
        raise SchemaError(f"{attribute.name}: no bound, so no metric may carry it")
    return attribute.bound
