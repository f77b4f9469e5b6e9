"""The real gateway with real backends: which traces it keeps, what it counts, what it masks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.otel.traffic import (
    ROUTINE,
    Maker,
    Trace,
    asked,
    attribute,
    in_jaeger,
    of_count,
    of_log,
    of_traces,
    own_metric,
    part,
    poll_until,
    send,
    send_traces,
)
from tools.components import Ports
from tools.signals import Signals
from tools.stack import Stack

pytestmark = pytest.mark.full
KEPT_PERCENT = 10
DECIDED_AFTER_S = 1.0
SLOW_MS = 100
MANY, SOME = 3000, 60
DECIDED = "otelcol_processor_tail_sampling_global_count_traces_sampled_total"
CALLS = "traces_span_metrics_calls_total"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Gateway, Prometheus, Jaeger and Loki; decisions come soon."""
    ports, data = Ports.free(), tmp_path_factory.mktemp("stack")
    settings = {
        "STACK_TRACES_KEEP_PERCENT": str(KEPT_PERCENT),
        "STACK_TRACES_SLOW_MS": str(SLOW_MS),
        "STACK_TRACES_DECIDE_AFTER": f"{DECIDED_AFTER_S:g}s",
        "STACK_SPAN_METRICS_EVERY": "1s",
    }
    backends = [part(ports, data, name) for name in ("jaeger", "prometheus", "loki")]
    parts = [*backends, part(ports, data, "otelcol", **settings)]
    with Stack(ports=ports, data=data, parts=parts) as running:
        yield running


def value(stack: Stack, query: str) -> float:
    """The sum of what Prometheus answers."""
    found = asked(f"http://127.0.0.1:{stack.ports.prometheus}/api/v1/query?query={query}")
    return sum(float(row["value"][1]) for row in found["data"]["result"])


def whole(sent: Sequence[Trace], found: Mapping[str, list[dict[str, Any]]]) -> int:
    """How many of these traces are there with all their spans."""
    return sum(trace.names == sorted(str(span["operationName"]) for span in found.get(trace.id, [])) for trace in sent)


@dataclass(frozen=True)
class Story:
    """What was sent, by kind; what Jaeger then had; what the gateway said of its decisions."""

    sent: Mapping[str, list[Trace]]
    found: Mapping[str, list[dict[str, Any]]]
    kept: float
    not_kept: float


@pytest.fixture(scope="module")
def story(stack: Stack) -> Story:
    """Known traces of every kind, sent, decided and stored."""
    maker = Maker()
    sent = {
        "routine": [maker.trace(ROUTINE) for _ in range(MANY)],
        "flush": [maker.trace(["marketprism.burst.flush"]) for _ in range(SOME)],
        "failed": [maker.trace(ROUTINE, of="marketprism.decode", error="bad json") for _ in range(SOME)],
        "slow": [maker.trace(ROUTINE, lived_ms=SLOW_MS + 1) for _ in range(SOME)],
        "gap": [maker.trace(["marketprism.gap", "marketprism.book.sync", "GET"]) for _ in range(SOME)],
    }
    # As it happens: a gap's request and sync end long before the gap does, and the trace is decided on meanwhile.
    late = [Trace(trace.id, trace.spans[:1]) for trace in sent["gap"]]
    early = [Trace(trace.id, trace.spans[1:]) for trace in sent["gap"]]
    others = [trace for kind, traces in sent.items() if kind != "gap" for trace in traces]
    send_traces(stack.ports.otlp_http, [*others, *early], "known")
    time.sleep(2 * DECIDED_AFTER_S + 1)
    send_traces(stack.ports.otlp_http, late, "known")
    must = {trace.id for kind in ("failed", "slow", "gap") for trace in sent[kind]}
    poll_until(lambda: must <= set(in_jaeger(stack.ports, "known")), "all failed, slow and gap traces are in Jaeger")
    time.sleep(2 * DECIDED_AFTER_S + 1)
    kept, not_kept = (
        own_metric(stack.ports.otelcol_metrics, DECIDED, f'sampled="{is_so}"') for is_so in ("true", "false")
    )
    return Story(sent, in_jaeger(stack.ports, "known"), kept, not_kept)


def test_failed_slow_and_gap_traces_are_all_kept_whole_and_the_rest_at_its_rate(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {kind: whole(traces, story.found) for kind, traces in story.sent.items()}
    with capsys.disabled():
        print("\nkind      sent   kept")  # noqa: T201 - the figures are to be seen
        for kind, traces in story.sent.items():
            print(f"{kind:<8} {len(traces):>5}  {kept[kind]:>5}  {100 * kept[kind] / len(traces):5.1f} %")  # noqa: T201
    assert {kind: kept[kind] for kind in ("failed", "slow", "gap")} == dict.fromkeys(("failed", "slow", "gap"), SOME)
    assert 0.8 * KEPT_PERCENT / 100 < kept["routine"] / MANY < 1.2 * KEPT_PERCENT / 100
    assert kept["flush"] < SOME / 2
    assert len(story.found) == sum(kept.values())  # none of the others, and no half of one


def test_what_was_kept_and_what_not_is_counted_on_a_path_of_its_own(stack: Stack, story: Story) -> None:
    # A gap's last span was let through by the memory of the decision, so each trace was decided on once.
    assert story.kept + story.not_kept == sum(map(len, story.sent.values()))
    assert story.kept == len(story.found)
    scraped = f'sum({DECIDED}{{job="otelcol"}})'
    poll_until(lambda: value(stack, scraped) >= story.kept + story.not_kept, "Prometheus scraped the same")


def test_an_error_that_comes_after_its_trace_was_refused_is_kept(stack: Stack, story: Story) -> None:
    refused = [trace for trace in story.sent["routine"] if trace.id not in story.found][:SOME]
    maker = Maker(seed=2)
    late = []
    for trace in refused:
        (span,) = maker.trace(["marketprism.journal"], of="marketprism.journal", error="disk full").spans
        late.append(Trace(trace.id, (span | {"traceId": trace.id, "parentSpanId": trace.spans[0]["spanId"]},)))
    send_traces(stack.ports.otlp_http, late, "late")
    poll_until(lambda: len(in_jaeger(stack.ports, "late")) == len(refused), "all late errors are in Jaeger")


def test_spans_are_counted_before_sampling_with_exemplars(stack: Stack, story: Story) -> None:
    spans = Counter(
        (span["name"], "STATUS_CODE_ERROR" if "status" in span else "STATUS_CODE_UNSET")
        for traces in story.sent.values()
        for trace in traces
        for span in trace.spans
    )
    total = sum(spans.values())
    poll_until(lambda: value(stack, f'sum({CALLS}{{service_name="known"}})') == total, "all spans are counted")
    for (name, status), number in spans.items():
        labels = f'span_name="{name}",status_code="{status}",marketprism_venue="kraken",instance="known-1"'
        assert value(stack, f"{CALLS}{{{labels}}}") == number, name
        assert value(stack, f"traces_span_metrics_duration_seconds_count{{{labels}}}") == number
    slow = 'traces_span_metrics_duration_seconds_bucket{span_name="marketprism.message",le="0.1"}'
    assert value(stack, slow) == MANY + SOME  # all but the slow ones
    now = time.time()
    found = asked(
        f"http://127.0.0.1:{stack.ports.prometheus}/api/v1/query_exemplars"
        f"?query=traces_span_metrics_duration_seconds_bucket&start={now - 600:.0f}&end={now + 60:.0f}"
    )
    ids = {one["labels"]["trace_id"] for series in found["data"] for one in series["exemplars"]}
    assert ids
    assert ids <= {trace.id for traces in story.sent.values() for trace in traces}


def test_names_without_end_make_series_only_up_to_the_limit(stack: Stack) -> None:
    maker = Maker(seed=3)
    send_traces(stack.ports.otlp_http, [maker.trace([f"GET /{number}"]) for number in range(2500)], "endless")
    of = '{service_name="endless"}'
    overflow = 'otel_metric_overflow="true",instance="endless-1"'
    poll_until(lambda: value(stack, f"sum({CALLS}{{{overflow}}})") > 0, "the rest is one series")
    assert value(stack, f"count({CALLS}{of})") == 2000 + 1
    counted = f'sum({CALLS}{{instance="endless-1"}})'
    poll_until(lambda: value(stack, counted) == 2500, "no span is uncounted")


SECRETS = ("Tr0ub4dor", "c0rrecth0rse", "b4tterystaple", "T00/B00/XXXsecretXXX", "deadbeefcafe0123")
HARMLESS = "wss://stream.test/ws/btcusdt@trade?streams=ethusdt@depth"


def test_secrets_that_a_sender_did_not_mask_reach_no_backend(stack: Stack) -> None:
    url = f"wss://user:{SECRETS[0]}@feed.test/ws failed"
    query = f"https://robot.test/send?access_token={SECRETS[1]}&x=1"
    header, slack = f"Bearer {SECRETS[2]}", f"https://hooks.slack.com/services/{SECRETS[3]}"
    trace = Maker(seed=4).trace(["GET"], of="GET", error=f"{url}; {query}; {header}; {slack}")
    given = {"url.full": url, "reason": f"{query} {header}", "api-key": SECRETS[4], "to": slack, "plain": HARMLESS}
    trace.spans[0]["attributes"] += [attribute(key, text) for key, text in given.items()]
    body = of_traces(trace.spans, "leaky")
    body["resourceSpans"][0]["resource"]["attributes"].append(attribute("process.secret", SECRETS[4]))
    send(stack.ports.otlp_http, "traces", body)
    send(stack.ports.otlp_http, "logs", of_log(f"{url} {query} {header} {slack} {HARMLESS}", "leaky", **given))
    now = time.time_ns()
    count = of_count("marketprism.test.leaks", 1, "leaky", now, now - 1)
    point = count["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"][0]
    point["attributes"] = [attribute(key, text) for key, text in given.items()]
    send(stack.ports.otlp_http, "metrics", count)

    poll_until(lambda: in_jaeger(stack.ports, "leaky"), "the trace is in Jaeger")
    told = poll_until(lambda: Signals(stack.ports).lines('{service_name="leaky"}'), "the log is in Loki")
    series = f"http://127.0.0.1:{stack.ports.prometheus}/api/v1/series?match[]=marketprism_test_leaks_total"
    poll_until(lambda: asked(series)["data"], "the metric is in Prometheus")
    seen = {
        "traces": str(asked(f"http://127.0.0.1:{stack.ports.jaeger}/api/traces/{trace.id}")),
        "logs": str(told),
        "metrics": str(asked(series)),
    }
    for signal, text in seen.items():
        assert [secret for secret in SECRETS if secret in text] == [], signal
        assert HARMLESS in text, signal
        assert "feed.test/ws failed" in text, signal
        assert "redaction" in text, signal
