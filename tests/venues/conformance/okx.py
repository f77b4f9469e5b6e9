"""OKX's two markets for the suite."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from msgspec import UnsetType

from collector.records import Level
from collector.venues.protocol import Channel
from tests.venues import okxs
from tests.venues.conformance.adapter import Adapter
from tests.venues.kit import Bench, Message

STATES = {"trading": "live", "halted": "suspend"}
MINUTE_MS = 60_000


class Okx(Adapter):
    section: ClassVar[str] = "okx"
    kind: ClassVar[str] = "SPOT"
    numbered_quotes = True

    def symbol(self, name: str) -> str:
        return name

    def answers(self, request: str) -> list[Message]:
        if request == "ping":
            return ["pong"]
        body = json.loads(request)
        return [{"id": body["id"], "event": body["op"], "arg": arg, "connId": "a4d3ae55"} for arg in body["args"]]

    def refusal(self, request: str, name: str) -> list[Message]:
        if request == "ping":
            return ["pong"]
        body, symbol = json.loads(request), self.symbol(name)
        text = "Wrong URL or channel:{channel},instId:{instId} doesn't exist. Please use the correct URL."
        return [
            okxs.refusal("60018", text.format(**arg), body["id"])
            if arg.get("instId") == symbol
            else {"id": body["id"], "event": body["op"], "arg": arg, "connId": "a4d3ae55"}
            for arg in body["args"]
        ]

    def listing(self) -> Message:
        words = {name: word for name, word in self.listed.items() if word != "delisted"}
        return okxs.answer(*(okxs.listed(self.symbol(name), STATES[word]) for name, word in words.items()))

    def image(self, name: str) -> Message:
        market = self.markets[name]
        ms = okxs.T0_MS + market.ticks
        return okxs.book(-1, market.ident, *market.sides, inst=self.symbol(name), ms=ms)

    def check_body(self, name: str) -> Message:
        market = self.markets[name]
        return okxs.rest_book(market.ident, *market.sides, ms=okxs.T0_MS + market.ticks)

    def update(self, name: str, bids: list[Level] = [], asks: list[Level] = []) -> Message:  # noqa: B006 - never changed
        market = self.markets[name]
        changes = market.change(bids, asks)
        ms = okxs.T0_MS + market.ticks
        return okxs.book(market.before, market.ident, *changes, inst=self.symbol(name), ms=ms)

    def message(self, name: str, channel: Channel) -> Message:
        if channel == "book":
            return self.update(name)
        market, inst = self.markets[name], self.symbol(name)
        market.count += 1
        count, ms = market.count, str(okxs.T0_MS + market.count)
        if channel == "trades":
            return okxs.trade(market.trades + count, inst=inst)
        if channel == "quotes":
            return okxs.bbo(count, ms=int(ms), inst=inst)
        if channel == "candles":
            return self.bar(name, 0, f"10.{count:04d}0", closed=False)
        if channel == "status":
            notice = {
                "title": f"Upgrade {count}", "state": "ongoing", "begin": ms, "end": ms, "serviceType": "0",
                "env": "1", "ts": ms,
            }  # fmt: skip
            return {"arg": {"channel": "status"}, "data": [notice]}
        if channel == "liquidations":
            detail = {
                "side": "sell",
                "posSide": "long",
                "bkPx": f"99.{count:04d}0",
                "sz": "13",
                "bkLoss": "0",
                "ts": ms,
            }
            item: dict[str, Any] = {"instId": inst, "instFamily": inst[:-5], "instType": "SWAP", "details": [detail]}
            return {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [item]}
        return self.statistics(channel, inst, f"{count:04d}0", ms)

    def statistics(self, channel: Channel, inst: str, count: str, ms: str) -> Message:
        item = {"instId": inst, "instType": self.kind, "ts": ms}
        if channel == "tickers":
            item |= {
                "last": f"100.{count}", "lastSz": "0.1", "askPx": "101.5", "askSz": "11.25", "bidPx": "100.5",
                "bidSz": "5.5", "open24h": "90.5", "high24h": "110.5", "low24h": "80.5", "volCcy24h": "2222.5",
                "vol24h": "22.20", "sodUtc0": "95.5", "sodUtc8": "96.5",
            }  # fmt: skip
            return okxs.push("tickers", item, inst=inst)
        if channel == "funding":
            item |= {"fundingRate": f"0.000{count}", "fundingTime": ms, "nextFundingRate": "", "method": "next_period"}
            return okxs.push("funding-rate", item, inst=inst)
        assert channel == "open_interest"
        item |= {"oi": f"2216113.{count}", "oiCcy": "22161.10"}
        return okxs.push("open-interest", item, inst=inst)

    def tell(self, bench: Bench, name: str, channel: Channel) -> None:
        if channel == "instruments":
            self.relist(bench, name, "halted" if self.listed[name] == "trading" else "trading")
        else:
            super().tell(bench, name, channel)

    def bar(self, name: str, number: int, close: str, *, closed: bool) -> Message:
        opened = str(1_700_000_040_000 + number * MINUTE_MS)
        row = [opened, "10.5", "11.50", "9.5", close, "7.250", "70.5", "70.5", "1" if closed else "0"]
        return okxs.push("candle1m", row, inst=self.symbol(name))

    def unknown(self) -> Message:
        return {"arg": {"channel": "never-heard-of", "instId": "BTC-USDT"}, "data": [{"x": 1}]}


class OkxSwap(Okx):
    section: ClassVar[str] = "okx_swap"
    kind: ClassVar[str] = "SWAP"
    contract_size: ClassVar[str | UnsetType | None] = "0.01"
    broad: ClassVar[tuple[Channel, ...]] = ("liquidations",)
    asks_without_listing: ClassVar[bool] = False  # its sizes mean nothing while the contract is not known

    def symbol(self, name: str) -> str:
        return f"{name}-SWAP"
