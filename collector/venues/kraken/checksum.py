"""Kraken's CRC32 of the top ten levels, and how to get back the digits that it was made of.

https://docs.kraken.com/api/docs/guides/spot-ws-book-v2: for each of the ten best asks, then the ten best bids, the
price text and the quantity text, without the point and without leading zeros, concatenated; CRC-32, unsigned. The text
must be the wire's. Where a recording lost trailing zeros, the instrument's precisions give them back, or the most
digits that its snapshot showed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from zlib import crc32

from collector.venues.kraken.facts import CHECKSUM_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.books.book import Book
    from collector.books.contract import Step, Update
    from collector.books.verdict import VerifiedBy
    from collector.records import Level

Digits = tuple[int, int] | None
"""Decimals of price and of quantity; None: the text as it came."""


def decimals(text: str) -> int:
    """Give how many digits stand behind the point."""
    return len(plain(text).partition(".")[2])


def plain(text: str) -> str:
    """Give a JSON number without an exponent (5E-8 → 0.00000005): what the wire shows."""
    return format(Decimal(text), "f") if "e" in text or "E" in text else text


def checksum(bids: Iterable[Level], asks: Iterable[Level], digits: Digits) -> int:
    """Give the CRC32 of levels given best first (at most ten a side count)."""
    parts: list[str] = []
    for side in (asks, bids):
        for price, size in side:
            if digits is None:
                parts += (plain(price).replace(".", "").lstrip("0"), plain(size).replace(".", "").lstrip("0"))
            else:
                parts += (_padded(price, digits[0]), _padded(size, digits[1]))
    return crc32("".join(parts).encode())


def _padded(text: str, digits: int) -> str:
    whole, _, fraction = plain(text).partition(".")
    return (whole + fraction.ljust(digits, "0")).lstrip("0")


class TopTen:
    """The rule of a Kraken book: no ids, a checksum in every message.

    Owned by one book; remembers which digits matched last.
    """

    verified_by: VerifiedBy = "checksum"
    snapshot_in_band = True
    covered_depth: int | None = CHECKSUM_DEPTH

    def __init__(self) -> None:
        self.precisions: Digits = None
        """What the instrument channel said of this pair."""
        self._seen = (0, 0)
        self._digits: Digits = None

    def step(self, update: Update, last: int | None) -> Step:
        """Kraken numbers nothing: the checksum decides."""
        del update, last
        return "apply"

    def proven(self, book: Book, checksum_sent: int | None) -> bool | None:
        """See `Rule`."""
        if checksum_sent is None:
            return None
        bids, asks = book.top(CHECKSUM_DEPTH)
        if checksum(bids, asks, self._digits) == checksum_sent:
            return True
        self._notice(book)
        for digits in (None, self.precisions, self._seen):
            if digits != self._digits and checksum(bids, asks, digits) == checksum_sent:
                self._digits = digits
                return True
        return False

    def _notice(self, book: Book) -> None:
        """Take note of the most decimals that the book shows: a pair has a fixed number of them, whatever zeros were
        lost.
        """
        price, size = self._seen
        for side in (book.bids, book.asks):
            for level in side.sizes.items():
                price = max(price, decimals(level[0]))
                size = max(size, decimals(level[1]))
        self._seen = (price, size)
