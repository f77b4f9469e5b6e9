"""What the collectors' configurations promise each other and the schema, without running them."""

import re
from typing import Any

import pytest
import yaml

from tools.programs import BUILDER_MANIFEST, ROOT

CONFIGS = ("agent.yaml", "gateway.yaml")
ROUTINE = re.compile(r"marketprism\.(message|decode|verify|journal|burst\.flush)")
KINDS = {"receivers": "receiver", "processors": "processor", "exporters": "exporter", "extensions": "extension"}


def config(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "otel" / name).read_text())
    return found


def pipelines(name: str) -> dict[str, Any]:
    found: dict[str, Any] = config(name)["service"]["pipelines"]
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_whatever_comes_from_outside_meets_the_memory_limiter_first(name: str) -> None:
    outside = [pipeline for pipeline in pipelines(name).values() if "otlp" in pipeline["receivers"]]
    assert len(outside) == 3
    assert {pipeline["processors"][0] for pipeline in outside} == {"memory_limiter"}


def test_whatever_comes_from_outside_is_redacted_at_the_gateway() -> None:
    outside = [pipeline for pipeline in pipelines("gateway.yaml").values() if "otlp" in pipeline["receivers"]]
    assert {pipeline["processors"][1] for pipeline in outside} == {"redaction"}


def test_the_reason_of_a_failed_span_is_redacted_by_the_same_patterns_as_all_else() -> None:
    processors = config("gateway.yaml")["processors"]
    statements = processors["transform/redact_status"]["trace_statements"]
    literals = [
        re.fullmatch(r'replace_pattern\(span\.status\.message, "(.*)", "\*\*\*\*"\)', one)
        for one in statements
        if one.startswith("replace")
    ]
    unescaped = [one and re.sub(r"\\(.)", r"\1", one[1]) for one in literals]
    assert unescaped == processors["redaction"]["blocked_values"]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_exporter_over_the_network_waits_on_disk_and_never_gives_up(name: str) -> None:
    over_network = {key: value for key, value in config(name)["exporters"].items() if not key.startswith("file/")}
    assert over_network
    for exporter in over_network.values():
        assert exporter["sending_queue"]["storage"] == "file_storage"
        assert exporter["sending_queue"]["batch"]["max_size"] < 4 * 2**20
        assert exporter["sending_queue"]["sizer"] == "bytes"
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert "file_storage" in config(name)["service"]["extensions"]


def test_spans_are_counted_before_any_is_dropped() -> None:
    found = pipelines("gateway.yaml")
    counting = [name for name, one in found.items() if "span_metrics" in one["exporters"]]
    sampling = [name for name, one in found.items() if "tail_sampling" in one["processors"]]
    assert counting == ["traces/all"]
    assert sampling == ["traces"]
    assert set(found["traces"]["receivers"]) < set(found["traces/all"]["exporters"])
    assert "span_metrics" in found["metrics"]["receivers"]


def test_what_is_sampled_as_routine_are_spans_of_the_schema_and_no_gap_or_request() -> None:
    groups = yaml.safe_load((ROOT / "telemetry/schema/spans.yaml").read_text())["groups"]
    names = {group["id"].removeprefix("span.") for group in groups if group["type"] == "span"}
    policies = {policy["name"]: policy for policy in config("gateway.yaml")["processors"]["tail_sampling"]["policies"]}
    condition, _ = policies["not-routine"]["ottl_condition"]["span"]
    literal = re.match(r'not IsMatch\(span\.name, "(.*?)"\) and', condition)
    assert literal is not None
    routine = {name for name in names if re.match(literal[1].replace("\\\\", "\\"), name)}
    assert routine == {name for name in names if ROUTINE.fullmatch(name)}
    assert len(routine) == 5
    assert "marketprism.gap" in names - routine


def test_every_component_that_a_config_names_is_built() -> None:
    built = {
        kind: " ".join(one["gomod"] for one in of)
        for kind, of in yaml.safe_load(BUILDER_MANIFEST.read_text()).items()
        if kind != "dist"
    }
    modules = {
        "otlp_grpc": "otlpexporter",
        "otlp_http": "otlphttpexporter",
        "health_check": "healthcheckextension",
        "file_storage": "filestorage",
    }
    for name in CONFIGS:
        for section, kind in [*KINDS.items(), ("connectors", "connector")]:
            for key in config(name).get(section, {}):
                component = key.partition("/")[0]
                module = modules.get(component, component.replace("_", "") + kind)
                assert f"/{module} v" in built[section] + " ", f"{name}: {key}"


@pytest.mark.parametrize("name", CONFIGS)
def test_the_collectors_own_metrics_leave_by_being_scraped_alone(name: str) -> None:
    (reader,) = config(name)["service"]["telemetry"]["metrics"]["readers"]
    assert set(reader) == {"pull"}
