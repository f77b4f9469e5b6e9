"""Coinbase for the suite: every message carries the connection's number."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

from collector.records import Level
from collector.venues.protocol import Channel
from tests.venues import coinbases
from tests.venues.conformance.adapter import Adapter
from tests.venues.kit import Bench, Message

WORDS = {"trading": "online", "halted": "offline", "delisted": "delisted"}
START_S = 1_700_000_100  # the beginning of five minutes


class Coinbase(Adapter):
    section: ClassVar[str] = "coinbase"
    pair: ClassVar[str] = "BTC-USD"
    other: ClassVar[str] = "ETH-USD"
    absent: ClassVar[str] = "NOPE-USD"
    scope: ClassVar[Literal["instrument", "connection"]] = "connection"
    marks_candles = False
    interval_s: ClassVar[int] = 300

    def __init__(self) -> None:
        super().__init__()
        self.fresh()

    def fresh(self) -> None:
        self.number = self.beats = 0
        self.held: dict[str, list[str]] = {}

    def symbol(self, name: str) -> str:
        return name

    def numbered(self, event: dict[str, Any]) -> Message:
        number, self.number = self.number, self.number + 1
        return json.dumps(
            {"channel": event["channel"], "client_id": "", "timestamp": coinbases.stamp(999_999),
             "sequence_num": number, "events": event["events"]}, separators=(",", ":"),
        )  # fmt: skip

    def answers(self, request: str) -> list[Message]:
        body = json.loads(request)
        named = body.get("product_ids", ["heartbeats"])
        held = self.held.setdefault(body["channel"], [])
        for name in named:
            if name in held:
                held.remove(name)
            if body["type"] == "subscribe":
                held.append(name)
        return [self.numbered(coinbases.subscriptions(**self.held))]

    def refusal(self, request: str, name: str) -> list[Message]:
        """The whole request is refused."""
        if name not in json.loads(request).get("product_ids", ()):
            return self.answers(request)
        return [{"type": "error", "message": f"failed to subscribe: {name} is not a valid product"}]

    def listing(self) -> Message:
        words = {name: word for name, word in self.listed.items() if word != "delisted"}
        return coinbases.listing(*(coinbases.product(name, WORDS[word]) for name, word in words.items()))

    def image(self, name: str) -> Message:
        return self.numbered(coinbases.book("snapshot", *self.markets[name].sides, name))

    def update(self, name: str, bids: list[Level] = [], asks: list[Level] = []) -> Message:  # noqa: B006 - never changed
        market = self.markets[name]
        changes = market.change(bids, asks)
        return self.numbered(coinbases.book("update", *changes, name, market.ticks))

    def message(self, name: str, channel: Channel) -> Message:
        if channel == "book":
            return self.update(name)
        market = self.markets[name]
        market.count += 1
        price = f"100.{market.count:04d}0"
        if channel == "trades":
            return self.numbered(coinbases.trades(market.trades + market.count, product=name))
        if channel == "candles":
            return self.bar(name, 0, price, closed=False)
        assert channel in ("quotes", "tickers")
        return self.numbered(coinbases.ticker(price, product=name))

    def tell(self, bench: Bench, name: str, channel: Channel) -> None:
        if channel == "instruments":
            self.relist(bench, name, "halted" if self.listed[name] == "trading" else "trading")
        elif channel == "status":
            for one in self.listed:
                self.listed[one] = "halted" if self.listed[one] == "trading" else "trading"
            self.relist(bench, name, self.listed[name])
        else:
            super().tell(bench, name, channel)

    def bar(self, name: str, number: int, close: str, *, closed: bool) -> Message:
        assert not closed
        event = coinbases.candles((START_S + number * self.interval_s, close), product=name)
        return self.numbered(json.loads(json.dumps(event).replace('"42.15"', f'"{number + 1}.150"')))

    def unknown(self) -> Message:
        return self.numbered({"channel": "never_heard_of", "events": [{"x": 1}]})

    def heartbeat(self) -> Message | None:
        self.beats += 1
        return self.numbered(coinbases.heartbeat(self.beats - 1))

    def check_body(self, name: str) -> Message:
        bids, asks = ([{"price": p, "size": s} for p, s in side[:10]] for side in self.markets[name].sides)
        return {"pricebook": {"product_id": name, "bids": bids, "asks": asks, "time": coinbases.stamp(0)}}
