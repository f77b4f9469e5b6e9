"""Binance's messages as bytes: streams, REST rows, the exchange information.

It owns their exact text (prices and sizes are strings with eight decimals) and how each may be corrupted. It must never
touch a socket or decide what is sent. Shapes:
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from simulator.book import Level
from simulator.frames import BOOK, QUOTES, TRADES, Frame
from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.market import SELL, Trade
from simulator.text import decimal_text

UNKNOWN = b'{"e":"simulatedUnknownEvent","E":1767225600000,"s":"NONE"}'


def venue_symbol(symbol: str) -> str:
    """BTC-USDT is BTCUSDT."""
    return symbol.replace("-", "")


class Wire:
    """One market's messages."""

    def __init__(self, instrument: Instrument) -> None:
        self.symbol = venue_symbol(instrument.symbol)
        self.stream = self.symbol.lower()
        self._decimals = instrument.price_decimals
        self._zeros = "0" * (8 - instrument.price_decimals)

    def price(self, tick: int) -> str:
        """A price as text."""
        return decimal_text(tick, self._decimals) + self._zeros

    @staticmethod
    def size(lots: int) -> str:
        """A size as text."""
        return decimal_text(lots, SIZE_DECIMALS)

    def levels(self, levels: Iterable[Level]) -> str:
        """Levels as a JSON array."""
        price, size = self.price, self.size
        return "[" + ",".join([f'["{price(tick)}","{size(lots)}"]' for tick, lots in levels]) + "]"

    def trade(self, trade: Trade, event_ms: int, skew_us: int) -> bytes:
        """`<symbol>@trade`; m true: the buyer was the maker, so the taker sold."""
        maker = "true" if trade.side == SELL else "false"
        return (
            f'{{"e":"trade","E":{event_ms},"s":"{self.symbol}","t":{trade.id},"p":"{self.price(trade.tick)}",'
            f'"q":"{self.size(trade.size)}","T":{(trade.ts_us + skew_us) // 1000},"m":{maker},"M":true}}'
        ).encode()

    def aggregate(self, fills: Sequence[Trade], event_ms: int, skew_us: int) -> bytes:
        """`<symbol>@aggTrade`: the fills of one taker order at one price."""
        return f'{{"e":"aggTrade","E":{event_ms},"s":"{self.symbol}",{self._aggregate(fills, skew_us)}}}'.encode()

    def _aggregate(self, fills: Sequence[Trade], skew_us: int) -> str:
        first = fills[0]
        maker = "true" if first.side == SELL else "false"
        return (
            f'"a":{first.aggregate},"p":"{self.price(first.tick)}","q":"{self.size(sum(f.size for f in fills))}",'
            f'"f":{first.id},"l":{fills[-1].id},"T":{(first.ts_us + skew_us) // 1000},"m":{maker},"M":true'
        )

    def book_ticker(self, update_id: int, bid: Level, ask: Level) -> bytes:
        """`<symbol>@bookTicker`: no event type and no time, in spot."""
        return (
            f'{{"u":{update_id},"s":"{self.symbol}","b":"{self.price(bid[0])}","B":"{self.size(bid[1])}",'
            f'"a":"{self.price(ask[0])}","A":"{self.size(ask[1])}"}}'
        ).encode()

    def depth_update(self, event_ms: int, ids: tuple[int, int], bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
        """`<symbol>@depth`: absolute sizes, 0 removes."""
        return (
            f'{{"e":"depthUpdate","E":{event_ms},"s":"{self.symbol}","U":{ids[0]},"u":{ids[1]},'
            f'"b":{self.levels(bids)},"a":{self.levels(asks)}}}'
        ).encode()

    def depth(self, last_id: int, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
        """GET depth, and `<symbol>@depth20`."""
        return f'{{"lastUpdateId":{last_id},"bids":{self.levels(bids)},"asks":{self.levels(asks)}}}'.encode()

    def trade_row(self, trade: Trade, skew_us: int) -> str:
        """A row of GET trades."""
        quote = trade.tick * trade.size // 10**self._decimals
        maker = "true" if trade.side == SELL else "false"
        return (
            f'{{"id":{trade.id},"price":"{self.price(trade.tick)}","qty":"{self.size(trade.size)}",'
            f'"quoteQty":"{self.size(quote)}","time":{(trade.ts_us + skew_us) // 1000},'
            f'"isBuyerMaker":{maker},"isBestMatch":true}}'
        )

    def aggregate_row(self, fills: Sequence[Trade], skew_us: int) -> str:
        """A row of GET aggTrades."""
        return "{" + self._aggregate(fills, skew_us) + "}"


def symbol_info(instrument: Instrument) -> dict[str, Any]:
    """One symbol in exchangeInfo.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints#exchange-information
    """
    tick = decimal_text(10 ** (SIZE_DECIMALS - instrument.price_decimals), SIZE_DECIMALS)
    step = decimal_text(instrument.lot_step, SIZE_DECIMALS)
    return {
        "symbol": venue_symbol(instrument.symbol),
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def dumps(value: object) -> str:
    """JSON as compact as Binance's."""
    return json.dumps(value, separators=(",", ":"))


def _shift(match: "re.Match[bytes]") -> bytes:
    return match[1] + str(int(match[2]) + 1000).encode()


def _back(match: "re.Match[bytes]") -> bytes:
    return match[1] + str(int(match[2]) - 1000).encode()


def _quoted(match: "re.Match[bytes]") -> bytes:
    return match[1] + b'"x' + match[2] + b'"'


def _next_digit(match: "re.Match[bytes]") -> bytes:
    return match[1] + str((int(match[2]) + 1) % 10).encode()


_Edit = tuple["re.Pattern[bytes]", Callable[["re.Match[bytes]"], bytes], int]

# (channel, how) -> what is found, what stands there instead, how often. A type error makes an id a string; a sequence
# error moves ids by 1000; a digit error changes the last digit of the first size.
EDITS: dict[tuple[str, str], _Edit] = {
    (BOOK, "type"): (re.compile(rb'("u":|"lastUpdateId":)(\d+)'), _quoted, 1),
    (BOOK, "sequence"): (re.compile(rb'("[Uu]":|"lastUpdateId":)(\d+)'), _shift, 2),
    (BOOK, "digit"): (re.compile(rb'(\["[0-9.]+","[0-9.]+)(\d)(?=")'), _next_digit, 1),
    (QUOTES, "type"): (re.compile(rb'("u":)(\d+)'), _quoted, 1),
    (QUOTES, "sequence"): (re.compile(rb'("u":)(\d+)'), _back, 1),
    (QUOTES, "digit"): (re.compile(rb'("B":"[0-9.]+)(\d)(?=")'), _next_digit, 1),
    (TRADES, "type"): (re.compile(rb'("[ta]":)(\d+)'), _quoted, 1),
    (TRADES, "sequence"): (re.compile(rb'("[tafl]":)(\d+)'), _shift, 3),
    (TRADES, "digit"): (re.compile(rb'("q":"[0-9.]+)(\d)(?=")'), _next_digit, 1),
}


def corrupt(frame: Frame, how: str) -> bytes:
    """The frame's payload, broken as `how` says; `json` cuts it in half."""
    if how == "json":
        return frame.payload[: len(frame.payload) // 2]
    pattern, edit, times = EDITS[frame.channel, how]
    return pattern.sub(edit, frame.payload, count=times)
