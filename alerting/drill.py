"""`marketprism drill`: a test alert through the real Alertmanager to every configured channel, and what each answered.

It owns the drill: it raises one labelled alert, follows it, and ends it whatever happens. It believes no channel that
has not answered: for the robots and the log the bridge's receipts say so, for e-mail and Slack Alertmanager's own
counters, which rise only when the far end took the notification. Which channels the alert must reach follows from the
table of the rules and from what is configured: what Alertmanager runs on, and what the bridge has on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import aiohttp
import msgspec
import yaml

from alerting.bridge.observe import Receipts
from alerting.client import Alert, Alertmanager, NewAlert, Sample, quoted
from alerting.errors import AlertingError
from alerting.rules.model import CHANNELS, SEVERITIES, Channel, Priority

ALERTNAME = "Drill"
LABEL = "drill"
"""The label that tells one drill from another, so that each is an alert of its own."""
ENDS_AFTER = timedelta(minutes=5)
"""Should the drill die, its alert ends by itself."""
EVERY_S = 0.25
NATIVE: Mapping[Channel, str] = {"email": "email", "slack": "slack"}
"""Channels that Alertmanager serves itself, with the names that it counts them by."""
_REQUESTS = "alertmanager_notification_requests_total"
_FAILED = "alertmanager_notification_requests_failed_total"


class Clock(Protocol):
    """The times that a drill needs."""

    def mono(self) -> float:
        """Seconds that never jump."""

    def now(self) -> datetime:
        """The time, with its zone."""


class Bridge(Protocol):
    """The bridge, as a drill sees it."""

    async def receipts(self, fingerprint: str) -> Receipts:
        """What its channels answered for an alert, and which are on."""


@dataclass(slots=True)
class Answered:
    """One channel's answer. `seconds`: from raising the alert; None as long as nothing came."""

    channel: Channel
    ok: bool = False
    seconds: float | None = None
    words: str = "no answer"


@dataclass(slots=True)
class Result:
    """How the drill went. `off`: channels of the priority that are not configured, with the reason."""

    fingerprint: str
    answers: list[Answered] = field(default_factory=list)
    off: dict[Channel, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every configured channel answered, and there was one."""
        return bool(self.answers) and all(answer.ok for answer in self.answers)


class BridgeClient:
    """The real bridge, by its address and token. Implements Bridge."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def receipts(self, fingerprint: str) -> Receipts:
        """See Bridge. Raises AlertingError."""
        url = f"{self._url}/v1/receipts"
        try:
            async with self._session.get(url, params={"fingerprint": fingerprint}, headers=self._headers) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise AlertingError(f"{self._url}: the bridge cannot be reached: {reason}") from error
        if response.status == 401:
            raise AlertingError(f"{self._url}: the bridge does not take MARKETPRISM_BRIDGE_TOKEN")
        try:
            return msgspec.json.decode(body, type=Receipts)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AlertingError(f"{self._url}: what answers there is not the bridge") from error


@dataclass(slots=True)
class Drill:
    """One drill. `bridge` is None where there is none. `wait_s`: how long the slowest channel has."""

    alertmanager: Alertmanager
    bridge: Bridge | None
    priority: Priority
    name: str
    wait_s: float
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self, on_answer: Callable[[Answered], None] = lambda _: None) -> Result:
        """Raise the alert, follow it and end it. `on_answer` hears of each channel. Raises AlertingError."""
        integrations = _integrations((await self.alertmanager.status()).config.original)
        before = await self.alertmanager.metrics()
        on: set[str] = set((await self.bridge.receipts("")).channels) if self.bridge is not None else set()
        began, starts = self.clock.mono(), self.clock.now()
        deadline = began + self.wait_s
        await self._post(starts, starts + ENDS_AFTER)
        try:
            alert = await self._raised(deadline)
            receivers = [receiver.name for receiver in alert.receivers]
            result = Result(alert.fingerprint)
            for channel in CHANNELS[self.priority]:
                if why := self._why_off(channel, on, integrations, receivers):
                    result.off[channel] = why
                else:
                    result.answers.append(Answered(channel))
            await self._follow(result, receivers, before, began, deadline, on_answer)
            return result
        finally:
            await asyncio.shield(self._post(starts, self.clock.now()))

    async def _post(self, starts: datetime, ends: datetime) -> None:
        labels = {
            "alertname": ALERTNAME,
            "priority": self.priority,
            "severity": SEVERITIES[self.priority],
            "scope": "watching",
            LABEL: self.name,
        }
        annotations = {
            "summary": "This is a drill. Nothing is wrong.",
            "description": f"`marketprism drill` tests whether {self.priority} alerts arrive. It ends by itself.",
            "summary_zh": "这是一次演练，一切正常。",
            "description_zh": f"marketprism drill 正在检验 {self.priority} 告警能否送达，随后会自动结束。",
        }
        await self.alertmanager.post_alerts(
            [NewAlert(labels=labels, annotations=annotations, starts_at=starts, ends_at=ends)]
        )

    async def _raised(self, deadline: float) -> Alert:
        """The alert as Alertmanager has it, when people are told of it."""
        while True:
            found = await self.alertmanager.alerts([quoted("alertname", ALERTNAME), quoted(LABEL, self.name)])
            for alert in found:
                if alert.status.state == "suppressed":
                    raise AlertingError(f"nobody is told of the drill: {_suppressed(alert)}")
                return alert
            if self.clock.mono() > deadline:
                raise AlertingError(
                    f"{self.alertmanager.url}: Alertmanager took the drill's alert but does not show it"
                )
            await self.sleep(EVERY_S)

    def _why_off(
        self, channel: Channel, on: set[str], integrations: Mapping[str, set[str]], receivers: Sequence[str]
    ) -> str:
        """Why the alert need not reach a channel; empty when it must."""
        if channel not in NATIVE:
            if self.bridge is None:
                return "no bridge was named"
            return "" if channel in on else "the bridge has it off"
        wanted = NATIVE[channel]
        if any(wanted in integrations.get(name, set()) for name in receivers):
            return ""
        return f"no {wanted}_configs in the receivers that the alert goes to ({', '.join(receivers) or 'none'})"

    async def _follow(
        self,
        result: Result,
        receivers: Sequence[str],
        before: Sequence[Sample],
        began: float,
        deadline: float,
        on_answer: Callable[[Answered], None],
    ) -> None:
        seen: set[Channel] = set()
        while open_ := [answer for answer in result.answers if not answer.ok]:
            receipts = await self.bridge.receipts(result.fingerprint) if self.bridge is not None else None
            after = await self.alertmanager.metrics()
            for answer in open_:
                if answer.channel in NATIVE:
                    ok, words = _counted(NATIVE[answer.channel], receivers, before, after)
                    # The counter of requests rises before that of failures: it counts when it is seen a second time.
                    known = answer.channel in seen
                    seen = seen | {answer.channel} if ok else seen - {answer.channel}
                    ok = ok and known
                else:
                    ok, words = _received(answer.channel, receipts)
                answer.words = words or answer.words
                if ok:
                    answer.ok, answer.seconds = True, self.clock.mono() - began
                    on_answer(answer)
            if all(answer.ok for answer in open_) or self.clock.mono() >= deadline:
                break
            await self.sleep(EVERY_S)
        for answer in result.answers:
            if not answer.ok:
                answer.seconds = None
                on_answer(answer)


def _integrations(original: str) -> dict[str, set[str]]:
    """The kinds of integrations of each receiver, from the configuration that Alertmanager runs on."""
    with contextlib.suppress(yaml.YAMLError):
        config: Any = yaml.safe_load(original)
        if isinstance(config, dict):
            return {
                str(receiver.get("name", "")): {
                    key.removesuffix("_configs")
                    for key, value in receiver.items()
                    if key.endswith("_configs") and value
                }
                for receiver in config.get("receivers") or []
            }
    raise AlertingError("Alertmanager tells a configuration that is no YAML")


def _counted(
    integration: str, receivers: Iterable[str], before: Sequence[Sample], after: Sequence[Sample]
) -> tuple[bool, str]:
    """Whether the far end took a notification since, and in which words to say what it did."""
    names = set(receivers)

    def total(samples: Sequence[Sample], name: str) -> float:
        return sum(
            sample.value
            for sample in samples
            if sample.name == name
            and sample.labels.get("integration") == integration
            and sample.labels.get("receiver_name", next(iter(names), "")) in names
        )

    requests = total(after, _REQUESTS) - total(before, _REQUESTS)
    failed = total(after, _FAILED) - total(before, _FAILED)
    if requests > failed:
        return True, "Alertmanager: taken" + (f" after {failed:.0f} failed attempts" if failed else "")
    return False, f"Alertmanager: {failed:.0f} attempts failed; its log says why" if failed else ""


def _received(channel: Channel, receipts: Receipts | None) -> tuple[bool, str]:
    mine = [receipt for receipt in receipts.receipts if receipt.channel == channel] if receipts is not None else []
    taken = next((receipt for receipt in mine if receipt.outcome == "accepted" and receipt.status == "firing"), None)
    if taken is not None:
        shared = f", shared by {taken.merged} groups" if taken.merged > 1 else ""
        return True, f"{taken.reason} in {taken.seconds:.2f} s{shared}"
    return False, f"{mine[-1].outcome}: {mine[-1].reason}" if mine else ""


def _suppressed(alert: Alert) -> str:
    status = alert.status
    if status.silenced_by:
        return f"silence {', '.join(status.silenced_by)}"
    if status.muted_by:
        return f"time interval {', '.join(status.muted_by)}"
    return f"inhibited by {', '.join(status.inhibited_by) or 'another alert'}"
