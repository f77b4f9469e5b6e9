"""The operating system's calls that a journal's life depends on, as one value: a test can make any of them fail.

It owns nothing but the choice of call (macOS needs another one for durability) and the loop that finishes short writes.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

if sys.platform == "darwin":
    import fcntl

    def _sync_data(fd: int) -> None:
        # fsync on macOS stops at the drive's cache: https://developer.apple.com/documentation/xcode/reducing-disk-writes
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

else:
    _sync_data = os.fdatasync


class Space(NamedTuple):
    """Bytes of a file system: free to us, and in total."""

    free: int
    total: int


def _space(directory: Path) -> Space:
    found = os.statvfs(directory)
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


@dataclass(frozen=True, slots=True)
class System:
    """Each call as `os` has it; all raise OSError."""

    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, bytes | memoryview], int] = os.write
    truncate: Callable[[int, int], None] = os.ftruncate
    sync_data: Callable[[int], None] = _sync_data
    rename: Callable[[Path, Path], None] = os.rename
    unlink: Callable[[Path], None] = os.unlink
    space: Callable[[Path], Space] = _space

    def write_all(self, fd: int, payload: bytes) -> None:
        """Write it in one call, or in as many as the system makes of it."""
        written = self.write(fd, payload)
        while written < len(payload):
            more = self.write(fd, memoryview(payload)[written:])
            if more == 0:
                raise OSError(errno.EIO, "the system writes nothing and reports no error")
            written += more

    def sync_directory(self, directory: Path) -> None:
        """Make a rename or a new name in this directory survive a power loss."""
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def replace_file(self, path: Path, content: bytes) -> None:
        """Write a small file so that after a crash it is either the old one or the new one."""
        new = path.with_name(f"{path.name}.new")
        fd = self.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self.write_all(fd, content)
            self.sync_data(fd)
        finally:
            os.close(fd)
        self.rename(new, path)
        self.sync_directory(path.parent)


SYSTEM = System()
