"""Telemetry: whether what is seen here can be believed. The SDK, the OpenTelemetry Collector, Prometheus, and what the
observing costs.
"""

from __future__ import annotations

from typing import Final

from alerting.rules import thresholds as at
from grafana import queries as q
from grafana.model import ANY, Board, Panel, Query, Row, above

_OF: Final = q.where("instance")
_SIGNALS: Final = {"metric_points": "metric points", "spans": "spans", "log_records": "log records"}
_JOB: Final = '{job="otelcol"}'


def _of_signals(part: str) -> tuple[Query, ...]:
    """How many items of each signal a part of the OpenTelemetry Collector handles a second."""
    return tuple(
        Query(text=q.total(f"otelcol_{part}_{items}_total", _JOB), legend=name) for items, name in _SIGNALS.items()
    )


_SDK: Final = Row(
    title="What the collectors send",
    panels=(
        Panel(
            kind="graph",
            title="Exported",
            says="Spans, series and log records that the receiver took.",
            queries=(
                Query(
                    text=q.total("marketprism_telemetry_exported_total", _OF, "marketprism_telemetry_signal"),
                    legend="{{marketprism_telemetry_signal}}",
                ),
            ),
            unit="cps",
            width=6,
        ),
        Panel(
            kind="stack",
            title="Dropped",
            says="Telemetry that will never arrive, by why. Some at a time over the rate limit of logs are no harm.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_telemetry_signal, marketprism_telemetry_drop_reason) "
                        f"(increase(marketprism_telemetry_dropped_total{_OF}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_telemetry_signal}}: {{marketprism_telemetry_drop_reason}}",
                ),
            ),
            unit="short",
            width=6,
            steps=ANY,
        ),
        Panel(
            kind="graph",
            title="Since the last export",
            says=f"Of each signal that ever left. Metrics go every 5 s; after {at.TELEMETRY_SILENT_S} s is an alert.",
            queries=(
                Query(
                    text=(
                        "time() - max by (instance, marketprism_telemetry_signal) "
                        f"(marketprism_telemetry_last_export_time_seconds{_OF} > 0)"
                    ),
                    legend="{{instance}} {{marketprism_telemetry_signal}}",
                ),
            ),
            unit="s",
            width=6,
            steps=above(at.TELEMETRY_SILENT_S),
        ),
        Panel(
            kind="stack",
            title="Exports that failed",
            says="Requests to the receiver that failed. Metrics are cumulative: the next export has it all.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_telemetry_signal) "
                        f"(increase(marketprism_telemetry_export_failures_total{_OF}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_telemetry_signal}}",
                ),
            ),
            unit="short",
            width=6,
            steps=ANY,
        ),
    ),
)
_COLLECTOR: Final = Row(
    title="OpenTelemetry Collector (scraped: it does not ride on itself)",
    panels=(
        Panel(
            kind="graph",
            title="Taken",
            says="Items that it accepted from the collectors.",
            queries=_of_signals("receiver_accepted"),
            unit="cps",
            width=6,
        ),
        Panel(
            kind="graph",
            title="Sent",
            says="Items that the backends took.",
            queries=_of_signals("exporter_sent"),
            unit="cps",
            width=6,
        ),
        Panel(
            kind="graph",
            title="Refused, not sent",
            says="Refused for want of memory, and sent in vain. Before the first failure there is no series of it.",
            queries=(
                *(Query(text=one.text, legend=f"{one.legend} refused") for one in _of_signals("receiver_refused")),
                Query(
                    text=q.total("otelcol_exporter_send_failed_metric_points_total", _JOB),
                    legend="metric points not sent",
                    fault="Prometheus refuses a sample that is hours old",
                ),
            ),
            unit="cps",
            width=6,
            steps=ANY,
        ),
        Panel(
            kind="graph",
            title="Queues",
            says=f"How full the queue of each exporter is. Beyond {at.QUEUE_RATIO:.0%} is the alert QueueFilling.",
            queries=(
                Query(
                    text=(
                        f"max by (exporter) (otelcol_exporter_queue_size{_JOB} / otelcol_exporter_queue_capacity{_JOB})"
                    ),
                    legend="{{exporter}}",
                ),
            ),
            unit="percentunit",
            width=6,
            steps=above(at.QUEUE_RATIO),
        ),
    ),
)
_BACKENDS: Final = Row(
    title="Backends",
    panels=(
        Panel(
            kind="timeline",
            title="Components",
            says="Whether Prometheus can scrape each.",
            queries=(Query(text="min by (job, instance) (up)", legend="{{job}} {{instance}}"),),
            unit="short",
            names=q.UP,
        ),
        Panel(
            kind="graph",
            title="Series",
            says="Series in Prometheus, those that collectors export, and the exemplars that lead to traces.",
            queries=(
                Query(text="max(prometheus_tsdb_head_series)", legend="Prometheus"),
                Query(text=f"sum(marketprism_telemetry_series{_OF})", legend="collectors"),
                Query(text="max(prometheus_tsdb_exemplar_exemplars_in_storage)", legend="exemplars"),
            ),
            unit="short",
        ),
        Panel(
            kind="graph",
            title="Evaluation of the rules",
            says="How long each group of rules took, of the time it has. At 100 % alerts come late.",
            queries=(
                Query(
                    text=(
                        "label_replace(max by (rule_group) (prometheus_rule_group_last_duration_seconds\n"
                        "  / prometheus_rule_group_interval_seconds),\n"
                        '  "group", "$1", "rule_group", ".*;(.+)")'
                    ),
                    legend="{{group}}",
                ),
            ),
            unit="percentunit",
            steps=above(1, warn=0.5),
        ),
    ),
)
_COST: Final = Row(
    title="The cost of observing",
    panels=(
        Panel(
            kind="graph",
            title="CPU",
            says="Of one core: the collectors, all of their work, and beside them what takes their telemetry.",
            queries=(
                Query(
                    text=f"sum by (instance) (rate(process_cpu_time_seconds_total{_OF}{q.WINDOW}))",
                    legend="{{instance}}",
                ),
                Query(text=q.total("otelcol_process_cpu_seconds_total", _JOB), legend="OpenTelemetry Collector"),
                Query(
                    text='sum(rate(process_cpu_seconds_total{job="prometheus"}[$__rate_interval]))', legend="Prometheus"
                ),
            ),
            unit="percentunit",
            width=6,
            steps=above(at.CPU_RATIO),
        ),
        Panel(
            kind="graph",
            title="Export, 95 of 100",
            says="How long it takes to collect and send the metrics, and to send spans and log lines.",
            queries=(
                Query(
                    text=q.quantile(0.95, "otel_sdk_metric_reader_collection_duration_seconds", _OF, "instance"),
                    legend="{{instance}} metrics",
                ),
                Query(
                    text=q.quantile(
                        0.95, "otel_sdk_exporter_operation_duration_seconds", _OF, "instance", "otel_component_type"
                    ),
                    legend="{{instance}} {{otel_component_type}}",
                ),
            ),
            unit="s",
            width=6,
        ),
        Panel(
            kind="graph",
            title="Spans a message",
            says="Traced is at most one message a second of each venue and channel.",
            queries=(
                Query(
                    text=(
                        f"{q.total('otel_sdk_span_started_total', _OF)}\n"
                        f"/ {q.total('marketprism_messages_received_total', _OF)} >= 0"
                    ),
                    legend="spans a message",
                ),
            ),
            unit="none",
            decimals=3,
            width=4,
        ),
        Panel(
            kind="graph",
            title="Log lines",
            says="Log records written, by level.",
            queries=(
                Query(
                    text=q.total("marketprism_log_records_total", _OF, "marketprism_log_level"),
                    legend="{{marketprism_log_level}}",
                ),
            ),
            unit="cps",
            width=4,
        ),
        Panel(
            kind="stat",
            title="Metrics at their bound",
            says="Metrics that have as many series as they may: what is new of them is one sum.",
            queries=(
                Query(text='count(count by (__name__) ({otel_metric_overflow="true"})) or vector(0)', legend="metrics"),
            ),
            unit="short",
            width=4,
            decimals=0,
            steps=ANY,
        ),
    ),
)
TELEMETRY: Final = Board(
    uid=q.TELEMETRY,
    title="Telemetry",
    says="Whether what is seen here can be believed, and what the observing costs.",
    rows=(_SDK, _COLLECTOR, _BACKENDS, _COST),
)
