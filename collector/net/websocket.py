"""One WebSocket connection on aiohttp, behind one seam: payloads as bytes, each with the time at which its socket read
was taken up.

It owns the handshake, the receive loop, pongs and the name of the end; it never parses a payload, never reconnects and
never knows who sends. How the loop is shaped, and why: aiohttp parses all frames of a socket read at once, and
`receive()` does not suspend while parsed messages wait. So the first message after a suspension reads the clock and
asks the loop to call back as soon as it can, which is when `receive()` has really suspended: the burst is over and the
sink flushes. There is no await that suspends, no task, no queue and no timer per message, load batches itself, and all
frames of a read share one `Now`. A burst is cut at `MAX_BURST` messages, with a turn for everybody else and a new
reading of the clock (the rest has waited for us, and its receive time should say so).

Text stays bytes (`decode_text=False`, aiohttp ≥ 3.14): no decoding, and invalid UTF-8 is the core's to judge. Pings are
answered here rather than by aiohttp, because they prove that the peer lives and count as bytes for the silence guard.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Literal, Protocol

import aiohttp
from aiohttp import WSMsgType

from collector.clock import SECOND_NS, Clock, Now
from collector.net.budget import retry_after_s
from collector.net.failures import CloseCause, Failure, close_cause, describe, failure

MAX_BURST = 256
"""Messages that are handed on together at most: the journal writes no more than this many records at once."""

_DEFLATE_WINDOW_BITS = 15


class Sink(Protocol):
    """Who takes the payloads. What `on_frame` and `on_binary` raise ends the pump and comes out of it; `on_burst_end`
    must not raise.
    """

    def on_frame(self, data: bytes, now: Now) -> None:
        """Take a text message's payload."""

    def on_binary(self, data: bytes, now: Now) -> None:
        """Take a binary message's payload."""

    def on_burst_end(self, now: Now) -> None:
        """Hand on what the burst that was received at `now` gave."""


@dataclass(frozen=True, slots=True)
class WebSocketOptions:
    """Seconds and bytes. `server_hostname`: the name to ask for and to verify in TLS when it is not the URL's."""

    max_frame_bytes: int
    compress: bool = True
    connect_s: float = 10.0
    close_s: float = 0.5
    """How long the peer gets to answer our Close frame."""
    silent_s: float = 60.0
    """Not even a ping for this long means that the socket is dead, whatever TCP says."""
    server_hostname: str | None = None


class ConnectError(Exception):
    """No connection. `status`: the HTTP status for outcome "http". `wait_s`: how long the venue asks us to stay away
    (429, 418), else 0.0.
    """

    def __init__(self, outcome: Failure, text: str, *, status: int | None = None, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.outcome: Failure = outcome
        self.status = status
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class End:
    """Why a connection ended: a bounded name (the peer's, the network's, or the one given to `end`), the close code and
    a text for the log.
    """

    cause: str
    code: int | None = None
    text: str = ""


async def connect(session: aiohttp.ClientSession, url: str, options: WebSocketOptions, clock: Clock) -> WebSocket:
    """Open a connection. Raises ConnectError, and nothing else, for whatever goes wrong."""
    try:
        async with asyncio.timeout(options.connect_s):
            socket = await session.ws_connect(
                url,
                autoping=False,
                compress=_DEFLATE_WINDOW_BITS if options.compress else 0,
                decode_text=False,
                max_msg_size=options.max_frame_bytes,
                server_hostname=options.server_hostname,
                timeout=aiohttp.ClientWSTimeout(ws_receive=None, ws_close=options.close_s),
            )
    except aiohttp.WSServerHandshakeError as error:
        after = error.headers.get("Retry-After") if error.headers else None
        wait_s = retry_after_s(error.status, after, clock().wall_us) or 0.0
        raise ConnectError("http", f"HTTP status {error.status}", status=error.status, wait_s=wait_s) from error
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        text = f"no answer within {options.connect_s:g} s" if isinstance(error, TimeoutError) else describe(error)
        raise ConnectError(failure(error), text) from error
    return WebSocket(socket, options, clock)


class WebSocket:
    """An open connection. `pump` it once, then `close` it."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse[Literal[False]], options: WebSocketOptions, clock: Clock
    ) -> None:
        self._socket = socket
        self._options = options
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[End] | None = None
        self._end: End | None = None
        self._sink: Sink | None = None
        self._burst: Now | None = None  # the time of the burst that is going on
        self._heard_ns = clock().mono_ns
        self._guard: asyncio.TimerHandle | None = None

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate was agreed on."""
        return bool(self._socket.compress)

    async def send(self, text: str) -> None:
        """Send a text message. OSError when the connection is going."""
        await self._socket.send_str(text)

    def end(self, cause: str, text: str = "") -> None:
        """Make `pump` return with this cause; the first one given counts. Messages of the burst that is going on are
        still delivered.
        """
        if self._end is None:
            self._end = End(cause, text=text)
            if self._task is not None:
                self._task.cancel()

    async def pump(self, sink: Sink) -> End:
        """Deliver messages until the connection ends or `end` is called; the last burst is ended before it returns."""
        self._sink = sink
        self._task = self._loop.create_task(self._receive(sink), name="receive")
        self._watch()
        if self._end is not None:
            self._task.cancel()
        try:
            await asyncio.wait({self._task})
        finally:
            if not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task})
            if self._guard is not None:
                self._guard.cancel()
        return self._end or self._task.result()

    async def close(self) -> None:
        """Say goodbye and let the socket go, within `close_s` whether the peer answers or not."""
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with asyncio.timeout(self._options.close_s):
                await self._socket.close()

    async def _receive(self, sink: Sink) -> End:
        receive, text, loop = self._socket.receive, WSMsgType.TEXT, self._loop
        on_frame, finish, clock = sink.on_frame, self._finish_burst, self._clock
        count = 0
        while True:
            message = await receive()
            now = self._burst
            if now is None:
                self._burst = now = clock()
                self._heard_ns = now.mono_ns
                loop.call_soon(finish)
                count = 0
            if message.type is text:
                on_frame(message.data, now)
            elif message.type is WSMsgType.PING:
                with contextlib.suppress(OSError):  # the peer has gone since: what it sent before comes first
                    await self._socket.pong(message.data)
            elif message.type is WSMsgType.BINARY:
                sink.on_binary(message.data, now)
            elif message.type is not WSMsgType.PONG:
                return self._ended(message)
            count += 1
            if count >= MAX_BURST:
                await asyncio.sleep(0)  # `finish` runs here

    def _finish_burst(self) -> None:
        now, self._burst = self._burst, None
        if now is not None and self._sink is not None:
            self._sink.on_burst_end(now)

    def _ended(self, message: aiohttp.WSMessage | aiohttp.http_websocket.WSMessageTextBytes) -> End:
        if message.type is WSMsgType.CLOSE:
            return End(close_cause(message.data), message.data, describe(message.extra or ""))
        if message.type is not WSMsgType.ERROR:
            return End("lost")
        cause: CloseCause = "error"
        if isinstance(message.data, aiohttp.WebSocketError):
            cause = "too_big" if message.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG else "protocol_error"
        return End(cause, self._socket.close_code, describe(message.data))

    def _watch(self) -> None:
        quiet_s = (self._clock().mono_ns - self._heard_ns) / SECOND_NS
        if quiet_s >= self._options.silent_s:
            self.end("silent_socket", f"not a byte for {quiet_s:.0f} s")
        else:
            self._guard = self._loop.call_later(self._options.silent_s - quiet_s, self._watch)
