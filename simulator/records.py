"""The ledger of what is neither trade nor book, as the control endpoint tells it.

It owns these JSON rows. It must never read what a venue sent: funding, open interest and liquidations come from the
perpetual itself, candles are counted anew from the ledger's trades.
"""

from collections.abc import Callable, Mapping
from typing import Any

from simulator.errors import BadRequestError
from simulator.instruments import SIZE_DECIMALS
from simulator.limits import nearest
from simulator.perpetual import Funding, Perpetual
from simulator.statistics import Candles, every
from simulator.text import decimal_text
from simulator.venue import Venue

_Row = dict[str, Any]


def _funding(one: Funding) -> _Row:
    return {
        "ts_us": one.ts_us,
        "mark": decimal_text(one.mark, SIZE_DECIMALS),
        "index": decimal_text(one.index, SIZE_DECIMALS),
        "rate": decimal_text(one.rate, SIZE_DECIMALS),
        "next_us": one.next_us,
    }


def _open_interest(perpetual: Perpetual, _: int) -> list[_Row]:
    return [{"ts_us": one.ts_us, "size": decimal_text(one.lots, SIZE_DECIMALS)} for one in perpetual.open_interest]


def _liquidations(perpetual: Perpetual, decimals: int) -> list[_Row]:
    return [
        {
            "ts_us": one.ts_us,
            "side": one.side,
            "price": decimal_text(one.tick, decimals),
            "size": decimal_text(one.size, SIZE_DECIMALS),
            "first_trade": one.first_trade,
            "last_trade": one.last_trade,
        }
        for one in perpetual.liquidations
    ]


_PERPETUAL: Mapping[str, Callable[[Perpetual, int], list[_Row]]] = {
    "funding": lambda perpetual, _: [_funding(one) for one in perpetual.funding],
    "settlements": lambda perpetual, _: [_funding(one) for one in perpetual.settlements],
    "open_interest": _open_interest,
    "liquidations": _liquidations,
}


def records(venue: Venue, symbol: str, kind: str, interval: int | None) -> list[_Row]:
    """The records of `kind` of one market, oldest first; candles of `interval` seconds (of 60), the last one open.

    Raises:
        ValueError: the kind is unknown, or the market is no perpetual.
    """
    decimals = venue.markets[symbol].instrument.price_decimals
    if kind == "candles":
        return _candles(venue, symbol, 60 if interval is None else interval, decimals)
    if kind not in _PERPETUAL:
        raise BadRequestError(f"unknown kind {kind!r}{nearest(kind, ['candles', *_PERPETUAL])}")
    if symbol not in venue.perpetuals:
        raise BadRequestError(f"{venue.name} {symbol} is no perpetual and has no {kind}")
    return _PERPETUAL[kind](venue.perpetuals[symbol], decimals)


def _candles(venue: Venue, symbol: str, seconds: int, decimals: int) -> list[_Row]:
    if seconds < 1:
        raise BadRequestError("interval must be at least 1 second")
    trades = venue.ledgers[symbol].trades()
    bars = Candles(every(seconds), fill=False, history=len(trades) + 1)
    bars.take(trades, venue.markets[symbol].ts_us)
    return [
        {
            "begin_us": bar.begin_us,
            "end_us": bar.end_us,
            "open": decimal_text(bar.opening, decimals),
            "high": decimal_text(bar.high, decimals),
            "low": decimal_text(bar.low, decimals),
            "close": decimal_text(bar.closing, decimals),
            "volume": decimal_text(bar.volume, SIZE_DECIMALS),
            "trades": bar.count,
            "closed": bar is not bars.current,
        }
        for bar in bars.last(len(trades) + 1)
    ]
