"""What the journal has done in a thread: syncs, looks at the disk, probes, deletions.

A `Chores` is filled on the event loop, done elsewhere, and read on the loop again when it is done: nothing is shared
meanwhile. It decides nothing, and an error is a result, not an exception: what it means is the journal's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from collector.clock import Clock
from collector.journal.model import Deleted
from collector.journal.recovery import claim_epoch
from collector.journal.segment import LiveSegment
from collector.journal.system import Space, System


@dataclass(slots=True, kw_only=True)
class Chores:
    """One round. `sync` is synced because of the records up to `sync_to`; `probe` asks whether `epoch` can be written
    again.
    """

    sync: LiveSegment | None = None
    sync_to: int = 0
    sync_ns: int = 0
    sync_error: OSError | None = None

    probe: bool = False
    epoch: int = 0
    mend: LiveSegment | None = None
    probe_error: OSError | None = None

    doomed: list[Deleted] = field(default_factory=list)
    deleted: list[Deleted] = field(default_factory=list)
    kept: list[tuple[Deleted, OSError]] = field(default_factory=list)

    space: Space | None = None
    space_error: OSError | None = None

    def do(self, directory: Path, system: System, clock: Clock) -> None:
        """All of it, blocking."""
        self.do_sync(clock)
        self._probe(directory, system)
        self._delete(system)
        try:
            self.space = system.space(directory)
        except OSError as error:
            self.space_error = error

    def do_sync(self, clock: Clock) -> None:
        """Only the sync."""
        start = clock().mono_ns
        try:
            if self.sync is not None:
                self.sync.sync()
        except OSError as error:
            self.sync_error = error
        self.sync_ns = clock().mono_ns - start

    def _probe(self, directory: Path, system: System) -> None:
        try:
            if self.probe:
                if self.mend is not None:
                    self.mend.mend()
                claim_epoch(directory, self.epoch, system)
        except OSError as error:
            self.probe_error = error

    def _delete(self, system: System) -> None:
        for doomed in self.doomed:
            try:
                system.unlink(doomed.path)
            except FileNotFoundError:
                self.deleted.append(doomed)  # somebody was faster; it is as gone
            except OSError as error:
                self.kept.append((doomed, error))
            else:
                self.deleted.append(doomed)
