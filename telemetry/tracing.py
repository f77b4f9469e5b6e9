"""Spans, as the rest of the code makes them: finished, from stored times, under names of the schema.

It owns the facade: ids, the check against the schema, the current span of a log line. It must never touch
OpenTelemetry (`telemetry/sdk_spans.py` does) nor read a clock: a span is made when its end is known, from nanoseconds
that somebody kept, so that nothing is open while data is handled. Off, everything returns NO_SPAN and costs a compare.

Whether a message is traced is the application's decision, made before anything here is called; the sampler
(OTEL_TRACES_SAMPLER) is asked once for each root.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from typing import NamedTuple, Protocol

from telemetry.model import AttributeValue, Registry, Span, SpanKind, nearest
from telemetry.redaction import redact


class SpanError(ValueError):
    """A span was made in a way that the schema does not know. The message says which, and the nearest name."""


class SpanRef(NamedTuple):
    """A span's identity. It is true when the span is exported: only then is its id worth telling anybody."""

    trace_id: int
    span_id: int
    sampled: bool

    def __bool__(self) -> bool:
        return self.sampled

    @property
    def traceparent(self) -> str | None:
        """As https://www.w3.org/TR/trace-context/#traceparent-header says; None for NO_SPAN."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.sampled:02x}" if self.trace_id else None


NO_SPAN = SpanRef(0, 0, sampled=False)


class Finished(NamedTuple):
    """A span as it goes to the exporter: attributes by full name, times in ns since 1970.

    `error`: why it failed; None when it did not.
    """

    name: str
    kind: SpanKind
    ref: SpanRef
    parent: SpanRef | None
    links: tuple[SpanRef, ...]
    start_ns: int
    end_ns: int
    attributes: Mapping[str, AttributeValue]
    error: str | None


class Backend(Protocol):
    """Where finished spans go."""

    def sampled(self, trace_id: int, name: str, kind: SpanKind) -> bool:
        """Whether a new trace is to be exported."""

    def emit(self, span: Finished) -> None:
        """Take a span that is to be exported. It must not block."""


class Tracer:
    """Makes spans. `on` is False when there is nowhere to send them; OFF is such a one.

    Attributes are given by their keys, as with cells; one whose value is None is left out. A mistake is a SpanError.
    """

    def __init__(
        self, registry: Registry | None = None, backend: Backend | None = None, ids: random.Random | None = None
    ) -> None:
        self.on = backend is not None
        self._backend = backend
        self._bits = (ids or random.Random()).getrandbits
        self._spans = {} if registry is None else registry.spans
        self._keys = {
            name: {use.attribute.key: use.attribute for use in span.attributes} for name, span in self._spans.items()
        }
        self._required = {
            name: [use.attribute.key for use in span.attributes if use.required] for name, span in self._spans.items()
        }

    def new_ref(self, name: str, parent: SpanRef | None = None) -> SpanRef:
        """The identity of a span that is made later (`ref=`), so that its children can be made before it."""
        if self._backend is None:
            return NO_SPAN
        if parent is not None and parent.trace_id:
            return SpanRef(parent.trace_id, self._bits(64) or 1, parent.sampled)
        trace_id = self._bits(128) or 1
        return SpanRef(trace_id, self._bits(64) or 1, self._backend.sampled(trace_id, name, self._span(name).kind))

    def span(  # noqa: PLR0913 - a span has so many parts
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, AttributeValue | None],
        *,
        ref: SpanRef | None = None,
        parent: SpanRef | None = None,
        links: Iterable[SpanRef] = (),
        error: str | BaseException | None = None,
    ) -> SpanRef:
        """Make a finished span; its identity. Times in ns since 1970.

        `error` as a text is the class of the failure (`error.type`), of which there are few; an exception's class and
        message are used.
        """
        if self._backend is None:
            return NO_SPAN
        known = self._span(name)
        if ref is None:
            ref = self.new_ref(name, parent)
        full = self._attributes(known, attributes, error)
        if ref.sampled:
            kept = tuple(link for link in links if link)
            status = None if error is None else _status(error)
            over = parent if parent is not None and parent.trace_id else None
            end_ns = max(start_ns, end_ns)  # the wall clock may have been set back meanwhile
            self._backend.emit(Finished(name, known.kind, ref, over, kept, start_ns, end_ns, full, status))
        return ref

    def begin(
        self,
        name: str,
        start_ns: int,
        attributes: Mapping[str, AttributeValue | None],
        *,
        ref: SpanRef | None = None,
        parent: SpanRef | None = None,
        links: Iterable[SpanRef] = (),
    ) -> OpenSpan:
        """A span whose end is not known yet. It is exported when it ends, and not at all if it never does."""
        if ref is None:
            ref = self.new_ref(name, parent)
        return OpenSpan(self, name, start_ns, attributes, ref, parent, tuple(links))

    def _span(self, name: str) -> Span:
        found = self._spans.get(name)
        if found is None:
            raise SpanError(f"{name}: no such span in telemetry/schema{nearest(name, self._spans)}")
        return found

    def _attributes(
        self, span: Span, given: Mapping[str, AttributeValue | None], error: str | BaseException | None
    ) -> dict[str, AttributeValue]:
        known = self._keys[span.name]
        full: dict[str, AttributeValue] = {}
        for key, value in given.items():
            attribute = known.get(key)
            if attribute is None:
                raise SpanError(
                    f"{span.name}: {key}: no such attribute{nearest(key, known)} (it has: {', '.join(known)})"
                )
            if value is not None:
                if wrong := attribute.objection(value):
                    raise SpanError(f"{span.name}: {key}: {wrong}")
                full[attribute.name] = value
        for key in self._required[span.name]:
            if given.get(key) is None:
                raise SpanError(f"{span.name}: {key}: expected a value, found none")
        if error is not None and "error_type" in known:
            full.setdefault("error.type", error if isinstance(error, str) else type(error).__name__)
        return full


class OpenSpan:
    """A span that has begun. `ref` is its identity."""

    __slots__ = ("_attributes", "_links", "_name", "_open", "_parent", "_start_ns", "_tracer", "ref")

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        start_ns: int,
        attributes: Mapping[str, AttributeValue | None],
        ref: SpanRef,
        parent: SpanRef | None,
        links: tuple[SpanRef, ...],
    ) -> None:
        self.ref = ref
        self._tracer = tracer
        self._name = name
        self._start_ns = start_ns
        self._attributes = dict(attributes)
        self._parent = parent
        self._links = links
        self._open = True

    def set(self, **attributes: AttributeValue | None) -> None:
        """Add attributes, by their keys."""
        self._attributes.update(attributes)

    def end(self, end_ns: int, error: str | BaseException | None = None) -> None:
        """Finish the span, at ns since 1970. Only the first end counts."""
        if self._open:
            self._open = False
            self._tracer.span(
                self._name,
                self._start_ns,
                end_ns,
                self._attributes,
                ref=self.ref,
                parent=self._parent,
                links=self._links,
                error=error,
            )


OFF = Tracer()
"""The tracer that makes nothing."""

_current: ContextVar[SpanRef] = ContextVar("marketprism_span", default=NO_SPAN)


class inside:  # noqa: N801 - it reads as the statement that it is: `with inside(ref):`
    """Log lines written within carry the ids of this span."""

    __slots__ = ("_ref", "_token")

    def __init__(self, ref: SpanRef) -> None:
        self._ref = ref
        self._token: Token[SpanRef] | None = None

    def __enter__(self) -> None:
        if self._ref.trace_id:
            self._token = _current.set(self._ref)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _current.reset(self._token)


def current() -> SpanRef:
    """The span that the code is inside of; NO_SPAN when there is none."""
    return _current.get()


def _status(error: str | BaseException) -> str:
    return redact(error if isinstance(error, str) else f"{type(error).__name__}: {error}")
