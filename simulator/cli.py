"""The simulator's command line.

It owns the flags, the ready line on stdout and the exit code: 0 after SIGTERM or Ctrl-C, 2 for a mistake in the flags,
1 when a port or a file is refused.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.instruments import parse_symbols
from simulator.perpetual import FUNDING_SECONDS
from simulator.server import DEFAULT_SYMBOLS, LEDGER_LIMIT, Simulator


def _limit(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form venue.limit=value")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number") from None


def _symbols(text: str) -> tuple[str, ...]:
    try:
        return parse_symbols(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(prog="simulator", description=(__doc__ or "").splitlines()[0])
    add = flags.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=int, default=8900, help="plain port, 0 for any (default %(default)s)")
    add("--tls-port", type=int, default=8943, help="TLS port, 0 for any (default %(default)s)")
    add("--no-tls", action="store_true", help="no TLS port")
    add("--tls-dir", type=Path, help="where keys and certificates are kept (default: a directory of the run)")
    add("--tls-name", action="append", default=[], metavar="NAME", help="a further name of this host")
    add("--open-control", action="store_true", help="/control answers everyone, not this machine only")
    add("--ca-file", type=Path, help="where to put the certificate to be trusted")
    add("--seed", type=int, default=1, help="decides all content (default %(default)s)")
    add("--rate", type=float, default=100.0, help="steps a second over all markets; 0: only by control")
    add("--symbols", type=_symbols, default=DEFAULT_SYMBOLS, help=f"default {','.join(DEFAULT_SYMBOLS)}")
    add("--venues", type=lambda text: tuple(text.split(",")), help="only these, such as binance,kraken (default: all)")
    add(
        "--funding-seconds", type=int, default=FUNDING_SECONDS, help="how often perpetuals settle (default %(default)s)"
    )
    add("--ledger-limit", type=int, default=LEDGER_LIMIT, help="entries kept of each kind (default %(default)s)")
    add("--tape", type=Path, help="play this tape instead of a market")
    add("--speed", type=float, default=1.0, help="how many times as fast the tape plays; 0: as fast as it goes")
    add("--limit", type=_limit, action="append", default=[], metavar="VENUE.NAME=VALUE", help="change a venue's limit")
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code."""
    flags = parser().parse_args(arguments)
    try:
        return _run(flags)
    except ValueError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1


def _quiet() -> None:
    # A TLS client that goes away in a burst makes asyncio warn of each frame that was still on its way; errors stay.
    logging.getLogger("asyncio").setLevel(logging.ERROR)


def _run(flags: argparse.Namespace) -> int:
    if flags.funding_seconds < 1:
        raise ValueError("funding-seconds must be above 0")
    if flags.rate < 0 or flags.speed < 0:
        raise ValueError("rate and speed must not be negative")
    _quiet()
    with contextlib.suppress(ImportError):  # where it exists, it makes the same server faster
        import uvloop  # noqa: PLC0415

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(flags))
    return asyncio.run(_serve(flags))


async def _serve(flags: argparse.Namespace) -> int:
    simulator = Simulator(
        seed=flags.seed,
        symbols=flags.symbols,
        venues=flags.venues,
        funding_seconds=flags.funding_seconds,
        rate=flags.rate,
        host=flags.host,
        port=flags.port,
        tls=not flags.no_tls,
        tls_port=flags.tls_port,
        tls_dir=None if flags.no_tls else flags.tls_dir,
        tls_names=flags.tls_name,
        open_control=flags.open_control,
        tape=flags.tape,
        speed=flags.speed,
        limits=dict(flags.limit),
        ledger_limit=flags.ledger_limit,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with simulator:
        ca_file = simulator.ca_file
        if ca_file is not None and flags.ca_file is not None:
            shutil.copyfile(ca_file, flags.ca_file)
            ca_file = flags.ca_file
        ready = {
            "event": "ready",
            "port": simulator.port,
            "tls_port": simulator.tls_port if ca_file else None,
            "ca_file": str(ca_file) if ca_file else None,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()
    return 0
