"""Kraken's items to records and levels: raw number text, checks of value, and nothing that needs to be remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.books.book import is_decimal
from collector.records import Candle, Instrument, Quote, Ticker, Trade, VenueStatus
from collector.venues.core import FieldError
from collector.venues.kraken.facts import DEPTHS, FACTS, OLD_NAMES, PAIR_STATUS, SYSTEM_STATUS
from collector.venues.protocol import WHOLE_VENUE
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


def ticker(who: Identity, item: wire.TickerItem, now: Now) -> Ticker:
    """Give the record. The venue says how much the price changed, not what it was."""
    return Ticker(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=time_us(item.timestamp) if item.timestamp else None,
        recv_ts=now.wall_us,
        last=number(item.last),
        open=None,
        high=number(item.high),
        low=number(item.low),
        volume=number(item.volume),
        quote_volume=None,
        bid=number(item.bid),
        bid_size=number(item.bid_qty),
        ask=number(item.ask),
        ask_size=number(item.ask_qty),
    )


def statistics(item: wire.TickerItem) -> tuple[bytes, ...]:
    """Give what a trade changes and a quote does not."""
    return bytes(item.last), bytes(item.volume), bytes(item.low), bytes(item.high)


def candle(who: Identity, item: wire.CandleItem, interval: str, now: Now) -> Candle:
    """Give the record; the venue has no mark for a closed bar."""
    return Candle(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=time_us(item.timestamp) if item.timestamp else None,
        recv_ts=now.wall_us,
        interval=interval,
        open_ts=time_us(item.interval_begin),
        open=number(item.open),
        high=number(item.high),
        low=number(item.low),
        close=number(item.close),
        volume=number(item.volume),
        trades=item.trades,
        closed=False,
    )


def instrument(pair: wire.Pair, now: Now) -> Instrument:
    """Give the record of a listed pair. Raises FieldError."""
    base, slash, quote = canonical(pair.symbol).partition("-")
    if not slash:
        raise FieldError(f"symbol {pair.symbol!r} is not of the form BASE/QUOTE")
    return Instrument(
        venue=FACTS.venue,
        market=FACTS.market,
        instrument=f"{base}-{quote}",
        symbol=pair.symbol,
        ts=None,
        recv_ts=now.wall_us,
        base=base,
        quote=quote,
        settle=None,
        status=PAIR_STATUS.get(pair.status, "unknown"),
        venue_status=pair.status,
        price_step=_maybe(pair.price_increment),
        size_step=_maybe(pair.qty_increment),
        min_size=_maybe(pair.qty_min),
        min_value=_maybe(pair.cost_min),
        contract_currency=None,
    )


def status(item: wire.System, now: Now) -> VenueStatus:
    """Give the record of the exchange's own status."""
    return VenueStatus(
        venue=FACTS.venue,
        market=FACTS.market,
        instrument=WHOLE_VENUE,
        symbol=WHOLE_VENUE,
        ts=None,
        recv_ts=now.wall_us,
        status=SYSTEM_STATUS.get(item.system, "unknown"),
        venue_status=item.system,
        message=None,
        start_ts=None,
        end_ts=None,
    )


def canonical(symbol: str) -> str:
    """`XBT/USD` → `BTC-USD`: protocol version 2 speaks of BTC and DOGE, older ones did not."""
    return "-".join(OLD_NAMES.get(part, part) for part in symbol.split("/"))


def _maybe(raw: Raw) -> str | None:
    return number(raw) if bytes(raw) not in (b"", b"null") else None


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
