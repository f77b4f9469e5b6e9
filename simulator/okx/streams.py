"""What OKX pushes: trades and best prices at once, books and statistics gathered, news of swaps at their own pace.

It owns which message follows from which step. It must never write message text (`wire`, `listing`) nor know who
subscribed. Books, tickers and open candles are sent ten times a second, in step mode after each step.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulator.errors import BadRequestError
from simulator.frames import BOOK, CANDLES, FUNDING, LIQUIDATIONS, OPEN_INTEREST, QUOTES, TICKERS, TRADES, Frame
from simulator.ledger import group_fills
from simulator.market import Market, Step
from simulator.okx.books import Image, Sequence
from simulator.okx.facts import BARS, DEPTH
from simulator.okx.listing import funding_item, liquidation_item, mark_item, open_interest_item

if TYPE_CHECKING:
    from simulator.okx.venue import Okx

_PACE = 0.1
_SWAP_PACES = {"mark-price": 0.2, "open-interest": 3.0, "funding-rate": 30.0}


class Streams:
    """The streams of one OKX. Keys are books|BTC-USDT, candle1m|BTC-USDT, liquidation-orders|SWAP, status|."""

    def __init__(self, venue: "Okx") -> None:
        self._venue = venue
        self._images: dict[str, Image] = {}
        self._sequences = {symbol: Sequence(ledger.first_id) for symbol, ledger in venue.ledgers.items()}
        self._dirty: set[str] = set()
        self._due: dict[str, float] = {}
        self._last: dict[str, object] = {}  # by key: what the last message showed

    def listed(self, market: Market) -> None:
        """A market was opened during the run."""
        self._sequences[market.instrument.symbol] = Sequence(market.last_id)

    # The sequence

    def seq(self, symbol: str, update_id: int) -> int:
        """The `seqId` of an update id."""
        return self._sequences[symbol].of(update_id)

    def update_id(self, symbol: str, seq: int) -> int:
        """The update id of a `seqId`.

        Raises:
            LookupError: there was none such.
        """
        return self._sequences[symbol].id_of(seq, self._venue.markets[symbol].last_id)

    def reset(self, symbol: str) -> Iterator[Frame]:
        """Let the ids of a book begin again, lower, and say so to who follows it: the chain holds all the same.

        Raises:
            BadRequestError: there is no such market.
        """
        if symbol not in self._sequences:
            raise BadRequestError(f"{self._venue.name} has no symbol {symbol!r}")
        if symbol in self._images:
            yield from self._book(symbol)
        self._sequences[symbol].reset(self._venue.markets[symbol].last_id)
        if symbol in self._images:
            yield self._book_update(symbol)

    # At once

    def render(self, market: Market, step: Step) -> Iterator[Frame]:
        """What one step says at once."""
        symbol, venue = market.instrument.symbol, self._venue
        self._dirty.add(symbol)
        if symbol in self._images:
            self._images[symbol].note(market.book, step.changes)
        if step.trades:
            yield from self._trades(symbol, step)
        key = f"bbo-tbt|{venue.wires[symbol].symbol}"
        if step.top_changed and venue.wanted(key):
            yield self._top(symbol, key, QUOTES, 1)
        for name, bars in venue.closed_bars.items():
            key = f"candle{name}|{venue.wires[symbol].symbol}"
            if bars and venue.wanted(key):
                wire = venue.wires[symbol]
                for bar in bars:
                    payload = wire.candles(name, wire.candle(bar, closed=True))
                    yield self._timed(symbol, CANDLES, key, payload, step.ts_us)
        if symbol in venue.perpetuals and venue.perpetuals[symbol].news.liquidations:
            key = "liquidation-orders|SWAP"
            if venue.wanted(key):
                for one in venue.perpetuals[symbol].news.liquidations:
                    payload = liquidation_item(venue.wires[symbol], market.instrument, one, venue.skew_us())
                    yield Frame(
                        venue.name,
                        symbol,
                        LIQUIDATIONS,
                        key,
                        payload,
                        one.ts_us,
                        "trade",
                        one.first_trade,
                        one.last_trade,
                    )

    def _trades(self, symbol: str, step: Step) -> Iterator[Frame]:
        venue, wire, skew = self._venue, self._venue.wires[symbol], self._venue.skew_us()
        key = f"trades|{wire.symbol}"
        if venue.wanted(key):
            seq = self.seq(symbol, step.last_id)
            for fills in group_fills(step.trades):
                payload = wire.trades(fills, skew, seq)
                first, last = fills[0].id, fills[-1]
                yield Frame(venue.name, symbol, TRADES, key, payload, last.ts_us, "trade", first, last.id)
        key = f"trades-all|{wire.symbol}"
        if venue.wanted(key):
            for fill in step.trades:
                payload = wire.trades_all(fill, skew)
                yield Frame(venue.name, symbol, TRADES, key, payload, fill.ts_us, "trade", fill.id, fill.id)

    def _top(self, symbol: str, key: str, channel: str, depth: int) -> Frame:
        venue, market = self._venue, self._venue.markets[symbol]
        seq = self.seq(symbol, market.last_id)
        name = key.partition("|")[0]
        payload = venue.wires[symbol].top(name, market.book, depth, market.ts_us + venue.skew_us(), seq)
        return Frame(venue.name, symbol, channel, key, payload, market.ts_us, "update", seq, seq)

    def _timed(self, symbol: str, channel: str, key: str, payload: bytes, ts_us: int) -> Frame:
        return Frame(self._venue.name, symbol, channel, key, payload, ts_us, "time", ts_us, ts_us)

    # Gathered

    def settle(self, now: float | None) -> Iterator[Frame]:
        """What is due at `now` (monotonic seconds), or all that has changed when it is None."""
        for symbol in self._venue.markets:
            if now is not None and now < self._due.get(symbol, 0.0):
                continue
            if symbol in self._dirty:
                self._dirty.discard(symbol)
                if now is not None:
                    self._due[symbol] = now + _PACE
                yield from self._changed(symbol, now)
            image = self._images.get(symbol)
            if image is not None and now is not None and now - image.told >= self._venue.limits.quiet:
                yield self._book_update(symbol)

    def _changed(self, symbol: str, now: float | None) -> Iterator[Frame]:
        venue, inst = self._venue, self._venue.wires[symbol].symbol
        market = venue.markets[symbol]
        yield from self._book(symbol)
        key = f"books5|{inst}"
        if venue.wanted(key) and self._new(key, market.top(5)):
            yield self._top(symbol, key, BOOK, 5)
        key = f"tickers|{inst}"
        if venue.wanted(key) and self._new(key, (market.book.best(), venue.days[symbol].count)):
            yield self._ticker(symbol, key)
        for name in BARS:
            key = f"candle{name}|{inst}"
            if venue.wanted(key) and (frame := self._candle(symbol, key, name)) is not None:
                yield frame
        if symbol in venue.perpetuals:
            yield from self._swap(symbol, now)

    def _new(self, key: str, shown: object) -> bool:
        if self._last.get(key) == shown:
            return False
        self._last[key] = shown
        return True

    def _book(self, symbol: str) -> Iterator[Frame]:
        """The changes of a book that have not been told."""
        image = self._images.get(symbol)
        if image is None or not image.changed:
            return
        if not self._venue.wanted(f"books|{self._venue.wires[symbol].symbol}"):
            del self._images[symbol]
            return
        yield self._book_update(symbol)

    def _book_update(self, symbol: str) -> Frame:
        venue, market, image = self._venue, self._venue.markets[symbol], self._images[symbol]
        wire, before = venue.wires[symbol], image.seq
        sides = image.update(market.book)
        image.seq, image.told = self.seq(symbol, market.last_id), venue.world.clock.mono()
        payload = wire.book("update", sides, market.ts_us + venue.skew_us(), (before, image.seq))
        key = f"books|{wire.symbol}"
        return Frame(venue.name, symbol, BOOK, key, payload, market.ts_us, "update", before + 1, image.seq)

    def _ticker(self, symbol: str, key: str) -> Frame:
        venue, market = self._venue, self._venue.markets[symbol]
        return self._timed(symbol, TICKERS, key, venue.wires[symbol].tickers(venue.ticker(symbol)), market.ts_us)

    def _candle(self, symbol: str, key: str, name: str) -> Frame | None:
        venue, market = self._venue, self._venue.markets[symbol]
        bar = venue.candles(symbol, name, BARS[name]).current
        if bar is None or not self._new(key, (bar.begin_us, bar.count)):
            return None
        wire = venue.wires[symbol]
        payload = wire.candles(name, wire.candle(bar, closed=False))
        return self._timed(symbol, CANDLES, key, payload, market.ts_us)

    def _swap(self, symbol: str, now: float | None) -> Iterator[Frame]:
        for channel, pace in _SWAP_PACES.items():
            key = f"{channel}|{self._venue.wires[symbol].symbol}"
            if not self._venue.wanted(key) or (now is not None and now < self._due.get(key, 0.0)):
                continue
            perpetual = self._venue.perpetuals[symbol]
            shown = perpetual.open_interest[-1] if channel == "open-interest" else perpetual.now
            if self._new(key, shown):
                if now is not None:
                    self._due[key] = now + pace
                yield self._news(symbol, key)

    def _news(self, symbol: str, key: str) -> Frame:
        venue, market = self._venue, self._venue.markets[symbol]
        wire, perpetual, skew = venue.wires[symbol], venue.perpetuals[symbol], venue.skew_us()
        channel = key.partition("|")[0]
        if channel == "open-interest":
            one = perpetual.open_interest[-1]
            item = open_interest_item(wire, perpetual.now, one, one.ts_us + skew)
            return self._timed(symbol, OPEN_INTEREST, key, wire.push(channel, item), one.ts_us)
        now_us = market.ts_us + skew
        if channel == "mark-price":
            item = mark_item(wire, perpetual.now, now_us)
        else:
            item = funding_item(wire, perpetual, venue.world.funding_seconds, now_us)
        return self._timed(symbol, FUNDING, key, wire.push(channel, item), market.ts_us)

    # A new subscription

    def first(self, symbol: str, key: str) -> Iterator[Frame]:
        """What a new subscriber of a market's stream gets at once; what others still wait for goes out before it."""
        venue, market = self._venue, self._venue.markets[symbol]
        channel = key.partition("|")[0]
        if channel == "books":
            yield from self._first_book(symbol, market)
        elif channel == "books5":
            yield self._top(symbol, key, BOOK, 5)
        elif channel == "bbo-tbt":
            yield self._top(symbol, key, QUOTES, 1)
        elif channel == "tickers":
            yield self._ticker(symbol, key)
        elif channel.startswith("candle"):
            self._last.pop(key, None)
            venue.candles(symbol, channel.removeprefix("candle"), BARS[channel.removeprefix("candle")])
            frame = self._candle(symbol, key, channel.removeprefix("candle"))
            if frame is not None:
                yield frame
        elif channel in _SWAP_PACES:
            yield self._news(symbol, key)

    def _first_book(self, symbol: str, market: Market) -> Iterator[Frame]:
        venue = self._venue
        for frame in self._book(symbol):
            venue.publish(frame)
        image = self._images.get(symbol)
        if image is None:
            image = self._images[symbol] = Image(market.book, DEPTH, self.seq(symbol, market.last_id))
            image.told = venue.world.clock.mono()
        if venue.limits.in_band_snapshot:
            ts_us = market.ts_us + venue.skew_us()
            payload = venue.wires[symbol].book("snapshot", market.top(DEPTH), ts_us, (-1, image.seq))
            key = f"books|{venue.wires[symbol].symbol}"
            yield Frame(
                venue.name, symbol, BOOK, key, payload, market.ts_us, "update", image.seq, image.seq, snapshot=True
            )
