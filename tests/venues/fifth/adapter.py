"""The fifth exchange for the conformance suite."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from collector.records import Level, Side
from collector.venues import Venue
from collector.venues.protocol import Channel
from tests.venues.conformance.adapter import Adapter
from tests.venues.fifth import facts
from tests.venues.fifth.core import FifthCore
from tests.venues.kit import Message

T0_MS = 1_700_000_000_000


class Fifth(Adapter):
    section: ClassVar[str] = "fifth"
    taker: ClassVar[Side] = "buy"

    @property
    def venue(self) -> Venue:
        """Not one of `VENUES`: that is the walk's last step."""
        return Venue(facts.FACTS, FifthCore, facts.throttle_seconds)

    def symbol(self, name: str) -> str:
        return name.replace("-", "_")

    def answers(self, request: str) -> list[Message]:
        return [json.loads(request) | {"ok": True}]

    def refusal(self, request: str, name: str) -> list[Message]:
        body = json.loads(request)
        refused = body["market"] == self.symbol(name)
        return [body | ({"ok": False, "why": "no such market"} if refused else {"ok": True})]

    def listing(self) -> Message:
        words = {"trading": "open", "halted": "closed"}
        rows = [(name, words[word]) for name, word in self.listed.items() if word != "delisted"]
        return {"markets": [self.row(name, word) for name, word in rows]}

    def row(self, name: str, word: str) -> dict[str, Any]:
        base, _, quote = name.partition("-")
        return {"market": self.symbol(name), "base": base, "quote": quote, "state": word}

    def image(self, name: str) -> Message:
        return self.book(name, "full", *self.markets[name].sides)

    def check_body(self, name: str) -> Message:
        bids, asks = self.markets[name].sides
        return {"bids": bids, "asks": asks}

    def update(self, name: str, bids: list[Level] = [], asks: list[Level] = []) -> Message:  # noqa: B006 - never changed
        return self.book(name, "change", *self.markets[name].change(bids, asks))

    def book(self, name: str, kind: str, bids: list[Level], asks: list[Level]) -> Message:
        at = {"n": self.markets[name].ticks, "at": T0_MS + self.markets[name].ticks}
        return {"topic": "book", "market": self.symbol(name), "kind": kind, "bids": bids, "asks": asks, **at}

    def message(self, name: str, channel: Channel) -> Message:
        if channel == "book":
            return self.update(name)
        market = self.markets[name]
        market.count += 1
        body: dict[str, Any] = {"market": self.symbol(name), "at": T0_MS + market.count}
        if channel == "trades":
            price = f"100.{market.count:04d}0"
            return body | {"topic": "trade", "n": market.count, "price": price, "size": "0.250", "side": "buy"}
        assert channel == "quotes"
        return body | {"topic": "best", "bid": [f"100.{market.count:04d}0", "1.50"], "ask": ["101.50", "2.0"]}

    def bar(self, name: str, number: int, close: str, *, closed: bool) -> Message:
        raise NotImplementedError("it has no candles")

    def unknown(self) -> Message:
        return {"topic": "never heard of", "market": "BTC_USDT"}

    def heartbeat(self) -> Message | None:
        return {"op": "beat"}
