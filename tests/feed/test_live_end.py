"""How a live feed ends: at once, wholly, and only when it is told to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from aiohttp import web

from collector.venues.protocol import (
    Send,
)
from tests.feed.livekit import FACTS, FETCH, FakeCore, playing, stay, until


async def test_stopping_takes_less_than_a_second_and_leaves_no_task_when_the_peer_hangs() -> None:
    core, release = FakeCore(replace(FACTS, control_per_s=0.01)), asyncio.Event()
    core.on_connected = lambda: core.out.commands.extend([FETCH, Send("x", "subscribe"), Send("y", "subscribe")])

    async def hang(_: web.WebSocketResponse, __: web.Request, ___: int) -> None:
        await release.wait()

    async def rest(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with playing(hang, core, rest=rest) as stage:
        await until(lambda: stage.feed.connected and len(asyncio.all_tasks()) > 4, "a fetch on its way")
        start = time.monotonic()
        await stage.feed.stop()
        assert time.monotonic() - start < 1
        ours = {"receive", "control frames", "fetch depth"}
        assert not ours & {task.get_name() for task in asyncio.all_tasks()}
        assert core.inputs[-1][:2] == ("disconnected", "shutdown")
        assert stage.notes.ends == ["shutdown"]
        release.set()


async def test_fetches_of_a_connection_that_ended_are_given_up() -> None:
    core, asked, release = FakeCore(), asyncio.Event(), asyncio.Event()
    core.on_connected = lambda: core.out.commands.append(FETCH)

    async def rest(_: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        return web.Response()

    async def script(ws: web.WebSocketResponse, request: web.Request, count: int) -> None:
        if count == 1:
            await asked.wait()
            core.on_connected = lambda: None
            await ws.close()
        await stay(ws, request, count)

    async with playing(script, core, rest=rest):
        await until(lambda: core.names().count("connected") == 2, "a second connection")
        assert not any(task.get_name() == "fetch depth" for task in asyncio.all_tasks())
        release.set()
    assert "reply" not in core.names()


async def test_being_cancelled_from_outside_is_not_being_stopped() -> None:
    async with playing(stay) as stage:
        await until(lambda: stage.feed.connected, "a connection")
        task = stage.feed._task
        assert task is not None
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert stage.core.inputs[-1][:2] == ("disconnected", "shutdown")
