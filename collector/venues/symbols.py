"""Canonical instrument names and the venues' own symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def split_symbol(symbol: str, quotes: Iterable[str]) -> str | None:
    """`BTCUSDT` → `BTC-USDT`: split off the longest known quote currency; None when none fits.

    Only for want of a listing.
    """
    fitting = [quote for quote in quotes if symbol.endswith(quote) and len(symbol) > len(quote)]
    if not fitting:
        return None
    quote = max(fitting, key=len)
    return f"{symbol.removesuffix(quote)}-{quote}"
