"""A client of the simulated Coinbase that reads all that a step sent, and a book kept from its documents alone."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import aiohttp

from simulator.coinbase.venue import Coinbase
from tests.simulator.conftest import Harness, Json, Start

FREE = {
    "coinbase.messages_per_second": 10_000,
    "coinbase.connects": 10_000,
    "coinbase.rest_per_second": 10_000,
    "coinbase.heartbeat": 10_000,
    "coinbase.subscribe_within": 10_000,
}
BTC, ETH = "BTC-USD", "ETH-USD"


@contextlib.asynccontextmanager
async def coinbase(start: Start, **limits: float) -> AsyncIterator[Harness]:
    """A simulator of Coinbase alone, in step mode with seed 1; its limits are lifted unless given."""
    given = {f"coinbase.{name}": value for name, value in limits.items()}
    symbols = (BTC, ETH, "BTC-USDT", "BTC-USDT-PERP")
    async with start(seed=1, venues=("coinbase",), symbols=symbols, limits=FREE | given) as harness:
        yield harness


def venue(harness: Harness) -> Coinbase:
    found = harness.simulator.venues["coinbase"]
    assert isinstance(found, Coinbase)
    return found


class CoinbaseClient:
    """One WebSocket; the error for a channel that does not exist marks the end of what came."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def send(self, kind: str, channel: str, *products: str) -> None:
        body: dict[str, Json] = {"type": kind, "channel": channel}
        if products:
            body["product_ids"] = list(products)
        await self.ws.send_str(json.dumps(body))

    async def subscribe(self, channel: str, *products: str) -> list[Any]:
        """All that came up to the acknowledgement and after it."""
        await self.send("subscribe", channel, *products)
        return await self.read()

    async def read_text(self) -> list[str]:
        await self.send("subscribe", "mark")
        found: list[Any] = []
        while True:
            message = await self.ws.receive(timeout=5)
            assert message.type is aiohttp.WSMsgType.TEXT, f"the connection ended: {message}"
            if message.data == '{"type":"error","message":"channel mark is not supported"}':
                return found
            found.append(message.data)

    async def read(self) -> list[Any]:
        return [json.loads(text) for text in await self.read_text()]

    async def ended(self) -> tuple[int, str]:
        """The code and reason that the connection is closed with next."""
        message = await self.ws.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return message.data, message.extra or ""


async def connect(harness: Harness, path: str = "/coinbase") -> CoinbaseClient:
    return CoinbaseClient((await harness.connect(path, max_msg_size=16 * 1024 * 1024)).ws)


async def rest(harness: Harness, path: str, **params: Json) -> Json:
    return await harness.get(f"/coinbase/api/v3/brokerage/{path}", **params)


def micros(stamp: str) -> int:
    """An ISO time with six decimals or more as microseconds."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000 + int(fraction[:6])


def numbers(messages: list[Any]) -> list[int]:
    """The sequence numbers of all frames that have one."""
    return [one["sequence_num"] for one in messages if "sequence_num" in one]


def events(messages: list[Any], channel: str) -> list[Any]:
    return [event for one in messages if one.get("channel") == channel for event in one["events"]]


class CoinbaseBook:
    """A snapshot of all levels, then absolute sizes."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"bid": {}, "offer": {}}

    def apply(self, event: dict[str, Any]) -> str:
        """Take an event; the time that it stands for."""
        if event["type"] == "snapshot":
            self.sides = {"bid": {}, "offer": {}}
        for update in event["updates"]:
            side = self.sides[update["side"]]
            if Decimal(update["new_quantity"]) == 0:
                side.pop(update["price_level"], None)
            else:
                side[update["price_level"]] = update["new_quantity"]
        stamp: str = event["updates"][-1]["event_time"]
        return stamp

    def levels(self) -> list[list[list[str]]]:
        """Bids and offers, best first."""
        return [
            [list(level) for level in sorted(side.items(), key=lambda one: Decimal(one[0]), reverse=name == "bid")]
            for name, side in self.sides.items()
        ]


async def truth(harness: Harness, symbol: str, at: int | None = None) -> list[list[list[str]]]:
    """The ledger's book, at a microsecond."""
    more = {} if at is None else {"at": at}
    book = await harness.get("/control/ledger/book", venue="coinbase", symbol=symbol, **more)
    assert "error" not in book, book
    return [book["bids"], book["asks"]]
