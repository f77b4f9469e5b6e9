"""A book's records: how its image and its gaps are written down. Holds no state."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from collector.records import BookSnapshot, Gap

if TYPE_CHECKING:
    from collector.books.book import Book
    from collector.books.contract import Identity, Update
    from collector.clock import Now
    from collector.records import GapCause, SnapshotCause


def image(who: Identity, book: Book, last: int | None, ts: int | None, cause: SnapshotCause, now: Now) -> BookSnapshot:
    """Give the book as it stands at id `last` and venue time `ts`."""
    bids, asks = book.top(book.depth)
    return BookSnapshot(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ts,
        recv_ts=now.wall_us,
        seq=last,
        contract_size=who.contract_size,
        bids=bids,
        asks=asks,
        first_seq=last,
        last_seq=last,
        depth=book.depth,
        known_bid=book.bids.known_to,
        known_ask=book.asks.known_to,
        cause=cause,
    )


class Missing(NamedTuple):
    """Ids that a book lacks: `first`..`last` (null: unknown). `counted`: they count one by one, so the range tells how
    many.
    """

    first: int | None = None
    last: int | None = None
    counted: bool = True


def hole(update: Update, last: int | None) -> tuple[str, Missing]:
    """Say what is missing between a book at id `last` and an update that does not follow.

    Where an update names the one before it, ids may jump, and fall.
    """
    first = None if last is None else last + 1
    if update.prev is None:
        upto = None if update.first is None else update.first - 1
        return f"expected {first}, got {update.first}", Missing(first, upto)
    upto = update.prev if first is not None and update.prev >= first else None
    return f"expected the update after {last}, got the one after {update.prev}", Missing(first, upto, counted=False)


def gap(who: Identity, cause: GapCause, missing: Missing, ts: int | None, now: Now) -> Gap:
    """Give a Gap that was found now."""
    first, last, counted = missing
    return Gap(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ts,
        recv_ts=now.wall_us,
        channel="book",
        first=first,
        last=last,
        count=max(0, last - first + 1) if counted and first is not None and last is not None else None,
        cause=cause,
        detected_ts=now.wall_us,
        repaired_ts=None,
    )


def repaired(found: Gap, ts: int | None, now: Now) -> Gap:
    """Give the second record of a Gap, which is whole again now."""
    return structs.replace(found, ts=ts, recv_ts=now.wall_us, repaired_ts=now.wall_us)
