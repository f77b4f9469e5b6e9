"""Rules that take longer than a minute, with every duration divided by one factor, each by its real fault through the
whole chain to every channel of its priority, and back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from alerting.rules.table import RULES
from tests.alerting.fakes.robots import Status
from tests.e2e.chain import EVERY, Case, Chain, Proof, follow
from tests.e2e.confined import PLENTY, Confined, possible
from tests.e2e.expected import Expected
from tests.e2e.proofs import show, table
from tests.e2e.rig import VENUES, Rig, poll_until
from tests.otel.traffic import Maker, send_traces

pytestmark = [
    pytest.mark.soak,  # twelve minutes, on a machine with little else to do
    pytest.mark.skipif(not possible(), reason="no mount namespaces here, so no small disk"),
]
FACTOR = 20
PROOFS: list[Proof] = []
SPANS = "traces_span_metrics_calls_total"
ONE, TWO = {"instance": "collector-1"}, {"instance": "collector-2"}
KRAKEN, BINANCE = {"venue": "kraken", "market": "spot"}, {"venue": "binance", "market": "spot"}
BTC = {"instrument": "BTC-USDT"}


@dataclass
class Running:
    """The chain with two collectors: `one` is scraped, `two` has a small disk. `open`: faults that go on."""

    chain: Chain
    one: Rig
    two: Confined
    open: dict[str, Case] = field(default_factory=dict)

    def begin(self, alert: str, labels: Mapping[str, str], summary: str, description: str, **more: str) -> Case:
        """A fault that is there now."""
        was, fault = more.get("was"), more.get("fault")
        rule = next(rule for rule in RULES if rule.name == alert and was in (None, rule.labels.get("was")))
        assert rule.priority is not None
        channels = EVERY if alert == "Unanswered" else rule.channels
        channels = tuple(channel for channel in channels if channel != more.get("failing"))
        channels = (*channels, "email") if "failing" in more else channels
        expected = Expected(alert, rule.priority, channels, labels, summary, description)
        case = Case(self.chain, expected, fault or rule.fault, rule.hold_s / FACTOR)
        case.begin()
        return case

    def start_one(self, *, exporting: bool = True) -> None:
        queue = {"OTEL_BSP_MAX_QUEUE_SIZE": "40", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "20"}
        self.one.environment = {**self.chain.telemetry(), **queue} if exporting else {}
        self.one.start(instance_id="collector-1", web={"port": self.chain.stack.ports.collector})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("faster")
    for name in ("chain", "one", "two"):
        (folder / name).mkdir()
    with (
        Chain(folder / "chain", factor=FACTOR, per_minute=1000) as chain,
        Rig(folder / "one", rate=60) as one,
        Confined(folder / "two", rate=60) as two,
    ):
        made = Running(chain, one, two)
        made.start_one()
        two.environment = chain.telemetry()
        two.fault("ack_without_data", "kraken", channel="quotes", symbol="BTC-USDT", count=1000)
        journal = {"directory": str(two.journal), "segment_bytes": "256KiB", "retain_bytes": "2MiB"}
        two.start(instance_id="collector-2", journal=journal)
        one.wait_in_sync()
        time.sleep(5)
        yield made
        for rig in (one, two):
            if rig.collector is not None and rig.collector.poll() is None:
                rig.stop()


def every(seconds: float, act: Callable[[], object]) -> Callable[[], None]:
    """Act at most so often."""
    last = 0.0

    def tick() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            act()

    return tick


def prove(cases: list[Case], seconds: float, *ticks: Callable[[], None]) -> None:
    """Each is told at its channels, and at no other."""
    follow(cases, seconds, ticks=ticks)
    for case in cases:
        case.only_its_channels()


def recover(cases: list[Case], seconds: float, *ticks: Callable[[], None]) -> None:
    """Each one's end is told."""
    for case in cases:
        if not case.proof.healed:
            case.heal()
    PROOFS.extend(case.proof for case in cases)
    follow(cases, seconds, ticks=ticks, recovery=True)


def fail(rig: Rig, symbol: str) -> None:
    """A book is to be fetched, which fails the first time."""
    rig.fault("http", "binance", symbol=symbol, status=503, endpoint="depth", count=1)
    rig.fault("drop", "binance", symbol=symbol, channel="book", count=1)


def test_rest_errors_gaps_late_data_full_disks_and_silent_feeds(running: Running) -> None:
    one, two = running.one, running.two
    skew = running.begin(
        "ClockSkew",
        {**BINANCE, **TWO},
        "The clocks of a collector and of binance spot differ.",
        r"By the stamps of binance spot even the quickest message took 5[\d.]*s to collector-2: our clock is ahead of "
        r"the exchange's, or everything comes late \(more than 1 s\)\.",
    )
    two.fault("clock_skew", "binance", ms=-5000)
    cases = [
        running.begin(
            "DataLag",
            {**KRAKEN, "channel": "trades", **ONE},
            "kraken spot trades comes minutes late.",
            r"What collector-1 receives of kraken spot trades is [\dm.s ]+ old by the exchange's stamps "
            r"\(more than 300 s\)\.",
        ),
        running.begin(
            "BookOutOfSync",
            {**BINANCE, **BTC, **ONE},
            "The book of binance spot BTC-USDT does not come back into sync.",
            "The book of binance spot BTC-USDT in collector-1 has been (syncing|broken by a gap) for 2 min. "
            "A repair takes seconds.",
        ),
        running.begin(
            "ApiErrors",
            {"venue": "binance", **ONE},
            "The REST API of binance fails.",
            r"[\d.]+% of the requests of collector-1 to binance fail \(more than 10%\)\.",
        ),
        running.begin(
            "SequenceGaps",
            {**BINANCE, "channel": "trades", **ONE},
            "binance spot trades keeps losing messages.",
            r"collector-1 found \d+ gaps in binance spot trades in 10 min \(more than 5\), interruptions not counted\.",
        ),
        running.begin(
            "FeedNeverSpoke",
            {**KRAKEN, **BTC, "channel": "quotes", **TWO},
            "kraken spot BTC-USDT quotes was acknowledged and has never spoken.",
            r"kraken accepted the subscription of collector-2 to spot BTC-USDT quotes and has sent no data of it "
            r"for 15 min\.",
        ),
        running.begin(
            "QueueFilling",
            {"queue": "journal", **TWO},
            "A queue, or the journal, is nearly full.",
            r"The queue `journal` of collector-2 is [\d.]+% full\. Full, it drops: the journal its oldest segments, "
            r"the others telemetry\.",
        ),
        running.begin(
            "MemoryHigh",
            TWO,
            "A collector uses most of the memory that it may use.",
            r"collector-2 uses [\d.]+% of its memory limit, then it is killed\.",
        ),
        running.begin(
            "DiskFilling",
            TWO,
            "The disk of the journal is filling up.",
            r"The disk of collector-2 is [\d.]+% full, [\d.]+MiB are free\. Below its reserve the journal stops\.",
        ),
    ]
    for case in cases[4:6]:  # they began with the collector
        case.proof.began = running.chain.began
    one.fault("clock_skew", "kraken", ms=-600_000)
    refused = one.fault("http", "binance", symbol="BTC-USDT", status=503, endpoint="depth", seconds=600)
    two.fill_disk(0.88)
    two.limit_memory(int(two.metric("process_memory_usage_bytes") * 1.05))
    drop_book = every(3, lambda: one.fault("drop", "binance", channel="book", symbol="BTC-USDT", count=1))
    fail_once = every(4, lambda: fail(one, "ETH-USDT"))  # one that fails always is asked less and less often
    drop_trade = every(1.5, lambda: one.fault("drop", "binance", channel="trades", symbol="BTC-USDT", count=1))
    soon, later = cases[1:4], [cases[0], *cases[4:], skew]
    prove(soon, 120, drop_book, fail_once, drop_trade)
    one.control(f"faults/{refused['id']}", method="DELETE")
    for case in soon:
        case.heal()
    prove(later, 200)
    one.heal()
    two.control("faults", method="DELETE")
    two.fault("clock_skew", "binance", ms=-5000)  # goes on: nobody answers
    two.fault("close", "kraken")
    two.empty_disk()
    two.limit_memory(PLENTY)
    running.open = {"skew": skew, "queue": next(case for case in cases if case.expected.alert == "QueueFilling")}
    recover([case for case in cases if case is not running.open["queue"]], 120)


def test_a_slow_api_an_unstable_exchange_wrong_checksums_and_too_many_kinds_of_answers(running: Running) -> None:
    one, two = running.one, running.two
    one.wait_in_sync(60)
    cases = [
        running.begin(
            "ApiSlow",
            {"venue": "binance", **TWO},
            "The REST API of binance is slow.",
            r"One in 20 requests of collector-2 to binance takes [\dm.s ]+ or longer \(more than 5 s\)\.",
        ),
        running.begin(
            "ExchangeUnstable",
            {**KRAKEN, **TWO},
            "kraken spot keeps losing its connection.",
            r"collector-2 lost each connection to kraken spot [\d.]+ times in 10 min \(more than 3\)\.",
        ),
        running.begin(
            "BookUnverifiable",
            {**KRAKEN, **BTC, **ONE},
            "The book of kraken spot BTC-USDT can no longer be verified.",
            r"The book of kraken spot BTC-USDT in collector-1 was in sync and can now not be checked\. "
            r"It is still published, and may be wrong\.",
        ),
        running.begin(
            "CardinalityOverflow",
            {"metric": SPANS, "instance": "endless-1"},
            "A metric has more series than it may have.",
            rf"{SPANS} of endless-1 has reached its bound: further series are one sum\.",
        ),
    ]
    two.fault("slow", "binance", ms=7000, endpoint="depth", seconds=600)
    one.fault("corrupt", "kraken", how="checksum", channel="book", symbol="BTC-USDT", count=100_000)
    drop = every(2, lambda: two.fault("drop", "binance", channel="book", count=2))
    close = every(3, lambda: two.fault("close", "kraken"))
    maker = Maker()
    send_traces(running.chain.stack.ports.otlp_http, [maker.trace([f"GET /{n}"]) for n in range(2100)], "endless")
    prove(cases, 200, drop, close)
    one.heal()
    two.control("faults", method="DELETE")
    two.fault("clock_skew", "binance", ms=-5000)
    overflow = cases.pop()
    recover(cases, 120)
    overflow.heal()
    running.chain.stop("otelcol")
    running.chain.start("otelcol")
    recover([overflow], 120)


def test_who_does_not_answer_is_told_again_by_every_channel_and_a_failing_channel_by_the_others(
    running: Running,
) -> None:
    one = running.one
    one.wait_in_sync(60)
    down = running.begin(
        "ExchangeDown",
        {**KRAKEN, **ONE},
        "kraken spot is not connected.",
        r"collector-1 has had no connection to kraken spot for 5 min\.",
    )
    one.fault("refuse", "kraken")
    one.fault("close", "kraken")
    prove([down], 90)
    unanswered = running.begin(
        "Unanswered",
        {"alert": "ExchangeDown", "was": "P2", **KRAKEN, **ONE},
        "Nobody has answered ExchangeDown.",
        r"ExchangeDown \(P2\) has been firing for 30m and nobody has acknowledged it: raised to the channels of P1\. "
        r"Who works on it runs .marketprism ack ExchangeDown.\.",
        was="P2",
        fault="a P2 alert that nobody acknowledges",
    )
    unanswered.proof.began = down.proof.began
    failing = running.begin(
        "NotificationFailing",
        {"failing": "slack"},
        "Notifications by slack fail.",
        r"\d+ notifications by slack failed in 5 min\. Whoever relies on that channel learns of nothing\.",
        failing="slack",
    )
    running.chain.far.fail("slack", [Status(500)] * 10_000)
    prove([failing], 150)
    running.chain.far.fail("slack", [])
    failing.heal()
    prove([unanswered], 90)
    recover([failing], 120)
    for case in (down, unanswered):
        case.heal()
    one.heal()
    recover([down, unanswered], 120)


def test_a_p3_that_nobody_answers_is_raised_and_a_p1_repeated(running: Running) -> None:
    two, skew = running.two, running.open["skew"]
    raised = running.begin(
        "Unanswered",
        {"alert": "ClockSkew", "was": "P3", **BINANCE, **TWO},
        "Nobody has answered ClockSkew.",
        r"ClockSkew \(P3\) has been firing for 2h and nobody has acknowledged it: raised to the channels of P1\. "
        r"Who works on it runs .marketprism ack ClockSkew.\.",
        was="P3",
        fault="a P3 alert that nobody acknowledges",
    )
    raised.proof.began = skew.proof.began
    prove([raised], 420)
    two.heal()
    recover([skew, raised], 120)
    two.wait_in_sync(60)
    repeated = running.begin(
        "Unanswered",
        {"alert": "AllExchangesDown", "was": "P1", **TWO},
        "Nobody has answered AllExchangesDown.",
        r"AllExchangesDown \(P1\) has been firing for 5m and nobody has acknowledged it: told to everyone again\. "
        r"Who works on it runs .marketprism ack AllExchangesDown.\.",
        was="P1",
        fault="a P1 alert that nobody acknowledges",
    )
    for venue in VENUES:
        two.fault("refuse", venue)
        two.fault("close", venue)
    prove([repeated], 90)
    repeated.heal()
    two.heal()
    recover([repeated], 120)
    queue = running.open["queue"]
    queue.heal()
    assert two.stop() == 0
    recover([queue], 120)


def test_telemetry_that_is_lost_and_a_metric_that_is_missing(running: Running) -> None:
    one, chain = running.one, running.chain
    dropped = running.begin(
        "TelemetryDropped",
        {"lost": "traces: queue", **ONE},
        "Telemetry is lost: dropped by a sender or refused by a receiver.",
        r"\d+ items in 5 min: traces dropped \(queue\) by collector-1\.",
        fault="the OpenTelemetry Collector is stopped until the queue of spans is full",
    )
    chain.stop("otelcol")  # not for long: what the counter was before must still be in the rule's window afterwards
    for _ in range(40):
        one.fault("drop", "binance", channel="trades", count=1)
        time.sleep(0.15)
    chain.start("otelcol")
    prove([dropped], 60)
    recover([dropped], 120)
    for rig in (one, running.two):
        if rig.collector is not None and rig.collector.poll() is None:
            assert rig.stop() == 0
    missing = running.begin(
        "RuleMetricMissing",
        {"metric": "marketprism_up"},
        "A metric that alerts rely on is missing: they can never fire.",
        r"marketprism_up does not exist in Prometheus although a collector runs\.",
    )
    running.start_one(exporting=False)
    prove([missing], 120)
    missing.heal()
    assert one.stop() == 0
    running.start_one()
    recover([missing], 120)


def test_the_table_of_the_proofs(capsys: pytest.CaptureFixture[str]) -> None:
    show(f"every duration divided by {FACTOR}", table(PROOFS), capsys)
    poll_until(lambda: PROOFS, "there are some", 1)
