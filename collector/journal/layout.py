"""Where records are on disk: segment names, their order, and reading them back.

It owns the file name format (`<epoch>-<offset>.jsonl`; a record's position follows from its segment's name and its
line). It never writes. A reader needs no lock: a segment appears whole with its head and only grows at its end, so the
one thing that may be incomplete is the last line of the newest segment. Anything else that is no record is an error,
not skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from collector.journal.model import JournalCorruptError, JournalError, Position
from collector.records import AnyRecord, decode

SUFFIX = ".jsonl"
NEW_SUFFIX = ".new"
_NAME = re.compile(r"(\d{10})-(\d{16})\.jsonl")

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding a damaged line raises."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One segment file; `start` is the position of its first record."""

    start: Position
    path: Path


def segment_name(start: Position) -> str:
    """File name of the segment that begins at this position; names sort as positions do."""
    return f"{start.epoch:010d}-{start.offset:016d}{SUFFIX}"


def segments(directory: Path) -> list[Segment]:
    """All segments of a journal, oldest first. Other files are not looked at. Raises JournalError when there is no
    such directory.
    """
    try:
        names = [path.name for path in directory.iterdir()]
    except OSError as error:
        raise JournalError(f"{directory}: cannot be read: {error.strerror}; expected a journal's directory") from error
    found = [(name, match) for name in names if (match := _NAME.fullmatch(name))]
    return sorted(Segment(Position(int(match[1]), int(match[2])), directory / name) for name, match in found)


def read_lines(segment: Segment, *, newest: bool, start: Position | None = None) -> Iterator[tuple[Position, bytes]]:
    """The lines of one segment, each with its newline, from `start` on. The `newest` one may end in a torn line, which
    is left out.
    """
    epoch, offset = segment.start
    skip = start.offset - offset if start is not None and start.epoch == epoch else 0
    try:
        with segment.path.open("rb") as file:
            for ordinal, line in enumerate(file):
                if not line.endswith(b"\n"):
                    if newest:
                        return
                    raise JournalCorruptError(
                        f"{segment.path}:{ordinal + 1}: the line has no end; expected that of the newest segment only"
                    )
                if ordinal >= skip:
                    yield Position(epoch, offset + ordinal), line
    except OSError as error:
        raise JournalError(f"{segment.path}: cannot be read: {error.strerror}") from error


def read(path: Path, start: Position | None = None) -> Iterator[tuple[Position, AnyRecord]]:
    """Records with their positions, in order, from `start` on: of a whole journal (a directory) or of one segment (a
    file).

    Raises JournalError for what is no journal or no segment, JournalCorruptError (file and line) for a line that is no
    record.
    """
    if path.is_dir():
        chosen = everything = segments(path)
    else:
        everything = segments(path.parent)
        chosen = [segment for segment in everything if segment.path.name == path.name]
        if not chosen:
            raise JournalError(
                f"{path}: is no segment; expected an existing file named like {segment_name(Position(1, 0))}"
            )
    for index, segment in enumerate(chosen):
        after = chosen[index + 1] if index + 1 < len(chosen) else None
        if start is not None and after is not None and after.start <= start:
            continue
        newest = segment == everything[-1]
        for position, line in read_lines(segment, newest=newest, start=start):
            if start is None or position >= start:
                yield position, decode_line(segment, position, line)


def decode_line(segment: Segment, position: Position, line: bytes) -> AnyRecord:
    """One line to its record. Raises JournalCorruptError."""
    try:
        record: AnyRecord = decode(line)
    except UNDECODABLE as error:
        number = position.offset - segment.start.offset + 1
        raise JournalCorruptError(f"{segment.path}:{number}: is no record: {error}") from error
    return record
