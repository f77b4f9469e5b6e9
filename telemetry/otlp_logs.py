"""Log lines as OpenTelemetry log records. The one module that knows OpenTelemetry's logs API, which still moves.

It owns the translation of a finished, redacted line into a record, its limit per second and its bounded queue, and the
last redaction. It must never block nor raise into the code that logs, and never send what the exporters themselves say:
a failing export must not feed the next one. The lines on stderr do not depend on it.

Semantics: https://opentelemetry.io/docs/specs/otel/logs/data-model/ ; events have a name, exceptions are attributes
(https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-logs/).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from telemetry.ledger import Ledger
from telemetry.model import Registry, Severity
from telemetry.otlp_settings import Batching
from telemetry.redaction import Plain, clean, redact
from telemetry.tracing import SpanRef
from telemetry.turns import Slowly, Turns

MOST_PER_SECOND = 200
BURST = 1000
_OWN_PATH = ("opentelemetry", "urllib3", "requests", "grpc")
"""Loggers of what exports: their lines stay on stderr."""
_SEVERITIES: Mapping[Severity, SeverityNumber] = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
_NAMES = {
    "logger": "marketprism.logger",
    "exception": "exception.stacktrace",
    "exception_type": "exception.type",
    "exception_message": "exception.message",
}


class OtlpLogs:
    """Takes finished lines. Implements `logs.Export`.

    `mono_ns` tells the time by which the lines of a second are counted.
    """

    def __init__(
        self,
        provider: LoggerProvider,
        registry: Registry,
        ledger: Ledger,
        version: str,
        mono_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._provider = provider
        self._logger = provider.get_logger("marketprism", version)
        self._names = {attribute.key: attribute.name for attribute in registry.attributes.values()} | _NAMES
        self._ledger = ledger
        self._mono_ns = mono_ns
        self._lock = threading.Lock()
        self._allowance = float(BURST)
        self._counted_at = mono_ns()

    def __call__(self, level: Severity, line: Mapping[str, Plain], time_ns: int, span: SpanRef) -> None:
        """Export one line: its fields by key, its time in ns since 1970, the span that it was written in."""
        logger = str(line.get("logger", ""))
        if logger.partition(".")[0] in _OWN_PATH:
            return
        if not self._allowed():
            self._ledger.drop("rate")
            return
        if not self._ledger.admit():
            return
        context = Context()
        if span.trace_id:
            flags = TraceFlags(int(span.sampled))
            at = SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=flags)
            context = set_span_in_context(NonRecordingSpan(at), context)
        event = str(line.get("event", ""))
        self._logger.emit(
            timestamp=time_ns,
            observed_timestamp=time_ns,
            context=context,
            severity_number=_SEVERITIES[level],
            severity_text=level.upper(),
            body=str(line.get("message") or event),
            attributes={
                self._names.get(key, f"marketprism.{key}"): clean(key, value)
                for key, value in line.items()
                if key not in {"event", "level", "timestamp", "trace_id", "span_id"} and value is not None
            },
            event_name=event,
        )

    def shutdown(self) -> None:
        """Export what waits, and end. It may take long: not for the event loop."""
        self._provider.shutdown()

    def _allowed(self) -> bool:
        """A bucket of BURST lines that fills at MOST_PER_SECOND."""
        with self._lock:
            now = self._mono_ns()
            self._allowance = min(BURST, self._allowance + (now - self._counted_at) / 1e9 * MOST_PER_SECOND)
            self._counted_at = now
            if self._allowance < 1:
                return False
            self._allowance -= 1
            return True


def log_provider(
    exporter: LogRecordExporter, batching: Batching, resource: Resource, meters: MeterProvider | None
) -> LoggerProvider:
    """The SDK's side: a bounded queue before the exporter."""
    provider = LoggerProvider(resource, shutdown_on_exit=False, meter_provider=meters)
    batches = BatchLogRecordProcessor(
        exporter, batching.delay_ms, batching.batch, max_queue_size=batching.queue, meter_provider=meters
    )
    provider.add_log_record_processor(batches)
    return provider


class CleanLogs(LogRecordExporter):
    """Redacts log records, hands them to the real exporter and books the result."""

    def __init__(self, inner: LogRecordExporter, ledger: Ledger, turns: Turns) -> None:
        self._inner = inner
        self._ledger = ledger
        self._turns = turns
        self._cut = False

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """See LogRecordExporter."""
        result = LogRecordExportResult.FAILURE
        try:
            with self._turns.turn():
                if not self._cut:
                    result = self._inner.export(Slowly(batch, _clean_record))
        finally:
            if result is LogRecordExportResult.SUCCESS:
                self._ledger.succeeded(len(batch))
            else:
                self._ledger.failed(len(batch), "the receiver did not take the log records")
        return result

    def shutdown(self) -> None:
        """See LogRecordExporter."""
        if not self._cut:
            self.cut()

    def cut(self) -> None:
        """Fail from now on, and wait for no retry. From any thread."""
        self._cut = True
        self._inner.shutdown()  # type: ignore[no-untyped-call] # the SDK's logs are unfinished

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See LogRecordExporter."""
        return self._inner.force_flush(timeout_millis)


def _clean_record(record: ReadableLogRecord) -> ReadableLogRecord:
    """The record without secrets; itself when it has none."""
    given = record.log_record
    attributes = dict(given.attributes or {})
    cleaned = {key: clean(key, value) for key, value in attributes.items()}
    body = redact(given.body) if isinstance(given.body, str) else given.body
    if cleaned == attributes and body == given.body:
        return record
    fresh = LogRecord(
        timestamp=given.timestamp,
        observed_timestamp=given.observed_timestamp,
        context=given.context,
        severity_text=given.severity_text,
        severity_number=given.severity_number,
        body=body,
        attributes=cleaned,
        event_name=given.event_name,
    )
    return replace(record, log_record=fresh)
