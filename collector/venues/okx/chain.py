"""The rule of OKX's incremental books: each update names the one before it (`prevSeqId`), and ids may jump, and fall.

It owns what of a book's synchronisation is OKX's own: whether the snapshot is expected in band or by REST, and how the
first update meets a snapshot. It never asks for anything. https://www.okx.com/docs-v5/en/
#order-book-trading-market-data-ws-order-book-channel, "Sequence ID"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.books.contract import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.books.book import Book
    from collector.books.contract import Step, Update
    from collector.books.verdict import VerifiedBy
    from collector.records import Level


SLACK_US = 1_000_000
"""How much later than a fetched book an update may be stamped that it holds already: updates are made in batches."""


class Chain:
    """One book's rule. Of a snapshot without an id nothing can be proven: the book is then unverifiable."""

    covered_depth: int | None = None

    def __init__(self) -> None:
        self.verified_by: VerifiedBy | None = "sequence"
        self.snapshot_in_band = True
        self._spliced_at: int | None = None
        """The id of a snapshot that came by REST: it need not stand at the end of an update."""
        self._since_us: int | None = None
        """Its time: where it has no id, only what is newer follows it."""
        self._applied: tuple[int | None, int | None] | None = None

    def in_band(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None, ts: int) -> Snapshot:
        """Give the snapshot that came on the stream: the next update follows it exactly."""
        self.snapshot_in_band, self._spliced_at, self._since_us = True, None, None
        return self._snapshot(bids, asks, seq, ts)

    def by_rest(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None, ts: int) -> Snapshot:
        """Give the snapshot that was fetched: the first update to follow begins at or before it and ends after it."""
        self._spliced_at, self._since_us = seq, ts
        return self._snapshot(bids, asks, seq, ts)

    def _snapshot(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None, ts: int) -> Snapshot:
        self.verified_by = None if seq is None else "sequence"
        # Maintenance may begin the ids anew, and then lower ("Exceptions"): only times tell what is newer.
        return Snapshot(bids, asks, seq, ts, renumbered=True)

    def step(self, update: Update, last: int | None) -> Step:
        """Say whether `update` follows a book at `last`. An empty update that repeats the id does: it confirms it."""
        if update.prev == last and last is not None:
            return self._apply(update)
        if last is None:
            old = update.ts is not None and self._since_us is not None and update.ts <= self._since_us
            return "skip" if old else self._apply(update)
        if update.prev is None or update.last is None:
            return "gap"
        if last == self._spliced_at:
            return self._first(update, update.prev, update.last, last)
        # The same message twice; any other old one may as well be from after the ids began anew.
        return "skip" if update.last == last and self._applied == (update.prev, update.last) else "gap"

    def _first(self, update: Update, prev: int, seq: int, at: int) -> Step:
        """Judge what does not begin exactly at a fetched snapshot. Ids alone do not tell what is older."""
        ts, since_us = update.ts or 0, self._since_us or 0
        if seq <= at:
            return "skip" if ts <= since_us + SLACK_US else "gap"  # or else the ids began anew since
        if ts < since_us:
            return "skip"  # from before the ids began anew
        return self._apply(update) if prev < at else "gap"

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        """OKX's checksum is fixed at 0 since 2026."""
        del book, checksum
        return None

    def _apply(self, update: Update) -> Step:
        self._applied = (update.prev, update.last)
        return "apply"
