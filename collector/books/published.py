"""A book's records: how its image and its gaps are written down. Holds no state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from collector.records import BookSnapshot, Gap

if TYPE_CHECKING:
    from collector.books.book import Book
    from collector.books.contract import Identity
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


def gap(who: Identity, cause: GapCause, first: int | None, last: int | None, ts: int | None, now: Now) -> Gap:
    """Give a Gap that was found now."""
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
        count=None if first is None or last is None else max(0, last - first + 1),
        cause=cause,
        detected_ts=now.wall_us,
        repaired_ts=None,
    )


def repaired(found: Gap, ts: int | None, now: Now) -> Gap:
    """Give the second record of a Gap, which is whole again now."""
    return structs.replace(found, ts=ts, recv_ts=now.wall_us, repaired_ts=now.wall_us)
