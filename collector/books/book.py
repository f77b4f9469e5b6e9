"""One order book: two sides of exact text, sorted by value.

A side is a dict of price text → size text and two parallel sorted lists (float keys, price texts), best first. Floats
serve ordering only and are made when a level is inserted or removed, so an update of a known level costs one dict
store. Everything is absolute: a size of zero removes. The book knows nothing of venues, ids or checksums: `sync`
decides what may be applied.

`apply` returns the changes of the first `depth` levels, which is what is published: levels that move up into that range
are included, a level pushed out of it is published as removed. So a consumer of snapshot + changes holds exactly our
first `depth` levels.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from decimal import Decimal
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.records import GapCause, Level

_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
is_decimal = re.compile(_NUMBER).fullmatch
"""Whether a text is a plain non-negative number (a JSON number without sign, or what venues send as text)."""
decimals = re.compile(rf"{_NUMBER}(?: {_NUMBER})*").fullmatch
"""The same of several numbers at once, joined by one blank: a third of the cost."""


class BookError(ValueError):
    """A level or a whole snapshot is not usable; the message says which and why. `cause` is a Gap cause."""

    def __init__(self, message: str, cause: GapCause = "undecodable") -> None:
        super().__init__(message)
        self.cause = cause


def _size(price: str, size: str) -> float:
    """Give the size's value, or BookError when it is not a finite number of at least zero."""
    try:
        value = float(size)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < inf:
        raise BookError(f"size {size!r} at price {price!r} is not a number of at least 0")
    return value


def _coarser(text: str, ours: str) -> bool:
    """Say whether `text` may be `ours` with fewer decimals, however it was rounded."""
    if is_decimal(text) is None:
        raise ValueError(f"size {text!r} is not a number of at least 0")
    try:
        given = Decimal(text)
        return abs(given - Decimal(ours)) < Decimal(1).scaleb(int(given.as_tuple().exponent))
    except ArithmeticError as error:  # an exponent beyond all measure
        raise ValueError(f"size {text!r} is too large or too small for a number") from error


class Side:
    """One side. `sign` is 1 for asks (lowest first), -1 for bids (highest first)."""

    __slots__ = ("keys", "known_at_load", "known_key", "known_text", "sign", "sizes", "texts")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.sizes: dict[str, str] = {}
        self.keys: list[float] = []
        self.texts: list[str] = []
        self.known_key: float | None = None
        self.known_text: str | None = None
        """The price text of `known_key`, whose level may be gone."""
        self.known_at_load = 0

    def load(self, levels: Iterable[Level], *, limit: int | None) -> None:
        """Replace everything. `limit`: the most levels that the source could have given; when reached, deeper ones are
        unknown.

        Raises BookError when a level is malformed, empty, repeated or out of order.
        """
        sizes: dict[str, str] = {}
        keys: list[float] = []
        texts: list[str] = []
        for price, size in levels:
            if _size(price, size) == 0.0:
                raise BookError(f"the snapshot holds an empty level at price {price!r}")
            key = self._key(price)
            if keys and key <= keys[-1]:
                raise BookError(f"the snapshot's price {price!r} is out of order after {texts[-1]!r}", "unsorted")
            keys.append(key)
            texts.append(price)
            sizes[price] = size
        self.sizes, self.keys, self.texts = sizes, keys, texts
        self.known_at_load = len(keys)
        bounded = bool(keys) and limit is not None and len(keys) >= limit
        self.known_key, self.known_text = (keys[-1], texts[-1]) if bounded else (None, None)

    def set(self, price: str, size: str, depth: int, changes: dict[str, str]) -> None:
        """Apply one level; what changes within the first `depth` levels is put into `changes`."""
        sizes, keys = self.sizes, self.keys
        try:  # as `_size` does; written out because most messages are made of this
            value = float(size)
        except ValueError:
            value = -1.0
        if not 0.0 <= value < inf:
            value = _size(price, size)
        if value and price in sizes:
            sizes[price] = size
            if len(keys) <= depth or self.sign * float(price) <= keys[depth - 1]:
                changes[price] = size
            return
        key = self._key(price)
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            price = self._same(at, price)
            if value:
                sizes[price] = size
                if at < depth:
                    changes[price] = size
                return
            self._remove(at, price, depth, changes)
        elif value:  # removing a level that we never knew is routine on every venue
            self._insert(at, key, price, size, depth, changes)

    def _remove(self, at: int, price: str, depth: int, changes: dict[str, str]) -> None:
        del self.keys[at], self.texts[at], self.sizes[price]
        if at < depth:
            changes[price] = "0"
            if len(self.keys) >= depth:
                moved = self.texts[depth - 1]
                changes[moved] = self.sizes[moved]

    def _insert(self, at: int, key: float, price: str, size: str, depth: int, changes: dict[str, str]) -> None:
        self.keys.insert(at, key)
        self.texts.insert(at, price)
        self.sizes[price] = size
        if at < depth:
            changes[price] = size
            if len(self.keys) > depth:
                changes[self.texts[depth]] = "0"

    def trim(self, limit: int) -> None:
        """Forget what is deeper than `limit` levels (never within the published depth: callers keep limit ≥ depth)."""
        if len(self.keys) > limit:
            for text in self.texts[limit:]:
                del self.sizes[text]
            del self.keys[limit:], self.texts[limit:]

    def top(self, depth: int) -> list[Level]:
        """Give the first `depth` levels, best first."""
        sizes = self.sizes
        return [(text, sizes[text]) for text in self.texts[:depth]]

    @property
    def complete(self) -> int:
        """How many levels, from the best on, are known without holes."""
        return len(self.keys) if self.known_key is None else bisect_right(self.keys, self.known_key)

    @property
    def known_to(self) -> str | None:
        """The worst price to which the side is completely known (it may have gone since), or None when nothing is
        missing. When all that was known is gone, that is as far as the snapshot reached.
        """
        complete = self.complete
        return self.known_text if self.known_key is None or complete == 0 else self.texts[complete - 1]

    def _key(self, price: str) -> float:
        try:
            value = float(price)
        except ValueError:
            value = -1.0
        if not 0.0 < value < inf or is_decimal(price) is None:
            raise BookError(f"price {price!r} is not a number above 0")
        return self.sign * value

    def _same(self, at: int, price: str) -> str:
        """Give the text under which the level at index `at` is kept; another text of the same value means the same
        level.
        """
        kept = self.texts[at]
        if kept is not price and kept != price and Decimal(kept) != Decimal(price):
            raise BookError(f"prices {kept!r} and {price!r} are closer than can be told apart")
        return kept


class Book:
    """Bids and asks of one instrument.

    `limit`: the most levels a side that are kept, `depth` ≤ limit: how many are published.
    """

    __slots__ = ("asks", "bids", "depth", "limit")

    def __init__(self, depth: int, limit: int) -> None:
        self.bids = Side(-1)
        self.asks = Side(1)
        self.depth = min(depth, limit)
        self.limit = limit

    def load(self, bids: Sequence[Level], asks: Sequence[Level], *, limit: int | None) -> None:
        """Replace the book by a snapshot.

        Raises BookError for malformed, unsorted or crossed levels; the book is then unusable.
        """
        self.bids.load(bids, limit=limit)
        self.asks.load(asks, limit=limit)
        self._check()

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> tuple[list[Level], list[Level]]:
        """Apply absolute levels and give the changes of the first `depth` levels as (bids, asks).

        Raises BookError for a malformed level or when the result is crossed; the book is then unusable and must be
        loaded again.
        """
        depth = self.depth
        changed_bids: dict[str, str] = {}
        changed_asks: dict[str, str] = {}
        if bids:
            change = self.bids.set
            for price, size in bids:
                change(price, size, depth, changed_bids)
            self.bids.trim(self.limit)
        if asks:
            change = self.asks.set
            for price, size in asks:
                change(price, size, depth, changed_asks)
            self.asks.trim(self.limit)
        self._check()
        return list(changed_bids.items()), list(changed_asks.items())

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """Give the first `depth` levels as (bids, asks), best first."""
        return self.bids.top(depth), self.asks.top(depth)

    @property
    def complete(self) -> int:
        """How many levels a side are known without holes (the smaller of both sides)."""
        return min(self.bids.complete, self.asks.complete)

    @property
    def narrow(self) -> bool:
        """Whether most of the levels that a bounded snapshot knew are gone: the market moved through them."""
        sides = (self.bids, self.asks)
        return any(side.known_key is not None and side.complete * 4 < side.known_at_load for side in sides)

    def differs(self, bids: Sequence[Level], asks: Sequence[Level], *, asked: int) -> bool:
        """Say whether the first levels differ, by value, from those that the venue gives by REST.

        Only levels that we know without holes count, and only the digits of a size that are given: Kraken's REST rounds
        to three decimals. `asked`: how many levels a side were asked for; where one of the two has fewer, that is
        its whole side, and the other must have no more. Raises ValueError for what is not a number.
        """
        for theirs, ours in ((bids, self.bids), (asks, self.asks)):
            known = min(len(theirs), ours.complete)
            first = [(float(price), float(size), size) for price, size in theirs][:known]
            if len(theirs) < min(asked, ours.complete) or (ours.known_key is None and known < min(asked, len(theirs))):
                return True
            for (price, value, text), (our_price, our_text) in zip(first, ours.top(known), strict=True):
                if price != float(our_price) or (value != float(our_text) and not _coarser(text, our_text)):
                    return True
        return False

    def digest(self) -> str:
        """Give a fingerprint of every known level: equal for equal books."""
        lines = [f"{price} {size}" for side in self.top(self.limit) for price, size in (*side, ("", ""))]
        return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()

    def _check(self) -> None:
        if self.bids.keys and self.asks.keys and -self.bids.keys[0] >= self.asks.keys[0]:
            raise BookError(f"best bid {self.bids.texts[0]} is not below best ask {self.asks.texts[0]}", "crossed")
