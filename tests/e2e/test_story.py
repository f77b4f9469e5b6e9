"""One story from its cause to the people: an update that the exchange's side loses, the Gap, its metric and exemplar,
the trace of its repair, its log lines, the alert, the message. One trace id and one range of ids all along.

Everything is as shipped, rules and intervals too, and nothing looks into a process: each step is what a backend
answers. `KEEP_PROOFS=1` writes the times into docs/tour.md.
"""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from alerting.rules.model import Channel
from collector.records import Gap
from tests.e2e.chain import Chain
from tests.e2e.expected import Expected
from tests.e2e.proofs import show
from tests.e2e.rig import SYMBOLS, Rig, poll_until
from tools.signals import Signals, attributes, children

pytestmark = pytest.mark.full
PAGE = Path(__file__).parents[2] / "docs" / "tour.md"
WITHIN_S = 90.0
ENOUGH = 7
"""Gaps: the alert asks for more than five in ten minutes."""
COUNTED, MEASURED = "it is counted", "its repair is measured"
OF_BOOK = 'marketprism_venue="binance",marketprism_channel="book",marketprism_gap_cause="sequence"'
ALERT = Expected(
    "SequenceGaps",
    "P3",
    ("slack", "log"),
    {"venue": "binance", "market": "spot", "channel": "book", "instance": "collector-1"},
    "binance spot book keeps losing messages.",
    r"collector-1 found \d+ gaps in binance spot book in 10 min \(more than 5\), interruptions not counted\.",
)


@dataclass
class Story:
    """The first lost update is followed; the others are lost so that the alert has its reason."""

    chain: Chain
    rig: Rig
    signals: Signals
    began: float = 0.0
    struck: list[str] = field(default_factory=list)
    seen: dict[str, tuple[float, str, str]] = field(default_factory=dict)
    """Step → seconds since the fault, where, what."""

    def strike(self, symbol: str) -> None:
        self.struck.append(symbol)
        self.rig.fault("drop", "binance", channel="book", symbol=symbol)

    def again(self) -> None:
        """Lose one more update of each book that is whole, once the first one's exemplars were seen: the next gap's
        take their place. A book that is being repaired has no gap to find.
        """
        self.rig.follow()
        for symbol in SYMBOLS:
            mine = [gap for gap in self.rig.gaps if gap.instrument == symbol]
            whole = len(mine) == 2 * self.struck.count(symbol)
            if {COUNTED, MEASURED} <= self.seen.keys() and whole and len(self.struck) < ENOUGH:
                self.strike(symbol)

    def gap(self) -> Gap | None:
        """The Gap record of the first lost update, repaired."""
        self.rig.follow()
        return next((gap for gap in self.rig.gaps if gap.repaired_ts is not None), None)

    @property
    def found(self) -> Gap:
        gap = self.gap()
        assert gap is not None
        return gap

    @property
    def ids(self) -> tuple[str, str]:
        """Of the trace and of the gap's span, as the record carries them."""
        _, trace, span, _ = str(self.found.traceparent).split("-")
        return trace, span

    # -- what each backend says; nothing yet is "" ------------------------------------------------------------------

    def lost(self) -> str:
        """The simulator: the first fault did what it was told."""
        faults = self.rig.control("ledger/sent")["faults"]
        if not faults:
            return ""
        first = faults[0]
        assert (first["kind"], first["symbol"], first["strikes"]) == ("drop", SYMBOLS[0], 1)
        return f"updates {first['first']} to {first['last']} of {first['symbol']} not sent"

    def recorded(self) -> str:
        gap = self.gap()
        if gap is None:
            return ""
        (fault, *_) = self.rig.control("ledger/sent")["faults"]
        assert (gap.first, gap.last) == (fault["first"], fault["last"])
        assert gap.count == fault["last"] - fault["first"] + 1
        assert (gap.instrument, gap.channel, gap.cause) == (SYMBOLS[0], "book", "sequence")
        assert gap.repaired_ts is not None
        assert gap.detected_ts is not None
        took = (gap.repaired_ts - gap.detected_ts) / 1000
        return f"Gap {gap.first} to {gap.last}, count {gap.count}, cause {gap.cause}, repaired after {took:.0f} ms"

    def counted(self) -> str:
        found = self._exemplar(f"marketprism_gaps_total{{{OF_BOOK}}}")
        if found is None or self.gap() is None:
            return ""
        (row,) = self.signals.query(f"marketprism_gaps_total{{{OF_BOOK}}}")
        assert row["value"][1] == "1"
        return f"1, exemplar {self.ids[0]}"

    def measured(self) -> str:
        found = self._exemplar("marketprism_gap_repair_duration_seconds_bucket")
        if found is None:
            return ""
        gap = self.found
        assert float(found["value"]) == pytest.approx(((gap.repaired_ts or 0) - (gap.detected_ts or 0)) / 1e6)
        return f"{float(found['value']) * 1000:.0f} ms, the same exemplar"

    def _exemplar(self, metric: str) -> dict[str, Any] | None:
        """The one that leads to the gap's own span."""
        if self.gap() is None:
            return None
        labels = dict(zip(("trace_id", "span_id"), self.ids, strict=True))
        return next((one for one in self.signals.exemplars(metric) if one["labels"] == labels), None)

    def traced(self) -> str:
        if self.gap() is None:
            return ""
        trace, span = self.ids
        spans = self.signals.trace(trace)
        if len(spans) < 3:
            return ""
        gap, *_ = spans
        (sync,) = children(spans, gap)
        (get,) = children(spans, sync)
        assert (gap["operationName"], gap["spanID"]) == ("marketprism.gap", span)
        self._tells_the_gap(attributes(gap), int)
        assert attributes(gap)["marketprism.gap.outcome"] == "repaired"
        assert sync["operationName"] == "marketprism.book.sync"
        assert attributes(sync)["marketprism.sync.outcome"] == "ok"
        assert get["operationName"] == "GET"
        assert attributes(get)["http.response.status_code"] == 200
        assert attributes(get)["url.path"] == "/binance/api/v3/depth"
        parts = (f"{one['operationName']} {one['duration'] / 1000:.1f} ms" for one in (gap, sync, get))
        return " → ".join(parts)

    def logged(self) -> str:
        if self.gap() is None:
            return ""
        trace, span = self.ids
        lines = {line.labels["event_name"]: line for line in self.signals.lines_of(trace)}
        if not {"marketprism.book.gap", "marketprism.book.repaired"} <= lines.keys():
            return ""
        first = lines["marketprism.book.gap"]
        assert (first.labels["span_id"], first.labels["severity_text"]) == (span, "WARNING")
        self._tells_the_gap(first.labels, str, "_")
        return ", ".join(lines)

    def _tells_the_gap(self, told: Mapping[str, Any], number: Callable[[int], object], dot: str = ".") -> None:
        gap = self.found
        assert gap.count is not None
        wanted = {
            "marketprism.venue": "binance",
            "marketprism.instrument": SYMBOLS[0],
            "marketprism.gap.cause": "sequence",
            "marketprism.gap.first": str(gap.first),
            "marketprism.gap.last": str(gap.last),
            "marketprism.gap.count": number(gap.count),
        }
        assert {name.replace(".", dot): value for name, value in wanted.items()}.items() <= told.items()

    def fires(self) -> str:
        alerts = self.signals.firing(ALERT.alert)
        if not alerts:
            return ""
        (alert,) = alerts
        assert {"priority": "P3", **ALERT.labels}.items() <= alert["labels"].items()
        assert float(alert["value"]) > 5
        return f"{ALERT.alert} firing, value {float(alert['value']):g}"

    def taken(self) -> str:
        alerts = self.signals.alerts(ALERT.alert)
        if not alerts:
            return ""
        (alert,) = alerts
        assert {"priority": "P3", **ALERT.labels}.items() <= alert["labels"].items()
        assert alert["status"]["state"] == "active"
        return f"active, for {', '.join(sorted(one['name'] for one in alert['receivers']))}"

    def leads_back(self) -> str:
        """The alert's own link finds the trace: what Jaeger's page asks for, asked for by its API."""
        alerts = self.signals.alerts(ALERT.alert)
        if not alerts or self.gap() is None:
            return ""
        (alert,) = alerts
        link = urllib.parse.urlsplit(alert["annotations"]["trace_url"])
        assert link.path == "/search"
        trace, _ = self.ids
        if trace not in self.signals.search(**dict(urllib.parse.parse_qsl(link.query))):
            return ""
        return f"{trace} is among what it finds"

    def told(self, channel: Channel) -> str:
        texts = [one.text for one in self.chain.far.seen(channel) if ALERT.alert in one.text]
        if not texts:
            return ""
        found = ALERT.pattern(channel, "firing").search(texts[0])
        assert found, texts
        return found[0].split(" | ")[0] if channel == "log" else found[0].splitlines()[0]

    # -- all of it --------------------------------------------------------------------------------------------------

    def graph(self) -> str:
        """Alertmanager's trace goes on in the bridge; what it posts to, the secret of a channel, is in none of them."""
        call = ("alertmanager", "marketprism-bridge")
        if call not in self.signals.calls():
            return ""
        spans = str(self.signals.of_service(call[0]))
        assert "notify.Integration.Notify" in spans
        assert [path for path in ("/services/T000", "/beat") if path in spans] == []
        return " → ".join(call)

    def steps(self) -> dict[str, tuple[str, Callable[[], str]]]:
        """Step → where it is seen, and how."""
        return {
            "an update is lost": ("the simulator's ledger", self.lost),
            "the hole is found and repaired": ("the journal", self.recorded),
            COUNTED: ("Prometheus, `marketprism_gaps_total`", self.counted),
            MEASURED: ("Prometheus, `marketprism_gap_repair_duration_seconds_bucket`", self.measured),
            "its trace": ("Jaeger", self.traced),
            "its log lines": ("Loki", self.logged),
            "more are lost, the alert fires": ("Prometheus", self.fires),
            "it is taken": ("Alertmanager", self.taken),
            "it leads back": ("its `trace_url`, asked of Jaeger", self.leads_back),
            "people are told": ("Slack", lambda: self.told("slack")),
            "people are told too": ("the bridge's log", lambda: self.told("log")),
            "the way of the message": ("Jaeger's service graph", self.graph),
        }

    def tell(self) -> None:
        """From the first lost update to the last step."""
        steps = self.steps()
        self.began = time.time()
        self.strike(SYMBOLS[0])

        def all_seen() -> bool:
            self.again()
            for step, (where, look) in steps.items():
                if step not in self.seen:
                    what = look()
                    if what:
                        self.seen[step] = time.time() - self.began, where, what
            return len(self.seen) == len(steps)

        try:
            poll_until(all_seen, "every step of the story is seen", WITHIN_S)
        except AssertionError as error:
            missing = [f"{step}: {where}" for step, (where, _) in steps.items() if step not in self.seen]
            raise AssertionError(f"{error}; missing: {missing}; seen:\n{self.table()}") from error

    def table(self) -> str:
        rows = [("step", "where", "what was seen", "seconds since the fault"), ("---",) * 4]
        for step, (after, where, what) in sorted(self.seen.items(), key=lambda item: item[1][0]):
            rows.append((step, where, what.replace("*", r"\*"), f"{after:.1f}"))
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    for name in ("chain", "rig"):
        (tmp_path / name).mkdir()
    with Chain(tmp_path / "chain") as chain, Rig(tmp_path / "rig", venues=("binance",), rate=100) as rig:
        rig.environment = chain.telemetry()
        rig.start(instance_id="collector-1", web={"port": chain.stack.ports.collector})
        rig.wait_in_sync()
        signals = Signals(chain.stack.ports)
        # What a series has when it is first seen is no increase to Prometheus: it must have seen a 0.
        gaps = f"marketprism_gaps_total{{{OF_BOOK}}} == 0"
        poll_until(lambda: signals.query(gaps), "Prometheus knows of no gap yet", 20)
        yield Story(chain, rig, signals)
        assert rig.stop() == 0


def test_a_lost_update_leads_by_one_trace_id_from_the_metric_to_the_trace_the_log_line_the_alert_and_the_message(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    story.tell()
    show("one story", story.table(), capsys, page=PAGE)
    for channel in ("email", "dingtalk", "wecom"):
        assert story.chain.far.seen(channel) == [], channel
