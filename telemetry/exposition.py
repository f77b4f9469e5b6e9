"""`/metrics`: the cells as text, OpenMetrics 1.0.0 with exemplars for whoever asks for it, Prometheus 0.0.4 otherwise.

It owns the text; it must never change a cell. The names are those that Prometheus gives to the same metrics when they
come by OTLP, so a query works on both. Everything of a line but its number is kept between renderings, which makes
this 20 to 40 times cheaper than building it anew: it runs on the event loop, and `blocks` lets the loop breathe in
between.

Formats: https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md and
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from telemetry.cells import AnyFamily, Cell, Exemplar, Histogram, Metrics, Number
from telemetry.model import UNITS, AttributeValue, Metric

Format = Literal["openmetrics", "prometheus"]

CONTENT_TYPES: Mapping[Format, str] = {
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
    "prometheus": "text/plain; version=0.0.4; charset=utf-8",
}
CELLS_PER_BLOCK = 50
"""Rendering so many takes about 0.1 ms."""

_TYPES = {"counter": "counter", "updowncounter": "gauge", "gauge": "gauge", "histogram": "histogram"}


def negotiate(accept: str) -> Format:
    """The format that an Accept header prefers: OpenMetrics 1.0.0 only if it is named and not liked less than plain
    text.

    Quality values as in https://www.rfc-editor.org/rfc/rfc9110#name-accept; one that is no number counts as 0.
    """
    best: dict[str, float] = {}
    for item in accept.split(","):
        media, *raw = (part.strip().lower() for part in item.split(";"))
        parameters = dict(part.split("=", 1) for part in raw if "=" in part)
        if media == "application/openmetrics-text" and parameters.get("version", "1.0.0") != "1.0.0":
            continue
        best[media] = max(best.get(media, 0.0), _quality(parameters.get("q", "1")))
    wanted = best.get("application/openmetrics-text", 0.0)
    return "openmetrics" if wanted > 0 and wanted >= best.get("text/plain", 0.0) else "prometheus"


class Exposition:
    """Renders the families of `metrics`. Keep it: its worth is what it remembers."""

    def __init__(self, metrics: Metrics) -> None:
        self._families = [_FamilyText(family) for family in metrics.families()]

    def render(self, form: Format) -> bytes:
        """The whole text. `CONTENT_TYPES[form]` is its type."""
        return "".join(self.blocks(form)).encode()

    def blocks(self, form: Format) -> Iterator[str]:
        """The text in pieces of at most CELLS_PER_BLOCK series, for a caller who lets others run in between."""
        for text in self._families:
            yield from text.blocks(form)
        if form == "openmetrics":
            yield "# EOF\n"


@dataclass(slots=True)
class _Series:
    """A cell and the beginnings of its lines, each up to the number: one for a number; else buckets, count, sum."""

    cell: Number[int] | Number[float] | Histogram
    prefixes: list[str]


class _FamilyText:
    """The text of one family, remembered until a series comes or goes."""

    def __init__(self, family: AnyFamily) -> None:
        self._family = family
        self._heads = {form: _head(family.metric, form) for form in CONTENT_TYPES}
        self._generation = 0
        self._series: dict[Cell, _Series] = {}

    def blocks(self, form: Format) -> Iterator[str]:
        if self._generation != self._family.generation:
            self._refresh()
        if not self._series:
            return
        lines = [self._heads[form]]
        exemplars = form == "openmetrics"
        for i, series in enumerate(list(self._series.values()), 1):
            _lines(lines, series, exemplars=exemplars and self._family.kind != "gauge")
            if i % CELLS_PER_BLOCK == 0:
                yield "".join(lines)
                lines = []
        yield "".join(lines)

    def _refresh(self) -> None:
        self._generation = self._family.generation
        known = self._series
        cells: list[Number[int] | Number[float] | Histogram] = list(self._family.cells.values())
        self._series = {cell: known.get(cell) or _Series(cell, _prefixes(self._family.metric, cell)) for cell in cells}


def _lines(lines: list[str], series: _Series, *, exemplars: bool) -> None:
    cell = series.cell
    if isinstance(cell, Number):
        suffix = _exemplar(cell.ex[0]) if exemplars and 0 in cell.ex else ""
        lines.append(f"{series.prefixes[0]}{_number(cell.value())}{suffix}\n")
        return
    buckets, total = cell.b[:], cell.sum
    count = 0
    for i, (prefix, count) in enumerate(zip(series.prefixes, accumulate(buckets), strict=False)):
        suffix = _exemplar(cell.ex[i]) if exemplars and i in cell.ex else ""
        lines.append(f"{prefix}{count}{suffix}\n")
    lines.append(f"{series.prefixes[-2]}{count}\n{series.prefixes[-1]}{_number(total)}\n")


def _prefixes(metric: Metric, cell: Cell) -> list[str]:
    labels = [f'{_label_name(name)}="{_escape(_text(value))}"' for name, value in cell.attrs.items()]
    if metric.instrument != "histogram":
        return [f"{metric.prometheus}{_braces(labels)} "]
    bounds = [f'le="{_number(bound)}"' for bound in (*metric.buckets, math.inf)]
    return [
        *(f"{metric.prometheus}_bucket{_braces([*labels, le])} " for le in bounds),
        f"{metric.prometheus}_count{_braces(labels)} ",
        f"{metric.prometheus}_sum{_braces(labels)} ",
    ]


def _head(metric: Metric, form: Format) -> str:
    name, kind = metric.prometheus, _TYPES[metric.instrument]
    if form == "prometheus":
        brief = metric.brief.replace("\\", r"\\").replace("\n", r"\n")
        return f"# HELP {name} {brief}\n# TYPE {name} {kind}\n"
    name = name.removesuffix("_total") if kind == "counter" else name
    unit = UNITS.get(metric.unit, "")
    unit_line = f"# UNIT {name} {unit}\n" if unit and name.endswith(f"_{unit}") else ""
    return f"# TYPE {name} {kind}\n{unit_line}# HELP {name} {_escape(metric.brief)}\n"


def _exemplar(exemplar: Exemplar) -> str:
    seconds, rest = divmod(exemplar.time_ns, 1_000_000_000)
    ids = f'trace_id="{exemplar.trace_id:032x}",span_id="{exemplar.span_id:016x}"'
    return f" # {{{ids}}} {_number(exemplar.value)} {seconds}.{rest // 1_000_000:03d}"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    return str(value)


def _braces(labels: list[str]) -> str:
    return f"{{{','.join(labels)}}}" if labels else ""


def _label_name(name: str) -> str:
    return name.replace(".", "_")


def _text(value: AttributeValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
