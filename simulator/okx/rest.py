"""OKX's public REST API as far as market data needs it; every answer is {code, msg, data}.

It owns the answers under /okx/api/v5. It must never send on a socket.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-order-book
https://www.okx.com/docs-v5/en/#overview-rate-limits
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.limits import SlidingWindow
from simulator.markets import DELISTED
from simulator.okx.facts import BARS, DEPTH, REST
from simulator.okx.listing import dumps, funding_item, mark_item, open_interest_item, status_row

if TYPE_CHECKING:
    from simulator.okx.venue import Okx

_TRADES_MOST, _HISTORY_MOST, _CANDLES_MOST = 500, 100, 300
_STATIC = ("public/time", "public/instruments", "system/status")


class _BadRequestError(Exception):
    """`code` and `msg` of the answer."""


class Rest:
    """The REST host of one OKX."""

    def __init__(self, venue: "Okx") -> None:
        self._venue = venue
        self._windows: dict[tuple[str | None, str], SlidingWindow] = {}
        self._answers: dict[str, Callable[[web.Request], str]] = {
            "market/books": self._books,
            "market/trades": self._trades,
            "market/history-trades": self._history,
            "market/candles": self._candles,
            "market/history-candles": self._candles,
            "market/ticker": self._ticker,
            "market/tickers": self._tickers,
            "public/instruments": self._instruments,
            "public/time": self._time,
            "public/funding-rate": self._funding,
            "public/open-interest": self._open_interest,
            "public/mark-price": self._mark,
            "system/status": self._status,
        }

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every endpoint."""

        def route(name: str) -> web.AbstractRouteDef:
            def answer(request: web.Request) -> web.Response:
                return self._limited(name, request)

            return web.get(f"/okx/api/v5/{name}", self._venue.rest(name.rpartition("/")[2], answer))

        return [route(name) for name in self._answers]

    def _limited(self, name: str, request: web.Request) -> web.Response:
        count, seconds = REST[name]
        allowed = max(int(count * self._venue.limits.rest_factor), 1)
        window = self._windows.setdefault((request.remote, name), SlidingWindow(allowed, seconds))
        if not window.allow(self._venue.world.clock.mono()):
            return _error("50011", "Too Many Requests", 429)
        tape = self._venue.tape
        recorded = (
            None
            if tape is None
            else tape.answer(name.rpartition("/")[2], request.query.get("instId", request.query.get("instType")))
        )
        if recorded is not None:
            return web.Response(text=recorded, content_type="application/json")
        if tape is not None and name not in _STATIC:
            return _error("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        try:
            text = f'{{"code":"0","msg":"","data":[{self._answers[name](request)}]}}'
        except _BadRequestError as error:
            return _error(*error.args)
        return web.Response(text=text, content_type="application/json")

    @staticmethod
    def fail(params: Mapping[str, Any]) -> web.Response:
        """What a fault asks for: too many requests and 5xx have OKX's body, 403 comes from before it."""
        status = int(params["status"])
        headers = {} if params["retry_after"] is None else {"Retry-After": str(params["retry_after"])}
        if status in (403, 418, 451) and params["error"] is None:
            return web.Response(text=f"<html>{status}</html>", status=status, headers=headers, content_type="text/html")
        code = "50011" if status == 429 else "50001" if status == 503 else "50026"
        texts = {"50011": "Too Many Requests", "50001": "Service temporarily unavailable", "50026": "System error"}
        body = dumps({"code": code, "msg": params["error"] or texts[code], "data": []})
        return web.Response(text=body, status=status, headers=headers, content_type="application/json")

    def _symbol(self, request: web.Request) -> str:
        inst = request.query.get("instId")
        if not inst:
            raise _BadRequestError("50014", "Parameter instId can not be empty")
        symbol = self._venue.by_inst.get(inst)
        if symbol is None or self._venue.listings[symbol] == DELISTED:
            raise _BadRequestError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return symbol

    def _books(self, request: web.Request) -> str:
        symbol, venue = self._symbol(request), self._venue
        size = min(_integer(request, "sz", 1), DEPTH)
        ledger = venue.ledgers[symbol]
        book, last_id, ts_us = ledger.book_now()
        stale = venue.world.faults.take_rest("rest_stale", venue.name, "books", symbol)
        if stale is not None:
            behind = max(last_id - int(stale.request.params["behind"]), ledger.first_id)
            book, last_id, ts_us = ledger.book_at_id(behind)
        wire = venue.wires[symbol]
        numbered = venue.limits.rest_seq and request.query.get("source") == "0"
        seq = f',"seqId":{venue.seq(symbol, last_id)}' if numbered else ""
        return (
            f'{{"asks":{wire.levels(book.asks.top(size))},"bids":{wire.levels(book.bids.top(size))},'
            f'"ts":"{(ts_us + venue.skew_us()) // 1000}"{seq}}}'
        )

    def _trades(self, request: web.Request) -> str:
        symbol = self._symbol(request)
        limit, ledger = min(_integer(request, "limit", 100), _TRADES_MOST), self._venue.ledgers[symbol]
        return self._trade_rows(symbol, ledger.last_trade_id - limit + 1, ledger.last_trade_id)

    def _history(self, request: web.Request) -> str:
        """Pages by tradeId (type 1, the default): `after` is older than it, `before` newer."""
        symbol = self._symbol(request)
        limit, ledger = min(_integer(request, "limit", 100), _HISTORY_MOST), self._venue.ledgers[symbol]
        last = ledger.last_trade_id
        if "after" in request.query:
            last = min(last, _integer(request, "after", 1) - 1)
        first = last - limit + 1
        if "before" in request.query:
            first = max(first, _integer(request, "before", 1) + 1)
        return self._trade_rows(symbol, first, last)

    def _trade_rows(self, symbol: str, first: int, last: int) -> str:
        wire, skew = self._venue.wires[symbol], self._venue.skew_us()
        trades = self._venue.ledgers[symbol].trades(first, last)
        return ",".join(wire.trade_row(trade, skew) for trade in reversed(trades))

    def _candles(self, request: web.Request) -> str:
        """Newest first; `after` and `before` are begins in milliseconds."""
        symbol, name = self._symbol(request), request.query.get("bar", "1m")
        if name not in BARS:
            raise _BadRequestError("51000", "Parameter bar error")
        limit = min(_integer(request, "limit", 100), _CANDLES_MOST)
        bars = self._venue.candles(symbol, name, BARS[name])
        after, before = _optional(request, "after"), _optional(request, "before")
        found = [
            bar
            for bar in bars.last(1_000_000)
            if (after is None or bar.begin_us < after * 1000) and (before is None or bar.begin_us > before * 1000)
        ]
        wire = self._venue.wires[symbol]
        rows = [wire.candle(bar, closed=bar is not bars.current) for bar in found[-limit:]]
        return ",".join(reversed(rows))

    def _ticker(self, request: web.Request) -> str:
        return self._venue.ticker(self._symbol(request))

    def _tickers(self, request: web.Request) -> str:
        return ",".join(self._venue.ticker(symbol) for symbol in self._of_type(request))

    def _of_type(self, request: web.Request) -> list[str]:
        kind = request.query.get("instType", "")
        if kind not in ("SPOT", "SWAP"):
            raise _BadRequestError("51000", "Parameter instType error")
        venue, wanted = self._venue, request.query.get("instId")
        return [
            symbol
            for symbol, wire in venue.wires.items()
            if wire.type == kind and venue.listings[symbol] != DELISTED and wanted in (None, wire.symbol)
        ]

    def _instruments(self, request: web.Request) -> str:
        chosen = self._of_type(request)
        if not chosen and "instId" in request.query:
            raise _BadRequestError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return ",".join(dumps(self._venue.listing_row(symbol)) for symbol in chosen)

    def _time(self, _: web.Request) -> str:
        return f'{{"ts":"{self._venue.now_us() // 1000}"}}'

    def _swap(self, request: web.Request) -> str:
        symbol = self._symbol(request)
        if symbol not in self._venue.perpetuals:
            raise _BadRequestError("51000", "Parameter instId error")
        return symbol

    def _funding(self, request: web.Request) -> str:
        symbol, venue = self._swap(request), self._venue
        now = venue.markets[symbol].ts_us + venue.skew_us()
        return funding_item(venue.wires[symbol], venue.perpetuals[symbol], venue.world.funding_seconds, now)

    def _open_interest(self, request: web.Request) -> str:
        venue, skew = self._venue, self._venue.skew_us()
        items = []
        for symbol in self._of_type(request):
            if symbol in venue.perpetuals:
                one = venue.perpetuals[symbol].open_interest[-1]
                items.append(
                    open_interest_item(venue.wires[symbol], venue.perpetuals[symbol].now, one, one.ts_us + skew)
                )
        return ",".join(items)

    def _mark(self, request: web.Request) -> str:
        venue, skew = self._venue, self._venue.skew_us()
        return ",".join(
            mark_item(venue.wires[symbol], venue.perpetuals[symbol].now, venue.markets[symbol].ts_us + skew)
            for symbol in self._of_type(request)
            if symbol in venue.perpetuals
        )

    def _status(self, request: web.Request) -> str:
        """What is planned, under way or not yet all open, unless `state` asks for another."""
        row = status_row(self._venue.system, self._venue.system_since)
        wanted = request.query.get("state")
        shown = row["state"] == wanted if wanted else row["state"] in ("ongoing", "pre_open")
        return dumps(row) if shown else ""


def _optional(request: web.Request, name: str) -> int | None:
    return _integer(request, name, 0) if name in request.query else None


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise _BadRequestError("51000", f"Parameter {name} error")
    return int(text)


def _error(code: str, text: str, status: int = 200) -> web.Response:
    return web.Response(
        text=dumps({"code": code, "msg": text, "data": []}), status=status, content_type="application/json"
    )
