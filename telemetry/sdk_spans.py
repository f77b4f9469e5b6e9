"""Finished spans on their way through the OpenTelemetry SDK, which samples, limits, batches and exports them.

It owns the seam between our facade (`telemetry/tracing.py`) and the SDK, and the last redaction of spans. It must
never block: a span goes into a bounded queue or is counted as dropped. Only public names of the SDK are used.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from telemetry import model
from telemetry.ledger import Ledger
from telemetry.redaction import clean, redact
from telemetry.tracing import Finished, SpanRef
from telemetry.turns import Slowly, Turns

SCOPE = "marketprism"
_KINDS: Mapping[model.SpanKind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class GivenIds(IdGenerator):
    """Gives the SDK the ids that our facade has chosen already."""

    def __init__(self) -> None:
        self.ref = SpanRef(0, 0, sampled=False)

    def generate_span_id(self) -> int:
        """See IdGenerator."""
        return self.ref.span_id

    def generate_trace_id(self) -> int:
        """See IdGenerator."""
        return self.ref.trace_id


class SdkSpans:
    """The backend of a Tracer. Implements `tracing.Backend`."""

    def __init__(self, provider: TracerProvider, ids: GivenIds, version: str) -> None:
        self._tracer = provider.get_tracer(SCOPE, version)
        self._sampler = provider.sampler
        self._ids = ids
        self._lock = threading.Lock()

    def sampled(self, trace_id: int, name: str, kind: model.SpanKind) -> bool:
        """See Backend."""
        decision = self._sampler.should_sample(Context(), trace_id, name, _KINDS[kind]).decision
        return decision is Decision.RECORD_AND_SAMPLE

    def emit(self, span: Finished) -> None:
        """See Backend."""
        context = Context()
        if span.parent is not None:
            context = set_span_in_context(NonRecordingSpan(_context(span.parent)), context)
        links = [Link(_context(link)) for link in span.links]
        with self._lock:
            self._ids.ref = span.ref
            made = self._tracer.start_span(
                span.name,
                context,
                kind=_KINDS[span.kind],
                attributes=span.attributes,
                links=links,
                start_time=span.start_ns,
            )
        if span.error is not None:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(span.end_ns)


class Gate(SpanProcessor):
    """Lets only as many spans into the SDK's queue as may wait, so that each one's fate is counted."""

    def __init__(self, inner: SpanProcessor, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    def on_end(self, span: ReadableSpan) -> None:
        """See SpanProcessor."""
        if span.context is not None and span.context.trace_flags.sampled and self._ledger.admit():
            self._inner.on_end(span)

    def shutdown(self) -> None:
        """See SpanProcessor."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See SpanProcessor."""
        return self._inner.force_flush(timeout_millis)


class CleanSpans(SpanExporter):
    """Redacts spans, hands them to the real exporter and books the result."""

    def __init__(self, inner: SpanExporter, ledger: Ledger, turns: Turns) -> None:
        self._inner = inner
        self._ledger = ledger
        self._turns = turns
        self._cut = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter."""
        result = SpanExportResult.FAILURE
        try:
            with self._turns.turn():
                if not self._cut:
                    result = self._inner.export(Slowly(spans, clean_span))
        finally:
            if result is SpanExportResult.SUCCESS:
                self._ledger.succeeded(len(spans))
            else:
                self._ledger.failed(len(spans), "the receiver did not take the spans")
        return result

    def shutdown(self) -> None:
        """See SpanExporter."""
        if not self._cut:
            self.cut()

    def cut(self) -> None:
        """Fail from now on, and wait for no retry. From any thread."""
        self._cut = True
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See SpanExporter."""
        return self._inner.force_flush(timeout_millis)


def clean_span(span: ReadableSpan) -> ReadableSpan:
    """The span without secrets; itself when it has none."""
    given = dict(span.attributes or {})
    attributes = {key: clean(key, value) for key, value in given.items()}
    name, text = redact(span.name), span.status.description
    cleaned = None if text is None else redact(text)
    if attributes == given and name == span.name and text == cleaned:
        return span
    return ReadableSpan(
        name,
        span.context,
        span.parent,
        span.resource,
        attributes,
        span.events,
        span.links,
        span.kind,
        status=Status(span.status.status_code, cleaned),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _context(ref: SpanRef) -> SpanContext:
    return SpanContext(ref.trace_id, ref.span_id, is_remote=False, trace_flags=TraceFlags(int(ref.sampled)))
