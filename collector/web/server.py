"""The HTTP server: five GETs, each bounded, none of which can change anything or say more than it should.

It binds before it serves, so that a port in use is known before the journal is touched; until `source` is set every
answer but /live is "starting". No login, no TLS, no access log: it listens on loopback by default, and a status page
is not worth a log line a scrape. An error of ours is answered by its status alone; the reason is logged by aiohttp,
never sent.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from aiohttp import web

from collector.web.report import Report
from telemetry.exposition import CONTENT_TYPES, Exposition, negotiate

MAX_CONNECTIONS = 64
KEEPALIVE_S = 75.0
"""Also what a peer has for sending a request's head."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "marketprism",
    "X-Content-Type-Options": "nosniff",
}
INDEX = """\
MarketPrism collector

/live     the process answers
/ready    it can take data (503 says why not)
/health   what is well and what is not, per venue and stream (JSON)
/metrics  measurements (OpenMetrics or Prometheus text)
"""


class Source(Protocol):
    """What the server shows."""

    def not_ready(self) -> str | None:
        """Why no data can be taken now; None when it can."""

    def health(self) -> Report:
        """Judge everything as of now."""


class AddressInUseError(Exception):
    """Another process listens there."""


class AddressError(Exception):
    """The address cannot be listened on; the message says why."""


def bind(host: str, port: int) -> socket.socket:
    """Take the address now, serve later. Raises AddressInUseError or AddressError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise AddressError(f"{host}: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(f"{host}:{port} is in use by another process") from error
        raise AddressError(f"{host}:{port}: {error.strerror}") from error
    listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    return listener


class WebServer:
    """Serves on a bound socket. Set `source` when there is something to show."""

    def __init__(self, listener: socket.socket, exposition: Exposition) -> None:
        self.source: Source | None = None
        self._listener = listener
        self._exposition = exposition
        self._rendering = asyncio.Lock()
        app = web.Application(middlewares=[self._guard], client_max_size=1024)
        for path, answer in {
            "/": self._index,
            "/live": self._live,
            "/ready": self._ready,
            "/health": self._health,
            "/metrics": self._metrics,
        }.items():
            app.router.add_get(path, answer)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=1.0
        )

    @property
    def port(self) -> int:
        """The port really listened on."""
        port: int = self._listener.getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to answer."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener, backlog=MAX_CONNECTIONS).start()

    async def stop(self) -> None:
        """Answer no more; what is being answered has a second. The socket is closed also if it was never served."""
        await self._runner.cleanup()
        self._listener.close()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        server = self._runner.server
        if server is not None and len(server.connections) > MAX_CONNECTIONS:
            response: web.StreamResponse = web.Response(status=503, text="too many connections\n")
            response.force_close()
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:  # unknown path or method
                response = web.Response(status=error.status, text=f"{error.status}: {error.reason}\n")
                if "Allow" in error.headers:
                    response.headers["Allow"] = error.headers["Allow"]
        response.headers.update(HEADERS)
        return response

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text=INDEX)

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        reason = "starting" if self.source is None else self.source.not_ready()
        return (
            web.Response(text="ready\n") if reason is None else web.Response(status=503, text=f"not ready: {reason}\n")
        )

    async def _health(self, _: web.Request) -> web.Response:
        if self.source is None:
            return web.json_response({"status": "failing", "not_ok": ["starting"]}, status=503)
        report = self.source.health()
        body = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        status = 503 if report.status == "failing" else 200
        return web.Response(status=status, body=body, content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        form = negotiate(request.headers.get("Accept", ""))
        parts: list[str] = []
        async with self._rendering:  # the exposition remembers lines: one rendering at a time
            for block in self._exposition.blocks(form):
                parts.append(block)
                await asyncio.sleep(0)
        return web.Response(body="".join(parts).encode(), headers={"Content-Type": CONTENT_TYPES[form]})
