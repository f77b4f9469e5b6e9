"""The real Alertmanager and the real `marketprism` command, as processes of a test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tools import build, programs
from tools.go import toolchain

MARKETPRISM = Path(sys.executable).with_name("marketprism")
READY_S = 20.0


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of ours, and these."""
    ours = ("MARKETPRISM_", "OTEL_")
    return {**{name: text for name, text in os.environ.items() if not name.startswith(ours)}, **given}


async def command(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `marketprism` with these arguments to its end."""
    process = await asyncio.create_subprocess_exec(
        MARKETPRISM,
        *arguments,
        env=environment(environ or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


@contextlib.asynccontextmanager
async def process(
    arguments: Sequence[str | Path], ready: str, log: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that answers 200 at `ready`; ended by SIGTERM, in time."""
    with log.open("ab") as out:
        started = await asyncio.create_subprocess_exec(
            *arguments, env=environment(environ or {}), stdout=out, stderr=asyncio.subprocess.STDOUT
        )
        try:
            await _until_ready(started, ready, log)
            yield started
        finally:
            if started.returncode is None:
                started.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                await started.wait()


async def _until_ready(started: asyncio.subprocess.Process, url: str, log: Path) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(READY_S):
        while True:
            assert started.returncode is None, f"it ended; {log} says why"
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def real_alertmanager(directory: Path, config: str, port: int) -> AsyncIterator[str]:
    """The address of an Alertmanager on this configuration; its data and its alertmanager.log are in `directory`."""
    binary = build.ensure(programs.ALERTMANAGER, lambda: toolchain(build.say)) / "alertmanager"
    file = directory / "alertmanager.yml"
    file.write_text(config, encoding="utf-8")
    arguments: list[str | Path] = [
        binary,
        f"--config.file={file}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    async with process(arguments, f"{url}/-/ready", directory / "alertmanager.log"):
        yield url


@contextlib.asynccontextmanager
async def real_bridge(directory: Path, environ: Mapping[str, str], port: int) -> AsyncIterator[str]:
    """The address of `marketprism bridge`. Its data and its log (bridge.log) are in `directory`."""
    given = {
        "MARKETPRISM_BRIDGE_LISTEN": f"127.0.0.1:{port}",
        "MARKETPRISM_BRIDGE_DATA": str(directory / "bridge"),
        **environ,
    }
    url = f"http://127.0.0.1:{port}"
    async with process([MARKETPRISM, "bridge"], f"{url}/ready", directory / "bridge.log", given):
        yield url
