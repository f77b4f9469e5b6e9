"""What subscribers of `books` have been told, and the ids that it is told by.

It owns the image of the first 400 levels, sent as the difference to the last one, and `seqId`. It must never send.
Recordings of the exchange hold exactly 400 levels a side after every update: a level that falls out of them is sent as
removed, one that comes in is sent, and levels that nobody knows are removed too. `seqId` is the market's update id less
a shift that a reset changes: after maintenance the ids begin again, lower, and the chain goes on all the same.
"""

from bisect import bisect_right
from collections.abc import Iterable

from simulator.book import Book, Level, Side


def _farther(side: Side, one: int | None, other: int | None) -> int | None:
    """The worse of two cutoffs; None, which lets all levels in, is the worst."""
    if one is None or other is None:
        return None
    return min(one, other) if side.is_bid else max(one, other)


def _nearer(side: Side, one: int | None, other: int | None) -> int | None:
    """The better of two cutoffs."""
    if one is None or other is None:
        return one if other is None else other
    return max(one, other) if side.is_bid else min(one, other)


class Image:
    """The first `depth` levels as they were told last, with `seq`, and what has happened to them since.

    The next update also leads from what the first `depth` levels were at any moment in between, as a REST book shows
    them: `_nearest` and `_widest` are how far they reached at the least and at the most.
    """

    def __init__(self, book: Book, depth: int, seq: int) -> None:
        self.seq = seq
        self.told = 0.0  # monotonic seconds of the last message
        self.changed = False
        self._depth = depth
        self._begin(book)

    def _begin(self, book: Book) -> None:
        self._nearest = [side.cutoff(self._depth) for side in book.sides]
        self._widest = list(self._nearest)
        self._touched: tuple[dict[int, None], dict[int, None]] = ({}, {})
        self.changed = False

    def note(self, book: Book, changes: Iterable[tuple[int, int, int]]) -> None:
        """Remember what a step changed; `book` has it already."""
        for side, tick, _ in changes:
            self._touched[side][tick] = None
            self.changed = True
        for side in (0, 1):
            levels = book.sides[side]
            cutoff = levels.cutoff(self._depth)
            self._nearest[side] = _nearer(levels, self._nearest[side], cutoff)
            self._widest[side] = _farther(levels, self._widest[side], cutoff)

    def update(self, book: Book) -> tuple[list[Level], list[Level]]:
        """The bids and asks that lead from the last image to this one, best first; a size of 0 removes."""
        bids, asks = (self._side(number, levels) for number, levels in enumerate(book.sides))
        self._begin(book)
        return bids, asks

    def _side(self, number: int, levels: Side) -> list[Level]:
        touched, nearest, widest = self._touched[number], self._nearest[number], self._widest[number]
        after = levels.cutoff(self._depth)
        told: list[Level] = []
        for tick in touched:
            if levels.within(tick, after):
                told.append((tick, levels.sizes.get(tick, 0)))
            elif levels.within(tick, widest):
                told.append((tick, 0))
        if nearest is not None:
            told += [level for level in levels.between(nearest, after) if level[0] not in touched]
        if after is not None:
            told += [(tick, 0) for tick, _ in levels.between(after, widest) if tick not in touched]
        return sorted(told, reverse=levels.is_bid)


class Sequence:
    """Update ids as `seqId`, and back."""

    def __init__(self, first_id: int) -> None:
        self._begins = [first_id]
        self._shifts = [0]

    def of(self, update_id: int) -> int:
        """The `seqId` that stands for an update id."""
        return update_id - self._shifts[max(bisect_right(self._begins, update_id) - 1, 0)]

    def reset(self, last_id: int) -> None:
        """Begin again: from `last_id` on ids are a tenth of what they were."""
        seq = self.of(last_id)
        self._begins.append(last_id)
        self._shifts.append(last_id - max(seq // 10, 1))

    def id_of(self, seq: int, last_id: int) -> int:
        """The newest update id, up to `last_id`, that a `seqId` stood for.

        Raises:
            LookupError: none did.
        """
        ends = [*self._begins[1:], last_id]
        for begin, end, shift in reversed(list(zip(self._begins, ends, self._shifts, strict=True))):
            update_id = seq + shift
            if begin <= update_id <= end:
                return update_id
        raise LookupError(f"seqId {seq} is older than the ledger, or was never sent")
