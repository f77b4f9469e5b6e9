"""One way to run each check: people, CI and the workflow all call make, and make lists what it can do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
CI = ROOT / ".ci" / "run"
# As in a shell of its own, also when these tests were started by make.
PLAIN = {
    key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"}
}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def targets() -> set[str]:
    """The targets that the Makefile declares for people."""
    declaration = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert declaration is not None
    return set(declaration[1].split())


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def run_make(*arguments: str, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=directory, env=PLAIN, capture_output=True, text=True, check=False)


def test_make_alone_lists_every_target_with_what_it_does() -> None:
    listing = run_make()
    assert listing.returncode == 0, listing.stderr
    listed = {line.split()[1]: line.split(maxsplit=2)[2] for line in listing.stdout.splitlines()}
    assert set(listed) == targets()


def test_every_phony_target_has_a_rule() -> None:
    assert {target for target in targets() if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)} == set()


def test_an_older_python_is_refused_with_the_version_that_is_needed(tmp_path: Path) -> None:
    old = tmp_path / "old-python"
    old.write_text(f"""#!/bin/sh
exec {sys.executable} -c 'import sys; sys.version_info = (3, 10, 14); exec(sys.argv[1])' "$2"
""")
    old.chmod(0o755)
    for part in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / part, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    refused = run_make("install", f"PYTHON={old}", directory=tmp_path)
    assert refused.returncode != 0
    assert "MarketPrism needs Python 3.11 or newer" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_lint_types_the_tests_and_the_full_tests_through_make() -> None:
    assert re.findall(r"^tier (\S+)$", CI.read_text(), re.MULTILINE) == [
        "install",
        "lint",
        "types",
        "test",
        "tools",
        "test-full",
    ]
    assert subprocess.run(["bash", "-n", CI], check=False).returncode == 0


@pytest.mark.parametrize(("failing", "code"), [("", 0), ("types", 2)])
def test_ci_stops_at_the_first_failure_and_always_closes_with_the_table(
    tmp_path: Path, failing: str, code: int
) -> None:
    (tmp_path / ".ci").mkdir()
    script = shutil.copy(CI, tmp_path / ".ci")
    rules = [
        f"{tier}:\n\t@{'false' if tier == failing else 'true'}\n"
        for tier in re.findall(r"^tier (\S+)$", CI.read_text(), re.MULTILINE)
    ]
    (tmp_path / "Makefile").write_text("\n".join(rules))
    ran = subprocess.run(
        ["bash", script], env=PLAIN, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    table = ran.stdout[ran.stdout.rindex("tier  ") :].splitlines()[1:]
    assert ran.returncode == code, ran.stderr
    names = [line.split()[0] for line in table]
    whole = ["install", "lint", "types", "test", "tools", "test-full", "total"]
    assert names == (["install", "lint", "types", "total"] if failing else whole)
    assert [line.split()[0] for line in table if line.endswith("failed")] == ([failing] if failing else [])


def test_no_check_is_allowed_to_fail_in_silence() -> None:
    for file in [CI, ROOT / "Makefile", *WORKFLOWS]:
        text = file.read_text()
        assert "|| true" not in text, file
        assert "continue-on-error" not in text, file


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_calls_only_make_targets_that_exist(workflow: Path) -> None:
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands
    for command in commands:
        match = re.fullmatch(r"make ([a-z-]+)", command)
        assert match, f"{command!r} is not one make target"
        assert match[1] in targets()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_runs_what_ci_runs(workflow: Path) -> None:
    tiers = re.findall(r"^tier (\S+)$", CI.read_text(), re.MULTILINE)
    assert [step["run"].removeprefix("make ") for step in steps(workflow) if "run" in step] == tiers


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_a_workflow_reads_only_pins_its_actions_and_cannot_hang(workflow: Path) -> None:
    whole = yaml.safe_load(workflow.read_text())
    assert whole["permissions"] == {"contents": "read"}
    assert "concurrency" in whole
    assert all("timeout-minutes" in job for job in whole["jobs"].values())
    actions = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert [action for action in actions if not re.search(r"@[0-9a-f]{40}$", action)] == []
