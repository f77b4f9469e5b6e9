"""The dashboards by themselves: each panel says what it is, stands in its place, and asks for what exists."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
import yaml

from alerting.rules import thresholds
from alerting.rules.slo import BURNS
from alerting.rules.table import RULES
from grafana.__main__ import documents, main
from grafana.boards import BOARDS
from grafana.model import COLUMNS
from tests.grafana.kit import DASHBOARDS, ROOT, filled, log_queries, metric_queries, panels
from tests.grafana.labels import labels, named
from tests.promql import REGISTRY, complaints, selected

EACH: Final = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))
BY_UID: Final = {dashboard["uid"]: dashboard for dashboard in DASHBOARDS.values()}
INDEXED: Final = {
    re.sub(r"\W", "_", name)
    for config in yaml.safe_load((ROOT / "loki/loki.yaml").read_text())["limits_config"]["otlp_config"][
        "resource_attributes"
    ]["attributes_config"]
    if config["action"] == "index_label"
    for name in config["attributes"]
}
"""What a stream of Loki can be selected by."""
OURS: Final = {0, 0.25, 0.5, 0.8, 1}
"""Limits that are no alert's: nothing, a quarter, a half, most, one or all."""


def numbers() -> set[float]:
    """All numbers of the table of thresholds, with both signs."""
    found: set[float] = {factor for burn in BURNS for factor, _, _ in burn.conditions}
    for name, value in vars(thresholds).items():
        if name.isupper():
            found |= set(value.values()) if isinstance(value, dict) else {value}
    return found | {-number for number in found}


def limits(panel: dict[str, Any]) -> list[float]:
    return [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]]


def links(panel: dict[str, Any]) -> list[str]:
    return [link["url"] for link in panel["fieldConfig"]["defaults"]["links"]]


# -- the files


@pytest.mark.parametrize("path", documents(), ids=str)
def test_the_committed_dashboard_is_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text() == documents()[path]


def test_check_says_what_is_stale_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], tmp_path) == 1
    assert "overview.json: not up to date" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert main([], tmp_path) == 0
    left = tmp_path / "grafana" / "dashboards" / "forgotten.json"
    left.write_text("{}")
    assert main(["--check"], tmp_path) == 1
    assert main([], tmp_path) == 0
    assert "forgotten.json: removed" in capsys.readouterr().out
    assert main(["--check"], tmp_path) == 0


def test_each_dashboard_has_its_own_uid_and_title() -> None:
    assert len(BY_UID) == len(BOARDS) == len(DASHBOARDS)
    assert len({dashboard["title"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    assert all(uid == f"marketprism-{name}" for name, uid in ((n, d["uid"]) for n, d in DASHBOARDS.items()))


# -- lint


@EACH
def test_each_panel_says_what_it_shows_and_in_what_unit(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["type"] == "logs" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
    repeated = [key for key, n in Counter((p["title"], p["type"]) for p in panels(dashboard)).items() if n > 1]
    assert repeated == []
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@EACH
def test_panels_fill_their_rows_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert [cell for cell, times in cells.items() if times > 1] == []
    lines = max(y for _, y in cells) + 1
    assert len(cells) == lines * COLUMNS
    assert max(x for x, _ in cells) < COLUMNS


@EACH
def test_each_data_source_is_a_variable_of_the_dashboard(dashboard: dict[str, Any]) -> None:
    variables = {f"${{{one['name']}}}": one for one in dashboard["templating"]["list"]}
    asked = [panel["datasource"] for panel in panels(dashboard)]
    asked += [target["datasource"] for panel in panels(dashboard) for target in panel["targets"]]
    asked += [annotation["datasource"] for annotation in dashboard["annotations"]["list"]]
    asked += [one["datasource"] for one in variables.values() if one["type"] == "query"]
    for source in asked:
        assert source["uid"] in variables
        assert variables[source["uid"]]["type"] == "datasource"
        assert variables[source["uid"]]["query"] == source["type"]


@EACH
def test_the_limits_that_are_drawn_are_those_of_the_alerts(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None, panel["title"]
        assert limits(panel) == sorted(limits(panel)), panel["title"]
        assert set(limits(panel)) <= numbers() | OURS, panel["title"]


def test_a_panel_that_shows_what_an_alert_measures_has_its_limit() -> None:
    shown = set()
    for rule in RULES:
        for panel in (panel for dashboard in DASHBOARDS.values() for panel in panels(dashboard)):
            same = [one for one in panel["targets"] if rule.value in one["expr"]]
            if same and (limit := re.fullmatch(r"> ([\d.]+)", rule.when)):
                assert limits(panel)[-1] == float(limit[1]), (rule.name, panel["title"])
                shown.add(rule.name)
    assert {"DiskFilling", "CpuHigh", "MemoryHigh", "QueueFilling"} <= shown


def test_the_verdicts_on_the_dashboards_are_those_of_the_schema() -> None:
    codes = {str(code): name.replace("_", " ") for name, code in REGISTRY.metric("marketprism.verdict").codes.items()}
    shown = 0
    for panel in (panel for dashboard in DASHBOARDS.values() for panel in panels(dashboard)):
        for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
            if "in sync" in {one["text"] for one in mapping["options"].values()}:
                assert {code: one["text"] for code, one in mapping["options"].items()} == codes
                shown += 1
    assert shown >= 4


# -- queries


@EACH
def test_each_metric_query_asks_for_what_exists(dashboard: dict[str, Any]) -> None:
    wrong = {place: complaints(filled(text, dashboard)) for place, text in metric_queries(dashboard)}
    assert {place: said for place, said in wrong.items() if said} == {}


@EACH
def test_a_panel_with_a_wrong_metric_or_label_is_found(dashboard: dict[str, Any]) -> None:
    for place, text in metric_queries(dashboard):
        asked = filled(text, dashboard)
        name = min(selected(asked), default="otel_metric_overflow")
        assert complaints(asked.replace(name, f"{name}_x")), place
        if " by (" in asked:
            assert complaints(re.sub(r" by \((\w+)", r" by (\1_x", asked)), place


@EACH
def test_legends_and_links_name_labels_that_the_series_have(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            if target["datasource"]["type"] == "prometheus":
                have = labels(filled(target["expr"], dashboard))
                assert named(target["legendFormat"]) <= have, panel["title"]
                for url in links(panel):
                    assert named(unquote(url)) <= have, (panel["title"], url)
    for annotation in dashboard["annotations"]["list"]:
        assert named(annotation["titleFormat"]) <= labels(filled(annotation["expr"], dashboard)), annotation["name"]


@EACH
def test_each_log_query_selects_by_labels_and_filters_by_attributes(dashboard: dict[str, Any]) -> None:
    known = {attribute.label for attribute in REGISTRY.attributes.values()} | {"trace_id", "span_id", "severity_text"}
    for place, text in log_queries(dashboard):
        selector, *filters = filled(text, dashboard).split(" | ")
        matchers = re.fullmatch(r'\{(\w+)="[^"{}]+"\}', selector)
        assert matchers, place
        assert matchers[1] in INDEXED, place
        for one in filters:
            comparison = re.fullmatch(r'(\w+)(=~|=|!=|!~)"[^"]*"', one)
            assert comparison, (place, one)
            assert comparison[1] in known, (place, one)


def test_a_query_that_is_empty_in_health_says_what_fills_it() -> None:
    queries = [query for board in BOARDS for row in board.rows for panel in row.panels for query in panel.queries]
    quiet = {query.fault for query in queries} - {""}
    assert 0 < len(quiet) < len(queries) / 4
    for panel in (panel for board in BOARDS for row in board.rows for panel in row.panels):
        if all(query.fault for query in panel.queries):
            assert panel.empty != "no data", f"{panel.title} is empty in health: its `empty` should say so"


# -- ways


@EACH
def test_each_link_to_a_dashboard_leads_to_one_and_sets_its_variables(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        for url in links(panel):
            if not url.startswith("/d/"):
                assert url.startswith("/explore?"), url
                continue
            target = BY_UID[url.removeprefix("/d/").partition("?")[0]]
            there = {one["name"] for one in target["templating"]["list"]}
            assert set(re.findall(r"&var-(\w+)=", url)) <= there, url


@EACH
def test_a_panel_with_exemplars_leads_to_their_traces(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        spans = [span for url in links(panel) for span in re.findall(r'"operation":"([^"]+)"', unquote(url))]
        assert set(spans) <= set(REGISTRY.spans), panel["title"]
        if any(target.get("exemplar") for target in panel["targets"]):
            assert spans, panel["title"]


def test_the_broken_feed_is_two_clicks_away() -> None:
    (broken,) = [panel for panel in panels(DASHBOARDS["overview"]) if panel["title"] == "Broken streams"]
    assert broken["gridPos"]["y"] < 10, "it can be seen without scrolling"
    first = links(broken)[0]
    assert first.startswith("/d/marketprism-instrument?")
    assert set(re.findall(r"&var-(\w+)=", first)) == {"instance", "venue", "market", "instrument"}


@EACH
def test_gaps_resyncs_and_restarts_are_drawn_on_every_dashboard(dashboard: dict[str, Any]) -> None:
    assert [one["name"] for one in dashboard["annotations"]["list"]] == ["Gaps", "Resyncs", "Restarts"]
    assert all(one["enable"] for one in dashboard["annotations"]["list"])


def test_the_page_lists_every_dashboard_with_its_variables() -> None:
    page = (ROOT / "docs" / "dashboards.md").read_text()
    for board in BOARDS:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {board.title} | `{board.uid}` |")]
        assert re.findall("instance|venue|market|instrument|channel", row.split("|")[4]) == list(board.variables)
