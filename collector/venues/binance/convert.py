"""Binance's events to records: checks of value, and nothing that needs to be remembered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from collector.books.book import Book, BookError, is_decimal
from collector.quality.candles import interval_us
from collector.records import BookSnapshot, Candle, FundingRate, Liquidation, OpenInterest, Quote, Ticker, Trade
from collector.records import VenueStatus as Status
from collector.venues.binance import wire
from collector.venues.core import FieldError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from collector.books.contract import Identity
    from collector.clock import Now
    from collector.records import Level

FORGIVEN = b" _+-\\" + bytes(range(128, 256))
"""Bytes with which float() takes a text that is no number of the venue's; the backslash hides others."""
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"  # the venue writes no exponents
_one = re.compile(_NUMBER).fullmatch
_two = re.compile(f"{_NUMBER} {_NUMBER}").fullmatch
_four = re.compile(" ".join([_NUMBER] * 4)).fullmatch
"""Several at once cost a third of one by one; just so many, so that no blank hides in one."""
MONTH = "1M"
"""The interval that has no one length."""


def trade(who: Identity, event: wire.TradeEvent | wire.AggTradeEvent, ident: int, space: str, now: Now) -> Trade:
    """Give the record. `m` true: the buyer was the maker, so the taker sold."""
    if event.s != who.symbol or _two(f"{event.p} {event.q}") is None:
        raise _strange(who, event.s, event.p, event.q)
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
    """Give the record; in spot the venue sends no time with it."""
    if event.s != who.symbol or _four(f"{event.b} {event.B} {event.a} {event.A}") is None:
        raise _strange(who, event.s, event.b, event.B, event.a, event.A)
    return Quote(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=None if event.T is None else event.T * 1000,
        recv_ts=now.wall_us,
        seq=event.u,
        bid=event.b,
        bid_size=event.B,
        ask=event.a,
        ask_size=event.A,
    )


def partial(who: Identity, ident: int, ts: int | None, bids: list[Level], asks: list[Level], now: Now) -> BookSnapshot:
    """Give the venue's own partial book at update `ident` as a record. Raises FieldError when it is no book:
    malformed, unsorted, crossed.
    """
    depth = max(len(bids), len(asks))
    try:
        Book(depth, depth).load(bids, asks, limit=None)
    except BookError as error:
        raise FieldError(str(error)) from error
    return BookSnapshot(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ts,
        recv_ts=now.wall_us,
        seq=ident,
        bids=bids,
        asks=asks,
        first_seq=None,
        last_seq=ident,
        depth=depth,
        known_bid=bids[-1][0] if bids else None,
        known_ask=asks[-1][0] if asks else None,
        cause="partial",
    )


def ticker(who: Identity, event: wire.TickerEvent, now: Now) -> Ticker:
    """Give the record."""
    best = [text for text in (event.b, event.B, event.a, event.A) if text is not None]
    belongs(who, event.s, event.c, event.o, event.h, event.l, event.v, event.q, *best)
    return Ticker(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=event.E * 1000,
        recv_ts=now.wall_us,
        last=event.c,
        open=event.o,
        high=event.h,
        low=event.l,
        volume=event.v,
        quote_volume=event.q,
        bid=event.b,
        bid_size=event.B,
        ask=event.a,
        ask_size=event.A,
    )


def candle(who: Identity, event: wire.KlineEvent, interval: str, now: Now) -> Candle:
    """Give the bar of a stream of bars `interval` long. Raises FieldError for a bar of another length."""
    bar = event.k
    belongs(who, event.s, bar.o, bar.h, bar.l, bar.c, bar.v)
    long = interval == MONTH or (bar.T - bar.t + 1) * 1000 == interval_us(interval)
    if bar.s != event.s or bar.i != interval or not long:
        raise FieldError(f"a bar of {bar.s}, {bar.i}, {bar.t}..{bar.T} on the stream of {event.s}, {interval}")
    return Candle(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=event.E * 1000,
        recv_ts=now.wall_us,
        interval=interval,
        open_ts=bar.t * 1000,
        open=bar.o,
        high=bar.h,
        low=bar.l,
        close=bar.c,
        volume=bar.v,
        trades=bar.n,
        closed=bar.x,
    )


def funding(who: Identity, event: wire.MarkPriceEvent, now: Now) -> FundingRate:
    """Give the record; a rate may be negative."""
    belongs(who, event.s, event.p, event.i, event.r.removeprefix("-"))
    return FundingRate(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=event.E * 1000,
        recv_ts=now.wall_us,
        rate=event.r,
        funding_ts=event.T * 1000,
        next_rate=None,
        mark_price=event.p,
        index_price=event.i,
    )


def liquidation(who: Identity, order: wire.ForcedOrder, now: Now) -> Liquidation:
    """Give the record."""
    belongs(who, order.s, order.q, order.p, order.ap)
    return Liquidation(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=order.T * 1000,
        recv_ts=now.wall_us,
        side="sell" if order.S == "SELL" else "buy",
        price=order.p,
        average_price=order.ap,
        size=order.q,
    )


def open_interest(who: Identity, answer: wire.OpenInterest, now: Now) -> OpenInterest:
    """Give the record."""
    belongs(who, answer.symbol, answer.openInterest)
    return OpenInterest(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=answer.time * 1000,
        recv_ts=now.wall_us,
        open_interest=answer.openInterest,
        base_value=None,
    )


def status(who: Identity, answer: wire.SystemStatus, now: Now) -> Status:
    """Give the record; the venue says neither since when nor until when."""
    return Status(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=None,
        recv_ts=now.wall_us,
        status="online" if answer.status == 0 else "maintenance" if answer.status == 1 else "unknown",
        venue_status=str(answer.status),
        message=answer.msg,
        start_ts=None,
        end_ts=None,
    )


def belongs(who: Identity, symbol: str, *numbers: str) -> None:
    """Raise FieldError unless the event is this stream's and its numbers are numbers."""
    if symbol != who.symbol or not all(map(_one, numbers)):
        raise _strange(who, symbol, *numbers)


def _strange(who: Identity, symbol: str, *numbers: str) -> FieldError:
    if symbol != who.symbol:
        return FieldError(f"symbol {symbol!r} on the stream of {who.symbol}")
    return FieldError(f"{', '.join(map(repr, numbers))} are not all numbers")


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


def raw_name(message: wire.Envelope, data: bytes) -> str:
    """Give the stream name of an event that came without an envelope. Raises msgspec.DecodeError for a broken one."""
    kinds = {"": "bookTicker", "depthUpdate": "depth", "24hrTicker": "ticker", "24hrMiniTicker": "miniTicker"}
    if message.e == "serverShutdown":
        return message.e
    if message.e == "forceOrder":
        return "!forceOrder@arr"  # its symbol does not stand where that of all others does
    if message.e == "kline":
        kind = f"kline_{wire.kline(data).k.i}"
    elif message.e == "markPriceUpdate":
        kind = "markPrice"
    else:
        kind = kinds.get(message.e, message.e)
    return f"{message.s.lower()}@{kind}"


def limit_of(request: str, default: int) -> int:
    """Give the `limit` that a depth request really carried. Raises ValueError for anything but a whole number."""
    return int(parse_qs(urlsplit(request.rpartition(" ")[2]).query).get("limit", [str(default)])[0])
