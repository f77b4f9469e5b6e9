"""Kraken's v2 messages as bytes, and its book checksum.

It owns their exact text (numbers are JSON numbers with all decimals of the pair's precision) and how each may be
corrupted. It must never touch a socket or decide what is sent.
https://docs.kraken.com/api/docs/websocket-v2/book https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
"""

import re
from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

from simulator.book import ASK, BID, Book, Level, Side
from simulator.frames import BOOK, CANDLES, INSTRUMENTS, QUOTES, STATUS, TICKERS, TRADES, Frame
from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.kraken.facts import pair_names
from simulator.market import Trade
from simulator.statistics import Candle, Day
from simulator.text import decimal_text, iso_micros, iso_nanos

UNKNOWN = b'{"channel":"simulated_unknown_channel","type":"update","data":[]}'
_CHECKED = 10


def checksum(asks: Iterable[Level], bids: Iterable[Level]) -> int:
    """CRC-32 over the top ten asks, lowest first, then the top ten bids, highest first.

    For each level: the price's digits, then the size's, without the point and without leading zeros; which is what an
    integer counted in the last decimal looks like.
    """
    digits = "".join([f"{tick}{lots}" for levels in (asks, bids) for tick, lots in levels])
    return crc32(digits.encode())


def book_checksum(book: Book) -> int:
    """The checksum of a whole book."""
    return checksum(book.asks.top(_CHECKED), book.bids.top(_CHECKED))


class Wire:
    """One pair's messages."""

    def __init__(self, instrument: Instrument) -> None:
        self.symbol = pair_names(instrument.symbol).symbol
        self._decimals = instrument.price_decimals

    def price(self, tick: int) -> str:
        """A price with the pair's precision."""
        return decimal_text(tick, self._decimals)

    @staticmethod
    def size(lots: int) -> str:
        """A size with eight decimals."""
        return decimal_text(lots, SIZE_DECIMALS)

    def levels(self, levels: Iterable[Level]) -> str:
        """Levels as a JSON array."""
        price, size = self.price, self.size
        return "[" + ",".join([f'{{"price":{price(tick)},"qty":{size(lots)}}}' for tick, lots in levels]) + "]"

    def book_snapshot(self, bids: Iterable[Level], asks: Iterable[Level], crc: int) -> bytes:
        """The first message of `book`."""
        return (
            f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{self.symbol}","bids":{self.levels(bids)},'
            f'"asks":{self.levels(asks)},"checksum":{crc}}}]}}'
        ).encode()

    def book_update(self, bids: Iterable[Level], asks: Iterable[Level], crc: int, ts_us: int) -> bytes:
        """Absolute sizes, 0 removes; the checksum is that of the book after the message."""
        return (
            f'{{"channel":"book","type":"update","data":[{{"symbol":"{self.symbol}","bids":{self.levels(bids)},'
            f'"asks":{self.levels(asks)},"checksum":{crc},"timestamp":"{iso_micros(ts_us)}"}}]}}'
        ).encode()

    def trades(self, kind: str, trades: Sequence[Trade], skew_us: int) -> bytes:
        """`trade`; the side is the taker's."""
        rows = ",".join(
            [
                f'{{"symbol":"{self.symbol}","side":"{t.side}","price":{self.price(t.tick)},"qty":{self.size(t.size)},'
                f'"ord_type":"market","trade_id":{t.id},"timestamp":"{iso_micros(t.ts_us + skew_us)}"}}'
                for t in trades
            ]
        )
        return f'{{"channel":"trade","type":"{kind}","data":[{rows}]}}'.encode()

    def candles(self, kind: str, bars: Iterable[Candle], minutes: int, now_us: int) -> bytes:
        """`ohlc`: no mark for closed. A bar's `timestamp` is the end of its interval."""
        price = self.price
        rows = ",".join(
            [
                f'{{"symbol":"{self.symbol}","open":{price(bar.opening)},"high":{price(bar.high)},'
                f'"low":{price(bar.low)},"close":{price(bar.closing)},"trades":{bar.count},'
                f'"volume":{self.size(bar.volume)},"vwap":{price(bar.vwap())},'
                f'"interval_begin":"{iso_nanos(bar.begin_us)}","interval":{minutes},'
                f'"timestamp":"{iso_micros(bar.end_us)}"}}'
                for bar in bars
            ]
        )
        return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{iso_nanos(now_us)}","data":[{rows}]}}'.encode()

    def ticker(self, kind: str, best: tuple[Level, Level], day: Day, ts_us: int) -> bytes:
        """`ticker`: the best prices and the statistics since the simulator started."""
        (bid, bid_lots), (ask, ask_lots) = best
        price, change = self.price, day.last - day.opening
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{self.symbol}","bid":{price(bid)},'
            f'"bid_qty":{self.size(bid_lots)},"ask":{price(ask)},"ask_qty":{self.size(ask_lots)},'
            f'"last":{price(day.last)},"volume":{self.size(day.volume)},"vwap":{price(day.vwap())},'
            f'"low":{price(day.low)},"high":{price(day.high)},"change":{price(change)},'
            f'"change_pct":{100 * change / day.opening:.2f},"trades":{day.count},"timestamp":"{iso_micros(ts_us)}"}}]}}'
        ).encode()


class View:
    """What a client that subscribed to `depth` levels sees, and so what it must be told.

    Kraken never deletes a level that falls out of the depth (clients cut their book after each message), and sends a
    level again when it moves up into the depth.
    """

    def __init__(self, book: Book, depth: int) -> None:
        self.depth = depth
        self._cutoffs = self._now(book)

    def _now(self, book: Book) -> list[int | None]:
        return [book.bids.cutoff(self.depth), book.asks.cutoff(self.depth)]

    def update(self, book: Book, changes: Sequence[tuple[int, int, int]]) -> tuple[list[Level], list[Level]]:
        """The bids and asks to send after `changes`, already in `book`, were made."""
        before, self._cutoffs = self._cutoffs, self._now(book)
        bids = self._side(book.bids, [(t, s) for side, t, s in changes if side == BID], before[BID], self._cutoffs[BID])
        asks = self._side(book.asks, [(t, s) for side, t, s in changes if side == ASK], before[ASK], self._cutoffs[ASK])
        return bids, asks

    @staticmethod
    def _side(levels: Side, changes: list[Level], before: int | None, after: int | None) -> list[Level]:
        told = [(tick, lots) for tick, lots in changes if levels.within(tick, after)]
        if before is not None and before != after:
            known = {tick for tick, _ in told}
            told += [level for level in levels.between(before, after) if level[0] not in known]
        return told


_Edit = tuple["re.Pattern[bytes]", Callable[["re.Match[bytes]"], bytes]]


def _quoted(match: "re.Match[bytes]") -> bytes:
    return match[1] + b'"x' + match[2] + b'"'


def _shift(match: "re.Match[bytes]") -> bytes:
    return match[1] + str(int(match[2]) + 1000).encode()


def _flip(match: "re.Match[bytes]") -> bytes:
    return match[1] + str(int(match[2]) ^ 1).encode()


def _next_digit(match: "re.Match[bytes]") -> bytes:
    return match[1] + str((int(match[2]) + 1) % 10).encode()


# (channel, how) -> what is found (once), what stands there instead. Kraken's book and quotes have no sequence.
EDITS: dict[tuple[str, str], _Edit] = {
    (BOOK, "type"): (re.compile(rb'("checksum":)(\d+)'), _quoted),
    (BOOK, "checksum"): (re.compile(rb'("checksum":)(\d+)'), _flip),
    (BOOK, "digit"): (re.compile(rb'("qty":[0-9.]+)(\d)(?=\})'), _next_digit),
    (QUOTES, "type"): (re.compile(rb'("bid":)([0-9.]+)'), _quoted),
    (QUOTES, "digit"): (re.compile(rb'("bid_qty":[0-9.]+)(\d)(?=,)'), _next_digit),
    (TICKERS, "type"): (re.compile(rb'("bid":)([0-9.]+)'), _quoted),
    (TICKERS, "digit"): (re.compile(rb'("volume":[0-9.]+)(\d)(?=,)'), _next_digit),
    (CANDLES, "type"): (re.compile(rb'("trades":)(\d+)'), _quoted),
    (CANDLES, "digit"): (re.compile(rb'("volume":[0-9.]+)(\d)(?=,)'), _next_digit),
    (INSTRUMENTS, "type"): (re.compile(rb'("price_precision":)(\d+)'), _quoted),
    (INSTRUMENTS, "digit"): (re.compile(rb'("qty_min":[0-9.]+)(\d)(?=,)'), _next_digit),
    (STATUS, "type"): (re.compile(rb'("connection_id":)(\d+)'), _quoted),
    (TRADES, "type"): (re.compile(rb'("trade_id":)(\d+)'), _quoted),
    (TRADES, "sequence"): (re.compile(rb'("trade_id":)(\d+)'), _shift),
    (TRADES, "digit"): (re.compile(rb'("qty":[0-9.]+)(\d)(?=,)'), _next_digit),
}


def corrupt(frame: Frame, how: str) -> bytes:
    """The frame's payload, broken as `how` says; `json` cuts it in half."""
    if how == "json":
        return frame.payload[: len(frame.payload) // 2]
    pattern, edit = EDITS[frame.channel, how]
    return pattern.sub(edit, frame.payload, count=1)
