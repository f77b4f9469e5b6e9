"""The simplest clients that keep a book, written from the exchanges' documents and sharing no code with either side."""

import zlib
from datetime import datetime
from decimal import Decimal
from typing import Any

Pairs = list[tuple[str, str]]


class BinanceBook:
    """Snapshot, then chained diffs."""

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.last_id = snapshot["lastUpdateId"]
        self.bids = dict(map(tuple, snapshot["bids"]))
        self.asks = dict(map(tuple, snapshot["asks"]))

    def apply(self, event: dict[str, Any]) -> None:
        if event["u"] <= self.last_id:
            return
        assert event["U"] <= self.last_id + 1, f"gap: {event['U']} after {self.last_id}"
        for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, size in levels:
                if Decimal(size) == 0:
                    side.pop(price, None)
                else:
                    side[price] = size
        self.last_id = event["u"]

    def levels(self) -> tuple[Pairs, Pairs]:
        return ordered(self.bids, best_first=True), ordered(self.asks, best_first=False)


class KrakenBook:
    """Snapshot, updates, truncation, checksum. Numbers must have been decoded as Decimal."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}

    def apply(self, message: dict[str, Any]) -> None:
        data = message["data"][0]
        if message["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        for side, levels in ((self.bids, data["bids"]), (self.asks, data["asks"])):
            for level in levels:
                price, size = format(level["price"], "f"), format(level["qty"], "f")
                if level["qty"] == 0:
                    side.pop(price, None)
                else:
                    side[price] = size
        bids, asks = self.levels()
        self.bids, self.asks = dict(bids[: self.depth]), dict(asks[: self.depth])
        assert self.checksum() == data["checksum"]

    def levels(self) -> tuple[Pairs, Pairs]:
        return ordered(self.bids, best_first=True), ordered(self.asks, best_first=False)

    def checksum(self) -> int:
        bids, asks = self.levels()
        text = ""
        for price, size in asks[:10] + bids[:10]:
            text += price.replace(".", "").lstrip("0") + size.replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())


def ordered(side: dict[str, str], *, best_first: bool) -> Pairs:
    return sorted(side.items(), key=lambda level: Decimal(level[0]), reverse=best_first)


def pairs(levels: list[list[str]]) -> Pairs:
    return [(price, size) for price, size in levels]


def candles(trades: list[dict[str, Any]], seconds: int) -> dict[int, dict[str, Any]]:
    """Bars by their begin in milliseconds, from the control endpoint's trades; those without trades are not there."""
    bars: dict[int, dict[str, Any]] = {}
    for trade in trades:
        begin = trade["ts_us"] // 1_000_000 // seconds * seconds * 1000
        price, size = Decimal(trade["price"]), Decimal(trade["size"])
        bar = bars.setdefault(begin, {"open": price, "high": price, "low": price, "volume": Decimal(0), "count": 0})
        bar |= {"high": max(bar["high"], price), "low": min(bar["low"], price), "close": price}
        bar |= {"volume": bar["volume"] + size, "count": bar["count"] + 1, "last": trade["id"]}
        bar.setdefault("first", trade["id"])
    return bars


def micros(stamp: str) -> int:
    """Microseconds since the epoch of a time with six or nine decimals."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000 + int(fraction[:6])
