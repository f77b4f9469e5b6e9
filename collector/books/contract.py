"""What a book needs from others and is given: messages, a venue's rule, an owner, an identity, a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.books.book import Book
    from collector.books.verdict import Verdict, VerifiedBy
    from collector.clock import Now
    from collector.records import Level, Market, Record


class Update(Struct, gc=False):
    """One message's changes, absolute.

    `first`, `last`, `prev`: the venue's ids (null where it has none); `ts`: venue time, UTC µs.
    """

    bids: Sequence[Level]
    asks: Sequence[Level]
    first: int | None = None
    last: int | None = None
    prev: int | None = None
    ts: int | None = None
    checksum: int | None = None
    recv_us: int | None = None


class Snapshot(Struct, gc=False):
    """A whole book as the venue gave it, best first.

    `limit`: the most levels a side it could hold, null when it is complete. `renumbered`: the venue may have begun its
    ids anew, so that only `ts` tells which of two is newer. `ordered`: the connection's own numbering proves that it is
    newer than all that came before.
    """

    bids: Sequence[Level]
    asks: Sequence[Level]
    last: int | None = None
    ts: int | None = None
    checksum: int | None = None
    limit: int | None = None
    renumbered: bool = False
    ordered: bool = False


Step = Literal["apply", "skip", "gap"]


class Rule(Protocol):
    """What a venue's books obey."""

    @property
    def verified_by(self) -> VerifiedBy | None:
        """What proves the book; None: nothing does at present, and it is `unverifiable`."""

    snapshot_in_band: bool
    """Snapshots come on the same ordered stream as updates: updates before them are void.

    Otherwise updates are buffered and spliced.
    """
    covered_depth: int | None
    """Levels a side that the check covers; None: all that are known."""

    def step(self, update: Update, last: int | None) -> Step:
        """Say whether `update` follows a book at id `last`."""

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        """Compare with the venue's checksum; None when the message carries none or the venue has none."""


class Owner(Protocol):
    """The core, as a book sees it."""

    def want_snapshot(self, now: Now) -> None:
        """Ask the venue for a snapshot of this book."""

    def record(self, record: Record) -> None:
        """Publish."""

    def changed(self, verdict: Verdict, now: Now) -> None:
        """Take the new verdict."""

    def counted(
        self, kind: Literal["checksum_match", "checksum_mismatch", "sync_ok", "sync_failed", "duplicate"], detail: str
    ) -> None:
        """Count."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose book it is."""

    venue: str
    market: Market
    instrument: str
    symbol: str
    contract_size: str | UnsetType | None = UNSET
    """See `records.Record`."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How hard a book may try. Seconds."""

    attempt_s: float = 20.0
    base_s: float = 1.0
    cap_s: float = 60.0
    healthy_s: float = 60.0
    mismatches: int = 5
    """Consecutive syncs ended by a checksum mismatch before the book is published as unverifiable."""
    recheck_s: float = 600.0
    """How long a book is published as unverifiable before another sync is tried."""
    widen_s: float = 30.0
    """How often, at most, a snapshot is asked for because most levels that the last one knew are gone."""
    skips: int = 50
    """Updates in a row that are not newer than the book, after which its own id is not believed any more: five seconds
    of Binance's, far more than a fetched snapshot is ahead of the stream."""
    buffer: int = 10_000
