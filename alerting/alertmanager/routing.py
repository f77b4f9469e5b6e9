"""Routes, receivers and inhibitions, from the table of rules and the channels that are on.

It owns who is told, how soon and how often again; the words are the templates'. One receiver has all channels of an
alert, and Alertmanager tries each of them for itself, so one that fails holds up no other. It uses no key that
Alertmanager 0.31 does not know.

Format: https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import yaml

from alerting.alertmanager.settings import Bridge, Email, Settings, Slack
from alerting.rules.model import CHANNELS, Channel, Priority
from alerting.rules.promql import duration
from alerting.rules.table import RULES

FILE: Final = "alertmanager.yml"
HEARTBEAT: Final = "heartbeat"
GROUP_BY: Final = ("alertname", "alert", "venue")
"""One message for all of a kind at a venue: a storm of hundreds is a handful. `alert`: what an escalation is about."""
MAX_ALERTS: Final = 800
"""In one delivery to the bridge; what is beyond is counted in the message. The bridge takes 4 MiB."""
UNKNOWN: Final[Priority] = "P3"
"""Where an alert of no known priority goes, such as one that is not ours: somebody should look."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: how long the first message of a group waits for others, news of it, and a repetition of the same."""

    wait_s: int
    interval_s: int
    repeat_s: int

    def options(self) -> dict[str, str]:
        """As a route has them."""
        return {
            "group_wait": duration(self.wait_s),
            "group_interval": duration(self.interval_s),
            "repeat_interval": duration(self.repeat_s),
        }


PACES: Final[dict[Priority, Pace]] = {
    "P1": Pace(1, 15, 15 * 60),
    # Long enough for an alert that makes this one needless to come first.
    "P2": Pace(5, 30, 3600),
    "P3": Pace(5, 30, 4 * 3600),
    "P4": Pace(5, 30, 24 * 3600),
}
"""Repetitions are longer than the bridge's window for duplicates, and shorter than Alertmanager's memory (120 h)."""
HEARTBEAT_PACE: Final = Pace(1, 30, 45)
"""Every minute: the first round of 30 s that is 45 s after the last."""

_BRIDGED: Final[tuple[Channel, ...]] = ("dingtalk", "wecom", "log")
_FAILING: Final[dict[str, tuple[Channel, ...]]] = {
    "email": ("email",),
    "slack": ("slack",),
    "dingtalk": ("dingtalk",),
    "wecom": ("wecom",),
    "log": ("log",),
    "webhook": _BRIDGED,
}
"""What `NotificationFailing` says of itself in `failing`, and the channels that it must not be told by."""
_COLORS: Final = {"P1": "#D93026", "P2": "#E8710A", "P3": "#B08800", "P4": "#1A73E8"}


def config(settings: Settings) -> str:
    """The text of alertmanager.yml."""
    receivers = _Receivers(settings)
    routes = [_route(['alertname="Watchdog"'], HEARTBEAT, HEARTBEAT_PACE, [])]
    general = [window.name for window in settings.maintenance if not window.matchers]
    for matchers in dict.fromkeys(window.matchers for window in settings.maintenance if window.matchers):
        own = [window.name for window in settings.maintenance if window.matchers == matchers]
        routes.append({"matchers": list(matchers), "routes": _routes(receivers, [*own, *general])})
    routes += _routes(receivers, general)
    found: dict[str, Any] = {}
    if settings.email is not None:
        found["global"] = _smtp(settings.email)
    found["templates"] = ["templates/*.tmpl"]
    found["route"] = {
        "receiver": receivers.of(CHANNELS[UNKNOWN], UNKNOWN),
        "group_by": list(GROUP_BY),
        **PACES[UNKNOWN].options(),
        "routes": routes,
    }
    found["inhibit_rules"] = INHIBITIONS
    if settings.maintenance:
        found["time_intervals"] = [window.interval for window in settings.maintenance]
    found["receivers"] = receivers.all()
    if settings.traces_url:
        found["tracing"] = _tracing(settings.traces_url)
    off = "".join(f"# {channel} is off: {why}.\n" for channel, why in settings.off.items())
    head = f"# Generated from alerting/alertmanager by `python -m alerting.alertmanager`. Do not edit.\n{off}"
    return head + yaml.dump(found, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def _tracing(url: str) -> dict[str, Any]:
    """All spans: whoever sends an alert on continues its trace, and so the bridge's belong to it."""
    scheme, _, endpoint = url.partition("://")
    return {"client_type": "http", "endpoint": endpoint, "insecure": scheme == "http", "sampling_fraction": 1.0}


class _Plain(yaml.SafeDumper):
    """Every value where it is used, and lists indented, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002 - PyYAML's
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _routes(receivers: _Receivers, mute: list[str]) -> list[dict[str, Any]]:
    """The routes of all priorities; silent in the windows of these names."""
    found = []
    for failing, without in _FAILING.items():
        others = tuple(one for one in CHANNELS["P1"] if one not in without)
        name = receivers.of(others, f"all but {failing}", instead=CHANNELS["P1"])
        found.append(_route(['alertname="NotificationFailing"', f'failing="{failing}"'], name, PACES["P2"], mute))
    for priority, also in sorted({(rule.priority, rule.also) for rule in RULES if rule.priority and rule.also}):
        channels = tuple(one for one in CHANNELS["P1"] if one in CHANNELS[priority] or one in also)
        name = receivers.of(channels, f"{priority} and {', '.join(also)}")
        matchers = [f'priority="{priority}"', f'also="{",".join(also)}"']
        found.append(_route(matchers, name, PACES[priority], mute))
    for priority, channels in CHANNELS.items():
        found.append(_route([f'priority="{priority}"'], receivers.of(channels, priority), PACES[priority], mute))
    return found


def _route(matchers: list[str], receiver: str, pace: Pace, mute: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"matchers": matchers, "receiver": receiver, **pace.options()}
    return found | ({"mute_time_intervals": mute} if mute else {})


class _Receivers:
    """The receivers that are used, each with what is on of its channels."""

    def __init__(self, settings: Settings) -> None:
        self._heartbeat = settings.heartbeat_url_file
        self._found: dict[str, dict[str, Any]] = {}
        self._on: dict[Channel, tuple[str, dict[str, Any]]] = {}
        if settings.email is not None:
            self._on["email"] = "email_configs", _email(settings.email)
        if settings.slack is not None:
            self._on["slack"] = "slack_configs", _slack(settings.slack)
        if settings.bridge is not None:
            for channel in settings.bridge.channels:
                self._on[channel] = "webhook_configs", _bridged(settings.bridge, channel)

    def of(self, channels: Iterable[Channel], name: str, *, instead: tuple[Channel, ...] = ()) -> str:
        """The receiver of these channels; of `instead` where none of them is on."""
        on = [self._on[channel] for channel in channels if channel in self._on]
        receiver: dict[str, Any] = {"name": name}
        for kind, one in on or [self._on[channel] for channel in instead if channel in self._on]:
            receiver.setdefault(kind, []).append(one)
        self._found[name] = receiver
        return name

    def all(self) -> list[dict[str, Any]]:
        """As the configuration has them."""
        heartbeat: dict[str, Any] = {"name": HEARTBEAT}
        if self._heartbeat:
            heartbeat["webhook_configs"] = [{"url_file": self._heartbeat, "send_resolved": False}]
        return [heartbeat, *self._found.values()]


def _bridged(bridge: Bridge, channel: Channel) -> dict[str, Any]:
    authorization = {"type": "Bearer", "credentials_file": bridge.token_file}
    return {
        "url": f"{bridge.url}/v1/alerts/{channel}",
        "http_config": {"authorization": authorization, "follow_redirects": False},
        "send_resolved": True,
        "max_alerts": MAX_ALERTS,
    }


def _slack(slack: Slack) -> dict[str, Any]:
    colors = "".join(
        f'{{{{ else if eq .CommonLabels.priority "{priority}" }}}}{color}' for priority, color in _COLORS.items()
    )
    template = f"marketprism.{slack.language}.slack"
    return {
        "api_url_file": slack.url_file,
        "send_resolved": True,
        "username": "MarketPrism",
        "color": f'{{{{ if eq .Status "resolved" }}}}#188038{colors}{{{{ end }}}}',
        "title": f'{{{{ template "{template}.title" . }}}}',
        "title_link": "{{ .ExternalURL }}/#/alerts",
        "fallback": f'{{{{ template "{template}.title" . }}}}',
        "text": f'{{{{ template "{template}.text" . }}}}',
    }


def _email(email: Email) -> dict[str, Any]:
    template = f"marketprism.{email.language}.email"
    return {
        "to": email.to,
        "send_resolved": True,
        "headers": {"Subject": f'{{{{ template "{template}.subject" . }}}}'},
        "text": f'{{{{ template "{template}.text" . }}}}',
        "html": f'{{{{ template "{template}.html" . }}}}',
    }


def _smtp(email: Email) -> dict[str, Any]:
    found: dict[str, Any] = {"smtp_smarthost": email.smarthost, "smtp_from": email.sender, "smtp_require_tls": True}
    if email.username:
        found |= {"smtp_auth_username": email.username, "smtp_auth_password_file": email.password_file}
    if email.ca_file:
        found["smtp_tls_config"] = {"ca_file": email.ca_file}
    return found


def _inhibition(name: str, source: str, targets: list[str], equal: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "source_matchers": [f'alertname="{source}"'],
        # Its own escalation has to come through: nobody has answered the source itself.
        "target_matchers": [*targets, f'alertname!="{source}"', f'alert!="{source}"'],
        "equal": equal,
    }


INHIBITIONS: Final = [
    _inhibition("a dead collector", "CollectorDown", ['scope=~"collector|venue|feed"'], ["instance"]),
    _inhibition("no exchange at all", "AllExchangesDown", ['scope=~"venue|feed"'], ["instance"]),
    _inhibition("a dead venue", "ExchangeDown", ['scope="feed"'], ["instance", "venue", "market"]),
]
"""What a person who knows of the source need not be told. An escalation has the scope of what it is about."""
