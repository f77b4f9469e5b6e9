"""Where telemetry goes and how, from the standard OTEL_ environment variables.

It owns their meaning here, and must never let one be wrong in silence: a mistake is named with its variable and what
was expected, never with its value, which may be a secret. Every header that could be one is registered for redaction.
What is not read here (samplers, limits of spans and log records) the OpenTelemetry SDK reads itself.

The variables: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ . Timeouts are milliseconds, as there.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from telemetry.model import nearest
from telemetry.redaction import SHORTEST_SECRET, is_secret_name, register_secret

Signal = Literal["traces", "metrics", "logs"]
Protocol = Literal["http/protobuf", "grpc"]
Compression = Literal["none", "gzip"]

SIGNALS: tuple[Signal, ...] = get_args(Signal)
OTLP = "OTEL_EXPORTER_OTLP_"
ENDPOINT = f"{OTLP}ENDPOINT"
DEFAULT_TIMEOUT_MS = 10_000
DEFAULT_INTERVAL_MS = 5_000
"""Between two exports of metrics. OpenTelemetry says 60 s; alerts here are to be known within ten."""
_LONGEST_MS = 3_600_000
_MOST = 1_000_000
_LONG_ENOUGH = 16
"""Characters from which the value of any header counts as a secret."""


class TelemetryError(ValueError):
    """An OTEL_ variable is wrong, or a package that it needs is missing. The message says which."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where one signal goes. `endpoint` is whole, with its path; files are PEM. `headers` may hold secrets."""

    endpoint: str
    protocol: Protocol
    compression: Compression
    timeout_s: float
    headers: Mapping[str, str] = field(repr=False)
    certificate: str | None
    client_key: str | None
    client_certificate: str | None
    insecure: bool

    @property
    def host(self) -> str:
        """For people: host and port, without a password."""
        return urlsplit(self.endpoint).netloc.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Batching:
    """How spans or log records are collected: items, items, milliseconds."""

    queue: int
    batch: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the environment says. A signal without a target is off; `why_off` says why all are."""

    targets: Mapping[Signal, Target]
    why_off: str
    interval_ms: int
    spans: Batching
    logs: Batching
    resource: Mapping[str, str]


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check the variables. TelemetryError names the one that is wrong."""
    env = {name: value.strip() for name, value in environ.items() if name.startswith("OTEL_") and value.strip()}
    targets: dict[Signal, Target] = {}
    why_off = f"{ENDPOINT} is not set"
    if _choice(env, "OTEL_SDK_DISABLED", ("true", "false"), "false") == "true":
        why_off = "OTEL_SDK_DISABLED is true"
    else:
        for signal in SIGNALS:
            chosen = _choice(env, f"OTEL_{signal.upper()}_EXPORTER", ("otlp", "none"), "otlp")
            if chosen == "otlp" and (target := _target(env, signal)) is not None:
                targets[signal] = target
    return Settings(
        targets,
        "" if targets else why_off,
        _number(env, "OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL_MS, _LONGEST_MS),
        _batching(env, "OTEL_BSP_"),
        _batching(env, "OTEL_BLRP_"),
        _resource(env),
    )


def _target(env: Mapping[str, str], signal: Signal) -> Target | None:
    upper = signal.upper()

    def name(what: str) -> str:
        own = f"{OTLP}{upper}_{what}"
        return own if own in env else f"{OTLP}{what}"

    where = name("ENDPOINT")
    endpoint = env.get(where)
    if endpoint is None:
        return None
    protocol: Protocol = "http/protobuf"
    if _choice(env, name("PROTOCOL"), get_args(Protocol), protocol) == "grpc":
        protocol = "grpc"
    insecure = _choice(env, name("INSECURE"), ("true", "false"), "false") == "true"
    if protocol == "grpc" and "://" not in endpoint:
        endpoint = f"{'http' if insecure else 'https'}://{endpoint}"
    parts = _address(where, endpoint)
    if protocol == "http/protobuf" and where == ENDPOINT:
        endpoint = f"{endpoint.rstrip('/')}/v1/{signal}"
    compression: Compression = "none"
    if _choice(env, name("COMPRESSION"), get_args(Compression), compression) == "gzip":
        compression = "gzip"
    return Target(
        endpoint,
        protocol,
        compression,
        _number(env, name("TIMEOUT"), DEFAULT_TIMEOUT_MS, _LONGEST_MS) / 1000,
        _headers(env, name("HEADERS")),
        _file(env, name("CERTIFICATE")),
        _file(env, name("CLIENT_KEY")),
        _file(env, name("CLIENT_CERTIFICATE")),
        insecure=parts == "http",
    )


def _address(name: str, url: str) -> str:
    """The scheme of a good address. A password in it becomes a secret before anybody can see it."""
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise TelemetryError(f"{name}: expected an address as in http://127.0.0.1:4318") from None
    for secret in {parts.password or "", unquote(parts.password or "")}:
        _register(secret)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_fits:
        raise TelemetryError(f"{name}: expected an address as in http://127.0.0.1:4318")
    return parts.scheme


def _headers(env: Mapping[str, str], name: str) -> dict[str, str]:
    """Name to value of `a=b,c=d`, values percent-encoded. https://www.w3.org/TR/baggage/#header-content"""
    headers: dict[str, str] = {}
    for number, item in enumerate(env.get(name, "").split(","), 1):
        if not item.strip():
            continue
        header, equals, value = (part.strip() for part in item.partition("="))
        value = unquote(value)
        _register_header(header, value)
        if not equals or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", header) or not value.isprintable():
            raise TelemetryError(f"{name}: expected name=value pairs joined by commas; number {number} is none")
        headers[header.lower()] = value
    return headers


def _register_header(header: str, value: str) -> None:
    if not is_secret_name(header) and len(value) < _LONG_ENOUGH:
        return
    _register(value)
    scheme, _, credentials = value.partition(" ")
    if not credentials:
        return
    _register(credentials)
    if scheme.lower() == "basic":
        try:
            _register(base64.b64decode(credentials, validate=True).decode().partition(":")[2])
        except (binascii.Error, UnicodeDecodeError):
            return  # not base64: the text itself is registered


def _register(secret: str) -> None:
    if len(secret) >= SHORTEST_SECRET:
        register_secret(secret)


def _file(env: Mapping[str, str], name: str) -> str | None:
    path = env.get(name)
    if path is not None and not Path(path).is_file():
        raise TelemetryError(f"{name}: expected a PEM file, found none there")
    return path


def _batching(env: Mapping[str, str], prefix: str) -> Batching:
    queue = _number(env, f"{prefix}MAX_QUEUE_SIZE", 2048, _MOST)
    batch = _number(env, f"{prefix}MAX_EXPORT_BATCH_SIZE", min(128, queue), _MOST)
    if batch > queue:
        raise TelemetryError(f"{prefix}MAX_EXPORT_BATCH_SIZE: expected at most {prefix}MAX_QUEUE_SIZE, {queue}")
    return Batching(queue, batch, _number(env, f"{prefix}SCHEDULE_DELAY", 1000, _LONGEST_MS))


def _resource(env: Mapping[str, str]) -> dict[str, str]:
    name = "OTEL_RESOURCE_ATTRIBUTES"
    found: dict[str, str] = {}
    for number, item in enumerate(env.get(name, "").split(","), 1):
        if not item.strip():
            continue
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key:
            raise TelemetryError(f"{name}: expected name=value pairs joined by commas; number {number} is none")
        found[unquote(key)] = unquote(value)
    if service := env.get("OTEL_SERVICE_NAME"):
        found["service.name"] = service
    return found


def _choice(env: Mapping[str, str], name: str, values: tuple[str, ...], default: str) -> str:
    value = env.get(name, default).lower()
    if value not in values:
        raise TelemetryError(f"{name}: expected {' or '.join(values)}{nearest(value, values)}")
    return value


def _number(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = env.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise TelemetryError(f"{name}: expected a whole number from 1 to {most}")
    return int(text)
