"""`make tools`: builds the real programs from pinned Go modules, once, into a cache that every clone shares.

Owns the order of work and what a person sees of it: what is built, how long it should take, how far it is, how long
it took. It must never leave half a build where a whole one is expected: a build is made in a folder of its own and
renamed when it is done. `--lock` writes go.mod and go.sum again after a version in `programs` or `otel/builder.yaml`
has changed.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import programs
from tools.go import PLATFORMS, Go, environment, told, toolchain
from tools.programs import OCB, PROGRAMS, Program, ToolsError

PROGRESS_EVERY = 20.0


def say(line: str) -> None:
    """One line to whoever is waiting, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def lasted(seconds: float) -> str:
    """A duration as people read it."""
    return f"{int(seconds) // 60}m {int(seconds) % 60:02d}s"


class Progress:
    """Counts compiled packages and says so now and then. Those of earlier builds are not compiled again."""

    def __init__(self, packages: set[str], clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self.packages = packages
        self.clock = clock
        self.say = say
        self.compiled = 0
        self.next = clock() + PROGRESS_EVERY

    def __call__(self, line: str) -> bool:
        """Whether this line of Go's was the name of a package."""
        if line not in self.packages:
            return False
        self.compiled += 1
        if self.clock() >= self.next:
            self.say(f"  {self.compiled} of at most {len(self.packages)} packages compiled")
            self.next = self.clock() + PROGRESS_EVERY
        return True


@contextmanager
def alone(program: Program, say: Callable[[str], None]) -> Iterator[None]:
    """Only one build of a program at a time on this machine; others wait."""
    folder = programs.cache() / program.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{program.title}: another build of it is running; waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure(program: Program, go: Callable[[], Go], say: Callable[[str], None] = say) -> Path:
    """The folder of this program's binaries, built first if it must be.

    Args:
        program: what to build.
        go: gives the toolchain; asked only when something has to be built.
        say: receives progress lines.

    Raises:
        ToolsError: it cannot be built.
    """
    home = programs.home(program)
    if programs.installed(program):
        say(f"{program.title}: cached")
        return home
    with alone(program, say):
        if programs.installed(program):
            return home
        compiler = go()
        if program.manifest is not None:
            ensure(OCB, lambda: compiler, say)
        started = time.monotonic()
        say(f"{program.title}: building with {compiler.version}, about {program.minutes} min on two idle cores")
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".building-") as made:
            work, result = Path(made) / "work", Path(made) / "result"
            work.mkdir()
            result.mkdir()
            compile_into(program, compiler, work, result, say)
            seconds = time.monotonic() - started
            note = {"program": program.title, "go": compiler.version, "seconds": round(seconds)}
            (result / "build.json").write_text(json.dumps(note) + "\n")
            size = sum(path.stat().st_size for path in result.iterdir()) / 1e6
            shutil.rmtree(home, ignore_errors=True)  # there only when somebody removed a binary from it
            result.rename(home)
    say(f"{program.title}: built in {lasted(seconds)}, {size:.0f} MB")
    return home


def compile_into(program: Program, go: Go, work: Path, result: Path, say: Callable[[str], None]) -> None:
    """Builds all binaries of a program into `result`."""
    folder = program.sources if program.manifest is None else generate(program, work)
    started = time.monotonic()
    packages = go.dependencies(folder, list(program.binaries.values()), program.tags)
    say(f"  modules fetched in {lasted(time.monotonic() - started)}")
    options = [f"-tags={','.join(program.tags)}", f"-ldflags={program.ldflags}"]
    progress = Progress(packages, time.monotonic, say)
    for binary, package in program.binaries.items():
        go.build(folder, [*options, "-o", str(result / binary), package], progress)


def generate(program: Program, work: Path, path: str | None = None) -> Path:
    """Has OCB write the collector's Go source; gives its folder.

    With `path` OCB finds Go there and resolves the manifest's modules anew (to lock them); without, those that are
    locked are put beside the source.
    """
    command = [str(programs.home(OCB) / "ocb"), f"--config={program.manifest}", "--skip-compilation"]
    if path is None:
        command.append("--skip-get-modules")
    extra = {} if path is None else {"PATH": path}
    done = subprocess.run(  # noqa: S603 - our own arguments
        command, cwd=work, env=environment(**extra), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolsError(told(f"the collector builder failed on {program.manifest}", done.stderr.splitlines()))
    folder = work / program.name
    if path is None:
        for file in ("go.mod", "go.sum"):
            (folder / file).write_bytes((program.sources / file).read_bytes())
    return folder


def lock(program: Program, go: Go) -> None:
    """Writes its go.mod and go.sum again, for all platforms.

    Raises:
        ToolsError: a module cannot be fetched or verified.
    """
    if program.manifest is None:
        folder = program.sources
        for package in program.binaries.values():
            go.call(folder, "get", "-tool", f"{package}@{program.pin or 'v' + program.version}")
        sums(program, go, folder)
        return
    ensure(OCB, lambda: go)
    with tempfile.TemporaryDirectory() as work:
        folder = generate(program, Path(work), path=f"{go.path.parent}:/usr/bin:/bin")
        sums(program, go, folder)
        program.sources.mkdir(exist_ok=True)
        for file in ("go.mod", "go.sum"):
            (program.sources / file).write_bytes((folder / file).read_bytes())


def sums(program: Program, go: Go, folder: Path) -> None:
    """Adds the checksums that only other platforms need."""
    tags = f"-tags={','.join(program.tags)}"
    for system, machine in PLATFORMS:
        go.call(folder, "list", "-mod=mod", "-deps", tags, *program.binaries.values(), GOOS=system, GOARCH=machine)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 all are there, 1 one cannot be built, 2 bad arguments."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.build", description="Build the real programs, cached.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PROGRAMS)}; all when none is named")
    parser.add_argument("--lock", action="store_true", help="write go.mod and go.sum again instead of building")
    options = parser.parse_args(arguments)
    try:
        wanted = programs.chosen(options.names)
    except ToolsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    found: list[Go] = []

    def go() -> Go:
        if not found:
            found.append(toolchain(say))
        return found[0]

    failed = []
    for program in wanted:
        try:
            if options.lock:
                lock(program, go())
                say(f"{program.title}: locked")
            else:
                ensure(program, go)
        except ToolsError as error:
            sys.stderr.write(f"{program.title}: {error}\n")
            failed.append(program.name)
    say(f"all in {programs.cache()}" if not failed else f"not built: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
