"""The proofs of the rules that watch the watching."""

from tests.alerting.proofs.core import ONE
from tests.alerting.proofs.kit import Proof
from tests.alerting.proofs.world import (
    RESOURCE,
    RULE_GROUP,
    SPANS_NOT_QUEUED,
    SPANS_NOT_SENT,
    SPANS_REFUSED,
    UNDELIVERED,
    UNEVALUATED,
    UP,
    WORLD,
    connection,
    notifications,
    own,
    robot,
    series,
)

OTELCOL = {"instance": "otelcol:8888"}
OVERFLOW = f'marketprism_gaps_total{{{RESOURCE},otel_metric_overflow="true"}}'
PUSHED = {name: None for name in WORLD if 'job="marketprism/' in name}

WATCHING = (
    Proof(
        alert="TelemetryStalled",
        ill=PUSHED,
        labels=ONE,
        summary="A collector lives, but its metrics no longer arrive: the alerts on it are blind.",
        description="No metric of collector-1 has arrived for 1m, although it can be scraped; they come every 5 s.",
        summary_zh="采集器在运行，但它的指标不再到达：相关告警都看不见了。",
        description_zh="collector-1 已有 1m 没有任何指标到达，尽管可以抓取到它；指标每 5 s 一次。",
        rises_s=55,
    ),
    Proof(
        alert="TelemetryDropped",
        ill={
            series("marketprism_telemetry_dropped_total", telemetry_signal="traces", telemetry_drop_reason="queue"): 5
        },
        labels={**ONE, "lost": "traces: queue"},
        summary="Telemetry is lost: dropped by a sender or refused by a receiver.",
        description="5 items in 5 min: traces dropped (queue) by collector-1.",
        summary_zh="遥测丢失：被发送方丢弃，或被接收方拒绝。",
        description_zh="5 分钟内，collector-1 有 5 条 traces 被丢弃（queue）。",
        lasts_s=5,
        clears_s=290,
    ),
    Proof(
        alert="TelemetryDropped",
        ill={SPANS_REFUSED: 5},
        labels={**OTELCOL, "lost": "spans refused by"},
        summary="Telemetry is lost: dropped by a sender or refused by a receiver.",
        description="5 items in 5 min: spans refused by otelcol:8888.",
        summary_zh="遥测丢失：被发送方丢弃，或被接收方拒绝。",
        description_zh="5 分钟内，otelcol:8888 有 5 条 spans 被拒收。",
        lasts_s=5,
        clears_s=290,
    ),
    Proof(
        alert="TelemetryDropped",
        # Not there before the first failure, and seen all the same.
        well={SPANS_NOT_SENT: None},
        ill={SPANS_NOT_SENT: 7},
        labels={**OTELCOL, "lost": "spans not sent by"},
        summary="Telemetry is lost: dropped by a sender or refused by a receiver.",
        description="7 items in 5 min: spans not sent by otelcol:8888.",
        summary_zh="遥测丢失：被发送方丢弃，或被接收方拒绝。",
        description_zh="5 分钟内，otelcol:8888 有 7 条 spans 未能发出。",
        lasts_s=5,
        clears_s=295,
    ),
    Proof(
        alert="TelemetryDropped",
        well={SPANS_NOT_QUEUED: None},
        ill={SPANS_NOT_QUEUED: 3},
        labels={**OTELCOL, "lost": "spans without room in the queue of"},
        summary="Telemetry is lost: dropped by a sender or refused by a receiver.",
        description="3 items in 5 min: spans without room in the queue of otelcol:8888.",
        summary_zh="遥测丢失：被发送方丢弃，或被接收方拒绝。",
        description_zh="5 分钟内，otelcol:8888 有 3 条 spans 因队列已满被丢弃。",
        lasts_s=5,
        clears_s=295,
    ),
    Proof(
        alert="CardinalityOverflow",
        ill={OVERFLOW: 1},
        well={OVERFLOW: None},
        labels={**ONE, "metric": "marketprism_gaps_total"},
        summary="A metric has more series than it may have.",
        description="marketprism_gaps_total of collector-1 has reached its bound: further series are one sum.",
        summary_zh="某个指标的序列数达到了上限。",
        description_zh="collector-1 的 marketprism_gaps_total 已达到上限：更多的序列汇总为一个。",
        clears_s=295,
    ),
    *(
        Proof(
            alert="NotificationFailing",
            ill={**failing},
            labels={"failing": channel},
            summary=f"Notifications by {channel} fail.",
            description=(
                f"{n} notifications by {channel} failed in 5 min. Whoever relies on that channel learns of nothing."
            ),
            summary_zh=f"{channel} 的通知失败。",
            description_zh=f"5 分钟内 {n} 条经 {channel} 的通知失败。依赖该渠道的人收不到任何消息。",
            rises_s=rises_s,
            lasts_s=5,
            clears_s=clears_s,
        )
        for channel, failing, n, rises_s, clears_s in (
            ("slack", {notifications("slack", "serverError"): 1.0}, 1, 0, 290),
            ("dingtalk", {robot("failed"): 1.0}, 1, 0, 290),
            ("dingtalk", {robot("rejected"): 1.0}, 1, 0, 290),
            # A try a minute, and none is taken: seen when five minutes have passed since the last that was.
            ("dingtalk", {robot("throttled"): 1 / 12, robot("accepted"): 0.0}, 5, 295, 0),
        )
    ),
    Proof(
        alert="NotificationsDropped",
        ill={UNDELIVERED: 3},
        labels={"instance": "prometheus:9090"},
        summary="Prometheus cannot hand its alerts to Alertmanager.",
        description=(
            "prometheus:9090 dropped 180 alerts in 5 min, for longer than a restart of Alertmanager takes. "
            "What fires may be told late, and what was over meanwhile never."
        ),
        summary_zh="Prometheus 无法把告警交给 Alertmanager。",
        description_zh=(
            "prometheus:9090 5 分钟内丢弃了 180 条告警，时间超过 Alertmanager 重启所需。"
            "正在触发的可能晚到，其间已结束的不再通知。"
        ),
        clears_s=295,
    ),
    Proof(
        alert="RuleEvaluationFailing",
        ill={UNEVALUATED: 1},
        labels={"instance": "prometheus:9090", "rule_group": RULE_GROUP},
        summary="A rule cannot be evaluated: its alert can never fire.",
        description=f"In prometheus:9090 1 evaluations failed in 5 min, in the rules of {RULE_GROUP}.",
        summary_zh="某条规则无法求值：它的告警永远不会触发。",
        description_zh=f"prometheus:9090 中，规则组 {RULE_GROUP} 5 分钟内有 1 次求值失败。",
        lasts_s=5,
        clears_s=290,
    ),
    Proof(
        alert="ComponentDown",
        ill={'up{instance="jaeger:8889",job="jaeger"}': 0},
        labels={"instance": "jaeger:8889", "job": "jaeger"},
        summary="jaeger is down.",
        description="Prometheus cannot scrape jaeger at jaeger:8889.",
        summary_zh="jaeger 已停止。",
        description_zh="Prometheus 抓取不到 jaeger:8889 上的 jaeger。",
    ),
    Proof(
        alert="RuleMetricMissing",
        ill={own("marketprism_journal_state"): None},
        labels={"metric": "marketprism_journal_state"},
        summary="A metric that alerts rely on is missing: they can never fire.",
        description="marketprism_journal_state does not exist in Prometheus although a collector runs.",
        summary_zh="告警所依赖的某个指标不存在：这些告警永远不会触发。",
        description_zh="采集器正在运行，而 Prometheus 中没有 marketprism_journal_state。",
        rises_s=295,
    ),
    *(
        Proof(
            alert="Unanswered",
            was=was,
            ill=ill,
            rises_s=rises_s,
            clears_s=0 if was == "P1" else 5,  # rules of P1 are evaluated before those that they look at
            labels={**labels, "alert": alert, "was": was, "scope": scope},
            summary=f"Nobody has answered {alert}.",
            description=(
                f"{alert} ({was}) has been firing for {held} and nobody has acknowledged it: {then}. "
                f"Who works on it runs `marketprism ack {alert}`."
            ),
            summary_zh=f"{alert} 无人响应。",
            description_zh=(
                f"{alert}（{was}）已触发 {held} 而无人确认：{then_zh}。处理者请运行 `marketprism ack {alert}`。"
            ),
        )
        for was, ill, rises_s, labels, alert, scope, held, then, then_zh in (
            (
                "P1",
                {UP: 0},
                15,
                {**ONE, "job": "marketprism-collector"},
                "CollectorDown",
                "collector",
                "5m",
                "told to everyone again",
                "再次通知所有渠道",
            ),
            (
                "P2",
                {connection("kraken"): 0},
                305,
                {**ONE, "venue": "kraken", "market": "spot"},
                "ExchangeDown",
                "venue",
                "30m",
                "raised to the channels of P1",
                "升级到 P1 的渠道",
            ),
            (
                "P3",
                {own("process_memory_usage_bytes"): 900e6},
                605,
                ONE,
                "MemoryHigh",
                "collector",
                "2h",
                "raised to the channels of P1",
                "升级到 P1 的渠道",
            ),
        )
    ),
)
