"""The log of the process: one line per event, JSON or readable, on stderr, and by OTLP where that is on.

It owns the way of every log record, ours and the libraries', from the call to the stream. A line written inside a span
carries its ids. It must never let a secret
through, never raise into the code that logs, and never be called per message of a feed. Our own loggers are
structlog's; what aiohttp and asyncio say to the standard library's logging goes through the same chain as the event
`marketprism.library.message`. Event names and fields are declared in `schema/events.yaml`; a test reads the code for
others.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TextIO, cast, get_args

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from telemetry.cells import Counter, Metrics
from telemetry.model import Severity
from telemetry.redaction import Plain, redact_value
from telemetry.tracing import SpanRef, current

Style = Literal["auto", "json", "console"]
LIBRARY_EVENT = "marketprism.library.message"
LEVELS: tuple[Severity, ...] = get_args(Severity)

_MOST_KEYS = 1024
_REPEATED = ("opentelemetry", "urllib3", "requests", "grpc")
"""Libraries that say the same again at every export while a receiver is away."""
_REPEAT_S = 60.0


class Export(Protocol):
    """Where finished lines go beside the stream. It must not block nor raise."""

    def __call__(self, level: Severity, line: Mapping[str, Plain], time_ns: int, span: SpanRef) -> None:
        """Take a redacted line: its fields by key, its time in ns since 1970, the span that it was written in."""


def configure_logs(
    level: Severity = "info",
    style: Style = "auto",
    stream: TextIO | None = None,
    *,
    metrics: Metrics | None = None,
    export: Export | None = None,
    now_ns: Callable[[], int] = time.time_ns,
) -> None:
    """Send all logs of the process to `stream` (stderr), from `level` up. May be called again: the last call counts.

    `style` auto is readable and coloured on a terminal, JSON elsewhere. With `metrics`, written and lost records are
    counted. `export` gets every line too. `now_ns` tells the time in ns since 1970.
    """
    out = sys.stderr if stream is None else stream
    if style == "auto":
        style = "console" if out.isatty() else "json"
    counts: dict[str, Counter] = (
        {name: metrics.counter("marketprism.log.records").cell(log_level=name) for name in LEVELS} if metrics else {}
    )
    lost = metrics.counter("marketprism.log.records.dropped").cell(log_drop_reason="stream") if metrics else None
    renderer = _console(colors=out.isatty()) if style == "console" else _json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _Stamp(now_ns),
            _exception,
            _redact,
            _Tap(export),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda name: _Lines(name, out, counts, lost),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _LibraryHandler)]
    rate = metrics.counter("marketprism.log.records.dropped").cell(log_drop_reason="rate") if metrics else None
    root.addHandler(_LibraryHandler(SayRarely(time.monotonic_ns, rate)))
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> FilteringBoundLogger:
    """Make a module's logger, once at its top; it follows the last `configure_logs`.

    `log = get_logger(__name__)`, then `log.info("marketprism.book.synced", venue="kraken")`.
    """
    return cast("FilteringBoundLogger", structlog.get_logger(name))


class SayRarely:
    """Decides whether to say something again. `mono_ns` tells the time; `dropped` counts what was not said.

    Usage: `if (n := rarely.every("decode", seconds=10)) is not None: log.warning(…, suppressed=n)`. The last 1024 keys
    are remembered; one that was forgotten is said again.
    """

    def __init__(self, mono_ns: Callable[[], int], dropped: Counter | None = None) -> None:
        self._mono_ns = mono_ns
        self._dropped = dropped
        self._said: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()

    def once(self, key: Hashable) -> bool:
        """Whether this is the first time for this key."""
        return self.every(key, seconds=float("inf")) is not None

    def every(self, key: Hashable, seconds: float) -> int | None:
        """None if the key was said less than so many seconds ago; else how many times it was held back since."""
        now = self._mono_ns()
        said, held = self._said.get(key, (None, 0))
        if said is not None and now - said < seconds * 1e9:
            self._said[key] = (said, held + 1)
            if self._dropped is not None:
                self._dropped.n += 1
            return None
        self._said[key] = (now, 0)
        self._said.move_to_end(key)
        if len(self._said) > _MOST_KEYS:
            self._said.popitem(last=False)
        return held


class _Stamp:
    """Adds the logger's name, the UTC time to the microsecond, and the ids of the span that the code is inside of."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns

    def __call__(self, logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["logger"] = logger.name
        now = event[_TIME] = self._now_ns()
        seconds, micros = divmod(now // 1000, 1_000_000)
        when = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros, tzinfo=None)
        event["timestamp"] = when.isoformat(timespec="microseconds") + "Z"
        if (span := current()).trace_id:
            event["trace_id"], event["span_id"] = f"{span.trace_id:032x}", f"{span.span_id:016x}"
        return event


class _Tap:
    """Gives the line to OTLP and takes out of it what is for OTLP alone."""

    def __init__(self, export: Export | None) -> None:
        self._export = export

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        time_ns = int(event.pop(_TIME))
        if self._export is not None:
            self._export(event["level"], event, time_ns, current())
        for name in _FOR_OTLP:
            event.pop(name, None)
        return event


def _exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The exception as text, and for OTLP its class and message beside it."""
    given = event.get("exc_info")
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception_type"], event["exception_message"] = type(error).__qualname__, str(error)
    return structlog.processors.format_exc_info(logger, method, event)


_TIME = "_time_ns"
_FOR_OTLP = ("exception_type", "exception_message")


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Everything that the line holds, without secrets and as plain JSON."""
    return cast("dict[str, Any]", redact_value(event))


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event", "logger") if name in event}
    return json.dumps({**first, **event}, ensure_ascii=False, separators=(",", ":"))


def _console(*, colors: bool) -> Callable[[WrappedLogger, str, EventDict], str]:
    render = structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )

    def console(logger: WrappedLogger, method: str, event: EventDict) -> str:
        # What a venue sends must neither forge a line nor steer the terminal.
        shown = {name: item if name == "exception" else _printable(item) for name, item in event.items()}
        return str(render(logger, method, shown))

    return console


def _printable(value: Plain) -> Plain:
    if isinstance(value, str) and not value.isprintable():
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in value)
    return value


@dataclass(frozen=True, slots=True)
class _Lines:
    """Writes the finished lines of one logger. structlog calls the method that is named as the level."""

    name: str
    stream: TextIO
    counts: Mapping[str, Counter]
    lost: Counter | None

    def _write(self, level: str, line: str) -> None:
        # A closed pipe or a full disk must not stop the data: the record is counted as lost.
        try:
            self.stream.write(line + "\n")
            self.stream.flush()
        except (OSError, ValueError):
            if self.lost is not None:
                self.lost.n += 1
        else:
            if level in self.counts:
                self.counts[level].n += 1

    def debug(self, line: str) -> None:
        self._write("debug", line)

    def info(self, line: str) -> None:
        self._write("info", line)

    def warning(self, line: str) -> None:
        self._write("warning", line)

    def error(self, line: str) -> None:
        self._write("error", line)

    def critical(self, line: str) -> None:
        self._write("critical", line)


class _LibraryHandler(logging.Handler):
    """Hands a record of the standard library's logging to our own chain, at its own level."""

    def __init__(self, rarely: SayRarely) -> None:
        super().__init__()
        self._rarely = rarely

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = f"{record.msg!r} with {record.args!r}"  # a library's format and its arguments do not fit
        level = max(number for number in (10, 20, 30, 40, 50) if number <= max(record.levelno, 10))
        more: dict[str, int] = {}
        if record.name.partition(".")[0] in _REPEATED:
            held = self._rarely.every((record.name, level, record.msg), _REPEAT_S)
            if held is None:
                return
            more = {"suppressed": held} if held else {}
        get_logger(record.name).log(level, LIBRARY_EVENT, message=message, exc_info=record.exc_info, **more)
