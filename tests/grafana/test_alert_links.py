"""The links of the alerts lead to dashboards that there are, with variables that these have, and to their data."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from alerting.rules import render
from alerting.rules.model import SERIES, Rule
from alerting.rules.table import RULES
from tests.grafana.kit import DASHBOARDS, ROOT, metric_queries

SOURCES = {
    one["uid"]: one["type"]
    for one in yaml.safe_load((ROOT / "grafana/provisioning/datasources/marketprism.yaml").read_text())["datasources"]
}
MEASURED = re.compile(
    r"\b(?:marketprism|process|http|otelcol|alertmanager|prometheus|otel)_[a-z_]+\b|\bup\b|\bALERTS\b"
)
NAMES = [f"{rule.name}-{rule.priority}-{number}" for number, rule in enumerate(RULES)]


def filled(template: str, labels: dict[str, str]) -> str:
    """As Prometheus fills it in for a series with these labels."""
    whole = re.sub(
        r"\{\{ with \$labels\.(\w+) \}\}(.*?)\{\{ \. \}\}(.*?)\{\{ end \}\}",
        lambda found: f"{found[2]}{labels[found[1]]}{found[3]}" if found[1] in labels else "",
        template,
    )
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels.get(found[1], ""), whole)


def link(rule: Rule, name: str, labels: dict[str, str]) -> Any:
    text = filled(render.annotations(rule, render.Links())[name], labels)
    assert "{{" not in text
    return urlsplit(text)


def of(rule: Rule) -> dict[str, str]:
    return {SERIES[label]: f"a-{label}" for label in rule.by}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_leads_to_a_dashboard_that_there_is_with_its_own_place_as_variables(rule: Rule) -> None:
    parts = link(rule, "dashboard_url", of(rule))
    board = DASHBOARDS[rule.seen_on]
    assert parts.path == f"/d/{board['uid']}"
    chosen = {name: values for name, values in parse_qs(parts.query).items() if name.startswith("var-")}
    assert chosen == {f"var-{label}": [f"a-{label}"] for label in rule.placed}
    assert {name.removeprefix("var-") for name in chosen} <= {one["name"] for one in board["templating"]["list"]}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_what_an_alert_measures_is_seen_on_its_dashboard(rule: Rule) -> None:
    if rule.name == "Watchdog":
        return  # measures nothing
    measured = set(MEASURED.findall(rule.value)) - set(SERIES.values()) or {"slo:current_burn_rate"}
    shown = " ".join(query for _, query in metric_queries(DASHBOARDS[rule.seen_on]))
    assert {name for name in measured if re.sub("_(sum|count|bucket)$", "", name) in shown}, (rule.seen_on, measured)


def test_an_alert_of_a_series_without_a_place_leads_to_the_dashboard_as_it_opens() -> None:
    (down,) = [rule for rule in RULES if rule.name == "CollectorDown"]
    assert "var-" not in link(down, "dashboard_url", {}).query


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_log_lines_that_an_alert_leads_to_are_asked_of_loki_and_of_its_place(rule: Rule) -> None:
    if rule.span:
        return  # leads to traces
    parts = link(rule, "log_url", of(rule))
    assert parts.path == "/explore"
    (pane,) = json.loads(parse_qs(parts.query)["panes"][0]).values()
    (query,) = pane["queries"]
    assert SOURCES[query["datasource"]["uid"]] == query["datasource"]["type"] == "loki"
    assert pane["datasource"] in SOURCES
    selected, *filters = query["expr"].split(" | ")
    assert selected.startswith("{service_name")
    names = {"instance": "service_instance_id"}
    if rule.placed:
        assert filters == [f"{names.get(label, SERIES[label])}=`a-{label}`" for label in rule.placed]
