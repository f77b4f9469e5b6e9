"""The journal: takes records, appends them, keeps the promise about them.

It owns the state (accepting or failing), the counters and the live segment. `append` and `rotate` are synchronous,
called on the event loop, and never wait for anything but the write (and, once a segment, its sync). Everything slow
(syncs, probing a sick disk, deleting) is planned on the loop, done in a thread by `run`, and settled on the loop, so
no state is shared between threads. It imports no telemetry: a listener is told.

    accepted   the write returned: it survives the end of this process
    durable    a sync returned after it: it survives a power loss; never more than accepted; less, if a sync failed
    failing    nothing is accepted; every second the disk is tried again; the first segment afterwards begins with a
               Gap for each stream that lost something, and fresh snapshots
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from collector.clock import SECOND_NS, Clock, Now
from collector.journal import recovery
from collector.journal.chores import Chores
from collector.journal.layout import segments
from collector.journal.losses import Losses
from collector.journal.model import (
    Failing,
    JournalError,
    JournalListener,
    JournalSettings,
    Opened,
    Position,
    Recovered,
    Rotated,
    RotationFailed,
    SegmentKind,
    error_name,
    reason_of,
)
from collector.journal.retention import Closed, Cursor, Shelf
from collector.journal.segment import LiveSegment, bursts
from collector.journal.system import SYSTEM, Space, System
from collector.records import Record, encode_lines

PROBE_NS = SECOND_NS
RETENTION_NS = 60 * SECOND_NS
ROTATION_RETRY_NS = 10 * SECOND_NS
RESERVE_MOST = 1 << 30
RESERVE_SHARE = 20  # the reserve is at most a twentieth (5 %) of the file system
RESERVE_MARGIN = 16  # writing resumes with a sixteenth more than the reserve free, so that it does not flap


class Journal:
    """One directory of segments with one writer. Call `open` first, `close` last; `rotate` whenever `due`."""

    def __init__(
        self, settings: JournalSettings, clock: Clock, listener: JournalListener, system: System = SYSTEM
    ) -> None:
        self.settings = settings
        self.epoch = 0
        self.accepted = 0
        """Records of this run that were written; also the next record's offset."""
        self.accepted_bytes = 0
        self.durable = 0
        self.dropped = 0
        self.free: int | None = None
        """Free bytes of the file system at the last look."""
        self.capacity: int | None = None
        """Its size, bytes."""
        self._clock = clock
        self._listener = listener
        self._system = system
        self._lock: int | None = None
        self._live: LiveSegment | None = None
        self._settled = 0  # accepted records whose sync came to an end, good or bad
        self._shelf = Shelf(settings)
        self._failing: Failing | None = None
        self._losses = Losses()
        self._due = False
        self._full_at = self._segment_bytes = settings.segment_bytes
        self._reserve = settings.reserve_bytes or 0
        self._next_sync = self._next_probe = self._next_retention = self._next_rotation = 0

    @property
    def failing(self) -> Failing | None:
        """Why nothing is accepted, or None."""
        return self._failing

    @property
    def due(self) -> bool:
        """`rotate` is wanted: the segment is full or old, or the disk can be written again."""
        return self._due

    @property
    def position(self) -> Position:
        """Of the next record."""
        return Position(self.epoch, self.accepted)

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return len(self._shelf) + (self._live is not None)

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self._shelf.size + (self._live.size if self._live is not None else 0)

    def open(self) -> Opened:
        """Take the directory (made when absent), repair the last run's end, begin the next epoch.

        A disk that is full is no error here: the journal is then `failing` from its start. Raises JournalLockedError
        for a second collector, JournalError when the directory cannot be used at all.
        """
        directory = self.settings.directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = recovery.lock(directory)
            recovery.sweep(directory, self._system)
            found = segments(directory)
            tail = recovery.repair(found[-1], self._system) if found else None
            self.epoch = recovery.last_epoch(directory, found) + 1
            found = segments(directory)
            opened = Opened(
                epoch=self.epoch,
                tail=tail,
                streams=recovery.streams_of_last_run(found),
                segments=len(found),
                size=sum(segment.path.stat().st_size for segment in found),
            )
            self._shelf.fill(found)
            space = self._system.space(directory)
        except OSError as error:
            self._unlock()
            raise JournalError(
                f"{error.filename or directory}: {error.strerror}; expected a writable directory"
            ) from error
        except JournalError:
            self._unlock()
            raise
        if tail is not None:
            self._listener.tail_cut(tail)
        if self.settings.reserve_bytes is None:
            self._reserve = min(RESERVE_MOST, space.total // RESERVE_SHARE)
        try:
            recovery.claim_epoch(directory, self.epoch, self._system)
        except OSError as error:
            self._fail(error, directory / recovery.EPOCH)
        self._look_at(space)
        return opened

    def append(self, records: Sequence[Record]) -> bool:
        """Write them, in one call for each 256. False: not all were accepted, and the rest is counted, by stream.

        The first records of all begin the first segment, so they are in it together or not at all.
        """
        if self._failing is not None or not records:
            self._drop(records)
            return self._failing is None
        if self._live is None:
            return self._begin(records, "first")
        done = 0
        for burst in bursts(records):
            payload = encode_lines(burst)
            start = self._clock().mono_ns
            try:
                self._live.append(payload)
            except OSError as error:
                self._fail(error, self._live.path)
                self._drop(records[done:])
                return False
            done += len(burst)
            self._count(len(burst), len(payload), self._clock().mono_ns - start)
        if self._live.size >= self._full_at:
            self._due = True
        return True

    def rotate(self, head: Sequence[Record]) -> bool:
        """Begin a new segment with a BookSnapshot of every book. All feeds must be flushed before.

        After a failure the Gaps of what was lost are put before the head. False: no segment could be made; the old one
        goes on, or the journal goes on failing, and `due` comes again.
        """
        self._due = False
        if self._failing is not None:
            return self._resume(head, self._failing)
        if self._live is None or self._live.size == 0:
            return self.append(head)
        return self._begin(head, "full")

    def tend(self, now: Now) -> None:
        """Do what is due now, blocking: sync, look at the free space, probe, delete. `run` does it in a thread."""
        chores = self._plan(now)
        chores.do(self.settings.directory, self._system, self._clock)
        self._settle(chores, now)

    async def run(self, turn: Callable[[], None]) -> None:
        """Tend the journal until cancelled, and call `turn` when `due`: it flushes the feeds and calls `rotate`."""
        while True:
            await asyncio.sleep(min(self.settings.sync_every_s, PROBE_NS / SECOND_NS))
            chores = self._plan(self._clock())
            await asyncio.to_thread(chores.do, self.settings.directory, self._system, self._clock)
            self._settle(chores, self._clock())
            if self._due:
                turn()

    def register_cursor(self, name: str, position: Position) -> Cursor:
        """Let retention wait for this reader (up to the size limit), who wants `position` next."""
        cursor = Cursor(name, self.settings.directory, position, lambda: self.position)
        self._shelf.cursors[name] = cursor
        return cursor

    def close(self) -> None:
        """Sync and let go. Afterwards durable equals accepted, unless a sync failed (the listener was told)."""
        if self._live is not None:
            self._sync_live(self._live)
            self._live.close()
            self._live = None
        self._unlock()

    # Writing.

    def _begin(self, head: Sequence[Record], kind: SegmentKind) -> bool:
        """Make the next segment the live one. False: it cannot be, and the head is not written."""
        if self._lock is None:
            raise RuntimeError("the journal is not open")
        old = self._live
        if old is not None and not self._sync_live(old):
            return False
        now = self._clock()
        try:
            live = LiveSegment.create(self._system, self.settings.directory, self.position, head, now)
        except OSError as error:
            path = Path(error.filename) if isinstance(error.filename, str | Path) else self.settings.directory
            if kind == "full":
                self._full_at = sys.maxsize  # from here on `tend` says when to try again
                self._next_rotation = now.mono_ns + ROTATION_RETRY_NS
                self._listener.rotation_failed(RotationFailed(error_name(error), str(error)))
            elif kind == "first":
                self._fail(error, path)
                self._drop(head)
            return False
        if old is not None:
            old.close()
            if old.path != live.path:  # an empty segment is replaced by its successor
                self._shelf.put(Closed(old.path, old.start, old.size, now.wall_us or 0))
        self._live = live
        took = self._clock().mono_ns - now.mono_ns
        self._count(len(head), live.size, took)
        self._mark(self.accepted, took)
        # a head that fills the segment by itself would else make every burst begin another one
        self._full_at = self._segment_bytes = max(self.settings.segment_bytes, 2 * live.size)
        self._next_retention = 0
        self._listener.rotated(Rotated(live.path, live.start, kind, len(head)))
        return True

    def _resume(self, head: Sequence[Record], failing: Failing) -> bool:
        now = self._clock()
        gaps = self._losses.gaps(now, failing.since_us)
        closing = Losses.closing(gaps, head, now)
        if not self._begin([*gaps, *head, *closing], "recovered"):
            return False
        self._failing = None
        self._losses = Losses()
        self._listener.recovered(Recovered(failing, tuple(gaps)))
        return True

    def _count(self, records: int, size: int, duration_ns: int) -> None:
        self.accepted += records
        self.accepted_bytes += size
        self._listener.written(records, size, duration_ns)

    def _drop(self, records: Sequence[Record]) -> None:
        lost = self._losses.add(records)
        if lost and self._failing is not None:
            self.dropped += lost
            self._listener.dropped(self._failing.reason, lost)

    def _fail(self, error: OSError, path: Path) -> None:
        self._set_failing(Failing(reason_of(error), error_name(error), path, str(error), self._clock().wall_us))

    def _set_failing(self, failing: Failing) -> None:
        if self._failing is None:
            self._failing = failing
            self._due = False
            self._next_probe = self._clock().mono_ns + PROBE_NS
            self._listener.failing(failing)

    # Syncing.

    def _sync_live(self, live: LiveSegment) -> bool:
        """Sync now, on this thread. False: it failed, and the journal with it."""
        if self.accepted == self._settled:
            return True
        chores = Chores(sync=live, sync_to=self.accepted)
        chores.do_sync(self._clock)
        self._settle_sync(chores)
        return chores.sync_error is None

    def _settle_sync(self, chores: Chores) -> None:
        if chores.sync is None or chores.sync_to <= self._settled:
            return
        if chores.sync_error is None:
            self._mark(chores.sync_to, chores.sync_ns)
        else:
            self._settled = self.accepted  # whether these are durable cannot be known any more, so they never count
            self._fail(chores.sync_error, chores.sync.path)

    def _mark(self, synced_to: int, duration_ns: int) -> None:
        records = synced_to - self._settled
        self._settled = synced_to
        self.durable += records
        self._listener.synced(records, duration_ns)

    # Tending: planned on the loop, done in a thread, settled on the loop.

    def _plan(self, now: Now) -> Chores:
        chores = Chores(epoch=self.epoch)
        live = self._live
        if self.accepted > self._settled and now.mono_ns >= self._next_sync:
            chores.sync, chores.sync_to = live, self.accepted
            self._next_sync = now.mono_ns + int(self.settings.sync_every_s * SECOND_NS)
        if self._failing is not None and not self._due and now.mono_ns >= self._next_probe:
            chores.probe, chores.mend = True, live
            self._next_probe = now.mono_ns + PROBE_NS
        if now.mono_ns >= self._next_retention:
            self._next_retention = now.mono_ns + RETENTION_NS
            end, size = (self.position, 0) if live is None else (live.start, live.size)
            chores.doomed = self._shelf.doomed(now.wall_us, size, end)
        return chores

    def _settle(self, chores: Chores, now: Now) -> None:
        self._settle_sync(chores)
        for deleted in chores.deleted:
            self._shelf.gone(deleted)
            self._listener.deleted(deleted)
        for deleted, error in chores.kept:
            self._listener.delete_failed(deleted.path, str(error))
        if chores.space_error is not None:  # the directory itself is gone or sick
            self._fail(chores.space_error, self.settings.directory)
        if chores.space is not None:
            self._look_at(chores.space)
            if self._failing is not None:
                enough = self._reserve + self._reserve // RESERVE_MARGIN
                self._due = self._due or (chores.probe and chores.probe_error is None and chores.space.free >= enough)
        live = self._live
        if self._failing is None and live is not None and live.size and now.mono_ns >= self._next_rotation:
            old = now.mono_ns - live.begun.mono_ns >= self.settings.segment_age_s * SECOND_NS
            self._due = self._due or old or live.size >= self._segment_bytes

    def _look_at(self, space: Space) -> None:
        self.free, self.capacity = space.free, space.total
        if self._failing is None and space.free < self._reserve:
            detail = f"{space.free} bytes are free, expected {self._reserve} or more (journal.reserve_bytes)"
            directory = self.settings.directory
            self._set_failing(Failing("reserve", "", directory, detail, self._clock().wall_us))

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
