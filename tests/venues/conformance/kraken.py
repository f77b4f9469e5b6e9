"""Kraken for the suite: no ids, a checksum over ten levels a side, listing and status pushed."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from collector.records import GapCause, Level, Side
from collector.venues.protocol import Channel
from tests.venues import kit
from tests.venues.conformance.adapter import Adapter
from tests.venues.kit import Bench, Message

STATUSES = {"trading": "online", "halted": "maintenance", "delisted": "delisted"}


class Kraken(Adapter):
    section: ClassVar[str] = "kraken"
    pair: ClassVar[str] = "BTC-USD"
    other: ClassVar[str] = "ETH-USD"
    absent: ClassVar[str] = "NOPE-USD"
    gap_cause: ClassVar[GapCause] = "checksum"
    marks_candles = False
    taker: ClassVar[Side] = "buy"

    def symbol(self, name: str) -> str:
        return name.replace("-", "/")

    def answers(self, request: str) -> list[Message]:
        body = json.loads(request)
        params, method = body["params"], body["method"]
        if params["channel"] == "instrument":
            told: list[Message] = [{"method": method, "result": {"channel": "instrument"}, "success": True}]
            return [*told, self.listing()]
        return [kit.kraken_ack(params["channel"], symbol, method) for symbol in params["symbol"]]

    def refusal(self, request: str, name: str) -> list[Message]:
        body, symbol = json.loads(request), self.symbol(name)
        error = {"error": f"Currency pair not supported {symbol}", "method": "subscribe", "success": False}
        refused = error | {"symbol": symbol, "req_id": body["req_id"]}
        if "symbol" not in body["params"]:
            return self.answers(request)
        channel = body["params"]["channel"]
        return [refused if one == symbol else kit.kraken_ack(channel, one) for one in body["params"]["symbol"]]

    def listing(self) -> Message:
        return self.instruments(self.listed, "snapshot")

    def instruments(self, listed: dict[str, str], kind: str) -> dict[str, Any]:
        message = kit.kraken_instruments(*map(self.symbol, listed)) | {"type": kind}
        for row, word in zip(message["data"]["pairs"], listed.values(), strict=True):
            row |= {"status": STATUSES[word], "price_increment": 0.1, "qty_increment": 0.00000001, "qty_min": 0.0001}
        return message

    def relist(self, bench: Bench, name: str, status: str) -> None:
        self.listed[name] = status
        bench.frame(self.instruments({name: status}, "update"))

    def image(self, name: str) -> Message:
        return self.book(name, "snapshot", *self.markets[name].sides)

    def update(self, name: str, bids: list[Level] = [], asks: list[Level] = []) -> Message:  # noqa: B006 - never changed
        return self.book(name, "update", *self.markets[name].change(bids, asks))

    def book(self, name: str, kind: str, bids: list[Level], asks: list[Level]) -> Message:
        market = self.markets[name]
        crc = kit.kraken_crc(*market.sides)
        return kit.kraken_book(kind, bids, asks, crc, symbol=self.symbol(name), ticks=market.ticks)

    def message(self, name: str, channel: Channel) -> Message:
        if channel == "book":
            return self.update(name)
        market, symbol = self.markets[name], self.symbol(name)
        market.count += 1
        if channel == "trades":
            return kit.kraken_trade(market.trades + market.count, symbol)
        if channel == "candles":
            return self.bar(name, 0, f"10.{market.count:04d}0", closed=False)
        if channel == "status":
            word = "online" if market.count % 2 else "maintenance"
            return {"channel": "status", "type": "update", "data": [{"system": word, "version": "2.0.10"}]}
        assert channel in ("quotes", "tickers")
        item = (
            f'{{"symbol":"{symbol}","bid":100.5,"bid_qty":1.50000000,"ask":101.5,"ask_qty":2.50000000,'
            f'"last":100.{market.count:04d},"volume":9.10,"vwap":100.5,"low":99.0,"high":120.50,"change":-1.5,'
            f'"change_pct":-1.5,"timestamp":"{kit.kraken_time(market.count)}"}}'
        )
        return f'{{"channel":"ticker","type":"update","data":[{item}]}}'

    def tell(self, bench: Bench, name: str, channel: Channel) -> None:
        if channel == "instruments":
            self.relist(bench, name, "halted" if self.listed[name] == "trading" else "trading")
        else:
            super().tell(bench, name, channel)

    def bar(self, name: str, number: int, close: str, *, closed: bool) -> Message:
        assert not closed
        begin = f"2023-11-14T22:{14 + number:02d}:00.000000000Z"
        item = (
            f'{{"symbol":"{self.symbol(name)}","open":10.5,"high":11.50,"low":9.5,"close":{close},"vwap":10.5,'
            f'"volume":7.10,"trades":3,"interval_begin":"{begin}","interval":1,'
            f'"timestamp":"{begin[:17]}59.500000Z"}}'
        )
        return f'{{"channel":"ohlc","type":"update","data":[{item}]}}'

    def unknown(self) -> Message:
        return {"channel": "never_heard_of", "type": "update", "data": []}

    def heartbeat(self) -> Message | None:
        return {"channel": "heartbeat"}

    def check_body(self, name: str) -> Message:
        bids, asks = ([[price, size, 1] for price, size in side[:10]] for side in self.markets[name].sides)
        return {"error": [], "result": {"X": {"bids": bids, "asks": asks}}}
