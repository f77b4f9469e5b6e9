"""A client of Alertmanager's API v2: alerts, groups, silences, receivers, status; and its own metrics.

It owns the shapes of the API and its errors, and no opinion: `drill` and `ack` are made of it, and so can other
programs be. Every call ends within its timeout with a typed value or one of

    AlertmanagerError
    ├── UnreachableError   nobody answers there, or not in time
    ├── RefusedError       it answered with an error; `status` and its own words
    └── UnexpectedError    what answered is not Alertmanager's API v2

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml

    async with Alertmanager("http://127.0.0.1:9093") as alertmanager:
        for alert in await alertmanager.alerts(['alertname="CollectorDown"']):
            print(alert.labels, alert.status.state)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from msgspec import Struct

from alerting.errors import AlertingError
from telemetry.redaction import redact

T = TypeVar("T")
TIMEOUT_S = 10.0
MAX_ANSWER = 64 * 1024 * 1024


class AlertmanagerError(AlertingError):
    """Alertmanager could not be asked."""


class UnreachableError(AlertmanagerError):
    """Nobody answers there, or not in time."""


class RefusedError(AlertmanagerError):
    """It answered with an error. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UnexpectedError(AlertmanagerError):
    """What answered there does not speak API v2."""


class Matcher(Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition on one label. `is_regex` anchors the whole value; not `is_equal` turns it round."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


class Receiver(Struct, frozen=True):
    """A receiver, by its name in the configuration."""

    name: str


class AlertStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether people are told, and if not, why: ids of silences, fingerprints of alerts, names of time intervals."""

    state: Literal["unprocessed", "active", "suppressed"]
    silenced_by: list[str] = []
    inhibited_by: list[str] = []
    muted_by: list[str] = []


class Alert(Struct, frozen=True, kw_only=True, rename="camel"):
    """An alert as Alertmanager has it. `receivers`: those that its labels lead to."""

    labels: dict[str, str]
    annotations: dict[str, str]
    receivers: list[Receiver]
    fingerprint: str
    starts_at: datetime
    updated_at: datetime
    ends_at: datetime
    status: AlertStatus
    generator_url: str = msgspec.field(default="", name="generatorURL")


class AlertGroup(Struct, frozen=True, kw_only=True):
    """Alerts that are notified together."""

    labels: dict[str, str]
    receiver: Receiver
    alerts: list[Alert]


class NewAlert(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An alert to post. Without `ends_at` it ends after the configured `resolve_timeout`; one in the past ends it."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


class NewSilence(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A silence to create; with an `id`, to change."""

    matchers: list[Matcher]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    id: str = ""


class SilenceStatus(Struct, frozen=True):
    """How a silence is."""

    state: Literal["expired", "active", "pending"]


class Silence(Struct, frozen=True, kw_only=True, rename="camel"):
    """A silence as Alertmanager has it."""

    id: str
    status: SilenceStatus
    matchers: list[Matcher]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    created_by: str
    comment: str


class Version(Struct, frozen=True):
    """What runs there."""

    version: str
    revision: str = ""


class Cluster(Struct, frozen=True):
    """How it is with its peers."""

    status: Literal["ready", "settling", "disabled"]


class RunningConfig(Struct, frozen=True):
    """`original` is the YAML that it runs on, its secrets left out."""

    original: str


class Status(Struct, frozen=True, kw_only=True, rename="camel"):
    """How Alertmanager is."""

    version_info: Version
    cluster: Cluster
    config: RunningConfig
    uptime: datetime


class Sample(NamedTuple):
    """One number of /metrics."""

    name: str
    labels: Mapping[str, str]
    value: float


class _SilenceId(Struct, rename={"silence_id": "silenceID"}):
    silence_id: str


class Alertmanager:
    """One Alertmanager, by its address, such as http://127.0.0.1:9093 (with its path prefix, if it has one).

    Filters are matchers as Alertmanager writes them: `alertname="Drill"`, `venue=~"okx|kraken"`.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Raises AlertmanagerError when `url` is no address."""
        if not _is_address(url):
            raise AlertmanagerError(f"{redact(url)}: expected an address such as http://127.0.0.1:9093")
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def alerts(
        self,
        filters: Sequence[str] = (),
        *,
        active: bool = True,
        silenced: bool = True,
        inhibited: bool = True,
        unprocessed: bool = True,
        receiver: str = "",
    ) -> list[Alert]:
        """The alerts that fit all filters. `receiver` is a regular expression."""
        shown = {"active": active, "silenced": silenced, "inhibited": inhibited, "unprocessed": unprocessed}
        return await self._get("alerts", list[Alert], _query(filters, shown, receiver))

    async def groups(
        self,
        filters: Sequence[str] = (),
        *,
        active: bool = True,
        silenced: bool = True,
        inhibited: bool = True,
        receiver: str = "",
    ) -> list[AlertGroup]:
        """The groups with the alerts that fit all filters, once for each receiver."""
        shown = {"active": active, "silenced": silenced, "inhibited": inhibited}
        return await self._get("alerts/groups", list[AlertGroup], _query(filters, shown, receiver))

    async def post_alerts(self, alerts: Iterable[NewAlert]) -> None:
        """Raise alerts, keep them up, or end them."""
        await self._ask("POST", "alerts", body=list(alerts))

    async def silences(self, filters: Sequence[str] = ()) -> list[Silence]:
        """The silences whose matchers fit the filters; expired ones too, as long as Alertmanager keeps them."""
        return await self._get("silences", list[Silence], _query(filters, {}, ""))

    async def silence(self, silence_id: str) -> Silence:
        """One silence. RefusedError with status 404 when there is none."""
        return await self._get(f"silence/{quote(silence_id, safe='')}", Silence)

    async def create_silence(self, silence: NewSilence) -> str:
        """Create a silence, or change the one that it names; its id."""
        answer = await self._ask("POST", "silences", body=silence)
        return self._decode("silences", answer, _SilenceId).silence_id

    async def expire_silence(self, silence_id: str) -> None:
        """End a silence. RefusedError with status 404 when there is none."""
        await self._ask("DELETE", f"silence/{quote(silence_id, safe='')}")

    async def receivers(self) -> list[Receiver]:
        """All receivers of the configuration."""
        return await self._get("receivers", list[Receiver])

    async def status(self) -> Status:
        """Version, configuration, cluster."""
        return await self._get("status", Status)

    async def metrics(self, prefix: str = "alertmanager_") -> list[Sample]:
        """Its own numbers, from /metrics, of the names that begin so."""
        text = (await self._request("GET", f"{self.url}/metrics")).decode("utf-8", "replace")
        return read_samples(text, prefix)

    async def _get(self, path: str, kind: type[T], query: Sequence[tuple[str, str]] = ()) -> T:
        return self._decode(path, await self._ask("GET", path, query=query), kind)

    async def _ask(
        self, method: str, path: str, *, query: Sequence[tuple[str, str]] = (), body: object = None
    ) -> bytes:
        return await self._request(method, f"{self.url}/api/v2/{path}", query, body)

    async def _request(
        self, method: str, url: str, query: Sequence[tuple[str, str]] = (), body: object = None
    ) -> bytes:
        if self._session is None:
            raise RuntimeError("use it as: async with Alertmanager(url) as alertmanager")
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if data is not None else {}
        try:
            async with self._session.request(
                method, url, params=list(query), data=data, headers=headers, allow_redirects=False
            ) as response:
                answer = await response.content.read(MAX_ANSWER)
                while len(answer) < MAX_ANSWER and (more := await response.content.read(MAX_ANSWER)):
                    answer += more
        except TimeoutError as error:
            raise UnreachableError(f"{redact(url)}: no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UnreachableError(f"{redact(url)}: cannot be reached: {redact(reason)}") from error
        if response.status != 200:
            raise RefusedError(f"{redact(url)}: {response.status}: {_words(answer)}", response.status)
        return answer

    def _decode(self, path: str, answer: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnexpectedError(
                f"{redact(self.url)}/api/v2/{path}: what answers there does not speak Alertmanager's API v2: {error}"
            ) from error


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")  # what is no name of a host could never be resolved
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host) and not parts.query and not parts.fragment


def quoted(name: str, value: str) -> str:
    """The filter that a label has exactly this value."""
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{text}"'


_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)", re.MULTILINE)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def read_samples(text: str, prefix: str) -> list[Sample]:
    """The numbers of a page in Prometheus' text format whose names begin so."""
    return [
        Sample(found[1], dict(_LABEL.findall(found[2] or "")), float(found[3]))
        for found in _SAMPLE.finditer(text)
        if found[1].startswith(prefix)
    ]


def _query(filters: Sequence[str], shown: Mapping[str, bool], receiver: str) -> list[tuple[str, str]]:
    query = [("filter", text) for text in filters]
    query += [(name, str(value).lower()) for name, value in shown.items()]
    return [*query, ("receiver", receiver)] if receiver else query


def _words(answer: bytes) -> str:
    """What an error says: a JSON text, an object with a message, or plain text."""
    try:
        decoded: Any = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoded = answer.decode("utf-8", "replace")
    if isinstance(decoded, dict):
        decoded = decoded.get("message", decoded)
    return redact(str(decoded).strip())[:500] or "no reason given"
