"""What a rule is: a value, the condition that makes it an alert, and what the person who is woken needs.

It owns the words of the alerting (priorities, channels, scopes) and must never know how a file is written or a message
is sent. A rule says what it measures (`value`) apart from its condition, so that a dashboard can draw the one against
the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Priority = Literal["P1", "P2", "P3", "P4"]
Channel = Literal["email", "slack", "dingtalk", "wecom", "log"]
Scope = Literal["collector", "venue", "feed", "watching", "objective"]
"""What an alert is about. One of a collector makes those of its venues and feeds needless, one of a venue those of its
feeds: Alertmanager inhibits by this label."""
Label = Literal["instance", "venue", "market", "instrument", "channel"]
Board = Literal["overview", "venue", "instrument", "pipeline", "telemetry", "alerts"]
"""A dashboard of grafana/dashboards; its uid is `marketprism-` and this."""

CHANNELS: Final[Mapping[Priority, tuple[Channel, ...]]] = {
    "P1": ("email", "slack", "dingtalk", "wecom", "log"),
    "P2": ("slack", "dingtalk", "wecom", "log"),
    "P3": ("slack", "log"),
    "P4": ("log",),
}
ANSWER_WITHIN: Final[Mapping[Priority, str]] = {"P1": "5 min", "P2": "30 min", "P3": "2 h", "P4": "24 h"}
SEVERITIES: Final[Mapping[Priority, str]] = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "info"}
EVERY_S: Final[Mapping[Priority, int]] = {"P1": 5, "P2": 5, "P3": 15, "P4": 15}
"""How often the rules of a priority are evaluated."""

SERIES: Final[Mapping[Label, str]] = {
    "instance": "instance",
    "venue": "marketprism_venue",
    "market": "marketprism_market",
    "instrument": "marketprism_instrument",
    "channel": "marketprism_channel",
}
"""What an alert's label is called on the series of Prometheus."""
BOARDS: Final[Mapping[Scope, Board]] = {
    "collector": "pipeline",
    "venue": "venue",
    "feed": "venue",
    "watching": "alerts",
    "objective": "overview",
}
"""Where alerts of a scope are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert.

    `value`: PromQL of what is measured; `when`: the comparison that makes it an alert, nothing where the value says it.
    `hold_s`: how long that must last, seconds. `by`: labels that the alert has from its series. `labels`: further ones.
    `summary` is fixed but for labels, `description` has the values; both are Prometheus' templates. Each is said in
    Chinese too, with the same names, values and units. `span`: the kind of span to look at in Jaeger; `operation`s are
    named in telemetry/schema/spans.yaml. `board`: where it is seen, if not where its labels or scope
    say. `anywhere`: its `instance` need not be a collector's. `also`: channels beside those of its priority. `fault`:
    what proves it in a running system. `absent`: what it does when nothing that it reads exists. `priority` None:
    nobody is told.
    """

    name: str
    priority: Priority | None
    scope: Scope
    value: str
    when: str = ""
    hold_s: float = 0
    by: tuple[Label, ...] = ()
    summary: str
    description: str
    summary_zh: str
    description_zh: str
    fault: str
    labels: Mapping[str, str] = field(default_factory=dict)
    span: str = ""
    board: Board | None = None
    anywhere: bool = False
    also: tuple[Channel, ...] = ()
    absent: Literal["silent", "firing"] = "silent"

    @property
    def expression(self) -> str:
        """The whole of its PromQL."""
        return f"{self.value} {self.when}".strip()

    @property
    def seen_on(self) -> Board:
        """The dashboard where what it measures is seen."""
        if self.board is not None:
            return self.board
        return "instrument" if "instrument" in self.by else "venue" if "venue" in self.by else BOARDS[self.scope]

    @property
    def placed(self) -> tuple[Label, ...]:
        """The labels that say where in the data it is. What watches has an `instance` of another kind."""
        return () if self.anywhere or self.scope in {"watching", "objective"} else self.by

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Where it goes, of what is configured."""
        mine = () if self.priority is None else CHANNELS[self.priority]
        return tuple(channel for channel in CHANNELS["P1"] if channel in mine or channel in self.also)


def by(*labels: Label) -> str:
    """The clause of an aggregation that keeps these labels: `by (instance, marketprism_venue)`."""
    return f"by ({', '.join(SERIES[label] for label in labels)})"


def shown(label: Label) -> str:
    """The template that shows a label's value in a text."""
    return f"{{{{ $labels.{SERIES[label]} }}}}"
