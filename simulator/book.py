"""A limit order book in integers.

It owns the levels of one market: ticks to lots, and the ticks in order. It must never format text, know a venue or
keep history (the ledger does). A sorted list beside a dict is the smallest thing that gives both the level at a rank
and the size at a price.
"""

from bisect import bisect_left, insort

BID, ASK = 0, 1
Level = tuple[int, int]


class Side:
    """One side's levels. Ticks ascend; the best bid is the last of them, the best ask the first."""

    __slots__ = ("is_bid", "sizes", "ticks")

    def __init__(self, *, is_bid: bool, sizes: dict[int, int] | None = None) -> None:
        self.is_bid = is_bid
        self.sizes: dict[int, int] = dict(sizes or {})
        self.ticks: list[int] = sorted(self.sizes)

    def __len__(self) -> int:
        return len(self.ticks)

    def set(self, tick: int, size: int) -> None:
        """Put the level at `tick` to `size` lots; 0 removes it, also when it is not there."""
        if size:
            if tick not in self.sizes:
                insort(self.ticks, tick)
            self.sizes[tick] = size
        elif self.sizes.pop(tick, None) is not None:
            del self.ticks[bisect_left(self.ticks, tick)]

    def nth(self, rank: int) -> int:
        """The tick of the level at `rank`, 0 being the best."""
        return self.ticks[-1 - rank] if self.is_bid else self.ticks[rank]

    def cutoff(self, depth: int) -> int | None:
        """The tick of the last of the first `depth` levels; None when there are fewer: all of them count."""
        return self.nth(depth - 1) if len(self.ticks) >= depth else None

    def top(self, depth: int | None = None) -> list[Level]:
        """The first `depth` levels (all without it), best first, as (tick, lots)."""
        ticks = self.ticks
        if depth is None:
            depth = len(ticks)
        chosen = ticks[: -depth - 1 : -1] if self.is_bid else ticks[:depth]
        sizes = self.sizes
        return [(tick, sizes[tick]) for tick in chosen]

    def between(self, nearer: int, farther: int | None) -> list[Level]:
        """The levels strictly worse than `nearer`, up to and with `farther` (None: to the end), best first."""
        ticks, sizes = self.ticks, self.sizes
        if self.is_bid:
            low = 0 if farther is None else bisect_left(ticks, farther)
            return [(tick, sizes[tick]) for tick in reversed(ticks[low : bisect_left(ticks, nearer)])]
        high = len(ticks) if farther is None else bisect_left(ticks, farther + 1)
        return [(tick, sizes[tick]) for tick in ticks[bisect_left(ticks, nearer + 1) : high]]

    def within(self, tick: int, cutoff: int | None) -> bool:
        """Whether `tick` is as good as `cutoff` or better; always when there is none."""
        if cutoff is None:
            return True
        return tick >= cutoff if self.is_bid else tick <= cutoff


class Book:
    """Both sides of one market."""

    __slots__ = ("asks", "bids", "sides")

    def __init__(self, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None) -> None:
        self.bids = Side(is_bid=True, sizes=bids)
        self.asks = Side(is_bid=False, sizes=asks)
        self.sides = (self.bids, self.asks)

    def best(self) -> tuple[Level, Level]:
        """The best bid and the best ask, each as (tick, lots). Both sides must hold a level."""
        bid, ask = self.bids.ticks[-1], self.asks.ticks[0]
        return (bid, self.bids.sizes[bid]), (ask, self.asks.sizes[ask])

    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        return bool(self.bids.ticks and self.asks.ticks) and self.bids.ticks[-1] >= self.asks.ticks[0]
