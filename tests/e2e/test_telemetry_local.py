"""The real collector against the simulator with faults, exporting to a receiver in this process: what one run's traces,
log lines, exemplars and records say of each other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.journal import segments
from tests.e2e.rig import SYMBOLS, VENUES, Rig, poll_until
from tests.telemetry.otlp_sink import OtlpSink, Span

pytestmark = pytest.mark.full

QUICK = {"OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BLRP_SCHEDULE_DELAY": "200"}
STREAMS = len(SYMBOLS) * 3
EXEMPLARS = {
    "marketprism.message.process.duration": "marketprism.message",
    "marketprism.feed.lag": "marketprism.message",
    "marketprism.journal.write.duration": "marketprism.message",
    "marketprism.gaps": "marketprism.gap",
    "marketprism.gap.repair.duration": "marketprism.gap",
    "http.client.request.duration": "GET",
}


@dataclass
class Run:
    """All that one run left behind."""

    sink: OtlpSink
    records: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    tape: Path
    seconds: float

    def __post_init__(self) -> None:
        self.spans = self.sink.spans()
        self.by_id = {span.span_id: span for span in self.spans}

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def children(self, parent: Span) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            if span.parent == parent.span_id and span.trace_id == parent.trace_id:
                found[span.name].append(span)
        return dict(found)


def about(span: Span) -> dict[str, Any]:
    return {name.removeprefix("marketprism."): value for name, value in span.attributes.items()}


def span_of(record: dict[str, Any]) -> str:
    return str(record["traceparent"]).split("-")[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("telemetry")
    tape = folder / "tape.jsonl"
    with pytest.MonkeyPatch.context() as environment, OtlpSink() as sink:
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            environment.delenv(name)
        for name, value in {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}.items():
            environment.setenv(name, value)
        with Rig(folder) as rig:
            began = time.monotonic()
            rig.start("--tape", str(tape))
            rig.wait_in_sync()
            for venue in VENUES:  # a trade that is lost before the first one leaves no hole
                stream = {
                    "marketprism_venue": venue,
                    "marketprism_instrument": "BTC-USDT",
                    "marketprism_channel": "trades",
                }
                last = "marketprism_last_message_time_seconds"
                poll_until(partial(rig.metric, last, **stream), f"{venue} has sent a trade")
                rig.fault("drop", venue, channel="book", symbol="BTC-USDT", count=3)
                rig.fault("drop", venue, channel="trades", symbol="BTC-USDT", count=2)
            repaired = "marketprism_gap_repair_duration_seconds_count"
            poll_until(lambda: rig.metric(repaired, marketprism_channel="book") >= 2, "both books are repaired")
            lost = {"marketprism_channel": "trades", "marketprism_gap_cause": "sequence"}
            poll_until(lambda: rig.metric("marketprism_gaps_total", **lost) >= 2, "both trades streams have a gap")
            rig.wait_in_sync()
            rig.fault("http", "binance", status=503, endpoint="depth", count=1)
            rig.fault("refuse", "kraken", seconds=2)
            for venue in VENUES:
                rig.fault("close", venue, code=1001)
            refused = {"marketprism_venue": "kraken", "marketprism_attempt_outcome": "http"}
            poll_until(lambda: rig.metric("marketprism_connection_attempts_total", **refused), "an attempt is refused")
            failed = "http_client_request_duration_seconds_count"
            poll_until(lambda: rig.metric(failed, http_response_status_code="503"), "a snapshot is refused")
            rig.heal()
            rig.wait_in_sync(60)
            time.sleep(3)
            assert rig.stop() == 0
            seconds = time.monotonic() - began
            files = [segment.path for segment in segments(rig.journal)]
            records = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
            log = (folder / "collector.log").read_text().splitlines()
        yield Run(sink, records, [json.loads(line) for line in log], tape, seconds)


def test_a_trace_reaches_from_the_frame_to_the_journal(run: Run) -> None:
    whole: Counter[tuple[str, str]] = Counter()
    for message in run.named("marketprism.message"):
        parts = run.children(message)
        assert message.parent == ""
        assert set(parts) >= {"marketprism.decode", "marketprism.verify"}
        steps = [parts[name][0] for name in ("marketprism.decode", "marketprism.verify")] + parts.get(
            "marketprism.journal", []
        )
        times = [message.start_ns, *(at for step in steps for at in (step.start_ns, step.end_ns)), message.end_ns]
        assert times == sorted(times), "received, decoded, verified, written, in this order and inside the journey"
        assert bool(message.attributes["marketprism.records"]) == ("marketprism.journal" in parts)
        whole[about(message)["venue"], about(message)["channel"]] += "marketprism.journal" in parts
    assert set(whole) == {(venue, channel) for venue in VENUES for channel in ("trades", "quotes", "book")}
    assert min(whole.values()) >= 2
    assert max(whole.values()) <= run.seconds + 1, "at most one a second"
    linked = {link for span in run.named("marketprism.burst.flush") for link in span.links}
    written = {span.span_id for span in run.named("marketprism.message") if span.attributes["marketprism.records"]}
    assert linked == written


def test_the_records_of_a_traced_message_carry_its_traceparent_into_the_journal(run: Run) -> None:
    carried = Counter(span_of(record) for record in run.records if "traceparent" in record and record["type"] != "Gap")
    made = {span.span_id: span.attributes["marketprism.records"] for span in run.named("marketprism.message")}
    assert set(carried) <= set(made)
    assert all(carried[ident] <= count for ident, count in made.items())
    whole = [ident for ident, count in made.items() if count and carried[ident] == count]
    assert len(whole) > 10
    missing = sum(made.values()) - carried.total()
    assert missing <= sum(record["type"] == "Gap" for record in run.records), "a Gap carries its own span instead"
    assert carried.total() < len(run.records) / 10, "few are traced"


def test_a_gaps_span_has_the_gaps_size_and_cause_and_the_work_of_its_repair_inside(run: Run) -> None:
    repaired = [r for r in run.records if r["type"] == "Gap" and r["repaired_ts"] is not None and r["detected_ts"]]
    sequence = [record for record in repaired if record["channel"] == "book" and record["cause"] == "sequence"]
    assert sequence
    for record in repaired:
        if record["cause"] == "restart":
            continue
        gap = run.by_id[span_of(record)]
        said = about(gap)
        assert gap.name == "marketprism.gap"
        assert (gap.start_ns, gap.end_ns) == (record["detected_ts"] * 1000, record["repaired_ts"] * 1000)
        assert said["gap.outcome"] == "repaired"
        assert said["gap.cause"] == record["cause"]
        assert said.get("gap.count") == record["count"]
        assert (said.get("gap.first"), said.get("gap.last")) == tuple(
            None if record[end] is None else str(record[end]) for end in ("first", "last")
        )
        if record["channel"] == "book":
            (sync,) = run.children(gap).get("marketprism.book.sync", [])
            assert about(sync)["sync.outcome"] == "ok"
            if record["venue"] == "binance":
                gets = run.children(sync)["GET"]
                assert about(sync)["sync.attempts"] == len(gets)
                assert gets[-1].attributes["http.response.status_code"] == 200
    gaps = [record for record in run.records if record["type"] == "Gap" and record["repaired_ts"] is None]
    lost = [record for record in gaps if record["channel"] == "trades"]
    for record in lost:
        said = about(run.by_id[span_of(record)])
        assert (said["gap.outcome"], said["gap.count"]) == ("lost", record["count"])
    assert any(record["count"] == 2 for record in lost)


def test_a_refused_get_is_an_error_span_of_the_sync_that_it_delayed(run: Run) -> None:
    (failed,) = (span for span in run.named("GET") if span.attributes.get("http.response.status_code") == 503)
    assert (failed.status, failed.attributes["error.type"], failed.attributes["url.path"]) == (
        "503",
        "503",
        "/binance/api/v3/depth",
    )
    sync = run.by_id[failed.parent]
    assert about(sync)["sync.attempts"] >= 2
    (line,) = (line for line in run.lines if line["event"] == "marketprism.rest.failed")
    assert (line["trace_id"], line["span_id"]) == (failed.trace_id, failed.span_id)


def test_the_log_lines_of_a_trace_carry_its_id_on_stderr_and_by_otlp(run: Run) -> None:
    said = Counter[str]()
    for line in run.lines:
        if "span_id" in line and line["span_id"] in run.by_id:
            span = run.by_id[line["span_id"]]
            assert line["trace_id"] == span.trace_id
            said[f"{line['event'].removeprefix('marketprism.')} in {span.name.removeprefix('marketprism.')}"] += 1
    assert said["connection.opened in connection"] == 4
    assert said["connection.failed in connection"] >= 1
    assert said["connection.closed in connection"] == 2
    assert said["book.gap in gap"] >= 1
    assert said["book.repaired in gap"] >= 1
    assert said["stream.gap in gap"] >= 1
    assert said["book.synced in book.sync"] >= 4
    sent = {(log.event, log.trace_id, log.span_id) for log in run.sink.logs()}
    for line in run.lines:
        if line["event"] in ("marketprism.book.gap", "marketprism.book.repaired", "marketprism.connection.closed"):
            assert (line["event"], line["trace_id"], line["span_id"]) in sent


def test_every_exemplar_leads_to_a_trace_that_was_exported(run: Run) -> None:
    led: Counter[str] = Counter()
    for point in run.sink.points():
        for exemplar in point.exemplars:
            span = run.by_id[exemplar.span_id.hex()]
            assert span.trace_id == exemplar.trace_id.hex()
            assert span.name == EXEMPLARS[point.metric], point.metric
            for key in ("marketprism.venue", "marketprism.channel", "marketprism.gap.cause"):
                if key in point.attributes and key in span.attributes:
                    assert point.attributes[key] == span.attributes[key]
            if point.metric == "marketprism.gap.repair.duration":
                assert exemplar.as_double == pytest.approx((span.end_ns - span.start_ns) / 1e9)
            led[point.metric] += 1
    assert set(led) == set(EXEMPLARS)


def test_connections_and_subscriptions_are_spans_with_their_outcome(run: Run) -> None:
    connections = run.named("marketprism.connection")
    outcomes = Counter((about(span)["venue"], about(span)["attempt.outcome"]) for span in connections)
    assert (outcomes["binance", "ok"], outcomes["kraken", "ok"]) == (2, 2)
    assert outcomes["kraken", "http"] >= 1
    closes = Counter(about(span).get("close.cause") for span in connections)
    assert (closes["remote"], closes["shutdown"]) == (2, 2)
    for span in connections:
        assert bool(span.status) == (about(span).get("close.cause") != "shutdown")
        if about(span)["attempt.outcome"] == "ok":
            acked = run.children(span)["marketprism.subscription"]
            asked = Counter((about(each).get("instrument"), about(each).get("channel")) for each in acked)
            assert {about(each)["subscription.outcome"] for each in acked} == {"acked"}
            assert set(asked) == {(symbol, channel) for symbol in SYMBOLS for channel in ("trades", "quotes", "book")}
    first = min(connections, key=lambda span: (about(span)["venue"] != "binance", span.start_ns))
    syncs = run.children(first)["marketprism.book.sync"]
    assert {about(sync)["instrument"] for sync in syncs} == set(SYMBOLS)
    assert {get.attributes["marketprism.endpoint"] for sync in syncs for get in run.children(sync)["GET"]} == {"depth"}


def test_a_replay_gives_the_same_records_but_for_their_traceparent(run: Run) -> None:
    command = [sys.executable, "-m", "collector", "replay", str(run.tape)]
    replayed = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    for venue in VENUES:
        live = [{key: record[key] for key in record if key != "traceparent"} for record in run.records]
        live = [r for r in live if r["venue"] == venue and r.get("cause") not in ("segment", "restart")]
        again = [record for line in replayed if (record := msgspec.json.decode(line))["venue"] == venue]
        assert "traceparent" not in str(again)
        assert len(live) > 200
        assert again == live
