"""Rules as they are shipped, each by its real fault, through the whole chain to every channel of its priority.

What takes longer than a minute to fire is in test_alerts_faster.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from alerting.rules.slo import OBJECTIVES
from tests.e2e.budgets import burn
from tests.e2e.chain import EVERY, Case, Chain, Proof, follow
from tests.e2e.expected import Expected
from tests.e2e.proofs import show, table
from tests.e2e.rig import VENUES, Rig, poll_until
from tests.e2e.weather import Report, check, weather
from tools.signals import Signals

pytestmark = pytest.mark.full
WITHIN_S = 10.0
"""From when a P1's `for` has run out to its last channel."""
P2 = EVERY[1:]
ONE, TWO = {"instance": "collector-1"}, {"instance": "collector-2"}
PROOFS: list[Proof] = []


class Running:
    """The chain with two collectors; the first one is scraped."""

    def __init__(self, chain: Chain, one: Rig, two: Rig) -> None:
        self.chain, self.one, self.two = chain, one, two

    def case(self, alert: str, labels: dict[str, str], summary: str, description: str, fault: str, hold_s: int) -> Case:
        p1 = alert in {"CollectorDown", "AllExchangesDown", "StorageUnreachable"}
        priority, channels = ("P1", EVERY) if p1 else ("P2", P2)
        return Case(self.chain, Expected(alert, priority, channels, labels, summary, description), fault, hold_s)


@pytest.fixture(scope="module")
def meanwhile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[object]]]:
    """What takes minutes and little else runs beside the tests, each with a stack of its own."""
    with ThreadPoolExecutor() as pool:
        yield {
            "budgets": pool.submit(burn, tmp_path_factory.mktemp("budgets")),
            "weather": pool.submit(weather, tmp_path_factory.mktemp("weather"), 300.0),
        }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, meanwhile: object) -> Iterator[Running]:
    assert meanwhile
    folder = tmp_path_factory.mktemp("alerts")
    for name in ("chain", "one", "two"):
        (folder / name).mkdir()
    with Chain(folder / "chain") as chain, Rig(folder / "one", rate=100) as one, Rig(folder / "two", rate=50) as two:
        one.environment = two.environment = chain.telemetry()
        made = Running(chain, one, two)
        start_one(made)
        one.wait_in_sync()
        yield made


def start_one(running: Running) -> None:
    running.one.start(instance_id="collector-1", web={"port": running.chain.stack.ports.collector})


def start_two(running: Running, **journal: object) -> None:
    running.two.start(instance_id="collector-2", journal={"directory": str(running.two.folder / "journal"), **journal})


def follow_both(cases: list[Case], seconds: float) -> None:
    follow(cases, seconds)
    for case in cases:
        case.only_its_channels()


def test_a_silent_feed_a_dead_component_and_a_journal_without_room_are_told_at_every_channel(running: Running) -> None:
    port = running.chain.stack.ports.jaeger_metrics
    stale = running.case(
        "FeedStale",
        {"venue": "binance", "market": "spot", "instrument": "BTC-USDT", "channel": "quotes", **ONE},
        "binance spot BTC-USDT quotes has gone silent.",
        "collector-1 has heard nothing of binance spot BTC-USDT quotes for longer than this stream's own pace "
        "explains, although the connection stands.",
        "the exchange sends nothing more of one stream",
        60,
    )
    dead = running.case(
        "ComponentDown",
        {"job": "jaeger", "instance": f"127.0.0.1:{port}"},
        "jaeger is down.",
        rf"Prometheus cannot scrape jaeger at 127\.0\.0\.1:{port}\.",
        "Jaeger is stopped",
        60,
    )
    full = running.case(
        "StorageUnreachable",
        TWO,
        "The journal cannot be written: records are being dropped.",
        r"collector-2 drops what it receives, [\d.]+k? records in the last 5 min\.",
        "the journal's free-disk reserve is raised above what is free",
        60,
    )
    cases = [stale, dead, full]
    for case in cases:
        case.begin()
    running.one.fault("stall", "binance", channel="quotes", symbol="BTC-USDT", heartbeats=True)
    running.chain.stop("jaeger")
    start_two(running, reserve_bytes="1024TiB")
    follow_both(cases, 150)
    assert running.two.stop() == 0
    for case in cases:
        case.heal()
    running.one.heal()
    running.chain.start("jaeger")
    start_two(running)
    follow(cases, 90, recovery=True)
    PROOFS.extend(case.proof for case in cases)


def test_dead_exchanges_and_a_dead_collector_are_told_at_once_and_their_end_too(running: Running) -> None:
    running.two.wait_in_sync()
    down = running.case(
        "CollectorDown",
        ONE,
        "A collector is down: no market data is being collected by it.",
        r"Prometheus cannot scrape collector-1\. What is missed is lost where the exchange does not give it again\.",
        "the collector is killed",
        15,
    )
    alone = running.case(
        "AllExchangesDown",
        TWO,
        "No exchange is connected.",
        r"collector-2 has no connection to any exchange\. Look at its own network first\.",
        "every exchange refuses connections",
        30,
    )
    down.begin()
    alone.begin()
    running.one.kill()
    for venue in VENUES:
        running.two.fault("refuse", venue)
        running.two.fault("close", venue)
    follow_both([down, alone], 90)
    down.heal()
    alone.heal()
    start_one(running)
    running.two.heal()
    follow([down, alone], 90, recovery=True)
    PROOFS.extend(case.proof for case in (down, alone))


def test_telemetry_that_stops_while_the_collector_lives_is_told(running: Running) -> None:
    running.one.wait_in_sync()
    quiet = {"Watchdog", *(one.alert for one in OBJECTIVES)}  # what was lost has cost some of a budget
    poll_until(lambda: running.chain.firing() <= quiet, "all is well", 60)
    known = Signals(running.chain.stack.ports)
    poll_until(lambda: known.query('marketprism_up{instance="collector-1"}'), "its metrics have arrived", 30)
    stalled = running.case(
        "TelemetryStalled",
        ONE,
        "A collector lives, but its metrics no longer arrive: the alerts on it are blind.",
        r"No metric of collector-1 has arrived for 1m, although it can be scraped; they come every 5 s\.",
        "the OpenTelemetry Collector is stopped",
        0,
    )
    stalled.begin()
    running.chain.stop("otelcol")
    follow_both([stalled], 120)
    stalled.heal()
    running.chain.start("otelcol")
    follow([stalled], 90, recovery=True)
    PROOFS.append(stalled.proof)


def test_the_heartbeat_came_every_minute(running: Running) -> None:
    beats = running.chain.far.beats
    assert beats[0] - running.chain.began < 60
    assert max(b - a for a, b in zip(beats, [*beats[1:], time.time()], strict=True)) < 75


def test_a_p1_reaches_its_channels_within_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    show("as shipped", table(PROOFS), capsys)
    holds = {"CollectorDown": 15, "AllExchangesDown": 30, "StorageUnreachable": 60}
    for proof in PROOFS:
        if proof.rule in holds:
            due = proof.visible + holds[proof.rule]
            assert max(proof.delivered.values()) - due < WITHIN_S, proof


def test_no_secret_is_in_any_log_or_message(running: Running) -> None:
    robots, mail = running.chain.far.robots, running.chain.far.mail
    hidden = [
        robots.dingtalk_secret,
        mail.password,
        *re.findall(r"[=/]([\w-]{16,})", robots.wecom_url + robots.dingtalk_url),
    ]
    for log in running.chain.stack.data.glob("*.log"):
        text = log.read_text()
        assert not [secret for secret in hidden if secret in text], log


def test_budgets_that_burn_are_told_by_their_speed_and_so_is_the_end_of_it(
    meanwhile: dict[str, Future[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    proofs = meanwhile["budgets"].result()
    assert isinstance(proofs, list)
    assert len(proofs) == 8
    show("burn rates, on history", table(proofs), capsys)


def test_five_minutes_of_normal_weather_raise_nothing_but_the_watchdog(
    meanwhile: dict[str, Future[object]], capsys: pytest.CaptureFixture[str]
) -> None:
    report = meanwhile["weather"].result()
    assert isinstance(report, Report)
    show("weather, five minutes", report.text(), capsys)
    check(report)
