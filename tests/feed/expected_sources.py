"""Our records told in the words of the parsers that the expectations come from: cryptofeed, crypto-msg-parser.

Each function gives, for the keys of an expectation, our value. What is not here has no counterpart and must be
explained (`test_replay_expected`).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zlib import crc32

from collector.quality.candles import interval_us
from tests.feed.expected import contracts, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.feed.expected import Body, Book, Expectation

NOTES = ("type", "timestamp_from")
"""Keys that say something of an expectation and not of the market."""
MOVED = "moved"
"""A key of ours alone: how many levels of a delta moved across the depth to which a book is published."""
DATED = re.compile(r"-\d{6}\"")


class NoCounterpartError(LookupError):
    """There is nothing of ours for a key."""


def micro(ts: int | None) -> Decimal | None:
    return None if ts is None else Decimal(ts) / 10**6


def okx_crc(bids: list[Any], asks: list[Any]) -> int:
    """The checksum that OKX sent until 2026: 25 levels a side, alternating; the exchange's rule, written down here."""
    parts: list[str] = []
    for at in range(25):
        for side in (bids, asks):
            parts += side[at] if at < len(side) else ()
    return crc32(":".join(parts).encode())


# -- cryptofeed --------------------------------------------------------------------------------------------------------


def cryptofeed(item: Body, record: Body, book: Book | None) -> Body:
    """Our record, told as cryptofeed tells one."""
    base, quote = record["instrument"].split("-")
    perp = record["market"] == "perp"
    told = {
        "symbol": record["instrument"] + ("-PERP" if perp else ""),
        "base": base,
        "quote": quote,
        "instrument": "PERP" if perp else "spot",
        "timestamp": micro(record["ts"]),
    }
    if item["type"] == "trade":
        assert record["type"] == "Trade"
        return told | {key: record[key] for key in ("side", "price", "size")} | {"trade_id": record["id"]}
    if item["type"] == "ticker":
        assert record["type"] in ("Quote", "Ticker")
        return told | {"bid": record["bid"], "ask": record["ask"]}
    if item["type"] == "candle":
        assert record["type"] == "Candle"
        start = Decimal(record["open_ts"]) / 10**6
        stop = start + Decimal(interval_us(record["interval"])) / 10**6 - Decimal("0.001")
        same_keys = ("interval", "open", "high", "low", "close", "volume", "trades", "closed")
        return told | {key: record[key] for key in same_keys} | {"start": start, "stop": stop}
    assert book is not None
    changes, moved = (None, 0) if item["delta"] is None else delta(item, record, book)
    return told | {
        MOVED: moved,
        "snapshot": record["type"] == "BookSnapshot",
        "top5_bids": book.bids[:5],
        "top5_asks": book.asks[:5],
        "depth": [len(book.bids), len(book.asks)],
        "sequence_number": record["last_seq"],
        "checksum": okx_crc(book.bids, book.asks) if record["venue"] == "okx" else None,
        "delta": changes,
    }


def delta(item: Body, record: Body, book: Book) -> tuple[Body, int]:
    """Our changes in the order of theirs, and how many of ours are left out: levels that came to be among the first
    `depth`, or no longer are, because others went or came.

    What changes nothing (the level is as it was) is not in a delta of ours.
    """
    told: Body = {}
    moved = 0
    for theirs, ours in (("bid", "bids"), ("ask", "asks")):
        sizes = {Decimal(price): size for price, size in record[ours]}
        before = {Decimal(price): size for price, size in book.before[ours].items()}
        told[theirs] = []
        for text, size in item["delta"][theirs]:
            price = Decimal(text)
            if price not in sizes and same(before.get(price, "0"), size):
                sizes[price] = before.get(price, "0")
            if price in sizes:
                told[theirs].append([price, sizes.pop(price)])
        last = {Decimal(price) for price, _ in book.side(ours)[record["depth"] - len(record[ours]) :]}
        beyond = [price for price in sizes if price in last or (price in before and sizes[price] == "0")]
        if len(book.side(ours)) == record["depth"]:
            moved += len(beyond)
            sizes = {price: size for price, size in sizes.items() if price not in beyond}
        told[theirs] += [[price, size] for price, size in sizes.items()]
    return told, moved


# -- crypto-msg-parser -------------------------------------------------------------------------------------------------


class Parser:
    """Our records, told as crypto-msg-parser tells them."""

    def __init__(self, one: Expectation, records: list[Body], book: Book | None) -> None:
        expected = one.line["expected"]
        self.asserts: Body = {key: value for key, value in expected.items() if key != "asserts"} | expected["asserts"]
        self.records, self.book = records, book
        self.contract = contracts().get(records[0]["symbol"]) if one.line["exchange"] == "okx" else None
        self.unseen = 0
        """Removals of levels that our book does not hold."""

    def __getitem__(self, key: str) -> Any:
        record = self.records[0]
        if key in PLAIN:
            return record[PLAIN[key]]
        for pattern, told in TOLD.items():
            if found := re.fullmatch(pattern, key):
                return told(self, record, *found.groups())
        raise NoCounterpartError(key)

    def size(self, what: str, size: str, price: str) -> Decimal | None:
        """A size as contracts, base or quote currency; a contract of USDⓈ-M is one of base currency."""
        value = Decimal(size)
        if what.startswith("contract"):
            return value if self.records[0]["market"] == "perp" else None
        if self.contract is None:
            return value * Decimal(price) if what == "quote" else value
        worth, currency = self.contract
        assert self.records[0]["contract_size"] == str(worth)
        if currency != self.records[0]["instrument"].split("-")[what == "quote"]:
            raise NoCounterpartError(what)
        return value * worth

    def levels(self, side: str) -> list[tuple[Decimal, str]]:
        """Our levels; of a delta in the order of theirs, removals of what our book does not hold among them."""
        assert self.book is not None
        record = self.records[0]
        ours = [(Decimal(price), size) for price, size in record[side]]
        if record["type"] == "BookSnapshot":
            return ours
        sizes = dict(ours)
        asserted = re.compile(rf"orderbook\.{side}\[\d+\]\.price")
        order = [Decimal(value) for key, value in self.asserts.items() if asserted.fullmatch(key)]
        held = {Decimal(price) for price in self.book.before[side]}
        for at, price in enumerate(order):
            gone = self.asserts.get(f"orderbook.{side}[{at}].quantity_base")
            if price not in sizes and price not in held and gone is not None and same(gone, "0"):
                sizes[price] = "0"
                self.unseen += 1
        return [(price, sizes.pop(price)) for price in order if price in sizes] + list(sizes.items())

    def level(self, _: Body, side: str, at: str, what: str) -> Any:
        price, size = self.levels(side)[int(at)]
        return price if what == "price" else self.size(what.removeprefix("quantity_"), size, str(price))

    def funding(self, _: Body, at: str, what: str) -> Any:
        record = self.records[int(at)]
        if what == "pair":
            return record["instrument"].replace("-", "/")
        keys = {"funding_rate": "rate", "estimated_rate": "next_rate"}
        if what in keys:
            return record[keys[what]]
        return record["ts" if what == "timestamp" else "funding_ts"] // 1000


PLAIN = {
    "exchange_symbol": "symbol", "bbo_msg.symbol": "symbol", "candlestick_msg.symbol": "symbol", "bbo_msg.id": "seq",
    "orderbook.seq_id": "last_seq", "trade.side": "side", "side": "side", "trade.price": "price", "price": "price",
    "candlestick_msg.period": "interval", "bbo_msg.bid_price": "bid", "bbo_msg.ask_price": "ask",
    **{f"candlestick_msg.{key}": key for key in ("open", "high", "low", "close", "volume")},
}  # fmt: skip
"""Keys that are told by one of ours as it is."""
TOLD: dict[str, Callable[..., Any]] = {
    r"funding_rates\[(\d+)\]\.(\w+)": Parser.funding,
    r"orderbook\.(bids|asks)\[(\d+)\]\.(\w+)(?:\.unwrap\(\))?": Parser.level,
    r"orderbook\.(bids|asks)\.len\(\)": lambda parser, _, side: len(parser.levels(side)),
    r"(?:trades|arr|funding_rates)\.len\(\)": lambda parser, _: len(parser.records),
    r"orderbook\.snapshot": lambda _, record: record["type"] == "BookSnapshot",
    r"(?:\w+\.)?(?:msg_|message_)?timestamp(?:_ms)?": lambda _, r: None if r["ts"] is None else r["ts"] // 1000,
    r"candlestick_msg\.begin_time": lambda _, record: record["open_ts"] // 10**6,
    r"candlestick_msg\.pair": lambda _, record: record["instrument"].replace("-", "/"),
    r"(base|quote)": lambda _, record, what: record["instrument"].split("-")[what == "quote"],
    r"(?:trade\.quantity|size)_(\w+)": lambda parser, r, what: parser.size(what, r["size"], r["price"]),
    r"bbo_msg\.(bid|ask)_quantity_(\w+)": lambda parser, r, side, what: parser.size(what, r[f"{side}_size"], r[side]),
}
"""Patterns of the other keys, and how they are told."""
