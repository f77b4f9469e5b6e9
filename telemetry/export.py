"""Sends the cells as OpenTelemetry metrics: the exporter that the SDK's own periodic reader drives.

It owns the protobuf of every series, built once by the SDK's encoder; an export only patches numbers, times and
exemplars (40 times cheaper than observable instruments, which know no histograms and no exemplars). It runs in the
reader's thread beside the event loop, so it must never hold the interpreter for long: pieces are small, and it sleeps
for an instant between them. It must never lose a number: what it sends is cumulative, so the next export has
everything, and an exemplar is sent until one export with it succeeded.

What the SDK has measured itself goes first in the same request. Watched cells are read where they live, on the event
loop (`ask`); those that do not answer have no value in this export, for an old one would look like a new one.

Data model: https://opentelemetry.io/docs/specs/otel/metrics/data-model/
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as MetricProto
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from telemetry.cells import AnyFamily, Cell, Exemplar, Histogram, Number
from telemetry.ledger import Ledger
from telemetry.redaction import clean, redact
from telemetry.turns import Turns, breathe

SCOPE = "marketprism"
SERIES_PER_PIECE = 250
"""One C call to serialise so many takes less than 0.1 ms."""
SERIES_PER_BREATH = 25

Read = Callable[[], dict[Cell, float]]
Ask = Callable[[Read], dict[Cell, float]]
"""Runs a function where the watched cells live, and gives what it gives; nothing when there is no answer in time."""


class SendError(Exception):
    """A request was not taken. The message says why, and holds no secret."""


class Sender(Protocol):
    """Brings one request to the receiver. Used by one thread at a time."""

    def send(self, body: bytes, timeout_s: float) -> int:
        """Deliver a serialised ExportMetricsServiceRequest; how many points were refused. SendError if it fails."""

    def close(self) -> None:
        """Give back what it holds."""


class CellExporter(sdk.MetricExporter):
    """Exports families of cells, and what the reader gives, through `sender`.

    `now_ns` tells the time in ns since 1970, `breathe` lets other threads run.
    """

    def __init__(
        self,
        families: Sequence[AnyFamily],
        sender: Sender,
        ledger: Ledger,
        turns: Turns,
        *,
        ask: Ask = lambda read: read(),
        now_ns: Callable[[], int] = time.time_ns,
        breathe: Callable[[], None] = breathe,
    ) -> None:
        super().__init__()
        self._encoders = [_FamilyEncoder(family) for family in families]
        self._sender = sender
        self._ledger = ledger
        self._turns = turns
        self._ask = ask
        self._now_ns = now_ns
        self._breathe = breathe
        self._resource_field = b""
        self._scope_field = b""
        self._resource: Resource | None = None

    def export(
        self, metrics_data: sdk.MetricsData, timeout_millis: float = 10_000, **_: object
    ) -> sdk.MetricExportResult:
        """See MetricExporter."""
        try:
            with self._turns.turn():
                self._breathe()
                body, points = self.request(metrics_data)
                self._breathe()
            refused = self._sender.send(body, timeout_millis / 1000)
        except SendError as error:
            self._ledger.failed(0, str(error), admitted=False)
            return sdk.MetricExportResult.FAILURE
        except Exception as error:  # the reader logs it and goes on; without this nobody else would know
            self._ledger.failed(0, redact(f"{type(error).__name__}: {error}"), admitted=False)
            raise
        for encoder in self._encoders:
            encoder.confirm()
        if refused:
            self._ledger.drop("rejected", refused)
        self._ledger.succeeded(points - refused, admitted=False)
        return sdk.MetricExportResult.SUCCESS

    def request(self, metrics_data: sdk.MetricsData) -> tuple[bytes, int]:
        """The serialised ExportMetricsServiceRequest of now, and how many data points it has."""
        encoded = encode_metrics(metrics_data)
        points = _clean_request(encoded)
        self._breathe()
        self._remember(metrics_data.resource_metrics[0].resource)
        watched = self._watched()
        pieces = list(self._pieces(self._now_ns(), watched))
        points += sum(encoder.points for encoder in self._encoders)
        ours = self._resource_field + _field(2, b"".join((self._scope_field, *pieces)))
        return encoded.SerializeToString() + _field(1, ours), points

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the name is the SDK's
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:  # noqa: ARG002 - as above
        """See MetricExporter."""
        self._sender.close()

    def _watched(self) -> dict[Cell, float]:
        cells = [cell for encoder in self._encoders for cell in encoder.watched()]
        return self._ask(lambda: {cell: cell.value() for cell in cells}) if cells else {}

    def _pieces(self, now: int, watched: dict[Cell, float]) -> Iterator[bytes]:
        """The metrics of one ScopeMetrics, with a breath after every SERIES_PER_BREATH series."""
        done = 0
        for encoder in self._encoders:
            for piece, series in encoder.pieces(now, watched, self._breathe):
                yield _field(2, piece)
                done += series
                if done >= SERIES_PER_BREATH:
                    self._breathe()
                    done = 0

    def _remember(self, resource: Resource) -> None:
        """Keep what stands before the metrics of every request."""
        if resource is self._resource:
            return
        request = encode_metrics(_data(resource, []))
        _clean_request(request)
        ours = request.resource_metrics[0]
        self._resource = resource
        self._resource_field = _field(1, ours.resource.SerializeToString())
        self._scope_field = _field(1, ours.scope_metrics[0].scope.SerializeToString())


class _FamilyEncoder:
    """One family's pieces. A piece is built anew only when other cells are in it."""

    def __init__(self, family: AnyFamily) -> None:
        self._family = family
        self._pieces: list[_Piece] = []
        self._generation = -1

    @property
    def points(self) -> int:
        """How many series there are."""
        return sum(len(piece.cells) for piece in self._pieces)

    def watched(self) -> list[Number[Any]]:
        """Cells whose value somebody has to be asked for."""
        self._refresh()
        cells = (cell for piece in self._pieces for cell in piece.cells)
        return [cell for cell in cells if isinstance(cell, Number) and cell.read is not None]

    def pieces(self, now: int, watched: dict[Cell, float], breathe: Callable[[], None]) -> Iterator[tuple[bytes, int]]:
        """Each piece, patched to now, serialised; and how many series it has."""
        for piece in self._pieces:
            piece.patch(now, watched, breathe)
            yield piece.metric.SerializeToString(), len(piece.cells)

    def confirm(self) -> None:
        """What was patched last has arrived."""
        for piece in self._pieces:
            piece.confirm()

    def _refresh(self) -> None:
        generation = self._family.generation
        if generation == self._generation:
            return
        self._generation = generation
        cells: list[Number[Any] | Histogram] = list(self._family.cells.values())
        before = self._pieces
        self._pieces = []
        for start in range(0, len(cells), SERIES_PER_PIECE):
            part = cells[start : start + SERIES_PER_PIECE]
            old = before[len(self._pieces)] if len(self._pieces) < len(before) else None
            self._pieces.append(old if old is not None and old.cells == part else _Piece(self._family, part))


class _Piece:
    """Some series of one family as a protobuf Metric that is kept and patched.

    `_sent` and `_pending` hold, for each series, the exemplar of each bucket that has arrived and that is on its way.
    """

    __slots__ = ("_gauge", "_pending", "_points", "_sent", "cells", "metric")

    def __init__(self, family: AnyFamily, cells: list[Number[Any] | Histogram]) -> None:
        self.cells = cells
        self.metric = _skeleton(family, cells)
        self._gauge = family.kind == "gauge"
        kind = self.metric.WhichOneof("data")
        self._points = list(getattr(self.metric, kind or "").data_points)
        self._sent: list[dict[int, Exemplar]] = [{} for _ in cells]
        self._pending: dict[int, dict[int, Exemplar]] = {}

    def patch(self, now: int, watched: dict[Cell, float], breathe: Callable[[], None]) -> None:
        """Write what the cells hold now into the protobuf."""
        self._pending = {}
        for i, (point, cell) in enumerate(zip(self._points, self.cells, strict=True)):
            point.time_unix_nano = now
            if isinstance(cell, Histogram):
                buckets, total = cell.b[:], cell.sum  # with no call in between: never a sum without its bucket
                point.bucket_counts[:] = buckets
                point.count = sum(buckets)
                point.sum = total
            else:
                self._patch_number(point, cell, watched)
            if not self._gauge and (cell.ex or point.exemplars):
                self._patch_exemplars(i, point, cell)
            if i % SERIES_PER_BREATH == SERIES_PER_BREATH - 1:
                breathe()

    def confirm(self) -> None:
        """The exemplars of the last patch have arrived."""
        for i, exemplars in self._pending.items():
            self._sent[i].update(exemplars)
        self._pending = {}

    def _patch_number(self, point: Any, cell: Number[Any], watched: dict[Cell, float]) -> None:  # noqa: ANN401 - generated
        if cell.read is None and not self._gauge:
            point.as_int = cell.n
            return
        value = float(cell.n) if cell.read is None else watched.get(cell, math.nan)
        if math.isnan(value):  # not known: Prometheus marks the series as stale
            point.flags = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
            point.ClearField("value")
        else:
            point.flags = 0
            point.as_double = value

    def _patch_exemplars(self, i: int, point: Any, cell: Cell) -> None:  # noqa: ANN401 - generated
        del point.exemplars[:]
        sent = self._sent[i]
        fresh = {bucket: exemplar for bucket, exemplar in list(cell.ex.items()) if sent.get(bucket) is not exemplar}
        for exemplar in fresh.values():
            point.exemplars.add(
                as_double=exemplar.value,
                time_unix_nano=exemplar.time_ns,
                trace_id=exemplar.trace_id.to_bytes(16, "big"),
                span_id=exemplar.span_id.to_bytes(8, "big"),
            )
        if fresh:
            self._pending[i] = fresh


def _skeleton(family: AnyFamily, cells: Sequence[Number[Any] | Histogram]) -> MetricProto:
    """The protobuf of the series as the SDK's encoder makes it, with zeros for numbers."""
    points: list[Any] = [
        sdk.HistogramDataPoint(cell.attrs, cell.start, 0, 0, 0.0, cell.b[:], family.bounds, None, None)  # type: ignore[arg-type]
        if isinstance(cell, Histogram)
        else sdk.NumberDataPoint(cell.attrs, cell.start, 0, 0)
        for cell in cells
    ]
    temporality = sdk.AggregationTemporality.CUMULATIVE
    data: Any
    if family.kind == "hist":
        data = sdk.Histogram(points, temporality)
    elif family.kind == "gauge":
        data = sdk.Gauge(points)
    else:
        data = sdk.Sum(points, temporality, is_monotonic=family.monotonic)
    request = encode_metrics(_data(Resource.get_empty(), [sdk.Metric(family.name, family.desc, family.unit, data)]))
    _clean_request(request)
    made: MetricProto = request.resource_metrics[0].scope_metrics[0].metrics[0]
    return made


def _data(resource: Resource, metrics: Sequence[sdk.Metric]) -> sdk.MetricsData:
    scope = sdk.ScopeMetrics(InstrumentationScope(SCOPE), metrics, "")
    return sdk.MetricsData([sdk.ResourceMetrics(resource, [scope], "")])


def _clean_request(request: ExportMetricsServiceRequest) -> int:
    """Redact every attribute; how many data points there are."""
    points = 0
    for of_resource in request.resource_metrics:
        for attribute in of_resource.resource.attributes:
            _clean_attribute(attribute)
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point in getattr(metric, metric.WhichOneof("data") or "").data_points:
                    points += 1
                    for attribute in point.attributes:
                        _clean_attribute(attribute)
    return points


def _clean_attribute(attribute: Any) -> None:  # noqa: ANN401 - generated
    if attribute.value.HasField("string_value"):
        attribute.value.string_value = str(clean(attribute.key, attribute.value.string_value))


def _field(number: int, payload: bytes) -> bytes:
    """One length-delimited field: https://protobuf.dev/programming-guides/encoding/#length-types"""
    head = bytearray([number << 3 | 2])
    length = len(payload)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + payload
