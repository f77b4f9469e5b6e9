"""Coinbase's WebSocket: one channel a message, snapshots before the acknowledgement, every frame numbered.

It owns what a client of the market-data endpoint meets. It must never write message text (`wire`) nor answer REST
(`rest`). A frame has a number on each connection, given before the faults see it: a frame that a fault takes away
leaves a hole on the sockets that were to get it, and on no other. Recordings show that a channel's snapshot comes
before the `subscriptions` message that acknowledges it.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from simulator.coinbase.corrupt import EDITS, UNKNOWN, corrupt
from simulator.coinbase.facts import (
    CANDLE_SECONDS,
    CANDLES_IN_SNAPSHOT,
    CHANNELS,
    HEARTBEATS,
    TICKER_SECONDS,
    TRADES_IN_SNAPSHOT,
    Limits,
    alias,
)
from simulator.coinbase.rest import Rest
from simulator.coinbase.wire import Wire, dumps, envelope, heartbeat, snapshot_changes
from simulator.connection import Connection
from simulator.frames import BOOK, CANDLES, INSTRUMENTS, MARK, QUOTES, TICKERS, TRADES, Frame
from simulator.instruments import Instrument, coinbase_instrument
from simulator.limits import SlidingWindow, override
from simulator.market import Market, Step, Trade
from simulator.markets import DELISTED, TRADING, World
from simulator.statistics import Candle, Candles, every
from simulator.tape import Line, TapeVenue
from simulator.venue import Venue

_CANDLES = "five minutes"
_PERIOD = every(CANDLE_SECONDS)
_CANDLE_PACE = 1.0


@dataclass(slots=True)
class _Client:
    """What one connection asked for (ids as it spelled them) and how far its numbers are."""

    asked: dict[str, list[str]] = field(default_factory=dict)
    number: int = 0
    beats: int = 0
    beat: float = float("-inf")
    ever: bool = False


class Coinbase(Venue):
    """Coinbase Advanced Trade spot. Keys are level2|BTC-USD, market_trades|BTC-USD, heartbeats."""

    name = "coinbase"
    books_by_id = False
    empty_candles = False

    def __init__(
        self, world: World, symbols: Iterable[str], limits: Mapping[str, float], tape: TapeVenue | None = None
    ) -> None:
        self.limits = override(Limits(), limits, self.name)
        instruments = [one for one in map(self.instrument, symbols) if one is not None]
        super().__init__(world, [replace(one, levels=self.limits.levels) for one in instruments], tape)
        self.wires: dict[str, Wire] = {}
        self.ids: dict[str, str] = {}  # every product id, with the symbol that it stands for
        for market in self.markets.values():
            self.listed(market)
        self._clients: WeakKeyDictionary[Connection, _Client] = WeakKeyDictionary()
        self._due: dict[str, float] = {}
        self._shown: dict[str, object] = {}
        self._rest = Rest(self)
        world.faults.register(self.name, corrupt, frozenset(EDITS), UNKNOWN)

    @staticmethod
    def instrument(symbol: str) -> Instrument | None:
        """Spot pairs, but no alias."""
        return coinbase_instrument(symbol)

    @staticmethod
    def tape_symbols(tape: TapeVenue) -> list[str]:
        """The canonical symbols on a tape."""
        return list(dict.fromkeys(key.partition("|")[2] for raw in tape.socket_lines() for key in _tape_keys(raw)))

    def texts(self, symbol: str) -> Wire:
        """How it writes a market's numbers."""
        return self.wires[symbol]

    def routes(self) -> list[web.AbstractRouteDef]:
        """The market-data endpoint and the REST host, under /coinbase."""
        return [web.get("/coinbase", self.socket), web.get("/coinbase/ws", self.socket), *self._rest.routes()]

    # What follows from a step

    def key_market(self, key: str) -> tuple[str | None, str | None]:
        """level2|BTC-USD is (BTC-USD, book)."""
        channel, _, product = key.partition("|")
        return self.ids.get(product), CHANNELS.get(channel)

    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """The book's changes, trades, a ticker when there were some, and the last state of a candle that ended."""
        symbol, skew = market.instrument.symbol, self.skew_us()
        wire, now = self.wires[symbol], step.ts_us + skew
        key = f"level2|{symbol}"
        if step.changes and self.wanted(key):
            payload = wire.level2("update", step.changes, now, now)
            yield self._frame(symbol, BOOK, key, payload, step.ts_us)
        if step.trades:
            key = f"market_trades|{symbol}"
            if self.wanted(key):
                yield self._trades(symbol, key, "update", step.trades)
            key = f"ticker|{symbol}"
            if self.wanted(key):
                yield self._ticker(symbol, key, "update")
        key = f"candles|{symbol}"
        if self.closed_bars.get(_CANDLES) and self.wanted(key):
            yield self._candles(symbol, key, "update", self.closed_bars[_CANDLES])

    def settle(self, now: float | None) -> Iterator[Frame]:
        """Open candles every second, batched tickers every five."""
        for symbol in self.markets:
            key = f"candles|{symbol}"
            if self.wanted(key):
                bar = self._bars_of(symbol).current
                shown = None if bar is None else (bar.begin_us, bar.count)
                if bar is not None and self._is_due(key, shown, now, _CANDLE_PACE):
                    yield self._candles(symbol, key, "update", [bar])
            key = f"ticker_batch|{symbol}"
            if self.wanted(key) and self._is_due(key, self.days[symbol].count, now, TICKER_SECONDS):
                yield self._ticker(symbol, key, "update")

    def _is_due(self, key: str, shown: object, now: float | None, pace: float) -> bool:
        if self._shown.get(key) == shown or (now is not None and now < self._due.get(key, 0.0)):
            return False
        self._shown[key] = shown
        if now is not None:
            self._due[key] = now + pace
        return True

    def _bars_of(self, symbol: str) -> Candles:
        return self.candles(symbol, _CANDLES, _PERIOD)

    def _frame(self, symbol: str, channel: str, key: str, payload: bytes, ts_us: int, kind: str = "update") -> Frame:
        return Frame(self.name, symbol, channel, key, payload, ts_us, "time", ts_us, ts_us, kind == "snapshot")

    def _trades(self, symbol: str, key: str, kind: str, trades: list[Trade]) -> Frame:
        payload = self.wires[symbol].market_trades(kind, trades, self.skew_us(), self.now_us())
        ts_us = trades[-1].ts_us if trades else self.markets[symbol].ts_us
        first, last = (trades[0].id, trades[-1].id) if trades else (0, 0)
        return Frame(self.name, symbol, TRADES, key, payload, ts_us, "trade", first, last, kind == "snapshot")

    def _ticker(self, symbol: str, key: str, kind: str) -> Frame:
        market, name = self.markets[symbol], key.partition("|")[0]
        now = market.ts_us + self.skew_us()
        payload = self.wires[symbol].ticker(name, kind, market.book.best(), self.days[symbol], now)
        return self._frame(symbol, QUOTES if name == "ticker" else TICKERS, key, payload, market.ts_us, kind)

    def _candles(self, symbol: str, key: str, kind: str, bars: list[Candle]) -> Frame:
        payload = self.wires[symbol].candles(kind, bars, self.now_us())
        return self._frame(symbol, CANDLES, key, payload, self.markets[symbol].ts_us, kind)

    def _status(self, symbol: str, key: str, kind: str) -> Frame:
        status = {TRADING: "online", DELISTED: "delisted"}.get(self.listings[symbol], "offline")
        if self.system[0] == "maintenance":
            status = "offline"
        payload = self.wires[symbol].status(kind, status, self.system[1], self.now_us())
        return self._frame(symbol, INSTRUMENTS, key, payload, self.markets[symbol].ts_us, kind)

    def play(self, line: Line) -> None:
        """Send a recorded message, with the number of the connection, to those who subscribed to it."""
        for key in _tape_keys(line.raw):
            symbol, channel = self.key_market(key)
            body = json.loads(line.raw)
            body["sequence_num"] = MARK.decode()
            payload = dumps(body).replace(f'"{MARK.decode()}"', MARK.decode()).encode()
            now, snapshot = self.now_us(), '"snapshot"' in line.raw[:200]
            self.publish(
                Frame(self.name, symbol or "", channel or "other", key, payload, now, "time", now, now, snapshot)
            )

    # Numbers

    def deliver(self, frame: Frame, connections: Collection[Connection]) -> None:
        """Number a message for each client, then hand it through the faults to them."""
        frame.numbers = {}
        outs = self.world.faults.on_frame(frame)
        if all(out.numbers is not frame.numbers for out in outs):  # taken away or held back: its number is used up
            for connection in connections:
                self._number(connection, frame)
        for connection in connections:
            for out in outs:
                self._number(connection, out)
                connection.send(out)

    def _number(self, connection: Connection, frame: Frame) -> None:
        if frame.numbers is not None and connection.number not in frame.numbers and MARK in frame.payload:
            frame.numbers[connection.number] = self._next(connection)

    def _next(self, connection: Connection) -> int:
        client = self._clients[connection]
        client.number += 1
        return client.number - 1

    def _say(self, connection: Connection, channel: str, events: str) -> None:
        number = str(self._next(connection))
        connection.say(
            "heartbeat" if channel == HEARTBEATS else "control", envelope(channel, self.now_us(), events, number)
        )

    # Listings and the state of the venue

    def listed(self, market: Market) -> None:
        """Prepare what is kept of a market; a USD pair is there under its alias too."""
        symbol = market.instrument.symbol
        self.wires[symbol] = Wire(market.instrument)
        self.ids[symbol] = symbol
        other = alias(symbol)
        if other is not None:
            self.ids[other] = symbol

    def announce_listing(self, symbol: str) -> None:
        """Tell who follows the product's status."""
        self.publish(self._status(symbol, f"status|{symbol}", "update"))

    def announce_system(self) -> None:
        """There is no message of the venue's own state: the status of each product says it."""
        for symbol in self.markets:
            self.announce_listing(symbol)

    # Connections

    def incoming_window(self) -> SlidingWindow:
        """Eight messages a second."""
        return SlidingWindow(self.limits.messages_per_second, 1.0)

    def connect_window(self) -> SlidingWindow:
        """Eight a second and address."""
        return SlidingWindow(self.limits.connects, 1.0)

    def overloaded(self, connection: Connection) -> bool:
        """The message is refused."""
        _fail(connection, "rate limit exceeded")
        return True

    def greet(self, connection: Connection) -> None:
        """Nothing is said."""
        self._clients[connection] = _Client()

    def receive(self, connection: Connection, message: str) -> None:
        """Subscribe to one channel, or end that."""
        try:
            body = json.loads(message)
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("type") not in ("subscribe", "unsubscribe"):
            _fail(connection, "malformed request" if not isinstance(body, dict) else "unsupported message type")
            return
        channel, products = body.get("channel"), body.get("product_ids", [])
        if channel != HEARTBEATS and channel not in CHANNELS:
            _fail(connection, f"channel {channel} is not supported")
        elif not isinstance(products, list) or not all(isinstance(one, str) for one in products):
            _fail(connection, "product_ids must be a list of strings")
        elif body["type"] == "unsubscribe":
            self._unsubscribe(connection, str(channel), products)
        else:
            self._subscribe(connection, str(channel), products)

    def _subscribe(self, connection: Connection, channel: str, products: list[str]) -> None:
        client, faults = self._clients[connection], self.world.faults
        if channel == HEARTBEATS:
            products = [HEARTBEATS]
        elif channel == "status" and not products:
            products = list(self.markets)
        unknown = [one for one in products if channel != HEARTBEATS and not self._lists(one)]
        if unknown or not products:
            named = ", ".join(unknown) or "no product"
            _fail(connection, f"failed to subscribe: {named} is not a valid product")
            return
        for product in products:
            mark = (self.ids.get(product), CHANNELS.get(channel))
            rejected = faults.take("reject_subscribe", self.name, *mark)
            if rejected is not None:
                _fail(connection, str(rejected.request.params["message"]))
                return
        client.ever = True
        asked = client.asked.setdefault(channel, [])
        for product in products:
            if product not in asked:
                asked.append(product)
                self._begin(connection, channel, product)
        self._acknowledge(connection)

    def _lists(self, product: str) -> bool:
        return product in self.ids and self.listings[self.ids[product]] != DELISTED

    def _begin(self, connection: Connection, channel: str, product: str) -> None:
        key = _key(channel, self.ids.get(product))
        if key in connection.keys:
            return  # an alias of what it has already
        if self.world.faults.take("ack_without_data", self.name, *self.key_market(key)) is not None:
            return
        if channel != HEARTBEATS and self.tape is None:
            self.send_to(connection, self._first(channel, self.ids[product], key))
        self.subscribe(connection, key)

    def _first(self, channel: str, symbol: str, key: str) -> Frame:
        """The snapshot that a subscription begins with."""
        if channel == "level2":
            market = self.markets[symbol]
            now = market.ts_us + self.skew_us()
            payload = self.wires[symbol].level2("snapshot", snapshot_changes(*market.top()), now, now)
            return self._frame(symbol, BOOK, key, payload, market.ts_us, "snapshot")
        if channel == "market_trades":
            ledger = self.ledgers[symbol]
            last = ledger.trades(max(ledger.last_trade_id - TRADES_IN_SNAPSHOT + 1, ledger.first_trade_id))
            return self._trades(symbol, key, "snapshot", last)
        if channel == "candles":
            return self._candles(symbol, key, "snapshot", self._bars_of(symbol).last(CANDLES_IN_SNAPSHOT))
        if channel == "status":
            return self._status(symbol, key, "snapshot")
        return self._ticker(symbol, key, "snapshot")

    def _unsubscribe(self, connection: Connection, channel: str, products: list[str]) -> None:
        """End some products of a channel, or all of it when none is named."""
        asked = self._clients[connection].asked
        left = [one for one in asked.get(channel, []) if products and one not in products and channel != HEARTBEATS]
        gone = [one for one in asked.pop(channel, []) if one not in left]
        if left:
            asked[channel] = left
        kept = {_key(channel, self.ids.get(one)) for one in left}
        for product in gone:
            key = _key(channel, self.ids.get(product))
            if key not in kept:
                self.unsubscribe(connection, key)
        self._acknowledge(connection)

    def _acknowledge(self, connection: Connection) -> None:
        self._say(connection, "subscriptions", dumps({"subscriptions": self._clients[connection].asked}))

    def keep(self, connection: Connection, now: float) -> None:
        """A heartbeat each second; an end without a first subscription in five seconds, or without any message."""
        client, limits = self._clients[connection], self.limits
        if not client.ever and now - connection.opened >= limits.subscribe_within:
            connection.close(1008, "no subscription received")
        elif now - connection.last_sent >= limits.idle:
            connection.close(1000, "no updates")
        elif HEARTBEATS in connection.keys and now - client.beat >= limits.heartbeat:
            client.beat = now
            if self.world.faults.heartbeats(self.name):
                self._say(connection, HEARTBEATS, heartbeat(self.now_us(), client.beats, now))
                client.beats += 1

    def request_symbol(self, request: web.Request) -> str | None:
        """The canonical symbol of ?product_id= or of the path."""
        return self.ids.get(request.query.get("product_id") or request.match_info.get("product_id", ""))

    def fail(self, params: Mapping[str, Any]) -> web.Response:
        """An error as Coinbase words it for the status."""
        return self._rest.fail(params)


def _key(channel: str, symbol: str | None) -> str:
    return channel if symbol is None else f"{channel}|{symbol}"


def _fail(connection: Connection, message: str) -> None:
    connection.say("control", dumps({"type": "error", "message": message}))


def _tape_keys(raw: str) -> list[str]:
    """The keys that a recorded message is for; none for heartbeats and acknowledgements."""
    try:
        body = json.loads(raw)
        channel = {"l2_data": "level2"}.get(body["channel"], body["channel"])
        if channel not in CHANNELS:
            return []
        rows = [row for event in body["events"] for row in (event, *event.get("trades", []), *event.get("tickers", []))]
        found = [row["product_id"] for row in rows if "product_id" in row]
        found += [row["product_id"] for event in body["events"] for row in event.get("candles", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return [f"{channel}|{product}" for product in dict.fromkeys(found)]
