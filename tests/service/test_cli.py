"""The command line: every mistake is one clear line and exit code 2, with nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import docs
from collector.cli import EXIT_FOUND, EXIT_OK, EXIT_PIPE, EXIT_UNUSABLE, main
from collector.config import load
from collector.web import client
from collector.web.server import bind

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for name in os.environ:
        if name.startswith("MARKETPRISM_"):
            monkeypatch.delenv(name)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with bind("127.0.0.1", 0) as listener:
        yield listener.getsockname()[1]


def fails(capsys: Captured, *argv: str) -> str:
    """Run a command that must fail; give its whole standard error."""
    try:
        code = main(argv)
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == EXIT_UNUSABLE
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


USAGE = [
    ("rnu", "", "'rnu' is no valid command; did you mean run?"),
    ("run --cofig x", " run", "'--cofig' is not expected here; did you mean --config?"),
    ("run x", " run", "'x' is not expected here"),
    ("record t --seconds so", " record", "argument --seconds: expected a number of seconds above 0, got 'so'"),
    ("record t --seconds 0", " record", "argument --seconds: expected a number of seconds above 0, got '0'"),
    ("export o --since now", " export", "argument --since: expected a time such as 2026-11-22T10:00, got 'now'"),
    ("export o --progress alway", " export", "'alway' is no valid --progress; did you mean always?"),
    ("replay", " replay", "the following arguments are required: FILE"),
    ("replay f -x", " replay", "'-x' is not expected here; expected one of -h, --help, --strict, --tolerate-torn"),
]


@pytest.mark.parametrize(("line", "command", "expected"), USAGE, ids=[line for line, _, _ in USAGE])
def test_wrong_usage_is_one_line_that_names_the_nearest(
    capsys: Captured, line: str, command: str, expected: str
) -> None:
    assert fails(capsys, *line.split()) == f"marketprism{command}: {expected} (see marketprism{command} --help)\n"


def test_the_version_is_told(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("marketprism 0.")


@pytest.mark.parametrize("command", ["run", "replay", "record", "export", "health", "init"])
def test_every_commands_help_has_an_example(capsys: Captured, command: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"example:\n  marketprism {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", [("run",), ("record", "tape.jsonl"), ("health",)])
def test_a_wrong_configuration_ends_every_command_before_it_begins(
    capsys: Captured, tmp_path: Path, command: tuple[str, ...]
) -> None:
    Path("config.yaml").write_text("web: {prot: 1}\nlog: {level: loud}\n")
    assert fails(capsys, *command, "--config", "config.yaml").splitlines() == [
        "config.yaml:1: web.prot: unknown key; did you mean port?",
        "config.yaml:2: log.level: expected one of debug, info, warning, error, got 'loud'",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_the_configuration_can_be_named_by_a_variable(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETPRISM_CONFIG", "nowhere.yaml")
    assert fails(capsys, "run") == "nowhere.yaml: cannot be read: No such file or directory\n"


def test_a_port_in_use_is_told_with_what_to_do_and_nothing_is_written(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken_port: int
) -> None:
    monkeypatch.setenv("MARKETPRISM_WEB__PORT", str(taken_port))
    assert fails(capsys, "run") == (
        f"web.port: 127.0.0.1:{taken_port} is in use by another process; choose another (MARKETPRISM_WEB__PORT=…)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_tape_is_never_overwritten(capsys: Captured, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    tape.write_text("kept")
    for command in (("run", "--tape", str(tape)), ("record", str(tape))):
        assert f"{tape} exists; a tape is never overwritten" in fails(capsys, *command)
    assert tape.read_text() == "kept"


def test_a_tape_in_a_directory_that_does_not_exist_is_told(capsys: Captured, tmp_path: Path) -> None:
    tape = tmp_path / "nowhere" / "tape.jsonl"
    assert fails(capsys, "record", "nowhere/tape.jsonl") == f"TAPE: {tape}: the directory does not exist\n"
    assert fails(capsys, "run", "--tape", str(tape)) == f"--tape: {tape}: the directory does not exist\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "tape.jsonl: is empty; expected a tape with one JSON object a line\n"),
        (b"\x00\xff\xfe\n", "tape.jsonl:1: "),
        (b'{"a":1}\n', "tape.jsonl:1: is not a tape line: "),
        (b'{"exchange":"binance","transport":"ws","channel":"x","raw":"{', "tape.jsonl:1: the last line is torn "),
        (b'{"exchange":"binanc","transport":"ws","channel":"x","raw":"{}"}\n',
         "tape.jsonl:1: unknown exchange 'binanc'; expected one of binance, okx, coinbase, kraken; did you mean "),
    ],
)  # fmt: skip
def test_a_tape_that_is_none_is_told_before_the_first_record(capsys: Captured, content: bytes, expected: str) -> None:
    Path("tape.jsonl").write_bytes(content)
    told = fails(capsys, "replay", "tape.jsonl")
    assert told.startswith(expected)
    assert told.count("\n") == 1


def test_export_of_no_journal_is_told_and_writes_nothing(capsys: Captured, tmp_path: Path) -> None:
    told = fails(capsys, "export", "out", "--journal", "nowhere")
    assert told.startswith("nowhere: ")
    assert list(tmp_path.iterdir()) == []


def test_init_writes_a_file_that_loads_to_the_defaults_and_never_overwrites(capsys: Captured) -> None:
    assert main(["init"]) == EXIT_OK
    capsys.readouterr()
    assert load(Path("marketprism.yaml"), os.environ) == load(None, os.environ)
    assert fails(capsys, "init") == "marketprism.yaml: exists; init never overwrites\n"
    assert fails(capsys, "init", "no/where.yaml") == "no/where.yaml: cannot be written: No such file or directory\n"


def test_init_to_standard_output_writes_no_file(capsys: Captured, tmp_path: Path) -> None:
    assert main(["init", "-"]) == EXIT_OK
    assert "segment_bytes: 64MiB" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_health_of_nobody_is_unreachable(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("MARKETPRISM_WEB__PORT", str(port))
    assert fails(capsys, "health") == f"http://127.0.0.1:{port}/health: cannot be reached: Connection refused\n"
    assert fails(capsys, "health", "--url", "localhost") == "localhost: expected a URL such as http://127.0.0.1:8080\n"


@pytest.mark.parametrize(("status", "code"), [("ok", EXIT_OK), ("degraded", EXIT_FOUND), ("failing", EXIT_UNUSABLE)])
def test_health_tells_what_is_not_ok_and_exits_by_it(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, status: str, code: int
) -> None:
    monkeypatch.setattr(client, "ask", lambda _: (status, ["venue.kraken.spot: gap", "journal: full"]))
    assert main(["health", "--url", "http://x"]) == code
    assert capsys.readouterr().out == f"{status}\n  venue.kraken.spot: gap\n  journal: full\n"


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:1"), ("::", "http://[::1]:1"), ("::1", "http://[::1]:1"), ("a", "http://a:1")],  # noqa: S104 - addresses to listen on
)
def test_a_collector_that_listens_everywhere_is_asked_on_loopback(host: str, url: str) -> None:
    assert client.url_of(host, 1) == url


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "collector.cli", "init", "-"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, cwd=root)
    os.close(writing)
    assert (done.returncode, done.stderr) == (EXIT_PIPE, b"")


def test_the_committed_pages_are_what_the_code_makes(capsys: Captured) -> None:
    assert docs.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_on_a_full_disk_is_one_line_and_no_finding() -> None:
    root = Path(__file__).parents[2]
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "collector", "init", "-"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=root)
    assert (done.returncode, done.stderr) == (2, "standard output: cannot be written: No space left on device\n")
