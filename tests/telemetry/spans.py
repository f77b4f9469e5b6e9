"""A tracer that keeps what it made, with the ids 1, 2, 3 and so on, checked against the real schema."""

from __future__ import annotations

import functools
import random
from itertools import count

from telemetry.model import SpanKind
from telemetry.registry import load_registry
from telemetry.tracing import Finished, Tracer

_registry = functools.cache(load_registry)
"""The schema, read once: it takes 0.1 s."""


class _Counting(random.Random):
    """Bits that count."""

    def __init__(self) -> None:
        super().__init__(0)
        self._next = count(1)

    def getrandbits(self, _k: int, /) -> int:
        return next(self._next)


class FakeTracer(Tracer):
    """`spans`: those that were made, by their full attribute names. `sampling`: what it answers for a new trace."""

    def __init__(self) -> None:
        self.spans: list[Finished] = []
        self.sampling = True
        super().__init__(_registry(), self, _Counting())

    def sampled(self, _trace_id: int, _name: str, _kind: SpanKind) -> bool:
        return self.sampling

    def emit(self, span: Finished) -> None:
        self.spans.append(span)

    def named(self, name: str) -> list[Finished]:
        return [span for span in self.spans if span.name == name]
