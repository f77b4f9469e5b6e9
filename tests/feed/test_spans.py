"""The spans of a connection: when they begin and end, whose children they are, and which log lines belong to them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from collector.books.verdict import Verdict
from collector.clock import system_clock
from collector.feed.observe import FeedObserver
from collector.feed.spans import FeedSpans
from collector.net.websocket import ConnectError
from collector.venues.protocol import Event, Send, VerdictChange
from telemetry.cells import Metrics
from telemetry.logs import configure_logs
from telemetry.registry import load_registry
from telemetry.tracing import NO_SPAN, OFF, current
from tests.feed.spanbench import DEPTH, FACTS, URL, Bench, attributes, gap_record, ids


@pytest.fixture
def bench() -> Iterator[Bench]:
    out = io.StringIO()
    configure_logs("debug", "json", out)
    yield Bench(out)
    configure_logs()


# -- the connection ---------------------------------------------------------------------------------------------------


def test_a_connection_is_a_span_from_its_attempt_to_its_close(bench: Bench) -> None:
    bench.open()
    bench.after(9)
    bench.close()
    span = bench.one("connection")
    assert bench.times(span) == (0, 10)
    assert (span.kind, span.parent, span.error) == ("client", None, "lost")
    assert attributes(span) == {
        "connection": "0",
        "attempt.number": 1,
        "attempt.outcome": "ok",
        "close.cause": "network",
        "server.address": "stream.binance.com",
        "server.port": 9443,
        "error.type": "lost",
    }
    assert bench.ref_of("connection.opened") == bench.ref_of("connection.closed") == ids(span.ref)
    assert "hunter2" not in repr(bench.tracer.spans) + bench.out.getvalue()


@pytest.mark.parametrize("cause", ["shutdown", "lifetime", "server_shutdown"])
def test_a_close_that_was_planned_is_no_error(bench: Bench, cause: str) -> None:
    bench.open()
    bench.close(cause)
    assert bench.one("connection").error is None


def test_an_attempt_that_failed_is_a_short_span_with_an_error_and_attempts_are_numbered(bench: Bench) -> None:
    for _ in range(2):
        bench.observer.connecting("wss://ws.kraken.com/v2")
        bench.after(2).refused("wss://ws.kraken.com/v2", ConnectError("http", "HTTP status 503", status=503), 1.0)
    bench.open()
    bench.close()
    bench.open()
    bench.close()
    first, *others = bench.tracer.named("marketprism.connection")
    assert bench.times(first) == (0, 2)
    assert (first.error, first.attributes["marketprism.attempt.outcome"]) == ("503", "http")
    assert "marketprism.close.cause" not in first.attributes
    assert first.attributes["server.port"] == 443
    assert [span.attributes["marketprism.attempt.number"] for span in (first, *others)] == [1, 2, 3, 1]
    assert len({span.ref.trace_id for span in (first, *others)}) == 4


def test_a_feed_that_stops_while_it_connects_leaves_no_span_open(bench: Bench) -> None:
    bench.observer.connecting(URL)
    bench.after(1).stopped()
    assert bench.one("connection").error == "cancelled"
    bench.observer.stopped()
    assert len(bench.tracer.spans) == 1


# -- subscriptions ----------------------------------------------------------------------------------------------------


def test_a_subscription_is_a_span_from_its_request_to_the_venues_answer(bench: Bench) -> None:
    bench.open()
    bench.observer.sent(Send("{}", "ping"))
    bench.observer.sent(Send("{}", "subscribe", 2))
    bench.after(1)
    bench.event("subscription_acked", "trades")
    bench.after(1)
    bench.event("subscription_rejected", "book", "Currency pair not supported")
    acked, rejected = bench.tracer.named("marketprism.subscription")
    assert [bench.times(span) for span in (acked, rejected)] == [(1, 2), (1, 3)]
    assert attributes(acked) == {
        "connection": "0",
        "channel": "trades",
        "instrument": "BTC-USDT",
        "subscription.outcome": "acked",
    }
    assert acked.parent == rejected.parent == bench.spans.connection
    assert (acked.error, rejected.error) == (None, "rejected")
    assert bench.ref_of("subscription.rejected") == ids(rejected.ref)
    bench.close()
    assert len(bench.tracer.named("marketprism.subscription")) == 2, "nothing is left to answer"


def test_a_request_that_the_venue_answered_unseen_does_not_shift_the_others(bench: Bench) -> None:
    bench.open()
    bench.observer.sent(Send("{}", "subscribe", 1))  # Kraken's listing: its answer is no stream's
    bench.after(1).sent(Send("{}", "subscribe", 1))
    bench.after(1)
    bench.event("subscription_acked")
    bench.close()
    assert bench.times(bench.one("subscription")) == (2, 3)


def test_a_request_without_an_answer_ends_with_the_connection(bench: Bench) -> None:
    bench.open()
    bench.observer.sent(Send("{}", "subscribe", 3))
    bench.after(5)
    bench.close()
    span = bench.one("subscription")
    assert bench.times(span) == (1, 6)
    assert (span.error, span.attributes["marketprism.subscription.outcome"]) == ("lost", "sent")


def test_what_was_refused_without_being_asked_for_belongs_to_the_connection(bench: Bench) -> None:
    bench.open()
    bench.event("subscription_rejected", detail="not listed")
    assert bench.tracer.named("marketprism.subscription") == []
    assert bench.ref_of("subscription.rejected") == ids(bench.spans.connection)


# -- messages, defects, off -------------------------------------------------------------------------------------------


def test_the_time_of_a_traced_messages_kind_leads_to_it(bench: Bench) -> None:
    ref = bench.tracer.new_ref("marketprism.message")
    bench.observer.frame("trades", 10)
    bench.observer.traced("trades", ref)
    bench.observer.frame("book", 10)
    bench.observer.burst(4_000)
    ((_, exemplar),) = bench.cell("marketprism.message.process.duration", channel="trades").ex.items()
    assert exemplar == (2e-6, bench.wall_ns(), ref.trace_id, ref.span_id)
    assert bench.cell("marketprism.message.process.duration", channel="book").ex == {}
    bench.observer.frame("trades", 10)
    bench.observer.burst(9_000_000)
    assert len(bench.cell("marketprism.message.process.duration", channel="trades").ex) == 1, "the next is not traced"


def test_a_defect_is_logged_inside_the_connections_span(bench: Bench) -> None:
    bench.open()
    bench.observer.defect(RuntimeError("a defect"))
    assert bench.ref_of("service.failed") == ids(bench.spans.connection)
    assert current() == NO_SPAN


def test_off_nothing_is_kept_and_records_stay_as_they_are() -> None:
    spans = FeedSpans(OFF, FACTS, "0", system_clock)
    metrics = Metrics(load_registry())
    observer = FeedObserver(metrics, FACTS, "0", lambda: 0, spans=spans)
    observer.connecting(URL)
    observer.sent(Send("{}", "subscribe", 2))
    record = gap_record("book", "sequence", 1)
    observer.records([record])
    observer.frame("trades", 1)
    observer.traced("trades", NO_SPAN)
    observer.burst(1)
    assert [cell for family in metrics.families() for cell in family.cells.values() if cell.ex] == []
    observer.said([VerdictChange("BTC-USDT", "book", Verdict("gap"))], [], [Event("sync_failed", "book", "BTC-USDT")])
    observer.fetching(DEPTH, lambda: pytest.fail("nobody wants to know"))
    assert not isinstance(record.traceparent, str)
    assert (spans._gaps, spans._syncs, spans._asked, spans._open) == ({}, {}, [], None)
