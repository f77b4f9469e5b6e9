"""Asks a running collector's /health; what `marketprism health` is made of.

Blocking and small on purpose: a health command must work on a host where everything else is in trouble. It reads no
configuration and judges nothing: the collector has judged.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

TIMEOUT_S = 5.0
MAX_BODY = 16 * 1024 * 1024


class UnreachableError(Exception):
    """No collector answers there; the message says where and what came instead."""


class _Answer(Struct):
    status: str
    not_ok: list[str]


def url_of(host: str, port: int) -> str:
    """Where a collector that listens on `host` can be asked from this host."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what it may listen on, not what we bind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def ask(url: str) -> tuple[str, list[str]]:
    """The status and what is not ok. Raises UnreachableError."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UnreachableError(f"{url}: expected a URL such as http://127.0.0.1:8080") from error
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise UnreachableError(f"{url}: expected a URL such as http://127.0.0.1:8080")
    where = url if parts.path.rstrip("/") else f"{url.rstrip('/')}/health"
    # no proxy: the question is how this very address is
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        body = _body(opener, where)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UnreachableError(f"{where}: cannot be reached: {getattr(reason, 'strerror', None) or reason}") from error
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError as error:
        raise UnreachableError(f"{where}: what answers there is not a MarketPrism collector") from error
    return answer.status, answer.not_ok


def _body(opener: urllib.request.OpenerDirector, where: str) -> bytes:
    try:
        with opener.open(where, timeout=TIMEOUT_S) as response:
            return bytes(response.read(MAX_BODY))
    except urllib.error.HTTPError as error:  # failing health comes as 503, with its report, which may hang too
        with error:
            return error.read(MAX_BODY)
