"""What a connection's life tells telemetry: attempts, opens, closes, defects; counted, logged, and kept as its span.

It owns these cells and lines, and the names that ends are counted under. Everything here is a cold path: messages and
what they say are observe.py's, which builds on this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from collector.clock import system_clock
from collector.feed.spans import FeedSpans
from collector.net.websocket import ConnectError, End
from collector.venues.protocol import Facts, Fetch, StreamStatus
from telemetry.cells import Metrics
from telemetry.logs import get_logger
from telemetry.tracing import OFF, inside

log = get_logger("collector.feed")

_CLOSE: Final[dict[str, str]] = {
    **dict.fromkeys(("normal", "going_away", "policy", "server_error", "restart", "try_later", "other_code"), "remote"),
    **dict.fromkeys(("lost", "error"), "network"),
    **dict.fromkeys(("too_big", "protocol_error"), "protocol"),
    **dict.fromkeys(("silent_socket", "no_message", "all_silent"), "stalled"),
    **dict.fromkeys(("lifetime", "server_shutdown"), "rotation"),
    "internal_error": "defect",
    "shutdown": "shutdown",
}
"""What a close is counted as. Anything else was asked for by the core, which then starts over: `resync`."""
_OUTCOME: Final = {"refused", "tls", "timeout", "http", "dns"}


class ConnectionObserver:
    """That part of a feed's Observer. `spans`: see FeedObserver."""

    def __init__(self, metrics: Metrics, facts: Facts, connection: str, spans: FeedSpans | None = None) -> None:
        self._connection = connection
        self._spans = spans or FeedSpans(OFF, facts, connection, system_clock)
        at = {"venue": facts.venue, "market": facts.market}
        self._log = log.bind(**at)
        self._state = metrics.gauge("marketprism.connection.state").cell(connection=connection, **at)
        attempts, closed = (metrics.counter(f"marketprism.connection.{name}") for name in ("attempts", "closed"))
        self._attempts = {
            outcome: attempts.cell(attempt_outcome=outcome, **at) for outcome in ("ok", "error", *sorted(_OUTCOME))
        }
        self._closes = {cause: closed.cell(close_cause=cause, **at) for cause in sorted({*_CLOSE.values(), "resync"})}
        self._delay = metrics.histogram("marketprism.reconnect.delay").cell(**at)

    def fetching(self, fetch: Fetch, streams: Callable[[], list[StreamStatus]]) -> None:
        """Let a fetch's GET belong to the span that it works for."""
        if self._spans.on:
            self._spans.fetching(fetch, streams())

    def connecting(self, url: str) -> None:
        """Take note that an attempt to connect begins."""
        self._spans.connecting(url)

    def opened(self, url: str, seconds: float) -> None:
        """Take note of a connection that was opened, and of how long that took."""
        self._attempts["ok"].n += 1
        self._state.n = 1
        self._spans.opened()
        with inside(self._spans.connection):
            self._log.info("marketprism.connection.opened", connection=self._connection, url_full=url, duration=seconds)

    def refused(self, url: str, error: ConnectError, delay_s: float) -> None:
        """Take note of an attempt that failed; the next one comes after `delay_s` at the earliest."""
        outcome = error.outcome if error.outcome in _OUTCOME else "error"
        error_type = str(error.status or error.outcome)
        self._attempts[outcome].n += 1
        self._delay.observe(delay_s)
        self._spans.refused(outcome, error_type)
        with inside(self._spans.connection):
            self._log.warning(
                "marketprism.connection.failed",
                connection=self._connection,
                url_full=url,
                attempt_outcome=outcome,
                error_type=error_type,
                error_message=str(error),
                delay=delay_s,
            )

    def closed(self, end: End, seconds: float, delay_s: float) -> None:
        """Take note of a connection that ended. The next attempt comes after `delay_s` at the earliest."""
        cause = _CLOSE.get(end.cause, "resync")
        self._closes[cause].n += 1
        self._state.n = 0
        if cause != "shutdown":
            self._delay.observe(delay_s)
        self._spans.closed(cause, end.cause)
        with inside(self._spans.connection):
            self._log_closed(end, cause, seconds, delay_s)

    def _log_closed(self, end: End, cause: str, seconds: float, delay_s: float) -> None:
        if cause in ("rotation", "shutdown"):
            self._log.info(
                "marketprism.connection.ended", connection=self._connection, close_cause=cause, duration=seconds
            )
            return
        fields: dict[str, object] = {"close_code": end.code} if end.code is not None else {}
        self._log.warning(
            "marketprism.connection.closed",
            connection=self._connection,
            close_cause=cause,
            error_type=end.cause,
            error_message=end.text,
            duration=seconds,
            delay=delay_s,
            **fields,
        )

    def defect(self, error: Exception) -> None:
        """Log an error that nothing below handled: a defect of ours."""
        with inside(self._spans.connection):
            log.critical(
                "marketprism.service.failed",
                subject=f"feed {self._connection}",
                error_type=type(error).__name__,
                error_message=str(error),
                exc_info=error,
            )

    def stopped(self) -> None:
        """End what is still open: the feed ends."""
        self._spans.stopped()
