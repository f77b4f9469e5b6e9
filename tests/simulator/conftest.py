"""Simulators in step mode, and a client that reads all that a step sent: nothing here waits for time to pass."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from simulator.server import Simulator

Json = Any  # what came off the wire, or is to go on it

BTC = {"venue": "binance", "symbol": "BTC-USDT"}

FREE = {
    "binance.messages_per_second": 10_000,
    "binance_usdm.messages_per_second": 10_000,
    "kraken.messages_per_second": 10_000,
    "kraken.rest_burst": 10_000,
    "kraken.heartbeat": 10_000,
}


class Client:
    """One WebSocket. `read` returns every message up to the answer of a request that it sends as a mark."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, venue: str) -> None:
        self.ws = ws
        self._venue = venue
        self._marks = 1000

    async def send(self, **body: Json) -> None:
        await self.ws.send_str(json.dumps(body))

    async def subscribe(self, *streams: str) -> list[Any]:
        """Binance: subscribe; all that came up to the acknowledgement."""
        await self.send(method="SUBSCRIBE", params=list(streams), id=1)
        return await self.read()

    async def follow(self, channel: str, *symbols: str, **more: Json) -> list[Any]:
        """Kraken: subscribe; acknowledgements and snapshots."""
        params = {"channel": channel, **({"symbol": list(symbols)} if symbols else {}), **more}
        await self.send(method="subscribe", params=params, req_id=1)
        return await self.read()

    async def read_text(self) -> list[str]:
        self._marks += 1
        mark = self._marks
        if self._venue.startswith("binance"):
            await self.send(method="LIST_SUBSCRIPTIONS", id=mark)
        else:
            await self.send(method="ping", req_id=mark)
        found = []
        while True:
            message = await self.ws.receive(timeout=5)
            if message.type is aiohttp.WSMsgType.BINARY:
                found.append("<binary>")
                continue
            assert message.type is aiohttp.WSMsgType.TEXT, f"the connection ended: {message}"
            with contextlib.suppress(ValueError):
                body = json.loads(message.data)
                if isinstance(body, dict) and mark in (body.get("id"), body.get("req_id")):
                    return found
            found.append(message.data)

    async def read(self) -> list[Any]:
        return [json.loads(text, parse_float=Decimal) for text in await self.read_text()]


class Harness:
    """A simulator and what connects to it."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session
        self._open: list[aiohttp.ClientWebSocketResponse] = []

    async def connect(self, path: str, **options: Json) -> Client:
        ws = await self.session.ws_connect(f"{self.simulator.ws_url}{path}", **options)
        self._open.append(ws)
        return Client(ws, path.split("/")[1])

    async def get(self, path: str, **params: Json) -> Json:
        async with self.session.get(f"{self.simulator.http_url}{path}", params=params) as reply:
            return json.loads(await reply.text())

    async def reply(self, path: str, **params: Json) -> tuple[int, dict[str, str], str]:
        async with self.session.get(f"{self.simulator.http_url}{path}", params=params) as reply:
            return reply.status, dict(reply.headers), await reply.text()

    async def post(self, path: str, **body: Json) -> Json:
        async with self.session.post(f"{self.simulator.http_url}{path}", json=body) as reply:
            return await reply.json()

    async def ended(self) -> list[str]:
        """Why the first connection that ended did so, once it has."""
        for _ in range(10_000):
            closed = [one["ended"] for one in self.simulator.world.meter.report()["connections"] if not one["open"]]
            if closed:
                return closed
            await asyncio.sleep(0)
        raise TimeoutError("no connection ended")

    async def close(self) -> None:
        for ws in self._open:
            await ws.close()


async def trades(harness: Harness) -> Client:
    return await harness.connect("/binance/ws/btcusdt@trade")


async def step(harness: Harness, count: int = 60) -> None:
    await harness.simulator.step(count, "binance", "BTC-USDT")


def gaps(ids: list[int]) -> list[tuple[int, int]]:
    return [(before + 1, after - 1) for before, after in pairwise(ids) if after != before + 1]


async def fault(harness: Harness, kind: str, **more: Json) -> Json:
    answer = await harness.post("/control/faults", kind=kind, **more)
    assert "error" not in answer, answer
    return answer


async def applied(harness: Harness) -> Json:
    return (await harness.get("/control/faults"))["applied"]


Start = Callable[..., "contextlib.AbstractAsyncContextManager[Harness]"]


@pytest.fixture
def start() -> Start:
    """To be used with `async with`; limits are lifted unless given."""

    @contextlib.asynccontextmanager
    async def make(**options: Json) -> AsyncIterator[Harness]:
        options["limits"] = FREE | options.get("limits", {})
        options.setdefault("symbols", ("BTC-USDT", "ETH-USDT", "BTC-USD"))
        options.setdefault("venues", ("binance", "kraken"))
        async with Simulator(**options) as simulator, aiohttp.ClientSession() as session:
            harness = Harness(simulator, session)
            yield harness
            await harness.close()

    return make


@pytest.fixture
async def harness(start: Start) -> AsyncIterator[Harness]:
    """A simulator with seed 1 in step mode."""
    async with start(seed=1) as one:
        yield one
