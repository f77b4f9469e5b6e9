"""The USDⓈ-M market's REST API as far as market data needs it.

It owns the answers under /binance_usdm/fapi/v1 that spot has not or gives otherwise. It must never send on a socket.
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from simulator.binance.host import Host, RefusedError, integer
from simulator.binance.wire import dumps
from simulator.binance_usdm.facts import ALL_WEIGHTS, DEPTH_WEIGHTS, KLINE_WEIGHTS, WEIGHTS
from simulator.binance_usdm.wire import Wire, eight, symbol_info
from simulator.ledger import Ledger
from simulator.markets import DELISTED
from simulator.perpetual import Perpetual

if TYPE_CHECKING:
    from simulator.binance_usdm.venue import BinanceUsdm


class Rest(Host):
    """The REST host of the USDⓈ-M market."""

    halted = "SETTLING"
    delisted = "CLOSE"
    klines_most = 1500

    def __init__(self, venue: "BinanceUsdm") -> None:
        super().__init__(venue)
        self._usdm = venue

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
            "openInterest": self._open_interest,
            "premiumIndex": self._premium_index,
            "fundingRate": self._funding_rate,
        }

    def path(self, name: str) -> str:
        """Where an endpoint is."""
        return f"/binance_usdm/fapi/v1/{name}"

    def weight(self, name: str, request: web.Request) -> int:
        """By endpoint; depth and klines by their limit, some by whether one symbol is named."""
        text = request.query.get("limit", "500")
        limit = int(text) if text.isdecimal() else 500
        if name == "depth":
            return DEPTH_WEIGHTS.get(limit, 20)
        if name == "klines":
            return next((weight for up_to, weight in KLINE_WEIGHTS if limit <= up_to), KLINE_WEIGHTS[-1][1])
        return WEIGHTS[name] if "symbol" in request.query else ALL_WEIGHTS.get(name, WEIGHTS[name])

    def market(self, request: web.Request) -> tuple[str, Wire, Ledger]:
        """The market that ?symbol= names; one that was delisted is none."""
        symbol, _, ledger = super().market(request)
        if self.venue.listings[symbol] == DELISTED:
            raise RefusedError(-1121, "Invalid symbol.")
        return symbol, self._usdm.perpetual_wires[symbol], ledger

    def _exchange_info(self, _: web.Request) -> str:
        """It takes no ?symbol=: all are listed, but for those that were delisted."""
        venue, limits = self.venue, self.venue.limits
        return dumps(
            {
                "timezone": "UTC",
                "serverTime": venue.now_us() // 1000,
                "futuresType": "U_MARGINED",
                "rateLimits": [
                    {
                        "rateLimitType": "REQUEST_WEIGHT",
                        "interval": "MINUTE",
                        "intervalNum": max(int(limits.weight_seconds // 60), 1),
                        "limit": limits.weight,
                    }
                ],
                "exchangeFilters": [],
                "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
                "symbols": [
                    symbol_info(market.instrument, self.status(symbol), venue.start_us // 1000)
                    for symbol, market in venue.markets.items()
                    if venue.listings[symbol] != DELISTED
                ],
            }
        )

    def _depth(self, request: web.Request) -> str:
        symbol, wire, ledger = self.market(request)
        limit = integer(request, "limit", 500)
        if limit not in DEPTH_WEIGHTS:
            raise RefusedError(-4021, f"'{limit}' is not valid depth limit.")
        stale = self.venue.world.faults.take_rest("rest_stale", self.venue.name, "depth", symbol)
        if stale is None:
            book, last_id = ledger.book_now()[0], self._usdm.shown_id(symbol)
        else:
            behind = max(ledger.book_now()[1] - int(stale.request.params["behind"]), ledger.first_id)
            book, last_id, _ = ledger.book_at_id(behind)
        return wire.depth_at(last_id, book.bids.top(limit), book.asks.top(limit), self.venue.now_us() // 1000)

    def _historical(self, _: web.Request) -> str:
        """Older trades need a key: the keyless way back are aggTrades."""
        raise RefusedError(-2014, "API-key format invalid.", 401)

    def _perpetual(self, request: web.Request) -> tuple[Wire, Perpetual]:
        symbol, wire, _ = self.market(request)
        return wire, self.venue.perpetuals[symbol]

    def _open_interest(self, request: web.Request) -> str:
        wire, perpetual = self._perpetual(request)
        now = perpetual.open_interest[-1]
        ms = (now.ts_us + self.venue.skew_us()) // 1000
        return f'{{"openInterest":"{wire.size(now.lots)}","symbol":"{wire.symbol}","time":{ms}}}'

    def _premium_index(self, request: web.Request) -> str:
        if "symbol" in request.query:
            return self._premium(*self._perpetual(request))
        venue = self._usdm
        rows = (self._premium(venue.perpetual_wires[symbol], one) for symbol, one in venue.perpetuals.items())
        return f"[{','.join(rows)}]"

    def _premium(self, wire: Wire, perpetual: Perpetual) -> str:
        now, skew = perpetual.now, self.venue.skew_us()
        return (
            f'{{"symbol":"{wire.symbol}","markPrice":"{eight(now.mark)}","indexPrice":"{eight(now.index)}",'
            f'"estimatedSettlePrice":"{eight(now.index)}","lastFundingRate":"{eight(now.rate)}",'
            f'"interestRate":"0.00010000","nextFundingTime":{(now.next_us + skew) // 1000},'
            f'"time":{(now.ts_us + skew) // 1000}}}'
        )

    def _funding_rate(self, request: web.Request) -> str:
        """The rates that were paid, oldest first: from startTime on, else the newest."""
        wire, perpetual = self._perpetual(request)
        start, end = self.span_us(request)
        limit = min(integer(request, "limit", 100), 1000)
        paid = [one for one in perpetual.settlements if start <= one.ts_us <= end]
        chosen = paid[:limit] if "startTime" in request.query else paid[-limit:]
        skew = self.venue.skew_us()
        return "[" + ",".join(wire.funding_row(one, skew) for one in chosen) + "]"
