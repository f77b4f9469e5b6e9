"""OKX's WebSocket v5: subscriptions, each argument answered for itself, text pings, and the ends of a connection.

It owns what a client of the public and the business endpoint meets. It must never write message text (`wire`), choose
what is pushed (`streams`) nor answer REST (`rest`).
https://www.okx.com/docs-v5/en/#overview-websocket-subscribe https://www.okx.com/docs-v5/en/#error-code-websocket
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from simulator.book import Book
from simulator.connection import Connection
from simulator.frames import CANDLES, INSTRUMENTS, STATUS, TRADES, Frame
from simulator.instruments import Instrument, okx_instrument
from simulator.limits import SlidingWindow, override
from simulator.market import Market, Step
from simulator.markets import DELISTED, World
from simulator.okx.corrupt import EDITS, UNKNOWN, corrupt
from simulator.okx.facts import BARS, BUSINESS, BY_TYPE, CHANNELS, PUBLIC, SWAP_ONLY, Limits
from simulator.okx.listing import dumps, instrument_row, instruments_push, status_push, status_row
from simulator.okx.rest import Rest
from simulator.okx.streams import Streams
from simulator.okx.wire import Wire
from simulator.tape import Line, TapeVenue
from simulator.venue import Venue

_UNLIMITED = 1_000_000  # messages a second: OKX limits subscriptions an hour instead


@dataclass(slots=True)
class _Client:
    """What one connection is judged by, in monotonic seconds."""

    requests: SlidingWindow
    heard: float
    subscribed: float  # the last moment with a subscription
    ends: float | None = None


class Okx(Venue):
    """OKX spot and swaps. Keys are books|BTC-USDT, candle1m|BTC-USDT-SWAP, instruments|SPOT, status|."""

    name = "okx"
    books_by_id = True

    def __init__(
        self, world: World, symbols: Iterable[str], limits: Mapping[str, float], tape: TapeVenue | None = None
    ) -> None:
        super().__init__(world, [one for one in map(self.instrument, symbols) if one is not None], tape)
        self.limits = override(Limits(), limits, self.name)
        self.wires = {symbol: Wire(market.instrument) for symbol, market in self.markets.items()}
        self.by_inst = {wire.symbol: symbol for symbol, wire in self.wires.items()}
        self.changed_us = dict.fromkeys(self.markets, 0)  # when a listing changed
        self._clients: WeakKeyDictionary[Connection, _Client] = WeakKeyDictionary()
        self._streams = Streams(self)
        self._rest = Rest(self)
        self.system_since = self.start_us
        world.faults.register(self.name, corrupt, frozenset(EDITS), UNKNOWN)

    @staticmethod
    def instrument(symbol: str) -> Instrument | None:
        """Spot pairs but those against USD, and linear and inverse swaps."""
        return okx_instrument(symbol)

    @staticmethod
    def tape_symbols(tape: TapeVenue) -> list[str]:
        """The canonical symbols on a tape."""
        marks = [_tape_key(raw).partition("|")[2] for raw in tape.socket_lines()]
        known = (one for one in marks if one.count("-") == 1 or one.endswith("-SWAP"))
        return list(dict.fromkeys(one.replace("-SWAP", "-PERP") for one in known))

    def texts(self, symbol: str) -> Wire:
        """How it writes a market's numbers."""
        return self.wires[symbol]

    def routes(self) -> list[web.AbstractRouteDef]:
        """Both endpoints and the REST host, under /okx."""
        paths = [web.get(f"/okx/ws/v5/{path}", self.socket) for path in (PUBLIC, BUSINESS)]
        return [*paths, *self._rest.routes()]

    # What follows from a step

    def key_market(self, key: str) -> tuple[str | None, str | None]:
        """books|BTC-USDT is (BTC-USDT, book)."""
        channel, _, name = key.partition("|")
        ours = TRADES if channel == "trades-all" else CANDLES if channel.startswith("candle") else CHANNELS.get(channel)
        return self.by_inst.get(name), ours

    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """Trades, best prices, closed candles and liquidations."""
        return self._streams.render(market, step)

    def settle(self, now: float | None) -> Iterator[Frame]:
        """Books, tickers, open candles and the news of swaps."""
        return self._streams.settle(now)

    def ticker(self, symbol: str) -> str:
        """A market's statistics as `tickers` and REST show them."""
        market = self.markets[symbol]
        return self.wires[symbol].ticker(market.book.best(), self.days[symbol], market.ts_us + self.skew_us())

    def seq(self, symbol: str, update_id: int) -> int:
        """The `seqId` of an update id."""
        return self._streams.seq(symbol, update_id)

    def book_at(self, symbol: str, at: int | None) -> tuple[Book, int, int]:
        """The true book now or at a `seqId`, its `seqId` and its time."""
        update_id = None if at is None else self._streams.update_id(symbol, at)
        book, last_id, ts_us = super().book_at(symbol, update_id)
        return book, self.seq(symbol, last_id) if at is None else at, ts_us

    def reset_sequence(self, symbol: str) -> None:
        """Let the ids of a book begin again, lower; followers are told by an update that chains to the old one."""
        for frame in self._streams.reset(symbol):
            self.publish(frame)

    def play(self, line: Line) -> None:
        """Send a recorded message to those who subscribed to its channel and instrument."""
        key = _tape_key(line.raw)
        if key:
            symbol, channel = self.key_market(key)
            now, snapshot = self.now_us(), '"action":"snapshot"' in line.raw
            payload = line.raw.encode()
            self.publish(
                Frame(self.name, symbol or "", channel or "other", key, payload, now, "time", now, now, snapshot)
            )

    # Listings and the state of the venue

    def listed(self, market: Market) -> None:
        """Prepare what is kept of a market."""
        symbol = market.instrument.symbol
        self.wires[symbol] = wire = Wire(market.instrument)
        self.by_inst[wire.symbol] = symbol
        self._streams.listed(market)

    def listing_row(self, symbol: str) -> dict[str, Any]:
        """A market as `instruments` and REST show it."""
        changed = self.changed_us.get(symbol, 0)
        return instrument_row(self.wires[symbol], self.markets[symbol].instrument, self.listings[symbol], changed)

    def announce_listing(self, symbol: str) -> None:
        """Push the instrument that changed."""
        now = self.changed_us[symbol] = self.now_us()
        key = f"instruments|{self.wires[symbol].type}"
        payload = instruments_push(self.listing_row(symbol))
        self.publish(Frame(self.name, symbol, INSTRUMENTS, key, payload, now, "time", now, now))

    def announce_system(self) -> None:
        """Push the maintenance that began, changed or ended."""
        now = self.system_since = self.now_us()
        self.publish(self._status_frame(now))

    def _status_frame(self, now: int) -> Frame:
        payload = status_push(status_row(self.system, self.system_since), now)
        return Frame(self.name, "", STATUS, "status|", payload, now, "time", now, now)

    # Connections

    def incoming_window(self) -> SlidingWindow:
        """Subscriptions an hour are limited, not messages a second."""
        return SlidingWindow(_UNLIMITED, 1.0)

    def connect_window(self) -> SlidingWindow:
        """Three a second and address."""
        return SlidingWindow(self.limits.connects, 1.0)

    def overloaded(self, connection: Connection) -> bool:
        """Never."""
        _ = connection
        return False

    def greet(self, connection: Connection) -> None:
        """Nothing is said."""
        now = self.world.clock.mono()
        self._clients[connection] = _Client(SlidingWindow(self.limits.requests, 3600.0), now, now)

    def receive(self, connection: Connection, message: str) -> None:
        """A text ping, or a subscription or its end."""
        client = self._clients[connection]
        client.heard = self.world.clock.mono()
        if message == "ping":
            if self.world.faults.heartbeats(self.name):
                connection.say("control", "pong")
            return
        try:
            body = json.loads(message)
        except ValueError:
            body = None
        request_id = body.get("id") if isinstance(body, dict) else None
        args = body.get("args") if isinstance(body, dict) else None
        if not isinstance(body, dict) or "op" not in body or not isinstance(args, list) or not args:
            _fail(connection, "60012", f"Invalid request: {message}", request_id)
        elif body["op"] not in ("subscribe", "unsubscribe"):
            _fail(connection, "60019", f"Invalid op: {body['op']}", request_id)
        elif not client.requests.allow(client.heard):
            _fail(connection, "60014", "Requests too frequent", request_id)
        else:
            for arg in args:
                self._one(connection, body["op"], arg, request_id)

    def _one(self, connection: Connection, op: str, arg: object, request_id: object) -> None:
        if not isinstance(arg, dict) or not isinstance(arg.get("channel"), str):
            _fail(connection, "60013", "Invalid args", request_id)
            return
        key = self._key(connection, arg)
        if key is None:
            named = ",".join(f"{name}:{value}" for name, value in arg.items())
            hint = "Please use the correct URL, channel and parameters referring to API document."
            _fail(connection, "60018", f"Wrong URL or {named} doesn't exist. {hint}", request_id)
            return
        mark, faults = self.key_market(key), self.world.faults
        after: list[Frame] = []
        if op == "unsubscribe":
            self.unsubscribe(connection, key)
        else:
            rejected = faults.take("reject_subscribe", self.name, *mark)
            if rejected is not None:
                _fail(connection, "60012", str(rejected.request.params["message"]), request_id)
                return
            if key not in connection.keys and faults.take("ack_without_data", self.name, *mark) is None:
                after = self._first(key, mark[0])
                self.subscribe(connection, key)
        _say(connection, {"event": op, "arg": arg}, request_id)
        for frame in after:
            self.send_to(connection, frame)

    def _key(self, connection: Connection, arg: Mapping[str, Any]) -> str | None:
        """The key of a subscription; None when its channel is not on this endpoint or its instrument not listed."""
        channel = str(arg["channel"])
        business = connection.request.path.endswith(BUSINESS)
        if business != (channel == "trades-all" or channel.removeprefix("candle") in BARS):
            return None
        if not business and channel not in CHANNELS:
            return None
        if channel == "status":
            return "status|"
        if channel in BY_TYPE:
            kind = arg.get("instType")
            allowed = ("SWAP",) if channel == "liquidation-orders" else ("SPOT", "SWAP")
            return f"{channel}|{kind}" if kind in allowed else None
        symbol = self.by_inst.get(str(arg.get("instId")))
        if symbol is None or self.listings[symbol] == DELISTED:
            return None
        if channel in SWAP_ONLY and symbol not in self.perpetuals:
            return None
        return f"{channel}|{arg['instId']}"

    def _first(self, key: str, symbol: str | None) -> list[Frame]:
        """What a new subscription begins with."""
        if self.tape is not None:
            return []  # the tape has its own
        if key == "status|":
            return [] if self.system[0] == "online" else [self._status_frame(self.now_us())]
        return [] if symbol is None else list(self._streams.first(symbol, key))

    def keep(self, connection: Connection, now: float) -> None:
        """End a connection that is silent both ways, has no subscription, or was told that it will end."""
        client, limits = self._clients[connection], self.limits
        if connection.keys:
            client.subscribed = now
        if client.ends is not None and now >= client.ends:
            connection.close(1001, "service upgrade")
        elif now - max(client.heard, connection.last_sent) >= limits.idle:
            connection.close(4004, f"No data received in {limits.idle:g}s")
        elif now - client.subscribed >= limits.unsubscribed:
            connection.close(4004, f"No subscription in {limits.unsubscribed:g}s")

    def announce_shutdown(self) -> int:
        """Send notice 64008 to every connection, which ends a minute later; how many there were."""
        ends = self.world.clock.mono() + self.limits.shutdown_delay
        for connection in self.connections.values():
            self._clients[connection].ends = ends
            text = "The connection will soon be closed for a service upgrade. Please reconnect."
            _say(connection, {"event": "notice", "code": "64008", "msg": text}, None)
        return len(self.connections)

    def request_symbol(self, request: web.Request) -> str | None:
        """The canonical symbol of ?instId=."""
        return self.by_inst.get(request.query.get("instId", ""))

    def fail(self, params: Mapping[str, Any]) -> web.Response:
        """An error as OKX words it for the status."""
        return self._rest.fail(params)


def _say(connection: Connection, body: dict[str, Any], request_id: object) -> None:
    answer = {**({} if request_id is None else {"id": request_id}), **body, "connId": f"{connection.number:08x}"}
    connection.say("control", dumps(answer))


def _fail(connection: Connection, code: str, text: str, request_id: object) -> None:
    _say(connection, {"event": "error", "msg": text, "code": code}, request_id)


def _tape_key(raw: str) -> str:
    """The key of a recorded push; empty for anything else."""
    try:
        body = json.loads(raw)
        arg = body["arg"]
        return f"{arg['channel']}|{arg.get('instId') or arg.get('instType') or ''}" if "data" in body else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
