"""What the process itself costs: CPU time, memory and how much of it there is, open files, and which build it is.

It owns the series of the `process.` metrics, of `marketprism.memory.limit` and `marketprism.build.info`; it reads the
operating system whenever a series is read and keeps nothing. Linux and macOS differ only here.
"""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

from telemetry.cells import Metrics

_STATM = Path("/proc/self/statm")
_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def watch_process(metrics: Metrics, version: str) -> None:
    """Make the process's series. `version` is MarketPrism's own."""
    cpu = metrics.counter("process.cpu.time")
    cpu.watch(lambda: os.times().user, cpu_mode="user")
    cpu.watch(lambda: os.times().system, cpu_mode="system")
    metrics.up_down_counter("process.memory.usage").watch(_memory)
    metrics.gauge("marketprism.memory.limit").watch(_memory_limit)
    metrics.up_down_counter("process.unix.file_descriptor.count").watch(_open_files)
    build = metrics.gauge("marketprism.build.info").cell(build_version=version, build_python=platform.python_version())
    build.n = 1


def _memory() -> int:
    """Bytes of physical memory. Where there is no /proc (macOS), the most so far: nothing else is cheaply told."""
    if _STATM.exists():
        return int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _memory_limit() -> int:
    """The least of what the machine has and what this control group and those above it allow, bytes.

    Version 2 keeps a limit in each folder from the process's own up to the root, which in a container is its own
    (https://docs.kernel.org/admin-guide/cgroup-v2.html); version 1, of which the container's own limit is read, in one
    place. Neither exists on macOS.
    """
    least = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    files = [_GROUPS / "memory" / "memory.limit_in_bytes"]
    if _GROUP.exists():
        lines = _GROUP.read_text(encoding="utf-8").splitlines()
        own = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
        files += [folder / "memory.max" for folder in (_GROUPS / own, *(_GROUPS / own).parents)]
    for file in files:
        text = file.read_text(encoding="ascii").strip() if file.exists() else "max"
        if text != "max":
            least = min(least, int(text))
    return least


def _open_files() -> int:
    """Open file descriptors, less the one that looking takes."""
    return sum(1 for _ in Path("/dev/fd").iterdir()) - 1
