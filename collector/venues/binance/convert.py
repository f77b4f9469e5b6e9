"""Binance's events to records: checks of value, and nothing that needs to be remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from collector.books.book import Book, BookError, decimals, is_decimal
from collector.records import BookSnapshot, Quote, Trade
from collector.venues.core import FieldError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from collector.books.contract import Identity
    from collector.clock import Now
    from collector.records import Level
    from collector.venues.binance import wire
    from collector.venues.protocol import Channel

FORGIVEN = b" _+-\\" + bytes(range(128, 256))
"""Bytes with which float() takes a text that is no number of the venue's; the backslash hides others."""
DEFAULT_LIMIT = "100"
"""`limit` of GET /api/v3/depth when none is given."""


def trade(who: Identity, event: wire.TradeEvent | wire.AggTradeEvent, ident: int, space: str, now: Now) -> Trade:
    """Give the record. `m` true: the buyer was the maker, so the taker sold."""
    belongs(who, event.s, event.p, event.q)
    return Trade(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=event.T * 1000,
        recv_ts=now.wall_us,
        id=str(ident),
        id_space=space,
        price=event.p,
        size=event.q,
        side="sell" if event.m else "buy",
    )


def quote(who: Identity, event: wire.BookTickerEvent, now: Now) -> Quote:
    """Give the record; the venue sends no time with it."""
    belongs(who, event.s, event.b, event.B, event.a, event.A)
    return Quote(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=None,
        recv_ts=now.wall_us,
        seq=event.u,
        bid=event.b,
        bid_size=event.B,
        ask=event.a,
        ask_size=event.A,
    )


def partial(who: Identity, event: wire.DepthBook, now: Now) -> BookSnapshot:
    """Give the venue's own partial book as a record. Raises FieldError when it is no book: malformed, unsorted,
    crossed.
    """
    depth = max(len(event.bids), len(event.asks))
    try:
        Book(depth, depth).load(event.bids, event.asks, limit=None)
    except BookError as error:
        raise FieldError(str(error)) from error
    return BookSnapshot(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=None,
        recv_ts=now.wall_us,
        seq=event.lastUpdateId,
        bids=event.bids,
        asks=event.asks,
        first_seq=None,
        last_seq=event.lastUpdateId,
        depth=depth,
        known_bid=event.bids[-1][0] if event.bids else None,
        known_ask=event.asks[-1][0] if event.asks else None,
        cause="partial",
    )


def belongs(who: Identity, symbol: str, *numbers: str) -> None:
    """Raise FieldError unless the event is this stream's and its numbers are numbers."""
    if symbol != who.symbol:
        raise FieldError(f"symbol {symbol!r} on the stream of {who.symbol}")
    if numbers and decimals(" ".join(numbers)) is None:
        raise FieldError(f"{', '.join(map(repr, numbers))} are not all numbers")


def clean(body: bytes | Raw, *sides: Sequence[Level]) -> None:
    """Raise FieldError for numbers that Python's float would forgive: blanks, underscores, signs, foreign digits.

    The venue's messages hold none of those bytes, so this costs one scan.
    """
    raw = bytes(body)
    if len(raw.translate(None, FORGIVEN)) == len(raw):
        return
    for side in sides:
        for price, size in side:
            if is_decimal(price) is None or is_decimal(size) is None:
                raise FieldError(f"level {price!r}, {size!r} is not two numbers")


def channel_of(kind: str) -> Channel | None:
    """Give our channel of a stream kind (`depth@100ms`); None when it is not spoken."""
    if kind in ("trade", "aggTrade"):
        return "trades"
    if kind == "bookTicker":
        return "quotes"
    if kind in ("depth", "depth@100ms", "depth@1000ms") or is_partial(kind):
        return "book"
    return None


def is_partial(kind: str) -> bool:
    """Say whether a stream kind sends self-contained partial books."""
    return kind.partition("@")[0] in ("depth5", "depth10", "depth20")


def raw_name(message: wire.Envelope) -> str:
    """Give the stream name of an event that came without an envelope."""
    kinds = {"": "bookTicker", "depthUpdate": "depth", "24hrTicker": "ticker", "24hrMiniTicker": "miniTicker"}
    return message.e if message.e == "serverShutdown" else f"{message.s.lower()}@{kinds.get(message.e, message.e)}"


def limit_of(request: str) -> int:
    """Give the `limit` that a depth request really carried. Raises ValueError for anything but a whole number."""
    return int(parse_qs(urlsplit(request.rpartition(" ")[2]).query).get("limit", [DEFAULT_LIMIT])[0])
