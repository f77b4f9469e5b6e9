"""Binance's USDⓈ-M market's WebSocket: its streams, the two paths that they are split over, the perpetual's own.

It owns what this market has of its own; control messages, pings and gathering are those of Binance's streams. It must
never write message text (`wire`) nor answer REST (`rest`). A stream asked for on the wrong path is acknowledged and
silent, as reported in https://github.com/bmoscon/cryptofeed/issues/1128.
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from aiohttp import web

from simulator.binance.base import Streams
from simulator.binance.facts import INTERVALS
from simulator.binance.wire import UNKNOWN
from simulator.binance_usdm.facts import MARKET, PUBLIC, PUBLIC_STREAMS, Limits
from simulator.binance_usdm.rest import Rest
from simulator.binance_usdm.wire import EDITS, Wire, corrupt
from simulator.connection import Connection
from simulator.frames import FUNDING, INSTRUMENTS, LIQUIDATIONS, QUOTES, TICKERS, TRADES, Frame
from simulator.instruments import Instrument, binance_usdm_instrument
from simulator.limits import override
from simulator.market import Market, Step
from simulator.markets import World
from simulator.tape import TapeVenue

_CONTRACTS, _LIQUIDATIONS = "!contractInfo", "!forceOrder@arr"
_OF_ALL = {_CONTRACTS: INSTRUMENTS, _LIQUIDATIONS: LIQUIDATIONS}


class BinanceUsdm(Streams):
    """Binance USDⓈ-M perpetuals. Update ids of the book have holes; only `pu` tells what a message follows."""

    name = "binance_usdm"
    holes = True
    channels: ClassVar[Mapping[str, str]] = {
        "trade": TRADES,
        "aggTrade": TRADES,
        "bookTicker": QUOTES,
        "ticker": TICKERS,
        "markPrice": FUNDING,
        "markPrice@1s": FUNDING,
        "forceOrder": LIQUIDATIONS,
    }
    diffs: ClassVar[Mapping[str, float]] = {"depth@100ms": 0.1, "depth": 0.25, "depth@500ms": 0.5}
    partials: ClassVar[Mapping[str, tuple[int, float]]] = {
        f"depth{depth}{speed}": (depth, seconds)
        for depth in (5, 10, 20)
        for speed, seconds in (("", 0.25), ("@100ms", 0.1), ("@500ms", 0.5))
    }
    paces: ClassVar[Mapping[str, float]] = {
        "ticker": 2.0,
        "markPrice": 3.0,
        "markPrice@1s": 1.0,
        "forceOrder": 1.0,
        **{f"kline_{name}": 0.25 for name in INTERVALS if name != "1s"},
    }

    def __init__(
        self, world: World, symbols: Iterable[str], limits: Mapping[str, float], tape: TapeVenue | None = None
    ) -> None:
        self.perpetual_wires: dict[str, Wire] = {}
        super().__init__(world, symbols, tape)
        self.limits = override(Limits(), limits, self.name)
        self.host = Rest(self)
        world.faults.register(self.name, corrupt, frozenset(EDITS), UNKNOWN)

    @staticmethod
    def instrument(symbol: str) -> Instrument | None:
        """Perpetuals against USDT and USDC."""
        return binance_usdm_instrument(symbol)

    @staticmethod
    def tape_symbols(tape: TapeVenue) -> list[str]:
        """The canonical symbols on a tape."""
        return [f"{symbol}-PERP" for symbol in Streams.tape_symbols(tape)]

    def wire(self, market: Market) -> Wire:
        """How it writes a market's messages."""
        wire = self.perpetual_wires[market.instrument.symbol] = Wire(market.instrument)
        return wire

    def routes(self) -> list[web.AbstractRouteDef]:
        """The two paths of the stream host and the REST host, under /binance_usdm."""
        sockets: list[web.AbstractRouteDef] = []
        for path in (PUBLIC, MARKET):
            sockets += [
                web.get(f"/binance_usdm/{path}/{tail}", self.socket) for tail in ("ws", "ws/{streams:.+}", "stream")
            ]
        return [*sockets, *self.host.routes()]

    def serves(self, connection: Connection, stream: str) -> bool:
        """High-frequency streams are public, all others market."""
        public = stream.partition("@")[2].startswith(PUBLIC_STREAMS)
        return connection.request.path.split("/")[2] == (PUBLIC if public else MARKET)

    def key_market(self, key: str) -> tuple[str | None, str | None]:
        """btcusdt@trade is (BTC-USDT-PERP, trades)."""
        return (None, _OF_ALL[key]) if key in _OF_ALL else super().key_market(key)

    def announce_listing(self, symbol: str) -> None:
        """`!contractInfo` tells."""
        market, wire = self.markets[symbol], self.perpetual_wires[symbol]
        payload = wire.contract_info(self.host.status(symbol), self.now_us() // 1000, self.start_us // 1000)
        now = market.ts_us
        self.publish(Frame(self.name, symbol, INSTRUMENTS, _CONTRACTS, payload, now, "time", now, now))

    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """What spot sends, and what is a perpetual's own."""
        yield from super().render(market, step)
        symbol = market.instrument.symbol
        news = self.perpetuals[symbol].news
        if news.funding is not None:
            self.changed(symbol, "markPrice", "markPrice@1s")
        if news.liquidations:
            self.changed(symbol, "forceOrder")
            if self.wanted(_LIQUIDATIONS):
                yield self._liquidation(symbol, _LIQUIDATIONS)

    def _liquidation(self, symbol: str, key: str) -> Frame:
        """The newest of the symbol: only that one is told, at most once a second."""
        one = self.perpetuals[symbol].liquidations[-1]
        payload = self.perpetual_wires[symbol].force_order(one, self.now_us() // 1000, self.skew_us())
        return self.frame(symbol, key, payload, "trade", (one.first_trade, one.last_trade), one.ts_us)

    def paced(self, symbol: str, name: str, key: str) -> Frame | None:
        """`<symbol>@ticker`, `@markPrice`, `@forceOrder`."""
        wire, now = self.perpetual_wires[symbol], self.now_us() // 1000
        if name == "forceOrder":
            return self._liquidation(symbol, key)
        if name == "ticker":
            payload = wire.ticker(self.days[symbol], self.markets[symbol].book.best(), self.window_ms())
        else:
            payload = wire.mark_price(self.perpetuals[symbol].now, now, self.skew_us())
        return self.timed(symbol, key, payload)
