"""Venue time stamps to integer microseconds UTC, exactly: no float on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def _second(text: str) -> int:
    return int((datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000


def iso_us(text: str) -> int:
    """`2023-07-30T15:29:58.343415Z` (0 to 9 fractional digits, UTC) → µs since the epoch.

    Raises ValueError for anything else.
    """
    if not text.endswith("Z") or (len(text) > len("2023-07-30T15:29:58Z") and text[19] != "."):
        raise ValueError(f"time {text!r} is not ISO 8601 in UTC")
    fraction = text[20:-1]
    if fraction and not (fraction.isascii() and fraction.isdigit()):
        raise ValueError(f"time {text!r} is not ISO 8601 in UTC")
    return _second(text[:19]) + (int(fraction[:6].ljust(6, "0")) if fraction else 0)
