"""As much of Alertmanager's API v2 as the commands need, with answers that the test sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

CONFIG = """
route: {receiver: p1}
receivers:
  - name: p1
    slack_configs: [{channel: "#alerts"}]
    email_configs: [{to: oncall@example.org}]
    webhook_configs: [{url: <secret>}]
  - name: quiet
"""
COUNTERS = "alertmanager_notification_requests_total", "alertmanager_notification_requests_failed_total"


class FakeAlertmanager:
    """`answer` may change what a path answers: (method, path) → (status, body), or None for the usual."""

    def __init__(self) -> None:
        self.config = CONFIG
        self.posted: list[dict[str, Any]] = []
        self.silences: list[dict[str, Any]] = []
        self.firing: list[dict[str, Any]] = []
        self.queries: list[tuple[str, list[tuple[str, str]]]] = []
        self.counts: dict[tuple[str, str], int] = {}
        self.on_metrics: Callable[[], None] = lambda: None
        self.answers: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.state = "active"
        self.receivers = ["p1"]
        self._port = 0
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
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
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def raised(self, labels: dict[str, str]) -> None:
        """An alert fires."""
        self.firing.append(self._shown(labels))

    def _shown(self, labels: dict[str, str]) -> dict[str, Any]:
        why = {"silencedBy": ["s-1"] if self.state == "suppressed" else [], "inhibitedBy": [], "mutedBy": []}
        return {
            "labels": labels,
            "annotations": {},
            "receivers": [{"name": name} for name in self.receivers],
            "fingerprint": "f1",
            "startsAt": "2026-11-22T10:00:00.000Z",
            "updatedAt": "2026-11-22T10:00:00.000Z",
            "endsAt": "2026-11-22T10:05:00.000Z",
            "status": {"state": self.state, **why},
        }

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"].removeprefix("api/v2/")
        self.queries.append((path, list(request.query.items())))
        if (request.method, path) in self.answers:
            status, body = self.answers[request.method, path]
            return web.Response(status=status, body=body)
        if request.method == "POST":
            given = await request.json()
            if path == "alerts":
                self.posted += given
                return web.Response()
            self.silences.append(given)
            return web.json_response({"silenceID": f"s-{len(self.silences)}"})
        if path == "metrics":
            self.on_metrics()
            lines = [f'{name}{{integration="{kind}"}} {n}\n' for (name, kind), n in self.counts.items()]
            return web.Response(
                text="# TYPE alertmanager_build_info gauge\nalertmanager_build_info 1\n" + "".join(lines)
            )
        return web.json_response(self._get(path, request))

    def _get(self, path: str, request: web.Request) -> Any:
        if path == "status":
            return {
                "cluster": {"status": "disabled"},
                "versionInfo": {"version": "0.34.0", "revision": "x"},
                "config": {"original": self.config},
                "uptime": "2026-11-22T09:00:00.000Z",
            }
        names = [text for text in request.query.getall("filter", []) if text.startswith("alertname=")]
        found = [
            one for one in self.firing if not names or f"alertname={json.dumps(one['labels']['alertname'])}" in names
        ]
        return found + [self._shown(one["labels"]) for one in self.posted[:1]]
