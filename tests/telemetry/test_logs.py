"""Every record comes out as one clean line, whoever logs it."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator

import pytest
import structlog

from telemetry.cells import Metrics
from telemetry.logs import SayRarely, _LibraryHandler, configure_logs, get_logger
from telemetry.registry import load_registry

NOW = 1_700_000_000_000_000_000


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _undo() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _LibraryHandler)]
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def fail(message: str) -> None:
    raise ConnectionError(message)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_event_logger_and_fields() -> None:
    out = io.StringIO()
    configure_logs("info", "json", out, now_ns=lambda: NOW + 1_002_000)
    get_logger("collector.net").warning("marketprism.connection.closed", venue="kraken", delay=1.5, close_code=None)
    assert out.getvalue() == (
        '{"timestamp":"2023-11-14T22:13:20.001002Z","level":"warning","event":"marketprism.connection.closed",'
        '"logger":"collector.net","venue":"kraken","delay":1.5,"close_code":null}\n'
    )


def test_a_whole_second_still_shows_its_microseconds() -> None:
    out = io.StringIO()
    configure_logs("info", "json", out, now_ns=lambda: NOW)
    get_logger("x").info("marketprism.service.started")
    assert lines(out)[0]["timestamp"] == "2023-11-14T22:13:20.000000Z"


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    configure_logs("warning", "json", out)
    get_logger("x").info("marketprism.service.started")
    logging.getLogger("aiohttp").info("quiet")
    assert out.getvalue() == ""


def test_a_library_s_record_goes_the_same_way() -> None:
    out = io.StringIO()
    configure_logs("info", "json", out)
    logging.getLogger("aiohttp.client").error("lost %s of %d", "some", 3)
    found = lines(out)[0]
    assert (found["event"], found["logger"], found["level"], found["message"]) == (
        "marketprism.library.message",
        "aiohttp.client",
        "error",
        "lost some of 3",
    )


def test_a_library_s_mistake_in_logging_is_not_ours() -> None:
    out = io.StringIO()
    configure_logs("info", "json", out)
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if isinstance(handler, _LibraryHandler)]  # pytest's raise
    logging.getLogger("aiohttp").log(logging.ERROR + 5, "lost %d", "three")
    assert lines(out)[0]["message"] == "'lost %d' with ('three',)"
    assert lines(out)[0]["level"] == "error"


def test_warnings_are_logged() -> None:
    out = io.StringIO()
    configure_logs("info", "json", out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert lines(out)[0]["logger"] == "py.warnings"


def test_configuring_twice_writes_each_record_once_to_the_last_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    log = get_logger("x")
    configure_logs("info", "json", first)
    configure_logs("info", "json", second)
    log.info("marketprism.service.started")
    logging.getLogger("aiohttp").info("hello")
    assert first.getvalue() == ""
    assert len(lines(second)) == 2


def test_no_secret_survives_in_fields_nor_in_an_exception() -> None:
    out = io.StringIO()
    configure_logs("info", "json", out)
    try:
        fail("wss://me:Secr3t@host refused, Authorization: Bearer Secr3t")
    except ConnectionError:
        get_logger("x").exception(
            "marketprism.connection.failed", url_full="https://h/?token=Secr3t", at=[{"pwd": "Secr3t"}]
        )
        logging.getLogger("aiohttp").exception("to %s", "http://:Secr3t@h")
    assert "Secr3t" not in out.getvalue()
    ours, theirs = lines(out)
    assert "wss://***@host refused" in str(ours["exception"])
    assert "ConnectionError" in str(theirs["exception"])


@pytest.mark.parametrize("value", [object(), b"\xff", 1 << 80, float("nan"), "\ud800", {1: {2}}, "line\nbreak", "逐笔"])
def test_any_value_makes_one_line_of_json(value: object) -> None:
    out = io.StringIO()
    configure_logs("info", "json", out)
    get_logger("x").info("marketprism.library.message", message=value)
    assert out.getvalue().count("\n") == 1
    assert "NaN" not in out.getvalue()
    assert "message" in lines(out)[0]


def test_a_terminal_gets_readable_lines_and_a_file_gets_json() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        configure_logs("info", "auto", stream)
        get_logger("x").info("marketprism.book.synced", venue="kraken")
    assert "\x1b[" in terminal.getvalue()
    assert re.sub(r"\x1b\[\d+m", "", terminal.getvalue()).rstrip().endswith("venue=kraken")
    assert lines(file)[0]["venue"] == "kraken"


def test_the_style_can_be_forced() -> None:
    terminal, file = Terminal(), io.StringIO()
    configure_logs("info", "json", terminal)
    get_logger("x").info("marketprism.book.synced")
    assert lines(terminal)
    configure_logs("info", "console", file)
    get_logger("x").info("marketprism.book.synced")
    assert "\x1b" not in file.getvalue()
    assert "marketprism.book.synced" in file.getvalue()


def test_what_a_venue_sends_cannot_forge_a_line_on_the_terminal() -> None:
    out = io.StringIO()
    configure_logs("info", "console", out)
    get_logger("x").info(
        "marketprism.message.undecodable", sample="a\n2026 [info] forged", rest=["b\n"], near="\x1b[2J\x9b"
    )
    assert out.getvalue().count("\n") == 1
    assert "\x1b" not in out.getvalue()
    assert "\x9b" not in out.getvalue()


def test_an_exception_is_readable_on_the_terminal() -> None:
    out = io.StringIO()
    configure_logs("info", "console", out)
    try:
        fail("password=Secr3t")
    except ConnectionError:
        get_logger("x").exception("marketprism.service.failed")
    assert out.getvalue().rstrip().endswith("ConnectionError: password=***")
    assert "Traceback" in out.getvalue()


def test_written_and_lost_records_are_counted() -> None:
    metrics = Metrics(load_registry())
    out = io.StringIO()
    configure_logs("info", "json", out, metrics=metrics)
    log = get_logger("x")
    for say in (log.info, log.warning, log.error, log.critical, log.exception):
        say("marketprism.service.started")
    records = metrics.counter("marketprism.log.records")
    counts = {level: records.cell(log_level=level).n for level in ("debug", "info", "warning", "error", "critical")}
    assert counts == {"debug": 0, "info": 1, "warning": 1, "error": 2, "critical": 1}
    out.close()
    log.info("marketprism.service.started")
    dropped = metrics.counter("marketprism.log.records.dropped")
    assert dropped.cell(log_drop_reason="stream").n == 1
    assert records.cell(log_level="info").n == 1


def test_a_closed_stream_does_not_stop_the_one_who_logs() -> None:
    out = io.StringIO()
    configure_logs("debug", "json", out)
    out.close()
    get_logger("x").debug("marketprism.journal.rotated")


class Clock:
    now = 0

    def __call__(self) -> int:
        return self.now


def test_once_is_once_for_each_key() -> None:
    rarely = SayRarely(Clock())
    assert [rarely.once("a"), rarely.once("a"), rarely.once("b")] == [True, False, True]


def test_what_was_held_back_is_told_when_it_is_said_again() -> None:
    clock = Clock()
    dropped = Metrics(load_registry()).counter("marketprism.log.records.dropped").cell(log_drop_reason="rate")
    rarely = SayRarely(clock, dropped)
    said = []
    for clock.now in (0, 1_000_000_000, 9_999_999_999, 10_000_000_000, 30_000_000_000):
        said.append(rarely.every("decode", seconds=10))
    assert said == [0, None, None, 2, 0]
    assert dropped.n == 2


def test_the_keys_are_bounded_and_the_oldest_is_forgotten() -> None:
    rarely = SayRarely(Clock())
    for key in range(1025):
        assert rarely.once(key)
    assert not rarely.once(1)
    assert rarely.once(0)
