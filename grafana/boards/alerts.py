"""Alerts: what fires, and whether those who should know of it were told."""

from __future__ import annotations

from typing import Final

from alerting.rules.model import ANSWER_WITHIN
from grafana import queries as q
from grafana.model import ANY, Board, Panel, Query, Row

_TABLE: Final = {
    "alertname": "alert",
    "priority": "priority",
    "instance": "collector",
    "venue": "venue",
    "market": "market",
    "instrument": "instrument",
    "channel": "channel",
}
_FIRES: Final = 'ALERTS{alertstate="firing", priority=~"P[1-4]"}'

_FIRING: Final = Row(
    title="Firing",
    height=10,
    panels=(
        Panel(
            kind="table",
            title="Firing now",
            says="Alerts that somebody is told of. Answer "
            + ", ".join(f"{priority} within {time}" for priority, time in ANSWER_WITHIN.items())
            + ".",
            queries=(
                Query(
                    text=f"max by ({', '.join(_TABLE)}) ({_FIRES})",
                    fault="Prometheus refuses a sample that is hours old",
                ),
            ),
            unit="short",
            width=16,
            columns=_TABLE,
            value="firing",
            names={1: ("firing", "red")},
            empty="Nothing fires.",
            links=(
                q.board("Overview", q.OVERVIEW),
                q.board("Venue", q.VENUE, "venue", "market", of="alert"),
                q.board("Instrument", q.INSTRUMENT, "instance", "venue", "market", "instrument", of="alert"),
            ),
        ),
        Panel(
            kind="stack",
            title="Firing by priority",
            says="How many fire. Without a priority is Watchdog: it always fires, so that its absence is noticed.",
            queries=(Query(text='count by (priority) (ALERTS{alertstate="firing"})', legend="{{priority}}"),),
            unit="short",
        ),
    ),
)
_TOLD: Final = Row(
    title="Who was told",
    panels=(
        Panel(
            kind="stack",
            title="Notifications",
            says="Notifications that Alertmanager sent, by priority and way.",
            queries=(
                Query(
                    text=(
                        f"sum by (receiver_name, integration) (increase(alertmanager_notifications_total{q.WINDOW}))"
                    ),
                    legend="{{receiver_name}} {{integration}}",
                ),
            ),
            unit="short",
        ),
        Panel(
            kind="stack",
            title="Notifications that failed",
            says="Whoever relies on that way learns of nothing.",
            queries=(
                Query(
                    text=(
                        f"sum by (integration, reason) (increase(alertmanager_notifications_failed_total{q.WINDOW}))"
                    ),
                    legend="{{integration}} {{reason}}",
                ),
            ),
            unit="short",
            steps=ANY,
        ),
        Panel(
            kind="stack",
            title="Messages of the bridge",
            says="Messages to DingTalk, WeCom and its own log, by what became of them.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_alert_channel, marketprism_robot_outcome) "
                        f"(increase(marketprism_bridge_messages_total{q.WINDOW}))"
                    ),
                    legend="{{marketprism_alert_channel}} {{marketprism_robot_outcome}}",
                ),
            ),
            unit="short",
        ),
        Panel(
            kind="stack",
            title="Alerts delivered",
            says="Alerts in messages that DingTalk, WeCom or the log took, firing and resolved.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_alert_channel) "
                        f"(increase(marketprism_bridge_alerts_delivered_total{q.WINDOW}))"
                    ),
                    legend="{{marketprism_alert_channel}}",
                ),
            ),
            unit="short",
        ),
        Panel(
            kind="timeline",
            title="Ways of the bridge",
            says="Whether each is configured. Through one that is off nobody is told.",
            queries=(
                Query(
                    text="max by (marketprism_alert_channel) (marketprism_bridge_channel_on)",
                    legend="{{marketprism_alert_channel}}",
                ),
            ),
            unit="short",
            names={0: ("off", "text"), 1: ("on", "green")},
        ),
        Panel(
            kind="graph",
            title="Waiting for a robot",
            says="Deliveries that wait for the robot's budget of messages.",
            queries=(Query(text="marketprism_bridge_waiting", legend="{{marketprism_alert_channel}}"),),
            unit="short",
        ),
    ),
)
_WAY: Final = Row(
    title="The way of the alerts",
    panels=(
        Panel(
            kind="graph",
            title="From Prometheus to Alertmanager",
            says="Alerts sent, and dropped because Alertmanager did not take them.",
            queries=(
                Query(text="sum(rate(prometheus_notifications_sent_total[$__rate_interval]))", legend="sent"),
                Query(text="sum(rate(prometheus_notifications_dropped_total[$__rate_interval]))", legend="dropped"),
            ),
            unit="cps",
            width=6,
        ),
        Panel(
            kind="stack",
            title="Rules that could not be evaluated",
            says="An alert whose rule fails can never fire.",
            queries=(
                Query(
                    text=(
                        "label_replace(sum by (rule_group) "
                        f"(increase(prometheus_rule_evaluation_failures_total{q.WINDOW})),\n"
                        '  "group", "$1", "rule_group", ".*;(.+)")'
                    ),
                    legend="{{group}}",
                ),
            ),
            unit="short",
            width=6,
            steps=ANY,
        ),
        Panel(
            kind="graph",
            title="Alerts in Alertmanager",
            says="Active, and suppressed by a silence or by a graver alert.",
            queries=(Query(text="sum by (state) (alertmanager_alerts)", legend="{{state}}"),),
            unit="short",
            width=6,
        ),
        Panel(
            kind="graph",
            title="Silences",
            says="`marketprism ack` makes one: it stops the escalation of an alert.",
            queries=(Query(text="sum by (state) (alertmanager_silences)", legend="{{state}}"),),
            unit="short",
            width=6,
        ),
    ),
)
ALERTS: Final = Board(
    uid=q.ALERTS,
    title="Alerts",
    says="What fires, and whether those who should know were told.",
    rows=(_FIRING, _TOLD, _WAY),
)
