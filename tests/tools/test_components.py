"""Ports and configuration of the stack, without starting it."""

import json
import re
import socket
from pathlib import Path

import pytest
import yaml

from collector.demo import CONFIGURATION
from tools import stack
from tools.components import HOST, INSTANCE, Alerts, Component, Ports, components, occupied, prepare, variable
from tools.programs import ROOT, ToolsError
from tools.stack import Stack

DEFAULTS = Ports()


def part(data: Path, name: str) -> Component:
    return next(component for component in components(DEFAULTS, data) if component.name == name)


def test_a_variable_moves_its_port_and_no_other() -> None:
    moved = Ports.from_environment({"STACK_PROMETHEUS_PORT": "19090", "STACK_JAEGER_PORT": ""})
    assert moved == Ports(prometheus=19090)


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80.5"])
def test_a_variable_that_is_no_port_is_named(text: str) -> None:
    with pytest.raises(ToolsError, match=rf"STACK_OTLP_HTTP_PORT is '{re.escape(text)}': expected a port, 1 to 65535"):
        Ports.from_environment({"STACK_OTLP_HTTP_PORT": text})


def test_free_ports_are_free_and_all_different() -> None:
    ports = vars(Ports.free())
    assert len(set(ports.values())) == len(ports)


@pytest.mark.parametrize("file", ["otel/agent.yaml", "otel/gateway.yaml", "otel/jaeger.yaml", "loki/loki.yaml"])
def test_the_ports_in_the_configs_are_those_of_the_stack(file: str) -> None:
    written = dict(re.findall(r"\$\{(?:env:)?(STACK_\w+_PORT):-(\d+)", (ROOT / file).read_text()))
    ours = {name: port for name, port in DEFAULTS.variables().items() if name in written}
    assert written == ours
    assert written


def test_every_variable_of_the_configs_that_has_no_default_here_has_one_there() -> None:
    for file in ("agent.yaml", "gateway.yaml", "jaeger.yaml"):
        assert re.findall(r"\$\{env:\w+\}", (ROOT / "otel" / file).read_text()) == []


def test_the_collector_sends_to_the_prometheus_and_the_jaeger_of_the_stack(tmp_path: Path) -> None:
    environment = part(tmp_path, "otelcol").environment
    assert environment["STACK_PROMETHEUS_URL"] == "http://127.0.0.1:9090"
    assert environment["STACK_JAEGER_OTLP_ENDPOINT"] == "127.0.0.1:4319"


def test_prometheus_finds_a_target_for_every_job_that_it_scrapes(tmp_path: Path) -> None:
    prepare(DEFAULTS, tmp_path)
    folder = tmp_path / "prometheus"
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    found = {}
    for job in config["scrape_configs"]:
        (file,) = job["file_sd_configs"][0]["files"]
        found[job["job_name"]] = json.loads((folder / file).read_text())
    assert found == {
        "marketprism-collector": [{"targets": ["127.0.0.1:8080"], "labels": {"instance": "demo"}}],
        "otelcol": [{"targets": ["127.0.0.1:8888"]}],
        "jaeger": [{"targets": ["127.0.0.1:8889"]}],
        "loki": [{"targets": ["127.0.0.1:3100"]}],
        "prometheus": [{"targets": ["127.0.0.1:9090"]}],
        "alertmanager": [{"targets": ["127.0.0.1:9093"]}],
        "bridge": [{"targets": ["127.0.0.1:8081"]}],
    }


def test_the_collectors_target_has_the_name_that_its_metrics_have(tmp_path: Path) -> None:
    prepare(DEFAULTS, tmp_path, Alerts(instance="collector-1"))
    target = json.loads((tmp_path / "prometheus" / "targets" / "marketprism-collector.json").read_text())
    assert target == [{"targets": ["127.0.0.1:8080"], "labels": {"instance": "collector-1"}}]


def test_without_a_name_the_collector_is_taken_for_the_demos() -> None:
    assert Alerts.from_environment({}).instance == yaml.safe_load(CONFIGURATION.partition("venues:")[0])["instance_id"]
    assert Alerts.from_environment({INSTANCE: "collector-1"}).instance == "collector-1"


def test_without_any_channel_alerts_go_to_the_bridges_log_and_what_is_off_is_said(tmp_path: Path) -> None:
    said = prepare(DEFAULTS, tmp_path)
    assert said[0] == "log: on"
    assert [line.partition(":")[0] for line in said if ": off" in line] == [
        "slack", "email", "dingtalk", "wecom", "heartbeat",
    ]  # fmt: skip
    assert (tmp_path / "bridge-token").stat().st_mode & 0o777 == 0o600


def test_a_channel_that_is_configured_wrongly_is_named(tmp_path: Path) -> None:
    wrong = Alerts(environment={"MARKETPRISM_ALERT_SLACK_URL_FILE": str(tmp_path / "none")})
    with pytest.raises(ToolsError, match=r"MARKETPRISM_ALERT_SLACK_URL_FILE: .* cannot be read"):
        prepare(DEFAULTS, tmp_path, wrong)


def test_preparing_twice_leaves_the_same(tmp_path: Path) -> None:
    prepare(DEFAULTS, tmp_path)
    prepare(Ports(collector=1), tmp_path)
    assert (tmp_path / "prometheus" / "prometheus.yml").resolve() == ROOT / "prometheus" / "prometheus.yml"
    assert "127.0.0.1:1" in (tmp_path / "prometheus" / "targets" / "marketprism-collector.json").read_text()


def test_a_port_in_use_is_named_with_the_variable_that_moves_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        ports = Ports(**{**vars(Ports.free()), "prometheus": port})
        prometheus = next(part for part in components(ports, tmp_path) if part.name == "prometheus")
        sentence = f"port {port} of prometheus is in use: free it, or set STACK_PROMETHEUS_PORT to another"
        assert occupied(prometheus) == [sentence]
    assert occupied(prometheus) == []


def test_an_unknown_component_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ToolsError, match=r"no component 'otelcoll': expected .* did you mean otelcol\?"):
        Stack(only=["otelcoll"], data=tmp_path)


def test_only_the_components_that_are_named_are_started_in_the_stacks_own_order(tmp_path: Path) -> None:
    two = Stack(only=["otelcol", "jaeger"], data=tmp_path)
    assert [component.name for component in two.components] == ["jaeger", "otelcol"]


def test_a_program_that_is_not_built_is_named_with_what_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    with pytest.raises(ToolsError, match="not built yet: prometheus; run `make tools`"):
        Stack(ports=Ports.free(), only=["prometheus"], data=tmp_path).start()


def test_each_port_has_a_variable_of_its_own() -> None:
    assert variable("otlp_http") == "STACK_OTLP_HTTP_PORT"
    assert len(DEFAULTS.variables()) == len(vars(DEFAULTS))


@pytest.mark.parametrize(
    ("answer", "page"),
    [
        ((200, "text/html", '<script type="module" src="./static/index.js"></script>'), True),
        ((200, "text/html", "<title>Test Page</title><script>const config = {};</script>"), False),
        ((500, "text/plain", "Error opening React index.html"), False),
        ((404, "text/html", '<script src="x.js"></script>'), False),
        ((0, "", ""), False),
    ],
)
def test_a_page_is_what_a_browser_can_run_and_no_placeholder(
    answer: tuple[int, str, str], *, page: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "get", lambda _url: answer)
    assert stack.has_page("http://127.0.0.1:1") is page
