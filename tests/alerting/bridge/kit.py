"""A real bridge on fake robots, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from alerting.bridge.app import serving
from alerting.bridge.observe import bridge_registry
from alerting.bridge.settings import read_settings
from telemetry.cells import Metrics
from telemetry.otlp_settings import read_settings as read_telemetry_settings
from telemetry.registry import load_registry
from telemetry.setup import Telemetry
from telemetry.tracing import SpanRef
from tests.alerting.fakes.robots import FakeRobots
from tests.alerting.fakes.webhooks import encoded
from tests.telemetry.spans import FakeTracer

TOKEN = "f2b1c09a7d5e4c63"
REGISTRY = bridge_registry(load_registry())


class CountingTracer(FakeTracer):
    """`made`: how many deliveries have begun."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def new_ref(self, name: str, parent: SpanRef | None = None) -> SpanRef:
        self.made += name == "marketprism.bridge.delivery"
        return super().new_ref(name, parent)


@dataclass
class Client:
    """A bridge as Alertmanager sees it."""

    session: aiohttp.ClientSession
    url: str
    metrics: Metrics
    tracer: CountingTracer

    async def post(
        self, channel: str, delivery: dict[str, Any] | bytes, *, token: str | None = TOKEN, **headers: str
    ) -> tuple[int, str]:
        """Status and text of the answer."""
        body = delivery if isinstance(delivery, bytes) else encoded(delivery)
        given = {"Content-Type": "application/json", **headers}
        given |= {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with self.session.post(f"{self.url}/v1/alerts/{channel}", data=body, headers=given) as answer:
            return answer.status, await answer.text()

    async def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with self.session.get(f"{self.url}{path}", headers=headers) as answer:
            json = answer.content_type == "application/json"
            return answer.status, await answer.json() if json else await answer.text()

    async def until_waiting(self, channel: str, number: int) -> None:
        """Until so many deliveries wait for the channel."""
        waiting = self.metrics.gauge("marketprism.bridge.waiting").cell(alert_channel=channel)
        async with asyncio.timeout(10):
            while waiting.value() != number:  # noqa: ASYNC110 - a gauge sets no Event
                await asyncio.sleep(0)

    def counted(self, name: str, **attributes: str) -> float:
        return self.metrics.counter(f"marketprism.bridge.{name}").cell(**attributes).n


@contextlib.asynccontextmanager
async def bridging(robots: FakeRobots, directory: Path, **more: str) -> AsyncIterator[Client]:
    """A bridge with all channels on. `more`: variables without their prefix; one that is empty is not set."""
    environ = {
        "LISTEN": "127.0.0.1:0",
        "TOKEN": TOKEN,
        "DINGTALK_URL": robots.dingtalk_url,
        "DINGTALK_SECRET": robots.dingtalk_secret,
        "WECOM_URL": robots.wecom_url,
        **more,
    }
    named = {f"MARKETPRISM_BRIDGE_{name}": text for name, text in environ.items()}
    settings = read_settings(named, directory / "bridge")
    metrics, tracer = Metrics(REGISTRY), CountingTracer()
    telemetry = Telemetry(metrics, read_telemetry_settings({}), tracer)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        serving(settings, metrics, telemetry) as bridge,
    ):
        yield Client(session, f"http://127.0.0.1:{bridge.port}", metrics, tracer)


def any_group() -> str:
    """A group key of its own."""
    return f"{{}}:{{g={uuid.uuid4().hex}}}"
