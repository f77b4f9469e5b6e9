"""The wires: TLS, headers, compression, failures; HTTP and gRPC."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from simulator.tls import Authority
from telemetry.export import SendError
from telemetry.otlp_senders import HttpSender, log_exporter, metric_sender, refused, span_exporter
from telemetry.otlp_settings import Target, TelemetryError, read_settings
from tests.telemetry.otlp_sink import OtlpSink

BODY = ExportMetricsServiceRequest().SerializeToString()
METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def target(url: str, **more: str) -> Target:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}
    return read_settings(environ | {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in more.items()}).targets[
        "metrics"
    ]


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as running:
        yield running


def send(at: Target, body: bytes = BODY, timeout_s: float = 1) -> int:
    sender = metric_sender(at)
    try:
        return sender.send(body, timeout_s)
    finally:
        sender.close()


def test_a_request_has_the_headers_of_the_protocol_and_those_that_were_asked_for(sink: OtlpSink) -> None:
    assert send(target(sink.url, HEADERS="x-scope=blue")) == 0
    (request,) = sink.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert (request.path, headers["content-type"], headers["x-scope"]) == (
        "/v1/metrics",
        "application/x-protobuf",
        "blue",
    )
    assert "content-encoding" not in headers


def test_gzip_makes_it_smaller_and_the_receiver_reads_the_same(sink: OtlpSink) -> None:
    message = ExportMetricsServiceRequest()
    message.resource_metrics.add(schema_url="x" * 5000)
    body = message.SerializeToString()
    send(target(sink.url, COMPRESSION="gzip"), body)
    assert sink.requests[0].body == body
    assert int(sink.requests[0].headers["Content-Length"]) < len(body) / 10


def test_refused_points_are_told(sink: OtlpSink) -> None:
    sink.mode = "partial"
    assert send(target(sink.url)) == 3


def test_an_answer_that_is_not_otlp_refuses_nothing() -> None:
    assert refused(b"<html>hello</html>") == 0


@pytest.mark.parametrize(("mode", "message"), [("forbid", "HTTP 403"), ("refuse", "HTTP 503")])
def test_a_refusal_is_an_error_with_its_status(sink: OtlpSink, mode: Any, message: str) -> None:
    sink.mode = mode
    with pytest.raises(SendError, match=message):
        send(target(sink.url))
    assert sink.refused == 1  # metrics are not tried again: the next export has it all


def test_a_receiver_that_does_not_answer_is_left_after_the_timeout(sink: OtlpSink) -> None:
    sink.mode = "hang"
    with pytest.raises(SendError, match="ReadTimeout"):
        send(target(sink.url), timeout_s=0.1)
    sink.released.set()


def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    with OtlpSink() as first:
        sender = HttpSender(target(first.url))
        sender.send(BODY, 1)
        port = first.url.rpartition(":")[2]
    with OtlpSink(port=int(port)) as second:
        sender.send(BODY, 1)
        assert len(second.requests) == 1
    sender.close()


def test_an_error_holds_no_password() -> None:
    with pytest.raises(SendError) as caught:
        send(target("http://me:wire-password-1@127.0.0.1:1"))
    assert "wire-password-1" not in f"{caught.value} {caught.value!r}"
    assert "ConnectionError" in str(caught.value)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate authority of our own, and a certificate and key for 127.0.0.1."""
    place = tmp_path_factory.mktemp("tls")
    made = Authority("otlp test")
    chain, key = made.issue(("127.0.0.1", "localhost"))
    for name, content in (("ca.pem", made.pem), ("chain.pem", chain), ("key.pem", key)):
        (place / name).write_bytes(content() if callable(content) else content)
    return place / "ca.pem", place / "chain.pem", place / "key.pem"


def server_context(authority: tuple[Path, Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority[1], authority[2])
    return context


def test_a_server_is_trusted_by_the_authority_that_is_named_and_by_no_other(
    authority: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().cafile or "")
    with OtlpSink(tls=server_context(authority)) as sink:
        send(target(sink.url, CERTIFICATE=str(authority[0])))
        assert len(sink.requests) == 1
        with pytest.raises(SendError, match=r"SSLError.*certificate verify failed"):
            send(target(sink.url))
        assert len(sink.requests) == 1


def client_pair(place: Path) -> tuple[Path, Path]:
    """A client's certificate that vouches for itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    lasts = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    made = lasts.sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (place / "client.pem").write_bytes(made.public_bytes(encoding))
    (place / "client.key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    return place / "client.pem", place / "client.key"


def test_a_client_shows_its_certificate(authority: tuple[Path, Path, Path], tmp_path: Path) -> None:
    context = server_context(authority)
    certificate, key = client_pair(tmp_path)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    shown = {"CERTIFICATE": str(authority[0]), "CLIENT_CERTIFICATE": str(certificate), "CLIENT_KEY": str(key)}
    with OtlpSink(tls=context) as sink:
        send(target(sink.url, **shown))
        assert len(sink.requests) == 1
        with pytest.raises(SendError):
            send(target(sink.url, CERTIFICATE=str(authority[0])))


class GrpcSink(grpc.GenericRpcHandler):
    """Answers the one call; `refuses` points."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.metadata: dict[str, str] = {}
        self.status: grpc.StatusCode | None = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method != METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(self._export)

    def _export(self, body: bytes, context: Any) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        if self.status is not None:
            context.abort(self.status, "no, planted-in-grpc-1")
        self.bodies.append(body)
        answer = ExportMetricsServiceResponse()
        answer.partial_success.rejected_data_points = 2
        return bytes(answer.SerializeToString())


@pytest.fixture
def grpc_sink() -> Iterator[tuple[GrpcSink, int]]:
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        handler = GrpcSink()
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield handler, port
        server.stop(0).wait()


def test_grpc_brings_the_same_bytes(grpc_sink: tuple[GrpcSink, int]) -> None:
    handler, port = grpc_sink
    at = target(f"http://127.0.0.1:{port}", PROTOCOL="grpc", HEADERS="x-scope=blue", COMPRESSION="gzip")
    assert send(at, b"") == 2
    assert handler.bodies == [b""]
    assert handler.metadata["x-scope"] == "blue"


def test_a_refusal_by_grpc_is_an_error_with_its_code_and_without_secrets(grpc_sink: tuple[GrpcSink, int]) -> None:
    handler, port = grpc_sink
    handler.status = grpc.StatusCode.PERMISSION_DENIED
    at = target(f"http://127.0.0.1:{port}", PROTOCOL="grpc", HEADERS="api-key=planted-in-grpc-1")
    with pytest.raises(SendError, match="PERMISSION_DENIED") as caught:
        send(at)
    assert "planted-in-grpc-1" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_spans_and_log_records_have_their_grpc_exporters(scheme: str) -> None:
    at = target(f"{scheme}://127.0.0.1:1", PROTOCOL="grpc")
    for exporter in (span_exporter(at, None), log_exporter(at, None)):
        assert "grpc" in type(exporter).__module__
        exporter.shutdown()  # type: ignore[no-untyped-call, unused-ignore]


def test_grpc_without_its_extra_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc", None)
    with pytest.raises(TelemetryError, match=r"grpc needs the extra `grpc`: pip install 'marketprism\[grpc\]'"):
        metric_sender(target("http://127.0.0.1:1", PROTOCOL="grpc"))


def test_grpc_is_imported_only_when_it_is_asked_for() -> None:
    code = "import sys, telemetry.setup; print('grpc' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_no_thread_is_left() -> None:
    assert [thread for thread in threading.enumerate() if thread.name.startswith("Otel")] == []
