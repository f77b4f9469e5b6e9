"""Spans are made finished, under names and attributes of the schema, or not at all."""

from __future__ import annotations

import io
import json

import pytest

from telemetry.logs import configure_logs, get_logger
from telemetry.model import AttributeValue
from telemetry.tracing import NO_SPAN, OFF, SpanError, SpanRef, current, inside
from tests.telemetry.spans import FakeTracer

Given = dict[str, AttributeValue | None]
PLACE: Given = {"venue": "kraken", "market": "spot", "channel": "book"}


def test_a_finished_span_has_what_it_was_given() -> None:
    tracer = FakeTracer()
    ref = tracer.span("marketprism.message", 1000, 2000, {**PLACE, "size": None})
    (span,) = tracer.spans
    assert (span.name, span.kind, span.start_ns, span.end_ns, span.parent, span.error) == (
        "marketprism.message",
        "consumer",
        1000,
        2000,
        None,
        None,
    )
    assert span.attributes == {
        "marketprism.venue": "kraken",
        "marketprism.market": "spot",
        "marketprism.channel": "book",
    }
    assert span.ref == ref == SpanRef(1, 2, sampled=True)


def test_children_may_be_made_before_their_parent() -> None:
    tracer = FakeTracer()
    root = tracer.new_ref("marketprism.message")
    child = tracer.span("marketprism.decode", 1, 2, {}, parent=root)
    tracer.span("marketprism.message", 1, 3, PLACE, ref=root)
    assert [(span.ref, span.parent) for span in tracer.spans] == [(child, root), (root, None)]
    assert child.trace_id == root.trace_id != child.span_id


def test_a_trace_that_is_not_sampled_is_made_nowhere_but_keeps_its_ids() -> None:
    tracer = FakeTracer()
    tracer.sampling = False
    root = tracer.new_ref("marketprism.message")
    child = tracer.span("marketprism.decode", 1, 2, {}, parent=root)
    assert not root
    assert not child
    assert tracer.spans == []
    assert root.traceparent == f"00-{1:032x}-{2:016x}-00"


def test_a_link_to_a_span_that_is_not_exported_is_left_out() -> None:
    tracer = FakeTracer()
    other = tracer.span("marketprism.decode", 1, 2, {})
    tracer.span("marketprism.burst.flush", 1, 2, {"records": 1}, links=[other, NO_SPAN])
    assert tracer.spans[1].links == (other,)


def test_the_traceparent_is_the_w3c_text() -> None:
    assert SpanRef(0xABC, 0x12, sampled=True).traceparent == "00-00000000000000000000000000000abc-0000000000000012-01"
    assert NO_SPAN.traceparent is None


def test_an_open_span_is_made_when_it_ends_and_only_once() -> None:
    tracer = FakeTracer()
    about: Given = {
        "venue": "kraken",
        "market": "spot",
        "connection": "kraken-0",
        "attempt_number": 1,
        "server_address": "h",
    }
    span = tracer.begin("marketprism.connection", 1000, about)
    assert tracer.spans == []
    span.set(server_address="h", attempt_outcome="ok", close_cause="remote")
    span.end(3000, error="remote")
    span.end(9000)
    (made,) = tracer.spans
    assert (made.start_ns, made.end_ns, made.ref, made.error) == (1000, 3000, span.ref, "remote")
    assert made.attributes["marketprism.close.cause"] == "remote"
    assert made.attributes["error.type"] == "remote"


def test_an_exception_gives_its_class_and_its_redacted_text() -> None:
    tracer = FakeTracer()
    about: Given = {
        "http_request_method": "GET",
        "server_address": "h",
        "server_port": 1,
        "url_path": "/",
        "venue": "kraken",
    }
    tracer.span("GET", 1, 2, {**about, "endpoint": "depth"}, error=ConnectionError("no way to ?api_key=abcd"))
    assert tracer.spans[0].attributes["error.type"] == "ConnectionError"
    assert tracer.spans[0].error == "ConnectionError: no way to ?api_key=***"


def test_an_end_before_the_start_is_taken_for_the_start() -> None:
    tracer = FakeTracer()
    tracer.span("marketprism.decode", 2000, 1000, {})
    assert tracer.spans[0].end_ns == 2000


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("marketprism.mesage", PLACE, "no such span.*did you mean marketprism.message?"),
        ("marketprism.message", {**PLACE, "vanue": "x"}, "vanue: no such attribute, did you mean venue?"),
        (
            "marketprism.message",
            {**PLACE, "venue": "krakn"},
            "venue: 'krakn' is none of its .*did you mean kraken",
        ),
        ("marketprism.message", {**PLACE, "size": "1"}, "size: expected int, found '1'"),
        ("marketprism.message", {**PLACE, "size": True}, "size: expected int, found True"),
        ("marketprism.message", {"venue": "kraken"}, "market: expected a value, found none"),
        ("marketprism.message", {**PLACE, "channel": None}, "channel: expected a value, found none"),
    ],
)
def test_what_the_schema_does_not_know_is_refused(name: str, attributes: dict[str, str | None], message: str) -> None:
    with pytest.raises(SpanError, match=message):
        FakeTracer().span(name, 1, 2, attributes)


def test_off_makes_nothing_and_checks_nothing() -> None:
    assert not OFF.on
    assert OFF.new_ref("x") is NO_SPAN
    assert OFF.span("x", 1, 2, {"y": 1}) is NO_SPAN
    span = OFF.begin("x", 1, {})
    span.end(2)
    assert span.ref is NO_SPAN


def test_a_line_logged_inside_a_span_carries_its_ids() -> None:
    out = io.StringIO()
    configure_logs("info", "json", out)
    log = get_logger("x")
    with inside(SpanRef(0xA, 0xB, sampled=True)):
        assert current() == SpanRef(0xA, 0xB, sampled=True)
        with inside(NO_SPAN):
            log.info("marketprism.book.synced")
    log.info("marketprism.book.synced")
    within, after = (json.loads(line) for line in out.getvalue().splitlines())
    assert (within["trace_id"], within["span_id"]) == (f"{10:032x}", f"{11:016x}")
    assert "trace_id" not in after
    configure_logs()
