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


def limited(monkeypatch: pytest.MonkeyPatch, root: Path, own: str, limits: dict[str, str]) -> None:
    """A machine whose control groups have these limits."""
    (root / "cgroup").write_text(own)
    for folder, limit in limits.items():
        (root / "groups" / folder).mkdir(parents=True, exist_ok=True)
        name = "memory.limit_in_bytes" if folder == "memory" else "memory.max"
        (root / "groups" / folder / name).write_text(f"{limit}\n")
    monkeypatch.setattr(process, "_GROUP", root / "cgroup")
    monkeypatch.setattr(process, "_GROUPS", root / "groups")


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/a/b\n", {"a/b": "max", "a": "2000", ".": "9000"}, 2000),  # the least from one's own group up to the root
        ("0::/\n", {".": "3000"}, 3000),  # in a container
        ("4:memory:/x\n", {"memory": "4000"}, 4000),  # version 1
    ],
)
def test_the_memory_limit_is_the_least_of_the_control_groups(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str, limits: dict[str, str], expected: int
) -> None:
    limited(monkeypatch, tmp_path, own, limits)
    assert metrics.gauge("marketprism.memory.limit").cell().value() == expected


def test_without_a_limit_it_is_the_memory_of_the_machine(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limited(monkeypatch, tmp_path, "0::/a\n", {"a": "max"})
    unlimited = metrics.gauge("marketprism.memory.limit").cell().value()
    assert unlimited > 256 * 2**20
    monkeypatch.setattr(process, "_GROUP", tmp_path / "nowhere")
    monkeypatch.setattr(process, "_GROUPS", tmp_path / "nowhere")
    assert metrics.gauge("marketprism.memory.limit").cell().value() == unlimited
