"""The proofs of the rules that watch the watching."""

from tests.alerting.proofs.core import ONE
from tests.alerting.proofs.kit import Proof
from tests.alerting.proofs.world import (
    RESOURCE,
    SPANS_NOT_SENT,
    SPANS_REFUSED,
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
        lasts_s=5,
        clears_s=290,
    ),
    Proof(
        alert="TelemetryDropped",
        ill={SPANS_REFUSED: 5},
        labels={**OTELCOL, "lost": "spans refused by"},
        summary="Telemetry is lost: dropped by a sender or refused by a receiver.",
        description="5 items in 5 min: spans refused by otelcol:8888.",
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
        clears_s=295,
    ),
    *(
        Proof(
            alert="NotificationFailing",
            ill={failing: 1},
            labels={"failing": channel},
            summary=f"Notifications by {channel} fail.",
            description=(
                f"1 notifications by {channel} failed in 5 min. Whoever relies on that channel learns of nothing."
            ),
            lasts_s=5,
            clears_s=290,
        )
        for channel, failing in (("slack", notifications("slack", "serverError")), ("dingtalk", robot("failed")))
    ),
    Proof(
        alert="ComponentDown",
        ill={'up{instance="jaeger:8889",job="jaeger"}': 0},
        labels={"instance": "jaeger:8889", "job": "jaeger"},
        summary="jaeger is down.",
        description="Prometheus cannot scrape jaeger at jaeger:8889.",
    ),
    Proof(
        alert="RuleMetricMissing",
        ill={own("marketprism_journal_state"): None},
        labels={"metric": "marketprism_journal_state"},
        summary="A metric that alerts rely on is missing: they can never fire.",
        description="marketprism_journal_state does not exist in Prometheus although a collector runs.",
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
        )
        for was, ill, rises_s, labels, alert, scope, held, then in (
            (
                "P1",
                {UP: 0},
                15,
                {**ONE, "job": "marketprism-collector"},
                "CollectorDown",
                "collector",
                "5m",
                "told to everyone again",
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
            ),
        )
    ),
)
