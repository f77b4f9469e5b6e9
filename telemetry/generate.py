"""Writes what follows from the telemetry schema: docs/telemetry.md and the list of names to expect in Prometheus.

`python -m telemetry.generate` writes the files, `--check` only says whether they are as they would be written (exit 1
if not). It owns those two files whole; nobody edits them by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from telemetry.model import Attribute, AttributeUse, Metric, Registry, Span
from telemetry.registry import SCHEMA_DIR, load_registry

DOCS = Path("docs") / "telemetry.md"
NAMES = Path("telemetry") / "schema" / "prometheus-names.txt"

_HEAD = """# Telemetry

<!-- Generated from telemetry/schema by `python -m telemetry.generate`. Do not edit. -->

Everything that MarketPrism says about itself. An attribute is called by its **key** in code and in log lines, by its
**name** in OpenTelemetry, and by its name with underscores for dots as a label in Prometheus. Every series exists at 0
from the moment that what it counts can happen.

A metric has at most the given number of series. Whatever is beyond goes into one series with the label
`otel_metric_overflow="true"`, and `marketprism_telemetry_series_refused_total` rises.

## Export

All three signals leave by OTLP when the environment says where to; `/metrics` and the log lines on stderr do not need
it. The variables are the standard ones, as [OpenTelemetry](https://opentelemetry.io/docs/specs/otel/protocol/exporter/)
describes them. Those of OTLP may be said for one signal alone (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`).

| variable | default | |
|---|---|---|
| `OTEL_EXPORTER_OTLP_ENDPOINT` | none: nothing is exported | as in `http://127.0.0.1:4318` or `https://…` |
| `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf` | or `grpc`, which needs `pip install 'marketprism[grpc]'` |
| `OTEL_EXPORTER_OTLP_HEADERS` | none | `name=value` pairs joined by commas; values are kept out of logs and telemetry |
| `OTEL_EXPORTER_OTLP_COMPRESSION` | `none` | or `gzip` |
| `OTEL_EXPORTER_OTLP_TIMEOUT` | 10000 | milliseconds, as the standard says |
| `OTEL_EXPORTER_OTLP_CERTIFICATE`, `…_CLIENT_CERTIFICATE`, `…_CLIENT_KEY` | the system's authorities | PEM files |
| `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp` | or `none` |
| `OTEL_METRIC_EXPORT_INTERVAL` | 5000 | milliseconds |
| `OTEL_BSP_MAX_QUEUE_SIZE`, `…_MAX_EXPORT_BATCH_SIZE`, `…_SCHEDULE_DELAY` | 2048, 128, 1000 | spans; more are dropped |
| `OTEL_BLRP_MAX_QUEUE_SIZE`, `…_MAX_EXPORT_BATCH_SIZE`, `…_SCHEDULE_DELAY` | 2048, 128, 1000 | log records |
| `OTEL_TRACES_SAMPLER` | `parentbased_always_on` | read by the SDK, as are the limits of attributes |
| `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | see Resource | |
| `OTEL_SDK_DISABLED` | `false` | `true` exports nothing |

While a receiver is away, `marketprism_telemetry_export_failures_total` and `marketprism_telemetry_dropped_total` rise
on `/metrics` and `marketprism_telemetry_last_export_time_seconds` stands still. Metrics are cumulative: once it is
back, nothing of them is missing.
"""
_SPANS_HEAD = """## Spans

A span is exported when it has ended; one that nothing ends is never seen. Exceptions are log records inside their
span, not span events. A span that failed has the status `error`.
"""
_EVENTS_HEAD = """## Log events

Beside its fields every line has `timestamp`, `level`, `event` and `logger`. It may have `exception`; `trace_id` and
`span_id` where it was written inside a span; and `suppressed` says how many equal lines were held back before it. By
OTLP the event is the record's event name, and an exception is `exception.type`, `exception.message` and
`exception.stacktrace`.
"""
_RESOURCE_HEAD = """## Resource

What all three signals say about their sender. `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` have the last word.
"""


def documents(registry: Registry) -> dict[Path, str]:
    """The text of each generated file, by its path in the checkout."""
    return {DOCS: _docs(registry), NAMES: _names(registry)}


def main(argv: Sequence[str] | None = None, root: Path = SCHEMA_DIR.parent.parent) -> int:
    """Write or check the generated files under `root`; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m telemetry.generate", description="Write what the schema implies.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not up to date")
    check: bool = parser.parse_args(argv).check
    stale: list[Path] = []
    for path, text in documents(load_registry()).items():
        target = root / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    said = "not up to date, run python -m telemetry.generate" if check else "written"
    sys.stdout.writelines(f"{path}: {said}\n" for path in stale)
    return 1 if check and stale else 0


def _names(registry: Registry) -> str:
    names = sorted(name for metric in registry.metrics.values() for name in metric.samples)
    return "".join(f"{name}\n" for name in names)


def _docs(registry: Registry) -> str:
    events = (
        (f"`{event.name}`", event.severity, event.brief, _keys(event.attributes))
        for _, event in sorted(registry.events.items())
    )
    resource = (
        (f"`{attribute.name}`", attribute.brief, _examples(attribute))
        for entity in registry.entities.values()
        for attribute in entity.attributes
    )
    attributes = (_attribute(attribute) for _, attribute in sorted(registry.attributes.items()))
    return "\n".join(
        [
            _HEAD,
            "## Metrics\n",
            *(_metric(metric) for _, metric in sorted(registry.metrics.items())),
            "## Attributes\n",
            _table(("key", "name", "type", "meaning", "values", "bound"), attributes),
            _SPANS_HEAD,
            *(_span(span) for _, span in sorted(registry.spans.items())),
            _EVENTS_HEAD,
            _table(("event", "level", "meaning", "fields"), events),
            _RESOURCE_HEAD,
            _table(("attribute", "meaning", "example"), resource),
        ]
    )


def _metric(metric: Metric) -> str:
    names = " ".join(f"`{name}`" for name in metric.samples)
    facts = [f"{metric.instrument}, unit `{metric.unit}`, in Prometheus {names}"]
    if metric.emitter == "sdk":
        facts.append("from the OpenTelemetry SDK itself: by OTLP alone, not on `/metrics`")
    if metric.attributes:
        facts.append(_uses(metric.attributes))
        facts.append(f"at most {metric.bound} series")
    if metric.buckets:
        facts.append("buckets up to " + ", ".join(f"{bound:g}" for bound in metric.buckets))
    if metric.codes:
        facts.append("codes " + ", ".join(f"{code} `{name}`" for name, code in metric.codes.items()))
    lines = "".join(f"- {fact}\n" for fact in facts)
    return f"### {metric.name}\n\n{metric.brief}\n\n{lines}"


def _span(span: Span) -> str:
    return f"### {span.name}\n\n{span.brief}\n\n- {span.kind}\n- {_uses(span.attributes)}\n"


def _uses(uses: Sequence[AttributeUse]) -> str:
    optional = ", ".join(f"`{use.attribute.key}`" for use in uses if not use.required)
    rest = f" (not always: {optional})" if optional else ""
    return f"attributes: {_keys(use.attribute for use in uses)}{rest}"


def _attribute(attribute: Attribute) -> tuple[str, ...]:
    members = "; ".join(f"`{value}` {brief}" for value, brief in attribute.members.items())
    values = members or f"such as {_examples(attribute)}"
    bound = "" if attribute.bound is None else str(attribute.bound)
    return (f"`{attribute.key}`", f"`{attribute.name}`", attribute.type, attribute.brief, values, bound)


def _keys(attributes: Iterable[Attribute]) -> str:
    return ", ".join(f"`{attribute.key}`" for attribute in attributes)


def _examples(attribute: Attribute) -> str:
    return ", ".join(f"`{example}`" for example in attribute.examples)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines: list[Sequence[str]] = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
