"""An observer with a tracer that keeps its spans, told what happens second by second."""

from __future__ import annotations

import io
import json

from collector.books.verdict import State, Verdict
from collector.feed.observe import FeedObserver
from collector.feed.observe_net import PoolObserver
from collector.feed.spans import FeedSpans
from collector.net.budget import Budget
from collector.net.websocket import End
from collector.records import Gap, GapCause
from collector.venues.protocol import Channel, Endpoint, Event, EventKind, Facts, Fetch, FrameKind, Pool, VerdictChange
from telemetry.cells import Cell, Metrics
from telemetry.registry import load_registry
from telemetry.tracing import Finished, SpanRef
from tests.net.fakes import FakeClock
from tests.telemetry.spans import FakeTracer

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
URL = "wss://user:hunter2@stream.binance.com:9443/stream?token=hunter2"
DEPTH = Fetch(1, "depth", "/api/v3/depth", (("symbol", "BTCUSDT"),), "BTCUSDT", 50)


class Bench:
    """An observer that keeps spans, and what it was told of the same second."""

    def __init__(self, out: io.StringIO) -> None:
        self.out = out
        self.clock = FakeClock()
        self.begin_ns = self.wall_ns()
        self.tracer = FakeTracer()
        self.metrics = Metrics(load_registry())
        self.spans = FeedSpans(self.tracer, FACTS, "0", self.clock)
        self.observer = FeedObserver(self.metrics, FACTS, "0", lambda: self.clock.ns, spans=self.spans)
        self.pool = PoolObserver(
            self.metrics,
            "binance",
            Budget("p", 1, 1.0, self.clock),
            lambda: self.clock.ns,
            self.tracer,
            self.wall_ns,
        )

    def wall_ns(self) -> int:
        return (self.clock().wall_us or 0) * 1000

    # -- what happens, each after so many seconds ---------------------------------------------------------------------

    def after(self, seconds: float) -> FeedObserver:
        self.clock.advance(seconds)
        return self.observer

    def open(self) -> None:
        self.observer.connecting(URL)
        self.after(1).opened(URL, 1.0)

    def close(self, cause: str = "lost") -> None:
        self.observer.closed(End(cause), 1.0, 1.0)

    def verdict(self, state: State, channel: Channel = "book") -> None:
        self.observer.said([VerdictChange("BTC-USDT", channel, Verdict(state))], [], [])

    def event(self, kind: EventKind, channel: FrameKind = "book", detail: str = "") -> None:
        self.observer.said([], [], [Event(kind, channel, "BTC-USDT", detail)])

    def gap(self, cause: GapCause = "sequence", channel: Channel = "book", found: Gap | None = None) -> Gap:
        """Find a gap, or repair the one that was found."""
        wall_us = self.clock().wall_us
        cause = cause if found is None else found.cause
        record = gap_record(channel, cause, wall_us if found is None else found.detected_ts)
        record.repaired_ts = None if found is None else wall_us
        self.observer.records([record])
        return record

    # -- what came of it ----------------------------------------------------------------------------------------------

    def times(self, span: Finished) -> tuple[float, float]:
        """Give its begin and end in seconds."""
        return (span.start_ns - self.begin_ns) / 1e9, (span.end_ns - self.begin_ns) / 1e9

    def one(self, name: str) -> Finished:
        (span,) = self.tracer.named(name if name == "GET" else f"marketprism.{name}")
        return span

    def cell(self, name: str, **attrs: str) -> Cell:
        family = next(family for family in self.metrics.families() if family.name == name)
        wanted = {f"marketprism.{key}": value for key, value in attrs.items()}
        (cell,) = (cell for cell in family.cells.values() if wanted.items() <= cell.attrs.items())
        return cell

    def line(self, event: str) -> dict[str, object]:
        lines = [json.loads(line) for line in self.out.getvalue().splitlines()]
        (line,) = (line for line in lines if line["event"] == f"marketprism.{event}")
        return dict(line)

    def ref_of(self, event: str) -> tuple[object, object]:
        line = self.line(event)
        return line.get("trace_id"), line.get("span_id")


def ids(ref: SpanRef) -> tuple[str, str]:
    return f"{ref.trace_id:032x}", f"{ref.span_id:016x}"


def attributes(span: Finished) -> dict[str, object]:
    """Give what it says beside whose it is."""
    return {
        name.removeprefix("marketprism."): value
        for name, value in span.attributes.items()
        if name not in ("marketprism.venue", "marketprism.market")
    }


def gap_record(channel: str, cause: GapCause, detected_ts: int | None) -> Gap:
    """Give a Gap of BTC-USDT, of four ids where ids show it."""
    numbered = cause == "sequence"
    return Gap(
        venue="binance",
        market="spot",
        instrument="BTC-USDT",
        symbol="BTCUSDT",
        ts=None,
        recv_ts=None,
        channel=channel,
        first=5 if numbered else None,
        last=8 if numbered else None,
        count=4 if numbered else None,
        cause=cause,
        detected_ts=detected_ts,
        repaired_ts=None,
    )
