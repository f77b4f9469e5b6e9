"""The words of the journal: settings, positions, what its listener is told, and its errors. Values only: no file is
touched here.

JournalError
├── JournalLockedError     another collector writes to this directory
└── JournalCorruptError    a line that no crash explains
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from collector.records import CHANNEL_OF, Gap, Market, Record

Reason = Literal["disk_full", "read_only", "reserve", "error"]
"""Why the journal does not accept: no room (ENOSPC, EDQUOT, EFBIG), may not write, below its free-disk reserve, any
other error.
"""

SegmentKind = Literal["first", "full", "recovered"]
"""Why a segment began: the journal was opened, the one before it was full or old, or the journal can write again."""

_REASONS: dict[int | None, Reason] = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
}


class JournalError(Exception):
    """The journal cannot be opened or read; the message says where and what was expected."""


class JournalLockedError(JournalError):
    """Another collector holds the directory."""


class JournalCorruptError(JournalError):
    """A segment holds a line that is no record, and it is not the torn end of the newest one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Where the journal is and how much it may take. Sizes in bytes, times in seconds."""

    directory: Path
    segment_bytes: int = 64 << 20
    segment_age_s: float = 3600.0
    retain_age_s: float = 7 * 86_400.0
    retain_bytes: int = 20 << 30
    reserve_bytes: int | None = None
    """Writing stops when less than this is free. None: 1 GiB or 5 % of the file system, whichever is less. 0: never."""
    sync_every_s: float = 1.0


class Position(NamedTuple):
    """A record's place: `offset` is its ordinal within `epoch`. They compare as written; none is used twice."""

    epoch: int
    offset: int

    def __str__(self) -> str:
        """`<epoch>-<offset>`, as Redis stream ids are written."""
        return f"{self.epoch}-{self.offset}"


class StreamKey(NamedTuple):
    """What a Gap is about."""

    venue: str
    market: Market
    instrument: str
    symbol: str
    channel: str

    def gap(self, *, now_us: int | None, detected_us: int | None, cause: Literal["restart", "journal"]) -> Gap:
        """Make a Gap of this stream with nothing known but when and why."""
        return Gap(
            venue=self.venue,
            market=self.market,
            instrument=self.instrument,
            symbol=self.symbol,
            ts=None,
            recv_ts=now_us,
            channel=self.channel,
            first=None,
            last=None,
            count=None,
            cause=cause,
            detected_ts=detected_us,
            repaired_ts=None,
        )


def stream_of(record: Record) -> StreamKey:
    """The stream that a record belongs to."""
    channel = record.channel if isinstance(record, Gap) else CHANNEL_OF[type(record)]
    return StreamKey(record.venue, record.market, record.instrument, record.symbol, channel)


@dataclass(frozen=True, slots=True)
class StreamSeen:
    """The last that the previous run wrote of a stream. `last_id`: the highest trade id that is a number, or None."""

    stream: StreamKey
    last_id: int | None
    last_recv_us: int | None


@dataclass(frozen=True, slots=True)
class Tail:
    """What a repair cut from the end of `path`: `size` bytes, `records` of which were still valid and are kept in
    `damaged`.
    """

    path: Path
    size: int
    records: int
    damaged: Path | None


@dataclass(frozen=True, slots=True)
class Opened:
    """What `open` found. `streams`: everything that the previous run collected."""

    epoch: int
    tail: Tail | None
    streams: tuple[StreamSeen, ...]
    segments: int
    size: int


@dataclass(frozen=True, slots=True)
class Failing:
    """The journal does not accept. `error` is the system's name of it (ENOSPC; empty for the reserve), `since_us` UTC
    µs.
    """

    reason: Reason
    error: str
    path: Path
    detail: str
    since_us: int | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """The journal accepts again.

    `gaps`: what it wrote about the outage: the Gaps that others found meanwhile, then its own (cause `journal`).
    """

    was: Failing
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """A segment began."""

    path: Path
    start: Position
    kind: SegmentKind
    head: int


@dataclass(frozen=True, slots=True)
class RotationFailed:
    """No new segment could be made; the old one goes on."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A segment is gone, records `first` up to but without `end`. `unread_by`: the cursors that it is lost for."""

    path: Path
    first: Position
    end: Position
    size: int
    reason: Literal["age", "size"]
    unread_by: tuple[str, ...]


class JournalListener(Protocol):
    """What the journal tells as it happens, always on the event loop's thread. Telemetry is one implementation."""

    def written(self, records: int, size: int, duration_ns: int) -> None:
        """Hear that one burst was accepted; the time is that of the write alone."""

    def dropped(self, reason: Reason, records: int) -> None:
        """Hear that records could not be accepted."""

    def synced(self, records: int, duration_ns: int) -> None:
        """Hear that so many more records survive a power loss."""

    def tail_cut(self, tail: Tail) -> None:
        """Hear what the repair at open cut off."""

    def rotated(self, rotated: Rotated) -> None:
        """Hear that a segment began."""

    def rotation_failed(self, failed: RotationFailed) -> None:
        """Hear that a segment could not begin; it is tried again."""

    def failing(self, failing: Failing) -> None:
        """Hear that the journal stopped accepting."""

    def recovered(self, recovered: Recovered) -> None:
        """Hear that it accepts again."""

    def deleted(self, deleted: Deleted) -> None:
        """Hear that a segment was deleted."""

    def delete_failed(self, path: Path, detail: str) -> None:
        """Hear that one could not be; it is tried again."""


def reason_of(error: OSError) -> Reason:
    """Sort an operating system's error."""
    return _REASONS.get(error.errno, "error")


def error_name(error: OSError) -> str:
    """`ENOSPC` and the like."""
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
