"""The channel `log`: each alert becomes a line of the bridge's own log, and so also a log record by OTLP.

It owns the words of such a line. It has no budget and merges nothing; it must not say "delivered" of a line that the
stream did not take.
"""

from __future__ import annotations

from collections.abc import Callable

from alerting.bridge.memory import Memory
from alerting.bridge.message import Look, describe
from alerting.bridge.outbox import Answer
from alerting.bridge.settings import Language
from alerting.bridge.webhook import Delivery
from telemetry.cells import Metrics
from telemetry.logs import get_logger
from telemetry.tracing import NO_SPAN, SpanRef

log = get_logger("alerting.bridge")

LOOK = Look(
    break_=" | ",
    gap="\n",
    heading="",
    bold="",
    quote="",
    link="{name} {link}",
    color=lambda _, text: text,
    plain=lambda text: text,
)


class Logbook:
    """Writes alerts to the log in one language. `on_logged` hears of every delivery, and whether it was written."""

    def __init__(
        self,
        language: Language,
        metrics: Metrics,
        memory: Memory,
        wall: Callable[[], float],
        on_logged: Callable[[Delivery, bool], None],
    ) -> None:
        self._language = language
        self._memory = memory
        self._wall = wall
        self._on_logged = on_logged
        self._lost = metrics.counter("marketprism.log.records.dropped").cell(log_drop_reason="stream")

    async def deliver(self, delivery: Delivery, ref: SpanRef = NO_SPAN) -> Answer:  # noqa: ARG002 - as Outbox.deliver
        """Write it, unless it was written already."""
        if self._memory.knows("log", delivery, self._wall()):
            return Answer("duplicate", "the log has it already")
        well = self._write(delivery)
        if well:
            self._memory.tell("log", [delivery], self._wall())
        self._on_logged(delivery, well)
        return Answer("delivered", "written") if well else Answer("unavailable", "the log's stream takes no lines")

    def _write(self, delivery: Delivery) -> bool:
        """A line for each alert; whether the stream took them all."""
        before = self._lost.n
        for alert in delivery.alerts:
            labels = alert.labels
            fields = {
                "message": describe(alert, self._language, LOOK),
                "alert_name": alert.name,
                "alert_priority": alert.priority,
                "alert_fingerprint": alert.fingerprint,
            }
            fields |= {"venue": labels["venue"]} if "venue" in labels else {}
            fields |= {"market": labels["market"]} if "market" in labels else {}
            fields |= {"instrument": labels["instrument"]} if "instrument" in labels else {}
            fields |= {"channel": labels["channel"]} if "channel" in labels else {}
            if alert.status == "firing":
                log.warning("marketprism.alert.firing", **fields)
            else:
                log.info("marketprism.alert.resolved", **fields)
        return self._lost.n == before
