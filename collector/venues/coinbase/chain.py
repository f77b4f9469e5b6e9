"""The connection's own numbering: is a message the next one, what was lost before it, and did it come too late.

`sequence_num` begins at 0 and rises by one a message, whatever its channel, control messages included. It is all that
proves a Coinbase book, so it is looked at before a message is. Heartbeats carry a count of their own, a second check.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels#heartbeats-channel
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collector.books.book import Book
    from collector.books.contract import Step, Update
    from collector.books.verdict import VerifiedBy

RESTARTED = 10
"""So many messages in a row that are too low, each the next of the one before: it is our number that is wrong."""

Place = Literal["next", "hole", "late", "restarted"]


@dataclass(slots=True)
class Chain:
    """`expected` is the next number; None takes any (a foreign tape need not begin where the connection did)."""

    expected: int | None = 0
    hole: tuple[int, int] = (0, 0)
    """What is missing, after "hole"."""
    _low: int | None = None
    _lows: int = 0
    _beat: int | None = None

    def take(self, number: int) -> Place:
        """Take one message's number.

        "late" came before, or is missed already: what it says is of no use. "restarted": the numbers go on elsewhere.
        """
        expected = self.expected
        if expected is None or number == expected:
            place: Place = "next"
        elif number > expected:
            place, self.hole, self._beat = "hole", (expected, number - 1), None
        else:
            self._lows = self._lows + 1 if number == self._low else 1
            self._low = number + 1
            if self._lows < RESTARTED:
                return "late"
            place, self._beat = "restarted", None
        self.expected = number + 1
        self._low, self._lows = None, 0
        return place

    def beat(self, counter: int) -> tuple[int, int] | None:
        """Take a heartbeat's count; gives the counts that are missing before it. A lower one begins anew."""
        before, self._beat = self._beat, counter
        if before is None or counter <= before + 1:
            return None
        return before + 1, counter - 1

    def beat_lost(self) -> None:
        """Take note that a heartbeat's count could not be read."""
        self._beat = None


class ByConnection:
    """What a Coinbase book obeys: all that comes in the row follows; that it is whole is the row's business."""

    verified_by: VerifiedBy = "sequence"
    snapshot_in_band = True
    covered_depth: int | None = None

    def step(self, update: Update, last: int | None) -> Step:
        """See `Rule`."""
        del update, last
        return "apply"

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        """See `Rule`."""
        del book, checksum
        return None
