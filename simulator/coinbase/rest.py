"""Coinbase's public REST API as far as market data needs it.

It owns the answers under /coinbase/api/v3/brokerage. It must never send on a socket. An alias is answered under the id
that was asked for, with the data of the pair that it stands for.
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/get-public-product-book
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.coinbase.facts import GRANULARITIES, alias
from simulator.coinbase.wire import dumps
from simulator.limits import SlidingWindow
from simulator.market import Trade
from simulator.markets import DELISTED, TRADING
from simulator.statistics import every
from simulator.text import iso_micros

if TYPE_CHECKING:
    from simulator.coinbase.venue import Coinbase

_CANDLES_MOST, _TRADES_MOST = 350, 1000
_NAMES = {"BTC": "Bitcoin", "ETH": "Ethereum", "USD": "US Dollar", "USDT": "Tether", "USDC": "USDC"}


class _BadRequestError(Exception):
    """Status, `error` and `message` of the answer."""


class Rest:
    """The REST host of one Coinbase."""

    def __init__(self, venue: "Coinbase") -> None:
        self._venue = venue
        self._windows: dict[str | None, SlidingWindow] = {}

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every endpoint, with the name that faults know it by."""
        answers: tuple[tuple[str, str, Callable[[web.Request], str]], ...] = (
            ("time", "time", self._time),
            ("market/product_book", "product_book", self._book),
            ("market/products", "products", self._products),
            ("market/products/{product_id}", "product", self._one),
            ("market/products/{product_id}/candles", "candles", self._candles),
            ("market/products/{product_id}/ticker", "trades", self._ticker),
        )

        def route(path: str, name: str, make: Callable[[web.Request], str]) -> web.AbstractRouteDef:
            def answer(request: web.Request) -> web.Response:
                return self._limited(request, name, make)

            return web.get(f"/coinbase/api/v3/brokerage/{path}", self._venue.rest(name, answer))

        return [route(*one) for one in answers]

    def _limited(self, request: web.Request, name: str, make: Callable[[web.Request], str]) -> web.Response:
        venue, limit = self._venue, self._venue.limits.rest_per_second
        window = self._windows.setdefault(request.remote, SlidingWindow(limit, 1.0))
        if not window.allow(venue.world.clock.mono()):
            return _too_many({"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"})
        if venue.tape is not None:
            product = request.query.get("product_id") or request.match_info.get("product_id")
            recorded = venue.tape.answer(request.path.rpartition("/")[2], product)
            if recorded is not None:
                return web.Response(text=recorded, content_type="application/json")
            if name not in ("time", "products"):
                return _error(404, "NOT_FOUND", "not on the tape")
        try:
            return web.Response(text=make(request), content_type="application/json")
        except _BadRequestError as error:
            return _error(*error.args)

    @staticmethod
    def fail(params: Mapping[str, Any]) -> web.Response:
        """What a fault asks for."""
        status = int(params["status"])
        headers = {} if params["retry_after"] is None else {"Retry-After": str(params["retry_after"])}
        if status == 429:
            return _too_many(headers)
        if status in (403, 418, 451) and params["error"] is None:
            return web.Response(text=f"<html>{status}</html>", status=status, headers=headers, content_type="text/html")
        return _error(status, "INTERNAL", params["error"] or "internal server error", headers)

    def _product(self, request: web.Request) -> tuple[str, str]:
        """The product id as asked for, and the symbol that it stands for."""
        product = request.query.get("product_id") or request.match_info.get("product_id", "")
        symbol = self._venue.ids.get(product)
        if symbol is None or self._venue.listings[symbol] == DELISTED:
            raise _BadRequestError(404, "NOT_FOUND", "valid product_id is required")
        return product, symbol

    def _time(self, _: web.Request) -> str:
        now = self._venue.now_us()
        return dumps({"iso": iso_micros(now), "epochSeconds": str(now // 1_000_000), "epochMillis": str(now // 1000)})

    def _book(self, request: web.Request) -> str:
        (product, symbol), venue = self._product(request), self._venue
        limit = _integer(request, "limit", 0) or None
        ledger = venue.ledgers[symbol]
        book, _, ts_us = ledger.book_now()
        stale = venue.world.faults.take_rest("rest_stale", venue.name, "product_book", symbol)
        if stale is not None:
            behind = max(ledger.book_now()[1] - int(stale.request.params["behind"]), ledger.first_id)
            book, _, ts_us = ledger.book_at_time(ledger.book_at_id(behind)[2])  # never in the middle of a step
        wire = venue.wires[symbol]
        (bid, _), (ask, _) = book.best()
        return (
            f'{{"pricebook":{{"product_id":"{product}","bids":[{wire.book_rows(book.bids.top(limit))}],'
            f'"asks":[{wire.book_rows(book.asks.top(limit))}],"time":"{iso_micros(ts_us + venue.skew_us())}"}},'
            f'"last":"{wire.price(venue.days[symbol].last)}","mid_market":"{wire.middle(bid, ask)}",'
            f'"spread_bps":"{20_000 * (ask - bid) / (bid + ask):.12f}","spread_absolute":"{wire.price(ask - bid)}"}}'
        )

    def _row(self, product: str, symbol: str) -> dict[str, Any]:
        venue, one = self._venue, self._venue.markets[symbol].instrument
        wire, day, other = venue.wires[symbol], venue.days[symbol], alias(symbol)
        base, _, quote = product.partition("-")
        trading, state = venue.listings[symbol] == TRADING, venue.system[0]
        return {
            "product_id": product,
            "price": wire.price(day.last),
            "price_percentage_change_24h": f"{100 * (day.last - day.opening) / day.opening:.14f}",
            "volume_24h": wire.size(day.volume),
            "base_increment": wire.size(one.lot_step),
            "quote_increment": wire.price(1),
            "quote_min_size": "1",
            "quote_max_size": "150000000",
            "base_min_size": wire.size(one.lot_step),
            "base_max_size": "3400",
            "base_name": _NAMES.get(base, base),
            "quote_name": _NAMES.get(quote, quote),
            "watched": False,
            "is_disabled": not trading,
            "new": False,
            "status": "online" if trading and state != "maintenance" else "offline",
            "cancel_only": state == "cancel_only",
            "limit_only": False,
            "post_only": state == "post_only",
            "trading_disabled": not trading or state == "maintenance",
            "auction_mode": False,
            "product_type": "SPOT",
            "quote_currency_id": quote,
            "base_currency_id": base,
            "fcm_trading_session_details": None,
            "mid_market_price": "",
            "alias": symbol if product != symbol else "",
            "alias_to": [other] if other is not None and product == symbol else [],
            "base_display_symbol": base,
            "quote_display_symbol": "USD" if product != symbol else quote,
            "view_only": False,
            "price_increment": wire.price(1),
            "display_name": product,
            "product_venue": "CBE",
        }

    def _products(self, request: web.Request) -> str:
        venue = self._venue
        wanted = request.query.getall("product_ids", [])
        kind = request.query.get("product_type", "SPOT")
        rows = [
            self._row(product, symbol)
            for product, symbol in venue.ids.items()
            if venue.listings[symbol] != DELISTED and kind == "SPOT" and (not wanted or product in wanted)
        ]
        offset, limit = _integer(request, "offset", 0), _integer(request, "limit", 0) or len(rows)
        return dumps({"products": rows[offset : offset + limit], "num_products": len(rows)})

    def _one(self, request: web.Request) -> str:
        return dumps(self._row(*self._product(request)))

    def _candles(self, request: web.Request) -> str:
        """Newest first; from `start` to `end`, both in seconds and included."""
        _, symbol = self._product(request)
        name = request.query.get("granularity", "ONE_MINUTE")
        if name not in GRANULARITIES:
            raise _BadRequestError(400, "INVALID_ARGUMENT", f"granularity {name} is not supported")
        bars = self._venue.candles(symbol, name, every(GRANULARITIES[name])).last(1_000_000)
        start, end = _optional(request, "start"), _optional(request, "end")
        limit = min(_integer(request, "limit", _CANDLES_MOST), _CANDLES_MOST)
        found = [
            bar
            for bar in bars
            if (start is None or bar.begin_us >= start * 1_000_000) and (end is None or bar.begin_us <= end * 1_000_000)
        ]
        wire = self._venue.wires[symbol]
        return f'{{"candles":[{",".join(f"{{{wire.candle(bar)}}}" for bar in reversed(found[-limit:]))}]}}'

    def _ticker(self, request: web.Request) -> str:
        """The last trades, newest first, or the last ones from `start` to `end` (seconds, both included)."""
        (product, symbol), venue = self._product(request), self._venue
        limit = min(_integer(request, "limit", 100), _TRADES_MOST)
        start, end = _optional(request, "start"), _optional(request, "end")
        ledger, skew = venue.ledgers[symbol], venue.skew_us()
        if start is None and end is None:
            trades = ledger.trades(ledger.last_trade_id - limit + 1)
        else:
            first = -1 if start is None else start * 1_000_000 - skew - 1
            last = None if end is None else (end + 1) * 1_000_000 - skew
            trades = [one for one in ledger.trades_after(first, 10**9) if last is None or one.ts_us < last]
        wire = venue.wires[symbol]

        def row(trade: Trade) -> str:
            text = wire.trade(trade, skew).replace(f'"product_id":"{symbol}"', f'"product_id":"{product}"', 1)
            return f'{text[:-1]},"bid":"","ask":""}}'

        (bid, _), (ask, _) = venue.markets[symbol].book.best()
        rows = ",".join(row(trade) for trade in reversed(trades[-limit:]))
        return f'{{"trades":[{rows}],"best_bid":"{wire.price(bid)}","best_ask":"{wire.price(ask)}"}}'


def _optional(request: web.Request, name: str) -> int | None:
    return _integer(request, name, 0) if name in request.query else None


def _integer(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise _BadRequestError(400, "INVALID_ARGUMENT", f"{name} is not a number")
    return int(text)


def _too_many(headers: Mapping[str, str]) -> web.Response:
    body = dumps({"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]})
    return web.Response(text=body, status=429, headers=headers, content_type="application/json")


def _error(status: int, error: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = dumps({"error": error, "error_details": message, "message": message})
    return web.Response(text=body, status=status, headers=headers, content_type="application/json")
