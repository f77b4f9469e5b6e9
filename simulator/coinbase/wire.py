"""Coinbase's messages as bytes: channels in their envelope, REST rows, products.

It owns their exact text. It must never touch a socket or decide what is sent. Every frame of a connection is numbered,
so a message is written with MARK where its number goes, which differs from client to client.
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/websocket/level2
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from simulator.book import BID, Level
from simulator.frames import MARK
from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.market import BUY, Trade
from simulator.statistics import Candle, Day
from simulator.text import decimal_text, iso_micros

_SIDES = ("bid", "offer")


def plain(value: int, decimals: int) -> str:
    """A decimal without trailing zeros: (1500, 3) is 1.5."""
    text = decimal_text(value, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text


def iso_nanos(ts_us: int) -> str:
    """A time with nine decimals, as the envelope has it."""
    return f"{iso_micros(ts_us)[:-1]}{ts_us * 7 % 1000:03d}Z"


def envelope(channel: str, now_us: int, events: str, number: str = MARK.decode()) -> str:
    """A frame; `number` is its `sequence_num` on the connection."""
    return (
        f'{{"channel":"{channel}","client_id":"","timestamp":"{iso_nanos(now_us)}","sequence_num":{number},'
        f'"events":[{events}]}}'
    )


def heartbeat(now_us: int, counter: int, uptime: float) -> str:
    """The event of `heartbeats`; its time is written as a Go program prints one."""
    second, micros = divmod(now_us, 1_000_000)
    day = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")
    text = f"{day}.{micros:06d}{now_us * 7 % 1000:03d} +0000 UTC m=+{uptime:.9f}"
    return f'{{"current_time":"{text}","heartbeat_counter":{counter}}}'


class Wire:
    """One product's messages."""

    def __init__(self, instrument: Instrument) -> None:
        self.symbol = instrument.symbol
        self._instrument = instrument
        self._decimals = instrument.price_decimals

    def price(self, tick: int) -> str:
        """A price as text."""
        return plain(tick, self._decimals)

    def middle(self, bid: int, ask: int) -> str:
        """The price halfway, exactly."""
        return plain((bid + ask) * 5, self._decimals + 1)

    @staticmethod
    def size(lots: int) -> str:
        """A size as text."""
        return plain(lots, SIZE_DECIMALS)

    def level2(self, kind: str, changes: Iterable[tuple[int, int, int]], ts_us: int, now_us: int) -> bytes:
        """`l2_data`: absolute sizes, 0 removes; a change is (side, tick, lots)."""
        price, size, time = self.price, self.size, iso_micros(ts_us)
        rows = ",".join(
            [
                f'{{"side":"{_SIDES[side]}","event_time":"{time}","price_level":"{price(tick)}",'
                f'"new_quantity":"{size(lots)}"}}'
                for side, tick, lots in changes
            ]
        )
        event = f'{{"type":"{kind}","product_id":"{self.symbol}","updates":[{rows}]}}'
        return envelope("l2_data", now_us, event).encode()

    def trade(self, trade: Trade, skew_us: int) -> str:
        """A trade. The side is the maker's: of a taker's purchase it is SELL."""
        side = "SELL" if trade.side == BUY else "BUY"
        return (
            f'{{"product_id":"{self.symbol}","trade_id":"{trade.id}","price":"{self.price(trade.tick)}",'
            f'"size":"{self.size(trade.size)}","time":"{iso_micros(trade.ts_us + skew_us)}","side":"{side}"}}'
        )

    def market_trades(self, kind: str, trades: Sequence[Trade], skew_us: int, now_us: int) -> bytes:
        """`market_trades`, newest first."""
        rows = ",".join([self.trade(trade, skew_us) for trade in reversed(trades)])
        return envelope("market_trades", now_us, f'{{"type":"{kind}","trades":[{rows}]}}').encode()

    def ticker(self, channel: str, kind: str, best: tuple[Level, Level], day: Day, now_us: int) -> bytes:
        """`ticker`, or `ticker_batch`, which leaves the best prices out. The statistics are since the start."""
        (bid, bid_lots), (ask, ask_lots) = best
        price, change = self.price, 100 * (day.last - day.opening) / day.opening
        quotes = (
            f',"best_bid":"{price(bid)}","best_bid_quantity":"{self.size(bid_lots)}","best_ask":"{price(ask)}",'
            f'"best_ask_quantity":"{self.size(ask_lots)}"'
        )
        row = (
            f'{{"type":"ticker","product_id":"{self.symbol}","price":"{price(day.last)}",'
            f'"volume_24_h":"{self.size(day.volume)}","low_24_h":"{price(day.low)}","high_24_h":"{price(day.high)}",'
            f'"low_52_w":"{price(day.low)}","high_52_w":"{price(day.high)}","price_percent_chg_24_h":"{change:.14f}"'
            f"{quotes if channel == 'ticker' else ''}}}"
        )
        return envelope(channel, now_us, f'{{"type":"{kind}","tickers":[{row}]}}').encode()

    def candle(self, bar: Candle) -> str:
        """A bar without the product, as REST has it."""
        price = self.price
        return (
            f'"start":"{bar.begin_us // 1_000_000}","high":"{price(bar.high)}","low":"{price(bar.low)}",'
            f'"open":"{price(bar.opening)}","close":"{price(bar.closing)}","volume":"{self.size(bar.volume)}"'
        )

    def candles(self, kind: str, bars: Sequence[Candle], now_us: int) -> bytes:
        """`candles`, newest first: bars of five minutes without any sign whether one has closed."""
        rows = ",".join([f'{{{self.candle(bar)},"product_id":"{self.symbol}"}}' for bar in reversed(bars)])
        return envelope("candles", now_us, f'{{"type":"{kind}","candles":[{rows}]}}').encode()

    def status(self, kind: str, status: str, message: str, now_us: int) -> bytes:
        """`status`: one product."""
        one = self._instrument
        row = {
            "product_type": "SPOT",
            "id": self.symbol,
            "base_currency": one.base,
            "quote_currency": one.quote,
            "base_increment": self.size(one.lot_step),
            "quote_increment": self.price(1),
            "display_name": f"{one.base}/{one.quote}",
            "status": status,
            "status_message": message,
            "min_market_funds": "1",
        }
        return envelope("status", now_us, f'{{"type":"{kind}","products":[{dumps(row)}]}}').encode()

    def book_rows(self, levels: Iterable[Level]) -> str:
        """Levels of GET product_book."""
        return ",".join([f'{{"price":"{self.price(tick)}","size":"{self.size(lots)}"}}' for tick, lots in levels])


def snapshot_changes(bids: Iterable[Level], asks: Iterable[Level]) -> list[tuple[int, int, int]]:
    """A whole book as changes: bids first."""
    return [(side, tick, lots) for side, levels in ((BID, bids), (1 - BID, asks)) for tick, lots in levels]


def dumps(value: Any) -> str:  # noqa: ANN401 - JSON of many shapes
    """JSON as compact as Coinbase's."""
    return json.dumps(value, separators=(",", ":"))
