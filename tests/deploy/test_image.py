"""The Dockerfile: clean by hadolint, only from locks, without root, and saying the same as .env.example."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.deploy.compose import EXAMPLE, ROOT, model, services

DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text()
HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions() -> list[str]:
    """Each instruction on one line, without comments."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def stages() -> dict[str, list[str]]:
    """The instructions of each stage."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in instructions():
        if match := re.fullmatch(r"FROM \S+ AS (\w+)", line):
            name = match[1]
            found[name] = []
        found[name].append(line)
    return found


def lint(file: Path, folder: Path) -> str:
    own = folder / "hadolint.yaml"  # not the one of the person who runs it
    own.write_text("failure-threshold: style\nignored: []\n")
    done = subprocess.run([HADOLINT, "--config", own, file], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    assert lint(DOCKERFILE, tmp_path) == ""
    worse = tmp_path / "Dockerfile"
    worse.write_text(TEXT.replace("FROM base AS build", "FROM python:latest AS build"))
    assert "DL3007" in lint(worse, tmp_path)


def test_everything_installed_is_checked_by_hash_or_is_our_own_wheel() -> None:
    installs = re.findall(r"pip --python \S+ (?:install|wheel) [^&\n]+", "\n".join(instructions()))
    assert len(installs) == 5
    for one in installs:
        locked = "--require-hashes -r requirements/" in one
        own = "--no-deps" in one and ("/wheels/marketprism-" in one or "--no-build-isolation" in one)
        assert locked is not own, one
    assert "PIP_ONLY_BINARY=:all:" in TEXT
    assert not re.search(r"apt-get|curl|wget", TEXT)


def test_what_runs_is_not_root_and_has_nothing_of_the_build_stage_but_its_environment() -> None:
    built = stages()
    assert list(built) == ["", "base", "build", "user", "simulator", "runtime"]
    assert built["user"][-1] == "USER 10001:10001"
    for name in ("simulator", "runtime"):
        assert built[name][0] == f"FROM user AS {name}"
        assert not [line for line in built[name] if line.startswith(("USER", "RUN", "ARG", "ADD"))]
        copies = [line for line in built[name] if line.startswith("COPY")]
        assert len(copies) == 1
        assert re.fullmatch(r"COPY --from=build (/opt/\w+) \1", copies[0])


def test_what_is_built_without_arguments_is_what_compose_builds() -> None:
    defaults = dict(re.findall(r"^ARG (\w+)=(.+)$", TEXT, re.MULTILINE))
    assert defaults == {name: EXAMPLE[name] for name in defaults}
    for profile in ("live", "demo"):
        for name, one in model(profile)["services"].items():
            if "build" in one:
                assert one["build"]["args"] == defaults, name
                assert one["build"]["target"] in stages()
    assert services()["simulator"]["build"]["target"] == "simulator"


def test_the_image_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert EXAMPLE["IMAGE_VERSION"] == project["version"]


def test_only_what_is_copied_reaches_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith(("#", "!"))] == ["*", "**/__pycache__"]
    copied = {
        source.rstrip("/") for line in stages()["build"] if line.startswith("COPY") for source in line.split()[1:-1]
    }
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
