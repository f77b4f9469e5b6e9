"""The HTTP side: what each path answers, that the port is taken first, and that nothing leaks."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Literal

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from collector.web import server as server_module
from collector.web.report import Report, Status
from collector.web.server import AddressError, AddressInUseError, WebServer, bind
from telemetry.cells import Metrics
from telemetry.exposition import Exposition
from telemetry.registry import load_registry

REGISTRY = load_registry()


class FakeService:
    def __init__(self) -> None:
        self.reason: str | None = None
        self.status: Status | Literal["broken"] = "ok"

    def not_ready(self) -> str | None:
        return self.reason

    def health(self) -> Report:
        if self.status == "broken":
            raise RuntimeError("/secret/path leaked")
        return Report(
            status=self.status,
            not_ok=[],
            time=None,
            instance="one",
            version="0",
            started=None,
            uptime_s=1.0,
            checks=[],
            venues=[],
            journal=None,
        )


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    metrics = Metrics(REGISTRY)
    metrics.counter("marketprism.journal.records.accepted").cell().n = 7
    web = WebServer(bind("127.0.0.1", 0), Exposition(metrics))
    web.source = FakeService()
    await web.start()
    yield web
    await web.stop()


@pytest.fixture
async def client(server: WebServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session


def fake(server: WebServer) -> FakeService:
    assert isinstance(server.source, FakeService)
    return server.source


async def test_live_answers_while_the_loop_turns(client: aiohttp.ClientSession) -> None:
    async with client.get("/live") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_ready_names_why_not(server: WebServer, client: aiohttp.ClientSession) -> None:
    async with client.get("/ready") as answer:
        assert (answer.status, await answer.text()) == (200, "ready\n")
    fake(server).reason = "the journal does not accept records: disk_full"
    async with client.get("/ready") as answer:
        assert answer.status == 503
        assert await answer.text() == "not ready: the journal does not accept records: disk_full\n"


async def test_before_there_is_a_service_only_live_is_well(server: WebServer, client: aiohttp.ClientSession) -> None:
    server.source = None
    answers = {}
    for path in ("/live", "/ready", "/health"):
        async with client.get(path) as answer:
            answers[path] = answer.status
    assert answers == {"/live": 200, "/ready": 503, "/health": 503}


@pytest.mark.parametrize(("status", "code"), [("ok", 200), ("degraded", 200), ("failing", 503)])
async def test_only_failing_health_is_an_error_status(
    server: WebServer, client: aiohttp.ClientSession, status: Status, code: int
) -> None:
    fake(server).status = status
    async with client.get("/health") as answer:
        assert answer.status == code
        assert answer.content_type == "application/json"
        assert json.loads(await answer.text())["status"] == status


async def test_metrics_parse_in_both_formats(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        families = {family.name: family for family in parse_openmetrics(await answer.text())}  # type: ignore[no-untyped-call]
    assert families["marketprism_journal_records_accepted"].samples[0].value == 7
    async with client.get("/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert any(family.samples[0].value == 7 for family in parse_prometheus(await answer.text()) if family.samples)


async def test_the_index_names_what_there_is(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as answer:
        text = await answer.text()
    assert all(path in text for path in ("/live", "/ready", "/health", "/metrics"))


async def test_an_unknown_path_and_a_wrong_method_are_short_errors(client: aiohttp.ClientSession) -> None:
    async with client.get("/nothing/../../etc") as answer:
        assert (answer.status, await answer.text()) == (404, "404: Not Found\n")
    async with client.post("/health", data=b"x") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_every_answer_has_the_security_headers(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/live", "/health", "/metrics", "/none"):
        async with client.get(path) as answer:
            headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "marketprism"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_an_error_of_ours_says_nothing_of_its_inside(server: WebServer, client: aiohttp.ClientSession) -> None:
    fake(server).status = "broken"
    async with client.get("/health") as answer:
        assert answer.status == 500
        assert "secret" not in await answer.text()


async def test_more_connections_than_allowed_are_turned_away(
    server: WebServer, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 1)
    _, idle = await asyncio.open_connection("127.0.0.1", server.port)
    async with client.get("/live") as answer:
        assert (answer.status, await answer.text()) == (503, "too many connections\n")
    idle.close()
    await idle.wait_closed()


def test_a_port_in_use_is_told_before_anything_is_served() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(AddressInUseError, match=f"127.0.0.1:{port} is in use by another process"):
            bind("127.0.0.1", port)


def test_an_address_of_another_host_is_refused_with_the_reason() -> None:
    with pytest.raises(AddressError, match=r"192\.0\.2\.1:8080: "):
        bind("192.0.2.1", 8080)


def test_a_freed_port_can_be_taken_again_at_once() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            pass
    bind("127.0.0.1", port).close()
