"""What Grafana is given at its start: the data sources that lead to one another, and where the dashboards are."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from tests.grafana.kit import ROOT
from tests.promql import REGISTRY, complaints

FOLDER: Final = ROOT / "grafana" / "provisioning"
TEXT: Final = (FOLDER / "datasources" / "marketprism.yaml").read_text()
SOURCES: Final[dict[str, Any]] = {one["uid"]: one for one in yaml.safe_load(TEXT)["datasources"]}


def test_every_way_between_data_sources_leads_to_one_that_exists() -> None:
    ends = re.findall(r"datasourceUid: (\w+)", TEXT)
    assert set(ends) == {"prometheus", "jaeger", "loki"} == set(SOURCES)


def test_an_exemplar_leads_to_its_trace_a_trace_to_its_lines_and_a_line_to_its_trace() -> None:
    (destination,) = SOURCES["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert (destination["name"], destination["datasourceUid"]) == ("trace_id", "jaeger")
    lines = SOURCES["jaeger"]["jsonData"]["tracesToLogsV2"]
    assert lines["datasourceUid"] == "loki"
    assert lines["query"] == '{$${__tags}} | trace_id="$${__trace.traceId}"'
    (field,) = SOURCES["loki"]["jsonData"]["derivedFields"]
    assert (field["matcherType"], field["matcherRegex"], field["datasourceUid"]) == ("label", "trace_id", "jaeger")


def test_grafanas_own_variables_are_not_taken_for_the_environments() -> None:
    assert re.findall(r"(?<!\$)\$(?:\$\$)*(?!\$)[\w{]", re.sub(r"^ *#.*$", "", TEXT, flags=re.MULTILINE)) == []


def test_a_span_leads_to_metrics_that_exist_by_attributes_that_exist() -> None:
    ways = SOURCES["jaeger"]["jsonData"]["tracesToMetrics"]
    for way in (ways, SOURCES["jaeger"]["jsonData"]["tracesToLogsV2"]):
        assert {tag["key"] for tag in way["tags"]} <= set(REGISTRY.attributes)
    for query in ways["queries"]:
        asked = query["query"].replace("$$__tags", 'service_name="marketprism-collector"')
        assert complaints(asked) == []


def test_the_step_of_prometheus_is_the_interval_of_the_exports() -> None:
    scrape = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert SOURCES["prometheus"]["jsonData"]["timeInterval"] == scrape


def test_dashboards_come_from_files_alone() -> None:
    (provider,) = yaml.safe_load((FOLDER / "dashboards" / "marketprism.yaml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert not {"password", "secureJsonData", "basicAuth"} & {key for one in SOURCES.values() for key in one}
