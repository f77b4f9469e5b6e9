"""The receiver of telemetry absent, refusing, hanging or slow: the data path does not notice, and the loss is counted
where it can still be seen.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.rig import Rig, poll_until

pytestmark = pytest.mark.full
FAILURES = "marketprism_telemetry_export_failures_total"
LAG = "marketprism_feed_lag_seconds"
MOST_LAG_S = 0.25
"""Mean lag behind the simulator on the same, busy machine."""


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that gives each connection to `answer` in a thread of its own; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        def serve(client: socket.socket) -> None:
            with client:
                client.settimeout(60)
                try:
                    answer(client)
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def hanging(client: socket.socket) -> None:
    """Read everything and say nothing."""
    while client.recv(65536):
        pass


def refusing(client: socket.socket) -> None:
    """Say 503 to everything."""
    while client.recv(65536):
        client.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


def slow(client: socket.socket) -> None:
    """Take five seconds for each answer, and refuse then."""
    while client.recv(65536):
        time.sleep(5)
        client.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


def _collects_as_if_nothing_were(rig: Rig, port: int, seconds: float) -> None:
    rig.environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }
    rig.start()
    rig.wait_in_sync()
    before = rig.metric("process_memory_usage_bytes")
    time.sleep(seconds)
    poll_until(lambda: rig.metric(FAILURES), "the failed exports are counted on /metrics", 60)
    lag = rig.metric(f"{LAG}_sum") / rig.metric(f"{LAG}_count")
    grown = rig.metric("process_memory_usage_bytes") - before
    print(f"\nmean lag {lag * 1000:.1f} ms, memory +{grown / 1e6:.1f} MB, failures {rig.metric(FAILURES):.0f}")  # noqa: T201
    assert lag < MOST_LAG_S
    assert grown < 100e6
    assert rig.metric("marketprism_gaps_total") == 0
    rig.settle()
    assert rig.check_books() > 0
    assert rig.check_trades() > 100
    began = time.monotonic()
    assert rig.stop() == 0
    assert time.monotonic() - began < 10


def test_a_receiver_that_is_absent_is_not_noticed_by_the_data_path(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Rig(tmp_path) as rig:
        _collects_as_if_nothing_were(rig, port, 5)


@pytest.mark.parametrize("answer", [hanging, refusing, slow])
def test_a_receiver_in_trouble_is_not_noticed_by_the_data_path(
    tmp_path: Path, answer: Callable[[socket.socket], None]
) -> None:
    with answering(answer) as port, Rig(tmp_path) as rig:
        _collects_as_if_nothing_were(rig, port, 12)


@pytest.mark.soak
@pytest.mark.parametrize("answer", [hanging, slow])
def test_five_minutes_of_a_receiver_in_trouble_are_not_noticed(
    tmp_path: Path, answer: Callable[[socket.socket], None]
) -> None:
    with answering(answer) as port, Rig(tmp_path, rate=1000) as rig:
        _collects_as_if_nothing_were(rig, port, 300)
