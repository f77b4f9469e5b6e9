"""The rules of the house that the linters do not hold by themselves."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PACKAGES = ("collector", "telemetry", "alerting", "simulator")
FILES = sorted(
    path for part in (*PACKAGES, "grafana", "benchmarks", "tools", "tests") for path in (ROOT / part).rglob("*.py")
)
IGNORE = re.compile(r'^  "(?P<rule>[A-Z]+[0-9]*)",\s*(?P<reason># .+)?$')


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_file_is_under_four_hundred_lines() -> None:
    assert {name(path): lines for path in FILES if (lines := len(path.read_text().splitlines())) >= 400} == {}


def test_every_folder_of_the_product_is_a_package() -> None:
    folders = {path.parent for path in FILES if name(path).startswith(PACKAGES)}
    assert [name(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_ruff_checks_all_its_rules_and_each_exception_says_why() -> None:
    lint = tomllib.loads(PYPROJECT)["tool"]["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    rules = [*lint["ignore"], *(rule for rules in lint["per-file-ignores"].values() for rule in rules)]
    section = PYPROJECT[PYPROJECT.index("[tool.ruff.lint]") : PYPROJECT.index("[tool.ruff.lint.flake8-bugbear]")]
    entries = [match for line in section.splitlines() if (match := IGNORE.match(line))]
    assert sorted(entry["rule"] for entry in entries) == sorted(rules), "one rule a line, so that each has its reason"
    assert [entry["rule"] for entry in entries if not entry["reason"]] == []


def test_types_and_tests_are_strict() -> None:
    tool = tomllib.loads(PYPROJECT)["tool"]
    assert tool["mypy"]["strict"] is True
    assert tool["pytest"]["strict"] is True
    assert tool["pytest"]["filterwarnings"] == ["error"]
    assert tool["coverage"]["run"]["branch"] is True


def test_the_arrows_between_packages_run_downward_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    kept = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert kept.returncode == 0, kept.stdout + kept.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_the_linter_of_arrows_sees_every_package(package: str) -> None:
    assert package in tomllib.loads(PYPROJECT)["tool"]["importlinter"]["root_packages"]
