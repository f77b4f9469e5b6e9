"""Drives one venue core by hand: a clock that moves only when told, and everything that the core said, kept."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar
from zlib import crc32

from collector.books.verdict import Verdict
from collector.clock import SECOND_NS, Now
from collector.records import AnyRecord, BookDelta, BookSnapshot, Gap, Level, Record
from collector.venues.protocol import (
    Answer,
    Channel,
    Core,
    DeadLetter,
    Event,
    Fetch,
    FrameKind,
    Reconnect,
    Send,
    StreamStatus,
    VerdictChange,
)

R = TypeVar("R", bound=Record)
WALL_US = 1_700_000_000_000_000
Message = str | bytes | dict[str, Any]


class Bench:
    """One core on a bench."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.mono = SECOND_NS
        self.records: list[Record] = []
        self.sends: list[Send] = []
        self.fetches: list[Fetch] = []
        self.reconnects: list[Reconnect] = []
        self.verdicts: list[VerdictChange] = []
        self.dead: list[DeadLetter] = []
        self.events: list[Event] = []

    @property
    def now(self) -> Now:
        return Now(self.mono, WALL_US + self.mono // 1000)

    def connect(self) -> None:
        self.core.connected(self.now)
        self.drain()

    def disconnect(self, cause: str = "closed") -> None:
        self.core.disconnected(self.now, cause)
        self.drain()

    def frame(self, message: Message) -> FrameKind:
        data = message if isinstance(message, bytes) else as_text(message).encode()
        kind = self.core.frame(data, self.now)
        self.drain()
        return kind

    def frames(self, *messages: Message) -> None:
        for message in messages:
            self.frame(message)

    def reply(self, body: Message = b"", *, status: int = 200, endpoint: str = "", request: str | None = None) -> Fetch:
        """Answer the oldest open request (of `endpoint`)."""
        fetch = next(fetch for fetch in self.fetches if endpoint in ("", fetch.endpoint))
        self.fetches.remove(fetch)
        query = "&".join(f"{key}={value}" for key, value in fetch.params)
        url = f"GET https://example.org{fetch.path}?{query}" if request is None else request
        data = body if isinstance(body, bytes) else as_text(body).encode()
        self.core.reply(fetch, Answer(status, data, url), self.now)
        self.drain()
        return fetch

    def wait(self, seconds: float) -> None:
        """Let time pass, waking the core whenever it wants to be."""
        end = self.mono + int(seconds * SECOND_NS)
        while self.core.deadline <= end:
            self.mono = max(self.mono, self.core.deadline)
            self.core.wake(self.now)
            self.drain()
        self.mono = end

    def drain(self) -> None:
        out = self.core.out
        self.records += out.records
        self.verdicts += out.verdicts
        self.dead += out.dead
        self.events += out.events
        for command in out.commands:
            if isinstance(command, Send):
                self.sends.append(command)
            elif isinstance(command, Fetch):
                self.fetches.append(command)
            else:
                self.reconnects.append(command)
        out.clear()

    # -- what it said ------------------------------------------------------------------------------------------------

    def of(self, kind: type[R]) -> list[R]:
        return [record for record in self.records if isinstance(record, kind)]

    def status(self, instrument: str, channel: Channel) -> StreamStatus:
        every = self.core.streams(digests=True)
        return next(status for status in every if (status.instrument, status.channel) == (instrument, channel))

    def verdict(self, instrument: str, channel: Channel) -> Verdict:
        return self.status(instrument, channel).verdict

    def state(self, instrument: str, channel: Channel) -> str:
        return self.verdict(instrument, channel).state

    def sent(self) -> list[dict[str, Any]]:
        """Take what was sent since the last call, decoded."""
        taken, self.sends = self.sends, []
        return [json.loads(send.text) for send in taken]

    def count(self, kind: str) -> int:
        return sum(event.kind == kind for event in self.events)

    def forget(self) -> None:
        """Drop what was said so far, but for open requests."""
        for kept in (self.records, self.sends, self.reconnects, self.verdicts, self.dead, self.events):
            kept.clear()


def as_text(message: str | dict[str, Any]) -> str:
    return message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))


class Consumer:
    """Somebody who only has the records: applies a BookSnapshot and then deltas, keyed by the price's text."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.valid = False

    def take(self, record: AnyRecord | Record) -> None:
        if isinstance(record, BookSnapshot):
            self.bids, self.asks, self.valid = dict(record.bids), dict(record.asks), True
        elif isinstance(record, BookDelta):
            for side, levels in ((self.bids, record.bids), (self.asks, record.asks)):
                for price, size in levels:
                    if size == "0":
                        side.pop(price, None)  # a level may come and go within one message
                    else:
                        side[price] = size
        elif isinstance(record, Gap) and record.channel == "book" and record.repaired_ts is None:
            self.valid = False

    def levels(self) -> tuple[list[Level], list[Level]]:
        return (
            sorted(self.bids.items(), key=lambda level: -float(level[0])),
            sorted(self.asks.items(), key=lambda level: float(level[0])),
        )


# -- Binance ---------------------------------------------------------------------------------------------------------


def depth(
    first: int, last: int, bids: Sequence[Level] = (), asks: Sequence[Level] = (), symbol: str = "BTCUSDT"
) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": 1_700_000_000_000 + last, "s": symbol, "U": first, "u": last, "b": bids, "a": asks}
    return {"stream": f"{symbol.lower()}@depth@100ms", "data": data}


def depth_book(last: int, bids: Sequence[Level], asks: Sequence[Level]) -> dict[str, Any]:
    return {"lastUpdateId": last, "bids": bids, "asks": asks}


def binance_trade(ident: int, symbol: str = "BTCUSDT", price: str = "100.10", size: str = "0.500") -> dict[str, Any]:
    when = 1_700_000_000_000 + ident
    data = {"e": "trade", "E": when, "s": symbol, "t": ident, "p": price, "q": size, "T": when, "m": True, "M": True}
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def book_ticker(update: int, symbol: str = "BTCUSDT", bid: str = "100.00") -> dict[str, Any]:
    data = {"u": update, "s": symbol, "b": bid, "B": "1.0", "a": "101.00", "A": "2.0"}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data}


def exchange_info(*symbols: tuple[str, str]) -> dict[str, Any]:
    return {
        "symbols": [
            {"symbol": base + quote, "status": "TRADING", "baseAsset": base, "quoteAsset": quote}
            for base, quote in symbols
        ]
    }


# -- Kraken ----------------------------------------------------------------------------------------------------------


def kraken_crc(bids: Sequence[Level], asks: Sequence[Level]) -> int:
    """The exchange's rule, written down again: tests must not ask the code under test."""
    parts = [text.replace(".", "").lstrip("0") for side in (asks[:10], bids[:10]) for level in side for text in level]
    return crc32("".join(parts).encode())


def kraken_time(ticks: int) -> str:
    """The venue's time stamp `ticks` microseconds after a fixed moment (less than a second)."""
    return f"2023-11-14T22:13:20.{ticks:06d}Z"


def kraken_book(
    kind: str,
    bids: Sequence[Level],
    asks: Sequence[Level],
    checksum: int,
    *,
    symbol: str = "BTC/USD",
    ticks: int | None = None,
) -> str:
    def side(levels: Sequence[Level]) -> str:
        return "[" + ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in levels) + "]"

    stamp = "" if ticks is None else f',"timestamp":"{kraken_time(ticks)}"'
    item = f'{{"symbol":"{symbol}","bids":{side(bids)},"asks":{side(asks)},"checksum":{checksum}{stamp}}}'
    return f'{{"channel":"book","type":"{kind}","data":[{item}]}}'


def kraken_trade(ident: int, symbol: str = "BTC/USD", kind: str = "update") -> dict[str, Any]:
    return kraken_trades([ident], symbol, kind)


def kraken_trades(idents: Sequence[int], symbol: str = "BTC/USD", kind: str = "update") -> dict[str, Any]:
    items = [
        {
            "symbol": symbol,
            "side": "buy",
            "price": 100.5,
            "qty": 0.25,
            "ord_type": "market",
            "trade_id": ident,
            "timestamp": kraken_time(ident % 1_000_000),
        }
        for ident in idents
    ]
    return {"channel": "trade", "type": kind, "data": items}


def kraken_ticker(bid: float = 100.5, symbol: str = "BTC/USD") -> dict[str, Any]:
    item = {"symbol": symbol, "bid": bid, "bid_qty": 1.5, "ask": bid + 1, "ask_qty": 2.5, "last": bid, "volume": 9.0}
    return {"channel": "ticker", "type": "update", "data": [item]}


def kraken_instruments(*symbols: str) -> dict[str, Any]:
    pairs = [{"symbol": s, "status": "online", "price_precision": 1, "qty_precision": 8} for s in symbols]
    return {"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": pairs}}


def kraken_ack(channel: str, symbol: str = "BTC/USD", method: str = "subscribe") -> dict[str, Any]:
    return {"method": method, "result": {"channel": channel, "symbol": symbol}, "success": True, "req_id": 1}
