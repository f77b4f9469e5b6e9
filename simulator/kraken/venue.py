"""Kraken's WebSocket v2: subscriptions with one answer a symbol, snapshots in band, heartbeats, the message rate.

It owns what a client of the public endpoint meets. It must never write message text (`wire`) nor answer REST (`rest`).
https://docs.kraken.com/api/docs/guides/spot-ws-intro
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiohttp import web

from simulator.connection import Connection
from simulator.frames import BOOK, CANDLES, INSTRUMENTS, QUOTES, STATUS, TICKERS, TRADES, Frame
from simulator.instruments import SPOT, Instrument, kraken_instrument, split_symbol
from simulator.kraken.facts import BARS_IN_SNAPSHOT, DEPTHS, INTERVALS, TRADES_IN_SNAPSHOT, Limits, pair_names
from simulator.kraken.listing import instruments_message
from simulator.kraken.rest import Rest
from simulator.kraken.wire import EDITS, UNKNOWN, View, Wire, book_checksum, corrupt
from simulator.limits import SlidingWindow, override
from simulator.market import Market, Step
from simulator.markets import DELISTED, World
from simulator.statistics import Candle, Candles, every
from simulator.tape import Line, TapeVenue
from simulator.text import iso_micros
from simulator.venue import Venue

_CHANNELS = {"trade": TRADES, "book": BOOK, "ohlc": CANDLES, "instrument": INSTRUMENTS}
_TRIGGERED = {"bbo": QUOTES, "trades": TICKERS}
_FIRST_CONNECTION = 10_686_724_941_062_004_000  # connection ids do not fit a signed 64-bit integer


class Kraken(Venue):
    """Kraken spot. Keys are book|BTC/USD|10, trade|BTC/USD, ticker|BTC/USD|bbo, ohlc|BTC/USD|1, instrument."""

    name = "kraken"
    books_by_id = False
    empty_candles = False

    def __init__(
        self, world: World, symbols: Iterable[str], limits: Mapping[str, float], tape: TapeVenue | None = None
    ) -> None:
        super().__init__(world, [one for one in map(self.instrument, symbols) if one is not None], tape)
        self.limits = override(Limits(), limits, self.name)
        self.wires: dict[str, Wire] = {}
        self.by_symbol: dict[str, str] = {}
        self._views: dict[str, View] = {}
        self._rest = Rest(self)
        for market in self.markets.values():
            self.listed(market)
        world.faults.register(self.name, corrupt, frozenset(EDITS), UNKNOWN)

    @staticmethod
    def instrument(symbol: str) -> Instrument | None:
        """Every spot pair."""
        return kraken_instrument(symbol) if split_symbol(symbol)[2] == SPOT else None

    @staticmethod
    def tape_symbols(tape: TapeVenue) -> list[str]:
        """The canonical symbols on a tape."""
        found: dict[str, None] = {}
        for raw in tape.socket_lines():
            for symbol in [(_tape_mark(raw) or ("", ""))[1]]:
                if symbol:
                    found[symbol.replace("/", "-")] = None
        return list(found)

    def listed(self, market: Market) -> None:
        """Prepare what is kept of each market."""
        symbol = market.instrument.symbol
        self.wires[symbol] = Wire(market.instrument)
        self.by_symbol[pair_names(symbol).symbol] = symbol
        self._rest.listed(symbol)

    def announce_listing(self, symbol: str) -> None:
        """`instrument` sends what changed."""
        text = instruments_message("update", [self.markets[symbol].instrument], self.listings)
        self.publish(self._notice(INSTRUMENTS, "instrument", text, symbol))

    def announce_system(self) -> None:
        """`status` goes to everybody, without a subscription."""
        for connection in self.connections.values():
            self.send_to(connection, self._status(connection))

    def _status(self, connection: Connection) -> Frame:
        number = _FIRST_CONNECTION + connection.number
        text = (
            f'{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"{self.system[0]}",'
            f'"api_version":"v2","connection_id":{number}}}]}}'
        )
        return self._notice(STATUS, "status", text)

    def _notice(self, channel: str, key: str, text: str, symbol: str = "", *, snapshot: bool = False) -> Frame:
        now = self.now_us()
        return Frame(self.name, symbol, channel, key, text.encode(), now, "time", now, now, snapshot)

    def texts(self, symbol: str) -> Wire:
        """How it writes a market's numbers."""
        return self.wires[symbol]

    def routes(self) -> list[web.AbstractRouteDef]:
        """The public endpoint and the REST host, under /kraken."""
        return [web.get("/kraken/v2", self.socket), *self._rest.routes()]

    # What follows from a step

    def key_market(self, key: str) -> tuple[str | None, str | None]:
        """book|BTC/USD|10 is (BTC-USD, book)."""
        channel, _, rest = key.partition("|")
        symbol, _, more = rest.partition("|")
        ours = _TRIGGERED.get(more) if channel == "ticker" else _CHANNELS.get(channel)
        return self.by_symbol.get(symbol), ours

    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """One trade message, one book message a subscribed depth, one ticker message a trigger."""
        symbol = market.instrument.symbol
        wire, skew = self.wires[symbol], self.skew_us()
        if step.trades:
            key = f"trade|{wire.symbol}"
            if self.wanted(key):
                yield self._trades_frame(symbol, key, "update", step.trades)
        crc = None
        for depth in DEPTHS:
            key = f"book|{wire.symbol}|{depth}"
            if not self.wanted(key):
                continue
            bids, asks = self._views[key].update(market.book, step.changes)
            if bids or asks:
                crc = book_checksum(market.book) if crc is None else crc
                payload = wire.book_update(bids, asks, crc, step.ts_us + skew)
                yield Frame(self.name, symbol, BOOK, key, payload, step.ts_us, "time", step.ts_us, step.ts_us)
        for trigger in _TRIGGERED:
            key = f"ticker|{wire.symbol}|{trigger}"
            if (step.trades if trigger == "trades" else step.top_changed) and self.wanted(key):
                yield self._ticker_frame(market, key, "update")
        if step.trades:
            yield from self._candles(symbol, wire, step)

    def _candles(self, symbol: str, wire: Wire, step: Step) -> Iterator[Frame]:
        """One message for each bar that the step's trades fell into: the last word on a bar is its closed state."""
        for minutes in INTERVALS:
            key = f"ohlc|{wire.symbol}|{minutes}"
            if not self.wanted(key):
                continue
            current = self._bars_of(symbol, minutes).current
            closed = self.closed_bars.get(str(minutes), [])
            for bar in [*closed, *([] if current is None else [current])]:
                if bar.last_id >= step.trades[0].id:
                    yield self._candles_frame(symbol, key, "update", [bar], minutes)

    def _bars_of(self, symbol: str, minutes: int) -> Candles:
        return self.candles(symbol, str(minutes), every(60 * minutes))

    def _candles_frame(self, symbol: str, key: str, kind: str, bars: list[Candle], minutes: int) -> Frame:
        now = self.markets[symbol].ts_us
        payload = self.wires[symbol].candles(kind, bars, minutes, now + self.skew_us())
        return Frame(self.name, symbol, CANDLES, key, payload, now, "time", now, now, kind == "snapshot")

    def _trades_frame(self, symbol: str, key: str, kind: str, trades: list[Any]) -> Frame:
        payload = self.wires[symbol].trades(kind, trades, self.skew_us())
        ts_us = trades[-1].ts_us if trades else self.markets[symbol].ts_us
        first, last = (trades[0].id, trades[-1].id) if trades else (0, 0)
        return Frame(self.name, symbol, TRADES, key, payload, ts_us, "trade", first, last, kind == "snapshot")

    def _ticker_frame(self, market: Market, key: str, kind: str) -> Frame:
        symbol, ts_us = market.instrument.symbol, market.ts_us
        payload = self.wires[symbol].ticker(kind, market.book.best(), self.days[symbol], ts_us + self.skew_us())
        channel = self.key_market(key)[1] or QUOTES
        return Frame(self.name, symbol, channel, key, payload, ts_us, "time", ts_us, ts_us, kind == "snapshot")

    def _book_snapshot(self, market: Market, key: str, depth: int) -> Frame:
        symbol, ts_us = market.instrument.symbol, market.ts_us
        self._views[key] = View(market.book, depth)
        payload = self.wires[symbol].book_snapshot(*market.top(depth), book_checksum(market.book))
        return Frame(self.name, symbol, BOOK, key, payload, ts_us, "time", ts_us, ts_us, snapshot=True)

    def play(self, line: Line) -> None:
        """Send a recorded message to those who subscribed to its channel and symbol, at whatever depth."""
        mark = _tape_mark(line.raw)
        if mark is None:
            return
        prefix = "|".join(mark)
        now = self.now_us()
        for key in self.keys():
            if key == prefix or key.startswith(f"{prefix}|"):
                symbol, channel = self.key_market(key)
                payload = line.raw.encode()
                snapshot = '"snapshot"' in line.raw[:80]
                self.publish(
                    Frame(self.name, symbol or "", channel or "other", key, payload, now, "time", now, now, snapshot)
                )

    # Connections

    def incoming_window(self) -> SlidingWindow:
        """Kraken does not say how many; see the facts."""
        return SlidingWindow(self.limits.messages_per_second, 1.0)

    def connect_window(self) -> SlidingWindow:
        """About 150 in a rolling ten minutes and address."""
        return SlidingWindow(self.limits.connects, self.limits.connects_seconds)

    def overloaded(self, connection: Connection) -> bool:
        """The message is lost; only this says so."""
        connection.say("control", '{"Error":"Exceeded msg rate"}')
        return True

    def greet(self, connection: Connection) -> None:
        """The status of the system comes first."""
        connection.say(STATUS, self._status(connection).payload.decode())

    def receive(self, connection: Connection, message: str) -> None:
        """Answer subscribe, unsubscribe and ping."""
        came = self.now_us()
        try:
            body = json.loads(message)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._reply(connection, {"error": "Malformed request", "success": False}, came, None)
            return
        method, request_id = body.get("method"), body.get("req_id")
        if method == "ping":
            self._reply(connection, {"method": "pong"}, came, request_id)
            return
        params = body.get("params")
        if method not in ("subscribe", "unsubscribe") or not isinstance(params, dict):
            self._reply(connection, {"error": "Unsupported method", "success": False}, came, request_id)
            return
        for symbol in self._symbols(params):
            error, result, after = self._one(connection, str(method), params, symbol)
            answer: dict[str, Any] = {"method": method, "success": error is None}
            answer |= {"result": result} if error is None else {"error": error}
            if error is not None and symbol is not None:
                answer["symbol"] = symbol
            self._reply(connection, answer, came, request_id)
            for frame in after:
                self.send_to(connection, frame)

    @staticmethod
    def _symbols(params: Mapping[str, Any]) -> list[str | None]:
        if params.get("channel") == "instrument":
            return [None]
        symbols = params.get("symbol")
        return [str(one) for one in symbols] if isinstance(symbols, list) and symbols else [None]

    def _one(
        self, connection: Connection, method: str, params: Mapping[str, Any], symbol: str | None
    ) -> tuple[str | None, dict[str, Any], list[Frame]]:
        """One subscription or its end: the error if any, the result, and what is sent after the answer."""
        channel = params.get("channel")
        result: dict[str, Any] = {"channel": channel}
        error, key = self._key(str(channel), symbol, params, result)
        if error is not None:
            return error, {}, []
        if method == "unsubscribe":
            return (None if self.unsubscribe(connection, key) else "Subscription Not Found"), result, []
        snapshot = bool(params.get("snapshot", channel != "trade"))
        result["snapshot"] = snapshot
        if key in connection.keys:
            return "Already subscribed", {}, []
        mark, faults = self.key_market(key), self.world.faults
        rejected = faults.take("reject_subscribe", self.name, *mark)
        if rejected is not None:
            return str(rejected.request.params["message"]), {}, []
        if faults.take("ack_without_data", self.name, *mark) is not None:
            return None, result, []
        self.subscribe(connection, key)
        return None, result, self._first(key, mark[0], send=snapshot)

    def _key(
        self, channel: str, symbol: str | None, params: Mapping[str, Any], result: dict[str, Any]
    ) -> tuple[str | None, str]:
        """The error if any, and the key; what was chosen is put into `result`."""
        if channel == "instrument":
            return None, channel
        if channel not in _CHANNELS and channel != "ticker":
            return f"Channel {channel} not supported", ""
        if symbol is None:
            return "Symbol(s) not found", ""
        if self.listings.get(self.by_symbol.get(symbol, "")) in (None, DELISTED):
            return f"Currency pair not supported {symbol}", ""
        error, key = _market_key(channel, symbol, params, result)
        result["symbol"] = symbol
        return error, key

    def _first(self, key: str, symbol: str | None, *, send: bool) -> list[Frame]:
        """The snapshot that a new subscription begins with."""
        if symbol is None:
            listed = [market.instrument for market in self.markets.values()]
            text = instruments_message("snapshot", listed, self.listings)
            return [self._notice(INSTRUMENTS, key, text, snapshot=True)] if send else []
        if self.tape is not None:
            return []  # the tape has its own
        market, channel = self.markets[symbol], key.partition("|")[0]
        if channel == "book":
            frame = self._book_snapshot(market, key, int(key.rpartition("|")[2]))
        elif channel == "trade":
            ledger = self.ledgers[symbol]
            last = ledger.trades(max(ledger.last_trade_id - TRADES_IN_SNAPSHOT + 1, ledger.first_trade_id))
            frame = self._trades_frame(symbol, key, "snapshot", last)
        elif channel == "ohlc":
            minutes = int(key.rpartition("|")[2])
            bars = self._bars_of(symbol, minutes).last(BARS_IN_SNAPSHOT)
            frame = self._candles_frame(symbol, key, "snapshot", bars, minutes)
        else:
            frame = self._ticker_frame(market, key, "snapshot")
        return [frame] if send else []

    def _reply(self, connection: Connection, body: dict[str, Any], came_us: int, request_id: object) -> None:
        answer = {**body, "time_in": iso_micros(came_us), "time_out": iso_micros(self.now_us())}
        if request_id is not None:
            answer["req_id"] = request_id
        connection.say("control", json.dumps(answer, separators=(",", ":")))

    def keep(self, connection: Connection, now: float) -> None:
        """A heartbeat each second without other messages, once there is a subscription."""
        if connection.keys and now - connection.last_sent >= self.limits.heartbeat:
            if self.world.faults.heartbeats(self.name):
                connection.say("heartbeat", '{"channel":"heartbeat"}')
            connection.last_sent = now

    def request_symbol(self, request: web.Request) -> str | None:
        """The canonical symbol of ?pair=."""
        return self._rest.pairs.get(request.query.get("pair", ""))

    def fail(self, params: Mapping[str, Any]) -> web.Response:
        """An error body with HTTP 200 when it says so, else what stands before the exchange answers."""
        return self._rest.fail(params)


def _market_key(channel: str, symbol: str, params: Mapping[str, Any], result: dict[str, Any]) -> tuple[str | None, str]:
    if channel == "book":
        depth = params.get("depth", 10)
        if depth not in DEPTHS:
            return "Order book depth is not supported", ""
        result["depth"] = depth
        return None, f"book|{symbol}|{depth}"
    if channel == "ticker":
        trigger = params.get("event_trigger", "trades")
        if trigger not in _TRIGGERED:
            return "Event trigger is not supported", ""
        result["event_trigger"] = trigger
        return None, f"ticker|{symbol}|{trigger}"
    if channel == "ohlc":
        minutes = params.get("interval", 1)
        if minutes not in INTERVALS:
            return "Interval is not supported", ""
        result["interval"] = minutes
        return None, f"ohlc|{symbol}|{minutes}"
    return None, f"trade|{symbol}"


def _tape_mark(raw: str) -> tuple[str, str] | None:
    """The channel and symbol of a recorded message."""
    try:
        body = json.loads(raw)
        return body["channel"], body["data"][0]["symbol"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
