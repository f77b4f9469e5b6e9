"""Telemetry whose every item is known, sent to a real OpenTelemetry Collector as programs send it: OTLP over HTTP."""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tools.components import Component, Ports, components
from tools.stack import get

Json = dict[str, Any]
MS = 10**6
CUMULATIVE = 2
ROUTINE = ("marketprism.message", "marketprism.decode", "marketprism.verify", "marketprism.journal")
LIVED_MS = 2
"""How long an ordinary message takes here."""


def attribute(key: str, value: str) -> Json:
    """One attribute, as https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding has it."""
    return {"key": key, "value": {"stringValue": value}}


def resource(service: str) -> Json:
    """Who sends it."""
    return {"attributes": [attribute("service.name", service), attribute("service.instance.id", f"{service}-1")]}


@dataclass(frozen=True)
class Trace:
    """A trace of which each span is known by its name; the first is the root."""

    id: str
    spans: tuple[Json, ...]

    @property
    def names(self) -> list[str]:
        """The spans' names, sorted."""
        return sorted(span["name"] for span in self.spans)


@dataclass
class Maker:
    """Makes traces whose ids follow from the seed: so does what is sampled."""

    seed: int = 1
    made: int = 0
    ids: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.ids = random.Random(self.seed)

    def trace(self, names: Iterable[str], *, lived_ms: float = LIVED_MS, error: str = "", of: str = "") -> Trace:
        """A trace with spans of these names; the one named `of` failed with `error`. All end now."""
        self.made += 1
        trace_id = f"{self.ids.getrandbits(128):032x}"
        end = time.time_ns()
        spans: list[Json] = []
        for name in names:
            span = {
                "traceId": trace_id,
                "spanId": f"{self.ids.getrandbits(64):016x}",
                "name": name,
                "kind": 1,
                "startTimeUnixNano": str(end - int(lived_ms * MS)),
                "endTimeUnixNano": str(end),
                "attributes": [attribute("marketprism.venue", "kraken")],
            }
            if spans:
                span["parentSpanId"] = spans[0]["spanId"]
            if name == of:
                span["status"] = {"code": 2, "message": error}
            spans.append(span)
        return Trace(trace_id, tuple(spans))


def of_traces(spans: Iterable[Json], service: str) -> Json:
    """A request with spans."""
    return {"resourceSpans": [{"resource": resource(service), "scopeSpans": [{"spans": list(spans)}]}]}


def of_count(name: str, value: int, service: str, at_ns: int, began_ns: int) -> Json:
    """A request with one counter's value at a time."""
    point = {"startTimeUnixNano": str(began_ns), "timeUnixNano": str(at_ns), "asInt": str(value)}
    total = {"aggregationTemporality": CUMULATIVE, "isMonotonic": True, "dataPoints": [point]}
    metrics = [{"name": name, "unit": "{item}", "sum": total}]
    return {"resourceMetrics": [{"resource": resource(service), "scopeMetrics": [{"metrics": metrics}]}]}


def of_log(text: str, service: str, **attributes: str) -> Json:
    """A request with one log record."""
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityText": "WARN",
        "body": {"stringValue": text},
        "attributes": [attribute(key, value) for key, value in attributes.items()],
    }
    return {"resourceLogs": [{"resource": resource(service), "scopeLogs": [{"logRecords": [record]}]}]}


def accepted(port: int, signal: str, body: Json) -> bool:
    """Whether the collector took it. No answer, or one that asks to try again, is no; anything else is an error."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/{signal}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.loads(answer.read() or "{}").get("partialSuccess", {}) == {}
    except urllib.error.HTTPError as error:
        with error:
            if error.code not in {429, 502, 503, 504}:
                raise AssertionError(f"refused for good: {error.code} {error.read()!r}") from error
        return False
    except OSError:
        return False
    return True


def send(port: int, signal: str, body: Json) -> None:
    """As a program does: until it is taken."""
    poll_until(lambda: accepted(port, signal, body), f"the {signal} are taken")


def send_traces(port: int, traces: Iterable[Trace], service: str) -> None:
    """In requests of two hundred spans."""
    spans = [span for trace in traces for span in trace.spans]
    for first in range(0, len(spans), 200):
        send(port, "traces", of_traces(spans[first : first + 200], service))


def poll_until(check: Callable[[], object], sentence: str, seconds: float = 60) -> Any:
    """The check's first true result; fails with the sentence."""
    until = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {sentence}"
        time.sleep(0.2)
    return found


def part(ports: Ports, data: Path, name: str, **environment: str) -> Component:
    """A component of the stack with other settings."""
    found = next(component for component in components(ports, data) if component.name == name)
    return replace(found, environment={**found.environment, **environment})


def asked(url: str) -> Any:
    """The JSON of an address; None where there is none."""
    status, _, body = get(url)
    return json.loads(body) if status == 200 else None


def in_jaeger(ports: Ports, service: str) -> dict[str, list[Json]]:
    """All traces that Jaeger has of a service: the spans of each id."""
    answer = asked(f"http://127.0.0.1:{ports.jaeger}/api/traces?service={service}&limit=100000&lookback=1h")
    return {trace["traceID"]: trace["spans"] for trace in (answer or {}).get("data") or []}


def own_metric(port: int, name: str, *labels: str) -> float:
    """What a collector says of itself on its own port, summed over the series that have these labels."""
    lines = get(f"http://127.0.0.1:{port}/metrics")[2].splitlines()
    series = [line for line in lines if line.startswith(f"{name}{{") and all(label in line for label in labels)]
    return sum(float(line.rpartition(" ")[2]) for line in series)
