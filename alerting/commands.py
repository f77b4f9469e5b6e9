"""The commands `bridge`, `drill` and `ack`: their options and what they print.

It owns no work: what a command needs is imported when it runs. The command line of the collector adds these to its own.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from alerting.errors import AlertingError

if TYPE_CHECKING:
    from alerting.drill import Answered, Result

ALERTMANAGER = "http://127.0.0.1:9093"
EXIT_OK, EXIT_FOUND = 0, 1
PRIORITIES = ("P1", "P2", "P3", "P4")
Command = Callable[[argparse.Namespace], int]
Add = Callable[[str, Command, str, str], argparse.ArgumentParser]


def add_commands(command: Add, data_directory: Callable[[], Path]) -> None:
    """Add them with the parser's own way of adding one. `data_directory`: where the user's data is."""

    def bridge(_: argparse.Namespace) -> int:
        from alerting.bridge.app import run  # noqa: PLC0415 - see the module's docstring
        from alerting.bridge.settings import read_settings  # noqa: PLC0415

        return run(read_settings(os.environ, data_directory() / "bridge"))

    command(
        "bridge",
        bridge,
        "Take alerts from Alertmanager to DingTalk, WeCom and the log, until SIGTERM or Ctrl-C.",
        "MARKETPRISM_BRIDGE_TOKEN_FILE=token MARKETPRISM_BRIDGE_WECOM_URL_FILE=wecom-url marketprism bridge",
    )
    sub = command(
        "drill",
        _drill,
        "Send a test alert through Alertmanager to every configured channel: exit 0 when each answered, else 1.",
        "marketprism drill --priority P1",
    )
    _add_alertmanager(sub)
    sub.add_argument(
        "--bridge", metavar="URL", help="where the bridge listens; default: as MARKETPRISM_BRIDGE_LISTEN says"
    )
    sub.add_argument("--no-bridge", action="store_true", help="there is no bridge: only e-mail and Slack")
    sub.add_argument(
        "--priority", choices=PRIORITIES, default="P1", help="the alert's priority; P1 goes to every channel"
    )
    sub.add_argument("--wait", metavar="FOR", type=_duration, default="60s", help="how long to wait (default: 60s)")

    sub = command(
        "ack",
        _ack,
        "Stop the escalation of an alert that somebody works on. The alert keeps its reminders and its recovery.",
        "marketprism ack ExchangeDown --match venue=kraken --for 2h --comment 'asked the exchange'",
    )
    sub.add_argument("alertname", metavar="ALERTNAME", help="the alert, which has to be firing")
    sub.add_argument(
        "--match", metavar="LABEL=VALUE", action="append", default=[], help="only with this label; may be repeated"
    )
    sub.add_argument("--for", metavar="FOR", dest="length", type=_duration, default="2h", help="how long (default: 2h)")
    sub.add_argument("--by", metavar="NAME", help="who works on it; default: you")
    sub.add_argument("--comment", metavar="TEXT", default="acknowledged", help="what to note (default: %(default)s)")
    _add_alertmanager(sub)


def _add_alertmanager(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--alertmanager", metavar="URL", default=ALERTMANAGER, help="where Alertmanager is (default: %(default)s)"
    )


def _duration(text: str) -> timedelta:
    from alerting.ack import read_duration  # noqa: PLC0415

    try:
        return read_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _ack(arguments: argparse.Namespace) -> int:
    from alerting.ack import acknowledge, read_matches  # noqa: PLC0415
    from alerting.client import Alertmanager  # noqa: PLC0415

    labels, now, by = read_matches(arguments.match), datetime.now(UTC), arguments.by or getpass.getuser()

    async def ack() -> None:
        async with Alertmanager(arguments.alertmanager) as alertmanager:
            done = await acknowledge(
                alertmanager,
                arguments.alertname,
                labels,
                until=now + arguments.length,
                now=now,
                by=by,
                comment=arguments.comment,
            )
        what = f"{arguments.alertname} ({done.firing} firing)"
        sys.stdout.write(f"{what}: no escalation until {done.ends:%Y-%m-%d %H:%M} UTC; silence {done.silence}\n")

    asyncio.run(ack())
    return EXIT_OK


class _Clock:
    """Implements `drill.Clock`."""

    def mono(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)


def _drill(arguments: argparse.Namespace) -> int:
    from alerting.bridge.settings import listen_address, read_token  # noqa: PLC0415

    url = token = ""
    if not arguments.no_bridge:
        host, port = listen_address(os.environ)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what it may listen on
        url = arguments.bridge or (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        token = read_token(os.environ)
    result = asyncio.run(_run_drill(arguments, url, token))
    for channel, why in result.off.items():
        sys.stdout.write(f"{channel:<9} off       {why}\n")
    if not result.answers:
        raise AlertingError(f"no channel of {arguments.priority} is configured: nobody would learn of an alert")
    late = [answer.channel for answer in result.answers if not answer.ok]
    sys.stdout.write(f"{'failed: ' + ', '.join(late) if late else 'every configured channel answered'}\n")
    return EXIT_OK if result.passed else EXIT_FOUND


async def _run_drill(arguments: argparse.Namespace, bridge_url: str, token: str) -> Result:
    import aiohttp  # noqa: PLC0415

    from alerting.client import TIMEOUT_S, Alertmanager  # noqa: PLC0415
    from alerting.drill import BridgeClient, Drill  # noqa: PLC0415

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with Alertmanager(arguments.alertmanager) as alertmanager, aiohttp.ClientSession(timeout=timeout) as session:
        drill = Drill(
            alertmanager=alertmanager,
            bridge=BridgeClient(session, bridge_url, token) if bridge_url else None,
            priority=arguments.priority,
            name=uuid.uuid4().hex[:8],
            wait_s=arguments.wait.total_seconds(),
            clock=_Clock(),
        )
        return await drill.run(lambda answer: _say(answer, sys.stdout))


def _say(answer: Answered, out: TextIO) -> None:
    how = f"{answer.seconds:6.2f} s" if answer.seconds is not None else "  FAILED"
    out.write(f"{answer.channel:<9} {how}  {answer.words}\n")
    out.flush()
