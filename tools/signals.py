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
from pathlib import Path
from typing import Any

from tools.components import HOST, Ports

LOOKS_BACK_S = 600


@dataclass(frozen=True)
class Signals:
    """The backends of one stack. `logs_file`: where the OpenTelemetry Collector writes the log records."""

    ports: Ports
    logs_file: Path

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

    def alerts(self, alert: str) -> list[dict[str, Any]]:
        """Alertmanager: the alerts of this name."""
        return list(_get(self.ports.alertmanager, "api/v2/alerts", filter=f'alertname="{alert}"'))

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

    def lines(self, trace_id: str) -> list[dict[str, Any]]:
        """The log records of a trace, in OTLP's shape."""
        told = (json.loads(line) for line in self.logs_file.read_text(encoding="utf-8").splitlines(keepends=True))
        return [
            record
            for batch in told
            for resource in batch["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
            if record.get("traceId") == trace_id
        ]

    def _prometheus(self, path: str, **query: object) -> Any:  # noqa: ANN401 - answers are JSON of many shapes
        return _get(self.ports.prometheus, f"api/v1/{path}", **query)["data"]


def attributes(record: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a log record (OTLP) or a span (Jaeger), each as text or number."""
    if "tags" in record:
        return {tag["key"]: tag["value"] for tag in record["tags"]}
    return {one["key"]: next(iter(one["value"].values())) for one in record["attributes"]}


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
