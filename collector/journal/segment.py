"""The segment that is being written: one file descriptor and the length up to which its bytes are accepted.

It owns all-or-nothing: a burst is in the file whole or not at all, and what was in it before is never harmed. Writes
come from the event loop, `sync` also from a thread: a lock keeps a sync from meeting a close. A sync that failed once
fails for ever, because the kernel may then report success for pages that it has thrown away
(https://wiki.postgresql.org/wiki/Fsync_Errors): the journal goes on in a new file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from collector.clock import Now
from collector.journal.layout import NEW_SUFFIX, segment_name
from collector.journal.model import Position
from collector.journal.system import System
from collector.records import Record, encode_lines

BURST_RECORDS = 256
"""The most records that one write carries."""


def bursts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Cut into writes."""
    for first in range(0, len(records), BURST_RECORDS):
        yield records[first : first + BURST_RECORDS]


class LiveSegment:
    """An open segment. `size`: accepted bytes. `torn`: bytes of a failed write may still stand behind them."""

    def __init__(self, system: System, fd: int, path: Path, start: Position, begun: Now) -> None:
        self.path = path
        self.start = start
        self.begun = begun
        self.size = 0
        self.torn = False
        self._system = system
        self._fd = fd
        self._lock = threading.Lock()
        self._closed = False
        self._sync_error: OSError | None = None

    @classmethod
    def create(
        cls, system: System, directory: Path, start: Position, head: Sequence[Record], begun: Now
    ) -> LiveSegment:
        """Make a segment that appears, durable and with its whole head, or not at all. Raises OSError."""
        path = directory / segment_name(start)
        new = path.with_name(path.name + NEW_SUFFIX)
        fd = system.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        segment = cls(system, fd, path, start, begun)
        made = new
        try:
            for burst in bursts(head):
                segment.append(encode_lines(burst))
            segment.sync()
            system.rename(new, path)
            made = path
            system.sync_directory(directory)
        except OSError:
            segment.close()
            # What cannot be removed now is: a `.new` file is swept at the next open.
            with contextlib.suppress(OSError):
                system.unlink(made)
            raise
        return segment

    def append(self, payload: bytes) -> None:
        """Write it whole. Raises OSError; the file is then cut back to what it held before, or `torn`."""
        try:
            self._system.write_all(self._fd, payload)
        except OSError:
            self.torn = True
            with contextlib.suppress(OSError):  # mend() is tried again before the journal accepts anything
                self.mend()
            raise
        self.size += len(payload)

    def mend(self) -> None:
        """Cut off what a failed write left. Raises OSError."""
        if self.torn:
            self._system.truncate(self._fd, self.size)
            self.torn = False

    def sync(self) -> None:
        """Make all accepted bytes survive a power loss. Blocks; any thread. Raises OSError, then for ever."""
        with self._lock:
            if self._closed:
                return  # whoever closed it has synced it or has given it up
            if self._sync_error is not None:
                raise self._sync_error
            try:
                self._system.sync_data(self._fd)
                if os.fstat(self._fd).st_nlink == 0:
                    raise FileNotFoundError(
                        errno.ENOENT, "the segment was deleted while it was written", str(self.path)
                    )
            except OSError as error:
                self._sync_error = error
                raise

    def close(self) -> None:
        """Close the file; a sync in another thread ends first."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._fd)
