"""PromQL and LogQL as the boards write it, and the addresses that values lead to.

It owns the matchers of the variables, the forms of rates and quantiles, and the uid of every dashboard; it must never
hold a panel. What it makes can be parsed once Grafana's variables are filled in.
Variables: https://grafana.com/docs/grafana/latest/dashboards/variables/add-template-variables/#global-variables
"""

from __future__ import annotations

import json
import re
from typing import Final, Literal
from urllib.parse import quote

from alerting.rules.model import SERIES, Label
from alerting.rules.table import RULES
from grafana.model import Link, Variable
from telemetry.registry import load_registry

REGISTRY: Final = load_registry()
COLLECTOR: Final = "marketprism-collector"
OVERVIEW, VENUE, INSTRUMENT = "marketprism-overview", "marketprism-venue", "marketprism-instrument"
PIPELINE, TELEMETRY, ALERTS = "marketprism-pipeline", "marketprism-telemetry", "marketprism-alerts"
WINDOW: Final = "[$__rate_interval]"
RANGE: Final = "[$__range]"
_COLORS: Final = {
    "in_sync": "green", "syncing": "yellow", "acknowledged": "blue", "unverifiable": "super-light-yellow",
    "stale": "orange", "gap": "red", "diverged": "dark-red", "blocked": "purple",
}  # fmt: skip
VERDICTS: Final = {
    code: (name.replace("_", " "), _COLORS[name]) for name, code in REGISTRY.metric("marketprism.verdict").codes.items()
}
"""What the numbers of marketprism_verdict mean."""
UP: Final = {0: ("down", "red"), 1: ("up", "green")}


def where(*labels: Variable, one: bool = False, also: str = "") -> str:
    """The matchers of these variables. `one`: of each one value is chosen, but for the channel."""
    chosen = [
        f'{SERIES[label]}="${label}"' if one and label != "channel" else f'{SERIES[label]}=~"${label}"'
        for label in labels
    ]
    return "{" + ", ".join([*chosen, *([also] if also else [])]) + "}"


def total(metric: str, matchers: str, *by: str) -> str:
    """How much a counter grows a second, by these labels."""
    return f"sum{_by(*by)} (rate({metric}{matchers}{WINDOW}))"


def grown(metric: str, matchers: str, *by: str) -> str:
    """By how much a counter has grown over the time that is shown."""
    return f"sum{_by(*by)} (increase({metric}{matchers}{RANGE}))"


def quantile(ratio: float, histogram: str, matchers: str, *by: str) -> str:
    """A quantile of a histogram. Nothing where nothing was measured: the comparison drops NaN."""
    return f"histogram_quantile({ratio:g}, sum{_by('le', *by)} (rate({histogram}_bucket{matchers}{WINDOW}))) >= 0"


def measured(rule: str) -> str:
    """What an alert measures, without its condition: the dashboard draws what the alert judges."""
    (found,) = {one.value for one in RULES if one.name == rule}
    return found


def mine(expression: str) -> str:
    """Of the chosen collectors alone."""
    return f"({expression})\nand on (instance) marketprism_up{where('instance')}"


def _by(*labels: str) -> str:
    names: dict[str, str] = {str(label): name for label, name in SERIES.items()}
    return f" by ({', '.join(names.get(label, label) for label in labels)})" if labels else ""


def legend(*labels: Label) -> str:
    """The values of these labels, as the name of a line."""
    return " ".join(f"{{{{{SERIES[label]}}}}}" for label in labels)


def logs(*filters: str) -> str:
    """Log lines of the collectors. Only resource attributes are labels; all else is metadata of the line."""
    return " | ".join((f'{{service_name="{COLLECTOR}"}}', 'service_instance_id=~"$instance"', *filters))


# Where values lead to ---------------------------------------------------------------------

Place = Literal["series", "row", "alert"]
"""What is clicked: a line or a state, a row of a table, or a row of alerts, whose labels have short names."""


def board(title: str, uid: str, *labels: Label, of: Place = "series") -> Link:
    """Another dashboard, with these labels of what is clicked as its variables; the collectors stay if not named."""
    variables = "".join(f"&var-{label}={_value(label, of)}" for label in labels)
    variables += "" if "instance" in labels else "&${instance:queryparam}"
    return Link(title=title, url=f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}{variables}")


def traces(span: str, *labels: Label) -> Link:
    """The traces of one kind of span in Jaeger, of the time that is shown and of these labels of the line."""
    tags = " ".join(f"marketprism.{label}={_value(label, 'series')}" for label in labels)
    query = {"refId": "A", "queryType": "search", "service": COLLECTOR, "operation": span, "tags": tags}
    pane = {
        "datasource": "${traces}",
        "queries": [query | {"datasource": {"type": "jaeger", "uid": "${traces}"}}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    text = json.dumps({"traces": pane}, separators=(",", ":"))
    return Link(title=f"Traces: {span}", url=f"/explore?schemaVersion=1&panes={_escaped(text)}")


def _value(label: Label, of: Place) -> str:
    if of == "series":
        return f"${{__field.labels.{SERIES[label]}}}"
    return f"${{__data.fields.{SERIES[label] if of == 'row' else label}}}"


def _escaped(text: str) -> str:
    """As a part of an address, but for what Grafana fills in."""
    return "".join(part if part.startswith("${") else quote(part, safe="") for part in re.split(r"(\$\{[^}]*\})", text))
