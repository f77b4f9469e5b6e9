"""The control endpoints: the truth, the market, the faults. Only for callers on this machine, unless it is opened.

It owns the JSON under /control. It must never reach a venue's client: what clients see is changed by steps and faults
alone.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import wraps
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.book import Level
from simulator.errors import BadRequestError
from simulator.ledger import Ledger, group_fills
from simulator.limits import nearest
from simulator.records import records
from simulator.text import decimal_text
from simulator.venue import Venue

if TYPE_CHECKING:
    from simulator.server import Simulator

_Handler = Callable[["Control", web.Request], Awaitable[dict[str, Any]]]


def _endpoint(handler: _Handler) -> Callable[["Control", web.Request], Awaitable[web.Response]]:
    """Only from loopback, unless `open_control`; a mistake in the request is answered 400 with a sentence."""

    @wraps(handler)
    async def handle(self: "Control", request: web.Request) -> web.Response:
        local = request.remote is not None and ip_address(request.remote).is_loopback
        if not (local or self._simulator.open_control):
            return web.json_response({"error": "control is for this machine only"}, status=403)
        try:
            return web.json_response(await handler(self, request))
        except (ValueError, LookupError) as error:
            return web.json_response({"error": str(error.args[0] if error.args else error)}, status=400)

    return handle


class Control:
    """The control endpoints of one simulator."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every endpoint."""
        return [
            web.get("/control/ledger/trades", self.trades),
            web.get("/control/ledger/aggregates", self.aggregates),
            web.get("/control/ledger/book", self.book),
            web.get("/control/ledger/sent", self.sent),
            web.get("/control/state", self.state),
            web.post("/control/market", self.market),
            web.post("/control/step", self.step),
            web.post("/control/rate", self.rate),
            web.get("/control/faults", self.faults),
            web.post("/control/faults", self.add_fault),
            web.delete("/control/faults", self.clear_faults),
            web.delete("/control/faults/{id}", self.clear_faults),
            web.get("/control/ledger/records", self.records),
            web.post("/control/listing", self.listing),
            web.post("/control/status", self.status),
            web.post("/control/shutdown-notice", self.shutdown_notice),
            web.post("/control/sequence-reset", self.sequence_reset),
        ]

    @_endpoint
    async def trades(self, request: web.Request) -> dict[str, Any]:
        """The true trades, ids `from` to `to`."""
        ledger, decimals = self._ledger(request)
        trades = ledger.trades(_number(request, "from"), _number(request, "to"))
        rows = [
            {
                "id": one.id,
                "price": decimal_text(one.tick, decimals),
                "size": decimal_text(one.size, 8),
                "side": one.side,
                "ts_us": one.ts_us,
                "aggregate": one.aggregate,
            }
            for one in trades
        ]
        return {"trades": rows, "first_id": ledger.first_trade_id, "last_id": ledger.last_trade_id}

    @_endpoint
    async def aggregates(self, request: web.Request) -> dict[str, Any]:
        """The true aggregate trades, with the first and last trade id of each."""
        ledger, _ = self._ledger(request)
        groups = group_fills(ledger.trades(_number(request, "from"), _number(request, "to")))
        return {"aggregates": [{"id": g[0].aggregate, "first": g[0].id, "last": g[-1].id} for g in groups]}

    @_endpoint
    async def book(self, request: web.Request) -> dict[str, Any]:
        """The true book, or `depth` levels of it: now, or `at` an update id (Binance) or microsecond (Kraken)."""
        venue, symbol = self._market(request)
        book, last_id, ts_us = venue.book_at(symbol, _number(request, "at"))
        wire, depth = venue.texts(symbol), _number(request, "depth")

        def rows(levels: list[Level]) -> list[list[str]]:
            return [[wire.price(tick), wire.size(lots)] for tick, lots in levels]

        return {
            "bids": rows(book.bids.top(depth)),
            "asks": rows(book.asks.top(depth)),
            "last_id": last_id,
            "ts_us": ts_us,
        }

    @_endpoint
    async def records(self, request: web.Request) -> dict[str, Any]:
        """The true records of a `kind` other than trades and books: funding, open interest, liquidations, candles."""
        venue, symbol = self._market(request)
        return {"records": records(venue, symbol, request.query.get("kind", ""), _number(request, "interval"))}

    @_endpoint
    async def listing(self, request: web.Request) -> dict[str, Any]:
        """Halt, delist, resume or list a market."""
        body = await _body(request)
        venue = self._venue(body.get("venue"))
        venue.set_listing(body.get("symbol"), body.get("status"))
        self._simulator.driver.refresh()
        return {"listings": venue.listings}

    @_endpoint
    async def status(self, request: web.Request) -> dict[str, Any]:
        """Change the state of a whole venue."""
        body = await _body(request)
        venue = self._venue(body.get("venue"))
        venue.set_system(body.get("status"), body.get("message", ""))
        return {"status": venue.system[0], "message": venue.system[1]}

    @_endpoint
    async def sent(self, _: web.Request) -> dict[str, Any]:
        """What was sent, by venue, channel and connection, and what the faults did."""
        faults = self._simulator.world.faults
        return {**self._simulator.world.meter.report(), "faults": [asdict(one) for one in faults.applied]}

    @_endpoint
    async def state(self, _: web.Request) -> dict[str, Any]:
        """Whether the markets run, how fast, and how far they are."""
        simulator = self._simulator
        return {
            "running": simulator.world.running,
            "rate": simulator.driver.rate,
            "steps": simulator.driver.steps,
            "skipped": simulator.driver.skipped,
            "markets": {
                name: {symbol: market.number for symbol, market in venue.markets.items()}
                for name, venue in simulator.venues.items()
            },
            "listings": {name: venue.listings for name, venue in simulator.venues.items()},
            "system": {name: venue.system[0] for name, venue in simulator.venues.items()},
            "connections": {name: len(venue.connections) for name, venue in simulator.venues.items()},
            "subscriptions": {name: sorted(venue.keys()) for name, venue in simulator.venues.items()},
        }

    @_endpoint
    async def market(self, request: web.Request) -> dict[str, Any]:
        """Let the markets run or stand."""
        running = (await _body(request)).get("running")
        if not isinstance(running, bool):
            raise BadRequestError("expected running: true or false")
        undelivered = await self._simulator.run_markets(running=running)
        return {"running": running, "undelivered": undelivered}

    @_endpoint
    async def step(self, request: web.Request) -> dict[str, Any]:
        """Take steps, in turn over all markets or those of a venue or symbol."""
        body = await _body(request)
        steps = body.get("steps", 1)
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise BadRequestError(f"steps must be a whole number above 0, not {steps!r}")
        return dict(await self._simulator.driver.step(steps, body.get("venue"), body.get("symbol")))

    @_endpoint
    async def rate(self, request: web.Request) -> dict[str, Any]:
        """Set the steps a second over all markets."""
        rate = (await _body(request)).get("rate")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
            raise BadRequestError(
                f"rate must be a number above 0, not {rate!r}; to stand, set the market to running=false"
            )
        self._simulator.driver.rate = rate
        return {"rate": rate}

    @_endpoint
    async def faults(self, _: web.Request) -> dict[str, Any]:
        """The faults in force, and what faults have done."""
        faults = self._simulator.world.faults
        return {
            "active": [fault.report() for fault in faults.active()],
            "applied": [asdict(one) for one in faults.applied],
        }

    @_endpoint
    async def add_fault(self, request: web.Request) -> dict[str, Any]:
        """Put a fault in force."""
        return await self._simulator.add_fault(await _body(request))

    @_endpoint
    async def clear_faults(self, request: web.Request) -> dict[str, Any]:
        """Lift one fault, or all."""
        one = request.match_info.get("id")
        if one is not None and not one.isdecimal():
            raise BadRequestError(f"a fault's id is a number, not {one!r}")
        return {"cleared": self._simulator.world.faults.clear(None if one is None else int(one))}

    @_endpoint
    async def shutdown_notice(self, request: web.Request) -> dict[str, Any]:
        """Announce the end of all connections, where the venue has such a message."""
        return {"connections": self._venue((await _body(request)).get("venue")).announce_shutdown()}

    @_endpoint
    async def sequence_reset(self, request: web.Request) -> dict[str, Any]:
        """Let the ids of a market's book begin again, where the venue does that."""
        body = await _body(request)
        venue, symbol = self._venue(body.get("venue")), str(body.get("symbol"))
        venue.reset_sequence(symbol)
        return {"last_id": venue.book_at(symbol, None)[1]}

    def _venue(self, name: object) -> Venue:
        venues = self._simulator.venues
        if not isinstance(name, str) or name not in venues:
            raise BadRequestError(f"unknown venue {name!r}{nearest(str(name), list(venues))}")
        return venues[name]

    def _market(self, request: web.Request) -> tuple[Venue, str]:
        venue, symbol = self._venue(request.query.get("venue")), request.query.get("symbol", "")
        if symbol not in venue.markets:
            raise BadRequestError(f"{venue.name} has no symbol {symbol!r}{nearest(symbol, list(venue.markets))}")
        return venue, symbol

    def _ledger(self, request: web.Request) -> tuple[Ledger, int]:
        venue, symbol = self._market(request)
        return venue.ledgers[symbol], venue.markets[symbol].instrument.price_decimals


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    return body


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is not None and not text.isdecimal():
        raise BadRequestError(f"{name} must be a whole number, not {text!r}")
    return None if text is None else int(text)
