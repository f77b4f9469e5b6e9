"""`marketprism ack`: somebody works on an alert, so the escalation stops, and nothing else does.

It owns what is silenced: the alert `Unanswered` that carries the acknowledged alert's name, and never the alert
itself, which keeps its reminders and its recovery. It must never silence more than was named: what is acknowledged
has to be firing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.client import Alertmanager, Matcher, NewSilence, quoted
from alerting.errors import AlertingError

ESCALATION = "Unanswered"
"""The rule over ALERTS that escalates; its label `alert` is the name of the alert that nobody answered."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What was done. `silence` is its id, `firing` how many alerts of that name fit, `ends` when escalating goes on."""

    silence: str
    firing: int
    ends: datetime


async def acknowledge(
    alertmanager: Alertmanager,
    alertname: str,
    labels: Mapping[str, str],
    *,
    until: datetime,
    now: datetime,
    by: str,
    comment: str,
) -> Acknowledged:
    """Silence the escalation of the alerts of this name with these labels.

    Raises AlertingError when none is firing, and AlertmanagerError.
    """
    if alertname == ESCALATION:
        raise AlertingError(f"{ESCALATION} is the escalation itself; name the alert that it is about (its label alert)")
    firing = await alertmanager.alerts([quoted("alertname", alertname)])
    fitting = [alert for alert in firing if all(alert.labels.get(name) == text for name, text in labels.items())]
    if not fitting:
        raise AlertingError(_why_none(alertname, labels, [dict(alert.labels) for alert in firing]) or await _who(
            alertmanager, alertname
        ))  # fmt: skip
    matchers = [Matcher(name="alertname", value=ESCALATION), Matcher(name="alert", value=alertname)]
    matchers += [Matcher(name=name, value=value) for name, value in labels.items()]
    silence = NewSilence(matchers=matchers, starts_at=now, ends_at=until, created_by=by, comment=comment)
    return Acknowledged(await alertmanager.create_silence(silence), len(fitting), until)


def read_matches(texts: list[str]) -> dict[str, str]:
    """`venue=kraken` and the like. Raises AlertingError."""
    labels: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or not value or value[0] in "=~":
            raise AlertingError(f"--match {text}: expected a label and its value, such as venue=kraken")
        if name in {"alertname", "alert"}:
            raise AlertingError(f"--match {text}: the alert's name is given without --match")
        if name in labels:
            raise AlertingError(f"--match {text}: {name} is given twice")
        labels[name] = value
    return labels


def read_duration(text: str) -> timedelta:
    """`2h`, `30m`, `1h30m`, `1d`. Raises ValueError."""
    found = re.fullmatch(r"(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?", text)
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not length:
        raise ValueError(f"expected a duration such as 2h or 30m, got {text!r}")
    return length


def _why_none(alertname: str, labels: Mapping[str, str], firing: list[dict[str, str]]) -> str:
    """Why no alert of those that fire fits; empty when none of the name fires."""
    if not firing:
        return ""
    asked = ", ".join(f"{name}={value}" for name, value in labels.items())
    for name, value in labels.items():
        values = sorted({alert[name] for alert in firing if name in alert})
        if value not in values:
            there = f"{name} is {' or '.join(values)}" if values else f"it has no label {name}"
            return f"{alertname} is firing, but not with {asked}: {there}"
    return f"{alertname} is firing, but no one alert has all of {asked}"


async def _who(alertmanager: Alertmanager, alertname: str) -> str:
    names = sorted({alert.labels.get("alertname", "?") for alert in await alertmanager.alerts()} - {ESCALATION})
    close = difflib.get_close_matches(alertname, names, n=1)
    if close:
        return f"{alertname} is not firing; did you mean {close[0]}?"
    return f"{alertname} is not firing; what fires: {', '.join(names) or 'nothing'}"
