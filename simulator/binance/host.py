"""What Binance's REST hosts have in common: weights, bans, headers, error bodies, and the answers that both give.

It owns how a request is limited and refused. It must never send on a socket nor know which endpoints there are: a host
is a subclass that lists them. https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.binance.facts import INTERVALS
from simulator.binance.wire import Wire, dumps
from simulator.ledger import Ledger, group_fills
from simulator.limits import WeightWindow
from simulator.market import Trade
from simulator.markets import DELISTED, HALTED

if TYPE_CHECKING:
    from simulator.binance.base import Streams

_STATIC = ("ping", "time", "exchangeInfo", "system/status")
_TOO_MANY = {"code": -1003, "msg": "Too much request weight used; please use WebSocket Streams for live updates."}
_BODIES: dict[int, dict[str, Any]] = {
    429: _TOO_MANY,
    418: {"code": -1003, "msg": "Way too much request weight used; IP banned."},
    451: {"code": 0, "msg": "Service unavailable from a restricted location according to the terms."},
    503: {"code": -1008, "msg": "Server is currently overloaded with other requests."},
}


class RefusedError(Exception):
    """An error body, and the status it comes with."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "msg": message}


class Host(ABC):
    """One REST host. Endpoints are by their name: what follows the version in the path."""

    def __init__(self, venue: "Streams") -> None:
        self.venue = venue
        self._weights: dict[str | None, WeightWindow] = {}
        self._raw: dict[str | None, WeightWindow] = {}
        self._answers = self.answers()

    @abstractmethod
    def answers(self) -> Mapping[str, Callable[[web.Request], str]]:
        """Every endpoint."""

    @abstractmethod
    def path(self, name: str) -> str:
        """Where an endpoint is."""

    @abstractmethod
    def weight(self, name: str, request: web.Request) -> int:
        """What a request costs."""

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every endpoint, behind the faults and the limits."""

        def route(name: str) -> web.AbstractRouteDef:
            def answer(request: web.Request) -> web.Response:
                return self._limited(name, request)

            return web.get(self.path(name), self.venue.rest(name.rpartition("/")[2], answer))

        return [route(name) for name in self._answers]

    def _limited(self, name: str, request: web.Request) -> web.Response:
        limits, now = self.venue.limits, self.venue.world.clock.mono()
        address = request.remote
        window = self._weights.setdefault(
            address, WeightWindow(limits.weight, limits.weight_seconds, limits.patience, limits.ban)
        )
        raw = self._raw.setdefault(
            address, WeightWindow(limits.raw_requests, limits.raw_seconds, limits.patience, limits.ban)
        )
        status, wait = window.spend(self.weight(name, request), now)
        if status == 200:
            status, wait = raw.spend(1, now)
        headers = {"X-MBX-USED-WEIGHT": str(window.used), "X-MBX-USED-WEIGHT-1M": str(window.used)}
        if status != 200:
            headers["Retry-After"] = str(math.ceil(wait))
            return _json(dumps(_BODIES[status]), status, headers)
        try:
            return _json(self._text(name, request), 200, headers)
        except RefusedError as error:
            return _json(dumps(error.body), error.status, headers)

    def _text(self, name: str, request: web.Request) -> str:
        tape = self.venue.tape
        if tape is not None:
            recorded = tape.answer(name.rpartition("/")[2], request.query.get("symbol"))
            if recorded is not None:
                return recorded
            if name not in _STATIC:
                raise RefusedError(-1121, "Invalid symbol.")
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

    def market(self, request: web.Request) -> tuple[str, Wire, Ledger]:
        """The market that ?symbol= names."""
        name = request.query.get("symbol")
        if not name:
            raise RefusedError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        symbol = self.venue.by_stream.get(name.lower())
        if symbol is None or name != name.upper():
            raise RefusedError(-1121, "Invalid symbol.")
        return symbol, self.venue.wires[symbol], self.venue.ledgers[symbol]

    # What both hosts answer

    def time(self, _: web.Request) -> str:
        """GET time."""
        return f'{{"serverTime":{self.venue.now_us() // 1000}}}'

    def recent(self, request: web.Request) -> str:
        """GET trades: the newest fills."""
        _, wire, ledger = self.market(request)
        limit = min(integer(request, "limit", 500), 1000)
        return self.rows(wire, ledger.trades(max(ledger.last_trade_id - limit + 1, ledger.first_trade_id)))

    def rows(self, wire: Wire, trades: list[Trade]) -> str:
        """Fills as JSON."""
        skew = self.venue.skew_us()
        return "[" + ",".join(wire.trade_row(trade, skew) for trade in trades) + "]"

    def aggregates(self, request: web.Request) -> str:
        """GET aggTrades, from an id or a time on, or the newest."""
        _, wire, ledger = self.market(request)
        limit = min(integer(request, "limit", 500), 1000)
        skew = self.venue.skew_us()
        if "startTime" in request.query or "endTime" in request.query:
            start, end = self.span_us(request)
            # One aggregate has at most three fills.
            groups = [g for g in group_fills(ledger.trades_after(start - 1, 3 * limit)) if g[0].ts_us <= end][:limit]
        else:
            first = integer(request, "fromId", 0) if "fromId" in request.query else None
            groups = ledger.aggregates(first, limit)
        return "[" + ",".join(wire.aggregate_row(fills, skew) for fills in groups) + "]"

    def span_us(self, request: web.Request) -> tuple[int, int]:
        """?startTime= and ?endTime= in the market's own microseconds."""
        skew = self.venue.skew_us()
        start = integer(request, "startTime", 0) * 1000 - skew
        return start, integer(request, "endTime", 2**53) * 1000 + 999 - skew

    def klines(self, request: web.Request) -> str:
        """GET klines: the oldest from startTime on, else the newest; the last one is still open."""
        symbol, wire, _ = self.market(request)
        interval = request.query.get("interval")
        if interval is None:
            raise RefusedError(-1102, "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.")
        if f"kline_{interval}" not in self.venue.paces:
            raise RefusedError(-1120, "Invalid interval.")
        limit = min(integer(request, "limit", 500), self.klines_most)
        start, end = self.span_us(request)
        bars = self.venue.candles(symbol, interval, INTERVALS[interval]).last(2**31)
        chosen = [bar for bar in bars if start <= bar.begin_us <= end]
        chosen = chosen[:limit] if "startTime" in request.query else chosen[-limit:]
        return "[" + ",".join(wire.kline_row(bar) for bar in chosen) + "]"

    klines_most = 1000

    def day(self, request: web.Request) -> str:
        """GET ticker/24hr, of one symbol or all."""
        venue = self.venue
        if "symbol" in request.query:
            return self._day(self.market(request)[0])
        return "[" + ",".join(self._day(symbol) for symbol in venue.markets) + "]"

    def _day(self, symbol: str) -> str:
        venue = self.venue
        return venue.wires[symbol].day(venue.days[symbol], venue.markets[symbol].book.best(), venue.window_ms())

    def status(self, symbol: str) -> str:
        """A market's status as exchangeInfo words it."""
        return {HALTED: self.halted, DELISTED: self.delisted}.get(self.venue.listings[symbol], "TRADING")

    halted = "HALT"
    delisted = "BREAK"


def integer(request: web.Request, name: str, default: int) -> int:
    """A whole number of the query.

    Raises:
        RefusedError: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < (1 if name == "limit" else 0):
        raise RefusedError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def _json(text: str, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")
