"""Binance's WebSocket: streams, the control messages, pings and the 24 hours of a connection.

It owns what a client of the stream host meets. It must never write message text (`wire`) nor answer REST (`rest`).
Diffs are gathered per symbol and sent every 100 ms or every second, as the stream's name says; in step mode after each
step. https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from simulator.binance.facts import Limits
from simulator.binance.rest import Rest
from simulator.binance.wire import EDITS, UNKNOWN, Wire, corrupt, venue_symbol
from simulator.book import ASK, BID
from simulator.connection import Connection
from simulator.frames import BOOK, QUOTES, TRADES, Frame
from simulator.instruments import binance_instrument
from simulator.ledger import group_fills
from simulator.limits import SlidingWindow, override
from simulator.market import Market, Step
from simulator.tape import Line, TapeVenue
from simulator.venue import Venue, World

_CHANNELS = {"trade": TRADES, "aggTrade": TRADES, "bookTicker": QUOTES}
_PARTIAL = {f"depth{depth}{speed}": depth for depth in (5, 10, 20) for speed in ("", "@100ms")}
_DIFFS = {"depth@100ms": 0.1, "depth": 1.0}
_SHUTDOWN_STREAM = "!serverShutdown"


@dataclass(slots=True)
class _Batch:
    """The changes of one symbol since the last message of one diff stream."""

    seconds: float
    next_id: int
    due: float = 0.0
    touched: tuple[dict[int, None], dict[int, None]] = field(default_factory=lambda: ({}, {}))


class Binance(Venue):
    """Binance spot."""

    name = "binance"
    books_by_id = True

    def __init__(
        self, world: World, symbols: Iterable[str], limits: Mapping[str, float], tape: TapeVenue | None = None
    ) -> None:
        instruments = [one for one in map(binance_instrument, symbols) if one is not None]
        super().__init__(world, instruments, tape)
        self.limits = override(Limits(), limits, self.name)
        self.wires = {symbol: Wire(market.instrument) for symbol, market in self.markets.items()}
        self.by_stream = {venue_symbol(symbol).lower(): symbol for symbol in self.markets}
        self._batches = {
            symbol: {name: _Batch(seconds, market.last_id + 1) for name, seconds in _DIFFS.items()}
            for symbol, market in self.markets.items()
        }
        self._partial_due: dict[str, float] = {}
        self._partial_seen: dict[str, int] = {}
        self._rest = Rest(self)
        world.faults.register(self.name, corrupt, frozenset(EDITS), UNKNOWN)

    @staticmethod
    def tape_symbols(tape: TapeVenue) -> list[str]:
        """The canonical symbols on a tape: known quote currencies are split off."""
        quotes = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY")
        found: dict[str, None] = {}
        for raw in tape.socket_lines():
            stream = (_tape_key(raw) or ("", b""))[0].partition("@")[0].upper()
            quote = next((quote for quote in quotes if stream.endswith(quote) and stream != quote), None)
            if quote:
                found[f"{stream.removesuffix(quote)}-{quote}"] = None
        return list(found)

    def texts(self, symbol: str) -> Wire:
        """How it writes a market's numbers."""
        return self.wires[symbol]

    def routes(self) -> list[web.AbstractRouteDef]:
        """The stream host and the REST host, under /binance."""
        return [
            web.get("/binance/ws", self.socket),
            web.get("/binance/ws/{streams:.+}", self.socket),
            web.get("/binance/stream", self.socket),
            *self._rest.routes(),
        ]

    # Streams

    def key_market(self, key: str) -> tuple[str | None, str | None]:
        """btcusdt@trade is (BTC-USDT, trades)."""
        stream, _, name = key.partition("@")
        channel = BOOK if name in _DIFFS or name in _PARTIAL else _CHANNELS.get(name)
        return self.by_stream.get(stream), channel

    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """Trades, aggregate trades and the best prices at once; the book's changes are gathered."""
        symbol = market.instrument.symbol
        for batch in self._batches[symbol].values():
            for side, tick, _ in step.changes:
                batch.touched[side][tick] = None
        wire, skew = self.wires[symbol], self.skew_us()
        event_ms = (step.ts_us + skew) // 1000
        if step.trades:
            key = f"{wire.stream}@trade"
            if self.wanted(key):
                for trade in step.trades:
                    payload = wire.trade(trade, event_ms, skew)
                    yield Frame(self.name, symbol, TRADES, key, payload, trade.ts_us, "trade", trade.id, trade.id)
            key = f"{wire.stream}@aggTrade"
            if self.wanted(key):
                for fills in group_fills(step.trades):
                    payload = wire.aggregate(fills, event_ms, skew)
                    first, last = fills[0], fills[-1]
                    yield Frame(self.name, symbol, TRADES, key, payload, first.ts_us, "trade", first.id, last.id)
        key = f"{wire.stream}@bookTicker"
        if step.top_changed and self.wanted(key):
            payload = wire.book_ticker(step.last_id, *market.book.best())
            yield Frame(self.name, symbol, QUOTES, key, payload, step.ts_us, "update", step.last_id, step.last_id)

    def settle(self, now: float | None) -> Iterator[Frame]:
        """The diffs and partial books that are due at `now`; all that have changed when it is None."""
        for symbol, batches in self._batches.items():
            market, wire = self.markets[symbol], self.wires[symbol]
            for name, batch in batches.items():
                if market.last_id < batch.next_id or (now is not None and now < batch.due):
                    continue
                if now is not None:
                    batch.due = now + batch.seconds
                frame = self._diff(market, wire, name, batch)
                if frame is not None:
                    yield frame
            for name, depth in _PARTIAL.items():
                key = f"{wire.stream}@{name}"
                if self.wanted(key) and self._partial_is_due(key, market.last_id, now):
                    payload = wire.depth(market.last_id, *market.top(depth))
                    yield self._book_frame(market, key, payload, (market.last_id, market.last_id))

    def _diff(self, market: Market, wire: Wire, name: str, batch: _Batch) -> Frame | None:
        ids = (batch.next_id, market.last_id)
        touched, batch.touched, batch.next_id = batch.touched, ({}, {}), market.last_id + 1
        key = f"{wire.stream}@{name}"
        if not self.wanted(key):
            return None
        event_ms = self.now_us() // 1000
        bid_sizes, ask_sizes = market.book.bids.sizes, market.book.asks.sizes
        bids = [(tick, bid_sizes.get(tick, 0)) for tick in sorted(touched[BID], reverse=True)]
        asks = [(tick, ask_sizes.get(tick, 0)) for tick in sorted(touched[ASK])]
        return self._book_frame(market, key, wire.depth_update(event_ms, ids, bids, asks), ids)

    def _book_frame(self, market: Market, key: str, payload: bytes, ids: tuple[int, int]) -> Frame:
        symbol = market.instrument.symbol
        return Frame(self.name, symbol, BOOK, key, payload, market.ts_us, "update", ids[0], ids[1])

    def _partial_is_due(self, key: str, last_id: int, now: float | None) -> bool:
        if self._partial_seen.get(key) == last_id or (now is not None and now < self._partial_due.get(key, 0.0)):
            return False
        self._partial_seen[key] = last_id
        if now is not None:
            self._partial_due[key] = now + (0.1 if key.endswith("@100ms") else 1.0)
        return True

    def play(self, line: Line) -> None:
        """Send a recorded message to those who subscribed to its stream."""
        found = _tape_key(line.raw)
        if found is not None:
            symbol, channel = self.key_market(found[0])
            now = self.now_us()
            self.publish(Frame(self.name, symbol or "", channel or "other", found[0], found[1], now, "time", now, now))

    # Connections

    def incoming_window(self) -> SlidingWindow:
        """Five messages a second, pings and pongs among them."""
        return SlidingWindow(self.limits.messages_per_second, 1.0)

    def connect_window(self) -> SlidingWindow:
        """300 attempts in five minutes and address."""
        return SlidingWindow(self.limits.connects, self.limits.connects_seconds)

    def overloaded(self, connection: Connection) -> bool:
        """Too many messages end the connection."""
        connection.close(1008, "Too many requests")
        return True

    def greet(self, connection: Connection) -> None:
        """Nothing is said; streams named in the address are subscribed."""
        request = connection.request
        connection.combined = request.path == "/binance/stream"
        listed = request.query.get("streams", "") if connection.combined else request.match_info.get("streams", "")
        for stream in listed.split("/"):
            if stream:
                self._subscribe(connection, stream)

    def _subscribe(self, connection: Connection, stream: str) -> None:
        symbol, channel = self.key_market(stream)
        if self.world.faults.take("ack_without_data", self.name, symbol, channel) is None:
            self.subscribe(connection, stream)

    def receive(self, connection: Connection, message: str) -> None:
        """SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY."""
        try:
            body = json.loads(message)
        except ValueError as error:
            _say(connection, {"code": 3, "msg": f"Invalid JSON: {error}", "id": None})
            return
        request_id = body.get("id") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not (request_id is None or isinstance(request_id, int | str)):
            _say(connection, {"code": 2, "msg": "Invalid request: expected an object", "id": None})
            return
        params = body.get("params", [])
        if not isinstance(params, list) or not all(isinstance(one, str | bool) for one in params):
            _say(connection, {"code": 2, "msg": "Invalid request: params must be strings", "id": request_id})
            return
        answer = self._answer(connection, body.get("method"), params)
        _say(connection, {**answer, "id": request_id})

    def _answer(self, connection: Connection, method: object, params: list[Any]) -> dict[str, Any]:
        if method == "SUBSCRIBE":
            return self._on_subscribe(connection, [str(one) for one in params])
        if method == "UNSUBSCRIBE":
            for stream in params:
                self.unsubscribe(connection, str(stream))
            return {"result": None}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(connection.keys)}
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            if not params or params[0] != "combined":
                return {"code": 0, "msg": "Unknown property"}
            if method == "GET_PROPERTY":
                return {"result": connection.combined}
            if len(params) != 2 or not isinstance(params[1], bool):
                return {"code": 1, "msg": "Invalid value type: expected Boolean"}
            connection.combined = params[1]
            return {"result": None}
        return {"code": 2, "msg": f"Invalid request: unknown variant `{method}`"}

    def _on_subscribe(self, connection: Connection, streams: list[str]) -> dict[str, Any]:
        if len({*connection.keys, *streams}) > self.limits.streams:
            return {"code": 2, "msg": f"Invalid request: more than {self.limits.streams} streams"}
        for stream in streams:
            rejected = self.world.faults.take("reject_subscribe", self.name, *self.key_market(stream))
            if rejected is not None:
                return {"code": 2, "msg": f"Invalid request: {rejected.request.params['message']}"}
        for stream in streams:
            self._subscribe(connection, stream)
        return {"result": None}

    def keep(self, connection: Connection, now: float) -> None:
        """Ping every 20 s, drop who has not answered for 60 s, end a connection after 24 hours."""
        limits = self.limits
        if now - connection.opened >= limits.lifetime:
            connection.close(1001, "24 hours are over")
        elif connection.pings and now - connection.first_ping >= limits.pong_deadline:
            connection.abort("no pong")
        elif now - connection.last_ping >= limits.ping_interval:
            connection.ping(str(self.now_us() // 1000).encode(), now)

    def announce_shutdown(self) -> int:
        """Send `serverShutdown` to every connection; how many there were."""
        event = dumps_event(self.now_us() // 1000)
        for connection in self.connections.values():
            text = f'{{"stream":"{_SHUTDOWN_STREAM}","data":{event}}}' if connection.combined else event
            connection.say("control", text)
        return len(self.connections)

    def request_symbol(self, request: web.Request) -> str | None:
        """The canonical symbol of ?symbol=."""
        return self.by_stream.get(request.query.get("symbol", "").lower())

    def fail(self, params: Mapping[str, Any]) -> web.Response:
        """An error as Binance words it for the status."""
        return self._rest.fail(params)


def dumps_event(event_ms: int) -> str:
    """The `serverShutdown` event."""
    return f'{{"e":"serverShutdown","E":{event_ms}}}'


def _say(connection: Connection, body: Mapping[str, Any]) -> None:
    connection.say("control", json.dumps(body, separators=(",", ":")))


def _tape_key(raw: str) -> tuple[str, bytes] | None:
    """The stream that a recorded message came on, and its text without the envelope."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    stream = body.get("stream")
    if stream is not None:
        start = raw.find('"data":') + len('"data":')
        return stream, raw[start : raw.rstrip().rfind("}")].strip().encode()
    names = {"trade": "trade", "aggTrade": "aggTrade", "depthUpdate": "depth@100ms"}
    name = names.get(body.get("e", ""), "bookTicker" if "u" in body and "e" not in body else None)
    return (f"{body['s'].lower()}@{name}", raw.encode()) if name and "s" in body else None
