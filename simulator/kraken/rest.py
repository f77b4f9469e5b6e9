"""Kraken's public REST API as far as market data needs it; errors come with HTTP 200.

It owns the answers under /kraken/0/public. It must never send on a socket. Sizes of Depth have three decimals and its
prices five, as the exchange's own answers have.
https://docs.kraken.com/api/docs/rest-api/get-order-book https://docs.kraken.com/api/docs/rest-api/get-recent-trades
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.book import Level
from simulator.instruments import SIZE_DECIMALS
from simulator.kraken.facts import INTERVALS, PairNames, pair_names
from simulator.kraken.listing import STATUSES, asset_pair, dumps
from simulator.ledger import Ledger
from simulator.limits import TokenBucket
from simulator.market import BUY, Trade
from simulator.markets import DELISTED
from simulator.statistics import SECOND_US, Candle, every
from simulator.text import decimal_text

if TYPE_CHECKING:
    from simulator.kraken.venue import Kraken

_STATIC = ("Time", "SystemStatus", "AssetPairs")
_PRICE_DECIMALS = 5
_DEPTH_SIZE_DECIMALS = 3
_DEPTH_MOST = 500
_TRADES_MOST = 1000
_BARS_MOST = 720


class _BadRequestError(Exception):
    """The text of one entry of `error`."""


class Rest:
    """The REST host of one Kraken. `pairs` maps every spelling of a pair to its canonical symbol."""

    def __init__(self, venue: "Kraken") -> None:
        self._venue = venue
        self._names: dict[str, PairNames] = {}
        self.pairs: dict[str, str] = {}
        self._buckets: dict[tuple[str | None, str, str], TokenBucket] = {}

    def listed(self, symbol: str) -> None:
        """Know a pair by all its spellings."""
        names = self._names[symbol] = pair_names(symbol)
        self.pairs |= dict.fromkeys((names.key, names.altname, names.wsname, names.symbol), symbol)

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every endpoint."""
        answers = {
            "Time": self._time,
            "SystemStatus": self._status,
            "AssetPairs": self._asset_pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
            "Depth": self._depth,
            "Trades": self._trades,
        }

        def route(name: str) -> web.AbstractRouteDef:
            def answer(request: web.Request) -> web.Response:
                return self._limited(name, request)

            return web.get(f"/kraken/0/public/{name}", self._venue.rest(name, answer))

        self._answers = answers
        return [route(name) for name in answers]

    def _limited(self, name: str, request: web.Request) -> web.Response:
        limits, now = self._venue.limits, self._venue.world.clock.mono()
        who = (request.remote, name, request.query.get("pair", ""))
        bucket = self._buckets.setdefault(who, TokenBucket(limits.rest_per_second, limits.rest_burst, now))
        if not bucket.allow(now):
            return _error("EGeneral:Too many requests")
        tape = self._venue.tape
        recorded = None if tape is None else tape.answer(name, request.query.get("pair"))
        if recorded is not None:
            return web.Response(text=recorded, content_type="application/json")
        if tape is not None and name not in _STATIC:
            return _error("EQuery:Unknown asset pair")
        try:
            return web.Response(
                text=f'{{"error":[],"result":{self._answers[name](request)}}}', content_type="application/json"
            )
        except _BadRequestError as error:
            return _error(str(error))

    @staticmethod
    def fail(params: Mapping[str, Any]) -> web.Response:
        """What a fault asks for: Kraken's errors come with 200 and a body, all else comes from before it."""
        status = int(params["status"])
        headers = {} if params["retry_after"] is None else {"Retry-After": str(params["retry_after"])}
        if status == 200 or params["error"] is not None:
            body = dumps({"error": [params["error"] or "EGeneral:Too many requests"]})
            return web.Response(text=body, status=status, headers=headers, content_type="application/json")
        return web.Response(text=f"<html>{status}</html>", status=status, headers=headers, content_type="text/html")

    def _market(self, request: web.Request) -> tuple[str, Ledger, int]:
        pair = request.query.get("pair")
        if not pair:
            raise _BadRequestError("EGeneral:Invalid arguments")
        symbol = self.pairs.get(pair)
        if symbol is None or self._venue.listings[symbol] == DELISTED:
            raise _BadRequestError("EQuery:Unknown asset pair")
        return symbol, self._venue.ledgers[symbol], self._venue.markets[symbol].instrument.price_decimals

    def _time(self, _: web.Request) -> str:
        seconds = self._venue.now_us() // 1_000_000
        text = datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %y %H:%M:%S +0000")
        return f'{{"unixtime":{seconds},"rfc1123":"{text}"}}'

    def _status(self, _: web.Request) -> str:
        text = datetime.fromtimestamp(self._venue.now_us() // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f'{{"status":"{self._venue.system[0]}","timestamp":"{text}"}}'

    def _asset_pairs(self, request: web.Request) -> str:
        markets, listings = self._venue.markets, self._venue.listings
        return dumps(
            {
                self._names[symbol].key: asset_pair(markets[symbol].instrument, STATUSES[listings[symbol]])
                for symbol in self._chosen(request)
            }
        )

    def _chosen(self, request: web.Request) -> list[str]:
        """The pairs that ?pair= names, or all; a delisted pair is none."""
        listed = [symbol for symbol, listing in self._venue.listings.items() if listing != DELISTED]
        if "pair" not in request.query:
            return listed
        chosen = [self.pairs.get(pair, "") for pair in request.query["pair"].split(",")]
        if not set(chosen) <= set(listed):
            raise _BadRequestError("EQuery:Unknown asset pair")
        return chosen

    def _ticker(self, request: web.Request) -> str:
        """a, b: price, whole lots, lots; c: price, lots; v, p, t, l, h: today and 24 hours; o: today's first price."""
        return "{" + ",".join(self._ticker_row(symbol) for symbol in self._chosen(request)) + "}"

    def _ticker_row(self, symbol: str) -> str:
        market, day = self._venue.markets[symbol], self._venue.days[symbol]
        decimals = market.instrument.price_decimals
        bid, ask = market.book.best()

        def side(level: Level) -> str:
            whole = max(level[1] // 10**SIZE_DECIMALS, 1)
            return f'["{_price(level[0], decimals)}","{whole}","{_coarse(level[1])}"]'

        def twice(text: str) -> str:
            return f"[{text},{text}]"

        def price(tick: int) -> str:
            return f'"{_price(tick, decimals)}"'

        size = f'"{decimal_text(day.volume, SIZE_DECIMALS)}"'
        last = f'"{decimal_text(day.last_size, SIZE_DECIMALS)}"'
        return (
            f'"{self._names[symbol].key}":{{"a":{side(ask)},"b":{side(bid)},"c":[{price(day.last)},{last}],'
            f'"v":{twice(size)},"p":{twice(price(day.vwap()))},"t":{twice(str(day.count))},'
            f'"l":{twice(price(day.low))},"h":{twice(price(day.high))},"o":{price(day.opening)}}}'
        )

    def _ohlc(self, request: web.Request) -> str:
        """Rows [time, open, high, low, close, vwap, volume, count]; the last is still open, `last` the one before it.

        https://docs.kraken.com/api/docs/rest-api/get-ohlc-data
        """
        symbol, _, decimals = self._market(request)
        minutes = _integer(request, "interval", 1)
        if minutes not in INTERVALS:
            raise _BadRequestError("EGeneral:Invalid arguments")
        since = _nanoseconds(request.query.get("since", "0")) // 1000
        bars = self._venue.candles(symbol, str(minutes), every(60 * minutes)).last(_BARS_MOST)

        def row(bar: Candle) -> str:
            prices = (bar.opening, bar.high, bar.low, bar.closing, bar.vwap())
            texts = ",".join(f'"{decimal_text(tick, decimals)}"' for tick in prices)
            return f'[{bar.begin_us // SECOND_US},{texts},"{decimal_text(bar.volume, SIZE_DECIMALS)}",{bar.count}]'

        rows = ",".join(row(bar) for bar in bars if bar.begin_us >= since)
        last = bars[-2].begin_us // SECOND_US if len(bars) > 1 else 0
        return f'{{"{self._names[symbol].key}":[{rows}],"last":{last}}}'

    def _depth(self, request: web.Request) -> str:
        symbol, ledger, decimals = self._market(request)
        count = min(_integer(request, "count", 100), _DEPTH_MOST)
        book, _, ts_us = ledger.book_now()
        stale = self._venue.world.faults.take_rest("rest_stale", self._venue.name, "Depth", symbol)
        if stale is not None:
            behind = max(ledger.book_now()[1] - int(stale.request.params["behind"]), ledger.first_id)
            book, _, ts_us = ledger.book_at_id(behind)
        seconds = (ts_us + self._venue.skew_us()) // 1_000_000

        def rows(levels: list[Level]) -> str:
            return ",".join(f'["{_price(t, decimals)}","{_coarse(lots)}",{seconds}]' for t, lots in levels)

        key = self._names[symbol].key
        return f'{{"{key}":{{"asks":[{rows(book.asks.top(count))}],"bids":[{rows(book.bids.top(count))}]}}}}'

    def _trades(self, request: web.Request) -> str:
        symbol, ledger, decimals = self._market(request)
        count = min(_integer(request, "count", _TRADES_MOST), _TRADES_MOST)
        skew = self._venue.skew_us()
        if "since" in request.query:
            since = _nanoseconds(request.query["since"])
            trades = ledger.trades_after(since // 1000 - skew, count)
        else:
            trades = ledger.trades(max(ledger.last_trade_id - count + 1, ledger.first_trade_id))
            since = 0
        last = (trades[-1].ts_us + skew) * 1000 if trades else since

        def row(trade: Trade) -> str:
            side = "b" if trade.side == BUY else "s"
            time = decimal_text(trade.ts_us + skew, 6)
            size = decimal_text(trade.size, SIZE_DECIMALS)
            return f'["{_price(trade.tick, decimals)}","{size}",{time},"{side}","m","",{trade.id}]'

        key = self._names[symbol].key
        return f'{{"{key}":[{",".join(row(trade) for trade in trades)}],"last":"{last}"}}'


def _price(tick: int, decimals: int) -> str:
    return decimal_text(tick, decimals) + "0" * (_PRICE_DECIMALS - decimals)


def _coarse(lots: int) -> str:
    unit = 10 ** (SIZE_DECIMALS - _DEPTH_SIZE_DECIMALS)
    return decimal_text((lots + unit // 2) // unit, _DEPTH_SIZE_DECIMALS)


def _nanoseconds(text: str) -> int:
    """`since` may be given in seconds, as a number with decimals, or in nanoseconds."""
    try:
        return int(text) if len(text) > 12 and "." not in text else int(float(text) * 1e9)
    except ValueError:
        raise _BadRequestError("EGeneral:Invalid arguments:since") from None


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise _BadRequestError(f"EGeneral:Invalid arguments:{name}")
    return int(text)


def _error(text: str) -> web.Response:
    return web.Response(text=dumps({"error": [text]}), content_type="application/json")
