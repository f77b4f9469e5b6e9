"""OTLP over gRPC. Imported only when OTEL_EXPORTER_OTLP_PROTOCOL says grpc: the library is large.

It owns the channel of the metrics, which sends bytes that are serialised already; spans and log records go through
the OpenTelemetry exporters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from telemetry.export import SendError
from telemetry.otlp_settings import Target
from telemetry.redaction import redact

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


class GrpcSender:
    """Sends metrics to `target`. Implements `export.Sender`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._metadata = tuple(target.headers.items())
        address, compression = urlsplit(target.endpoint).netloc, _compression(target)
        self._channel = (
            grpc.insecure_channel(address, compression=compression)
            if target.insecure
            else grpc.secure_channel(address, _credentials(target), compression=compression)
        )
        self._export: Callable[..., bytes] = self._channel.unary_unary(_METHOD)

    def send(self, body: bytes, timeout_s: float) -> int:
        """See Sender."""
        from telemetry.otlp_senders import refused  # noqa: PLC0415 - that module imports this one

        try:
            answer = self._export(body, timeout=min(timeout_s, self._target.timeout_s), metadata=self._metadata)
        except grpc.RpcError as error:
            code, details = getattr(error, "code", None), getattr(error, "details", None)
            raise SendError(
                redact(f"{code() if code else type(error).__name__}: {details() if details else ''}")
            ) from error
        return refused(answer)

    def close(self) -> None:
        """See Sender."""
        self._channel.close()


def grpc_span_exporter(target: Target, meters: MeterProvider | None) -> OTLPSpanExporter:
    """The OpenTelemetry exporter of spans over gRPC."""
    return OTLPSpanExporter(
        target.endpoint,
        target.insecure,
        None if target.insecure else _credentials(target),
        dict(target.headers),
        target.timeout_s,
        _compression(target),
        meter_provider=meters,
    )


def grpc_log_exporter(target: Target, meters: MeterProvider | None) -> OTLPLogExporter:
    """The OpenTelemetry exporter of log records over gRPC."""
    return OTLPLogExporter(
        target.endpoint,
        target.insecure,
        None if target.insecure else _credentials(target),
        dict(target.headers),
        target.timeout_s,
        _compression(target),
        meter_provider=meters,
    )


def _compression(target: Target) -> grpc.Compression:
    return grpc.Compression.Gzip if target.compression == "gzip" else grpc.Compression.NoCompression


def _credentials(target: Target) -> grpc.ChannelCredentials:
    root, key, chain = (
        None if path is None else Path(path).read_bytes()
        for path in (target.certificate, target.client_key, target.client_certificate)
    )
    return grpc.ssl_channel_credentials(root, key, chain)
