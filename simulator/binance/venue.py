"""Binance spot's WebSocket: which streams there are, and how often.

It owns what spot has of its own; control messages, pings and gathering are the base's. It must never write message text
(`wire`) nor answer REST (`rest`). https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from aiohttp import web

from simulator.binance.base import Streams
from simulator.binance.facts import INTERVALS, Limits
from simulator.binance.rest import Rest
from simulator.binance.wire import EDITS, UNKNOWN, Wire, corrupt
from simulator.frames import QUOTES, TICKERS, TRADES, Frame
from simulator.instruments import Instrument, binance_instrument
from simulator.limits import override
from simulator.market import Market
from simulator.markets import World
from simulator.tape import TapeVenue

_SHUTDOWN_STREAM = "!serverShutdown"


class Binance(Streams):
    """Binance spot."""

    name = "binance"
    channels: ClassVar[Mapping[str, str]] = {
        "trade": TRADES,
        "aggTrade": TRADES,
        "bookTicker": QUOTES,
        "ticker": TICKERS,
    }
    diffs: ClassVar[Mapping[str, float]] = {"depth@100ms": 0.1, "depth": 1.0}
    partials: ClassVar[Mapping[str, tuple[int, float]]] = {
        f"depth{depth}{speed}": (depth, seconds)
        for depth in (5, 10, 20)
        for speed, seconds in (("", 1.0), ("@100ms", 0.1))
    }
    paces: ClassVar[Mapping[str, float]] = {
        "ticker": 1.0,
        **{f"kline_{name}": 1.0 if name == "1s" else 2.0 for name in INTERVALS},
    }

    def __init__(
        self, world: World, symbols: Iterable[str], limits: Mapping[str, float], tape: TapeVenue | None = None
    ) -> None:
        super().__init__(world, symbols, tape)
        self.limits = override(Limits(), limits, self.name)
        self.host = Rest(self)
        world.faults.register(self.name, corrupt, frozenset(EDITS), UNKNOWN)

    @staticmethod
    def instrument(symbol: str) -> Instrument | None:
        """Spot, and nothing against the US dollar itself."""
        return binance_instrument(symbol)

    def wire(self, market: Market) -> Wire:
        """How it writes a market's messages."""
        return Wire(market.instrument)

    def routes(self) -> list[web.AbstractRouteDef]:
        """The stream host and the REST host, under /binance."""
        return [
            web.get("/binance/ws", self.socket),
            web.get("/binance/ws/{streams:.+}", self.socket),
            web.get("/binance/stream", self.socket),
            *self.host.routes(),
        ]

    def announce_listing(self, symbol: str) -> None:
        """Only exchangeInfo tells; the streams of a market that does not trade are silent."""

    def announce_shutdown(self) -> int:
        """Send `serverShutdown` to every connection; how many there were."""
        event = f'{{"e":"serverShutdown","E":{self.now_us() // 1000}}}'
        for connection in self.connections.values():
            text = f'{{"stream":"{_SHUTDOWN_STREAM}","data":{event}}}' if connection.combined else event
            connection.say("control", text)
        return len(self.connections)

    def paced(self, symbol: str, name: str, key: str) -> Frame | None:
        """`<symbol>@ticker`."""
        _ = name
        payload = self.wires[symbol].ticker(self.days[symbol], self.markets[symbol].book.best(), self.window_ms())
        return self.timed(symbol, key, payload)
