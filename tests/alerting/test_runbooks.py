"""Every alert has a runbook and every runbook an alert, in two languages that say the same; its commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from alerting.rules.table import RULES
from collector.cli import build_parser
from tests.promql import complaints

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
NAMES = sorted({rule.name for rule in RULES})
HEADINGS = {
    FOLDER: ["Meaning", "Impact", "Diagnosis", "Mitigation"],
    FOLDER / "zh-CN": ["含义", "影响", "诊断", "处置"],
}
FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HERE = re.compile(r"http://127\.0\.0\.1:(\d+)(/[^\s?']*)?")
SERVES = {
    "8080": {"/live", "/ready", "/health", "/metrics"},
    "8081": {"/live", "/ready", "/health", "/metrics"},
    "8888": {"/metrics"},
    "9090": {"/api/v1/query", "/api/v1/rules", "/api/v1/targets", "/api/v1/alertmanagers"},
    "9093": {"/api/v2/alerts", "/metrics"},
    "13133": {""},
}
"""By port: the pages that a runbook may send somebody to."""
TOOLS = {"curl", "date", "df", "dmesg", "marketprism", "timedatectl", "top"}


def commands(page: Path) -> list[str]:
    return [line for block in FENCE.findall(page.read_text(encoding="utf-8")) for line in block.splitlines()]


EVERY = sorted({command for name in NAMES for command in commands(FOLDER / f"{name}.md")})


@pytest.mark.parametrize("folder", HEADINGS, ids=lambda folder: folder.name)
def test_alerts_and_runbooks_are_one_set(folder: Path) -> None:
    assert sorted(page.stem for page in folder.glob("*.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_has_its_four_parts_in_both_languages_and_none_is_empty(name: str) -> None:
    for folder, headings in HEADINGS.items():
        text = (folder / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == headings
        assert all(part.strip() for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_say_the_same(name: str) -> None:
    """The same commands in the same order, as many steps and remedies, the same names in code and the same links."""
    english, chinese = ((folder / f"{name}.md").read_text(encoding="utf-8") for folder in HEADINGS)
    assert commands(FOLDER / f"{name}.md") == commands(FOLDER / "zh-CN" / f"{name}.md")
    assert commands(FOLDER / f"{name}.md")
    for pattern in (r"^- ", r"\]\(([^)]+)\)"):
        found = [sorted(re.findall(pattern, text, re.MULTILINE)) for text in (english, chinese)]
        assert found[0] == found[1]
    words = [set(re.findall(r"`([^`\n]+)`", FENCE.sub("", text))) for text in (english, chinese)]
    assert words[0] == words[1]
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[\u4e00-\u9fff]", english)


@pytest.mark.parametrize("command", EVERY)
def test_a_command_of_a_runbook_exists(command: str) -> None:
    tool, *arguments = shlex.split(command.partition(" | ")[0])
    assert tool in TOOLS
    if tool == "marketprism":
        assert build_parser().parse_args(arguments).run
    for port, path in HERE.findall(command):
        assert path in SERVES[port]


@pytest.mark.parametrize("command", [command for command in EVERY if "query=" in command])
def test_a_query_of_a_runbook_asks_for_what_exists(command: str) -> None:
    assert complaints(shlex.split(command)[-1].removeprefix("query=")) == []
