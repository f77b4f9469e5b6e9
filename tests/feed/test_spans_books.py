"""The spans of syncs and gaps: from detection to repair, with the GETs that served it."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from collector.books.verdict import Verdict
from collector.feed.spans import SERVING
from collector.net.rest import RestCall
from collector.venues.protocol import Send, StreamStatus
from telemetry.logs import configure_logs
from telemetry.tracing import NO_SPAN
from tests.feed.spanbench import DEPTH, Bench, attributes, gap_record, ids


@pytest.fixture
def bench() -> Iterator[Bench]:
    out = io.StringIO()
    configure_logs("debug", "json", out)
    yield Bench(out)
    configure_logs()


# -- syncs and their GETs ---------------------------------------------------------------------------------------------


def test_a_fresh_books_sync_is_the_connections_child_and_counts_its_attempts(bench: Bench) -> None:
    bench.open()
    bench.after(1)
    bench.verdict("syncing")
    bench.event("sync_failed")
    bench.after(2)
    bench.verdict("syncing")
    bench.event("sync_ok")
    bench.verdict("in_sync")
    sync = bench.one("book.sync")
    assert bench.times(sync) == (2, 4)
    assert attributes(sync) == {"instrument": "BTC-USDT", "sync.outcome": "ok", "sync.attempts": 2}
    assert (sync.parent, sync.links, sync.error) == (bench.spans.connection, (), None)
    assert bench.ref_of("book.synced") == ids(sync.ref)


def test_a_get_is_the_child_of_the_sync_that_it_serves(bench: Bench) -> None:
    bench.open()
    bench.verdict("syncing")
    streams = [StreamStatus("BTC-USDT", "BTCUSDT", "book", Verdict("syncing"), None, None)]
    token = SERVING.set(NO_SPAN)
    bench.observer.fetching(DEPTH, lambda: streams)
    url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
    bench.after(3)
    bench.pool.call(RestCall("depth", "api.binance.com", 429, None, "", 0.5, 0.0, url))
    bench.event("sync_ok")
    bench.observer.fetching(DEPTH, lambda: streams)
    assert SERVING.get() == bench.spans.connection, "no sync wants it any more"
    SERVING.reset(token)
    get, sync = bench.one("GET"), bench.one("book.sync")
    assert get.parent == sync.ref
    assert bench.times(get) == (3.5, 4)
    assert (get.kind, get.error) == ("client", "429")
    assert dict(get.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 429,
        "server.address": "api.binance.com",
        "server.port": 443,
        "url.path": "/api/v3/depth",
        "url.full": url,
        "error.type": "429",
        "marketprism.venue": "binance",
        "marketprism.endpoint": "depth",
    }
    assert bench.ref_of("rest.failed") == ids(get.ref)
    ((_, exemplar),) = bench.cell("http.client.request.duration").ex.items()
    assert exemplar == (0.5, get.end_ns, get.ref.trace_id, get.ref.span_id)


def test_a_get_that_was_never_sent_is_no_span_but_its_line_belongs_to_the_sync(bench: Bench) -> None:
    bench.open()
    token = SERVING.set(bench.spans.connection)
    bench.pool.call(RestCall("depth", "api.binance.com", 0, "budget", "used up", 0.0, 0.0, "https://x/"))
    SERVING.reset(token)
    assert bench.tracer.named("GET") == []
    assert bench.ref_of("rest.failed") == ids(bench.spans.connection)


def test_a_snapshot_that_comes_before_anything_was_said_is_a_sync_from_its_subscription(bench: Bench) -> None:
    bench.open()
    found = bench.gap("disconnect")
    bench.close()
    bench.open()
    bench.observer.sent(Send("{}", "subscribe", 1))
    bench.after(2)
    bench.gap(found=found)
    bench.event("sync_ok")
    bench.verdict("in_sync")
    gap, sync = bench.one("gap"), bench.one("book.sync")
    assert (bench.times(sync), sync.parent) == ((2, 4), gap.ref)
    bench.event("sync_ok")
    assert bench.tracer.named("marketprism.book.sync")[1].parent == bench.spans.connection


def test_a_sync_that_the_connections_end_cuts_short_failed(bench: Bench) -> None:
    bench.open()
    bench.verdict("syncing")
    bench.after(2)
    bench.verdict("syncing")  # as the core says when the connection is gone
    bench.close()
    sync = bench.one("book.sync")
    assert bench.times(sync) == (1, 3)
    assert (sync.error, sync.attributes["marketprism.sync.outcome"]) == ("disconnect", "failed")


def test_a_book_that_the_venue_does_not_give_ends_its_sync(bench: Bench) -> None:
    bench.open()
    bench.verdict("syncing")
    bench.verdict("blocked")
    assert bench.one("book.sync").error == "blocked"
    bench.event("sync_failed")
    bench.close()
    assert len(bench.tracer.named("marketprism.book.sync")) == 1


# -- gaps -------------------------------------------------------------------------------------------------------------


def test_a_books_gap_is_a_trace_from_its_detection_to_its_repair_with_the_sync_inside(bench: Bench) -> None:
    bench.open()
    bench.after(1)
    found = bench.gap()
    bench.verdict("gap")
    bench.after(3)
    repaired = bench.gap(found=found)
    bench.event("sync_ok")
    bench.verdict("in_sync")
    gap, sync = bench.one("gap"), bench.one("book.sync")
    assert bench.times(gap) == bench.times(sync) == (2, 5)
    assert attributes(gap) == {
        "instrument": "BTC-USDT",
        "channel": "book",
        "gap.cause": "sequence",
        "gap.outcome": "repaired",
        "gap.first": "5",
        "gap.last": "8",
        "gap.count": 4,
    }
    assert (gap.parent, gap.links, gap.error) == (None, (bench.spans.connection,), None)
    assert (sync.parent, sync.links) == (gap.ref, (bench.spans.connection,))
    assert sync.attributes["marketprism.sync.attempts"] == 1
    assert found.traceparent == repaired.traceparent == gap.ref.traceparent


def test_a_gaps_metrics_lead_to_its_trace_and_its_log_lines_carry_its_id(bench: Bench) -> None:
    bench.open()
    found = bench.gap()
    bench.verdict("gap")
    bench.after(3)
    bench.gap(found=found)
    ref = bench.one("gap").ref
    (counted,) = bench.cell("marketprism.gaps", channel="book", **{"gap.cause": "sequence"}).ex.values()
    assert counted == (1.0, bench.wall_ns() - 3_000_000_000, ref.trace_id, ref.span_id)
    (timed,) = bench.cell("marketprism.gap.repair.duration", channel="book").ex.values()
    assert timed == (3.0, bench.wall_ns(), ref.trace_id, ref.span_id)
    assert bench.ref_of("book.gap") == bench.ref_of("book.repaired") == bench.ref_of("verdict.changed") == ids(ref)


def test_an_attempt_whose_snapshot_does_not_hold_counts(bench: Bench) -> None:
    bench.open()
    found = bench.gap("checksum")
    bench.verdict("gap")
    bench.event("checksum_mismatch")
    bench.verdict("gap")  # the new snapshot's checksum does not match either
    bench.gap(found=found)
    bench.event("sync_ok")
    assert bench.one("book.sync").attributes["marketprism.sync.attempts"] == 2
    assert "marketprism.gap.count" not in bench.one("gap").attributes, "a size that is not known is not 0"


def test_a_book_lost_again_in_the_burst_that_repaired_it_has_a_second_gap_and_sync(bench: Bench) -> None:
    bench.open()
    found = bench.gap()
    bench.verdict("gap")
    bench.after(1)
    bench.gap(found=found)
    again = bench.gap("crossed")
    bench.verdict("in_sync")
    bench.verdict("gap")
    bench.event("sync_ok")
    bench.after(1)
    bench.gap(found=again)
    bench.event("sync_ok")
    first, second = bench.tracer.named("marketprism.gap")
    syncs = bench.tracer.named("marketprism.book.sync")
    assert [span.parent for span in syncs] == [first.ref, second.ref]
    assert [bench.times(span) for span in syncs] == [(1, 2), (2, 3)]


def test_a_gap_of_a_lost_connection_is_repaired_by_a_sync_on_the_next(bench: Bench) -> None:
    bench.open()
    bench.after(1)
    found = bench.gap("disconnect")
    bench.verdict("syncing")
    lost = bench.spans.connection
    bench.close()
    assert bench.tracer.named("marketprism.book.sync") == [], "nothing was asked for yet"
    bench.after(1)
    bench.open()
    bench.verdict("syncing")
    bench.after(1)
    bench.gap(found=found)
    bench.event("sync_ok")
    gap, sync = bench.one("gap"), bench.one("book.sync")
    assert (bench.times(gap), bench.times(sync)) == ((2, 5), (4, 5))
    assert (gap.links, sync.parent, sync.links) == ((bench.spans.connection,), gap.ref, (bench.spans.connection,))
    assert lost != bench.spans.connection


def test_trades_that_are_missing_are_a_span_of_their_own_that_is_lost(bench: Bench) -> None:
    bench.open()
    record = bench.gap(channel="trades")
    gap = bench.one("gap")
    assert bench.times(gap) == (1, 1)
    assert (gap.attributes["marketprism.gap.outcome"], gap.attributes["marketprism.gap.count"]) == ("lost", 4)
    assert bench.ref_of("stream.gap") == ids(gap.ref)
    assert record.traceparent == gap.ref.traceparent
    assert bench.tracer.named("marketprism.book.sync") == []


def test_each_hole_among_the_bars_is_a_span_of_its_own_at_once(bench: Bench) -> None:
    bench.open()
    records = [gap_record("candles", "sequence", 1), gap_record("candles", "sequence", 2)]
    for record in records:
        bench.spans.gap(record)
    gaps = bench.tracer.named("marketprism.gap")
    assert [gap.ref.traceparent for gap in gaps] == [record.traceparent for record in records]
    assert [gap.attributes["marketprism.gap.outcome"] for gap in gaps] == ["lost", "lost"]
    assert bench.spans.gap_of("BTC-USDT", "candles") == bench.spans.connection, "what follows is not the gap's"


def test_a_trade_that_came_late_is_a_gap_repaired_where_it_was_found(bench: Bench) -> None:
    bench.open()
    late = bench.gap(channel="trades", found=gap_record("trades", "sequence", None))
    gap = bench.one("gap")
    assert (bench.times(gap), gap.attributes["marketprism.gap.outcome"]) == ((1, 1), "repaired")
    assert late.traceparent == gap.ref.traceparent


def test_a_gap_that_is_open_when_the_feed_ends_is_lost(bench: Bench) -> None:
    bench.open()
    bench.gap("disconnect", "quotes")
    bench.close("shutdown")
    bench.after(2).stopped()
    gap = bench.one("gap")
    assert (bench.times(gap), gap.attributes["marketprism.gap.outcome"]) == ((1, 3), "lost")
