"""The wires: what brings telemetry to its receiver, over HTTP or, when asked for, over gRPC.

It owns the choice between the two and the one HTTP request of the metrics; spans and log records go through the
OpenTelemetry exporters, which retry. Metrics do not: they are cumulative, so the next export carries all. It must
never let a secret into an error and never import gRPC unless it is asked for.

OTLP: https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from telemetry.export import Sender, SendError
from telemetry.otlp_settings import Target, TelemetryError
from telemetry.redaction import redact

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.trace.export import SpanExporter

_LONGEST_ANSWER = 64 * 1024
_COMPRESSIONS: Mapping[str, Compression] = {"none": Compression.NoCompression, "gzip": Compression.Gzip}


class Session(requests.Session):
    """One that trusts the authority that it was told to, even where REQUESTS_CA_BUNDLE names another.

    requests lets the environment decide: https://github.com/psf/requests/issues/3829
    """

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - handed on as they are
        """As requests does, with this session's own authority."""
        return super().request(*args, **{"verify": self.verify, **kwargs})


class HttpSender:
    """Posts metrics to `target`. One connection is kept. Implements `export.Sender`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._session = Session()
        self._session.verify = target.certificate or True
        if target.client_certificate is not None:
            self._session.cert = (
                (target.client_certificate, target.client_key) if target.client_key else target.client_certificate
            )
        self._headers = {**target.headers, "content-type": "application/x-protobuf", "user-agent": "marketprism"}
        if target.compression == "gzip":
            self._headers["content-encoding"] = "gzip"

    def send(self, body: bytes, timeout_s: float) -> int:
        """See Sender."""
        if self._target.compression == "gzip":
            body = gzip.compress(body, 1)
        timeout_s = min(timeout_s, self._target.timeout_s)
        try:
            try:
                return self._post(body, timeout_s)
            except requests.ConnectionError:
                return self._post(body, timeout_s)  # the kept connection may have been closed while it was idle
        except requests.RequestException as error:
            raise SendError(redact(f"{type(error).__name__}: {error}")) from error

    def close(self) -> None:
        """See Sender."""
        self._session.close()

    def _post(self, body: bytes, timeout_s: float) -> int:
        with self._session.post(
            self._target.endpoint,
            data=body,
            headers=self._headers,
            timeout=timeout_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            said = next(answer.iter_content(_LONGEST_ANSWER), b"")
            if not 200 <= answer.status_code < 300:
                raise SendError(f"HTTP {answer.status_code} {redact(answer.reason or '')}".rstrip())
        return refused(said)


def refused(answer: bytes) -> int:
    """How many data points a successful answer says were not taken.

    https://opentelemetry.io/docs/specs/otlp/#partial-success-1 ; an answer that is none of OTLP's says nothing.
    """
    try:
        response = ExportMetricsServiceResponse.FromString(answer)
        return int(response.partial_success.rejected_data_points)
    except DecodeError:
        return 0


def metric_sender(target: Target) -> Sender:
    """What brings the metrics there."""
    if target.protocol == "http/protobuf":
        return HttpSender(target)
    _require_grpc()
    from telemetry.otlp_grpc import GrpcSender  # noqa: PLC0415 - gRPC is imported only when it is asked for

    return GrpcSender(target)


def span_exporter(target: Target, meters: MeterProvider | None) -> SpanExporter:
    """The OpenTelemetry exporter of spans. `meters` counts what it does."""
    if target.protocol == "http/protobuf":
        return OTLPSpanExporter(
            target.endpoint,
            target.certificate,
            target.client_key,
            target.client_certificate,
            dict(target.headers),
            target.timeout_s,
            _COMPRESSIONS[target.compression],
            Session(),
            meter_provider=meters,
        )
    _require_grpc()
    from telemetry.otlp_grpc import grpc_span_exporter  # noqa: PLC0415 - as above

    return grpc_span_exporter(target, meters)


def log_exporter(target: Target, meters: MeterProvider | None) -> LogRecordExporter:
    """The OpenTelemetry exporter of log records. As `span_exporter`."""
    if target.protocol == "http/protobuf":
        return OTLPLogExporter(
            target.endpoint,
            target.certificate,
            target.client_key,
            target.client_certificate,
            dict(target.headers),
            target.timeout_s,
            _COMPRESSIONS[target.compression],
            Session(),
            meter_provider=meters,
        )
    _require_grpc()
    from telemetry.otlp_grpc import grpc_log_exporter  # noqa: PLC0415 - as above

    return grpc_log_exporter(target, meters)


def _require_grpc() -> None:
    try:
        import opentelemetry.exporter.otlp.proto.grpc  # noqa: F401, PLC0415 - as above
    except ModuleNotFoundError:
        raise TelemetryError(
            "OTEL_EXPORTER_OTLP_PROTOCOL: grpc needs the extra `grpc`: pip install 'marketprism[grpc]'"
        ) from None
