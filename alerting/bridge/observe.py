"""What the bridge knows of itself: counts, spans, receipts, health.

It owns the numbers and the memory of what each channel last said. It decides nothing about deliveries. The receipts
are what `marketprism drill` reads: what was answered for an alert, channel by channel; the last thousands, in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from msgspec import Struct

from alerting.bridge.outbox import Sent
from alerting.bridge.robots import Outcome, host_of
from alerting.bridge.settings import CHANNELS, Channel
from alerting.bridge.webhook import Delivery
from telemetry.cells import Counter, Metrics
from telemetry.logs import get_logger
from telemetry.model import Registry
from telemetry.tracing import SpanRef, Tracer

log = get_logger("alerting.bridge")

Answered = Literal["delivered", "duplicate", "refused", "rejected", "unavailable", "abandoned"]
RECEIPTS = 10_000
_OURS = (
    "marketprism.bridge.",
    "marketprism.build.",
    "marketprism.log.",
    "marketprism.memory.",
    "marketprism.telemetry.",
    "process.",
)


class Receipt(Struct, kw_only=True, frozen=True):
    """What a channel answered for one alert. `at`: seconds since 1970; `seconds`: until the channel's answer."""

    fingerprint: str
    alertname: str
    status: str
    channel: Channel
    outcome: Outcome
    reason: str
    at: float
    seconds: float
    merged: int


class ChannelHealth(Struct, kw_only=True):
    """One channel. Times in seconds since 1970; null: it never happened. `reason`: why it is off, or failed last."""

    channel: Channel
    state: Literal["ok", "off", "failing"]
    reason: str
    waiting: int
    last_success: float | None
    last_failure: float | None
    failures_since_success: int


class Health(Struct, kw_only=True):
    """/health. `not_ok`: a sentence for each thing that is not."""

    status: Literal["ok", "degraded"]
    not_ok: list[str]
    version: str
    uptime_s: float
    memory: str
    channels: list[ChannelHealth]


class Receipts(Struct, kw_only=True):
    """/v1/receipts. `channels`: those that are on."""

    channels: list[Channel]
    receipts: list[Receipt]


@dataclass(slots=True)
class _Channel:
    off: str
    waiting: Callable[[], int] = lambda: 0
    last_success: float | None = None
    last_failure: float | None = None
    failures: int = 0
    reason: str = ""


def bridge_registry(registry: Registry) -> Registry:
    """The part of the schema that the bridge emits: it must not send a collector's metrics as zeros."""
    mine = {name: metric for name, metric in registry.metrics.items() if name.startswith(_OURS)}
    return replace(registry, metrics=mine)


class Observer:
    """Hears of everything. `wall` and `mono` tell seconds; `off`: the channels that are off, with why."""

    def __init__(
        self,
        metrics: Metrics,
        tracer: Tracer,
        wall: Callable[[], float],
        off: Mapping[Channel, str],
        memory_trouble: Callable[[], str],
        version: str,
    ) -> None:
        self._tracer = tracer
        self._wall = wall
        self._began = wall()
        self._memory_trouble = memory_trouble
        self._version = version
        self._receipts: deque[Receipt] = deque(maxlen=RECEIPTS)
        self._channels = {channel: _Channel(off.get(channel, "")) for channel in CHANNELS}
        self._deliveries = metrics.counter("marketprism.bridge.deliveries")
        self._messages = metrics.counter("marketprism.bridge.messages")
        self._lasted = metrics.histogram("marketprism.bridge.delivery.duration")
        self._delivered = metrics.counter("marketprism.bridge.alerts.delivered")
        self._cut = metrics.counter("marketprism.bridge.alerts.cut")
        self._waiting = metrics.gauge("marketprism.bridge.waiting")
        self._success = metrics.gauge("marketprism.bridge.last_success.time")
        on = metrics.gauge("marketprism.bridge.channel.on")
        for channel, known in self._channels.items():
            on.cell(alert_channel=channel).n = 0 if known.off else 1
            if not known.off:
                self._begin(metrics, channel)

    def _begin(self, metrics: Metrics, channel: Channel) -> None:
        """Every series of a channel that is on exists at 0: the first failure must be seen as a rise."""
        outcomes = metrics.registry.attributes
        for outcome in outcomes["marketprism.webhook.outcome"].members:
            self._deliveries.cell(alert_channel=channel, webhook_outcome=outcome)
        for outcome in outcomes["marketprism.robot.outcome"].members:
            self._messages.cell(alert_channel=channel, robot_outcome=outcome)
        self._lasted.cell(alert_channel=channel)
        for family in (self._delivered, self._cut):
            family.cell(alert_channel=channel)
        self._success.cell(alert_channel=channel)
        known = self._channels[channel]
        self._waiting.watch(lambda: float(known.waiting()), alert_channel=channel)

    def watch_waiting(self, channel: Channel, waiting: Callable[[], int]) -> None:
        """How many deliveries wait for the channel."""
        self._channels[channel].waiting = waiting

    def begin(self, parent: SpanRef | None) -> SpanRef:
        """The identity of a delivery's span."""
        return self._tracer.new_ref("marketprism.bridge.delivery", parent)

    def answered(  # noqa: PLR0913 - what one line of an access log has
        self,
        channel: Channel,
        outcome: Answered,
        status: int | None,
        reason: str,
        began: float,
        *,
        alerts: int | None = None,
        ref: SpanRef | None = None,
        parent: SpanRef | None = None,
    ) -> None:
        """A delivery was answered. `began`: seconds since 1970."""
        now = self._wall()
        self._deliveries.cell(alert_channel=channel, webhook_outcome=outcome).n += 1
        self._lasted.cell(alert_channel=channel).observe(max(0.0, now - began))
        self._tracer.span(
            "marketprism.bridge.delivery",
            round(began * 1e9),
            round(now * 1e9),
            {
                "alert_channel": channel,
                "webhook_outcome": outcome,
                "http_request_method": "POST",
                "http_response_status_code": status,
                "alerts": alerts,
            },
            ref=ref,
            parent=parent,
            error=None if outcome in {"delivered", "duplicate"} else outcome,
        )
        if outcome == "refused":
            log.warning(
                "marketprism.bridge.delivery.refused",
                alert_channel=channel,
                http_response_status_code=status,
                reason=reason,
            )

    def sent(self, sent: Sent) -> None:
        """A message went to a robot and was answered."""
        channel, verdict, message = sent.robot.channel, sent.verdict, sent.message
        self._count(channel, verdict.outcome, verdict.reason, message.alerts, message.cut)
        self._tracer.span(
            "marketprism.bridge.message",
            round(sent.began_wall_s * 1e9),
            round((sent.began_wall_s + sent.seconds) * 1e9),
            {
                "alert_channel": channel,
                "robot_outcome": verdict.outcome,
                "server_address": host_of(sent.robot),
                "group_states": len(sent.deliveries),
                "alerts": message.alerts,
                "cut": message.cut,
                "size": sent.size,
                "errcode": verdict.errcode,
                "http_response_status_code": verdict.status,
            },
            parent=sent.links[0] if len(sent.links) == 1 else None,
            links=sent.links,
            error=None if verdict.outcome == "accepted" else verdict.outcome,
        )
        seconds = round(sent.seconds, 3)
        if verdict.outcome == "accepted":
            log.info(
                "marketprism.bridge.message.accepted",
                alert_channel=channel,
                alerts=message.alerts,
                group_states=len(sent.deliveries),
                cut=message.cut,
                size=sent.size,
                duration=seconds,
            )
        else:
            log.warning(
                "marketprism.bridge.message.failed",
                alert_channel=channel,
                robot_outcome=verdict.outcome,
                reason=verdict.reason,
                group_states=len(sent.deliveries),
                duration=seconds,
            )
        for delivery in sent.deliveries:
            self._receive(channel, delivery, verdict.outcome, verdict.reason, seconds, len(sent.deliveries))

    def logged(self, delivery: Delivery, well: bool) -> None:  # noqa: FBT001 - a callback's one fact
        """The alerts of a delivery were written to the log, or not."""
        outcome: Outcome = "accepted" if well else "failed"
        reason = "written" if well else "the log's stream took no line"
        self._count("log", outcome, reason, len(delivery.alerts), delivery.truncated_alerts)
        self._receive("log", delivery, outcome, reason, 0.0, 1)

    def _count(self, channel: Channel, outcome: Outcome, reason: str, alerts: int, cut: int) -> None:
        known, now = self._channels[channel], self._wall()
        self._messages.cell(alert_channel=channel, robot_outcome=outcome).n += 1
        if outcome == "accepted":
            _add(self._delivered.cell(alert_channel=channel), alerts)
            _add(self._cut.cell(alert_channel=channel), cut)
            self._success.cell(alert_channel=channel).n = now
            known.last_success, known.failures, known.reason = now, 0, ""
        else:
            known.last_failure, known.reason = now, reason
            known.failures += 1

    def _receive(
        self, channel: Channel, delivery: Delivery, outcome: Outcome, reason: str, seconds: float, merged: int
    ) -> None:
        now = self._wall()
        for alert in delivery.alerts:
            self._receipts.append(
                Receipt(
                    fingerprint=alert.fingerprint,
                    alertname=alert.name,
                    status=alert.status,
                    channel=channel,
                    outcome=outcome,
                    reason=reason,
                    at=now,
                    seconds=seconds,
                    merged=merged,
                )
            )

    def receipts(self, fingerprint: str | None) -> Receipts:
        """What was answered, the oldest first; of one alert, or of all."""
        found = [receipt for receipt in self._receipts if fingerprint in (None, receipt.fingerprint)]
        return Receipts(channels=[name for name, known in self._channels.items() if not known.off], receipts=found)

    def health(self) -> Health:
        """How everything is, as of now."""
        channels = [
            ChannelHealth(
                channel=name,
                state="off" if known.off else "failing" if known.failures else "ok",
                reason=known.off or known.reason,
                waiting=known.waiting(),
                last_success=known.last_success,
                last_failure=known.last_failure,
                failures_since_success=known.failures,
            )
            for name, known in self._channels.items()
        ]
        trouble = self._memory_trouble()
        not_ok = [f"{channel.channel}: {channel.reason}" for channel in channels if channel.state == "failing"]
        not_ok += [f"memory: {trouble}"] if trouble else []
        return Health(
            status="degraded" if not_ok else "ok",
            not_ok=not_ok,
            version=self._version,
            uptime_s=round(self._wall() - self._began, 3),
            memory=trouble or "ok",
            channels=channels,
        )


def _add(cell: Counter, number: int) -> None:
    cell.n += number
