"""Binance's REST API as far as market data needs it, with weights, bans and error bodies.

It owns the answers under /binance/api/v3. It must never send on a socket. Weights and errors:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.binance.facts import DEPTH_WEIGHTS, WEIGHTS
from simulator.binance.wire import Wire, dumps, symbol_info
from simulator.ledger import Ledger, group_fills
from simulator.limits import WeightWindow

if TYPE_CHECKING:
    from simulator.binance.venue import Binance

_STATIC = ("ping", "time", "exchangeInfo")
_TOO_MANY = {"code": -1003, "msg": "Too much request weight used; please use WebSocket Streams for live updates."}
_BODIES: dict[int, dict[str, Any]] = {
    429: _TOO_MANY,
    418: {"code": -1003, "msg": "Way too much request weight used; IP banned."},
    451: {"code": 0, "msg": "Service unavailable from a restricted location according to the terms."},
    503: {"code": -1008, "msg": "Server is currently overloaded with other requests."},
}


class _BadRequestError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body = {"code": code, "msg": message}


class Rest:
    """The REST host of one Binance."""

    def __init__(self, venue: "Binance") -> None:
        self._venue = venue
        self._weights: dict[str | None, WeightWindow] = {}
        self._raw: dict[str | None, WeightWindow] = {}

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every endpoint."""
        answers = {
            "ping": lambda _: "{}",
            "time": lambda _: f'{{"serverTime":{self._venue.now_us() // 1000}}}',
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self._trades,
            "historicalTrades": self._trades,
            "aggTrades": self._aggregates,
        }

        def route(name: str) -> web.AbstractRouteDef:
            def answer(request: web.Request) -> web.Response:
                return self._limited(name, request)

            return web.get(f"/binance/api/v3/{name}", self._venue.rest(name, answer))

        self._answers = answers
        return [route(name) for name in answers]

    def _limited(self, name: str, request: web.Request) -> web.Response:
        limits, now = self._venue.limits, self._venue.world.clock.mono()
        address = request.remote
        window = self._weights.setdefault(
            address, WeightWindow(limits.weight, limits.weight_seconds, limits.patience, limits.ban)
        )
        raw = self._raw.setdefault(
            address, WeightWindow(limits.raw_requests, limits.raw_seconds, limits.patience, limits.ban)
        )
        status, wait = window.spend(_weight(name, request), now)
        if status == 200:
            status, wait = raw.spend(1, now)
        headers = {"X-MBX-USED-WEIGHT": str(window.used), "X-MBX-USED-WEIGHT-1M": str(window.used)}
        if status != 200:
            headers["Retry-After"] = str(math.ceil(wait))
            return _json(dumps(_BODIES[status]), status, headers)
        try:
            return _json(self._text(name, request), 200, headers)
        except _BadRequestError as error:
            return _json(dumps(error.body), 400, headers)

    def _text(self, name: str, request: web.Request) -> str:
        tape = self._venue.tape
        if tape is not None:
            recorded = tape.answer(name, request.query.get("symbol"))
            if recorded is not None:
                return recorded
            if name not in _STATIC:
                raise _BadRequestError(-1121, "Invalid symbol.")
        return self._answers[name](request)

    def fail(self, params: Mapping[str, Any]) -> web.Response:
        """What a fault asks for: status, Retry-After, and the body that Binance gives with it."""
        status = int(params["status"])
        headers = {} if params["retry_after"] is None else {"Retry-After": str(params["retry_after"])}
        if params["error"] is not None:
            return _json(str(params["error"]), status, headers)
        if status == 403:  # the web application firewall answers, not the exchange
            return web.Response(
                status=403, headers=headers, text="<html>403 Forbidden</html>", content_type="text/html"
            )
        body = _BODIES.get(status, {"code": -1000, "msg": "An unknown error occurred while processing the request."})
        return _json(dumps(body), status, headers)

    def _market(self, request: web.Request) -> tuple[str, Wire, Ledger]:
        name = request.query.get("symbol")
        if not name:
            raise _BadRequestError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        symbol = self._venue.by_stream.get(name.lower())
        if symbol is None or name != name.upper():
            raise _BadRequestError(-1121, "Invalid symbol.")
        return symbol, self._venue.wires[symbol], self._venue.ledgers[symbol]

    def _exchange_info(self, request: web.Request) -> str:
        venue, limits = self._venue, self._venue.limits
        symbols = list(venue.markets)
        if "symbol" in request.query:
            symbols = [self._market(request)[0]]
        return dumps(
            {
                "timezone": "UTC",
                "serverTime": venue.now_us() // 1000,
                "rateLimits": [
                    {
                        "rateLimitType": "REQUEST_WEIGHT",
                        "interval": "MINUTE",
                        "intervalNum": max(int(limits.weight_seconds // 60), 1),
                        "limit": limits.weight,
                    },
                    {
                        "rateLimitType": "RAW_REQUESTS",
                        "interval": "MINUTE",
                        "intervalNum": max(int(limits.raw_seconds // 60), 1),
                        "limit": limits.raw_requests,
                    },
                ],
                "exchangeFilters": [],
                "symbols": [symbol_info(venue.markets[symbol].instrument) for symbol in symbols],
            }
        )

    def _depth(self, request: web.Request) -> str:
        symbol, wire, ledger = self._market(request)
        limit = min(_integer(request, "limit", 100), 5000)
        stale = self._venue.world.faults.take_rest("rest_stale", self._venue.name, "depth", symbol)
        if stale is None:
            book, last_id, _ = ledger.book_now()
        else:
            behind = max(ledger.book_now()[1] - int(stale.request.params["behind"]), ledger.first_id)
            book, last_id, _ = ledger.book_at_id(behind)
        return wire.depth(last_id, book.bids.top(limit), book.asks.top(limit)).decode()

    def _trades(self, request: web.Request) -> str:
        _, wire, ledger = self._market(request)
        limit = min(_integer(request, "limit", 500), 1000)
        first = max(ledger.last_trade_id - limit + 1, ledger.first_trade_id)
        if "fromId" in request.query and request.path.endswith("historicalTrades"):
            first = max(_integer(request, "fromId", 0), ledger.first_trade_id)
        skew = self._venue.skew_us()
        return "[" + ",".join(wire.trade_row(t, skew) for t in ledger.trades(first, first + limit - 1)) + "]"

    def _aggregates(self, request: web.Request) -> str:
        _, wire, ledger = self._market(request)
        limit = min(_integer(request, "limit", 500), 1000)
        skew = self._venue.skew_us()
        if "startTime" in request.query or "endTime" in request.query:
            start = _integer(request, "startTime", 0) * 1000 - skew
            end = _integer(request, "endTime", 2**53) * 1000 + 999 - skew
            # One aggregate has at most three fills.
            groups = [g for g in group_fills(ledger.trades_after(start - 1, 3 * limit)) if g[0].ts_us <= end][:limit]
        else:
            first = _integer(request, "fromId", 0) if "fromId" in request.query else None
            groups = ledger.aggregates(first, limit)
        return "[" + ",".join(wire.aggregate_row(fills, skew) for fills in groups) + "]"


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < (1 if name == "limit" else 0):
        raise _BadRequestError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        )
    return int(text)


def _weight(name: str, request: web.Request) -> int:
    if name != "depth":
        return WEIGHTS[name]
    text = request.query.get("limit", "100")
    limit = int(text) if text.isdecimal() else 100
    return next((weight for up_to, weight in DEPTH_WEIGHTS if limit <= up_to), DEPTH_WEIGHTS[-1][1])


def _json(text: str, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")
