"""A healthy world: a collector on two exchanges, and what watches it. Gauges' values, counters' growth in 5 s."""

from __future__ import annotations

from tests.alerting.proofs.kit import Level

RESOURCE = 'instance="collector-1",job="marketprism/marketprism-collector",service_name="marketprism-collector"'
UP = 'up{instance="collector-1",job="marketprism-collector"}'


def series(name: str, **labels: str) -> str:
    """A series that the collector pushes. `venue` and the like get their prefix."""
    own = {"le", "reason", "error_type", "http_response_status_code", "cpu_mode", "otel_metric_overflow"}
    parts = [f'{key if key in own else f"marketprism_{key}"}="{value}"' for key, value in labels.items()]
    return f"{name}{{{','.join([RESOURCE, *parts])}}}"


def connection(venue: str) -> str:
    return series("marketprism_connection_state", venue=venue, market="spot", connection="0")


def closed(venue: str, cause: str) -> str:
    return series("marketprism_connection_closed_total", venue=venue, market="spot", close_cause=cause)


def requests(venue: str, part: str, **labels: str) -> str:
    return series(f"http_client_request_duration_seconds_{part}", venue=venue, endpoint="depth", **labels)


def verdict(venue: str, channel: str) -> str:
    return series("marketprism_verdict", venue=venue, market="spot", instrument="BTC-USDT", channel=channel)


def gaps(venue: str, channel: str, cause: str) -> str:
    return series("marketprism_gaps_total", venue=venue, market="spot", channel=channel, gap_cause=cause)


def lag(venue: str, part: str, **labels: str) -> str:
    return series(f"marketprism_feed_lag_seconds_{part}", venue=venue, market="spot", channel="trades", **labels)


def skew(venue: str) -> str:
    return series("marketprism_clock_skew_seconds", venue=venue, market="spot", connection="0")


def own(name: str) -> str:
    return series(name)


def notifications(integration: str, reason: str) -> str:
    at = 'instance="alertmanager:9093",job="alertmanager"'
    return f'alertmanager_notifications_failed_total{{{at},integration="{integration}",reason="{reason}"}}'


def robot(outcome: str) -> str:
    at = 'instance="bridge:8081",job="bridge",marketprism_alert_channel="dingtalk"'
    return f'marketprism_bridge_messages_total{{{at},marketprism_robot_outcome="{outcome}"}}'


_EXPORTER = 'instance="otelcol:8888",job="otelcol",exporter="otlp_grpc/jaeger",data_type="traces"'
EXPORTER_QUEUE = f"otelcol_exporter_queue_size{{{_EXPORTER}}}"
SPANS_NOT_SENT = f"otelcol_exporter_send_failed_spans_total{{{_EXPORTER}}}"
SPANS_NOT_QUEUED = f"otelcol_exporter_enqueue_failed_spans_total{{{_EXPORTER}}}"
SPANS_REFUSED = 'otelcol_receiver_refused_spans_total{instance="otelcol:8888",job="otelcol",receiver="otlp"}'


_PROMETHEUS = 'instance="prometheus:9090",job="prometheus"'
RULE_GROUP = "/etc/prometheus/rules/alerts.yml;P3"
UNEVALUATED = f'prometheus_rule_evaluation_failures_total{{{_PROMETHEUS},rule_group="{RULE_GROUP}"}}'
UNDELIVERED = (
    f'prometheus_notifications_dropped_total{{{_PROMETHEUS},alertmanager="http://127.0.0.1:9093/api/v2/alerts"}}'
)


def _of_venue(venue: str) -> dict[str, Level]:
    return {
        connection(venue): 1,
        closed(venue, "remote"): 0,
        closed(venue, "rotation"): 0,
        requests(venue, "count", http_response_status_code="200"): 1,
        requests(venue, "bucket", http_response_status_code="200", le="0.5"): 1,
        requests(venue, "bucket", http_response_status_code="200", le="5"): 1,
        requests(venue, "bucket", http_response_status_code="200", le="10"): 1,
        requests(venue, "bucket", http_response_status_code="200", le="+Inf"): 1,
        requests(venue, "count", http_response_status_code="503", error_type="503"): 0,
        verdict(venue, "book"): 0,
        verdict(venue, "trades"): 0,
        verdict(venue, "quotes"): 3,
        verdict(venue, "liquidations"): 2,
        verdict(venue, "tickers"): 7,
        gaps(venue, "book", "sequence"): 0,
        gaps(venue, "book", "disconnect"): 0,
        series(
            "marketprism_gap_records_lost_total", venue=venue, market="spot", channel="trades", gap_cause="sequence"
        ): 0,
        series("marketprism_records_written_total", venue=venue, market="spot", record_type="Trade"): 500,
        lag(venue, "count"): 500,
        lag(venue, "sum"): 50,
        lag(venue, "bucket", le="1"): 500,
        lag(venue, "bucket", le="+Inf"): 500,
        skew(venue): 0.02,
    }


WORLD: dict[str, Level] = {
    UP: 1,
    'up{instance="jaeger:8889",job="jaeger"}': 1,
    'up{instance="bridge:8081",job="bridge"}': 1,
    **_of_venue("binance"),
    **_of_venue("kraken"),
    own("marketprism_up"): 1,
    own("marketprism_journal_state"): 1,
    own("marketprism_journal_free_bytes"): 800e9,
    own("marketprism_journal_capacity_bytes"): 1000e9,
    own("marketprism_journal_size_bytes"): 2e9,
    own("marketprism_journal_limit_bytes"): 20e9,
    own("marketprism_journal_records_accepted_total"): 1000,
    series("marketprism_journal_records_dropped_total", drop_reason="reserve"): 0,
    own("process_memory_usage_bytes"): 200e6,
    own("marketprism_memory_limit_bytes"): 1000e6,
    series("process_cpu_time_seconds_total", cpu_mode="user"): 1,
    series("process_cpu_time_seconds_total", cpu_mode="system"): 0.25,
    series("marketprism_telemetry_dropped_total", telemetry_signal="traces", telemetry_drop_reason="queue"): 0,
    series("marketprism_telemetry_dropped_total", telemetry_signal="logs", telemetry_drop_reason="rate"): 0.1,
    own("otel_sdk_processor_span_queue_size"): 10,
    own("otel_sdk_processor_span_queue_capacity"): 2048,
    own("otel_sdk_processor_log_queue_size"): 0,
    own("otel_sdk_processor_log_queue_capacity"): 2048,
    EXPORTER_QUEUE: 1,
    f"otelcol_exporter_queue_capacity{{{_EXPORTER}}}": 1000,
    SPANS_REFUSED: 0,
    UNDELIVERED: 0,
    UNEVALUATED: 0,
    notifications("slack", "serverError"): 0,
    notifications("webhook", "contextCanceled"): 0.1,
    robot("failed"): 0,
    robot("rejected"): 0,
    robot("throttled"): 0,
    robot("accepted"): 0.1,
}
