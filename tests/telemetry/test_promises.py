"""A whole collector on the simulated exchanges, seen by a receiver of OTLP: what the schema promises is sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from collector.config import load
from collector.service.app import Service
from collector.web.server import bind
from simulator.server import Simulator
from telemetry.logs import configure_logs
from telemetry.otlp_settings import SIGNALS
from telemetry.registry import load_registry
from telemetry.setup import SELF_METRICS
from tests.telemetry.otlp_sink import Mode, OtlpSink

pytestmark = pytest.mark.full
RATE = 200.0
RUN_S = 4.0


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    configure_logs()


@contextlib.asynccontextmanager
async def collecting(tmp_path: Path) -> AsyncIterator[Service]:
    """A collector on the simulated exchanges, which ends as by SIGTERM, in time and well."""
    environ = {"HOME": str(tmp_path), "MARKETPRISM_JOURNAL__DIRECTORY": str(tmp_path / "journal")}
    environ |= {"MARKETPRISM_JOURNAL__RESERVE_BYTES": "0", "MARKETPRISM_LOG__STYLE": "json"}
    async with Simulator(seed=3, rate=RATE, symbols=("BTC-USDT", "BTC-USD"), venues=("binance", "kraken")) as simulator:
        for venue in ("binance_usdm", "okx", "okx_swap", "coinbase"):
            environ[f"MARKETPRISM_VENUES__{venue.upper()}__ENABLED"] = "false"
        for venue in ("binance", "kraken"):
            environ[f"MARKETPRISM_VENUES__{venue.upper()}__WS_URL"] = f"{simulator.ws_url}/{venue}"
            environ[f"MARKETPRISM_VENUES__{venue.upper()}__REST_URL"] = f"{simulator.http_url}/{venue}"
        service = Service(load(None, environ | {"MARKETPRISM_INSTRUMENTS": "BTC-USDT,BTC-USD"}))
        with bind("127.0.0.1", 0) as listener:
            serving = asyncio.create_task(service.serve(listener))
            try:
                await asyncio.sleep(RUN_S)
                yield service
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                async with asyncio.timeout(10):
                    assert await serving == 0


async def test_every_metric_of_the_schema_is_sent_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OtlpSink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
        monkeypatch.setenv(SELF_METRICS, "true")
        async with collecting(tmp_path) as service:
            pass
        sent = {point.metric for point in sink.points()}
        registry = load_registry()
        assert sent - set(registry.metrics) == set()
        promised = {name for name in registry.metrics if not name.startswith("marketprism.bridge.")}
        assert promised - sent == set()
        assert {span.name for span in sink.spans()} <= set(registry.spans)
        events = {found.event for found in sink.logs()}
        assert events <= set(registry.events)
        assert "marketprism.service.stopped" in events
        names = {attribute.name for attribute in registry.attributes.values()} | {"otel.metric.overflow"}
        used = {name for point in sink.points() for name in point.attributes}
        used |= {name for span in sink.spans() for name in span.attributes}
        used |= {name for found in sink.logs() for name in found.attributes}
        assert used <= names
        assert {request.path for request in sink.requests} == {f"/v1/{signal}" for signal in SIGNALS}
        for family in service.metrics.families():  # what was sent last is what was counted
            if family.name.startswith(("marketprism.messages", "marketprism.records", "marketprism.gap")):
                for cell in family.cells.values():
                    short = {name.removeprefix("marketprism.").replace(".", "_"): v for name, v in cell.attrs.items()}
                    point = sink.metric(family.name, **short)
                    assert (point.count if family.kind == "hist" else point.value) == cell.n


@pytest.mark.parametrize("mode", ["hang", "refuse"])
async def test_a_receiver_that_is_no_help_costs_neither_data_nor_a_slow_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], mode: Mode
) -> None:
    with OtlpSink(mode) as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")
        async with collecting(tmp_path) as service:
            assert service.health().status == "ok"
            failures = service.metrics.counter("marketprism.telemetry.export.failures")
            assert all(failures.cell(telemetry_signal=name).n for name in SIGNALS)
    journal = service._facts().journal
    assert journal is not None
    assert journal.accepted == journal.durable > 0
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    left = {line["telemetry_signal"] for line in said if line["event"] == "marketprism.telemetry.left"}
    assert left == set(SIGNALS)
