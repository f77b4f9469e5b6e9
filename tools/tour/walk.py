"""The walk of docs/tour.md on a running demo and stack: what is typed, in which order, and what is waited for.

Owns the pictures' content. It must never invent an answer: every line of a terminal is what the command that stands
above it printed. Only addresses and folders are written as they are when nobody chooses others, and so are they typed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.components import HOST, Ports
from tools.programs import ROOT, ToolsError
from tools.signals import Signals, attributes, children
from tools.tour import svg

ENOUGH = 7
"""Gaps, for SequenceGaps: it asks for more than five."""
HEALTH = "marketprism health --url http://127.0.0.1:8080"
JOURNAL = "~/.local/share/marketprism/demo/*/journal/*.jsonl"
FAULT = "curl -s -X POST localhost:8900/control/faults -d"
LOST = '{"kind": "drop", "venue": "binance", "symbol": "BTC-USDT", "channel": "book"}'
LATE = '{"kind": "slow", "venue": "binance", "endpoint": "depth", "ms": 3000}'
COUNTED = 'marketprism_gaps_total{marketprism_venue="binance",marketprism_channel="book"}'


@dataclass
class Walk:
    """`home`: where demo and stack keep their data. `simulator`: its port. `demo_log`: all that the demo said."""

    home: Path
    ports: Ports
    simulator: int
    demo_log: Path
    pictures: dict[str, str] = field(default_factory=dict)

    def walk(self) -> dict[str, str]:
        """Every picture by its name. Afterwards the alert is still there."""
        self._look()
        trace = self._break()
        self._follow(trace)
        self._alert()
        self._answer()
        return self.pictures

    # -- the steps ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        greeting, end, _ = self.demo_log.read_text(encoding="utf-8").partition("when you are done.")
        self._terminal("demo", "make demo", ["$ make demo", *self._usual(greeting + end).splitlines()])
        self._until(lambda: self._health() == [], "all is in sync", 90)
        self._terminal(
            "health",
            "all is in sync",
            self._type(HEALTH)
            + self._type("curl -s localhost:8080/health | head -n 4")
            + self._type('curl -s localhost:8080/health | grep -m 1 -B 2 -A 7 \'"channel": "book"\''),
            r"in_sync|\bok\b",
        )
        self._terminal("journal", "the journal", self._type(f"tail -q -n 4 {JOURNAL}"), r'"type":"\w+"')

    def _break(self) -> str:
        """One update lost, and its repair made slow enough to be looked at. Gives the trace's id."""
        broken = self._type(f"{FAULT} \\\n    '{LATE}'") + self._type(f"{FAULT} \\\n    '{LOST}'")
        self._until(self._health, "the hole is found")
        if len(self._health() or ()) != 1:
            raise ToolsError(f"this machine is too busy for pictures: {self._health()}")
        self._terminal("gap", "something breaks", broken + self._type(HEALTH), r"degraded|book is gap")
        self._until(lambda: self._health() == [], "the book is whole again")
        self._terminal(
            "repaired",
            "it is repaired",
            self._type(HEALTH) + self._type(f'grep -h \'"type":"Gap"\' {JOURNAL}'),
            r'\bok\b|"(?:first|last|count|cause|repaired_ts)":[^,}]+',
        )
        self._until(lambda: self.signals.exemplars(COUNTED), "Prometheus has the exemplar")
        return str(self.signals.exemplars(COUNTED)[0]["labels"]["trace_id"])

    def _follow(self, trace: str) -> None:
        ask = "curl -s localhost:8080/metrics -H 'Accept: application/openmetrics-text' | grep '^marketprism_gaps.* # '"
        exemplars = "curl -s localhost:9090/api/v1/query_exemplars \\\n    "
        exemplars += f"-d start=$(date -d -10min +%s) -d end=$(date +%s) -d query='{COUNTED}'"
        self._terminal("metric", "from the metric to the trace", self._type(ask) + self._type(exemplars), trace)
        self._until(lambda: len(self.signals.trace(trace)) > 2, "Jaeger has the trace")
        self.pictures["trace"] = svg.waterfall(f"Jaeger's trace {trace}", _bars(self.signals.trace(trace)))
        # The demo's own line is there at once, what goes by OTLP a moment later.
        self._until(lambda: self.signals.lines_of(trace), "the log lines have come")
        said = next(line for line in self.demo_log.read_text(encoding="utf-8").splitlines() if trace in line)
        ask = "curl -s localhost:3100/loki/api/v1/query_range \\\n    "
        ask += f'-G --data-urlencode \'query={{service_name="marketprism-collector"}} | trace_id="{trace}"\' -d limit=1'
        ask += " \\\n    | grep -o '\"stream\":{[^}]*}'"
        lines = ["# in the terminal of make demo", said, "# the same line in Loki", *self._type(ask)]
        self._terminal("log", "from the trace to the log line", lines, trace)

    def _alert(self) -> None:
        """Lose an update of each book that is whole, until Alertmanager has the alert."""
        kinds = [json.loads(LOST) | {"symbol": symbol} for symbol in ("BTC-USDT", "ETH-USDT")]

        def taken() -> object:
            counted = sum(float(row["value"][1]) for row in self.signals.query(COUNTED))
            if counted < ENOUGH and self._health() == []:
                for kind in kinds:
                    self._real(f"{FAULT} '{json.dumps(kind)}'")
            return self.signals.alerts("SequenceGaps")

        self._until(taken, "Alertmanager has the alert", 90)
        find = "grep marketprism.alert.firing .stack/bridge.log"
        self._until(lambda: self._real(find), "the alert is told")
        self._terminal("message", "the message", self._type(find), r"P3 firing|[^|]*keeps losing messages\.")

    def _answer(self) -> None:
        ack = (
            "marketprism ack SequenceGaps --match venue=binance --by me --comment 'looking into it' \\\n"
            "    --alertmanager http://127.0.0.1:9093"
        )
        drill = (
            "MARKETPRISM_BRIDGE_TOKEN_FILE=.stack/bridge-token marketprism drill --priority P3 \\\n"
            "    --alertmanager http://127.0.0.1:9093 --bridge http://127.0.0.1:8081"
        )
        self._terminal("ack", "somebody works on it; do alerts arrive at all?", self._type(ack) + self._type(drill))

    # -- how ----------------------------------------------------------------------------------------------------------

    @property
    def signals(self) -> Signals:
        """The backends of the stack."""
        return Signals(self.ports)

    @property
    def _addresses(self) -> Mapping[int, int]:
        """Port by default → port of this run."""
        used = {default: getattr(self.ports, name) for name, default in vars(Ports()).items()}
        return used | {8900: self.simulator}

    def _terminal(self, name: str, title: str, lines: list[str], mark: str = "") -> None:
        self.pictures[name] = svg.terminal(title, lines, mark)

    def _type(self, command: str) -> list[str]:
        """What was typed and what it printed, as lines."""
        return [
            "$ " + command.splitlines()[0],
            *command.splitlines()[1:],
            *self._usual(self._real(command)).splitlines(),
        ]

    def _real(self, command: str) -> str:
        """What a command prints on the addresses of this run."""
        for default, port in self._addresses.items():
            command = re.sub(rf"(?<=:){default}\b", str(port), command)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8"}
        done = subprocess.run(  # noqa: S603 - our own commands
            ["/bin/bash", "-c", command], cwd=self.home, env=environment, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def _usual(self, text: str) -> str:
        for default, port in self._addresses.items():
            text = re.sub(rf"(?<=:){port}\b", str(default), text)
        return text.replace(f"{ROOT}/", "").replace(str(self.home), "~")

    def _health(self) -> list[str] | None:
        """What is not ok; None while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.ports.collector}/health", timeout=5) as answer:
                return list(json.loads(answer.read())["not_ok"])
        except OSError:
            return None

    def _until(self, check: Callable[[], object], sentence: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            if time.monotonic() > deadline:
                raise ToolsError(f"not within {seconds:.0f} s: {sentence}; not ok: {self._health()}")
            time.sleep(0.1)


def _bars(spans: list[dict[str, Any]]) -> list[svg.Bar]:
    """The spans in the order of the tree, with what tells most about each."""
    told = {
        "marketprism.gap": ("venue", "instrument", "channel", "gap.cause", "gap.first", "gap.last", "gap.count"),
        "marketprism.book.sync": ("sync.outcome", "sync.attempts"),
    }
    began = int(spans[0]["startTime"])
    bars: list[svg.Bar] = []

    def add(span: dict[str, Any], depth: int) -> None:
        has = attributes(span)
        names = [f"marketprism.{name}" for name in told.get(span["operationName"], ())]
        names = names or ["http.response.status_code", "url.path"]
        about = "  ".join(f"{name.removeprefix('marketprism.')}={has[name]}" for name in names)
        start = (int(span["startTime"]) - began) / 1000
        bars.append(svg.Bar(span["operationName"], depth, start, span["duration"] / 1000, about))
        for child in children(spans, span):
            add(child, depth + 1)

    add(spans[0], 0)
    return bars
