"""The journal: the embedded default sink and the only spool.

It owns the segment files in one directory: every record is encoded once and appended before anybody else sees it. It
never blocks the event loop for longer than one write (syncing, probing and deleting happen in a thread), never harms a
record that it has accepted, and never loses one silently: what it could not accept becomes a Gap. One collector has
one journal; a lock holds the second one off.

    segment   `<epoch>-<offset>.jsonl`: JSON lines; it appears whole with its head (a rename), so any one segment
              rebuilds the books
    EPOCH     the highest epoch ever used: rises with every start, so a position (epoch, offset) is never used twice
    LOCK      held (flock) by the running collector, contains its process id
    *.damaged what a repair cut from a segment although valid records followed: for a human; never read, never deleted
"""

from collector.journal.journal import Journal
from collector.journal.layout import Segment, read, segments
from collector.journal.model import (
    Deleted,
    Failing,
    JournalCorruptError,
    JournalError,
    JournalListener,
    JournalLockedError,
    JournalSettings,
    Opened,
    Position,
    Recovered,
    Rotated,
    RotationFailed,
    SegmentKind,
    StreamSeen,
    Tail,
)
from collector.journal.recovery import restart_gaps
from collector.journal.retention import Cursor

__all__ = [
    "Cursor",
    "Deleted",
    "Failing",
    "Journal",
    "JournalCorruptError",
    "JournalError",
    "JournalListener",
    "JournalLockedError",
    "JournalSettings",
    "Opened",
    "Position",
    "Recovered",
    "Rotated",
    "RotationFailed",
    "Segment",
    "SegmentKind",
    "StreamSeen",
    "Tail",
    "read",
    "restart_gaps",
    "segments",
]
