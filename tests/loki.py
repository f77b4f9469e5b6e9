"""What Loki has, by its API."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

EVERYTHING = '{service_name=~".+"}'


@dataclass(frozen=True)
class Line:
    """A log line. `labels`: those of its stream, and the metadata of the line, as Grafana shows them."""

    text: str
    labels: dict[str, str]


def ask(port: int, path: str, **parameters: str) -> Any:
    """The data of an answer. https://grafana.com/docs/loki/latest/reference/loki-http-api/"""
    url = f"http://127.0.0.1:{port}/loki/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer).get("data")


def lines(port: int, query: str = EVERYTHING, *, limit: int = 5000) -> list[Line]:
    """The lines of the last hour, oldest first."""
    since = str(time.time_ns() - 3600 * 10**9)
    found = ask(port, "query_range", query=query, start=since, limit=str(limit), direction="forward")
    timed = [(at, text, stream["stream"]) for stream in found["result"] for at, text in stream["values"]]
    return [Line(text, labels) for _, text, labels in sorted(timed, key=lambda one: one[0])]
