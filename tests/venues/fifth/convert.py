"""The fifth exchange's messages to records: checks of value, and nothing that needs to be remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.books.book import is_decimal
from collector.records import Instrument, Quote, Trade
from collector.venues.core import FieldError
from tests.venues.fifth.facts import FACTS, STATES

if TYPE_CHECKING:
    from collector.books.contract import Identity
    from collector.clock import Now
    from collector.records import Level
    from tests.venues.fifth import wire


def numbers(*texts: str) -> None:
    """Raise FieldError unless all are plain numbers of at least 0."""
    for text in texts:
        if is_decimal(text) is None:
            raise FieldError(f"{text!r} is not a number of at least 0")


def levels(items: list[Level]) -> list[Level]:
    """Give levels as they are. Raises FieldError for what are no numbers."""
    numbers(*(text for item in items for text in item))
    return items


def trade(who: Identity, message: wire.Trade, now: Now) -> Trade:
    """Give the record."""
    numbers(message.price, message.size)
    return Trade(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=message.at * 1000,
        recv_ts=now.wall_us,
        id=str(message.n),
        id_space="trade",
        price=message.price,
        size=message.size,
        side=message.side,
    )


def quote(who: Identity, message: wire.Best, now: Now) -> Quote:
    """Give the record."""
    numbers(*message.bid, *message.ask)
    return Quote(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=message.at * 1000,
        recv_ts=now.wall_us,
        bid=message.bid[0],
        bid_size=message.bid[1],
        ask=message.ask[0],
        ask_size=message.ask[1],
    )


def instrument(listed: wire.ListedMarket, now: Now) -> Instrument:
    """Give the record."""
    return Instrument(
        venue=FACTS.venue,
        market=FACTS.market,
        instrument=f"{listed.base}-{listed.quote}",
        symbol=listed.market,
        ts=None,
        recv_ts=now.wall_us,
        base=listed.base,
        quote=listed.quote,
        settle=None,
        status=STATES.get(listed.state, "unknown"),
        venue_status=listed.state,
        price_step=None,
        size_step=None,
        min_size=None,
        min_value=None,
        contract_currency=None,
    )
