"""Binance's messages as bytes: streams, REST rows, the exchange information.

It owns their exact text (prices and sizes are strings with eight decimals) and how each may be corrupted. It must never
touch a socket or decide what is sent. Shapes:
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from simulator.book import Level
from simulator.frames import BOOK, CANDLES, QUOTES, TICKERS, TRADES, Frame
from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.market import SELL, Trade
from simulator.statistics import Candle, Day
from simulator.text import decimal_text

UNKNOWN = b'{"e":"simulatedUnknownEvent","E":1767225600000,"s":"NONE"}'


def venue_symbol(symbol: str) -> str:
    """BTC-USDT is BTCUSDT, and so is BTC-USDT-PERP on its own host."""
    return symbol.removesuffix("-PERP").replace("-", "")


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

    def size(self, lots: int) -> str:
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

    def book_ticker(self, update_id: int, bid: Level, ask: Level, event_ms: int) -> bytes:
        """`<symbol>@bookTicker`: no event type and no time, in spot."""
        _ = event_ms
        return (
            f'{{"u":{update_id},"s":"{self.symbol}","b":"{self.price(bid[0])}","B":"{self.size(bid[1])}",'
            f'"a":"{self.price(ask[0])}","A":"{self.size(ask[1])}"}}'
        ).encode()

    def depth_update(
        self, event_ms: int, ids: tuple[int, int, int], bids: Iterable[Level], asks: Iterable[Level]
    ) -> bytes:
        """`<symbol>@depth`: absolute sizes, 0 removes. `ids`: first, last, and the last of the message before."""
        return (
            f'{{"e":"depthUpdate","E":{event_ms},"s":"{self.symbol}","U":{ids[0]},"u":{ids[1]},'
            f'"b":{self.levels(bids)},"a":{self.levels(asks)}}}'
        ).encode()

    def depth(self, last_id: int, bids: Iterable[Level], asks: Iterable[Level]) -> bytes:
        """GET depth."""
        return f'{{"lastUpdateId":{last_id},"bids":{self.levels(bids)},"asks":{self.levels(asks)}}}'.encode()

    def partial(self, last_id: int, bids: Iterable[Level], asks: Iterable[Level], event_ms: int) -> bytes:
        """`<symbol>@depth20`: no symbol and no time, in spot."""
        _ = event_ms
        return self.depth(last_id, bids, asks)

    def turnover(self, value: int) -> str:
        """Ticks times lots as text."""
        return decimal_text(value // 10**self._decimals, SIZE_DECIMALS)

    def kline(self, interval: str, bar: Candle, event_ms: int, *, closed: bool) -> bytes:
        """`<symbol>@kline_<interval>`; x: closed. A bar without trades has the ids -1."""
        price, turnover = self.price, self.turnover
        return (
            f'{{"e":"kline","E":{event_ms},"s":"{self.symbol}","k":{{"t":{bar.begin_us // 1000},'
            f'"T":{bar.end_us // 1000 - 1},"s":"{self.symbol}","i":"{interval}","f":{bar.first_id},"L":{bar.last_id},'
            f'"o":"{price(bar.opening)}","c":"{price(bar.closing)}","h":"{price(bar.high)}","l":"{price(bar.low)}",'
            f'"v":"{self.size(bar.volume)}","n":{bar.count},"x":{"true" if closed else "false"},'
            f'"q":"{turnover(bar.turnover)}","V":"{self.size(bar.bought)}","Q":"{turnover(bar.bought_turnover)}",'
            f'"B":"0"}}}}'
        ).encode()

    def kline_row(self, bar: Candle) -> str:
        """A row of GET klines."""
        price, turnover = self.price, self.turnover
        return (
            f'[{bar.begin_us // 1000},"{price(bar.opening)}","{price(bar.high)}","{price(bar.low)}",'
            f'"{price(bar.closing)}","{self.size(bar.volume)}",{bar.end_us // 1000 - 1},"{turnover(bar.turnover)}",'
            f'{bar.count},"{self.size(bar.bought)}","{turnover(bar.bought_turnover)}","0"]'
        )

    def ticker(self, day: Day, best: tuple[Level, Level], window_ms: tuple[int, int]) -> bytes:
        """`<symbol>@ticker`; `window_ms`: when the statistics begin and end."""
        (bid, bid_lots), (ask, ask_lots) = best
        price, change = self.price, day.last - day.opening
        return (
            f'{{"e":"24hrTicker","E":{window_ms[1]},"s":"{self.symbol}","p":"{price(change)}",'
            f'"P":"{100 * change / day.opening:.3f}","w":"{price(day.vwap())}","x":"{price(day.opening)}",'
            f'"c":"{price(day.last)}","Q":"{self.size(day.last_size)}","b":"{price(bid)}","B":"{self.size(bid_lots)}",'
            f'"a":"{price(ask)}","A":"{self.size(ask_lots)}","o":"{price(day.opening)}","h":"{price(day.high)}",'
            f'"l":"{price(day.low)}","v":"{self.size(day.volume)}","q":"{self.turnover(day.turnover)}",'
            f'"O":{window_ms[0]},"C":{window_ms[1]},"F":{day.first_id},"L":{day.last_id},"n":{day.count}}}'
        ).encode()

    def day(self, day: Day, best: tuple[Level, Level], window_ms: tuple[int, int]) -> str:
        """GET ticker/24hr of one symbol."""
        (bid, bid_lots), (ask, ask_lots) = best
        price, change = self.price, day.last - day.opening
        return (
            f'{{"symbol":"{self.symbol}","priceChange":"{price(change)}",'
            f'"priceChangePercent":"{100 * change / day.opening:.3f}","weightedAvgPrice":"{price(day.vwap())}",'
            f'"prevClosePrice":"{price(day.opening)}","lastPrice":"{price(day.last)}",'
            f'"lastQty":"{self.size(day.last_size)}","bidPrice":"{price(bid)}","bidQty":"{self.size(bid_lots)}",'
            f'"askPrice":"{price(ask)}","askQty":"{self.size(ask_lots)}","openPrice":"{price(day.opening)}",'
            f'"highPrice":"{price(day.high)}","lowPrice":"{price(day.low)}","volume":"{self.size(day.volume)}",'
            f'"quoteVolume":"{self.turnover(day.turnover)}","openTime":{window_ms[0]},"closeTime":{window_ms[1]},'
            f'"firstId":{day.first_id},"lastId":{day.last_id},"count":{day.count}}}'
        )

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


def symbol_info(instrument: Instrument, status: str) -> dict[str, Any]:
    """One symbol in exchangeInfo.

    https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints#exchange-information
    """
    tick = decimal_text(10 ** (SIZE_DECIMALS - instrument.price_decimals), SIZE_DECIMALS)
    step = decimal_text(instrument.lot_step, SIZE_DECIMALS)
    return {
        "symbol": venue_symbol(instrument.symbol),
        "status": status,
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


def shift(match: "re.Match[bytes]") -> bytes:
    """A thousand more."""
    return match[1] + str(int(match[2]) + 1000).encode()


def back(match: "re.Match[bytes]") -> bytes:
    """A thousand less."""
    return match[1] + str(int(match[2]) - 1000).encode()


def quoted(match: "re.Match[bytes]") -> bytes:
    """A text instead of a number."""
    return match[1] + b'"x' + match[2] + b'"'


def next_digit(match: "re.Match[bytes]") -> bytes:
    """Another last digit."""
    return match[1] + str((int(match[2]) + 1) % 10).encode()


Edit = tuple["re.Pattern[bytes]", Callable[["re.Match[bytes]"], bytes], int]

# (channel, how) -> what is found, what stands there instead, how often. A type error makes an id a string; a sequence
# error moves ids by 1000; a digit error changes the last digit of the first size.
EDITS: dict[tuple[str, str], Edit] = {
    (BOOK, "type"): (re.compile(rb'("u":|"lastUpdateId":)(\d+)'), quoted, 1),
    (BOOK, "sequence"): (re.compile(rb'("[Uu]":|"lastUpdateId":)(\d+)'), shift, 2),
    (BOOK, "digit"): (re.compile(rb'(\["[0-9.]+","[0-9.]+)(\d)(?=")'), next_digit, 1),
    (QUOTES, "type"): (re.compile(rb'("u":)(\d+)'), quoted, 1),
    (QUOTES, "sequence"): (re.compile(rb'("u":)(\d+)'), back, 1),
    (QUOTES, "digit"): (re.compile(rb'("B":"[0-9.]+)(\d)(?=")'), next_digit, 1),
    (TRADES, "type"): (re.compile(rb'("[ta]":)(\d+)'), quoted, 1),
    (TRADES, "sequence"): (re.compile(rb'("[tafl]":)(\d+)'), shift, 3),
    (TRADES, "digit"): (re.compile(rb'("q":"[0-9.]+)(\d)(?=")'), next_digit, 1),
    (TICKERS, "type"): (re.compile(rb'("n":)(\d+)'), quoted, 1),
    (TICKERS, "digit"): (re.compile(rb'("v":"[0-9.]+)(\d)(?=")'), next_digit, 1),
    (CANDLES, "type"): (re.compile(rb'("n":)(\d+)'), quoted, 1),
    (CANDLES, "digit"): (re.compile(rb'("v":"[0-9.]+)(\d)(?=")'), next_digit, 1),
}


def corrupt(frame: Frame, how: str) -> bytes:
    """The frame's payload, broken as `how` says."""
    return edit(EDITS, frame, how)


def edit(edits: Mapping[tuple[str, str], Edit], frame: Frame, how: str) -> bytes:
    """The payload with the edit for its channel applied; `json` cuts it in half."""
    if how == "json":
        return frame.payload[: len(frame.payload) // 2]
    pattern, change, times = edits[frame.channel, how]
    return pattern.sub(change, frame.payload, count=times)
