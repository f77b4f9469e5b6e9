"""What is shared by a venue's feeds tells telemetry: its REST pool, and the dead-letter file of all.

It owns the same binding as `observe.py`, for the things that are not one connection's, and the span of every GET.
Everything here is a cold path.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from collector.clock import SECOND_NS
from collector.feed.deadletters import DeadLetters, Trouble
from collector.feed.spans import SERVING, mark, server_of
from collector.net.budget import Budget
from collector.net.rest import RestCall
from telemetry.cells import Metrics
from telemetry.logs import SayRarely, get_logger
from telemetry.tracing import OFF, SpanRef, Tracer, inside

log = get_logger(__name__)

HOLD_BACK_S = 10.0


class PoolObserver:
    """Counts and logs for one REST pool: `call` is the `on_call` of its clients. `wall_ns`: ns since 1970."""

    def __init__(
        self,
        metrics: Metrics,
        venue: str,
        budget: Budget,
        mono_ns: Callable[[], int],
        tracer: Tracer = OFF,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = tracer
        self._wall_ns = wall_ns
        self._venue = venue
        self._budget = budget
        self._rarely = SayRarely(
            mono_ns, metrics.counter("marketprism.log.records.dropped").cell(log_drop_reason="rate")
        )
        self._duration = metrics.histogram("http.client.request.duration")
        at = {"venue": venue, "pool": budget.name}
        metrics.gauge("marketprism.rest.budget.used").watch(lambda: budget.used, **at)
        metrics.gauge("marketprism.rest.budget.limit").watch(lambda: budget.limit, **at)
        metrics.gauge("marketprism.rest.paused").watch(lambda: budget.paused_s, **at)

    def call(self, call: RestCall) -> None:
        """Take one finished request."""
        failed = call.failure or (str(call.status) if call.status >= 400 else None)
        if call.failure == "budget":  # that one was never sent
            ref = SERVING.get()
        else:
            at: dict[str, str | int] = {"http_request_method": "GET", "server_address": call.host}
            at |= {"venue": self._venue, "endpoint": call.endpoint}
            if call.status:
                at["http_response_status_code"] = call.status
            ref = self._span(call, at, failed)
            if failed is not None:
                at["error_type"] = failed
            cell = self._duration.cell(**at)
            cell.observe(call.seconds)
            mark(cell, call.seconds, ref, self._wall_ns())
        with inside(ref):
            self._log_call(call, failed)

    def _span(self, call: RestCall, at: dict[str, str | int], failed: str | None) -> SpanRef:
        if not self._tracer.on:
            return SERVING.get()
        end_ns = self._wall_ns()
        return self._tracer.span(
            "GET",
            end_ns - round(call.seconds * SECOND_NS),
            end_ns,
            {
                **at,
                "server_port": server_of(call.request)[1],
                "url_path": urlsplit(call.request).path,
                "url_full": call.request,
            },
            parent=SERVING.get(),
            error=failed,
        )

    def _log_call(self, call: RestCall, failed: str | None) -> None:
        if failed is not None:
            self._log_failed(call, failed)
        if call.paused_s:
            log.warning(
                "marketprism.rest.paused",
                venue=self._venue,
                pool=self._budget.name,
                http_response_status_code=call.status,
                delay=call.paused_s,
            )

    def _log_failed(self, call: RestCall, failed: str) -> None:
        held = self._rarely.every((call.endpoint, failed), HOLD_BACK_S)
        if held is None:
            return
        fields: dict[str, object] = {"http_response_status_code": call.status} if call.status else {}
        log.warning(
            "marketprism.rest.failed",
            venue=self._venue,
            endpoint=call.endpoint,
            error_type=failed,
            error_message=call.text,
            suppressed=held,
            **fields,
        )


def observe_dead_letters(metrics: Metrics, letters: DeadLetters) -> None:
    """Bind the dead-letter file's counts."""
    metrics.counter("marketprism.dead_letters.written").watch(lambda: letters.written)
    metrics.counter("marketprism.dead_letters.dropped").watch(lambda: letters.dropped)


def dead_letter_trouble(trouble: Trouble, path: Path, text: str) -> None:
    """Log that letters begin to be dropped: the `on_trouble` of DeadLetters."""
    if trouble == "full":
        log.warning("marketprism.dead_letter.full", path=str(path))
    else:
        log.error("marketprism.dead_letter.failing", path=str(path), error_message=text)
