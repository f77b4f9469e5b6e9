"""Who watches the watching: telemetry that is lost or refused, notifications that fail, rules that would be blind.

All of it is read where it does not ride on what it watches: components are scraped. `Watchdog` always fires; the far
end misses it when everything here is dead. `Unanswered` raises what nobody has answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from alerting.rules import thresholds as at
from alerting.rules.core import COLLECTOR_UP, INSTANCE
from alerting.rules.model import CHANNELS, Priority, Rule
from alerting.rules.promql import duration, metrics

COLLECTOR_LIVES: Final = f"max({COLLECTOR_UP}) == 1"
_SIGNAL, _REASON = "marketprism_telemetry_signal", "marketprism_telemetry_drop_reason"
_ONLY_WITH_DATA: Final = frozenset({"marketprism_clock_skew_seconds"})
"""Not known, and so without a series, while every exchange is away: that has alerts of its own."""
_ITEMS: Final = ("metric_points", "spans", "log_records")
_LOST_BY_RECEIVER: Final = tuple(
    (f"otelcol_{what}_{items}_total", f"{items.replace('_', ' ')} {said}")
    for what, said in (
        ("receiver_refused", "refused by"),
        ("exporter_send_failed", "not sent by"),
        ("exporter_enqueue_failed", "without room in the queue of"),
    )
    for items in _ITEMS
)


def _grown(metric: str) -> str:
    """By how much it grew in five minutes, by instance; its first value where it was not there before.

    The OpenTelemetry Collector has no counter of failures before the first one, which `increase` alone would miss:
    https://github.com/open-telemetry/opentelemetry-collector/issues/15568
    """
    return (
        f"sum by (instance) (increase({metric}[5m])) > 0\n"
        f"    or sum by (instance) ({metric} unless {metric} offset 5m) > 0"
    )


def _named(expression: str, label: str, value: str) -> str:
    return f'label_replace({expression}, "{label}", "{value}", "", "")'


def _messages(outcomes: str) -> str:
    """How many messages to each robot had one of these outcomes in five minutes."""
    return (
        "sum by (marketprism_alert_channel) (\n"
        f'  increase(marketprism_bridge_messages_total{{marketprism_robot_outcome=~"{outcomes}"}}[5m]))'
    )


def _unanswered(priority: Priority) -> Rule:
    hold_s = at.UNANSWERED_FOR_S[priority]
    raised = "told to everyone again" if priority == "P1" else "raised to the channels of P1"
    raised_zh = "再次通知所有渠道" if priority == "P1" else "升级到 P1 的渠道"
    return Rule(
        name="Unanswered",
        priority="P1",
        scope="watching",
        value=f'ALERTS{{alertstate="firing", priority="{priority}", alertname!="Unanswered"}}',
        hold_s=hold_s,
        by=("instance",),
        labels={
            "alert": "{{ $labels.alertname }}",
            "alertstate": "",
            "was": priority,
            "scope": "{{ $labels.scope }}",
            "also": "",
        },
        summary="Nobody has answered {{ $labels.alertname }}.",
        description=(
            f"{{{{ $labels.alertname }}}} ({priority}) has been firing for {duration(hold_s)} and nobody has "
            f"acknowledged it: {raised}. Who works on it runs `marketprism ack {{{{ $labels.alertname }}}}`."
        ),
        summary_zh="{{ $labels.alertname }} 无人响应。",
        description_zh=(
            f"{{{{ $labels.alertname }}}}（{priority}）已触发 {duration(hold_s)} 而无人确认：{raised_zh}。"
            "处理者请运行 `marketprism ack {{ $labels.alertname }}`。"
        ),
        fault=f"a {priority} alert that nobody acknowledges",
    )


WATCHING: Final = (
    Rule(
        name="TelemetryStalled",
        priority="P2",
        scope="collector",
        # Pushed series leave no mark when they end: those of ten minutes ago, less those of just now. That another
        # collector lives says nothing of this one, which may have been taken away.
        value=(
            "(count by (instance) (count_over_time(marketprism_up[10m]))\n"
            f"  unless count by (instance) (count_over_time(marketprism_up[{duration(at.TELEMETRY_SILENT_S)}])))\n"
            f"and on (instance) {COLLECTOR_UP} == 1"
        ),
        hold_s=at.TELEMETRY_SILENT_FOR_S,
        by=("instance",),
        summary="A collector lives, but its metrics no longer arrive: the alerts on it are blind.",
        description=(
            f"No metric of {INSTANCE} has arrived for {duration(at.TELEMETRY_SILENT_S)}, "
            "although it can be scraped; they come every 5 s."
        ),
        summary_zh="采集器在运行，但它的指标不再到达：相关告警都看不见了。",
        description_zh=(
            f"{INSTANCE} 已有 {duration(at.TELEMETRY_SILENT_S)} 没有任何指标到达，尽管可以抓取到它；指标每 5 s 一次。"
        ),
        board="telemetry",
        fault="the OpenTelemetry Collector is stopped",
    ),
    Rule(
        name="TelemetryDropped",
        priority="P3",
        scope="watching",
        value=(
            f"sum by (instance, {_SIGNAL}, {_REASON}) (\n"
            f'  increase(marketprism_telemetry_dropped_total{{{_REASON}!="rate"}}[5m])) > 0\nor '
            + "\nor ".join(_named(f"\n    {_grown(metric)}", "lost", said) for metric, said in _LOST_BY_RECEIVER)
        ),
        by=("instance",),
        labels={
            "lost": (
                f"{{{{ with $labels.{_SIGNAL} }}}}{{{{ . }}}}: {{{{ $labels.{_REASON} }}}}"
                "{{ else }}{{ $labels.lost }}{{ end }}"
            ),
            _SIGNAL: "",
            _REASON: "",
        },
        summary="Telemetry is lost: dropped by a sender or refused by a receiver.",
        description=(
            f'{{{{ $value | printf "%.0f" }}}} items in 5 min: {{{{ with $labels.{_SIGNAL} }}}}{{{{ . }}}} dropped '
            f"({{{{ $labels.{_REASON} }}}}) by{{{{ else }}}}{{{{ $labels.lost }}}}{{{{ end }}}} {INSTANCE}."
        ),
        summary_zh="遥测丢失：被发送方丢弃，或被接收方拒绝。",
        description_zh=(
            f'5 分钟内，{INSTANCE} 有 {{{{ $value | printf "%.0f" }}}} 条 '
            f"{{{{ if $labels.{_SIGNAL} }}}}{{{{ $labels.{_SIGNAL} }}}} 被丢弃（{{{{ $labels.{_REASON} }}}}）"
            '{{ else if match "refused" $labels.lost }}{{ reReplaceAll " refused by" "" $labels.lost }} 被拒收'
            '{{ else if match "not sent" $labels.lost }}{{ reReplaceAll " not sent by" "" $labels.lost }} 未能发出'
            '{{ else }}{{ reReplaceAll " without room.*" "" $labels.lost }} 因队列已满被丢弃{{ end }}。'
        ),
        board="telemetry",
        fault="Jaeger is stopped until the queues are full",
    ),
    Rule(
        name="CardinalityOverflow",
        priority="P3",
        scope="watching",
        value=(
            "count by (instance, metric) (\n"
            '  label_replace({otel_metric_overflow="true"}, "metric", "$1", "__name__", "(.+)"))'
        ),
        when="> 0",
        by=("instance",),
        summary="A metric has more series than it may have.",
        description=f"{{{{ $labels.metric }}}} of {INSTANCE} has reached its bound: further series are one sum.",
        summary_zh="某个指标的序列数达到了上限。",
        description_zh=f"{INSTANCE} 的 {{{{ $labels.metric }}}} 已达到上限：更多的序列汇总为一个。",
        board="telemetry",
        fault="a sender has a span name of its own for each request",
    ),
    Rule(
        name="NotificationFailing",
        priority="P2",
        scope="watching",
        value=(
            "label_replace(sum by (integration) (\n"
            '  increase(alertmanager_notifications_failed_total{reason!="contextCanceled"}[5m])) > 0,\n'
            '  "failing", "$1", "integration", "(.+)")\n'
            f"or label_replace({_messages('failed|rejected')} > 0\n"
            # Shut out, a robot takes nothing, and is tried about once a minute; one that is only busy takes some.
            f"  or round({_messages('throttled')}) > {at.THROTTLED} unless {_messages('accepted')} > 0,\n"
            '  "failing", "$1", "marketprism_alert_channel", "(.+)")'
        ),
        labels={"integration": "", "marketprism_alert_channel": ""},
        summary="Notifications by {{ $labels.failing }} fail.",
        description=(
            '{{ $value | printf "%.0f" }} notifications by {{ $labels.failing }} failed in 5 min. Whoever relies on '
            "that channel learns of nothing."
        ),
        summary_zh="{{ $labels.failing }} 的通知失败。",
        description_zh=(
            '5 分钟内 {{ $value | printf "%.0f" }} 条经 {{ $labels.failing }} 的通知失败。'
            "依赖该渠道的人收不到任何消息。"
        ),
        fault="one channel answers with an error",
    ),
    Rule(
        name="NotificationsDropped",
        priority="P2",
        scope="watching",
        value="sum by (instance) (increase(prometheus_notifications_dropped_total[5m]))",
        when="> 0",
        hold_s=at.NOTIFICATIONS_DROPPED_FOR_S,
        by=("instance",),
        summary="Prometheus cannot hand its alerts to Alertmanager.",
        description=(
            f'{INSTANCE} dropped {{{{ $value | printf "%.0f" }}}} alerts in 5 min, for longer than a restart of '
            "Alertmanager takes. What fires may be told late, and what was over meanwhile never."
        ),
        summary_zh="Prometheus 无法把告警交给 Alertmanager。",
        description_zh=(
            f'{INSTANCE} 5 分钟内丢弃了 {{{{ $value | printf "%.0f" }}}} 条告警，时间超过 Alertmanager 重启所需。'
            "正在触发的可能晚到，其间已结束的不再通知。"
        ),
        fault="Alertmanager is stopped, and started again",
    ),
    Rule(
        name="RuleEvaluationFailing",
        priority="P2",
        scope="watching",
        value="sum by (instance, rule_group) (increase(prometheus_rule_evaluation_failures_total[5m]))",
        when="> 0",
        by=("instance",),
        summary="A rule cannot be evaluated: its alert can never fire.",
        description=(
            f'In {INSTANCE} {{{{ $value | printf "%.0f" }}}} evaluations failed in 5 min, in the rules of '
            "{{ $labels.rule_group }}."
        ),
        summary_zh="某条规则无法求值：它的告警永远不会触发。",
        description_zh=(
            f'{INSTANCE} 中，规则组 {{{{ $labels.rule_group }}}} 5 分钟内有 {{{{ $value | printf "%.0f" }}}} '
            "次求值失败。"
        ),
        fault="a rule that matches many series to many",
    ),
    Rule(
        name="ComponentDown",
        priority="P2",
        scope="watching",
        value='up{job!="marketprism-collector"}',
        when="== 0",
        hold_s=at.COMPONENT_DOWN_FOR_S,
        by=("instance",),
        summary="{{ $labels.job }} is down.",
        description="Prometheus cannot scrape {{ $labels.job }} at {{ $labels.instance }}.",
        summary_zh="{{ $labels.job }} 已停止。",
        description_zh="Prometheus 抓取不到 {{ $labels.instance }} 上的 {{ $labels.job }}。",
        board="telemetry",
        fault="Jaeger is stopped",
    ),
    Rule(
        name="Watchdog",
        priority=None,
        scope="watching",
        value="vector(1)",
        summary="The way of the alerts works.",
        description="Fires always. The heartbeat's far end calls when it does not come.",
        summary_zh="告警通路正常。",
        description_zh="始终触发。心跳的对端在收不到它时会呼叫。",
        fault="none: it always fires, and is missed when Prometheus or Alertmanager is dead",
        absent="firing",
    ),
    *(_unanswered(priority) for priority in CHANNELS if priority in at.UNANSWERED_FOR_S),
)


def metric_missing(rules: Iterable[Rule]) -> Rule:
    """The rule that fires when a metric is missing that one of these rules reads and every running collector sends."""
    always = sorted(
        {
            metric
            for rule in rules
            for metric in metrics(rule.expression)
            if metric.startswith(("marketprism_", "process_")) and not metric.startswith("marketprism_bridge_")
        }
        - _ONLY_WITH_DATA
    )
    absent = "\n  or ".join(_named(f"absent({metric})", "metric", metric) for metric in always)
    return Rule(
        name="RuleMetricMissing",
        priority="P3",
        scope="watching",
        value=f"({absent})\nand on () {COLLECTOR_LIVES}",
        hold_s=at.METRIC_MISSING_FOR_S,
        summary="A metric that alerts rely on is missing: they can never fire.",
        description="{{ $labels.metric }} does not exist in Prometheus although a collector runs.",
        summary_zh="告警所依赖的某个指标不存在：这些告警永远不会触发。",
        description_zh="采集器正在运行，而 Prometheus 中没有 {{ $labels.metric }}。",
        fault="the collector exports no metrics",
        absent="silent",
    )
