"""Tapes: recorded inputs of venue cores, one JSON object a line.

The line format is that of public recordings (`exchange, transport (ws|rest), channel, market, run, n, recv_ts, request,
raw`), so that other people's recordings and ours are read by the same code. A tape that `record` wrote adds `mono_ns`,
REST answers' `fetch` and `status`, and `transport: control` lines (start, connected, disconnected, wake), which make a
replay give the same records as the live run. `raw` is always the message as text; a binary message is base64 with
`encoding: base64`.

The whole tape is validated before its first record is used. Errors name file and line and what was expected.
"""

from __future__ import annotations

import base64
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import msgspec
from msgspec import Struct

from collector.clock import Now
from collector.venues.protocol import Answer, CoreSettings, Fetch, FrameKind, Wanted

VENUES_KNOWN = ("binance", "okx", "coinbase", "kraken")
Transport = Literal["ws", "rest", "control"]


class TapeError(Exception):
    """The tape cannot be used; the message names file, line and what was expected."""


class TapeLine(Struct, omit_defaults=True, kw_only=True):
    """One line.

    `n` orders lines of one run; `recv_ts` is UTC seconds; `mono_ns` the host's monotonic clock (own tapes only).
    """

    exchange: str
    transport: Transport
    channel: str
    raw: str
    market: str = "spot"
    run: str | None = None
    n: int | None = None
    recv_ts: float | None = None
    mono_ns: int | None = None
    request: str | None = None
    encoding: str | None = None
    reason: str | None = None
    fetch: int | None = None
    status: int | None = None
    error: str | None = None


class RunStart(Struct):
    """`raw` of a control/start line: what the recorded core was made with."""

    wanted: list[tuple[str, str]]
    settings: dict[str, str | int | float | bool]


class Closed(Struct):
    """`raw` of a control/disconnected line."""

    cause: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: file name and 1-based line number."""

    file: str
    line: int

    def __str__(self) -> str:
        """`file:line`, as editors understand it."""
        return f"{self.file}:{self.line}"


_line_decoder = msgspec.json.Decoder(TapeLine)
_encoder = msgspec.json.Encoder()


def read_tape(path: Path, *, tolerate_torn: bool = False) -> list[tuple[Place, TapeLine]]:
    """Read and validate a whole tape.

    Raises TapeError for a missing, empty, binary, foreign or truncated file. `tolerate_torn` drops a last line that
    lost its end.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TapeError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise TapeError(f"{path}: is empty; expected a tape with one JSON object a line")
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [
        (Place(str(path), number), line)
        for number, raw in enumerate(lines, 1)
        if raw.strip()
        for line in [_read_line(path, number, raw, last=number == len(lines), tolerate_torn=tolerate_torn)]
        if line is not None
    ]


def _read_line(path: Path, number: int, raw: bytes, *, last: bool, tolerate_torn: bool) -> TapeLine | None:
    where = f"{path}:{number}"
    try:
        line = _line_decoder.decode(raw)
    except msgspec.ValidationError as error:
        wanted = "an object with exchange, transport (ws, rest), channel, raw"
        raise TapeError(f"{where}: is not a tape line: {error}; expected {wanted}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if last:
            if tolerate_torn:
                return None
            hint = "--tolerate-torn replays what stands before it"
            raise TapeError(f"{where}: the last line is torn ({error}); {hint}") from error
        raise TapeError(f"{where}: is not JSON ({error}); expected one JSON object a line") from error
    if line.exchange not in VENUES_KNOWN:
        near = difflib.get_close_matches(line.exchange, VENUES_KNOWN, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TapeError(f"{where}: unknown exchange {line.exchange!r}; expected one of {', '.join(VENUES_KNOWN)}{hint}")
    return line


class TapeWriter:
    """Writes the inputs of cores as they happen: one instance a file, one `TapeRun` a core.

    Raises OSError when the file cannot be written. An existing file is never overwritten: FileExistsError.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("xb")

    def run(
        self, name: str, venue: str, market: str, wanted: list[Wanted], settings: CoreSettings, now: Now
    ) -> TapeRun:
        """Begin one core's run. `name` must be unique on the tape."""
        run = TapeRun(self, name, venue, market)
        start = RunStart([(want.instrument, want.channel) for want in wanted], msgspec.to_builtins(settings))
        run.control("start", now, _encoder.encode(start).decode())
        return run

    def write(self, line: TapeLine) -> None:
        """Append one line."""
        self._file.write(_encoder.encode(line) + b"\n")

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


class TapeRun:
    """One core's inputs, in the order in which the core got them."""

    def __init__(self, writer: TapeWriter, name: str, venue: str, market: str) -> None:
        self._writer = writer
        self._name, self._venue, self._market = name, venue, market
        self._n = 0

    def connected(self, now: Now) -> None:
        """See `Core.connected`."""
        self.control("connected", now)

    def disconnected(self, now: Now, cause: str) -> None:
        """See `Core.disconnected`."""
        self.control("disconnected", now, _encoder.encode(Closed(cause)).decode())

    def wake(self, now: Now) -> None:
        """See `Core.wake`."""
        self.control("wake", now)

    def frame(self, kind: FrameKind, data: bytes, now: Now) -> None:
        """See `Core.frame`; `kind` is what it returned."""
        self._write("ws", kind, now, *_as_text(data))

    def binary(self, data: bytes, now: Now) -> None:
        """See `Core.binary`."""
        self._write("ws", "binary", now, base64.b64encode(data).decode(), "base64")

    def reply(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        """See `Core.reply`."""
        raw, encoding = _as_text(answer.body)
        line = self._line("rest", fetch.endpoint, now, raw, encoding)
        line.request, line.fetch, line.status, line.error = (
            answer.request,
            fetch.id,
            answer.status,
            answer.error or None,
        )
        self._writer.write(line)

    def control(self, channel: str, now: Now, raw: str = "") -> None:
        """Write a control line."""
        self._write("control", channel, now, raw)

    def _write(self, transport: Transport, channel: str, now: Now, raw: str, encoding: str | None = None) -> None:
        self._writer.write(self._line(transport, channel, now, raw, encoding))

    def _line(self, transport: Transport, channel: str, now: Now, raw: str, encoding: str | None) -> TapeLine:
        self._n += 1
        recv_ts = None if now.wall_us is None else now.wall_us / 1e6
        return TapeLine(
            exchange=self._venue, transport=transport, channel=channel, raw=raw, market=self._market, run=self._name,
            n=self._n, recv_ts=recv_ts, mono_ns=now.mono_ns, encoding=encoding,
        )  # fmt: skip


def _as_text(data: bytes) -> tuple[str, str | None]:
    """Give bytes as JSON-safe text and its encoding: text as it is, anything else as base64."""
    try:
        return data.decode(), None
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), "base64"


def body(line: TapeLine) -> bytes:
    """Give the message's bytes as they came. Raises TapeError when a base64 text is broken."""
    if line.encoding is None:
        return line.raw.encode()
    try:
        return base64.b64decode(line.raw, validate=True)
    except ValueError as error:
        raise TapeError(f"run {line.run} n {line.n}: raw is not base64") from error
