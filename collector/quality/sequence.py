"""Ids that a venue counts one by one (trade ids): what is new, what was seen, what is missing.

Late ids that fill a hole are told apart from duplicates, because a reordered trade is data and a repeated one is not.
Holes are kept bounded: the oldest is forgotten first, and an id of a forgotten hole then counts as a duplicate.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

BELIEVED = 100
"""So many ids in a row that are older than the newest one seen, and it is that one which is wrong (damaged on the way).
No venue delays as many."""
REPEATED = 1000
"""So many duplicates in a row, each one more than the last, and the newest id is wrong: the first of all was damaged,
or the venue began anew. No venue repeats as many trades to a new subscriber."""

Seen = Literal["next", "gap", "late", "duplicate"]


@dataclass(slots=True)
class IdSequence:
    """`last` is the highest id seen, None before the first.

    `holes` are missing ranges, oldest first, both ends included.
    """

    last: int | None = None
    holes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=256))
    _late: int = 0
    """How many late ids came in a row, each one more than the last."""
    _next_late: int | None = None
    _old: tuple[int, int, int] = (0, 0, 0)
    """The row of duplicates, each one more than the last: how many, the first id of it, the next one."""

    def see(self, value: int, first: int | None = None) -> Seen:
        """Take one id, or all from `first` to `value` when one message stands for several.

        After "gap" the new hole is `holes[-1]`. `value` names the message: it alone says whether it was seen before.
        """
        last = self.last
        if first is None:
            first = value
        if last is None or value > last:
            self.last, self._old = value, (0, 0, 0)
            if last is None or first <= last + 1:
                return "next"
            self.holes.append((last + 1, first - 1))
            return "gap"
        for index, (begin, end) in enumerate(self.holes):
            if begin <= value <= end:
                del self.holes[index]
                for part in ((begin, first - 1), (value + 1, end)):
                    if part[0] <= part[1]:
                        self.holes.append(part)
                self._late = self._late + 1 if first == self._next_late else 1
                self._next_late = value + 1
                if self._late == BELIEVED:
                    self.last = value
                    self.holes = deque((hole for hole in self.holes if hole[0] <= value), self.holes.maxlen)
                return "late"
        return self._seen_before(value, first)

    def _seen_before(self, value: int, first: int) -> Seen:
        """Take an id that is not above the newest, and of no hole: a duplicate, unless the newest is wrong."""
        count, begin, follows = self._old
        self._old = (count + 1, begin, value + 1) if count and first == follows else (1, first, value + 1)
        if self._old[0] < REPEATED:
            return "duplicate"
        self.holes = deque((hole for hole in self.holes if hole[1] < begin), self.holes.maxlen)
        self.holes.append((begin, first - 1))  # what was taken for duplicates
        self.last, self._old = value, (0, 0, 0)
        return "gap"
