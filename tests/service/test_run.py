"""The command itself, as a process, against the simulator as a process: signals, kill -9, a full disk, the demo."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.journal import read
from collector.records import Gap
from collector.web.server import bind

pytestmark = pytest.mark.full

PATIENCE_S = 60.0
LISTED = {
    "binance": ("binance", "BTC-USDT,ETH-USDT"),
    "binance_usdm": ("binance_usdm", "BTC-USDT,ETH-USDT"),
    "okx": ("okx", "BTC-USDT"),
    "okx_swap": ("okx", "BTC-USDT"),
    "coinbase": ("coinbase", "BTC-USD"),
    "kraken": ("kraken", "BTC-USDT,BTC-USD"),
}
"""By section of the configuration: the simulator's name, and what it lists."""


def poll_until(check: Callable[[], Any], what: str) -> Any:
    """Wait until `check` gives something true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S:.0f} s: {what}")


def free_port() -> int:
    with bind("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
        return port


def get(url: str) -> tuple[int, str]:
    """Status and text; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--tls-port", "0", "--rate", "300"]
    command += ["--ca-file", str(tmp_path / "ca.pem"), "--tls-dir", str(tmp_path / "tls")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


class Collector:
    """`marketprism run` as a process."""

    def __init__(self, simulator: dict[str, Any], place: Path, **more: str) -> None:
        self.port = free_port()
        self.journal = place / "journal"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MARKETPRISM_")}
        environ |= {
            "MARKETPRISM_WEB__PORT": str(self.port),
            "MARKETPRISM_JOURNAL__DIRECTORY": str(self.journal),
            "MARKETPRISM_TLS__CA_FILE": simulator["ca_file"],
        }
        for section, (venue, instruments) in LISTED.items():
            base = f"127.0.0.1:{simulator['tls_port']}/{venue}"
            environ[f"MARKETPRISM_VENUES__{section.upper()}__WS_URL"] = f"wss://{base}"
            environ[f"MARKETPRISM_VENUES__{section.upper()}__REST_URL"] = f"https://{base}"
            environ[f"MARKETPRISM_VENUES__{section.upper()}__INSTRUMENTS"] = instruments
        self.environ = environ | more
        self.log = (place / "collector.log").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "collector.cli", "run"], env=self.environ, stderr=self.log
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def health(self) -> dict[str, Any]:
        text = get(self.url("/health"))[1]
        return json.loads(text) if text else {"status": "silent", "venues": []}

    def healthy(self) -> dict[str, Any]:
        found: dict[str, Any] = poll_until(
            lambda: (report := self.health())["status"] == "ok" and report, "the collector is ok"
        )
        return found

    def metric(self, name: str) -> float | None:
        lines = [line for line in get(self.url("/metrics"))[1].splitlines() if line.startswith(f"{name} ")]
        return float(lines[0].split()[1]) if lines else None

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)

    def logged(self) -> list[dict[str, Any]]:
        self.log.seek(0)
        return [json.loads(line) for line in self.log if line.startswith("{")]


@pytest.fixture
def start(simulator: dict[str, Any], tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    started: list[Collector] = []

    def make(**more: str) -> Collector:
        started.append(Collector(simulator, tmp_path, **more))
        return started[-1]

    yield make
    for collector in started:
        if collector.process.poll() is None:
            collector.process.kill()
        collector.process.wait()
        collector.log.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_every_accepted_record_on_disk(
    start: Callable[..., Collector], number: signal.Signals
) -> None:
    collector = start()
    report = collector.healthy()
    assert [venue["state"] for venue in report["venues"]] == ["in_sync"] * len(LISTED)
    health = [sys.executable, "-m", "collector.cli", "health"]
    done = subprocess.run(health, env=collector.environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "ok\n")
    began = time.monotonic()
    assert collector.end(number) == 0
    assert time.monotonic() - began < 10
    stopped = collector.logged()[-1]
    assert (stopped["event"], stopped["status"], stopped["left"]) == ("marketprism.service.stopped", "clean", 0)
    assert sum(1 for _ in read(collector.journal)) == stopped["records"] > 20


def test_a_second_signal_ends_it_at_once(start: Callable[..., Collector], simulator: dict[str, Any]) -> None:
    collector = start()
    collector.healthy()
    collector.process.send_signal(signal.SIGSTOP)  # so that both signals wait for it
    collector.process.send_signal(signal.SIGTERM)
    collector.process.send_signal(signal.SIGINT)
    collector.process.send_signal(signal.SIGCONT)
    assert collector.process.wait(15) == 130
    assert simulator["port"]


def accepted_until_killed(collector: Collector, seconds: float) -> float:
    """Let it collect, read its counter, and kill it at once."""
    name = "marketprism_journal_records_accepted_total"
    poll_until(lambda: collector.metric(name), "records are accepted")
    time.sleep(seconds)
    accepted = collector.metric(name)
    collector.process.kill()
    collector.process.wait()
    assert accepted is not None
    return accepted


def test_after_kill_9_everything_that_was_counted_as_accepted_is_there(
    start: Callable[..., Collector], tmp_path: Path
) -> None:
    rng = random.Random(7)
    written = 0
    for _ in range(5):
        accepted = accepted_until_killed(start(), rng.uniform(0.0, 1.0))
        found = sum(1 for _ in read(tmp_path / "journal"))
        assert found >= written + accepted
        written = found
    causes = [record.cause for _, record in read(tmp_path / "journal") if isinstance(record, Gap)]
    assert causes.count("restart") > 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets another process's limits")
def test_a_full_disk_is_named_and_collection_goes_on_when_there_is_room(start: Callable[..., Collector]) -> None:
    collector = start()
    collector.healthy()
    size = int(collector.metric("marketprism_journal_size_bytes") or 0)
    # no write may make a file longer than this: the kernel answers EFBIG as it does ENOSPC on a full disk
    resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (size + 20_000, resource.RLIM_INFINITY))
    poll_until(lambda: get(collector.url("/ready"))[0] == 503, "/ready says no")
    assert "the journal does not accept records: the disk is full" in get(collector.url("/ready"))[1]
    assert get(collector.url("/live"))[0] == 200
    assert get(collector.url("/health"))[0] == 503
    accepted = collector.metric("marketprism_journal_records_accepted_total")
    assert sum(1 for _ in read(collector.journal)) == accepted
    resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    poll_until(lambda: get(collector.url("/ready"))[0] == 200, "/ready says yes")
    collector.healthy()
    assert collector.end(signal.SIGTERM) == 0
    lost = [record for _, record in read(collector.journal) if isinstance(record, Gap) and record.cause == "journal"]
    assert sum(gap.count or 0 for gap in lost if gap.repaired_ts is None) > 0
    assert [line["event"] for line in collector.logged() if "journal.failing" in line["event"]]


def test_the_demo_is_in_sync_within_a_minute_and_leaves_no_process(tmp_path: Path) -> None:
    port, simulator_port = free_port(), free_port()
    command = [sys.executable, "-m", "collector.demo", "--port", str(port), "--directory", str(tmp_path)]
    command += ["--simulator-port", str(simulator_port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as demo:
        url = f"http://127.0.0.1:{port}/health"
        report = poll_until(lambda: (answer := get(url))[0] == 200 and json.loads(answer[1]), "health")
        poll_until(lambda: json.loads(get(url)[1])["status"] == "ok", "everything in sync")
        markets = {(venue["venue"], venue["market"]) for venue in report["venues"]}
        spot = {(venue, "spot") for venue in ("binance", "okx", "coinbase", "kraken")}
        assert markets == spot | {("binance", "perp"), ("okx", "perp")}
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
        assert demo.stderr is not None
        assert f"curl http://127.0.0.1:{port}/metrics" in demo.stderr.read()
    bind("127.0.0.1", simulator_port).close()
    assert sum(1 for _ in read(tmp_path / "journal")) > 0


def test_the_demo_tells_a_port_in_use(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "collector.demo", "--port", str(port), "--directory", str(tmp_path / "d")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    expected = f"127.0.0.1:{port} is in use by another process; choose another with --port (0: any free one)\n"
    assert (done.returncode, done.stderr) == (2, expected)
    assert list(tmp_path.iterdir()) == []
