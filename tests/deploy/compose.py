"""docker-compose.yml as Compose itself understands it: its own parser says it, no engine is needed."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.env import read

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("docker-compose")
EXAMPLE = read((ROOT / ".env.example").read_text())
PROFILES = ("live", "demo")


def compose(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask Compose, in an environment that holds these variables and no .env. What it refuses it says on stderr: the
    wheel's launcher loses its exit code.
    """
    return subprocess.run(
        [
            PROGRAM,
            "--project-directory",
            ROOT,
            "--file",
            ROOT / "docker-compose.yml",
            "--env-file",
            os.devnull,
            *arguments,
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def environment(**changed: str) -> dict[str, str]:
    """What .env holds after `make env`."""
    return {**EXAMPLE, "GRAFANA_PASSWORD": "as-made-by-make-env", **changed}


@functools.cache
def model(*profiles: str) -> dict[str, Any]:
    """Everything that these profiles start, by default what .env names."""
    chosen = [argument for profile in profiles for argument in ("--profile", profile)]
    asked = compose(environment(), *chosen, "config", "--format", "json")
    assert asked.stderr == ""
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


def services() -> dict[str, dict[str, Any]]:
    """Every service of every profile."""
    found: dict[str, dict[str, Any]] = model(*PROFILES)["services"]
    return found
