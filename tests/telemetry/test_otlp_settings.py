"""The standard OTEL_ variables mean what the standard says, and a mistake in one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.otlp_settings import Target, TelemetryError, read_settings
from telemetry.redaction import redact

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}


def target(signal: str = "traces", **more: str) -> Target:
    environ = BASE | {f"OTEL_{name}": value for name, value in more.items()}
    return {str(name): found for name, found in read_settings(environ).targets.items()}[signal]


def test_without_an_endpoint_everything_is_off_and_it_says_why() -> None:
    settings = read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "  ", "OTHER": "x"})
    assert settings.targets == {}
    assert settings.why_off == "OTEL_EXPORTER_OTLP_ENDPOINT is not set"


def test_the_sdk_can_be_disabled() -> None:
    settings = read_settings(BASE | {"OTEL_SDK_DISABLED": "True"})
    assert (settings.targets, settings.why_off) == ({}, "OTEL_SDK_DISABLED is true")


def test_one_endpoint_serves_all_signals_each_at_its_path() -> None:
    found = read_settings(BASE).targets
    assert {signal: at.endpoint for signal, at in found.items()} == {
        signal: f"http://collector:4318/v1/{signal}" for signal in ("traces", "metrics", "logs")
    }
    assert target() == Target(
        "http://collector:4318/v1/traces", "http/protobuf", "none", 10.0, {}, None, None, None, insecure=True
    )


def test_a_signal_may_have_its_own_endpoint_which_is_taken_as_it_is() -> None:
    found = read_settings({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://logs:1/otlp"}).targets
    assert list(found) == ["logs"]
    assert (found["logs"].endpoint, found["logs"].insecure) == ("https://logs:1/otlp", False)


def test_a_signal_may_be_left_out() -> None:
    assert list(read_settings(BASE | {"OTEL_TRACES_EXPORTER": "none"}).targets) == ["metrics", "logs"]


def test_a_signals_own_setting_stands_before_the_general_one(tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.touch()
    more = {
        "EXPORTER_OTLP_TIMEOUT": "2000",
        "EXPORTER_OTLP_TRACES_TIMEOUT": "500",
        "EXPORTER_OTLP_COMPRESSION": "gzip",
        "EXPORTER_OTLP_HEADERS": "a=1",
        "EXPORTER_OTLP_TRACES_HEADERS": "b=2, C = x%20y ,",
        "EXPORTER_OTLP_CERTIFICATE": str(pem),
    }
    traces, logs = target("traces", **more), target("logs", **more)
    assert (traces.timeout_s, logs.timeout_s) == (0.5, 2.0)
    assert (traces.headers, logs.headers) == ({"b": "2", "c": "x y"}, {"a": "1"})
    assert (traces.compression, traces.certificate) == ("gzip", str(pem))


@pytest.mark.parametrize(
    ("endpoint", "insecure", "expected"),
    [
        ("collector:4317", "", ("https://collector:4317", False)),
        ("collector:4317", "true", ("http://collector:4317", True)),
        ("http://collector:4317", "", ("http://collector:4317", True)),
        ("https://collector:4317", "true", ("https://collector:4317", False)),
    ],
)
def test_grpc_takes_an_address_without_a_path(endpoint: str, insecure: str, expected: tuple[str, bool]) -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_INSECURE": insecure}
    found = read_settings(environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}).targets["metrics"]
    assert (found.endpoint, found.insecure, found.protocol) == (*expected, "grpc")


def test_metrics_go_out_every_five_seconds_and_queues_are_bounded_unless_told_otherwise() -> None:
    settings = read_settings(BASE)
    assert (settings.interval_ms, settings.spans.queue, settings.logs.queue) == (5000, 2048, 2048)
    told = read_settings(
        BASE
        | {"OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BLRP_SCHEDULE_DELAY": "50"}
    )
    assert (told.interval_ms, told.spans.queue, told.spans.batch, told.logs.delay_ms) == (1000, 100, 100, 50)


def test_the_resource_may_be_added_to_and_named() -> None:
    settings = read_settings({"OTEL_RESOURCE_ATTRIBUTES": "a=b%2Cc,service.name=x", "OTEL_SERVICE_NAME": "mine"})
    assert settings.resource == {"a": "b,c", "service.name": "mine"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EXPORTER_OTLP_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL: expected http/protobuf or grpc"),
        ("EXPORTER_OTLP_ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT: expected an address as in http"),
        ("EXPORTER_OTLP_ENDPOINT", "http://h:99999", "OTEL_EXPORTER_OTLP_ENDPOINT: expected an address as in http"),
        ("EXPORTER_OTLP_LOGS_ENDPOINT", "ftp://h", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: expected an address"),
        ("EXPORTER_OTLP_TIMEOUT", "ten", "OTEL_EXPORTER_OTLP_TIMEOUT: expected a whole number from 1 to"),
        (
            "EXPORTER_OTLP_COMPRESSION",
            "zip",
            "COMPRESSION: expected none or gzip, did you mean gzip",
        ),
        ("EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca", "OTEL_EXPORTER_OTLP_CERTIFICATE: expected a PEM file"),
        ("SDK_DISABLED", "yes", "OTEL_SDK_DISABLED: expected true or false"),
        ("TRACES_EXPORTER", "jaeger", "OTEL_TRACES_EXPORTER: expected otlp or none"),
        ("METRIC_EXPORT_INTERVAL", "0", "OTEL_METRIC_EXPORT_INTERVAL: expected a whole number from 1"),
        ("BSP_MAX_EXPORT_BATCH_SIZE", "4096", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: expected at most OTEL_BSP_MAX_QUEUE"),
        ("RESOURCE_ATTRIBUTES", "a=b,c", "OTEL_RESOURCE_ATTRIBUTES: expected name=value pairs .* number 2 is none"),
    ],
)
def test_a_mistake_is_named_with_its_variable(name: str, value: str, message: str) -> None:
    with pytest.raises(TelemetryError, match=message):
        target(**{name: value})


def test_a_malformed_header_is_named_by_its_number_never_by_its_text() -> None:
    with pytest.raises(TelemetryError, match=r"OTEL_EXPORTER_OTLP_HEADERS: .* number 2 is none") as caught:
        target(EXPORTER_OTLP_HEADERS="a=b,Bearer of-secrets-0815")
    assert "0815" not in str(caught.value)


def test_a_password_in_an_address_is_in_no_error() -> None:
    with pytest.raises(TelemetryError) as caught:
        target(EXPORTER_OTLP_ENDPOINT="ftp://me:endpoint-pass-77@h")
    assert "endpoint-pass-77" not in str(caught.value)
    assert redact("it was endpoint-pass-77") == "it was ***"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("api-key=short-1", "short-1"),
        ("x-team=long-enough-to-be-one", "long-enough-to-be-one"),
        ("authorization=Bearer%20bearer-credential-5", "bearer-credential-5"),
        ("authorization=Basic%20bWU6YmFzaWMtcGFzcy05OQ==", "basic-pass-99"),
    ],
)
def test_the_value_of_a_header_is_kept_out_of_everything(headers: str, said: str) -> None:
    target(EXPORTER_OTLP_HEADERS=headers)
    assert said not in redact(f"somebody says {said}")


def test_a_short_header_that_is_no_secret_does_not_make_logs_unreadable() -> None:
    target(EXPORTER_OTLP_HEADERS="x-tenant=prod-eu")
    assert redact("we run in prod-eu") == "we run in prod-eu"


def test_a_target_shown_to_people_holds_neither_password_nor_headers() -> None:
    found = target(EXPORTER_OTLP_ENDPOINT="http://me:shown-pass-1@h:1", EXPORTER_OTLP_HEADERS="api-key=shown-key-1")
    assert found.host == "h:1"
    assert "shown-key-1" not in repr(found)
