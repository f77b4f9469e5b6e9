"""`python -m collector.demo`: the simulated exchanges and a collector on them, on this machine alone, until Ctrl-C.

It starts the simulator as a process of its own (no code is shared), writes a configuration that points at it over TLS,
prints what to open, and runs the collector in the foreground just as `marketprism run` does. Each demo has a directory
of its own, which stays for looking at. It never touches the real collector's journal.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from collector.config import ConfigError, load
from collector.config.model import data_directory
from collector.config.source import PREFIX
from collector.service import ServiceError, run
from collector.web.server import AddressError, AddressInUseError, bind

READY_S = 30.0
STOP_S = 5.0

CONFIGURATION = """\
# Made by python -m collector.demo: the simulated exchanges instead of the real ones.
instance_id: demo
venues:
{venues}tls:
  ca_file: {ca_file}
journal:
  directory: {journal}
  segment_age: 5m
  retain_bytes: 1GiB
web:
  port: {web_port}
log:
  level: warning
"""

VENUE = """\
  {section}:
    ws_url: wss://127.0.0.1:{tls_port}/{venue}
    rest_url: https://127.0.0.1:{tls_port}/{venue}
"""
SIMULATED = {
    "binance": "binance",
    "binance_usdm": "binance_usdm",
    "okx": "okx",
    "okx_swap": "okx",
    "coinbase": "coinbase",
    "kraken": "kraken",
}
"""Section of the configuration → the simulator's name."""

GREETING = """
MarketPrism demo: four simulated exchanges, one collector. Ctrl-C ends both.

  health    curl http://127.0.0.1:{web_port}/health
  metrics   curl http://127.0.0.1:{web_port}/metrics
  ready     curl http://127.0.0.1:{web_port}/ready
  journal   tail -f {journal}/*.jsonl
  export    {command} export {out} --journal {journal}
  a fault   curl -X POST http://127.0.0.1:{port}/control/faults \\
              -d '{{"kind": "drop", "venue": "binance", "symbol": "BTC-USDT", "channel": "book"}}'
            (then look at health, and at marketprism_gaps_total in metrics)

Everything is in {directory}; remove it when you are done.

"""


class DemoError(Exception):
    """The demo cannot run; the message says what to do."""


class Ready(Struct):
    """The simulator's first line."""

    port: int
    tls_port: int
    ca_file: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m collector.demo", description="Simulated exchanges and a collector."
    )
    parser.add_argument("--port", type=int, default=8080, help="the collector's port (default: %(default)s)")
    parser.add_argument(
        "--simulator-port", type=int, default=8900, help="the simulator's port, 0 for any (default: %(default)s)"
    )
    parser.add_argument("--rate", type=float, default=200.0, help="market events a second (default: %(default)s)")
    parser.add_argument("--directory", type=Path, help="where everything is kept (default: a new one for each demo)")
    arguments = parser.parse_args(argv)
    # until the collector takes it over: the simulator must not outlive us
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        web_port = _free_port("--port", arguments.port)
        simulator_port = _free_port("--simulator-port", arguments.simulator_port)
        directory = (arguments.directory or _new_directory()).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        with _simulator(directory, simulator_port, arguments.rate) as ready:
            return _collect(directory, ready, web_port)
    except (DemoError, ConfigError, ServiceError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 0


def _new_directory() -> Path:
    return data_directory(os.environ) / "demo" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def _free_port(option: str, port: int) -> int:
    """Give the port, or a free one for 0, before anything is started."""
    try:
        with bind("127.0.0.1", port) as listener:
            found: int = listener.getsockname()[1]
            return found
    except AddressInUseError as error:
        raise DemoError(f"{error}; choose another with {option} (0: any free one)") from error
    except (AddressError, OverflowError) as error:
        raise DemoError(f"{option}: {error}") from error


@contextlib.contextmanager
def _simulator(directory: Path, port: int, rate: float) -> Iterator[Ready]:
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--tls-port", "0", "--rate", str(rate)]
    command += ["--ca-file", str(directory / "ca.pem"), "--tls-dir", str(directory / "tls")]
    log_file = directory / "simulator.log"
    with log_file.open("wb") as log:
        # a session of its own: Ctrl-C is for the collector, and the simulator goes after it
        process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    try:
        yield _await_ready(process, log_file)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _await_ready(process: subprocess.Popen[bytes], log_file: Path) -> Ready:
    if process.stdout is None:
        raise DemoError("the simulator has no output")
    deadline = time.monotonic() + READY_S
    line = b""
    while not line.endswith(b"\n") and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            part = os.read(process.stdout.fileno(), 65536)
            line += part
            if not part:
                break
    try:
        return msgspec.json.decode(line, type=Ready)
    except msgspec.DecodeError as error:
        said = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise DemoError(
            f"the simulator did not start: {said[0] if said else 'it says nothing'} ({log_file})"
        ) from error


def _collect(directory: Path, ready: Ready, web_port: int) -> int:
    file = directory / "marketprism.yaml"
    text = CONFIGURATION.format(
        venues="".join(
            VENUE.format(section=section, venue=venue, tls_port=ready.tls_port) for section, venue in SIMULATED.items()
        ),
        ca_file=_quoted(ready.ca_file),
        journal=_quoted(str(directory / "journal")),
        web_port=web_port,
    )
    file.write_text(text, encoding="utf-8")
    # the demo is the same everywhere: the shell's settings are for the real collector
    config = load(file, {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)})
    sys.stderr.write(
        GREETING.format(
            web_port=web_port,
            port=ready.port,
            journal=shlex.quote(str(directory / "journal")),
            out=shlex.quote(str(directory / "parquet")),
            directory=shlex.quote(str(directory)),
            command=shlex.quote(str(Path(sys.executable).with_name("marketprism"))),
        )
    )
    return run(config, str(file))


def _quoted(text: str) -> str:
    """As YAML takes any text: JSON is YAML."""
    return msgspec.json.encode(text).decode()


if __name__ == "__main__":
    sys.exit(main())
