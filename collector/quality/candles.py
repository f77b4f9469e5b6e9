"""Bars in order: which are closed, which are missing. One object a stream. Sans-I/O.

Venues that mark a closed bar emit one for every interval, so a bar that was never seen closed, or never seen at all, is
a hole. Venues without a mark emit a bar only when something traded: there a bar is closed when the next one begins, and
only if it was watched without a break until then; after a break the venue's own snapshot must show its last state
first. What is older than the first bar watched is not ours to tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from collector.records import Candle

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MOST_HOLES = 64


def interval_us(interval: str) -> int:
    """`5m` → 300 000 000. Raises ValueError for what is no interval."""
    number, unit = interval[:-1], interval[-1:]
    if unit not in UNITS_S or not (number.isascii() and number.isdigit()) or int(number) == 0:
        raise ValueError(f"interval {interval!r}: expected a number and one of {', '.join(UNITS_S)}, such as 1m")
    return int(number) * UNITS_S[unit] * 1_000_000


@dataclass(slots=True)
class Told:
    """What one bar led to. `holes`: open times (first, last) of bars that are missing. `filled`: one that came late."""

    bars: list[Candle] = field(default_factory=list)
    holes: list[tuple[int, int]] = field(default_factory=list)
    filled: int | None = None


@dataclass(slots=True)
class Bars:
    """`marked`: the venue marks closed bars (and then emits every one)."""

    marked: bool
    step_us: int
    current: Candle | None = None
    """The newest bar in its newest state."""
    _watched: bool = True
    _missing: dict[int, None] = field(default_factory=dict)

    def broken(self) -> None:
        """Take note that states may have been missed."""
        self._watched = False

    def take(self, bar: Candle) -> Told:
        """Take one state of a bar."""
        current, told = self.current, Told()
        if current is None:
            self._set(bar, told)
        elif bar.open_ts == current.open_ts:
            newer = replace(bar, recv_ts=current.recv_ts, ts=current.ts, seq=current.seq) != current
            if newer and not current.closed:
                self._set(bar, told)
            self._watched = True
        elif bar.open_ts < current.open_ts:
            self._late(bar, told)
        else:
            self._turn(current, bar, told)
        return told

    def _set(self, bar: Candle, told: Told) -> None:
        self.current, self._watched = bar, True
        told.bars.append(bar)

    def _late(self, bar: Candle, told: Told) -> None:
        if bar.closed and bar.open_ts in self._missing:
            del self._missing[bar.open_ts]
            told.filled = bar.open_ts
            told.bars.append(bar)

    def _turn(self, current: Candle, bar: Candle, told: Told) -> None:
        first = current.open_ts + self.step_us
        if not current.closed:
            if self.marked or not self._watched:
                first = current.open_ts
            else:
                told.bars.append(replace(current, closed=True, recv_ts=bar.recv_ts))
        # Without a mark nothing need have traded in between, unless there was a break, of which nothing is known.
        last = bar.open_ts - self.step_us if self.marked or not self._watched else current.open_ts
        if first <= last:
            told.holes.append((first, last))
            for at in range(max(first, last - MOST_HOLES * self.step_us), last + 1, self.step_us):
                self._missing[at] = None
            while len(self._missing) > MOST_HOLES:
                del self._missing[next(iter(self._missing))]
        self._set(bar, told)
