"""The bridge's HTTP: deliveries in, and what it says of itself.

It owns the answers. 2xx only when the channel has the delivery; 5xx when the same may succeed later, for Alertmanager
tries those again at once; 4xx with the reason when it never will, and nothing was sent. Deliveries and receipts need
the token; /live, /ready, /health, /metrics and the runbooks do not, and say nothing secret. Bodies and connections are
bounded.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
from aiohttp import web

from alerting.bridge.observe import Answered, Observer
from alerting.bridge.outbox import Answer
from alerting.bridge.settings import CHANNELS, Channel
from alerting.bridge.webhook import Delivery, MalformedError, read_delivery
from telemetry.exposition import CONTENT_TYPES, Exposition, negotiate
from telemetry.redaction import redact
from telemetry.tracing import SpanRef, inside

MAX_BODY = 4 * 1024 * 1024
"""Thousands of alerts; Alertmanager's `max_alerts` keeps a group below it."""
READ_S = 10.0
MAX_CONNECTIONS = 2048
"""Each waiting delivery holds one, and a storm has hundreds of groups."""
STATUSES: Mapping[Answered, int] = {"delivered": 200, "duplicate": 200, "rejected": 424, "unavailable": 503}
HEADERS = {"Cache-Control": "no-store", "Server": "marketprism", "X-Content-Type-Options": "nosniff"}
INDEX = """\
MarketPrism alert bridge

POST /v1/alerts/CHANNEL   Alertmanager's webhook: dingtalk, wecom, log (with the token)
/v1/receipts              what the channels answered (with the token)
/live     the process answers
/ready    it takes deliveries
/health   what is well and what is not, per channel (JSON)
/metrics  measurements (OpenMetrics or Prometheus text)
/runbooks what to do about each alert: /runbooks/ALERT.md, /runbooks/zh-CN/ALERT.md
"""
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class Deliver(Protocol):
    """What takes deliveries to a channel: `Outbox.deliver`, `Logbook.deliver`."""

    def __call__(self, delivery: Delivery, ref: SpanRef) -> Awaitable[Answer]:
        """Wait for the answer."""


class BridgeServer:
    """The application. `channels`: those that are on. `runbooks`: by their paths below /runbooks, what they say."""

    def __init__(
        self,
        token: str,
        channels: Mapping[Channel, Deliver],
        observer: Observer,
        exposition: Exposition,
        off: Mapping[Channel, str],
        runbooks: Mapping[str, str],
        wall: Callable[[], float],
    ) -> None:
        self._token = f"Bearer {token}".encode()
        self._channels = channels
        self._observer = observer
        self._exposition = exposition
        self._off = off
        self._runbooks = runbooks
        self._wall = wall
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        app.router.add_post("/v1/alerts/{channel}", self._alerts)
        for path, answer in {
            "/": self._index,
            "/live": self._live,
            "/ready": self._ready,
            "/health": self._health,
            "/metrics": self._metrics,
            "/v1/receipts": self._receipts,
            "/runbooks/{name:.+}": self._runbook,
        }.items():
            app.router.add_get(path, answer)
        # A delivery whose sender went away is taken back: Alertmanager asks again, with what is true by then.
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=1.0
        )

    async def start(self, host: str, port: int) -> int:
        """Begin to answer; the port really listened on. Raises OSError."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Answer no more."""
        await self._runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        server = self._runner.server
        if server is not None and len(server.connections) > MAX_CONNECTIONS:
            response: web.StreamResponse = _text(503, "too many connections")
            response.force_close()
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:  # unknown path or method
                response = _text(error.status, f"{error.status}: {error.reason}")
        response.headers.update(HEADERS)
        return response

    async def _alerts(self, request: web.Request) -> web.Response:
        began = self._wall()
        name = request.match_info["channel"]
        channel = next((known for known in CHANNELS if known == name), None)
        if channel is None:
            return _text(404, f"no such channel; expected one of {', '.join(CHANNELS)}")
        refused = self._authenticate(request) or self._when_off(channel)
        delivery: Delivery | None = None
        if refused is None:
            try:
                async with asyncio.timeout(READ_S):
                    delivery = read_delivery(await request.read())
            except web.HTTPRequestEntityTooLarge:
                refused = _text(413, f"the body is larger than {MAX_BODY} bytes; set max_alerts in webhook_configs")
                refused.force_close()
            except TimeoutError:
                refused = _text(408, f"the body did not arrive within {READ_S:g} s")
                refused.force_close()
            except web.RequestPayloadError as error:
                refused = _text(400, f"the body cannot be read: {redact(' '.join(str(error).split()))}")
                refused.force_close()
            except MalformedError as error:
                refused = _text(400, redact(str(error)))
        if refused is not None or delivery is None:
            response = refused if refused is not None else _text(400, "expected a delivery")
            self._observer.answered(channel, "refused", response.status, (response.text or "").strip(), began)
            return response
        return await self._deliver(channel, delivery, request, began)

    async def _deliver(self, channel: Channel, delivery: Delivery, request: web.Request, began: float) -> web.Response:
        parent = _parent(request.headers.get("traceparent", ""))
        ref = self._observer.begin(parent)
        outcome: Answered = "abandoned"
        status: int | None = None
        reason = "its sender went away"
        try:
            with inside(ref):
                answer = await self._channels[channel](delivery, ref)
            outcome, reason, status = answer.outcome, answer.reason, STATUSES[answer.outcome]
            response = _text(status, f"{channel}: {outcome}: {reason}")
            if status == 503:
                response.headers["Retry-After"] = "5"
            return response
        finally:
            self._observer.answered(
                channel, outcome, status, reason, began, alerts=len(delivery.alerts), ref=ref, parent=parent
            )

    def _authenticate(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if hmac.compare_digest(given, self._token):
            return None
        why = "the token is not the bridge's" if given else "expected the bridge's token (Authorization: Bearer …)"
        return _text(401, why, {"WWW-Authenticate": "Bearer"})

    def _when_off(self, channel: Channel) -> web.Response | None:
        return _text(404, f"the channel {channel} is off: {self._off[channel]}") if channel in self._off else None

    async def _receipts(self, request: web.Request) -> web.Response:
        refused = self._authenticate(request)
        if refused is not None:
            return refused
        return _json(self._observer.receipts(request.query.get("fingerprint")))

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text=INDEX)

    async def _live(self, _: web.Request) -> web.Response:
        return _text(200, "ok")

    async def _ready(self, _: web.Request) -> web.Response:
        return _text(200, "ready")

    async def _health(self, _: web.Request) -> web.Response:
        return _json(self._observer.health())

    async def _runbook(self, request: web.Request) -> web.Response:
        # As text: what a person is to read must not be a download.
        found = self._runbooks.get(request.match_info["name"])
        if found is not None:
            return web.Response(text=found)
        known = ", ".join(sorted(self._runbooks)) or "none: MARKETPRISM_BRIDGE_RUNBOOKS is not set"
        return _text(404, f"no such runbook; there are {known}")

    async def _metrics(self, request: web.Request) -> web.Response:
        form = negotiate(request.headers.get("Accept", ""))
        body = "".join(self._exposition.blocks(form)).encode()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPES[form]})


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=headers)


def _json(value: object) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
    return web.Response(body=body, content_type="application/json")


def _parent(text: str) -> SpanRef | None:
    """The sender's span, as https://www.w3.org/TR/trace-context/#traceparent-header says; None where it has none."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    return SpanRef(int(found[1], 16), int(found[2], 16), sampled=bool(int(found[3], 16) & 1))
