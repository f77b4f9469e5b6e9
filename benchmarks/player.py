"""The exchange of the benchmark: a process that plays a tape over TLS to whoever subscribes, as fast as it is read.

It owns the listening port. It must never be what is measured: every frame is encoded before the first client comes, and
many are written at once, so that it uses a small part of what the fastest reader does (it says how much). Each client
gets the tape from its beginning: `warm` messages, a rest until all book snapshots were fetched, then the others.

    python -m benchmarks.player '{"tape": …, "directory": …, "recordings": …, "messages": …, "rate": …}'

It writes one JSON line when it listens and one for each tape that was played, and ends with SIGTERM.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
from aiohttp import WSMsgType, web

from benchmarks.made import generated
from benchmarks.results import HOST, Offer, Played, Settings, say
from benchmarks.tape import STREAMS, Kind, recorded
from simulator.tls import Tls

WARM = 2_000
"""Messages before the measured ones."""
SETTLE_S = 0.3
BLOCK = 16 * 1024
"""Bytes that are written at once: what one TLS record holds."""
AHEAD = 1024 * 1024
"""Bytes that may wait for the reader."""
TICK_S = 0.001


class Player:
    """One tape, for any number of clients, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self._rate = settings.rate
        self.tape = recorded(Path(settings.recordings)) if settings.tape == "recorded" else generated(settings.tape)
        self.sent: Counter[Kind] = Counter()
        frames: list[bytes] = []
        for kind, payload in self.tape.frames(WARM + settings.messages):
            frames.append(frame(payload))
            self.sent[kind] += 1
        self._warm = b"".join(frames[:WARM])
        self._blocks = frames[WARM:] if self._rate else list(blocks(frames[WARM:]))
        self._unsynced: set[str] = set()

    def app(self) -> web.Application:
        """Answer as Binance does, as far as the readers ask."""
        app = web.Application()
        app.router.add_get("/api/v3/exchangeInfo", self._listing)
        app.router.add_get("/api/v3/depth", self._depth)
        app.router.add_get("/stream", self._stream)
        return app

    async def _listing(self, _: web.Request) -> web.Response:
        return web.Response(body=self.tape.listing, content_type="application/json")

    async def _depth(self, request: web.Request) -> web.Response:
        symbol = request.query["symbol"]
        self._unsynced.discard(symbol)
        return web.Response(body=self.tape.snapshots[symbol], content_type="application/json")

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        """Take streams from the address or by SUBSCRIBE; play when all have been asked for."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        transport = cast("asyncio.WriteTransport", request.transport)
        self._unsynced = set(self.tape.snapshots)
        every = len(self.tape.snapshots) * len(STREAMS)
        asked = len(request.query["streams"].split("/")) if "streams" in request.query else 0
        playing = asyncio.create_task(self._play(transport)) if asked == every else None
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                order: dict[str, Any] = msgspec.json.decode(message.data)
                await socket.send_str(f'{{"result":null,"id":{order["id"]}}}')
                asked += len(order["params"])
                if asked == every:
                    playing = asyncio.create_task(self._play(transport))
        if playing is not None:
            playing.cancel()
        return socket

    async def _play(self, transport: asyncio.WriteTransport) -> None:
        transport.write(self._warm)
        await _until(lambda: not self._unsynced)
        await asyncio.sleep(SETTLE_S)
        cpu, start = time.process_time(), time.monotonic()
        for number, block in enumerate(self._blocks):
            if self._rate:
                await _until(partial(_past, start + number / self._rate))
            await _until(lambda: transport.get_write_buffer_size() <= AHEAD)
            transport.write(block)
        await _until(lambda: transport.get_write_buffer_size() == 0)
        say(Played(time.process_time() - cpu, time.monotonic() - start))


def _past(due: float) -> bool:
    return time.monotonic() >= due


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - neither a clock nor a transport's buffer sets an Event
        await asyncio.sleep(TICK_S)


def frame(payload: bytes) -> bytes:
    """Give a whole WebSocket text frame as a server sends it (https://www.rfc-editor.org/rfc/rfc6455#section-5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return bytes((0x81, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x81, 127)) + size.to_bytes(8, "big") + payload


def blocks(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Join frames to blocks of about BLOCK bytes."""
    block: list[bytes] = []
    size = 0
    for one in frames:
        block.append(one)
        size += len(one)
        if size >= BLOCK:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)


async def serve(settings: Settings) -> None:
    """Play until cancelled."""
    player = Player(settings)
    tls = Tls(Path(settings.directory), HOST, lambda: None)
    runner = web.AppRunner(player.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=tls.context)
    await site.start()
    port: int = runner.addresses[0][1]
    instruments = list(player.tape.instruments.values())
    say(Offer(port, str(tls.ca_file), player.tape.origin, instruments, WARM, dict(player.sent)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(msgspec.json.decode(sys.argv[1], type=Settings)))
