"""The lock files: they fix every package by version and hash, name no index, and say the same."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PIN = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>\S+)( ; .+?)? \\$")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: Path) -> list[tuple[str, str]]:
    """Name and version of each package in a lock."""
    matches = (PIN.match(line) for line in lock.read_text().splitlines())
    return [(match["name"], match["version"]) for match in matches if match]


def declared(extra: str | None = None, group: str | None = None) -> list[Requirement]:
    """What pyproject.toml asks for: the bare install, or one extra, or one dependency group."""
    if extra is not None:
        lines = PROJECT["project"]["optional-dependencies"][extra]
    elif group is not None:
        lines = [line for line in PROJECT["dependency-groups"][group] if isinstance(line, str)]
    else:
        lines = PROJECT["project"]["dependencies"]
    return [Requirement(line) for line in lines]


def test_there_is_a_lock_for_running_for_the_demo_for_development_and_for_the_benchmark() -> None:
    assert [lock.stem for lock in LOCKS] == ["bench", "demo", "dev", "run"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_names_versions_and_hashes_and_nothing_else(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    odd = [
        line for line in lines if not PIN.match(line) and not re.match(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$", line)
    ]
    assert odd == []
    for number, line in enumerate(lines):
        if PIN.match(line):
            assert lines[number + 1].startswith("    --hash="), f"{line} has no hash"


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("run", declared()),
        ("demo", [*declared(), *declared(extra="simulator"), *declared(group="build")]),
        ("dev", [*declared(), *declared(extra="export"), *declared(extra="simulator"), *declared(group="dev")]),
        ("bench", [*declared(), *declared(extra="bench")]),
    ],
)
def test_a_lock_meets_what_pyproject_asks_for(lock: str, wanted: list[Requirement]) -> None:
    locked = dict(pins(ROOT / "requirements" / f"{lock}.lock"))
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is not in {lock}.lock: run make lock"
        assert requirement.specifier.contains(locked[name]), f"{name} {locked[name]} in {lock}.lock: run make lock"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_all_locks_give_the_same_version_of_a_package(lock: Path) -> None:
    tested = dict(pins(ROOT / "requirements" / "dev.lock"))
    assert {name: version for name, version in pins(lock) if tested.get(name, version) != version} == {}


def test_a_bare_install_has_at_most_twelve_direct_dependencies() -> None:
    assert len(declared()) <= 12


@pytest.mark.parametrize("page", ["Makefile", "Dockerfile", "docs/dependencies.md", "tests/project/test_wheel.py"])
def test_what_a_lock_holds_is_installed_as_it_is_without_resolving(page: str) -> None:
    """Else pip 23 looks for the newest `name[extra]` beside the locked `name`, and fails when there is a newer one."""
    installs = [line for line in (ROOT / page).read_text().splitlines() if "-hashes" in line and ".lock" in line]
    assert installs
    assert [line for line in installs if "no-deps" not in line] == []
