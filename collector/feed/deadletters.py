"""The dead-letter file: messages that could not be decoded, as they came, in the line format of tapes, so that `replay`
reads them.

It owns one file and its bound. It must never stop collection: what it cannot keep is counted and reported once. When
the file is full it becomes the older generation (`.1`) and a new one begins, but at most once in `ROTATE_NS`: a venue
that sends nothing but garbage must not wear out a disk, and the first letters tell more than the millionth.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from collector.clock import SECOND_NS
from collector.feed.tape import TapeLine
from collector.records import Market
from collector.venues.protocol import DeadLetter

DEFAULT_MAX_BYTES = 16 * 1024 * 1024
ROTATE_NS = 3600 * SECOND_NS

Trouble = Literal["full", "failing"]
OnTrouble = Callable[[Trouble, Path, str], None]
"""Told once when letters begin to be dropped: why, the file, and a text."""

_encoder = msgspec.json.Encoder()


class DeadLetters:
    """Appends to `path`, at most `max_bytes` in each of its two generations. `written` and `dropped` count letters."""

    def __init__(self, path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, on_trouble: OnTrouble | None = None) -> None:
        self.path = path
        self.written = 0
        self.dropped = 0
        self._max_bytes = max_bytes
        self._on_trouble = on_trouble
        self._fd: int | None = None
        self._size = 0
        self._rotated_ns: int | None = None
        self._trouble: Trouble | None = None

    def write(self, venue: str, market: Market, run: str, letter: DeadLetter) -> bool:
        """Keep a letter; whether it could be kept. `run` names the connection that it came on."""
        line = _encoder.encode(self._line(venue, market, run, letter)) + b"\n"
        try:
            kept = self._has_room(len(line), letter.now.mono_ns) and self._append(self._open(), line)
        except OSError as error:
            self._in_trouble("failing", error.strerror or str(error))
            self.close()  # so that the next letter opens, and repairs, the file anew
            kept = False
        if kept:
            self.written += 1
            self._trouble = None
        else:
            self.dropped += 1
        return kept

    def close(self) -> None:
        """Close the file. A later letter opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _line(self, venue: str, market: Market, run: str, letter: DeadLetter) -> TapeLine:
        try:
            raw, encoding = letter.raw.decode(), None
        except UnicodeDecodeError:
            raw, encoding = base64.b64encode(letter.raw).decode(), "base64"
        if letter.reason == "binary" and encoding is None:
            raw, encoding = base64.b64encode(letter.raw).decode(), "base64"
        wall_us = letter.now.wall_us
        return TapeLine(
            exchange=venue,
            transport="ws",
            channel="binary" if letter.reason == "binary" else letter.channel,
            raw=raw,
            market=market,
            run=run,
            n=self.written + self.dropped,
            recv_ts=None if wall_us is None else wall_us / 1e6,
            encoding=encoding,
            reason=letter.reason,
        )

    def _has_room(self, size: int, now_ns: int) -> bool:
        self._open()
        if self._size + size <= self._max_bytes:
            return True
        too_soon = self._rotated_ns is not None and now_ns - self._rotated_ns < ROTATE_NS
        if too_soon or size > self._max_bytes:
            self._in_trouble("full", f"{self._size} of {self._max_bytes} bytes are used")
            return False
        self.close()
        self.path.replace(self.path.with_name(self.path.name + ".1"))
        self._rotated_ns = now_ns
        return True

    def _open(self) -> int:
        if self._fd is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
            self._size = self._cut_torn_end(self._fd)
        return self._fd

    @staticmethod
    def _cut_torn_end(fd: int) -> int:
        """Give the size without a last line that a kill cut: a tape with a broken line in it is refused."""
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            size = os.pread(fd, size, 0).rfind(b"\n") + 1
            os.ftruncate(fd, size)
        return size

    def _append(self, fd: int, line: bytes) -> bool:
        written = os.write(fd, line)
        if written != len(line):
            os.ftruncate(fd, self._size)
            self._in_trouble("failing", "No space left on device")
            return False
        self._size += written
        return True

    def _in_trouble(self, trouble: Trouble, text: str) -> None:
        if self._trouble != trouble and self._on_trouble is not None:
            self._on_trouble(trouble, self.path, text)
        self._trouble = trouble
