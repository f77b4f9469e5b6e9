"""Closes the Gaps of a restart: what was lost while no collector ran ends where the first record of the stream shows
it.

The journal tells at start which streams the last run collected; each gets an open Gap. This class owns those until
they are closed and adds the closing Gap (same `detected_ts`) after the record that closes it. Trades: the range ends
before the first trade seen, and counts as repaired only if nothing is missing. All else: whole again with the first
record, a book's first snapshot. It changes no record and drops none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from collector.clock import Now
from collector.records import CHANNEL_OF, BookDelta, Gap, Record, Trade

Stream = tuple[str, str, str, str]
"""Venue, market, instrument, channel."""


class Restarts:
    """The restart Gaps that are still open. Falsy when there are none, so that a caller can skip it."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        self._open: dict[Stream, Gap] = {(gap.venue, gap.market, gap.instrument, gap.channel): gap for gap in gaps}

    def __bool__(self) -> bool:
        return bool(self._open)

    def close(self, records: Sequence[Record], now: Now) -> list[Gap]:
        """The Gaps that these records close, to be written after them."""
        closed = []
        for record in records:
            channel = _closes(record)
            if channel is None:
                continue
            gap = self._open.pop((record.venue, record.market, record.instrument, channel), None)
            if gap is not None:
                closed.append(_closing(gap, record, now))
        return closed


def _closes(record: Record) -> str | None:
    """The channel whose Gap this record closes: a book's changes mean nothing before its snapshot."""
    return None if isinstance(record, BookDelta) else CHANNEL_OF.get(type(record))


def _closing(gap: Gap, record: Record, now: Now) -> Gap:
    if not isinstance(record, Trade):
        return msgspec.structs.replace(gap, recv_ts=now.wall_us, repaired_ts=now.wall_us)
    if gap.first is None or not record.id.isdecimal() or int(record.id) < gap.first:
        # no ids, or the venue counts anew: what is missing is not known, only that trades flow again
        return msgspec.structs.replace(gap, recv_ts=now.wall_us, first=None)
    last = int(record.id) - 1
    if last < gap.first:
        return msgspec.structs.replace(gap, recv_ts=now.wall_us, first=None, count=0, repaired_ts=now.wall_us)
    return msgspec.structs.replace(gap, recv_ts=now.wall_us, last=last, count=last - gap.first + 1)
