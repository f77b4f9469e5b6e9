"""Kraken's items to records and levels: raw number text, checks of value, and nothing that needs to be remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.books.book import is_decimal
from collector.records import Quote, Trade
from collector.venues.core import FieldError
from collector.venues.kraken.facts import DEPTHS
from collector.venues.stamps import iso_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from collector.books.contract import Identity
    from collector.clock import Now
    from collector.records import Level
    from collector.venues.kraken import wire


def trade(who: Identity, item: wire.TradeItem, now: Now) -> Trade:
    """Give the record."""
    return Trade(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=time_us(item.timestamp),
        recv_ts=now.wall_us,
        id=str(item.trade_id),
        id_space="trade",
        price=number(item.price),
        size=number(item.qty),
        side=item.side,
    )


def quote(who: Identity, item: wire.TickerItem, now: Now) -> Quote:
    """Give the record. Older protocol versions send no time with it."""
    return Quote(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=time_us(item.timestamp) if item.timestamp else None,
        recv_ts=now.wall_us,
        bid=number(item.bid),
        bid_size=number(item.bid_qty),
        ask=number(item.ask),
        ask_size=number(item.ask_qty),
    )


def levels(items: Sequence[wire.Level]) -> list[Level]:
    """Give levels as text; whether they are numbers is the book's business."""
    return [(bytes(level.price).decode(), bytes(level.qty).decode()) for level in items]


def number(raw: Raw) -> str:
    """Give a JSON number's text. Raises FieldError for anything else."""
    text = bytes(raw).decode()
    if is_decimal(text) is None:
        raise FieldError(f"{text!r} is not a number of at least 0")
    return text


def time_us(text: str) -> int:
    """Give the venue's time stamp as µs. Raises FieldError."""
    try:
        return iso_us(text)
    except ValueError as error:
        raise FieldError(str(error)) from error


def offered_depth(item: wire.BookItem) -> int:
    """Give the depth that a recorded subscription must have had, from its snapshot's length."""
    longest = max(len(item.bids), len(item.asks))
    return next((depth for depth in DEPTHS if depth >= longest), DEPTHS[-1])
