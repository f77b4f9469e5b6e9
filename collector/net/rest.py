"""REST GETs: one client for one host of one API family, on a budget that it shares with all others of that family.

It never retries and never raises for what a network does: every `get` ends in a Reply, and who asked decides what to
do. It waits for the budget, bounds the time and the size of an answer, follows no redirect, and closes the pool when
the venue says so: by status (429, 418) or in whatever way the venue's own `throttled` finds in the answer (Kraken
reports its limits inside HTTP 200 bodies).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
from yarl import URL

from collector.clock import SECOND_NS, Clock
from collector.net.budget import Budget, retry_after_s
from collector.net.failures import Failure, describe, failure
from telemetry.redaction import redact

Throttled = Callable[[int, Mapping[str, str], bytes], float | None]
"""Status, headers, body → seconds for which this answer closes the pool, or None. Every venue has its own."""

MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a GET gave. `status` 0: no HTTP answer, and then `failure` and `text` say why. `request` is the URL that was
    really asked.
    """

    status: int
    body: bytes
    request: str
    failure: Failure | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class RestCall:
    """One finished GET, for telemetry. `seconds`: from sending to the last byte; 0.0 when it was never sent (`failure`
    is "budget").
    """

    endpoint: str
    host: str
    status: int
    failure: Failure | None
    text: str
    seconds: float
    paused_s: float
    """For how long this answer closed the pool; 0.0 when it did not."""
    request: str = ""
    """The URL that was asked, redacted."""


@dataclass(frozen=True, slots=True)
class RestLimits:
    """Seconds and bytes."""

    connect_s: float = 5.0
    total_s: float = 15.0
    max_wait_s: float = 15.0
    """The longest wait for the budget."""
    max_body: int = MAX_BODY


class RestClient:
    """GETs from one base URL. `used_header`: the response header with the weight used, where the venue sends one."""

    def __init__(  # noqa: PLR0913 (everything it needs is passed in)
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        budget: Budget,
        clock: Clock,
        *,
        used_header: str | None = None,
        throttled: Throttled | None = None,
        on_call: Callable[[RestCall], None] | None = None,
        limits: RestLimits | None = None,
    ) -> None:
        self._session = session
        self._base = base_url.rstrip("/")
        self.host = URL(base_url).host or ""
        self.budget = budget
        self._clock = clock
        self._used_header = used_header
        self._throttled = throttled
        self._on_call = on_call
        self._limits = limits or RestLimits()
        self._timeout = aiohttp.ClientTimeout(total=self._limits.total_s, connect=self._limits.connect_s)

    async def get(
        self,
        endpoint: str,
        path: str,
        params: Sequence[tuple[str, str]] = (),
        *,
        weight: int = 1,
        important: bool = True,
    ) -> Reply:
        """GET `path`. `endpoint` is its bounded name for telemetry; `weight` its cost in the pool's unit."""
        url = URL(self._base + path).extend_query(params) if params else URL(self._base + path)
        request = redact(str(url))
        late_s = await self.budget.acquire(weight, important=important, max_wait_s=self._limits.max_wait_s)
        if late_s:
            why = "is closed by the venue" if self.budget.paused_s else "is used up"
            reply = Reply(0, b"", request, "budget", f"the pool {self.budget.name} {why}; it opens in {late_s:.0f} s")
            self._tell(endpoint, reply, 0.0, 0.0)
            return reply
        start = self._clock().mono_ns
        pause_s = 0.0
        try:
            async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as response:
                self._take_count(response.headers)
                # Before the body: nobody else may ask while it is still arriving.
                after, venue_s = response.headers.get("Retry-After"), self._venue_s(response, b"")
                pause_s = self._pause(retry_after_s(response.status, after, self._clock().wall_us, venue_s))
                body = await self._read(response)
        except _BodyTooBigError:
            reply = Reply(0, b"", request, "too_big", f"the answer is longer than {self._limits.max_body} bytes")
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            reply = Reply(0, b"", request, failure(error), describe(error))
        else:
            pause_s = max(pause_s, self._pause(self._venue_s(response, body)))
            reply = Reply(response.status, body, request)
        self._tell(endpoint, reply, (self._clock().mono_ns - start) / SECOND_NS, pause_s)
        return reply

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._limits.max_body:
                raise _BodyTooBigError
        return bytes(body)

    def _take_count(self, headers: Mapping[str, str]) -> None:
        text = headers.get(self._used_header, "") if self._used_header else ""
        if re.fullmatch(r"[0-9]{1,9}", text):
            self.budget.told(int(text))

    def _venue_s(self, response: aiohttp.ClientResponse, body: bytes) -> float | None:
        return None if self._throttled is None else self._throttled(response.status, response.headers, body)

    def _pause(self, seconds: float | None) -> float:
        if seconds is None:
            return 0.0
        self.budget.pause(seconds)
        return seconds

    def _tell(self, endpoint: str, reply: Reply, seconds: float, pause_s: float) -> None:
        if self._on_call is not None:
            self._on_call(
                RestCall(endpoint, self.host, reply.status, reply.failure, reply.text, seconds, pause_s, reply.request)
            )


class _BodyTooBigError(Exception):
    """The body passed its bound."""
