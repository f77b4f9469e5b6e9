"""What the journal could not accept, kept so that it can say so as soon as it can write again.

It owns the tally: a count and the range of trade ids for each stream, and the Gap records themselves (a Gap says what
is missing; losing it would hide a loss). Memory is bounded by the number of streams and by HELD_GAPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from collector.clock import Now
from collector.journal.model import StreamKey, stream_of
from collector.records import BookSnapshot, Gap, Record, Trade

HELD_GAPS = 4096


@dataclass(slots=True)
class _Loss:
    """Of one stream; `count` None: unknown, because a Gap itself had to be let go."""

    count: int | None = 0
    first: int | None = None
    last: int | None = None

    def widen(self, first: int | None, last: int | None) -> None:
        """Take ids into the range."""
        if first is not None:
            self.first = first if self.first is None else min(self.first, first)
        if last is not None:
            self.last = last if self.last is None else max(self.last, last)


class Losses:
    """The tally of one outage of the journal."""

    def __init__(self) -> None:
        self._streams: dict[StreamKey, _Loss] = {}
        self._held: list[Gap] = []

    def add(self, records: Sequence[Record]) -> int:
        """Note records that were not accepted; give how many are lost (Gaps are held back instead)."""
        lost = 0
        for record in records:
            if isinstance(record, Gap) and len(self._held) < HELD_GAPS:
                self._held.append(record)
                continue
            lost += 1
            loss = self._streams.setdefault(stream_of(record), _Loss())
            if isinstance(record, Gap):
                loss.count = None
                loss.widen(record.first, record.last)
            elif loss.count is not None:
                loss.count += 1
            if isinstance(record, Trade) and record.id.isdecimal():
                loss.widen(int(record.id), int(record.id))
        return lost

    def gaps(self, now: Now, since_us: int | None) -> list[Gap]:
        """The Gaps that were held back, then one (cause `journal`) for each stream that lost something."""
        found = list(self._held)
        for stream, loss in self._streams.items():
            gap = stream.gap(now_us=now.wall_us, detected_us=since_us, cause="journal")
            gap.first, gap.last, gap.count = loss.first, loss.last, loss.count
            found.append(gap)
        return found

    @staticmethod
    def closing(gaps: Sequence[Gap], head: Sequence[Record], now: Now) -> list[Gap]:
        """The second half of each book's Gap whose snapshot is in this head: the stream is whole again."""
        whole = {stream_of(record) for record in head if isinstance(record, BookSnapshot)}
        return [
            msgspec.structs.replace(gap, repaired_ts=now.wall_us)
            for gap in gaps
            if gap.cause == "journal" and stream_of(gap) in whole
        ]
