"""The dashboards as Grafana reads them, and their queries with its variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
DASHBOARDS: Final = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "grafana/dashboards").iterdir())
}
ONE: Final = {
    "instance": "collector-1",
    "venue": "kraken",
    "market": "spot",
    "instrument": "BTC-USDT",
    "channel": "book",
}


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its panels, without the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def filled(
    text: str, dashboard: Mapping[str, Any], chosen: Mapping[str, str] = ONE, *, window: str = "1m", shown: str = "1h"
) -> str:
    """A query as Grafana sends it: `chosen` where a variable has one value, all values where it has several. The
    collector is always named: the bridge has some metrics of the same names.
    """
    values = {"__rate_interval": window, "__range": shown}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            several = variable["multi"] and variable["name"] != "instance"
            values[variable["name"]] = ".+" if several else chosen[variable["name"]]
    for name, value in values.items():
        text = re.sub(rf"\${name}\b", value, text)
    return text


def metric_queries(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All of its PromQL, with where it stands: panels, annotations, variables."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found, variable["name"]
            yield f"variable {variable['name']}", f"count by ({found[2]}) ({found[1]})"


def log_queries(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """All of its LogQL, with where it stands."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            if target["datasource"]["type"] == "loki":
                yield f"{panel['title']} {target['refId']}", target["expr"]
