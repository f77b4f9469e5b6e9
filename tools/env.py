"""`make env`: the .env that docker compose reads, with random passwords, and the folder of its secrets.

It owns what it makes and nothing else: a file that is there is never changed, only compared with .env.example, so that
a version that has moved since is seen. Both are closed to everybody but their owner. Single files in secrets/ may be
read, because compose mounts them as they are and the programs in the containers are other users; to reach them by their
path one has to enter the folder first.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.programs import ROOT

EXAMPLE, FILE, SECRETS = ".env.example", ".env", "secrets"
LOGIN = "GRAFANA_PASSWORD"
TOKEN = "bridge-token"  # noqa: S105 - a file's name
NONE = "none"
"""Mounted where a secret is not configured; empty."""


def read(text: str) -> dict[str, str]:
    """Names and values of a file of variables."""
    lines = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, equals, value in lines if equals}


def fill(example: str, password: Callable[[], str]) -> str:
    """The example with a password after each empty name that ends in _PASSWORD."""
    lines = (f"{line}{password()}" if line.endswith("_PASSWORD=") else line for line in example.splitlines())
    return "\n".join(lines) + "\n"


def drift(ours: dict[str, str], example: dict[str, str]) -> list[str]:
    """A sentence for each name that is missing, and each version that differs."""
    missing = [
        f"{name} is missing; {EXAMPLE} has {name}={value}" for name, value in example.items() if name not in ours
    ]
    versions = [name for name in example if name.endswith("_VERSION") and name in ours]
    moved = [
        f"{name} is {ours[name]}; {EXAMPLE} has {example[name]}" for name in versions if ours[name] != example[name]
    ]
    return missing + moved


def create(path: Path, text: str, mode: int) -> bool:
    """Write a new file; False when there is one, which stays as it is."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
    return True


def prepare(folder: Path, password: Callable[[], str]) -> list[str]:
    """Make what is missing; a line for whatever a person should know.

    Raises:
        OSError: something cannot be read or written.
    """
    example = (folder / EXAMPLE).read_text(encoding="utf-8")
    closed = folder / SECRETS
    closed.mkdir(mode=0o700, exist_ok=True)
    closed.chmod(0o700)
    create(closed / TOKEN, password(), 0o644)
    create(closed / NONE, "", 0o644)
    made = create(folder / FILE, fill(example, password), 0o600)
    ours = read((folder / FILE).read_text(encoding="utf-8"))
    login = f"Grafana: http://127.0.0.1:{ours.get('STACK_GRAFANA_PORT', '3000')}  user admin  password"
    if made:
        return [f"{FILE} and {SECRETS}/ written", f"{login} {ours[LOGIN]}", "start it with: docker compose up -d"]
    return [f"{FILE} is there and stays as it is", *drift(ours, read(example)), f"{login}: see {LOGIN} in {FILE}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 it cannot be written, 2 bad arguments."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.env", description="Write .env for docker compose.")
    parser.add_argument("--folder", type=Path, default=ROOT, metavar="DIR", help="where (default: %(default)s)")
    folder = parser.parse_args(arguments).folder
    try:
        lines = prepare(folder, lambda: secrets.token_urlsafe(24))
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
