"""The USDⓈ-M market's messages as bytes, where they differ from spot's.

It owns their exact text (sizes have the instrument's decimals, prices at least two) and how each may be corrupted. It
must never touch a socket or decide what is sent. `st` and `ps` are new in 2026. Shapes:
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from simulator.binance import wire as spot
from simulator.binance.wire import venue_symbol
from simulator.book import Level
from simulator.frames import BOOK, FUNDING, INSTRUMENTS, LIQUIDATIONS, Frame
from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.market import BUY, SELL, Trade
from simulator.perpetual import Funding, Liquidation
from simulator.statistics import Day
from simulator.text import decimal_text

NEVER_MS = 4_133_404_800_000  # the delivery date of what is never delivered
_PRICE_DECIMALS = 2


class Wire(spot.Wire):
    """One perpetual's messages."""

    def __init__(self, instrument: Instrument) -> None:
        super().__init__(instrument)
        self._zeros = "0" * max(_PRICE_DECIMALS - instrument.price_decimals, 0)
        self._size_decimals = size_decimals(instrument)
        self._unit = 10 ** (SIZE_DECIMALS - self._size_decimals)

    def size(self, lots: int) -> str:
        """A size as text."""
        return decimal_text(lots // self._unit, self._size_decimals)

    def turnover(self, value: int) -> str:
        """Ticks times lots as text."""
        return decimal_text(value // self._unit, self._decimals + self._size_decimals)

    def trade(self, trade: Trade, event_ms: int, skew_us: int) -> bytes:
        """`<symbol>@trade`; X: a fill of the market, not of the insurance fund."""
        maker = "true" if trade.side == SELL else "false"
        return (
            f'{{"e":"trade","E":{event_ms},"T":{(trade.ts_us + skew_us) // 1000},"s":"{self.symbol}","t":{trade.id},'
            f'"p":"{self.price(trade.tick)}","q":"{self.size(trade.size)}","X":"MARKET","m":{maker},"st":1}}'
        ).encode()

    def aggregate(self, fills: Sequence[Trade], event_ms: int, skew_us: int) -> bytes:
        """`<symbol>@aggTrade`; nq: the size without retail price improvement orders."""
        rest = self._fills(fills, skew_us, nq=True)
        return f'{{"e":"aggTrade","E":{event_ms},"s":"{self.symbol}",{rest},"st":1}}'.encode()

    def _fills(self, fills: Sequence[Trade], skew_us: int, *, nq: bool) -> str:
        first, size = fills[0], self.size(sum(fill.size for fill in fills))
        maker = "true" if first.side == SELL else "false"
        more = f'"nq":"{size}",' if nq else ""
        return (
            f'"a":{first.aggregate},"p":"{self.price(first.tick)}","q":"{size}",{more}"f":{first.id},'
            f'"l":{fills[-1].id},"T":{(first.ts_us + skew_us) // 1000},"m":{maker}'
        )

    def aggregate_row(self, fills: Sequence[Trade], skew_us: int) -> str:
        """A row of GET aggTrades."""
        return "{" + self._fills(fills, skew_us, nq=False) + "}"

    def trade_row(self, trade: Trade, skew_us: int) -> str:
        """A row of GET trades."""
        maker = "true" if trade.side == SELL else "false"
        return (
            f'{{"id":{trade.id},"price":"{self.price(trade.tick)}","qty":"{self.size(trade.size)}",'
            f'"quoteQty":"{self.turnover(trade.tick * trade.size)}","time":{(trade.ts_us + skew_us) // 1000},'
            f'"isBuyerMaker":{maker}}}'
        )

    def book_ticker(self, update_id: int, bid: Level, ask: Level, event_ms: int) -> bytes:
        """`<symbol>@bookTicker`: with times, unlike spot's."""
        return (
            f'{{"e":"bookTicker","u":{update_id},"s":"{self.symbol}","ps":"{self.symbol}",'
            f'"b":"{self.price(bid[0])}","B":"{self.size(bid[1])}","a":"{self.price(ask[0])}",'
            f'"A":"{self.size(ask[1])}","T":{event_ms},"E":{event_ms},"st":1}}'
        ).encode()

    def depth_update(
        self, event_ms: int, ids: tuple[int, int, int], bids: Iterable[Level], asks: Iterable[Level]
    ) -> bytes:
        """`<symbol>@depth`: absolute sizes, 0 removes; pu is the u of the message before."""
        return (
            f'{{"e":"depthUpdate","E":{event_ms},"T":{event_ms},"s":"{self.symbol}","U":{ids[0]},"u":{ids[1]},'
            f'"pu":{ids[2]},"b":{self.levels(bids)},"a":{self.levels(asks)}}}'
        ).encode()

    def partial(self, last_id: int, bids: Iterable[Level], asks: Iterable[Level], event_ms: int) -> bytes:
        """`<symbol>@depth20`: has the shape of an update, and is a whole."""
        return self.depth_update(event_ms, (last_id, last_id, last_id), bids, asks)

    def depth_at(self, last_id: int, bids: Iterable[Level], asks: Iterable[Level], event_ms: int) -> str:
        """GET depth."""
        return (
            f'{{"lastUpdateId":{last_id},"E":{event_ms},"T":{event_ms},"bids":{self.levels(bids)},'
            f'"asks":{self.levels(asks)}}}'
        )

    def ticker(self, day: Day, best: tuple[Level, Level], window_ms: tuple[int, int]) -> bytes:
        """`<symbol>@ticker`: without the best prices."""
        _ = best
        price, change = self.price, day.last - day.opening
        return (
            f'{{"e":"24hrTicker","E":{window_ms[1]},"s":"{self.symbol}","p":"{price(change)}",'
            f'"P":"{100 * change / day.opening:.3f}","w":"{price(day.vwap())}","c":"{price(day.last)}",'
            f'"Q":"{self.size(day.last_size)}","o":"{price(day.opening)}","h":"{price(day.high)}",'
            f'"l":"{price(day.low)}","v":"{self.size(day.volume)}","q":"{self.turnover(day.turnover)}",'
            f'"O":{window_ms[0]},"C":{window_ms[1]},"F":{day.first_id},"L":{day.last_id},"n":{day.count}}}'
        ).encode()

    def day(self, day: Day, best: tuple[Level, Level], window_ms: tuple[int, int]) -> str:
        """GET ticker/24hr of one symbol."""
        _ = best
        price, change = self.price, day.last - day.opening
        return (
            f'{{"symbol":"{self.symbol}","priceChange":"{price(change)}",'
            f'"priceChangePercent":"{100 * change / day.opening:.3f}","weightedAvgPrice":"{price(day.vwap())}",'
            f'"lastPrice":"{price(day.last)}","lastQty":"{self.size(day.last_size)}","openPrice":"{price(day.opening)}",'
            f'"highPrice":"{price(day.high)}","lowPrice":"{price(day.low)}","volume":"{self.size(day.volume)}",'
            f'"quoteVolume":"{self.turnover(day.turnover)}","openTime":{window_ms[0]},"closeTime":{window_ms[1]},'
            f'"firstId":{day.first_id},"lastId":{day.last_id},"count":{day.count}}}'
        )

    def mark_price(self, funding: Funding, event_ms: int, skew_us: int) -> bytes:
        """`<symbol>@markPrice`: p mark, i index, P estimated settlement, r rate, T when it is paid next."""
        mark, index = eight(funding.mark), eight(funding.index)
        return (
            f'{{"e":"markPriceUpdate","E":{event_ms},"s":"{self.symbol}","p":"{mark}","ap":"{mark}","P":"{index}",'
            f'"i":"{index}","r":"{eight(funding.rate)}","T":{(funding.next_us + skew_us) // 1000},"st":1}}'
        ).encode()

    def funding_row(self, one: Funding, skew_us: int) -> str:
        """A row of GET fundingRate."""
        return (
            f'{{"symbol":"{self.symbol}","fundingTime":{(one.ts_us + skew_us) // 1000},'
            f'"fundingRate":"{eight(one.rate)}","markPrice":"{eight(one.mark)}"}}'
        )

    def force_order(self, one: Liquidation, event_ms: int, skew_us: int) -> bytes:
        """`<symbol>@forceOrder`; S is the taker's side: SELL closes a long position."""
        size, price = self.size(one.size), self.price(one.tick)
        return (
            f'{{"e":"forceOrder","E":{event_ms},"o":{{"s":"{self.symbol}","S":"{"BUY" if one.side == BUY else "SELL"}",'
            f'"o":"LIMIT","f":"IOC","q":"{size}","p":"{price}","ap":"{price}","X":"FILLED","l":"{size}","z":"{size}",'
            f'"T":{(one.ts_us + skew_us) // 1000},"ps":"{self.symbol}","st":1}}}}'
        ).encode()

    def contract_info(self, status: str, event_ms: int, listed_ms: int) -> bytes:
        """`!contractInfo`: sent when a contract is listed, settled or its brackets change."""
        return (
            f'{{"e":"contractInfo","E":{event_ms},"s":"{self.symbol}","ps":"{self.symbol}","ct":"PERPETUAL",'
            f'"dt":{NEVER_MS},"ot":{listed_ms},"cs":"{status}","bks":[]}}'
        ).encode()


def eight(value: int) -> str:
    """A mark price or rate: eight decimals."""
    return decimal_text(value, SIZE_DECIMALS)


def size_decimals(instrument: Instrument) -> int:
    """How many decimals an instrument's sizes have: a lot step of 100 000 (0.001) has three."""
    return SIZE_DECIMALS - (len(str(instrument.lot_step)) - 1)


def symbol_info(instrument: Instrument, status: str, listed_ms: int) -> dict[str, Any]:
    """One symbol in exchangeInfo.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Exchange-Information
    """
    decimals = max(instrument.price_decimals, _PRICE_DECIMALS)
    tick = decimal_text(10 ** (decimals - instrument.price_decimals), decimals)
    step = decimal_text(1, size_decimals(instrument))
    return {
        "symbol": venue_symbol(instrument.symbol),
        "pair": venue_symbol(instrument.symbol),
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER_MS,
        "onboardDate": listed_ms,
        "status": status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": decimals,
        "quantityPrecision": size_decimals(instrument),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "120", "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


# As spot's, and of the book also the chain: `pu` is moved with `U` and `u`.
EDITS: dict[tuple[str, str], spot.Edit] = {
    **spot.EDITS,
    (BOOK, "sequence"): (re.compile(rb'("(?:[Uu]|pu|lastUpdateId)":)(\d+)'), spot.shift, 3),
    (FUNDING, "type"): (re.compile(rb'("T":)(\d+)'), spot.quoted, 1),
    (FUNDING, "digit"): (re.compile(rb'("r":"-?[0-9.]+)(\d)(?=")'), spot.next_digit, 1),
    (LIQUIDATIONS, "type"): (re.compile(rb'("T":)(\d+)'), spot.quoted, 1),
    (LIQUIDATIONS, "digit"): (re.compile(rb'("q":"[0-9.]+)(\d)(?=")'), spot.next_digit, 1),
    (INSTRUMENTS, "type"): (re.compile(rb'("ot":)(\d+)'), spot.quoted, 1),
}


def corrupt(frame: Frame, how: str) -> bytes:
    """The frame's payload, broken as `how` says."""
    return spot.edit(EDITS, frame, how)
