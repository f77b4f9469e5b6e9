"""Each of Binance's events to its stream: decode, check, publish. One function a kind of stream, and a table of them.

They remember nothing that is not the stream's own, so they serve both products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.books.contract import Update
from collector.quality.candles import interval_us
from collector.venues.binance import convert, wire
from collector.venues.core import FieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from msgspec import Raw

    from collector.clock import Now
    from collector.venues.protocol import Channel
    from collector.venues.stream import Stream

    Handler = Callable[[Stream, Raw, Now], None]


def trade(stream: Stream, body: Raw, now: Now) -> None:
    """`@trade`: ids count one by one."""
    event = wire.trade(body)
    stream.trade(event.t, convert.trade(stream.who, event, event.t, "trade", now), now)


def agg_trade(stream: Stream, body: Raw, now: Now) -> None:
    """`@aggTrade`: ids count one by one; in spot every fill is in one, so that the fills must follow one another too.

    Of futures, what the insurance fund and automatic deleveraging trade has fill ids and is in no aggregate:
    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Aggregate-Trade-Streams
    """
    event = wire.agg_trade(body)
    record = convert.trade(stream.who, event, event.a, "aggTrade", now)
    fills, stream.last_seq = stream.last_seq, event.l
    if event.f - 1 != fills:
        _fills(stream, event, fills, now)
    stream.trade(event.a, record, now)


def _fills(stream: Stream, event: wire.AggTradeEvent, fills: int | None, now: Now) -> None:
    """Look at an aggregate whose first fill does not follow `fills`, the last one of the newest aggregate."""
    last = stream.ids.last
    if last is not None and event.a <= last:
        stream.last_seq = fills  # an old one, perhaps late
    elif fills is not None and event.a - 1 == last and stream.who.market == "spot":
        stream.record(stream.gap_record("sequence", now, count=max(0, event.f - 1 - fills) or None))
        stream.judge("gap", now, reason=f"aggregate {event.a} begins with fill {event.f}, expected {fills + 1}")


def book_ticker(stream: Stream, body: Raw, now: Now) -> None:
    """`@bookTicker`."""
    stream.quote(convert.quote(stream.who, wire.book_ticker(body), now), now)


def depth(stream: Stream, body: Raw, now: Now) -> None:
    """`@depth…`: changes of the book."""
    event = wire.depth(body)
    convert.belongs(stream.who, event.s)
    if event.u < event.U:
        raise FieldError(f"last update id {event.u} before the first, {event.U}")
    convert.clean(body, event.b, event.a)
    stream.beat(now)
    book = stream.book
    if book is not None:  # it always has one: partial books have a handler of their own
        book.update(Update(event.b, event.a, event.U, event.u, event.pu, event.E * 1000), now)


def partial(stream: Stream, body: Raw, now: Now) -> None:
    """`@depth<5|10|20>`: the best levels, whole, in each message."""
    if stream.who.market == "perp":
        event = wire.depth(body)
        convert.belongs(stream.who, event.s)
        ident, ts, bids, asks = event.u, event.E * 1000, event.b, event.a
    else:
        book = wire.depth_book(body)
        ident, ts, bids, asks = book.lastUpdateId, None, book.bids, book.asks
    convert.clean(body, bids, asks)
    stream.beat(now)
    if stream.last_seq is not None and ident <= stream.last_seq:
        stream.counted("duplicate", f"partial book {ident}")
        return
    stream.last_seq = ident
    stream.judge("unverifiable", now, reason="a partial book has no chain")
    stream.record(convert.partial(stream.who, ident, ts, bids, asks, now))


def ticker(stream: Stream, body: Raw, now: Now) -> None:
    """`@ticker`."""
    stream.plain(convert.ticker(stream.who, wire.ticker(body), now), now)


def candle(stream: Stream, body: Raw, now: Now) -> None:
    """`@kline_<interval>`: the venue says which bar is closed."""
    interval = stream.name.rpartition("_")[2]
    bar = convert.candle(stream.who, wire.kline(body), interval, now)
    if interval == convert.MONTH:  # one that is missing could not be told
        stream.plain(bar, now)
    else:
        stream.candle(bar, now, marked=True)


def mark_price(stream: Stream, body: Raw, now: Now) -> None:
    """`@markPrice[@1s]`: mark and index price, and the funding rate."""
    stream.plain(convert.funding(stream.who, wire.mark_price(body), now), now)


def force_order(stream: Stream, body: Raw, now: Now) -> None:
    """`@forceOrder`."""
    stream.plain(convert.liquidation(stream.who, wire.force_order(body).o, now), now)


_PARTIAL = {f"depth{levels}{pace}" for levels in (5, 10, 20) for pace in ("", "@100ms", "@250ms", "@500ms", "@1000ms")}
_DIFF = {f"depth{pace}" for pace in ("", "@100ms", "@250ms", "@500ms", "@1000ms")}
SPOKEN: Mapping[str, tuple[Channel, Handler]] = {
    "trade": ("trades", trade),
    "aggTrade": ("trades", agg_trade),
    "bookTicker": ("quotes", book_ticker),
    "ticker": ("tickers", ticker),
    "markPrice": ("funding", mark_price),
    "markPrice@1s": ("funding", mark_price),
    "forceOrder": ("liquidations", force_order),
    **dict.fromkeys(_DIFF, ("book", depth)),
    **dict.fromkeys(_PARTIAL, ("book", partial)),
}
OF_ALL: Mapping[str, str] = {
    "!bookTicker": "bookTicker",
    "!ticker@arr": "ticker",
    "!markPrice@arr": "markPrice",
    "!markPrice@arr@1s": "markPrice@1s",
    "!forceOrder@arr": "forceOrder",
}
"""Streams of all symbols, and the kind of stream that each of their events belongs to."""


def spoken(kind: str) -> tuple[Channel, Handler] | None:
    """Give our channel of a stream kind (`depth@100ms`) and what takes its events; None when it is not spoken."""
    name, _, interval = kind.partition("_")
    if name != "kline":
        return SPOKEN.get(kind)
    try:
        known = interval == convert.MONTH or interval_us(interval) > 0
    except ValueError:
        known = False
    return ("candles", candle) if known else None
