"""What Binance's stream hosts have in common: control messages, pings, lifetimes, gathered and paced streams.

It owns a connection's way through them and the streams that wait for their time. It must never write message text
(`wire`) nor answer REST (`host`). Diffs are gathered per symbol and sent as often as the stream's name says, tickers,
candles and mark prices when they changed and their time has come; in step mode all of it after each step.
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiohttp import web

from simulator.binance.facts import INTERVALS, Limits
from simulator.binance.host import Host
from simulator.binance.recorded import recorded_stream, recorded_symbols
from simulator.binance.wire import Wire, venue_symbol
from simulator.book import ASK, BID
from simulator.connection import Connection
from simulator.frames import BOOK, CANDLES, Frame
from simulator.ledger import group_fills
from simulator.limits import SlidingWindow
from simulator.market import Market, Step
from simulator.markets import World
from simulator.statistics import Candle
from simulator.tape import Line, TapeVenue
from simulator.venue import Venue

_KLINE = "kline_"
_KLINES = tuple(f"{_KLINE}{name}" for name in INTERVALS)


@dataclass(slots=True)
class _Batch:
    """The changes of one symbol since the last message of one diff stream."""

    seconds: float
    next_id: int
    told: int  # the last id of the message before
    due: float = 0.0
    shown: tuple[int, int] | None = None  # the first and last id that show something
    touched: tuple[dict[int, None], dict[int, None]] = field(default_factory=lambda: ({}, {}))


class Streams(Venue):
    """One of Binance's markets (spot, USDⓈ-M). A stream's name is what follows the symbol: `trade`, `depth@100ms`."""

    books_by_id = True
    channels: ClassVar[Mapping[str, str]]  # ours, of streams that are neither book nor candles
    diffs: ClassVar[Mapping[str, float]]  # seconds between two messages
    partials: ClassVar[Mapping[str, tuple[int, float]]]  # levels, and seconds
    paces: ClassVar[Mapping[str, float]]  # seconds between two messages of a stream that is sent when it changed
    holes: ClassVar[bool] = False  # whether the ids of a diff are only those that show something
    limits: Limits
    host: Host

    def __init__(self, world: World, symbols: Iterable[str], tape: TapeVenue | None) -> None:
        super().__init__(world, [one for one in map(self.instrument, symbols) if one is not None], tape)
        self.wires: dict[str, Wire] = {}
        self.by_stream: dict[str, str] = {}
        self._batches: dict[str, dict[str, _Batch]] = {}
        self._due: dict[str, float] = {}
        self._shown: dict[str, int] = {}
        self._partial_seen: dict[str, int] = {}
        self._changed: dict[str, tuple[str, str]] = {}  # stream -> its symbol and name
        for market in self.markets.values():
            self.listed(market)

    # What a market of Binance adds

    @abstractmethod
    def wire(self, market: Market) -> Wire:
        """How it writes a market's messages."""

    @abstractmethod
    def paced(self, symbol: str, name: str, key: str) -> Frame | None:
        """The message of a stream that is neither book nor candles and whose time has come."""

    def serves(self, connection: Connection, stream: str) -> bool:
        """Whether a stream is sent on the path that the connection came by."""
        _ = connection, stream
        return True

    @staticmethod
    def tape_symbols(tape: TapeVenue) -> list[str]:
        """The canonical symbols on a tape."""
        return recorded_symbols(tape)

    def listed(self, market: Market) -> None:
        """Prepare what is kept of each market."""
        symbol = market.instrument.symbol
        self.wires[symbol] = self.wire(market)
        self.by_stream[venue_symbol(symbol).lower()] = symbol
        self._batches[symbol] = {
            name: _Batch(seconds, market.last_id + 1, market.last_id) for name, seconds in self.diffs.items()
        }

    def announce_system(self) -> None:
        """Only REST tells."""

    def texts(self, symbol: str) -> Wire:
        """How it writes a market's numbers."""
        return self.wires[symbol]

    # Streams

    def key_market(self, key: str) -> tuple[str | None, str | None]:
        """btcusdt@trade is (BTC-USDT, trades)."""
        stream, _, name = key.partition("@")
        if name in self.diffs or name in self.partials:
            channel: str | None = BOOK
        elif name.startswith(_KLINE) and name.removeprefix(_KLINE) in INTERVALS:
            channel = CANDLES
        else:
            channel = self.channels.get(name)
        return self.by_stream.get(stream), channel

    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """Trades, best prices and closed candles at once; all else waits for its time."""
        symbol = market.instrument.symbol
        shown = (step.first_id, step.first_id + len(step.changes) - 1)
        if step.changes:
            self._shown[symbol] = shown[1]
        for batch in self._batches[symbol].values():
            if step.changes:
                batch.shown = (shown[0] if batch.shown is None else batch.shown[0], shown[1])
            for side, tick, _ in step.changes:
                batch.touched[side][tick] = None
        wire, skew = self.wires[symbol], self.skew_us()
        event_ms = (step.ts_us + skew) // 1000
        if step.trades:
            yield from self._trades(symbol, wire, step, event_ms)
        key = f"{wire.stream}@bookTicker"
        if step.top_changed and self.wanted(key):
            payload = wire.book_ticker(step.last_id, *market.book.best(), event_ms)
            yield self.frame(symbol, key, payload, "update", (step.last_id, step.last_id))
        for name, bars in self.closed_bars.items():
            key = f"{wire.stream}@{_KLINE}{name}"
            if bars and self.wanted(key):
                for bar in bars:
                    yield self._candle(symbol, key, name, bar, closed=True)
        if step.trades:
            self.changed(symbol, "ticker", *_KLINES)

    def window_ms(self) -> tuple[int, int]:
        """From when to when a ticker counts: since the simulator started, in milliseconds."""
        return (self.start_us + self.skew_us()) // 1000, self.now_us() // 1000

    def shown_id(self, symbol: str) -> int:
        """The last update id that showed something."""
        return self._shown.get(symbol, self.ledgers[symbol].first_id)

    def _trades(self, symbol: str, wire: Wire, step: Step, event_ms: int) -> Iterator[Frame]:
        skew = self.skew_us()
        key = f"{wire.stream}@trade"
        if self.wanted(key):
            for trade in step.trades:
                payload = wire.trade(trade, event_ms, skew)
                yield self.frame(symbol, key, payload, "trade", (trade.id, trade.id), trade.ts_us)
        key = f"{wire.stream}@aggTrade"
        if self.wanted(key):
            for fills in group_fills(step.trades):
                payload = wire.aggregate(fills, event_ms, skew)
                yield self.frame(symbol, key, payload, "trade", (fills[0].id, fills[-1].id), fills[0].ts_us)

    def frame(
        self, symbol: str, key: str, payload: bytes, ids: str, span: tuple[int, int], ts_us: int | None = None
    ) -> Frame:
        """A message of the stream `key`, carrying the ids `span`, by default at the market's time."""
        at = self.markets[symbol].ts_us if ts_us is None else ts_us
        return Frame(self.name, symbol, self.key_market(key)[1] or "other", key, payload, at, ids, *span)

    def timed(self, symbol: str, key: str, payload: bytes) -> Frame:
        """A message that carries no ids but its time."""
        now = self.markets[symbol].ts_us
        return self.frame(symbol, key, payload, "time", (now, now))

    def changed(self, symbol: str, *names: str) -> None:
        """Streams of the symbol have something new to say when their time comes."""
        stream = self.wires[symbol].stream
        for name in names:
            key = f"{stream}@{name}"
            if self.wanted(key):
                self._changed[key] = (symbol, name)

    def _candle(self, symbol: str, key: str, interval: str, bar: Candle, *, closed: bool) -> Frame:
        payload = self.wires[symbol].kline(interval, bar, self.now_us() // 1000, closed=closed)
        return self.frame(symbol, key, payload, "time", (bar.begin_us, bar.begin_us))

    def _paced(self, symbol: str, name: str, key: str) -> Frame | None:
        if not name.startswith(_KLINE):
            return self.paced(symbol, name, key)
        interval = name.removeprefix(_KLINE)
        bar = self.candles(symbol, interval, INTERVALS[interval]).current
        return None if bar is None else self._candle(symbol, key, interval, bar, closed=False)

    def settle(self, now: float | None) -> Iterator[Frame]:
        """What is due at `now`; all that has changed when it is None."""
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
            for name, (depth, seconds) in self.partials.items():
                key = f"{wire.stream}@{name}"
                if (
                    self.wanted(key)
                    and self._partial_seen.get(key) != market.last_id
                    and self._is_due(key, now, seconds)
                ):
                    self._partial_seen[key] = market.last_id
                    payload = wire.partial(market.last_id, *market.top(depth), self.now_us() // 1000)
                    yield self.frame(symbol, key, payload, "update", (market.last_id, market.last_id))
        for key, (symbol, name) in list(self._changed.items()):
            if self._is_due(key, now, self.paces[name]):
                del self._changed[key]
                paced = self._paced(symbol, name, key)
                if paced is not None:
                    yield paced

    def _is_due(self, key: str, now: float | None, seconds: float) -> bool:
        if now is not None:
            if now < self._due.get(key, 0.0):
                return False
            self._due[key] = now + seconds
        return True

    def _diff(self, market: Market, wire: Wire, name: str, batch: _Batch) -> Frame | None:
        ids: tuple[int, int] | None = batch.shown if self.holes else (batch.next_id, market.last_id)
        touched, batch.touched, batch.next_id, batch.shown = batch.touched, ({}, {}), market.last_id + 1, None
        if ids is None:
            return None
        before, batch.told = batch.told, ids[1]
        key = f"{wire.stream}@{name}"
        if not self.wanted(key):
            return None
        bid_sizes, ask_sizes = market.book.bids.sizes, market.book.asks.sizes
        bids = [(tick, bid_sizes.get(tick, 0)) for tick in sorted(touched[BID], reverse=True)]
        asks = [(tick, ask_sizes.get(tick, 0)) for tick in sorted(touched[ASK])]
        payload = wire.depth_update(self.now_us() // 1000, (*ids, before), bids, asks)
        return self.frame(market.instrument.symbol, key, payload, "update", ids)

    def play(self, line: Line) -> None:
        """Send a recorded message to those who subscribed to its stream."""
        found = recorded_stream(line.raw)
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
        connection.combined = request.path.endswith("/stream")
        listed = request.query.get("streams", "") if connection.combined else request.match_info.get("streams", "")
        for stream in listed.split("/"):
            if stream:
                self._subscribe(connection, stream)

    def _subscribe(self, connection: Connection, stream: str) -> None:
        symbol, channel = self.key_market(stream)
        if self.world.faults.take("ack_without_data", self.name, symbol, channel) is not None:
            return
        if not self.serves(connection, stream):
            connection.keys[stream] = ""  # acknowledged, and silent
            return
        self.subscribe(connection, stream)
        if symbol is not None and channel == CANDLES:
            interval = stream.partition("@")[2].removeprefix(_KLINE)
            self.candles(symbol, interval, INTERVALS[interval])

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

    def request_symbol(self, request: web.Request) -> str | None:
        """The canonical symbol of ?symbol=."""
        return self.by_stream.get(request.query.get("symbol", "").lower())

    def fail(self, params: Mapping[str, Any]) -> web.Response:
        """An error as Binance words it for the status."""
        return self.host.fail(params)


def _say(connection: Connection, body: Mapping[str, Any]) -> None:
    connection.say("control", json.dumps(body, separators=(",", ":")))
