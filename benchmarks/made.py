"""A stretch of Binance spot messages where there is no recording: shaped as the recording is, or busier.

It owns the made market and the two mixes. The market stands still and is changed level by level near its best prices:
what a message costs depends on its kind, its size and how its levels change, and not on where the price goes. The same
arguments give the same bytes.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, NamedTuple

from benchmarks.tape import KINDS, REMOVED, STREAMS, Event, Tape


class Mix(NamedTuple):
    """Messages of each kind in a hundred (trades, quotes, book), and how many levels book messages have."""

    shares: tuple[int, int, int]
    levels: tuple[int, ...]


MIXES = {
    "quiet": Mix((1, 32, 67), (1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 4, 7, 8)),
    "busy": Mix((40, 45, 15), (5, 10, 15, 20, 25, 30, 40, 60)),
}
"""quiet: as recorded (small pairs, 2.5 levels a message). busy: nearer to the largest pairs (most messages are trades
and quotes, a book message has 26 levels); a guess, no recording."""
PAIRS = (("BTC", "USDT"), ("ETH", "USDT"), ("NKN", "USDT"), ("LRC", "BTC"))
LENGTH = 2_000
SNAPSHOT_ID = 499_869_752
MID = 35_210  # ticks of 0.0001
DEEP = 1_000
REMOVALS = 0.08  # as recorded: of the changes of known levels, this share removes
AWAY = 10.0  # as recorded: levels from the best price, on average


def generated(name: str, *, length: int = LENGTH, seed: int = 1) -> Tape:
    """Make a tape of the mix of this name."""
    mix, rng = MIXES[name], Random(seed)
    markets = [_Market(base, quote, rng) for base, quote in PAIRS]
    snapshots = {market.symbol: market.snapshot() for market in markets}
    events: list[Event] = []
    for _ in range(length):
        market = rng.choice(markets)
        (which,) = rng.choices(range(len(KINDS)), mix.shares)
        data = (market.trade, market.quote, lambda market=market: market.depth(rng.choice(mix.levels)))[which]()
        events.append(Event(KINDS[which], market.symbol, f"{market.symbol.lower()}@{STREAMS[which]}", data))
    return Tape(
        origin=f"made: {name}, {length} messages",
        listing=json.dumps({"symbols": [market.listed() for market in markets]}).encode(),
        snapshots=snapshots,
        instruments={market.symbol: market.instrument for market in markets},
        stretch=tuple(events),
    )


class _Market:
    """One pair's book: tick → size on each side."""

    def __init__(self, base: str, quote: str, rng: Random) -> None:
        self.symbol, self.instrument = base + quote, f"{base}-{quote}"
        self._base, self._quote, self._rng = base, quote, rng
        self._bids = {MID - away: self._size() for away in range(1, DEEP + 1)}
        self._asks = {MID + away: self._size() for away in range(1, DEEP + 1)}

    def listed(self) -> dict[str, Any]:
        """Give this pair's part of exchangeInfo, as far as anybody reads it."""
        tick = {"filterType": "PRICE_FILTER", "tickSize": "0.00010000"}
        return {
            "symbol": self.symbol,
            "status": "TRADING",
            "baseAsset": self._base,
            "quoteAsset": self._quote,
            "filters": [tick],
        }

    def snapshot(self) -> bytes:
        """Give the body of GET /api/v3/depth."""
        bids = [[_price(tick), size] for tick, size in self._bids.items()]
        asks = [[_price(tick), size] for tick, size in self._asks.items()]
        return json.dumps({"lastUpdateId": SNAPSHOT_ID, "bids": bids, "asks": asks}, separators=(",", ":")).encode()

    def trade(self) -> dict[str, Any]:
        """Give an aggTrade at the best bid or ask."""
        seller = self._rng.random() < 0.5
        price = _price(max(self._bids) if seller else min(self._asks))
        ids = {"a": 0, "p": price, "q": self._size(), "f": 0, "l": 0, "T": 0}
        return {"e": "aggTrade", "E": 0, "s": self.symbol, **ids, "m": seller, "M": True}

    def quote(self) -> dict[str, Any]:
        """Give a bookTicker."""
        bid, ask = max(self._bids), min(self._asks)
        best = {"b": _price(bid), "B": self._bids[bid], "a": _price(ask), "A": self._asks[ask]}
        return {"u": 0, "s": self.symbol, **best}

    def depth(self, levels: int) -> dict[str, Any]:
        """Change so many levels and give the message that says so."""
        changes: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        for _ in range(levels):
            away = 1 + int(self._rng.expovariate(1 / AWAY))
            name, side, tick = self._rng.choice((("b", self._bids, MID - away), ("a", self._asks, MID + away)))
            if tick in side and self._rng.random() < REMOVALS:
                del side[tick]
                changes[name][_price(tick)] = REMOVED
            else:
                side[tick] = changes[name][_price(tick)] = self._size()
        sides = {name: [list(level) for level in side.items()] for name, side in changes.items()}
        return {"e": "depthUpdate", "E": 0, "s": self.symbol, "U": 0, "u": self._rng.randrange(4), **sides}

    def _size(self) -> str:
        return f"{self._rng.randint(1, 20_000)}.00000000"


def _price(tick: int) -> str:
    return f"{tick / 10_000:.8f}"
