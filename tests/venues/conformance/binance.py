"""Binance's two markets for the suite."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from collector.records import Level, Side
from collector.venues.protocol import Channel
from tests.venues import binances
from tests.venues.conformance.adapter import Adapter, of_other
from tests.venues.kit import Bench, Message, binance_trade, book_ticker, depth, depth_book

STATUSES = {"trading": "TRADING", "halted": "HALT"}


class Binance(Adapter):
    section: ClassVar[str] = "binance"
    refuses: ClassVar[bool] = False
    numbered_quotes = True

    def symbol(self, name: str) -> str:
        return name.replace("-", "")

    def answers(self, request: str) -> list[Message]:
        return [{"result": None, "id": json.loads(request)["id"]}]

    def listing(self) -> Message:
        rows = [self.row(name, STATUSES[word]) for name, word in self.listed.items() if word != "delisted"]
        return binances.listing(*rows)

    def row(self, name: str, status: str) -> dict[str, Any]:
        base, _, quote = name.partition("-")
        return binances.listed(base, quote, status)

    def image(self, name: str) -> Message:
        return depth_book(self.markets[name].ident, *self.markets[name].sides)

    check_body = image

    def bring(self, bench: Bench, name: str, image: Message | None = None) -> None:
        self.reply(bench, "depth", name, self.image(name) if image is None else image)

    def asks_for_book(self, bench: Bench, name: str) -> bool:
        return any((one.endpoint, one.symbol) == ("depth", self.symbol(name)) for one in bench.fetches)

    def update(self, name: str, bids: list[Level] = [], asks: list[Level] = []) -> Message:  # noqa: B006 - never changed
        market = self.markets[name]
        changes = market.change(bids, asks)
        return depth(market.before + 1, market.ident, *changes, symbol=self.symbol(name))

    def message(self, name: str, channel: Channel) -> Message:
        if channel == "book":
            return self.update(name)
        market = self.markets[name]
        market.count += 1
        return of_other(self.btc(channel, market.count, market.trades + market.count), self.renamed(name))

    def btc(self, channel: Channel, count: int, ident: int) -> Message:
        """As the kit writes it."""
        if channel == "trades":
            return binance_trade(ident)
        if channel == "quotes":
            return book_ticker(ident, bid=f"100.{count:04d}0")
        if channel == "tickers":
            return binances.ticker(f"100.{count:04d}0")
        assert channel == "candles"
        return binances.kline(0, close=f"10.{count:04d}0")

    def renamed(self, name: str) -> dict[str, str]:
        symbol = self.symbol(name)
        return {"BTCUSDT": symbol, "btcusdt": symbol.lower()}

    def tell(self, bench: Bench, name: str, channel: Channel) -> None:
        if channel == "instruments":
            self.relist(bench, name, "halted" if self.listed[name] == "trading" else "trading")
        elif channel in ("status", "open_interest"):
            self.poll(bench, name, channel)
        else:
            super().tell(bench, name, channel)

    def poll(self, bench: Bench, name: str, channel: Channel) -> None:
        """Answer what is asked for by REST, when it is asked for."""
        while not any(fetch.endpoint == channel for fetch in bench.fetches):
            self.idle(bench, 1)
        if channel == "status":
            bench.reply({"status": 0, "msg": "normal"}, endpoint=channel)
        else:
            self.reply(bench, channel, name, binances.interest(symbol=self.symbol(name)))

    def bar(self, name: str, number: int, close: str, *, closed: bool) -> Message:
        return of_other(binances.kline(number, close=close, closed=closed), self.renamed(name))

    def unknown(self) -> Message:
        return {"hello": "world"}


class BinanceUsdm(Binance):
    section: ClassVar[str] = "binance_usdm"
    taker: ClassVar[Side] = "buy"
    polled: ClassVar[tuple[Channel, ...]] = ("open_interest",)

    def row(self, name: str, status: str) -> dict[str, Any]:
        base, _, quote = name.partition("-")
        return binances.contract(base, quote, "SETTLING" if status == "HALT" else status)

    def image(self, name: str) -> Message:
        return binances.perp_book(self.markets[name].ident, *self.markets[name].sides)

    check_body = image

    def update(self, name: str, bids: list[Level] = [], asks: list[Level] = []) -> Message:  # noqa: B006 - never changed
        market = self.markets[name]
        changes = market.change(bids, asks)
        return of_other(binances.perp_depth(market.ident, market.ident, market.before, *changes), self.renamed(name))

    def btc(self, channel: Channel, count: int, ident: int) -> Message:
        if channel == "trades":
            return binances.agg_trade(ident, 3 * ident, 3 * ident + 2)
        if channel == "quotes":
            return binances.perp_quote(ident, bid=f"100.{count:04d}0")
        if channel == "tickers":
            return binances.ticker(f"100.{count:04d}0", best=False)
        if channel == "funding":
            return binances.mark_price(rate=f"0.{count:07d}0")
        if channel == "liquidations":
            return binances.force_order(size=f"0.{count:03d}0")
        return super().btc(channel, count, ident)
