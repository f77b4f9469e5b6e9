"""A whole collector in this process, on the simulated exchanges: start, health, shutdown, what it leaves on disk."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from collector.config import Config, load
from collector.feed.replay import replay
from collector.journal import read
from collector.records import BookSnapshot, Gap, encode
from collector.service.app import Service, ServiceError
from collector.web.server import bind
from simulator.server import Simulator
from telemetry.logs import configure_logs

PATIENCE_S = 20.0


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=3, rate=200.0, symbols=("BTC-USDT", "BTC-USD"), venues=("binance", "kraken")) as running:
        yield running


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    configure_logs()


def config_of(simulator: Simulator, tmp_path: Path, **more: str) -> Config:
    environ = {"HOME": str(tmp_path), "MARKETPRISM_JOURNAL__DIRECTORY": str(tmp_path / "journal")}
    environ |= {"MARKETPRISM_JOURNAL__RESERVE_BYTES": "0", "MARKETPRISM_LOG__LEVEL": "error"}
    environ["MARKETPRISM_CHANNELS"] = "trades,quotes,book"
    for venue in ("binance_usdm", "okx", "okx_swap", "coinbase"):
        environ[f"MARKETPRISM_VENUES__{venue.upper()}__ENABLED"] = "false"
    for venue in ("binance", "kraken"):
        environ[f"MARKETPRISM_VENUES__{venue.upper()}__WS_URL"] = f"{simulator.ws_url}/{venue}"
        environ[f"MARKETPRISM_VENUES__{venue.upper()}__REST_URL"] = f"{simulator.http_url}/{venue}"
    return load(None, environ | {"MARKETPRISM_INSTRUMENTS": "BTC-USDT,BTC-USD"} | more)


class Running:
    """A collector that serves. `stop` ends it as SIGTERM does and gives its exit code."""

    def __init__(self, config: Config) -> None:
        self.service = Service(config)
        listener = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.task = asyncio.create_task(self.service.serve(listener))

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def healthy(self) -> dict[str, Any]:
        """Wait until everything is in sync and every stream has delivered; give the report."""
        report: dict[str, Any] = {}
        async with asyncio.timeout(PATIENCE_S):
            while not self.task.done():
                try:
                    report = msgspec.json.decode((await self.get("/health"))[1])
                except aiohttp.ClientConnectionError:
                    report = {}
                streams = [stream for venue in report.get("venues", ()) for stream in venue["streams"]]
                delivered = all(stream["last_message"] or stream["state"] == "blocked" for stream in streams)
                if report.get("status") == "ok" and streams and delivered:
                    return report
                await asyncio.sleep(0.05)
        raise AssertionError(f"it ended: {self.task}; the last report was {report}")

    async def stop(self) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            return await self.task


async def test_it_collects_both_venues_and_ends_with_everything_on_disk(simulator: Simulator, tmp_path: Path) -> None:
    running = Running(config_of(simulator, tmp_path))
    report = await running.healthy()
    assert [(venue["venue"], venue["state"]) for venue in report["venues"]] == [
        ("binance", "in_sync"),
        ("kraken", "in_sync"),
    ]
    unlisted = [s for s in report["venues"][0]["streams"] if s["instrument"] == "BTC-USD"]
    assert {stream["reason"] for stream in unlisted} == {"not listed"}
    assert all(check["since"] for check in report["checks"])
    later = await running.healthy()
    assert [check["since"] for check in later["checks"]] == [check["since"] for check in report["checks"]]
    assert (await running.get("/ready"))[0] == 200
    metrics = (await running.get("/metrics"))[1]
    assert "marketprism_up 1" in metrics
    assert await running.stop() == 0
    kept = [record for _, record in read(tmp_path / "journal")]
    journal = running.service._facts().journal
    assert journal is not None
    assert len(kept) == journal.accepted == journal.durable
    assert {type(record).__name__ for record in kept} == {"Trade", "Quote", "BookSnapshot", "BookDelta", "Gap"}
    with pytest.raises(aiohttp.ClientConnectionError):
        await running.get("/live")


async def test_a_restart_begins_with_gaps_that_the_next_records_close(simulator: Simulator, tmp_path: Path) -> None:
    for _ in range(2):
        running = Running(config_of(simulator, tmp_path))
        await running.healthy()
        assert await running.stop() == 0
    gaps = [r for _, r in read(tmp_path / "journal") if isinstance(r, Gap) and r.cause == "restart"]
    opened = {(gap.venue, gap.instrument, gap.channel) for gap in gaps[: len(gaps) // 2]}
    assert len(opened) == 9  # BTC-USDT on both venues, BTC-USD on one, three channels each
    closed = {(gap.venue, gap.instrument, gap.channel): gap for gap in gaps[len(gaps) // 2 :]}
    assert closed.keys() == opened
    assert {gap.detected_ts for gap in closed.values()} == {gap.detected_ts for gap in gaps[:1]}
    assert all(gap.repaired_ts for key, gap in closed.items() if key[2] != "trades")
    assert all(gap.last is not None or gap.count == 0 for key, gap in closed.items() if key[2] == "trades")


async def test_a_tape_made_beside_a_run_replays_to_the_same_records(simulator: Simulator, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    small = {"MARKETPRISM_JOURNAL__SEGMENT_BYTES": "64KiB", "MARKETPRISM_JOURNAL__RETAIN_BYTES": "1GiB"}
    running = Running(config_of(simulator, tmp_path, MARKETPRISM_RECORD__TAPE=str(tape), **small))
    await running.healthy()
    await asyncio.sleep(0.5)
    assert await running.stop() == 0
    replayed = io.BytesIO()
    assert replay([tape], replayed, io.StringIO()) == 0
    kept = [
        encode(record)
        for _, record in read(tmp_path / "journal")
        if not (isinstance(record, BookSnapshot) and record.cause == "segment")
    ]
    assert len(list((tmp_path / "journal").glob("*.jsonl"))) > 1
    assert Counter(replayed.getvalue().splitlines()) == Counter(kept)


async def test_recording_alone_needs_no_journal_and_ends_by_itself(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = tmp_path / "tape.jsonl"
    service = Service(config_of(simulator, tmp_path, MARKETPRISM_RECORD__TAPE=str(tape)))
    assert await service.record(1.0) == 0
    assert f"{tape}: " in capsys.readouterr().err
    assert not (tmp_path / "journal").exists()
    summary = io.StringIO()
    replay([tape], io.BytesIO(), summary)
    assert "kraken spot BTC-USD" in summary.getvalue()


async def test_a_second_collector_on_one_journal_is_refused(simulator: Simulator, tmp_path: Path) -> None:
    running = Running(config_of(simulator, tmp_path))
    await running.healthy()
    with bind("127.0.0.1", 0) as listener, pytest.raises(ServiceError, match=r"^journal\.directory: .*is in use"):
        await Service(config_of(simulator, tmp_path)).serve(listener)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, running.service._on_signal, signal.SIGTERM)  # the second one had taken it
    assert await running.stop() == 0


async def test_a_certificate_file_that_is_none_is_told_before_the_journal_is_made(
    simulator: Simulator, tmp_path: Path
) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    service = Service(config_of(simulator, tmp_path, MARKETPRISM_TLS__CA_FILE=str(broken)))
    with bind("127.0.0.1", 0) as listener, pytest.raises(ServiceError, match=r"^tls\.ca_file: "):
        await service.serve(listener)
    assert not (tmp_path / "journal").exists()
