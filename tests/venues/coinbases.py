"""A Coinbase core on a bench, and the messages that its tests share: every one is numbered as the venue does it."""

import json
from collections.abc import Sequence
from typing import Any

from collector.records import Gap, Level
from collector.venues.coinbase import CoinbaseCore
from collector.venues.protocol import Channel, CoreSettings, Wanted
from tests.venues.kit import Bench, Message

BIDS: list[Level] = [("100.00", "1.5"), ("99.50", "2"), ("99.00", "0.25")]
ASKS: list[Level] = [("101.00", "0.5"), ("101.50", "3"), ("102.00", "4.75")]
EVENTS = dict[str, Any]
WIRED: dict[Channel, str] = {
    "book": "level2",
    "trades": "market_trades",
    "quotes": "ticker",
    "tickers": "ticker",
    "candles": "candles",
    "instruments": "status",
}


def stamp(micros: int = 0) -> str:
    """The venue's time `micros` after a fixed moment (less than a second)."""
    return f"2023-11-14T22:13:20.{micros:06d}Z"


def book(
    kind: str, bids: Sequence[Level] = (), asks: Sequence[Level] = (), product: str = "BTC-USD", at: int | None = 7
) -> EVENTS:
    time = "1970-01-01T00:00:00Z" if at is None or kind == "snapshot" else stamp(at)
    updates = [
        {"side": side, "event_time": time, "price_level": price, "new_quantity": size}
        for side, levels in (("bid", bids), ("offer", asks))
        for price, size in levels
    ]
    return {"channel": "l2_data", "events": [{"type": kind, "product_id": product, "updates": updates}]}


def trades(*idents: int, kind: str = "update", product: str = "BTC-USD") -> EVENTS:
    """Newest first, as the venue does it; the maker bought."""
    items = [
        {
            "product_id": product,
            "trade_id": str(ident),
            "price": "100.5",
            "size": "0.25",
            "time": stamp(ident % 1_000_000),
            "side": "BUY",
        }
        for ident in sorted(idents, reverse=True)
    ]
    return {"channel": "market_trades", "events": [{"type": kind, "trades": items}]}


def ticker(price: str = "100.5", bid: str = "100.00", product: str = "BTC-USD", **more: str) -> EVENTS:
    item = {
        "type": "ticker",
        "product_id": product,
        "price": price,
        "volume_24_h": "15328.12345678",
        "low_24_h": "90.00",
        "high_24_h": "110.00",
        "price_percent_chg_24_h": "1.85",
        "best_bid": bid,
        "best_bid_quantity": "1.5",
        "best_ask": "101.00",
        "best_ask_quantity": "0.5",
    }
    return {"channel": "ticker", "events": [{"type": "update", "tickers": [item | more]}]}


def candles(*bars: tuple[int, str], kind: str = "update", product: str = "BTC-USD") -> EVENTS:
    """Bars (start in seconds, close), newest first."""
    items = [
        {
            "start": str(start),
            "high": "110",
            "low": "90",
            "open": "100",
            "close": close,
            "volume": "42.15",
            "product_id": product,
        }
        for start, close in sorted(bars, reverse=True)
    ]
    return {"channel": "candles", "events": [{"type": kind, "candles": items}]}


def status(word: str = "online", product: str = "BTC-USD") -> EVENTS:
    base, _, quote = product.partition("-")
    item = {
        "product_type": "SPOT",
        "id": product,
        "base_currency": base,
        "quote_currency": quote,
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "display_name": f"{base}/{quote}",
        "status": word,
        "status_message": "",
        "min_market_funds": "1",
    }
    return {"channel": "status", "events": [{"type": "snapshot", "products": [item]}]}


def heartbeat(counter: int | str) -> EVENTS:
    return {"channel": "heartbeats", "events": [{"current_time": "2023-11-14", "heartbeat_counter": counter}]}


def subscriptions(**channels: list[str]) -> EVENTS:
    return {"channel": "subscriptions", "events": [{"subscriptions": channels}]}


def product(ident: str, word: str = "online", **more: Any) -> dict[str, Any]:
    base, _, quote = ident.partition("-")
    row = {
        "product_id": ident,
        "price": "100.5",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "quote_min_size": "1",
        "base_min_size": "0.0001",
        "is_disabled": False,
        "status": word,
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": quote,
        "base_currency_id": base,
        "alias": "",
        "alias_to": [],
        "price_increment": "0.01",
    }
    return row | more


def listing(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"products": list(rows), "num_products": len(rows), "pagination": None}


class Coinbase(Bench):
    """A bench whose messages are numbered: `say` the next one, `skip` some that are lost."""

    number = 0
    beats = 0

    def say(self, event: EVENTS, number: int | None = None) -> str:
        """Deliver an event, numbered, and give what kind of message it was taken for."""
        return self.frame(self.numbered(event, number))

    def says(self, *events: EVENTS) -> None:
        for event in events:
            self.say(event)

    def numbered(self, event: EVENTS, number: int | None = None) -> Message:
        if number is None:
            number, self.number = self.number, self.number + 1
        return json.dumps({"channel": event["channel"], "client_id": "", "timestamp": stamp(999_999),
                           "sequence_num": number, "events": event["events"]}, separators=(",", ":"))  # fmt: skip

    def skip(self, count: int = 1) -> None:
        """Lose messages."""
        self.number += count

    def connect(self) -> None:
        self.number = 0
        super().connect()

    def asked(self) -> list[tuple[str, str, str]]:
        """What was asked for since the last call: (subscribe or unsubscribe, channel, products)."""
        return [(sent["type"], sent["channel"], ",".join(sent.get("product_ids", ()))) for sent in self.sent()]


def bench(
    *channels: Channel,
    instruments: Sequence[str] = ("BTC-USD",),
    listed: Sequence[str] | None = None,
    depth: int = 10,
) -> Coinbase:
    """A core whose streams are subscribed and acknowledged, with nothing said so far."""
    wanted = [Wanted(name, channel) for name in instruments for channel in channels]
    made = Coinbase(CoinbaseCore(wanted, CoreSettings(depth=depth)))
    made.connect()
    made.wait(1)
    names = instruments if listed is None else listed
    made.reply(listing(*(product(name) for name in names)), endpoint="listing")
    made.say(subscriptions(heartbeats=["heartbeats"]))
    made.say(subscriptions(**{WIRED[channel]: list(names) for channel in channels if channel in WIRED}))
    made.forget()
    return made


def with_books(*instruments: str) -> Coinbase:
    """Books that are in sync."""
    made = bench("book", instruments=instruments)
    made.says(*(book("snapshot", BIDS, ASKS, name) for name in instruments))
    assert {made.state(name, "book") for name in instruments} == {"in_sync"}
    made.forget()
    return made


def beating(made: Coinbase, seconds: int) -> None:
    """Let time pass on a connection that sends heartbeats and nothing else."""
    for _ in range(seconds):
        made.wait(1)
        made.say(heartbeat(made.beats))
        made.beats += 1


def holes(made: Bench, channel: str) -> list[tuple[int | None, int | None, bool]]:
    """The gaps of a channel: first, last, and whether it is whole again."""
    return [(gap.first, gap.last, gap.repaired_ts is not None) for gap in made.of(Gap) if gap.channel == channel]


def reconnected(made: Coinbase) -> None:
    made.disconnect()
    made.connect()
    made.say(subscriptions(heartbeats=["heartbeats"]))
