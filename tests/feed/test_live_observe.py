"""What a feed counts and logs, read through the exposition's own families."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from collector.books.verdict import STATES, Verdict
from collector.clock import Now
from collector.feed.deadletters import DeadLetters
from collector.feed.observe import FeedObserver
from collector.feed.observe_net import PoolObserver, dead_letter_trouble, observe_dead_letters
from collector.net.budget import Budget
from collector.net.rest import RestCall
from collector.net.websocket import ConnectError, End
from collector.records import BookDelta, BookSnapshot, Gap, GapCause, Quote, Record, Trade
from collector.venues.protocol import (
    DeadLetter,
    Endpoint,
    Event,
    EventKind,
    Facts,
    Pool,
    Send,
    StreamStatus,
    VerdictChange,
)
from telemetry.cells import Histogram, Metrics, Number
from telemetry.logs import configure_logs
from telemetry.registry import load_registry
from tests.net.fakes import FakeClock

FACTS = Facts(
    "binance",
    "spot",
    (),
    (Endpoint("/", ("trades", "quotes", "book")),),
    (),
    Pool("p", 1, 1.0),
    1.0,
    (1, 1.0),
    1,
    1,
    None,
    (),
)
REGISTRY = load_registry()
BASE = {"venue": "binance", "market": "spot", "instrument": "BTC-USDT", "symbol": "BTCUSDT"}
US = 1_000_000


class Bench:
    def __init__(self, clock: FakeClock, out: io.StringIO, letters: DeadLetters) -> None:
        self.metrics = Metrics(REGISTRY)
        self.clock = clock
        self.out = out
        self.observer = FeedObserver(
            self.metrics, FACTS, "binance-0", lambda: clock.ns, dead_letters=letters, run="binance-0@1"
        )

    def value(self, name: str, **attrs: str) -> float:
        cell = self.find(name, **attrs)
        return cell.value() if isinstance(cell, Number) else cell.n

    def find(self, name: str, **attrs: str) -> Number[int] | Number[float] | Histogram:
        """The one existing series whose attributes hold these values; never makes one."""
        family = next(family for family in self.metrics.families() if family.name == f"marketprism.{name}")
        wanted = {f"marketprism.{key.replace('_', '.')}": value for key, value in attrs.items()}
        found = [cell for cell in family.cells.values() if wanted.items() <= cell.attrs.items()]
        assert len(found) == 1, f"{name} {attrs}: {len(found)} series"
        return found[0]

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def events(self) -> list[str]:
        return [cast("str", line["event"]).removeprefix("marketprism.") for line in self.lines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    out = io.StringIO()
    configure_logs("debug", "json", out)
    letters = DeadLetters(tmp_path / "dead.jsonl")
    yield Bench(FakeClock(), out, letters)
    letters.close()
    configure_logs()


def gap(cause: GapCause = "sequence", *, channel: str = "book", repaired: float | None = None) -> Gap:
    return Gap(
        ts=None,
        recv_ts=0,
        channel=channel,
        first=5,
        last=8,
        count=4,
        cause=cause,
        detected_ts=10 * US,
        repaired_ts=None if repaired is None else int(repaired * US),
        **BASE,  # type: ignore[arg-type]
    )


def trade(ts: int | None, recv_ts: int | None) -> Trade:
    return Trade(ts=ts, recv_ts=recv_ts, id="1", id_space="trade", price="1", size="1", side="buy", **BASE)  # type: ignore[arg-type]


def books() -> list[Record]:
    levels = {"bids": [], "asks": [], "first_seq": 1, "last_seq": 2, "depth": 10, "recv_ts": 0, **BASE}
    return [
        BookDelta(ts=0, **levels),  # type: ignore[arg-type]
        BookSnapshot(ts=0, known_bid=None, known_ask=None, cause="sync", **levels),  # type: ignore[arg-type]
        Quote(ts=None, recv_ts=0, bid="1", bid_size="1", ask="2", ask_size="1", **BASE),  # type: ignore[arg-type]
    ]


def test_every_series_of_a_feed_exists_at_0_before_anything_happens(bench: Bench) -> None:
    for name, attrs in [
        ("messages.received", {"channel": "unknown"}),
        ("received.size", {"channel": "book"}),
        ("records.written", {"record_type": "Gap"}),
        ("message.undecodable", {"channel": "trades", "undecodable_reason": "too_big"}),
        ("duplicates.dropped", {"channel": "quotes"}),
        ("gaps", {"channel": "book", "gap_cause": "crossed"}),
        ("gap.records.lost", {"channel": "trades", "gap_cause": "disconnect"}),
        ("gap.repair.duration", {"channel": "book"}),
        ("book.syncs", {"sync_outcome": "failed"}),
        ("book.checksums", {"checksum_outcome": "mismatch"}),
        ("feed.lag", {"channel": "book"}),
        ("message.process.duration", {"channel": "control"}),
        ("burst.size", {}),
        ("connection.state", {"connection": "binance-0"}),
        ("connection.attempts", {"attempt_outcome": "tls"}),
        ("connection.closed", {"close_cause": "resync"}),
        ("reconnect.delay", {}),
        ("subscription.requests", {"subscription_outcome": "rejected"}),
    ]:
        assert bench.value(name, **attrs) == 0, name


def test_messages_are_counted_by_channel_with_their_bytes_and_their_share_of_the_burst(bench: Bench) -> None:
    for kind, size in [("trades", 100), ("trades", 50), ("book", 1000)]:
        bench.observer.frame(kind, size)  # type: ignore[arg-type]
    bench.observer.burst(30_000)
    bench.observer.burst(99_000)  # a burst without messages
    assert bench.value("messages.received", channel="trades") == 2
    assert bench.value("received.size", channel="trades") == 150
    assert bench.value("received.size", channel="book") == 1000
    for kind, count, total in [("trades", 2, 20e-6), ("book", 1, 10e-6), ("quotes", 0, 0.0)]:
        duration = cast("Histogram", bench.find("message.process.duration", channel=kind))
        assert duration.n == count
        assert duration.sum == pytest.approx(total)


def test_records_are_counted_by_type_and_their_lag_by_channel(bench: Bench) -> None:
    records = [*books(), trade(3 * US, 4 * US), trade(9 * US, 4 * US), trade(None, US), trade(US, None)]
    bench.observer.records(records)
    counts = [
        bench.value("records.written", record_type=kind) for kind in ("Trade", "Quote", "BookDelta", "BookSnapshot")
    ]
    assert counts == [4, 1, 1, 1]
    lag = cast("Histogram", bench.find("feed.lag", channel="trades"))
    assert (lag.n, lag.sum) == (2, 1.0), "a venue clock that is ahead counts as 0"
    assert (bench.value("feed.lag", channel="book"), bench.value("feed.lag", channel="quotes")) == (1, 0)
    size = cast("Histogram", bench.find("burst.size"))
    assert (size.n, size.sum) == (1, 7)


def test_a_gap_counts_when_found_and_is_timed_when_repaired(bench: Bench) -> None:
    bench.observer.records([gap(), gap(repaired=12.5), gap("disconnect", channel="quotes")])
    assert bench.value("gaps", channel="book", gap_cause="sequence") == 1
    assert bench.value("gap.records.lost", channel="book", gap_cause="sequence") == 4
    repair = cast("Histogram", bench.find("gap.repair.duration", channel="book"))
    assert (repair.n, repair.sum) == (1, 2.5)
    assert bench.events() == ["book.gap", "book.repaired"], "what a disconnect cost is in the records"
    line = bench.lines()[0]
    assert (line["gap_first"], line["gap_last"], line["gap_count"], line["level"]) == ("5", "8", 4, "warning")


def test_a_verdict_sets_its_gauge_and_is_logged_when_its_state_changes_not_too_often(bench: Bench) -> None:
    def say(*states: str) -> None:
        changes = [VerdictChange("BTC-USDT", "book", Verdict(state)) for state in states]  # type: ignore[arg-type]
        bench.observer.said(changes, [], [])

    say("syncing", "syncing", "in_sync", "gap", "in_sync", "gap")
    gauge = {"instrument": "BTC-USDT", "channel": "book"}
    assert bench.value("verdict", **gauge) == STATES.index("gap")
    assert bench.value("last_message.time", **gauge) == 0
    bench.clock.advance(10)
    say("in_sync")
    said = [(line["verdict"], line["previous_verdict"], line["suppressed"]) for line in bench.lines()]
    assert said == [("syncing", "none", 0), ("in_sync", "syncing", 0), ("gap", "in_sync", 0), ("in_sync", "gap", 1)]


def test_the_gauges_of_every_stream_are_set_from_its_status(bench: Bench) -> None:
    bench.observer.status(
        [
            StreamStatus("BTC-USDT", "BTCUSDT", "book", Verdict("in_sync"), 1_500_000, 1000),
            StreamStatus("BTC-USDT", "BTCUSDT", "trades", Verdict("acknowledged"), None, None),
        ]
    )
    assert bench.value("last_message.time", instrument="BTC-USDT", channel="book") == 1.5
    assert bench.value("verdict", instrument="BTC-USDT", channel="trades") == STATES.index("acknowledged")


def test_an_undecodable_message_is_counted_kept_and_sampled(bench: Bench, tmp_path: Path) -> None:
    letter = DeadLetter("book", "json", "not JSON", b'{"token": "hunter2hunter2"' + b"x" * 1000, Now(0, 0))
    bench.observer.said([], [letter, letter], [])
    assert bench.value("message.undecodable", channel="book", undecodable_reason="json") == 2
    assert len((tmp_path / "dead.jsonl").read_bytes().splitlines()) == 2
    (line,) = bench.lines()
    assert "hunter2" not in str(line)
    assert len(str(line["sample"])) <= 200
    bench.clock.advance(10)
    bench.observer.said([], [letter], [])
    assert bench.lines()[1]["suppressed"] == 1


@pytest.mark.parametrize(
    ("kind", "channel", "name", "attrs"),
    [
        ("duplicate", "trades", "duplicates.dropped", {"channel": "trades"}),
        ("checksum_match", "book", "book.checksums", {"checksum_outcome": "match"}),
        ("checksum_mismatch", "book", "book.checksums", {"checksum_outcome": "mismatch"}),
        ("sync_ok", "book", "book.syncs", {"sync_outcome": "ok"}),
        ("sync_failed", "book", "book.syncs", {"sync_outcome": "failed"}),
        ("subscription_acked", "book", "subscription.requests", {"subscription_outcome": "acked"}),
        ("subscription_rejected", "book", "subscription.requests", {"subscription_outcome": "rejected"}),
    ],
)
def test_every_event_has_its_counter(
    bench: Bench, kind: EventKind, channel: str, name: str, attrs: dict[str, str]
) -> None:
    bench.observer.said([], [], [Event(kind, channel, "BTC-USDT", "why")])  # type: ignore[arg-type]
    bench.observer.said([], [], [Event("not_spoken", "unknown", "", "24hrTicker")])
    assert bench.value(name, **attrs) == 1


def test_a_rejected_subscription_is_a_warning_with_the_venues_words(bench: Bench) -> None:
    bench.observer.said([], [], [Event("subscription_rejected", "book", "BTC-USDT", "Currency pair not supported")])
    (line,) = bench.lines()
    assert (line["event"], line["level"]) == ("marketprism.subscription.rejected", "warning")
    assert line["error_message"] == "Currency pair not supported"


def test_only_subscriptions_count_as_requests_and_each_stream_does(bench: Bench) -> None:
    bench.observer.sent(Send("{}", "subscribe", 7))
    bench.observer.sent(Send("ping", "ping"))
    assert bench.value("subscription.requests", subscription_outcome="sent") == 7


def test_a_connections_life_is_counted_and_logged(bench: Bench) -> None:
    bench.observer.refused("wss://x/", ConnectError("http", "HTTP status 503", status=503), 1.5)
    bench.observer.refused("wss://x/", ConnectError("reset", "gone"), 2.5)
    bench.observer.opened("wss://user:hunter2@x/", 0.1)
    assert bench.value("connection.state", connection="binance-0") == 1
    bench.observer.closed(End("going_away", 1001, "bye"), 60.0, 0.5)
    assert bench.value("connection.state", connection="binance-0") == 0
    assert [bench.value("connection.attempts", attempt_outcome=outcome) for outcome in ("http", "error", "ok")] == [
        1,
        1,
        1,
    ]
    assert bench.value("connection.closed", close_cause="remote") == 1
    assert bench.value("reconnect.delay") == 3
    assert bench.events() == ["connection.failed", "connection.failed", "connection.opened", "connection.closed"]
    assert "hunter2" not in bench.out.getvalue()
    assert bench.lines()[3]["close_code"] == 1001


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("lost", "network"),
        ("too_big", "protocol"),
        ("silent_socket", "stalled"),
        ("no_message", "stalled"),
        ("lifetime", "rotation"),
        ("internal_error", "defect"),
        ("whatever a core says", "resync"),
        ("shutdown", "shutdown"),
    ],
)
def test_every_end_is_counted_under_a_bounded_cause(bench: Bench, end: str, cause: str) -> None:
    bench.observer.closed(End(end), 1.0, 1.0)
    assert bench.value("connection.closed", close_cause=cause) == 1
    assert bench.value("reconnect.delay") == (0 if end == "shutdown" else 1)
    assert bench.value("message.undecodable", channel="unknown", undecodable_reason="too_big") == (end == "too_big")


def test_a_defect_is_critical_and_carries_its_traceback(bench: Bench) -> None:
    try:
        raise RuntimeError("a defect")  # noqa: TRY301 (it needs a traceback)
    except RuntimeError as error:
        bench.observer.defect(error)
    (line,) = bench.lines()
    assert (line["level"], line["subject"], line["error_type"]) == ("critical", "feed binance-0", "RuntimeError")
    assert "test_live_observe.py" in str(line["exception"])


def test_rest_requests_are_timed_by_endpoint_and_status_and_failures_are_logged(bench: Bench) -> None:
    clock = bench.clock
    budget = Budget("binance-spot", 6000, 60.0, clock)
    pool = PoolObserver(bench.metrics, "binance", budget, lambda: clock.ns)
    pool.call(RestCall("depth", "api.binance.com", 200, None, "", 0.2, 0.0))
    pool.call(RestCall("depth", "api.binance.com", 429, None, "", 0.1, 60.0))
    pool.call(RestCall("depth", "api.binance.com", 0, "timeout", "no answer", 15.0, 0.0))
    pool.call(RestCall("depth", "api.binance.com", 0, "timeout", "no answer", 15.0, 0.0))
    pool.call(RestCall("depth", "api.binance.com", 0, "budget", "the pool is closed", 0.0, 0.0))
    family = bench.metrics.histogram("http.client.request.duration")
    seen = {(c.attrs.get("http.response.status_code"), c.attrs.get("error.type")): c.n for c in family.cells.values()}
    assert seen == {(200, None): 1, (429, "429"): 1, (None, "timeout"): 2}, "what was never sent has no duration"
    assert bench.events() == ["rest.failed", "rest.paused", "rest.failed", "rest.failed"]
    budget.told(1200)
    budget.pause(30)
    assert [bench.value(f"rest.{name}", pool="binance-spot") for name in ("budget.used", "budget.limit", "paused")] == [
        1200,
        6000,
        30,
    ]


def test_dead_letters_are_counted_and_their_troubles_said(bench: Bench, tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, on_trouble=dead_letter_trouble)
    observe_dead_letters(bench.metrics, letters)
    letters.write("binance", "spot", "x", DeadLetter("book", "json", "", b"x", Now(0, 0)))
    dead_letter_trouble("full", tmp_path, "16 of 16 bytes are used")
    assert (bench.value("dead_letters.written"), bench.value("dead_letters.dropped")) == (0, 1)
    assert bench.events() == ["dead_letter.failing", "dead_letter.full"]


def test_two_connections_of_a_venue_share_its_series(bench: Bench) -> None:
    second = FeedObserver(bench.metrics, FACTS, "binance-1", lambda: 0)
    bench.observer.frame("book", 1)
    second.frame("book", 1)
    assert bench.value("messages.received", channel="book") == 2
    assert bench.value("connection.state", connection="binance-1") == 0


def test_every_log_line_has_only_fields_that_the_schema_gives_its_event(bench: Bench) -> None:
    observer = bench.observer
    observer.records([gap(), gap(repaired=12.0), gap(channel="trades")])
    observer.said(
        [VerdictChange("BTC-USDT", "book", Verdict("in_sync"))],
        [DeadLetter("book", "json", "", b"x", Now(0, 0))],
        [Event("subscription_rejected", "book", "X", "no"), Event("sync_ok", "book", "X")],
    )
    observer.opened("wss://x/", 0.1)
    observer.refused("wss://x/", ConnectError("dns", "no such name"), 1.0)
    observer.closed(End("normal", 1000), 1.0, 1.0)
    observer.defect(RuntimeError("x"))
    pool = PoolObserver(bench.metrics, "binance", Budget("p", 1, 1.0, bench.clock), lambda: 0)
    pool.call(RestCall("depth", "h", 429, None, "", 0.1, 60.0))
    dead_letter_trouble("failing", Path("x"), "y")
    always = {"event", "level", "logger", "timestamp", "exception", "suppressed"}
    assert len(bench.lines()) == 14
    for line in bench.lines():
        event = REGISTRY.events[cast("str", line["event"])]
        assert set(line) - always <= {attribute.key for attribute in event.attributes}, line
        assert line["level"] == event.severity
