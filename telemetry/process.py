"""What the process itself costs: CPU time, memory, open files, and which build it is.

It owns the series of the `process.` metrics and of `marketprism.build.info`; it reads the operating system whenever a
series is read and keeps nothing. Linux and macOS differ only here.
"""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

from telemetry.cells import Metrics

_STATM = Path("/proc/self/statm")


def watch_process(metrics: Metrics, version: str) -> None:
    """Make the process's series. `version` is MarketPrism's own."""
    cpu = metrics.counter("process.cpu.time")
    cpu.watch(lambda: os.times().user, cpu_mode="user")
    cpu.watch(lambda: os.times().system, cpu_mode="system")
    metrics.up_down_counter("process.memory.usage").watch(_memory)
    metrics.up_down_counter("process.unix.file_descriptor.count").watch(_open_files)
    build = metrics.gauge("marketprism.build.info").cell(build_version=version, build_python=platform.python_version())
    build.n = 1


def _memory() -> int:
    """Bytes of physical memory. Where there is no /proc (macOS), the most so far: nothing else is cheaply told."""
    if _STATM.exists():
        return int(_STATM.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _open_files() -> int:
    """Open file descriptors, less the one that looking takes."""
    return sum(1 for _ in Path("/dev/fd").iterdir()) - 1
