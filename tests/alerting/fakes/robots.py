"""DingTalk, WeCom and Slack on loopback, as strict as the real ones, with faults on demand.

They refuse what the real robots refuse (wrong token, wrong signature, a time stamp an hour off, too many bytes, more
than 20 messages a minute), with the real ones' codes; `faults` are answered once each, first. What they took is in
`taken`, everything that came in `requests`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

Channel = Literal["dingtalk", "wecom", "slack"]


@dataclass(frozen=True)
class Errcode:
    """HTTP status 200 with this code: what counts as success for whoever does not look."""

    errcode: int
    errmsg: str = "fault"


@dataclass(frozen=True)
class Status:
    """This HTTP status, with these headers. `taken`: the message reached people all the same."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """HTTP status 200 with this body."""

    body: bytes


@dataclass(frozen=True)
class Hang:
    """No answer until the event is set."""

    until: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Slow:
    """The usual answer, when the event is set."""

    until: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Half:
    """The head and half of the body, then the connection is closed."""


Fault = Errcode | Status | Body | Hang | Slow | Half


@dataclass(frozen=True)
class Taken:
    """A message that people see. `text`: its words; `body`: all of it; `size`: bytes of the request."""

    channel: Channel
    text: str
    body: dict[str, Any]
    size: int
    at: float


class FakeRobots:
    """A server for all three. `wall` is the robots' own clock, in seconds since 1970; `per_minute` their limit."""

    def __init__(
        self,
        *,
        dingtalk_token: str = "d1ng-access-0001",
        dingtalk_secret: str = "SEC5d2f8c1e9a7b4036",
        wecom_key: str = "7c0ffee1-5eed-4bad-9001-0123456789ab",
        wall: Callable[[], float] = time.time,
        per_minute: int = 20,
    ) -> None:
        self._token, self.dingtalk_secret, self._key = dingtalk_token, dingtalk_secret, wecom_key
        self._wall = wall
        self._per_minute = per_minute
        self._recent: dict[Channel, deque[float]] = {name: deque() for name in ("dingtalk", "wecom", "slack")}
        self._port = 0
        self.faults: dict[Channel, list[Fault]] = {"dingtalk": [], "wecom": [], "slack": []}
        self.requests: list[tuple[Channel, dict[str, Any]]] = []
        self.taken: list[Taken] = []
        self.arrived = asyncio.Event()
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_post("/robot/send", self._dingtalk)
        app.router.add_post("/cgi-bin/webhook/send", self._wecom)
        app.router.add_post("/services/{path:.+}", self._slack)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for faults in self.faults.values():
            for fault in faults:
                if isinstance(fault, Hang | Slow):
                    fault.until.set()
        await self._runner.cleanup()

    @property
    def dingtalk_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/robot/send?access_token={self._token}"

    @property
    def wecom_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/cgi-bin/webhook/send?key={self._key}"

    @property
    def slack_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/services/T000/B000/XXXX"

    def texts(self, channel: Channel) -> list[str]:
        """What people see in a channel, in order."""
        return [taken.text for taken in self.taken if taken.channel == channel]

    def count(self, channel: Channel) -> int:
        """How many requests came for a channel."""
        return sum(1 for name, _ in self.requests if name == channel)

    async def _dingtalk(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        return await self._answer("dingtalk", request, raw, lambda body: self._dingtalk_objection(request, raw, body))

    def _dingtalk_objection(self, request: web.Request, raw: bytes, body: dict[str, Any]) -> tuple[int, str]:
        if request.query.get("access_token") != self._token:
            return 400101, "access_token not exist"
        stamp = request.query.get("timestamp", "")
        if not stamp.isdigit() or abs(self._wall() * 1000 - int(stamp)) > 3_600_000:
            return 310000, "invalid timestamp"
        digest = hmac.new(self.dingtalk_secret.encode(), f"{stamp}\n{self.dingtalk_secret}".encode(), hashlib.sha256)
        if request.query.get("sign") != base64.b64encode(digest.digest()).decode():
            return 310000, "sign not match"
        if len(raw) > 20_000:
            return 460101, "message too long, exceed 20000 bytes"
        if body.get("msgtype") != "markdown" or not body["markdown"]["title"]:
            return 40035, "missing parameter"
        return self._rate("dingtalk", 130101, "send too fast, exceed 20 times per minute")

    async def _wecom(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        return await self._answer("wecom", request, raw, lambda body: self._wecom_objection(request, body))

    def _wecom_objection(self, request: web.Request, body: dict[str, Any]) -> tuple[int, str]:
        if request.query.get("key") != self._key:
            return 93000, "invalid webhook url"
        if body.get("msgtype") != "markdown":
            return 40008, "invalid message type"
        if len(body["markdown"]["content"].encode()) > 4096:
            return 40058, "markdown.content exceed max length 4096"
        return self._rate("wecom", 45009, "api freq out of limit")

    async def _slack(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        return await self._answer("slack", request, raw, lambda _: (0, "ok"))

    async def _answer(
        self, channel: Channel, request: web.Request, raw: bytes, objection: Callable[[dict[str, Any]], tuple[int, str]]
    ) -> web.StreamResponse:
        body = json.loads(raw)
        self.requests.append((channel, body))
        self.arrived.set()
        fault = self.faults[channel].pop(0) if self.faults[channel] else None
        if isinstance(fault, Hang | Slow):
            await fault.until.wait()
        if isinstance(fault, Errcode):
            return web.json_response({"errcode": fault.errcode, "errmsg": fault.errmsg})
        if isinstance(fault, Status):
            return web.Response(status=fault.status, headers=fault.headers)
        if isinstance(fault, Body):
            return web.Response(body=fault.body)
        errcode, errmsg = objection(body)
        if errcode == 0:
            text = {"dingtalk": "text", "wecom": "content"}.get(channel, "")
            words = body["markdown"][text] if text else json.dumps(body, ensure_ascii=False)
            self.taken.append(Taken(channel, words, body, len(raw), self._wall()))
        if isinstance(fault, Half):
            response = web.StreamResponse(headers={"Content-Length": "40"})
            await response.prepare(request)
            await response.write(b'{"errcode":0,')
            if request.transport is not None:
                request.transport.close()
            return response
        if channel == "slack":
            return web.Response(text="ok")
        return web.json_response({"errcode": errcode, "errmsg": errmsg})

    def _rate(self, channel: Channel, errcode: int, errmsg: str) -> tuple[int, str]:
        recent, now = self._recent[channel], self._wall()
        while recent and recent[0] <= now - 60:
            recent.popleft()
        if len(recent) >= self._per_minute:
            return errcode, errmsg
        recent.append(now)
        return 0, "ok"
