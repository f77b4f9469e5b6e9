"""Whether PromQL can mean anything here: it parses, each metric exists, and so does each label that it asks for.

For rules, runbooks and dashboards alike. What the schema does not have must be one of the metrics of others that are
named here, or a series that a recording rule makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, Matcher, MatchOp, StringLiteral, VectorSelector

from alerting.rules.slo import OBJECTIVES, recordings
from telemetry.model import Metric, nearest
from telemetry.registry import load_registry

REGISTRY: Final = load_registry()
OURS: Final[Mapping[str, Metric]] = {name: metric for metric in REGISTRY.metrics.values() for name in metric.samples}
EVERYWHERE: Final = {"instance", "job"}
RESOURCE: Final = {
    "service_name", "service_namespace", "service_instance_id", "service_version", "deployment_environment_name",
    "otel_metric_overflow",
}  # fmt: skip
"""On whatever is pushed: prometheus/prometheus.yml promotes the first five, the exporter adds the last."""
ALERT: Final = {
    "alertname", "alertstate", "priority", "severity", "scope", "alert", "was", "failing", "burn",
    "venue", "market", "instrument", "channel",
}  # fmt: skip
OTHERS: Final[Mapping[str, set[str]]] = {
    "up": set(),
    "ALERTS": ALERT,
    "ALERTS_FOR_STATE": ALERT,
    "alertmanager_alerts": {"state"},
    "alertmanager_notifications_failed_total": {"integration", "reason", "receiver_name"},
    "alertmanager_notifications_total": {"integration", "receiver_name"},
    "alertmanager_silences": {"state"},
    "otelcol_exporter_queue_size": {"exporter"},
    "otelcol_exporter_queue_capacity": {"exporter"},
    **{
        f"otelcol_{part}_{items}_total": {part.partition("_")[0]}
        for part in (
            "receiver_accepted",
            "receiver_refused",
            "exporter_sent",
            "exporter_send_failed",
            "exporter_enqueue_failed",
        )
        for items in ("metric_points", "spans", "log_records")
    },
    "otelcol_process_cpu_seconds_total": set(),
    "process_cpu_seconds_total": set(),
    "prometheus_notifications_dropped_total": {"alertmanager"},
    "prometheus_notifications_errors_total": {"alertmanager"},
    "prometheus_notifications_queue_length": {"alertmanager"},
    "prometheus_notifications_sent_total": {"alertmanager"},
    "prometheus_notifications_queue_capacity": set(),
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_rule_group_interval_seconds": {"rule_group"},
    "prometheus_rule_group_last_duration_seconds": {"rule_group"},
    "prometheus_tsdb_exemplar_exemplars_in_storage": set(),
    "prometheus_tsdb_head_series": set(),
}
"""What Prometheus, Alertmanager and the OpenTelemetry Collector tell of themselves, with their labels."""
RECORDED: Final = {str(rule["record"]) for objective in OBJECTIVES for rule in recordings(objective)}
_EVERY: Final = {*EVERYWHERE, *RESOURCE, "__name__", "le"}.union(
    *OTHERS.values(), (attribute.label for attribute in REGISTRY.attributes.values())
)
_FOUND = VectorSelector | AggregateExpr | BinaryExpr | Call


def complaints(expression: str) -> list[str]:
    """A sentence for each thing that is wrong with it; none when all that it names exists."""
    try:
        nodes = _nodes(expression)
    except ValueError as error:
        return [f"it does not parse: {error}"]
    selectors = [node for node in nodes if isinstance(node, VectorSelector)]
    found = [sentence for selector in selectors for sentence in _of_selector(selector)]
    there = {label for selector in selectors for label in _labels(selector)} | set(_made(nodes))
    return found + [
        f"it groups or joins by {label}, which nothing here has{nearest(label, there)}"
        for node in nodes
        for label in _kept(node)
        if label not in there
    ]


def selected(expression: str) -> set[str]:
    """The names of the metrics that it reads. ValueError where it does not parse."""
    return {node.name for node in _nodes(expression) if isinstance(node, VectorSelector) and node.name is not None}


def _nodes(expression: str) -> list[_FOUND]:
    found: list[_FOUND] = []

    def visit(node: object) -> None:
        if isinstance(node, _FOUND):
            found.append(node)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def _labels(selector: VectorSelector) -> set[str]:
    """The labels that its series have."""
    name = selector.name or ""
    if name in OURS:
        return EVERYWHERE | RESOURCE | {use.attribute.label for use in OURS[name].attributes} | _bounds(name)
    if name in OTHERS:
        return EVERYWHERE | OTHERS[name]
    return {"slo"} if name in RECORDED else _EVERY


def _bounds(name: str) -> set[str]:
    return {"le"} if name.endswith("_bucket") else set()


def _of_selector(selector: VectorSelector) -> Iterable[str]:
    name, known = selector.name, {*OURS, *OTHERS, *RECORDED}
    if name is not None and name not in known:
        yield f"there is no metric {name}{nearest(name, known)}"
    labels = _labels(selector)
    for matcher in selector.matchers.matchers:
        if matcher.name not in labels:
            yield f"{name or 'nothing'} has no label {matcher.name}{nearest(matcher.name, labels)}"
        yield from _of_values(matcher)


def _of_values(matcher: Matcher) -> Iterable[str]:
    """Where the schema has all values of a label, what it is compared with must be one of them, or nothing."""
    members = next((one.members for one in REGISTRY.attributes.values() if one.label == matcher.name), {})
    if not members:
        return
    several = matcher.op in (MatchOp.Re, MatchOp.NotRe)
    for value in matcher.value.split("|") if several else [matcher.value]:
        if value and value not in members and not (several and re.search(r"[^\w-]", value)):
            yield f"{matcher.name} is never {value}{nearest(value, members)}"


def _kept(node: _FOUND) -> list[str]:
    """What an aggregation groups by, or a pair of operands is matched on."""
    if isinstance(node, AggregateExpr):
        return node.modifier.labels if node.modifier else []
    if isinstance(node, BinaryExpr) and node.modifier:
        matching = node.modifier.matching
        return [*(matching.labels if matching else []), *(node.modifier.group_labels or [])]
    return []


def _made(nodes: Iterable[_FOUND]) -> Iterable[str]:
    """The labels that it makes itself."""
    for node in nodes:
        if isinstance(node, Call) and node.func.name in {"label_replace", "label_join"}:
            made = node.args[1]
            assert isinstance(made, StringLiteral)
            yield made.val
