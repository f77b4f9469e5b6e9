"""Binance spot's REST API as far as market data needs it.

It owns the answers under /binance/api/v3 that only spot gives, and the state of the whole under /binance/sapi/v1. It
must never send on a socket. Weights and shapes:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from collections.abc import Callable, Mapping

from aiohttp import web

from simulator.binance.facts import DEPTH_WEIGHTS, WEIGHTS
from simulator.binance.host import Host, integer
from simulator.binance.wire import dumps, symbol_info


class Rest(Host):
    """The REST host of Binance spot."""

    def answers(self) -> Mapping[str, Callable[[web.Request], str]]:
        """Every endpoint."""
        return {
            "ping": lambda _: "{}",
            "time": self.time,
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self.recent,
            "historicalTrades": self._historical,
            "aggTrades": self.aggregates,
            "klines": self.klines,
            "ticker/24hr": self.day,
            "system/status": self._system,
        }

    def path(self, name: str) -> str:
        """The state of the whole has a host of its own in reality."""
        return f"/binance/{'sapi/v1' if name == 'system/status' else 'api/v3'}/{name}"

    def weight(self, name: str, request: web.Request) -> int:
        """By endpoint; depth by its limit, the day's statistics by how many."""
        if name == "ticker/24hr" and "symbol" not in request.query:
            return 80
        if name != "depth":
            return WEIGHTS[name]
        text = request.query.get("limit", "100")
        limit = int(text) if text.isdecimal() else 100
        return next((weight for up_to, weight in DEPTH_WEIGHTS if limit <= up_to), DEPTH_WEIGHTS[-1][1])

    def _exchange_info(self, request: web.Request) -> str:
        venue, limits = self.venue, self.venue.limits
        symbols = list(venue.markets)
        if "symbol" in request.query:
            symbols = [self.market(request)[0]]
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
                "symbols": [symbol_info(venue.markets[symbol].instrument, self.status(symbol)) for symbol in symbols],
            }
        )

    def _depth(self, request: web.Request) -> str:
        symbol, wire, ledger = self.market(request)
        limit = min(integer(request, "limit", 100), 5000)
        stale = self.venue.world.faults.take_rest("rest_stale", self.venue.name, "depth", symbol)
        if stale is None:
            book, last_id, _ = ledger.book_now()
        else:
            behind = max(ledger.book_now()[1] - int(stale.request.params["behind"]), ledger.first_id)
            book, last_id, _ = ledger.book_at_id(behind)
        return wire.depth(last_id, book.bids.top(limit), book.asks.top(limit)).decode()

    def _historical(self, request: web.Request) -> str:
        _, wire, ledger = self.market(request)
        limit = min(integer(request, "limit", 500), 1000)
        if "fromId" not in request.query:
            return self.recent(request)
        first = max(integer(request, "fromId", 0), ledger.first_trade_id)
        return self.rows(wire, ledger.trades(first, first + limit - 1))

    def _system(self, _: web.Request) -> str:
        """https://developers.binance.com/docs/wallet/others/system-status ."""
        status, message = self.venue.system
        normal = status == "online"
        return dumps({"status": 0 if normal else 1, "msg": message or ("normal" if normal else "system_maintenance")})
