"""Containers and `make stack` run the same programs on the same files: what differs is what docs/compose.md lists."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from alerting.alertmanager.routing import config
from alerting.alertmanager.settings import read
from tests.deploy.compose import ROOT, services
from tools.components import Alerts, Component, Ports, components, prepare
from tools.programs import PROGRAMS

DATA = "DATA"
PAGE = (ROOT / "docs" / "compose.md").read_text()
NATIVE = tuple(component.name for component in components(Ports(), ROOT / DATA))
VERSION = re.compile(r":v?(\d[^:@]*)$")
Settings = dict[str, str]


def flags(arguments: list[str]) -> Settings:
    pairs = (argument.partition("=") for argument in arguments if argument.startswith(("--", "-config.")))
    return {flag: text for flag, _, text in pairs}


def read_by(file: Path) -> Settings:
    """The variables that a configuration of the OpenTelemetry Collector, Jaeger or Loki reads, with their defaults."""
    return dict(re.findall(r"\$\{(?:env:)?(\w+):-([^}]*)\}", file.read_text()))


def committed(name: str) -> Settings:
    file = {"otelcol": "otel/gateway.yaml", "jaeger": "otel/jaeger.yaml", "loki": "loki/loki.yaml"}.get(name)
    return read_by(ROOT / file) if file else {}


def native(component: Component, data: Path) -> Settings:
    """Flags, variables that are read, and version, with paths as the checkout has them."""
    known = committed(component.name)
    theirs = ("OTEL_", "MARKETPRISM_")
    given = {name: text for name, text in component.environment.items() if name in known or name.startswith(theirs)}
    found = flags(list(component.command[1:])) | known | given
    for name, text in found.items():
        committed_file = text.startswith(str(data)) and Path(text).is_file() and Path(text).is_symlink()
        path = str(Path(text).resolve()) if committed_file else text
        found[name] = path.replace(str(data), DATA).replace(f"{ROOT}/", "")
    if component.name in PROGRAMS:
        found["version"] = PROGRAMS[component.name].version
    return found


def contained(name: str) -> Settings:
    """The same of a service; a path that is mounted from the checkout is that of the checkout."""
    one = services()[name]
    known = committed(name)
    mounts = {mount["target"]: mount["source"] for mount in one.get("volumes", []) if mount["type"] == "bind"}
    given = {variable: text for variable, text in one.get("environment", {}).items() if text}
    found: Settings = flags(one.get("command") or []) | known | given
    for setting, text in found.items():
        found[setting] = str(mounts.get(text, text)).replace(f"{ROOT}/", "")
    if match := VERSION.search(one["image"]):
        found["version"] = match[1]
    return found


def differences(component: Component, data: Path) -> dict[tuple[str, str], tuple[str, str]]:
    ours, theirs = native(component, data), contained(component.name)
    if component.name == "bridge":
        del theirs["version"]  # our own image: the checkout itself
    return {
        (component.name, name): (ours.get(name, "—"), theirs.get(name, "—"))
        for name in ours | theirs
        if ours.get(name) != theirs.get(name)
    }


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without the marks of code."""
    section = PAGE[PAGE.index(f"## {heading}\n") :].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture
def stack(tmp_path: Path) -> list[Component]:
    prepare(Ports(), tmp_path)
    return components(Ports(), tmp_path)


@pytest.mark.parametrize("name", NATIVE)
def test_a_program_differs_only_in_what_the_page_lists(name: str, stack: list[Component], tmp_path: Path) -> None:
    component = next(component for component in stack if component.name == name)
    listed = {(one[0], one[1]): (one[2], one[3]) for one in rows("Differences from make stack") if one[0] == name}
    assert differences(component, tmp_path) == {key: value for key, value in listed.items() if key[1] != "targets"}


def test_the_page_lists_no_program_that_there_is_not_and_says_why_of_each_difference() -> None:
    table = rows("Differences from make stack")
    assert {one[0] for one in table} == set(NATIVE)
    assert all(len(one) == 5 and one[4] for one in table)


def test_what_runs_in_containers_only_is_listed() -> None:
    assert {one[0] for one in rows("Only in containers")} == set(services()) - set(NATIVE)


def targets(folder: Path) -> dict[str, Any]:
    return {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}


def test_prometheus_scrapes_the_same_jobs_on_the_same_ports(tmp_path: Path) -> None:
    prepare(Ports(), tmp_path, Alerts(instance="marketprism"))
    theirs = targets(ROOT / "deploy" / "prometheus" / "targets")
    local = json.loads(re.sub(r'"[a-z]+:(\d+)"', r'"127.0.0.1:\1"', json.dumps(theirs)))
    assert local == targets(tmp_path / "prometheus" / "targets")
    names = {group["targets"][0].partition(":")[0] for groups in theirs.values() for group in groups}
    assert names <= set(services())
    assert ["prometheus", "targets", "127.0.0.1", "names of services"] in [
        one[:4] for one in rows("Differences from make stack")
    ]


def test_alertmanager_gets_the_same_configuration_but_for_addresses(tmp_path: Path) -> None:
    token = tmp_path / "bridge-token"
    token.write_text("b" * 32)
    ours = Alerts().variables(Ports(), tmp_path)
    theirs = {
        name: text.replace("/run/secrets/bridge-token", str(token))
        for name, text in services()["setup"]["environment"].items()
    }
    local = re.sub(r"\b(bridge|otelcol):", "127.0.0.1:", config(read(theirs)))
    assert local == config(read(ours))


def test_the_files_that_are_mounted_are_those_that_native_programs_read(stack: list[Component]) -> None:
    given = {argument.partition("=")[2] for component in stack for argument in component.command}
    for name in ("otelcol", "jaeger", "prometheus"):
        (file,) = [text for text in contained(name).values() if text.endswith((".yaml", ".yml"))]
        assert [path for path in given if path and Path(path).is_file() and Path(path).resolve() == ROOT / file]
