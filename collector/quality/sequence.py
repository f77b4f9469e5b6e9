"""Ids that a venue counts one by one (trade ids): what is new, what was seen, what is missing.

Late ids that fill a hole are told apart from duplicates, because a reordered trade is data and a repeated one is not.
Holes are kept bounded: the oldest is forgotten first, and an id of a forgotten hole then counts as a duplicate.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Seen = Literal["next", "gap", "late", "duplicate"]


@dataclass(slots=True)
class IdSequence:
    """`last` is the highest id seen, None before the first.

    `holes` are missing ranges, oldest first, both ends included.
    """

    last: int | None = None
    holes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=256))

    def see(self, value: int, first: int | None = None) -> Seen:
        """Take one id, or all from `first` to `value` when one message stands for several.

        After "gap" the new hole is `holes[-1]`. `value` names the message: it alone says whether it was seen before.
        """
        last = self.last
        if first is None:
            first = value
        if last is None or first <= last + 1 <= value:
            self.last = value
            return "next"
        if value > last:
            self.holes.append((last + 1, first - 1))
            self.last = value
            return "gap"
        for index, (begin, end) in enumerate(self.holes):
            if begin <= value <= end:
                del self.holes[index]
                for part in ((begin, first - 1), (value + 1, end)):
                    if part[0] <= part[1]:
                        self.holes.append(part)
                return "late"
        return "duplicate"
