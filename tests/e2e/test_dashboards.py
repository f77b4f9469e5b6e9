"""Every query of every dashboard on the running stack: data in health, data under its fault, and the right numbers.

One run tells it all: in health each panel has finite data, but for those that say which fault fills them; with the
markets standing, panels equal the simulator's ledger; then each named fault, until its panels are full. Durations of
the rules are divided by 12, so that objectives and alerts are there within seconds. How many queries were proven is
printed.
"""

from __future__ import annotations

import json
import math
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from alerting.rules.__main__ import main as write_rules
from grafana.boards import BOARDS
from grafana.render import ANNOTATIONS
from tests.e2e.rig import SYMBOLS, VENUES, Rig, poll_until
from tests.e2e.test_stack import Running
from tests.grafana.kit import DASHBOARDS, filled, log_queries, metric_queries
from tools.components import Alerts, Ports
from tools.stack import Stack

pytestmark = pytest.mark.full
EXPORT_S: Final = 1.0
FASTER: Final = 12
INSTANCE: Final = "collector-1"
CHANNELS: Final = ("trades", "quotes", "book")
PERPETUALS: Final = {"funding": "FundingRate", "open_interest": "OpenInterest", "liquidations": "Liquidation"}
"""What perpetuals alone have: by channel, the record."""
LIFE: Final = "10m"
LIFE_S: Final = 600
"""A window that holds the whole run: what grew in it is all that was counted."""
Series = list[dict[str, Any]]


def quiet() -> dict[str, str]:
    """The query of each panel that is empty in health, with what fills it."""
    found = {
        query.text: query.fault for board in BOARDS for row in board.rows for p in row.panels for query in p.queries
    }
    found |= {query.text: query.fault for _, _, query in ANNOTATIONS}
    return {text: fault for text, fault in found.items() if fault}


@dataclass
class Told:
    """What the dashboards showed, and what was true."""

    running: Running
    health: dict[tuple[str, str], Series] = field(default_factory=dict)
    """By dashboard and place."""
    full: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """By fault: the queries that it filled."""
    rows: list[tuple[str, str, float, float, float]] = field(default_factory=list)
    """Dashboard, panel, shown, true, and how far they may be apart."""

    def ask(self, name: str, text: str, *, window: str = "20s") -> Series:
        """The answer to a query of a dashboard."""
        return self.running.query(filled(text, DASHBOARDS[name], window=window, shown=LIFE))

    def everything(self) -> dict[tuple[str, str], Series]:
        """The answers to all queries."""
        return {
            (name, place): self.ask(name, text)
            for name, dashboard in DASHBOARDS.items()
            for place, text in metric_queries(dashboard)
        }

    def shown(self, name: str, place: str, *, window: str = LIFE, **labels: str) -> float:
        """The sum of what a panel shows for these labels."""
        text = dict(metric_queries(DASHBOARDS[name]))[place]
        rows = self.ask(name, text, window=window)
        fit = [row for row in rows if labels.items() <= row["metric"].items()]
        assert fit, (name, place, labels, rows)
        return sum(float(row["value"][1]) for row in fit)

    def compare(self, name: str, place: str, shown: float, true: float, apart: float = 0.0) -> None:
        """Note a pair of numbers."""
        self.rows.append((name, place, shown, true, apart))


def is_good(series: Series) -> bool:
    """Whether a panel has something to draw, and nothing that cannot be drawn."""
    return bool(series) and all(math.isfinite(float(row["value"][1])) for row in series)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """One run with all of its phases."""
    folder = tmp_path_factory.mktemp("dashboards")
    assert write_rules(["--into", str(folder / "rules"), "--factor", str(FASTER)]) == 0
    alerts = Alerts(instance=INSTANCE, rules=folder / "rules", faster=FASTER)
    with Stack(ports=Ports.free(), data=folder / "stack", alerts=alerts) as stack, _markets(folder) as rig:
        rig.environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{stack.ports.otlp_http}",
            "OTEL_METRIC_EXPORT_INTERVAL": str(int(EXPORT_S * 1000)),
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        start(rig, stack)
        began = time.monotonic()
        result = Told(Running(rig, stack))
        in_health(result)
        against_the_ledger(result, began)
        yield result
        assert rig.stop() == 0


@pytest.fixture(scope="module")
def struck(told: Told) -> Told:
    """The same run, after the faults."""
    told.running.rig.control("market", {"running": True})
    under_faults(told)
    against_alertmanager(told)
    return told


def _markets(folder: Path) -> Rig:
    """Spot on two venues, perpetuals on a third."""
    perpetuals = tuple(f"{symbol}-PERP" for symbol in SYMBOLS)
    return Rig(folder, rate=100, venues=(*VENUES, "okx_swap"), symbols=(*SYMBOLS, *perpetuals))


def start(rig: Rig, stack: Stack) -> None:
    rig.start(web={"port": stack.ports.collector}, instance_id=INSTANCE, channels=[*CHANNELS, *PERPETUALS])
    rig.wait_in_sync()


def in_health(told: Told) -> None:
    """Ask until every query has what it should have; what is wrong with the last answers is left for the test."""
    silent = quiet()

    def right() -> bool:
        told.health = told.everything()
        texts = {(name, place): text for name, d in DASHBOARDS.items() for place, text in metric_queries(d)}
        return all((not series) if texts[key] in silent else is_good(series) for key, series in told.health.items())

    until = time.monotonic() + 90
    while not right() and time.monotonic() < until:
        time.sleep(1)


def against_the_ledger(told: Told, began: float) -> None:
    """Let the markets stand, and compare what was counted with what was sent."""
    rig = told.running.rig
    rig.fault("malformed", "binance", channel="trades", symbol="BTC-USDT", count=3)
    poll_until(lambda: rig.metric("marketprism_dead_letters_written_total") == 3, "three dead letters")
    rig.wait_in_sync()
    rig.settle()
    time.sleep(3 * EXPORT_S)
    rig.wait_in_sync()
    sent, state = rig.control("ledger/sent")["venues"], rig.control("state")
    # Of a counter that began at 0: what one interval held before the first sample, and one beyond the last.
    part = 3 * EXPORT_S / (time.monotonic() - began)

    def counted(name: str, place: str, true: float, **labels: str) -> None:
        told.compare(name, f"{place} {' '.join(labels.values())}", told.shown(name, place, **labels) * LIFE_S, true,
                     true * part + 1)  # fmt: skip

    messages = {(venue, channel): sent[venue][channel]["messages"] for venue in VENUES for channel in CHANNELS}
    swaps = {channel: sent["okx"][channel]["messages"] for channel in (*CHANNELS, *PERPETUALS)}
    everything = sum(channel["messages"] for venue in (*VENUES, "okx") for channel in sent[venue].values())
    counted("overview", "Messages A", everything)
    wanted = [key for venue in VENUES for key in state["subscriptions"][venue] if key not in {"instrument", "status"}]
    for key in state["subscriptions"]["okx"]:
        name, _, of = key.partition("|")
        if name not in {"instruments", "status"}:
            wanted += SYMBOLS if of == "SWAP" else [key]  # one subscription for the streams of all swaps
    flow = told.shown("overview", "Streams that flow A") + told.shown("overview", "Streams that flow B")
    told.compare("overview", "Streams that flow A, B", flow, len(wanted))
    standing = told.shown("overview", "Connections A") * len(told.running.query("marketprism_connection_state"))
    told.compare("overview", "Connections A", standing, sum(state["connections"].values()))

    for (venue, channel), true in messages.items():
        labels = {"marketprism_venue": venue, "marketprism_channel": channel}
        counted("venue", "Messages A", true, **labels)
        if channel != "book":  # a book begins with its largest message, before the first sample
            counted("venue", "Payload A", sent[venue][channel]["bytes"], **labels)
    for venue in VENUES:
        counted(
            "venue", "Records A", messages[venue, "quotes"], marketprism_venue=venue, marketprism_record_type="Quote"
        )

    for channel in ("open_interest", "liquidations"):  # funding comes too seldom: an interval may hold half of it
        record, true = PERPETUALS[channel], swaps[channel]
        shown = told.shown("venue", "Records of perpetuals A", marketprism_record_type=record)
        # A subscription begins with a message for each instrument, before the first sample.
        told.compare("venue", f"Records of perpetuals A {record}", shown, true, true * part + 1 + len(SYMBOLS))

    for channel in CHANNELS:
        counted("instrument", "Messages A", messages["kraken", channel], marketprism_channel=channel)
    last = rig.control("ledger/trades?venue=kraken&symbol=BTC-USDT&from=1")["trades"]
    age = time.time() - last[-1]["ts_us"] / 1e6
    told.compare("instrument", "Last of trades A", told.shown("instrument", "Last of trades A"), age, EXPORT_S)
    age = time.time() - rig.control("ledger/book?venue=kraken&symbol=BTC-USDT")["ts_us"] / 1e6
    told.compare("instrument", "Last of book A", told.shown("instrument", "Last of book A"), age, EXPORT_S)

    trades = sum(
        len(rig.control(f"ledger/trades?venue=kraken&symbol={symbol}&from=1")["trades"])
        for symbol in ("BTC-USDT", "ETH-USDT")
    )
    # One record a message, but for Kraken's trades; what there is beside them are a few snapshots.
    records = sum(messages.values()) - messages["kraken", "trades"] + trades + sum(swaps.values())
    counted("pipeline", "Records A", records)
    counted("pipeline", "Records B", records)
    told.compare("pipeline", "Dead letters A", told.shown("pipeline", "Dead letters A"), 3, 3 * part)

    traces = {"marketprism_telemetry_signal": "traces"}
    spans = rig.metric("marketprism_telemetry_exported_total", **traces) / everything
    told.compare(
        "telemetry", "Spans a message A", told.shown("telemetry", "Spans a message A"), spans, spans * part * 2
    )
    series = rig.metric("marketprism_telemetry_series")
    told.compare("telemetry", "Series B", told.shown("telemetry", "Series B"), series)
    up = len(told.running.stack.components) + 1
    told.compare("telemetry", "Components A", told.shown("telemetry", "Components A"), up)


def under_faults(told: Told) -> None:
    """Each named fault, until all that it should fill is full."""
    for fault, strike in FAULTS.items():
        wanted = {
            (name, place): text
            for name, dashboard in DASHBOARDS.items()
            for place, text in metric_queries(dashboard)
            if quiet().get(text) == fault
        }
        filled_by = told.full[fault] = set()
        strike(told.running)
        until = time.monotonic() + 60
        while len(filled_by) < len(wanted) and time.monotonic() < until:
            filled_by |= {key for key, text in wanted.items() if is_good(told.ask(key[0], text))}
            time.sleep(0.3)


def against_alertmanager(told: Told) -> None:
    """The last page's truth is Alertmanager's and the bridge's own, not the simulator's."""

    def active() -> list[dict[str, Any]]:
        found = told.running.signals.alerts(active="true", silenced="false")
        return [alert for alert in found if alert["status"]["state"] == "active"]

    def delivered() -> int:
        lines = (told.running.stack.data / "bridge.log").read_text().splitlines()
        events = ('"marketprism.alert.firing"', '"marketprism.alert.resolved"')
        return sum(event in line for line in lines for event in events)

    def same() -> bool:
        shown = told.shown("alerts", "Alerts in Alertmanager A", state="active")
        sent = told.shown("alerts", "Alerts delivered A", marketprism_alert_channel="log")
        return shown == len(active()) and round(sent) >= delivered() > 0

    until = time.monotonic() + 60
    while not same() and time.monotonic() < until:
        time.sleep(1)
    shown = told.shown("alerts", "Alerts in Alertmanager A", state="active")
    told.compare("alerts", "Alerts in Alertmanager A", shown, len(active()))
    watchdogs = sum(alert["labels"]["alertname"] == "Watchdog" for alert in active())
    told.compare(
        "alerts", "Firing by priority A", told.shown("alerts", "Firing by priority A", priority="none"), watchdogs
    )
    shown = told.shown("alerts", "Alerts delivered A", marketprism_alert_channel="log")
    told.compare("alerts", "Alerts delivered A", shown, delivered(), 0.1 * delivered() + 1)


def lose_messages(running: Running) -> None:
    """And refuse snapshots for a while: a repair takes less than an interval."""
    running.rig.fault("http", "binance", status=503, endpoint="depth", count=3)
    for venue, count in (("binance", 1), ("kraken", 40)):
        running.rig.fault("drop", venue, channel="book", symbol="BTC-USDT", count=count)


def send_an_old_sample(running: Running) -> None:
    """Three times, so that the counter, which is not there before the first, is seen to grow."""
    point = {"timeUnixNano": str(int((time.time() - 7200) * 1e9)), "asDouble": 1}
    metric = {"name": "old", "gauge": {"dataPoints": [point]}}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()
    url = f"http://127.0.0.1:{running.stack.ports.otlp_http}/v1/metrics"
    for _ in range(3):
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        time.sleep(6)  # longer than a scrape


def restart(running: Running) -> None:
    assert running.rig.stop() == 0
    start(running.rig, running.stack)


FAULTS: Final[dict[str, Callable[[Running], None]]] = {
    "messages of a book are lost": lose_messages,
    "a book is fetched": lose_messages,
    "Prometheus refuses a sample that is hours old": send_an_old_sample,
    "the collector is restarted": restart,
}


def test_every_query_has_finite_data_in_health_but_for_those_that_name_their_fault(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = quiet()
    wrong = {}
    for name, dashboard in DASHBOARDS.items():
        for place, text in metric_queries(dashboard):
            series = told.health[name, place]
            if text in silent and series:
                wrong[name, place] = "is to be empty"
            elif text not in silent and not is_good(series):
                wrong[name, place] = f"no finite data: {series[:2]}"
    assert wrong == {}
    lines = {
        (name, place): poll_until(lambda: told.running.logs(filled(text, dashboard)), f"Loki has lines for {place}")  # noqa: B023
        for name, dashboard in DASHBOARDS.items()
        for place, text in log_queries(dashboard)
    }
    with capsys.disabled():
        print(f"\n{len(told.health)} PromQL and {len(lines)} LogQL queries proven")  # noqa: T201 - to be seen


def test_every_query_that_is_empty_in_health_is_full_under_its_fault(struck: Told) -> None:
    assert set(quiet().values()) == set(FAULTS)
    empty = {
        (name, place): quiet()[text]
        for name, dashboard in DASHBOARDS.items()
        for place, text in metric_queries(dashboard)
        if text in quiet() and (name, place) not in struck.full[quiet()[text]]
    }
    assert empty == {}


def test_three_panels_of_each_dashboard_equal_the_truth_within_an_interval(
    struck: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{'dashboard':<11} {'panel':<44} {'shown':>12} {'true':>12}")  # noqa: T201 - the table is to be seen
        for name, place, shown, true, _ in struck.rows:
            print(f"{name:<11} {place:<44} {shown:>12.3f} {true:>12.3f}")  # noqa: T201
    wrong = [row for row in struck.rows if abs(row[2] - row[3]) > row[4] + 1e-9]
    assert wrong == []
    for name in DASHBOARDS:
        assert len({row[1] for row in struck.rows if row[0] == name}) >= 3, name


def test_the_exemplars_of_a_panel_lead_to_traces_that_jaeger_has(struck: Told) -> None:
    queries = {
        filled(target["expr"], dashboard)
        for dashboard in DASHBOARDS.values()
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        if target.get("exemplar")
    }
    assert len(queries) > 3
    for query in queries:
        exemplars = struck.running.exemplars(query)
        assert exemplars, query
        trace = exemplars[-1]["labels"]["trace_id"]
        assert poll_until(lambda: struck.running.trace(trace), f"Jaeger has the trace of {query}")  # noqa: B023


def test_a_panel_with_a_wrong_metric_has_no_data(struck: Told) -> None:
    text = dict(metric_queries(DASHBOARDS["overview"]))["Messages A"]
    assert is_good(struck.ask("overview", text))
    assert not is_good(struck.ask("overview", text.replace("messages_received", "message_received")))
