"""One client's WebSocket: what it subscribed to, what waits to be sent to it, and how it ends.

It owns the outgoing queue and its writer task, so that one slow client delays nobody else. It must never choose what to
send. A client that lets too much pile up is cut off, as an exchange does, and the cut is counted.
"""

import asyncio
import contextlib
from collections import deque

from aiohttp import WSMsgType, web

from simulator.clock import Clock
from simulator.frames import BINARY, TEXT, Frame, Meter
from simulator.limits import SlidingWindow

QUEUE_BYTES = 256 * 1024 * 1024  # a fault may send one message of 100 MB
CLOSE_SECONDS = 1.0

_Item = tuple[bytes, WSMsgType, str, float]
_OPCODES = {TEXT: WSMsgType.TEXT, BINARY: WSMsgType.BINARY}


class Connection:
    """A connected client. `keys` maps the venue's subscription keys to whatever the venue notes about them."""

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        venue: str,
        meter: Meter,
        clock: Clock,
        messages: SlidingWindow,
    ) -> None:
        self.request = request
        self.ws = ws
        self.keys: dict[str, str] = {}
        self.combined = False
        self.messages = messages
        self.opened = self.last_sent = self.last_ping = self.last_pong = clock.mono()
        self.pings: set[bytes] = set()  # sent and not yet answered
        self.first_ping = 0.0  # when the oldest of them was sent
        about = {"path": request.path_qs, "remote": request.remote}
        self.number, self._own, self._venue = meter.open(venue, about)
        self._meter = meter
        self._clock = clock
        self._queue: deque[_Item] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = ""
        self._closing = False  # a close frame waits to go out
        self._task = asyncio.create_task(self._write())

    def send(self, frame: Frame) -> None:
        """Queue a market message."""
        payload = frame.combined() if self.combined else frame.numbered(self.number)
        due = self._clock.mono() + frame.delay if frame.delay else 0.0
        self._put(payload, _OPCODES[frame.opcode], frame.channel, due)

    def say(self, channel: str, text: str) -> None:
        """Queue a message that belongs to this connection alone: an answer, a heartbeat, a listing."""
        self._put(text.encode(), WSMsgType.TEXT, channel, 0.0)

    def control(self, opcode: WSMsgType, payload: bytes) -> None:
        """Queue a ping or a pong."""
        self._put(payload, opcode, "", 0.0)

    def ping(self, payload: bytes, now: float) -> None:
        """Send a ping; its answer clears `pings`."""
        if not self.pings:
            self.first_ping = now
        self.pings.add(payload)
        self.last_ping = now
        self.control(WSMsgType.PING, payload)

    def close(self, code: int, reason: str) -> None:
        """Close with a close frame, behind what is queued."""
        if not self._ended:
            self._put(code.to_bytes(2, "big") + reason.encode(), WSMsgType.CLOSE, "", 0.0)
            self._ended = reason or f"closed with {code}"
            self._closing = True

    def abort(self, why: str) -> None:
        """Cut the TCP connection; what is queued is lost."""
        self._ended = self._ended or why
        self._closing = False
        self._queue.clear()
        self._idle.set()
        if self.request.transport is not None:
            self.request.transport.abort()

    def _put(self, payload: bytes, opcode: WSMsgType, channel: str, due: float) -> None:
        if self._ended:
            return
        self._queue.append((payload, opcode, channel, due))
        self._bytes += len(payload)
        if self._bytes > QUEUE_BYTES:
            self.abort("too slow a consumer")
            return
        self._idle.clear()
        self._wake.set()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # the client went away: the reader notices and ends
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    await self._write_one(*self._queue.popleft())
                self._idle.set()
        self._ended = self._ended or "client went away"
        self._queue.clear()
        self._idle.set()

    async def _write_one(self, payload: bytes, opcode: WSMsgType, channel: str, due: float) -> None:
        self._bytes -= len(payload)
        if due and (wait := due - self._clock.mono()) > 0:
            await asyncio.sleep(wait)
        if opcode is WSMsgType.CLOSE:
            self._idle.set()
            await self.ws.close(code=int.from_bytes(payload[:2], "big"), message=payload[2:])
            return
        await self.ws.send_frame(payload, opcode)
        if channel:
            self._own.add(channel, len(payload))
            self._venue.add(channel, len(payload))
            self.last_sent = self._clock.mono()

    async def drained(self) -> None:
        """Return when everything queued was handed to the socket, or the client is gone."""
        await self._idle.wait()

    async def finish(self) -> None:
        """The reader has ended: let a close frame out, stop the writer, report."""
        if self._closing and not self._task.done():
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._meter.close(self.number, self._ended or "client closed")
        self._idle.set()
