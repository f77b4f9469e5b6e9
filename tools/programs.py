"""Which programs are built, from what, and where the result is kept.

Owns the pins, the cache's layout and the errors of this package. It must never run anything: `go` and `build` do.
What a program is made of stands in files (`tools/<name>/go.mod`, `go.sum`, `otel/builder.yaml`); here is only what
those cannot say. The cache's folder is named after a hash of all of it, so a change of any input is a new folder and
nothing is ever stale.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tools"
BUILDER_MANIFEST = ROOT / "otel" / "builder.yaml"


class ToolsError(Exception):
    """What a person has to read: what failed, where, and what to do."""


@dataclass(frozen=True)
class Program:
    """One Go module of `tools/` and the binaries that come from it.

    `minutes` is what a cold build takes on two cores that do nothing else; busy ones take two to three times as long.
    `pin` is the module's version, where that is not `v` and the program's.
    """

    name: str
    version: str
    binaries: Mapping[str, str]
    minutes: int
    tags: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    manifest: Path | None = None
    pin: str = ""

    @property
    def title(self) -> str:
        """Name and version, as people write it."""
        return f"{self.name} {self.version}"

    @property
    def sources(self) -> Path:
        """The folder of its go.mod and go.sum."""
        return FOLDER / self.name

    @property
    def ldflags(self) -> str:
        """What the linker is told: no debug information (half the size), and the version that a module cannot know."""
        return " ".join(["-s", "-w", *(f"-X {variable}" for variable in self.variables)])


OCB = Program(
    name="ocb",
    version="0.159.0",
    binaries={"ocb": "go.opentelemetry.io/collector/cmd/builder"},
    minutes=1,
)
OTELCOL = Program(
    name="otelcol",
    version="0.159.0",
    binaries={"otelcol": "."},
    minutes=2,
    manifest=BUILDER_MANIFEST,
)
# Prometheus 3.y.z is the Go module v0.3yy.z. Its web pages are not in the module: without `builtinassets` the API works
# and the pages do not. https://github.com/prometheus/prometheus#prometheus-code-base
PROMETHEUS = Program(
    name="prometheus",
    version="3.14.0",
    binaries={
        "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
        "promtool": "github.com/prometheus/prometheus/cmd/promtool",
    },
    minutes=3,
    tags=("remove_all_sd",),
    variables=("github.com/prometheus/common/version.Version=3.14.0",),
    pin="v0.314.0",
)
# Jaeger 2 has no module path of its own: it is `cmd/jaeger` in the tags of Jaeger 1, and v1.62.0 is 2.0.0-rc2: the
# newest that the proxies serve with every dependency verifiable. The configuration is that of later releases too.
JAEGER = Program(
    name="jaeger",
    version="2.0.0-rc2",
    binaries={"jaeger": "github.com/jaegertracing/jaeger/cmd/jaeger"},
    minutes=3,
    variables=("github.com/jaegertracing/jaeger/pkg/version.latestVersion=v2.0.0-rc2",),
    pin="v1.62.0",
)
# The newest Alertmanager whose web assets are in its module, so that the server builds from it.
ALERTMANAGER = Program(
    name="alertmanager",
    version="0.31.1",
    binaries={
        "alertmanager": "github.com/prometheus/alertmanager/cmd/alertmanager",
        "amtool": "github.com/prometheus/alertmanager/cmd/amtool",
    },
    minutes=1,
    variables=("github.com/prometheus/common/version.Version=0.31.1",),
)
# Its module replaces others; all but `pkg/push`, which is published too, stand in tools/loki/go.mod again.
LOKI = Program(
    name="loki",
    version="3.7.6",
    binaries={"loki": "github.com/grafana/loki/v3/cmd/loki"},
    minutes=6,
    variables=("github.com/grafana/loki/v3/pkg/util/build.Version=3.7.6",),
)
PROGRAMS = {program.name: program for program in (OTELCOL, PROMETHEUS, JAEGER, ALERTMANAGER, LOKI)}


def chosen(names: Iterable[str]) -> list[Program]:
    """The programs of these names, all when none is given.

    Raises:
        ToolsError: there is no program of a name.
    """
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], PROGRAMS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ToolsError(f"there is no program {unknown[0]!r}: expected {', '.join(PROGRAMS)}{hint}")
    return [PROGRAMS[name] for name in names] or list(PROGRAMS.values())


def inputs(program: Program) -> dict[str, bytes]:
    """Every file that the binaries are made of, by a name that is the same on every machine."""
    files = {f"{program.name}/{file}": program.sources / file for file in ("go.mod", "go.sum")}
    if program.manifest is not None:
        files |= {program.manifest.name: program.manifest}
        files |= {f"{OCB.name}/{file}": OCB.sources / file for file in ("go.mod", "go.sum")}
    return {name: path.read_bytes() for name, path in files.items()}


def key(program: Program, files: Mapping[str, bytes], system: str) -> str:
    """Folder name of a build: the version for people, and a hash of everything that decides the binaries."""
    options = {name: value for name, value in asdict(program).items() if name not in {"minutes", "manifest"}}
    digest = hashlib.sha256(json.dumps([options, system], sort_keys=True).encode())
    for name in sorted(files):
        digest.update(f"\0{name}\0{len(files[name])}\0".encode() + files[name])
    return f"{program.version}-{digest.hexdigest()[:12]}"


def system() -> str:
    """The machine that binaries are for: a home directory may be shared by several kinds."""
    return f"{platform.system()}-{platform.machine()}".lower()


def cache() -> Path:
    """Where all builds are kept, outside the checkout so that every clone shares them."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "marketprism" / "tools"


def home(program: Program) -> Path:
    """Where this program's binaries are, or will be."""
    return cache() / program.name / key(program, inputs(program), system())


def installed(program: Program) -> bool:
    """Whether all its binaries are there."""
    return all((home(program) / binary).is_file() for binary in program.binaries)


def path(binary: str) -> Path:
    """Where the binary of this name is, or will be."""
    return home(next(program for program in PROGRAMS.values() if binary in program.binaries)) / binary
