"""What happens before the first record is written: the lock, the repair of the last run's end, the next epoch, what
that run collected.

It owns the files LOCK and EPOCH and is the only code that changes a segment which it did not write. It cuts from the
newest segment everything from the first line that is no record. A crash tears only the end; where valid records
follow, that is damage, and the part cut off is kept beside the segment. Nothing here runs after `open`, so plain
blocking calls are right.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from collector.clock import Now
from collector.journal.layout import NEW_SUFFIX, SUFFIX, UNDECODABLE, Segment
from collector.journal.model import (
    JournalError,
    JournalLockedError,
    Opened,
    StreamKey,
    StreamSeen,
    Tail,
    stream_of,
)
from collector.journal.system import System
from collector.records import AnyRecord, Gap, Trade, decode

LOCK = "LOCK"
EPOCH = "EPOCH"
LOOK_BACK_BYTES = 64 << 20
"""How much before the newest segment is read for streams that are quiet; older silence is in the Gaps that began that
epoch.
"""


def lock(directory: Path) -> int:
    """Take the directory for this process; give the open LOCK file. Raises JournalLockedError naming the holder,
    OSError.
    """
    path = directory / LOCK
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise JournalLockedError(
            f"{directory}: is in use by process {holder}; expected one collector a journal (it holds {path})"
        ) from error
    except OSError:
        os.close(fd)
        raise
    with contextlib.suppress(OSError):  # the lock holds; only its label needs room on the disk
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def last_epoch(directory: Path, found: list[Segment]) -> int:
    """The highest epoch ever used here, 0 for none, also when its segments are gone. Raises JournalError."""
    path = directory / EPOCH
    highest = found[-1].start.epoch if found else 0
    try:
        text = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return highest
    if not text.isdecimal():
        raise JournalError(f"{path}: expected one number, the highest epoch ever used, got {text[:20]!r}")
    return max(highest, int(text))


def claim_epoch(directory: Path, epoch: int, system: System) -> None:
    """Write down that this epoch is used. It needs all that a new segment needs, so it is the probe as well. Raises
    OSError.
    """
    system.replace_file(directory / EPOCH, f"{epoch}\n".encode())


def sweep(directory: Path, system: System) -> None:
    """Remove segment heads that a crash left unfinished; none of their records was accepted. Raises OSError."""
    for path in directory.glob(f"*{SUFFIX}{NEW_SUFFIX}"):
        system.unlink(path)


def repair(segment: Segment, system: System) -> Tail | None:
    """Cut off the end of the newest segment from the first line that is no record. A segment with nothing left is
    removed. Raises OSError.
    """
    good = torn = valid_after = 0
    with segment.path.open("rb") as file:
        for line in file:
            is_record = line.endswith(b"\n") and _decodes(line)
            if is_record and not torn:
                good += len(line)
            else:
                torn += len(line)
                valid_after += is_record
    tail = None
    if torn:
        damaged = segment.path.with_name(f"{segment.path.name}.damaged") if valid_after else None
        fd = system.open(segment.path, os.O_RDWR, 0)
        try:
            if damaged is not None:
                _keep(fd, good, torn, damaged, system)
            system.truncate(fd, good)
            os.fsync(fd)
        finally:
            os.close(fd)
        tail = Tail(segment.path, torn, valid_after, damaged)
    if good == 0:
        system.unlink(segment.path)
    return tail


def _keep(fd: int, start: int, size: int, damaged: Path, system: System) -> None:
    """Copy what will be cut off. Appends: a crash before the cut repeats it, and a repeated copy loses nothing."""
    kept = system.open(damaged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        end = start + size
        while start < end:
            part = os.pread(fd, min(1 << 20, end - start), start)
            system.write_all(kept, part)
            start += len(part)
        system.sync_data(kept)
    finally:
        os.close(kept)


def _decodes(line: bytes) -> bool:
    try:
        decode(line)
    except UNDECODABLE:
        return False
    return True


def streams_of_last_run(found: list[Segment]) -> tuple[StreamSeen, ...]:
    """Every stream of the last epoch on disk, in the order in which they were first met, newest segment first."""
    seen: dict[StreamKey, StreamSeen] = {}
    budget = LOOK_BACK_BYTES
    for segment in reversed(found):
        if segment.start.epoch != found[-1].start.epoch:
            break
        if segment != found[-1]:
            budget -= segment.path.stat().st_size
            if budget < 0:
                break
        for stream in _last_of_each(_records(segment)):
            later = seen.get(stream.stream)
            if later is None:
                seen[stream.stream] = stream
            elif later.last_id is None:
                seen[stream.stream] = StreamSeen(stream.stream, stream.last_id, later.last_recv_us)
    return tuple(seen.values())


def _records(segment: Segment) -> Iterator[AnyRecord]:
    """What can be read of it. Damage in an old segment is for its readers to report: it must not keep the collector
    from starting.
    """
    with segment.path.open("rb") as file:
        for line in file:
            with contextlib.suppress(*UNDECODABLE):
                yield decode(line)


def _last_of_each(records: Iterable[AnyRecord]) -> list[StreamSeen]:
    ids: dict[StreamKey, int | None] = {}
    times: dict[StreamKey, int | None] = {}
    for record in records:
        key = stream_of(record)
        times[key] = record.recv_ts
        known = _id_of(record)
        before = ids.get(key)
        ids[key] = known if before is None or (known is not None and known > before) else before
    return [StreamSeen(key, ids[key], at) for key, at in times.items()]


def _id_of(record: AnyRecord) -> int | None:
    """The trade id up to which the stream's story is told by this record."""
    if isinstance(record, Trade):
        return int(record.id) if record.id.isdecimal() else None
    if isinstance(record, Gap) and record.channel == "trades":
        if record.last is None:
            return None if record.first is None else record.first - 1
        return record.last
    return None


def restart_gaps(opened: Opened, now: Now) -> list[Gap]:
    """One Gap (cause `restart`) for each stream of the previous run: what happened until this run sees the stream
    again is missing.

    Trades are missing from the id after the last one written; the end is open, so is the count.
    """
    gaps = []
    for seen in opened.streams:
        gap = seen.stream.gap(now_us=now.wall_us, detected_us=now.wall_us, cause="restart")
        if seen.last_id is not None:
            gap.first = seen.last_id + 1
        gaps.append(gap)
    return gaps
