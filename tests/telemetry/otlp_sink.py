"""A receiver of OTLP over HTTP in a thread of this process: it keeps what it was sent, decoded, and can misbehave."""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Mode = Literal["ok", "refuse", "hang", "slow", "partial", "forbid"]
_KINDS: Mapping[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


@dataclass
class Span:
    name: str
    trace_id: str
    span_id: str
    parent: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    links: list[str]
    status: str
    kind: int


@dataclass
class Log:
    event: str
    body: str
    severity: str
    time_ns: int
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass
class Point:
    """One data point: `value` of a number, None when there is none; count, sum and buckets of a histogram."""

    metric: str
    unit: str
    attributes: dict[str, Any]
    start_ns: int
    time_ns: int
    value: float | None
    count: int
    sum: float
    buckets: list[int]
    bounds: list[float]
    exemplars: list[Any]
    monotonic: bool | None
    temporality: int | None
    is_int: bool


@dataclass
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes
    message: Any


@dataclass
class OtlpSink:
    """`mode` may be changed at any time. `released` ends what hangs."""

    mode: Mode = "ok"
    slow_s: float = 0.2
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    refused: int = 0
    connections: list[socket.socket] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def setup(self) -> None:
                super().setup()
                sink.connections.append(self.connection)

            def do_POST(self) -> None:
                sink.handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:  # kept ones would be answered for ever
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        mode = self.mode
        if mode == "hang":
            self.released.wait(30)
        if mode == "slow":
            self.released.wait(self.slow_s)
        status, said = 200, b""
        if mode in {"refuse", "hang"}:
            status = 503
        elif mode == "forbid":
            status = 403
        else:
            plain = gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body
            path = "/v1/" + request.path.rpartition("/v1/")[2]  # a backend may have its own way before it
            message = _KINDS[path].FromString(plain)
            self.requests.append(Request(path, dict(request.headers.items()), plain, message))
            if mode == "partial" and path == "/v1/metrics":
                answer = ExportMetricsServiceResponse()
                answer.partial_success.rejected_data_points = 3
                said = answer.SerializeToString()
        self.refused += status != 200
        try:
            request.send_response(status)
            request.send_header("content-type", "application/x-protobuf")
            request.send_header("content-length", str(len(said)))
            request.end_headers()
            request.wfile.write(said)
        except OSError:
            request.close_connection = True

    def of(self, path: str) -> list[Request]:
        return [request for request in list(self.requests) if request.path == path]

    def spans(self) -> list[Span]:
        return [span for request in self.of("/v1/traces") for span in _spans(request.message)]

    def logs(self) -> list[Log]:
        return [log for request in self.of("/v1/logs") for log in _logs(request.message)]

    def points(self, last: int = 0) -> list[Point]:
        """Data points of all metric requests, or of the last few."""
        return [point for request in self.of("/v1/metrics")[-last:] for point in _points(request.message)]

    def metric(self, name: str, **attributes: object) -> Point:
        """The newest point of this metric with these attributes (dots as underscores, our prefix left out)."""
        wanted = {key: value for key, value in attributes.items() if value is not None}
        for request in reversed(self.of("/v1/metrics")):
            for point in _points(request.message):
                short = {key.removeprefix("marketprism.").replace(".", "_"): v for key, v in point.attributes.items()}
                if point.metric == name and wanted.items() <= short.items():
                    return point
        raise AssertionError(f"no point of {name} {wanted}")

    def resources(self) -> list[dict[str, Any]]:
        found = []
        for request in list(self.requests):
            fields = ("resource_spans", "resource_metrics", "resource_logs")
            groups = (item for name in fields for item in getattr(request.message, name, ()))
            found += [_attributes(group.resource.attributes) for group in groups]
        return found

    def text(self) -> str:
        """All that came, as text: for a search."""
        return "\n".join(f"{request.message}\n{request.body.decode('latin-1')}" for request in list(self.requests))

    def wait(self, condition: Callable[[OtlpSink], object], what: str, seconds: float = 10) -> None:
        """Poll until the condition holds."""
        pause = threading.Event()
        for _ in range(int(seconds / 0.02)):
            if condition(self):
                return
            pause.wait(0.02)
        raise AssertionError(f"after {seconds} s: not {what}")


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


def _attributes(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _spans(message: Any) -> Iterator[Span]:
    for of_resource in message.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Span(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    [link.span_id.hex() for link in span.links],
                    span.status.message if span.status.code == 2 else "",
                    span.kind,
                )


def _logs(message: Any) -> Iterator[Log]:
    for of_resource in message.resource_logs:
        for of_scope in of_resource.scope_logs:
            for log in of_scope.log_records:
                yield Log(
                    log.event_name,
                    _value(log.body),
                    log.severity_text,
                    log.time_unix_nano,
                    log.trace_id.hex(),
                    log.span_id.hex(),
                    _attributes(log.attributes),
                )


def _points(message: Any) -> Iterator[Point]:
    for of_resource in message.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                for point in data.data_points:
                    histogram = kind == "histogram"
                    number = None if histogram else point.WhichOneof("value")
                    yield Point(
                        metric.name,
                        metric.unit,
                        _attributes(point.attributes),
                        point.start_time_unix_nano,
                        point.time_unix_nano,
                        getattr(point, number) if number else None,
                        point.count if histogram else 0,
                        point.sum if histogram else 0.0,
                        list(point.bucket_counts) if histogram else [],
                        list(point.explicit_bounds) if histogram else [],
                        list(point.exemplars),
                        data.is_monotonic if kind == "sum" else None,
                        None if kind == "gauge" else data.aggregation_temporality,
                        number == "as_int",
                    )
