"""Names for what goes wrong on a network: bounded, so that they can be labels, and texts without secrets, so that they
can be logged.

It owns the two translations (exception to name, WebSocket close code to name) and nothing else. Names are few on
purpose: who needs the whole story reads the text beside them.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final, Literal

import aiohttp

from telemetry.redaction import redact

Failure = Literal["refused", "tls", "timeout", "http", "dns", "reset", "too_big", "budget", "error"]
"""Why a request or a handshake gave no useful answer. `http`: an answer with another status. `budget`: it was never
sent.
"""

CloseCause = Literal[
    "normal",  # the peer closed with 1000
    "going_away",  # 1001, a server that shuts down
    "policy",  # 1008
    "server_error",  # 1011
    "restart",  # 1012
    "try_later",  # 1013
    "other_code",  # any other code, or a Close frame without one
    "lost",  # TCP ended or broke without a Close frame; aiohttp does not say which
    "too_big",  # we refused an oversized frame
    "protocol_error",  # the peer broke the WebSocket protocol
    "silent_socket",  # not a byte for too long
    "error",  # anything else
]

_BY_CODE: Final[dict[int, CloseCause]] = {
    1000: "normal",
    1001: "going_away",
    1008: "policy",
    1011: "server_error",
    1012: "restart",
    1013: "try_later",
}
_BY_TYPE: Final[tuple[tuple[tuple[type[BaseException], ...], Failure], ...]] = (
    ((aiohttp.WSServerHandshakeError,), "http"),
    ((TimeoutError,), "timeout"),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), "dns"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "tls"),  # a certificate error is an SSLError
    ((ConnectionRefusedError,), "refused"),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionError), "reset"),
)
_MAX_TEXT = 300


def close_cause(code: int | None) -> CloseCause:
    """Name a close code that the peer sent (https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1)."""
    return _BY_CODE.get(code or 0, "other_code")


def failure(error: BaseException) -> Failure:
    """Name an exception of a handshake or a request."""
    # aiohttp wraps what the socket said; a TLS alert after the handshake comes as a plain connection error with its
    # cause.
    causes = [error, getattr(error, "os_error", None), error.__cause__]
    for types, name in _BY_TYPE:
        if any(isinstance(cause, types) for cause in causes):
            return name
    return "error"


def describe(error: BaseException | str) -> str:
    """Say what happened in one line, without secrets and never longer than a log line should be."""
    text = str(error).strip() or type(error).__name__ if isinstance(error, BaseException) else error
    return redact(" ".join(text.split()))[:_MAX_TEXT]
