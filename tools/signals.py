"""What the running stack's backends answer by their APIs: a metric and its exemplars, a trace, a log line, an alert.

Owns the addresses and the shapes of these answers. It must never wait nor judge: it gives what there is now, and who
asks decides what that means. So a walk from a number to its trace, its line and its alert is the same few calls
everywhere.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from tools.components import HOST, Ports

LOOKS_BACK_S = 600
EVERYTHING = '{service_name=~".+"}'


@dataclass(frozen=True)
class Line:
    """A log line. `labels`: those of its stream and its metadata, as Grafana shows them."""

    text: str
    labels: dict[str, str]


@dataclass(frozen=True)
class Signals:
    """The backends of one stack."""

    ports: Ports

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Prometheus: the series of an expression, now."""
        return list(self._prometheus("query", query=expression)["result"])

    def exemplars(self, expression: str) -> list[dict[str, Any]]:
        """Prometheus: the exemplars of these series in the last minutes, oldest first."""
        now = time.time()
        found = self._prometheus("query_exemplars", query=expression, start=now - LOOKS_BACK_S, end=now + 60)
        return sorted((one for series in found for one in series["exemplars"]), key=lambda one: float(one["timestamp"]))

    def firing(self, alert: str) -> list[dict[str, Any]]:
        """Prometheus: the alerts of this name that fire."""
        return [
            one
            for one in self._prometheus("alerts")["alerts"]
            if one["labels"]["alertname"] == alert and one["state"] == "firing"
        ]

    def alerts(self, alert: str = ".*", **more: str) -> list[dict[str, Any]]:
        """Alertmanager: the alerts of this name. `more`: further parameters of its API."""
        return list(_get(self.ports.alertmanager, "api/v2/alerts", filter=f'alertname=~"{alert}"', **more))

    def trace(self, trace_id: str) -> list[dict[str, Any]]:
        """Jaeger: the spans of a trace that it has by now, first begun first."""
        try:
            return _spans(_get(self.ports.jaeger, f"api/traces/{trace_id}"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise

    def search(self, **wanted: str) -> set[str]:
        """Jaeger: the ids of the traces that its search finds."""
        return {span["traceID"] for span in _spans(_get(self.ports.jaeger, "api/traces", **wanted))}

    def of_service(self, service: str) -> list[dict[str, Any]]:
        """Jaeger: the spans of the newest traces of a service."""
        return _spans(_get(self.ports.jaeger, "api/traces", service=service, limit=200))

    def calls(self) -> set[tuple[str, str]]:
        """Jaeger: its service graph, who calls whom."""
        now_ms = time.time() * 1000
        graph = _get(self.ports.jaeger, "api/dependencies", endTs=f"{now_ms:.0f}", lookback=LOOKS_BACK_S * 1000)
        return {(one["parent"], one["child"]) for one in graph["data"]}

    def operations(self, service: str) -> set[str]:
        """Jaeger: the names of the spans that it has of a service."""
        return set(_get(self.ports.jaeger, f"api/services/{service}/operations")["data"] or [])

    def lines(self, query: str = EVERYTHING) -> list[Line]:
        """Loki: the lines of the last minutes, oldest first."""
        since = f"{time.time() - LOOKS_BACK_S:.0f}"
        found = self._loki("query_range", query=query, start=since, limit=5000, direction="forward")
        timed = [(int(at), text, stream["stream"]) for stream in found["result"] for at, text in stream["values"]]
        return [Line(text, labels) for _, text, labels in sorted(timed, key=lambda one: one[0])]

    def lines_of(self, trace_id: str) -> list[Line]:
        """Loki: the lines of a trace."""
        return self.lines(f'{EVERYTHING} | trace_id="{trace_id}"')

    def streams(self) -> list[dict[str, str]]:
        """Loki: the labels of each stream."""
        return list(self._loki("series", **{"match[]": EVERYTHING}))

    def _loki(self, path: str, **query: object) -> Any:  # noqa: ANN401 - as below
        return _get(self.ports.loki, f"loki/api/v1/{path}", **query)["data"]

    def _prometheus(self, path: str, **query: object) -> Any:  # noqa: ANN401 - answers are JSON of many shapes
        return _get(self.ports.prometheus, f"api/v1/{path}", **query)["data"]


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span, each as text or number."""
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def children(spans: list[dict[str, Any]], parent: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans whose parent this is."""
    return [
        span
        for span in spans
        for reference in span["references"]
        if reference["refType"] == "CHILD_OF" and reference["spanID"] == parent["spanID"]
    ]


def _spans(answer: dict[str, Any]) -> list[dict[str, Any]]:
    spans = [span for trace in answer["data"] or [] for span in trace["spans"]]
    return sorted(spans, key=lambda span: int(span["startTime"]))


def _get(port: int, path: str, **query: object) -> Any:  # noqa: ANN401 - as above
    url = f"http://{HOST}:{port}/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())
