"""Error budgets that burn, in history that is given to Prometheus as blocks: told fast or slow, and its end told too.

The history is made so that its last errors leave the shorter window a few minutes after the start: then it is over.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from alerting.rules.model import CHANNELS
from alerting.rules.slo import BURNS, OBJECTIVES, Burn, Objective
from tests.e2e.chain import Case, Chain, Proof, follow
from tests.e2e.expected import Expected
from tools.programs import path

HISTORY_M = 3 * 24 * 60
EVENTS = 100.0
FAST = BURNS[0]


def errors(burn: Burn, minute: int) -> float:
    """The part that failed so many minutes ago, in budgets."""
    if burn is FAST:  # 20 times the pace over an hour, and not 6 over six hours
        return 150.0 if 2 <= minute <= 9 else 0.0
    if 2 * 1440 <= minute < 2 * 1440 + 60:  # over three days 1.5 times the pace ...
        return 108.0
    return 108.0 if 352 <= minute <= 355 else 0.0  # ... and over six hours 1.2, until the first of these is past


def history(burns: dict[str, Burn], now: float) -> str:
    """Every objective's errors and events, a sample a minute, in OpenMetrics."""
    begin = now - now % 60
    minutes = range(HISTORY_M, 0, -1)
    lines = []
    for kind in ("errors", "events"):
        lines.append(f"# TYPE slo:{kind}:rate5m gauge")
        for one in OBJECTIVES:
            for minute in minutes:
                value = EVENTS * (errors(burns[one.name], minute) * one.budget if kind == "errors" else 1.0)
                lines.append(f'slo:{kind}:rate5m{{slo="{one.name}"}} {value:g} {begin - 60 * minute:.0f}')
    return "\n".join([*lines, "# EOF\n"])


@contextmanager
def alive(port: int) -> Iterator[None]:
    """Something for Prometheus to scrape: whether the collector lives is no matter here."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", port), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def burning(chain: Chain, one: Objective, burn: Burn) -> Case:
    speed = "fast" if burn is FAST else "steadily"
    expected = Expected(
        one.alert,
        burn.priority,
        CHANNELS[burn.priority],
        {"burn": burn.speed},
        f"The error budget of {one.name} burns {speed}.",
        r"[\d.]+% failed over the longer window \([^)]+\); "
        rf"{one.budget:.1%} may in 30 days\. Promised: {one.ratio:.1%} {one.means}\. Left of the month's budget: "
        r"-?[\d.]+%\.",
    )
    case = Case(
        chain, expected, f"history: {'20 times the pace in an hour' if burn is FAST else 'the pace for 3 days'}", 0
    )
    case.begin()
    return case


def burn(folder: Path) -> list[Proof]:
    """Every objective's budget burns fast, and slowly, and stops; what became of each."""
    cases: list[Case] = []
    with ExitStack() as opened:
        for number in range(2):  # half of the objectives fast and half slow, and the other way round
            burns = {one.name: BURNS[(n + number) % 2] for n, one in enumerate(OBJECTIVES)}
            own = folder / str(number)
            own.mkdir()

            def backfill(tsdb: Path, own: Path = own, burns: dict[str, Burn] = burns) -> None:
                file = own / "history.txt"
                file.write_text(history(burns, time.time()))
                command: list[str | Path] = [path("promtool"), "tsdb", "create-blocks-from", "openmetrics", file, tsdb]
                subprocess.run(command, check=True, capture_output=True)

            only = ("bridge", "alertmanager", "prometheus")
            chain = opened.enter_context(Chain(own, per_minute=1000, only=only, ready=backfill))
            opened.enter_context(alive(chain.stack.ports.collector))
            cases += [burning(chain, one, burns[one.name]) for one in OBJECTIVES]
        follow(cases, 240)
        for case in cases:
            case.only_its_channels()
            case.heal()
        follow(cases, 420, recovery=True)
    return [case.proof for case in cases]
