"""A client of the simulated OKX that reads all that a step sent, and a book kept from its documents alone."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import aiohttp

from simulator.okx.venue import Okx
from tests.simulator.conftest import Harness, Json, Start

PUBLIC, BUSINESS = "/okx/ws/v5/public", "/okx/ws/v5/business"
FREE = {"okx.connects": 10_000, "okx.rest_factor": 1000}
SYMBOLS = ("BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP", "ETH-USD")

Open = Callable[..., contextlib.AbstractAsyncContextManager[Harness]]


@contextlib.asynccontextmanager
async def okx(start: Start, **limits: float) -> AsyncIterator[Harness]:
    """A simulator of OKX alone, in step mode with seed 1; its limits are lifted unless given."""
    given = {f"okx.{name}": value for name, value in limits.items()}
    async with start(seed=1, venues=("okx",), symbols=SYMBOLS, limits=FREE | given) as harness:
        yield harness


def venue(harness: Harness) -> Okx:
    found = harness.simulator.venues["okx"]
    assert isinstance(found, Okx)
    return found


def arg(channel: str, name: str = "BTC-USDT") -> dict[str, str]:
    """A subscription by instrument, or by type when the name is one."""
    return {"channel": channel, "instType" if name in ("SPOT", "SWAP") else "instId": name}


class OkxClient:
    """One WebSocket; the answer to a text ping marks the end of what came."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def ask(self, op: str, *args: Json, **more: Json) -> list[Any]:
        """Send a request; all that came up to its end."""
        await self.ws.send_str(json.dumps({"op": op, "args": list(args), **more}))
        return await self.read()

    async def subscribe(self, *args: Json) -> list[Any]:
        """Subscribe; the pushes that came, the answers being all good."""
        got = await self.ask("subscribe", *args)
        answers = [one for one in got if "event" in one]
        assert [(one["event"], one["arg"]) for one in answers] == [("subscribe", one) for one in args]
        return [one for one in got if "event" not in one]

    async def ended(self) -> tuple[int, str]:
        """The code and reason that the connection is closed with next."""
        message = await self.ws.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return message.data, message.extra or ""

    async def read(self) -> list[Any]:
        await self.ws.send_str("ping")
        found: list[Any] = []
        while True:
            message = await self.ws.receive(timeout=5)
            assert message.type is aiohttp.WSMsgType.TEXT, f"the connection ended: {message}"
            if message.data == "pong":
                return found
            found.append(json.loads(message.data))


async def connect(harness: Harness, path: str = PUBLIC) -> OkxClient:
    return OkxClient((await harness.connect(path)).ws)


async def rest(harness: Harness, path: str, **params: Json) -> list[Any]:
    """The data of a good answer."""
    body = await harness.get(f"/okx/api/v5/{path}", **params)
    assert (body["code"], body["msg"]) == ("0", ""), body
    data: list[Any] = body["data"]
    return data


class OkxBook:
    """Snapshot, then updates chained by prevSeqId and seqId."""

    def __init__(self, seq: int | None = None, data: dict[str, Any] | None = None) -> None:
        self.seq = seq
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        if data is not None:
            self._put(data)

    def apply(self, message: dict[str, Any]) -> None:
        (data,) = message["data"]
        if message["action"] == "snapshot":
            assert data["prevSeqId"] == -1
            self.sides = {"bids": {}, "asks": {}}
        else:
            assert data["prevSeqId"] == self.seq, f"gap: {data['prevSeqId']} after {self.seq}"
        self._put(data)
        self.seq = data["seqId"]

    def _put(self, data: dict[str, Any]) -> None:
        for name, side in self.sides.items():
            for price, size, zero, orders in data[name]:
                assert zero == "0"
                assert (orders == "0") == (size == "0")
                if size == "0":
                    side.pop(price, None)
                else:
                    side[price] = size

    def levels(self, depth: int = 400) -> list[list[list[str]]]:
        """Bids and asks, best first."""
        return [
            [list(level) for level in sorted(side.items(), key=lambda one: Decimal(one[0]), reverse=name == "bids")][
                :depth
            ]
            for name, side in self.sides.items()
        ]


async def truth(harness: Harness, symbol: str, at: int | None = None, depth: int = 400) -> list[list[list[str]]]:
    """The ledger's book, at a seqId."""
    params: dict[str, Json] = {"venue": "okx", "symbol": symbol, "depth": depth}
    if at is not None:
        params["at"] = at
    book = await harness.get("/control/ledger/book", **params)
    assert "error" not in book, book
    return [book["bids"], book["asks"]]
