"""Telemetry as a whole, against a receiver that works, is away, refuses, hangs or is slow."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from telemetry.cells import Metrics
from telemetry.exposition import Exposition
from telemetry.logs import configure_logs, get_logger
from telemetry.model import AttributeValue
from telemetry.otlp_settings import SIGNALS, Signal
from telemetry.redaction import register_secret
from telemetry.registry import load_registry
from telemetry.setup import SELF_METRICS, Telemetry, start_telemetry
from telemetry.tracing import OFF, inside
from tests.telemetry.otlp_sink import Mode, OtlpSink

PLACE = {"venue": "kraken", "market": "spot", "channel": "book"}
log = get_logger("tests")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    yield io.StringIO()
    configure_logs()


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as running:
        yield running
        running.released.set()
        nothing_runs()


def nothing_runs() -> None:
    """Wait until the threads that a test left behind have ended, so that they say nothing in the next."""
    ends = time.monotonic() + 5
    while any(thread.name.startswith(("Otel", "telemetry end")) for thread in threading.enumerate()):
        assert time.monotonic() < ends, threading.enumerate()
        threading.Event().wait(0.01)


@contextlib.asynccontextmanager
async def running(url: str | None, out: io.StringIO | None = None, **more: str) -> AsyncIterator[Telemetry]:
    """Telemetry that exports often; what a test leaves running is ended."""
    environ = {"OTEL_METRIC_EXPORT_INTERVAL": "50", "OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_BLRP_SCHEDULE_DELAY": "20"}
    environ |= {"OTEL_EXPORTER_OTLP_TIMEOUT": "1000"} | {f"OTEL_{name}": value for name, value in more.items()}
    if url is not None:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
    metrics = Metrics(load_registry())
    telemetry = start_telemetry(
        metrics, service_version="1.2.3", instance_id="test-1", environ=environ, loop=asyncio.get_running_loop()
    )
    configure_logs("info", "json", out or io.StringIO(), metrics=metrics, export=telemetry.log)
    try:
        yield telemetry
    finally:
        await telemetry.shutdown(0.01)


def one_of_each(telemetry: Telemetry) -> None:
    ref = telemetry.tracer.span("marketprism.message", 1000, 2000, PLACE)
    with inside(ref):
        log.info("marketprism.book.synced", venue="kraken", instrument="BTC-USD")
    telemetry.metrics.counter("marketprism.messages.received").cell(**PLACE).n += 1


def dropped(telemetry: Telemetry, signal: Signal, reason: str) -> int:
    family = telemetry.metrics.counter("marketprism.telemetry.dropped")
    return family.cell(telemetry_signal=signal, telemetry_drop_reason=reason).n


def fail(message: str) -> None:
    raise ConnectionError(message)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_without_an_endpoint_nothing_runs_and_it_is_said_once(out: io.StringIO) -> None:
    threads = threading.active_count()
    async with running(None, out) as telemetry:
        telemetry.say()
        assert telemetry.tracer is OFF
        assert telemetry.log is None
        assert threading.active_count() == threads
        assert await telemetry.shutdown() == {}
    (line,) = (json.loads(text) for text in out.getvalue().splitlines())
    assert (line["event"], line["subject"]) == (
        "marketprism.telemetry.off",
        "OTEL_EXPORTER_OTLP_ENDPOINT is not set",
    )


async def test_all_three_signals_arrive_and_belong_together(sink: OtlpSink, out: io.StringIO) -> None:
    async with running(sink.url, out) as telemetry:
        telemetry.say()
        one_of_each(telemetry)
        assert await telemetry.shutdown() == {"traces": 0, "metrics": 0, "logs": 0}
    (span,) = sink.spans()
    assert (span.name, span.start_ns, span.end_ns, span.kind) == ("marketprism.message", 1000, 2000, 5)
    said = {found.event: found for found in sink.logs()}
    synced = said["marketprism.book.synced"]
    assert (synced.trace_id, synced.span_id, synced.severity) == (span.trace_id, span.span_id, "INFO")
    assert synced.attributes == {
        "marketprism.venue": "kraken",
        "marketprism.instrument": "BTC-USD",
        "marketprism.logger": "tests",
    }
    assert sink.metric("marketprism.messages.received", **PLACE).value == 1
    assert "traces to 127.0.0.1" in str(said["marketprism.telemetry.started"].attributes["marketprism.subject"])


async def test_every_signal_names_the_same_stable_sender(sink: OtlpSink) -> None:
    async with running(sink.url, RESOURCE_ATTRIBUTES="deployment.environment.name=test") as telemetry:
        one_of_each(telemetry)
        await telemetry.shutdown()
    resources = sink.resources()
    assert len({request.path for request in sink.requests}) == 3
    assert all(resource == resources[0] for resource in resources)
    declared = {a.name for entity in load_registry().entities.values() for a in entity.attributes}
    assert set(resources[0]) == declared | {"deployment.environment.name"}
    assert resources[0]["service.name"] == "marketprism-collector"
    assert resources[0]["service.instance.id"] == "test-1"
    assert resources[0]["service.version"] == "1.2.3"


async def test_metrics_go_out_by_themselves_and_what_was_counted_last_is_in_the_final_export(sink: OtlpSink) -> None:
    async with running(sink.url) as telemetry:
        cell = telemetry.metrics.counter("marketprism.messages.received").cell(**PLACE)
        await asyncio.to_thread(sink.wait, lambda s: len(s.of("/v1/metrics")) >= 2, "two exports")
        cell.n = 5
        await telemetry.shutdown()
        assert sink.metric("marketprism.messages.received", **PLACE).value == 5


async def test_the_sdk_counts_itself_through_the_same_reader(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SELF_METRICS, "true")
    async with running(sink.url) as telemetry:
        one_of_each(telemetry)
        await asyncio.to_thread(sink.wait, lambda s: s.spans() and s.logs(), "a span and a log record")
        await telemetry.shutdown()
    assert sink.metric("otel.sdk.processor.span.processed").value == 1
    duration = sink.metric("otel.sdk.exporter.operation.duration", otel_component_type="otlp_http_span_exporter")
    assert (duration.count, duration.bounds[0]) == (1, 0.001)


async def test_an_exception_is_an_event_in_its_span_and_not_a_span_event(sink: OtlpSink) -> None:
    async with running(sink.url) as telemetry:
        ref = telemetry.tracer.new_ref("marketprism.message")
        try:
            fail("the line broke")
        except ConnectionError as error:
            with inside(ref):
                log.exception("marketprism.rest.failed", venue="kraken")
            telemetry.tracer.span("marketprism.message", 1, 2, PLACE, ref=ref, error=error)
        await telemetry.shutdown()
    (record,), (span,) = sink.logs(), sink.spans()
    assert record.attributes["exception.type"] == "ConnectionError"
    assert record.attributes["exception.message"] == "the line broke"
    assert "Traceback" in record.attributes["exception.stacktrace"]
    assert (record.span_id, span.status) == (span.span_id, "ConnectionError: the line broke")
    assert list(sink.of("/v1/traces")[0].message.resource_spans[0].scope_spans[0].spans[0].events) == []


@pytest.mark.parametrize("sampler", ["always_off", "parentbased_always_off"])
async def test_the_samplers_of_the_standard_are_obeyed(
    sink: OtlpSink, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    async with running(sink.url) as telemetry:
        assert not telemetry.tracer.span("marketprism.message", 1, 2, PLACE)
        await telemetry.shutdown()
    assert sink.spans() == []


async def test_a_secret_planted_anywhere_arrives_nowhere(sink: OtlpSink, out: io.StringIO) -> None:
    register_secret("planted-secret-4711")
    async with running(sink.url, out, RESOURCE_ATTRIBUTES="team=planted-secret-4711") as telemetry:
        tracer = telemetry.tracer
        about: dict[str, AttributeValue] = {
            "http_request_method": "GET",
            "server_address": "h",
            "server_port": 1,
            "venue": "kraken",
        }
        tracer.span(
            "GET",
            1,
            2,
            {
                **about,
                "endpoint": "depth",
                "url_path": "/planted-secret-4711",
                "url_full": "https://u:hidden-pw@h/?a=1",
            },
            error=ConnectionError("proxy http://me:hidden-proxy-pw@p refused planted-secret-4711"),
        )
        try:
            fail("X-MBX-APIKEY: hidden-api-key, planted-secret-4711")
        except ConnectionError:
            log.exception(
                "marketprism.rest.failed", url_full="wss://u:hidden-pw@h", error_message="planted-secret-4711"
            )
        gauge = telemetry.metrics.gauge("marketprism.last_message.time")
        gauge.cell(**PLACE, instrument="planted-secret-4711").n = 1
        await telemetry.shutdown()
    assert sink.spans()
    assert sink.logs()
    for secret in ("planted-secret-4711", "hidden-pw", "hidden-proxy-pw", "hidden-api-key"):
        assert secret not in sink.text()
        assert secret not in out.getvalue()


async def test_what_reaches_the_exporters_with_a_secret_is_caught_there(sink: OtlpSink) -> None:
    async with running(sink.url) as telemetry:
        one_of_each(telemetry)
        telemetry.tracer.span("marketprism.decode", 1, 2, {"instrument": "late-secret-0815"})
        assert telemetry.log is not None
        telemetry.log(
            "info", {"event": "e", "message": "late-secret-0815", "x": "late-secret-0815"}, 1, OFF.new_ref("x")
        )
        register_secret("late-secret-0815")  # after all that was handed over, before it is exported
        await telemetry.shutdown()
    assert {span.name for span in sink.spans()} == {"marketprism.message", "marketprism.decode"}
    assert "late-secret-0815" not in sink.text()


DEADLINE_S = 0.4


@pytest.mark.parametrize("mode", ["refuse", "hang", "slow", "forbid"])
async def test_the_end_comes_in_time_whatever_the_receiver_does_and_tells_what_was_left(
    sink: OtlpSink, mode: Mode
) -> None:
    sink.mode, sink.slow_s = mode, 20
    async with running(sink.url) as telemetry:
        one_of_each(telemetry)
        one_of_each(telemetry)
        began = time.monotonic()
        left = await telemetry.shutdown(DEADLINE_S)
        took = time.monotonic() - began
    sink.released.set()
    assert took < DEADLINE_S + 0.3
    assert left["traces"] == 2
    assert left["logs"] >= 2
    assert left["metrics"] > 10


async def test_the_end_comes_in_time_when_there_is_no_receiver() -> None:
    async with running(f"http://127.0.0.1:{free_port()}") as telemetry:
        one_of_each(telemetry)
        began = time.monotonic()
        left = await telemetry.shutdown(DEADLINE_S)
        assert time.monotonic() - began < DEADLINE_S + 0.3
        assert min(left.values()) > 0
    nothing_runs()


async def test_what_waits_is_bounded_and_what_does_not_fit_is_counted_on_metrics(sink: OtlpSink) -> None:
    sink.mode = "hang"
    # A timeout as long as that: nothing gives up while the test fills the queues, however slow this machine is.
    async with running(
        sink.url, BSP_MAX_QUEUE_SIZE="10", BLRP_MAX_QUEUE_SIZE="5", EXPORTER_OTLP_TIMEOUT="60000"
    ) as telemetry:
        for _ in range(100):
            one_of_each(telemetry)
        assert (dropped(telemetry, "traces", "queue"), dropped(telemetry, "logs", "queue")) == (90, 95)
        text = Exposition(telemetry.metrics).render("prometheus").decode()
        line = 'marketprism_telemetry_signal="traces",marketprism_telemetry_drop_reason="queue"} 90'
        assert f"marketprism_telemetry_dropped_total{{{line}\n" in text
        sink.released.set()


async def test_a_flood_of_log_lines_is_cut_and_counted(sink: OtlpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(sink.url, BLRP_MAX_QUEUE_SIZE="5000") as telemetry:
        stands = time.monotonic_ns()
        monkeypatch.setattr(telemetry.log, "_mono_ns", lambda: stands)  # however slow this machine is
        for _ in range(1300):
            log.info("marketprism.book.synced")
        assert dropped(telemetry, "logs", "rate") == 300
        await telemetry.shutdown()
    assert len(sink.logs()) == 1000


async def test_failing_and_recovering_are_said_once_each_and_nothing_is_counted_twice(
    sink: OtlpSink, out: io.StringIO
) -> None:
    sink.mode = "forbid"
    async with running(sink.url, out) as telemetry:
        one_of_each(telemetry)
        await asyncio.to_thread(sink.wait, lambda s: s.refused >= 6, "some refusals")
        sink.mode = "ok"
        await asyncio.to_thread(sink.wait, lambda s: len(s.of("/v1/metrics")) >= 2, "metrics again")
        one_of_each(telemetry)
        await telemetry.shutdown()
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    for signal in SIGNALS:
        about = [e["event"].rpartition(".")[2] for e in events if e.get("telemetry_signal") == signal]
        assert about == ["failing", "recovered"]
    assert dropped(telemetry, "traces", "export") == 1
    assert sink.metric("marketprism.messages.received", **PLACE).value == 2  # cumulative: nothing is lost


async def test_what_the_exporters_say_themselves_is_said_rarely_and_never_exported(
    sink: OtlpSink, out: io.StringIO
) -> None:
    sink.mode = "forbid"
    async with running(sink.url, out) as telemetry:
        for _ in range(20):
            telemetry.tracer.span("marketprism.message", 1000, 2000, PLACE)
            await asyncio.sleep(0.03)
        sink.mode = "ok"
        log.info("marketprism.book.synced")
        await telemetry.shutdown()
    said = [json.loads(line).get("message", "") for line in out.getvalue().splitlines()]
    library = [message for message in said if "Failed to export span" in message]
    assert 1 <= len(library) == len(set(library))
    assert [
        record for record in sink.logs() if record.attributes["marketprism.logger"].startswith("opentelemetry")
    ] == []


async def test_a_library_is_heard_but_not_those_that_export(sink: OtlpSink) -> None:
    async with running(sink.url) as telemetry:
        for name in ("aiohttp.server", "opentelemetry.sdk", "urllib3.connectionpool"):
            logging.getLogger(name).error("said by %s", name)
        await telemetry.shutdown()
    assert [record.body for record in sink.logs()] == ["said by aiohttp.server"]


async def test_watched_cells_are_read_on_the_event_loop(sink: OtlpSink) -> None:
    threads: set[int] = set()

    def read() -> float:
        threads.add(threading.get_ident())
        return 1.0

    async with running(sink.url) as telemetry:
        telemetry.metrics.gauge("marketprism.journal.free").watch(read)
        await asyncio.to_thread(sink.wait, lambda s: len(s.of("/v1/metrics")) >= 2, "two exports")
        await telemetry.shutdown()
    assert threads == {threading.get_ident()}


async def test_the_loop_turns_while_everything_hangs(sink: OtlpSink) -> None:
    sink.mode = "hang"
    async with running(sink.url, BSP_MAX_QUEUE_SIZE="10") as telemetry:
        worst = 0.0
        for _ in range(40):
            one_of_each(telemetry)
            began = time.monotonic()
            await asyncio.sleep(0.005)
            worst = max(worst, time.monotonic() - began)
        assert worst < 0.2
        sink.released.set()
