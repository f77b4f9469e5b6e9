"""Which segments may go: the closed ones, oldest first, and the cursors that still want them.

It owns the list of closed segments and the cursors; it deletes nothing itself (the journal does, in a thread). A
segment goes when it is old and read by all, or when the journal is too big, read or not. The live segment is never on
the list, and nothing is deleted to free disk space for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from collector.journal.layout import Segment, read_lines, segments
from collector.journal.model import Deleted, JournalSettings, Position


@dataclass(frozen=True, slots=True)
class Closed:
    """A segment that will not grow. `last_write_us`: UTC µs."""

    path: Path
    start: Position
    size: int
    last_write_us: int


class Cursor:
    """A reader's place: `position` is the next record that it wants. The reader stores it where its data goes; here it
    is in memory only.

    `lost` collects the ranges (first, end) that were deleted before they were read; who reads empties it.
    """

    def __init__(self, name: str, directory: Path, position: Position, accepted: Callable[[], Position]) -> None:
        self.name = name
        self.position = position
        self.lost: list[tuple[Position, Position]] = []
        self._directory = directory
        self._accepted = accepted

    def read(self) -> Iterator[tuple[Position, bytes]]:
        """Lines (each with its newline) from `position` on, up to what was accepted at the call; the reader moves
        `position`.
        """
        start, end = self.position, self._accepted()
        found = segments(self._directory)
        for index, segment in enumerate(found):
            if index + 1 < len(found) and found[index + 1].start <= start:
                continue
            for position, line in read_lines(segment, newest=segment == found[-1], start=start):
                if position >= end:
                    return
                if position >= start:
                    yield position, line


class Shelf:
    """The closed segments and who reads them."""

    def __init__(self, settings: JournalSettings) -> None:
        self._settings = settings
        self._closed: list[Closed] = []
        self.cursors: dict[str, Cursor] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._closed)

    def fill(self, found: list[Segment]) -> None:
        """Take over what earlier runs left. Raises OSError."""
        for segment in found:
            stat = segment.path.stat()
            self.put(Closed(segment.path, segment.start, stat.st_size, stat.st_mtime_ns // 1_000))

    def put(self, closed: Closed) -> None:
        """Add the newest."""
        self._closed.append(closed)
        self.size += closed.size

    def doomed(self, now_us: int | None, live_size: int, end: Position) -> list[Deleted]:
        """What may be deleted now, oldest first. `end`: the position after the last closed record."""
        settings = self._settings
        keep = self.size + live_size
        found = []
        for index, oldest in enumerate(self._closed):
            after = self._closed[index + 1].start if index + 1 < len(self._closed) else end
            unread = tuple(cursor.name for cursor in self.cursors.values() if cursor.position < after)
            too_big = keep > settings.retain_bytes
            too_old = now_us is not None and now_us - oldest.last_write_us >= settings.retain_age_s * 1_000_000
            if not too_big and (not too_old or unread):
                break
            reason: Literal["age", "size"] = "size" if unread or not too_old else "age"
            found.append(Deleted(oldest.path, oldest.start, after, oldest.size, reason, unread))
            keep -= oldest.size
        return found

    def gone(self, deleted: Deleted) -> None:
        """Take a deleted segment off the list and tell the cursors that it was lost for."""
        self._closed = [closed for closed in self._closed if closed.path != deleted.path]
        self.size -= deleted.size
        for cursor in self.cursors.values():
            if cursor.position < deleted.end:
                cursor.lost.append((max(cursor.position, deleted.first), deleted.end))
                cursor.position = deleted.end
