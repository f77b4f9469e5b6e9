"""The process says what it costs."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from telemetry import process
from telemetry.cells import Metrics
from telemetry.process import watch_process
from telemetry.registry import load_registry


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics(load_registry())
    watch_process(metrics, "1.2.3")
    return metrics


def test_cpu_time_rises_with_work(metrics: Metrics) -> None:
    user = metrics.counter("process.cpu.time").cell(cpu_mode="user")
    before = user.value()
    while user.value() == before:
        sum(range(10_000))
    assert metrics.counter("process.cpu.time").cell(cpu_mode="system").value() >= 0


def test_memory_is_in_bytes_of_a_plausible_size(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = metrics.up_down_counter("process.memory.usage").cell()
    assert 10 * 2**20 < memory.value() < 64 * 2**30
    monkeypatch.setattr(process, "_STATM", Path("/nowhere"))
    assert memory.value() > 0


def test_an_opened_file_is_counted(metrics: Metrics, tmp_path: Path) -> None:
    files = metrics.up_down_counter("process.unix.file_descriptor.count").cell()
    before = files.value()
    with (tmp_path / "x").open("w"):
        assert files.value() == before + 1
    assert files.value() == before


def test_the_build_is_named_in_labels(metrics: Metrics) -> None:
    family = metrics.gauge("marketprism.build.info")
    assert family.cell(build_version="1.2.3", build_python=platform.python_version()).n == 1
