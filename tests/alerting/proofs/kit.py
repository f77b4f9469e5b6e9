"""Proofs of rules as promtool reads them.

A world of healthy series (`world`) stands for a collector on two exchanges. A `Proof` changes some of them for a while
and says what is to be seen; the kit makes promtool's test of it: nothing before the alert's time has run out, the exact
alert when it has, nothing after the recovery.
Format: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from alerting.rules.model import SEVERITIES, Rule
from alerting.rules.table import RULES

GRAFANA = "http://127.0.0.1:3000"
RUNBOOKS = "http://127.0.0.1:8081/runbooks"
JAEGER = "http://127.0.0.1:16686/search?service=marketprism-collector&operation="
_ON_A_LINE = {
    "instance": "service_instance_id",
    "venue": "marketprism_venue",
    "market": "marketprism_market",
    "instrument": "marketprism_instrument",
    "channel": "marketprism_channel",
}
Level = float | None
"""A gauge's value, or what a counter grows by in a step of five seconds; None: the series is not there."""


@dataclass(frozen=True, slots=True)
class Phase:
    """So many steps at these levels."""

    steps: int
    changed: Mapping[str, Level]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`ill`: the series that the fault changes, and to what.

    `rises_s`: from the fault until the condition holds, where a window has to fill first. `clears_s`: from the
    recovery until the alert is gone. `lasts_s`: how long the fault lasts beyond what the alert needs. `labels`: those
    beside what every alert has. `priority` tells rules of one name apart. `also`: further alerts of the same name.
    """

    alert: str
    ill: Mapping[str, Level]
    labels: Mapping[str, str]
    summary: str
    description: str
    summary_zh: str
    description_zh: str
    priority: str | None = None
    was: str | None = None
    rises_s: int = 0
    clears_s: int = 0
    lasts_s: int = 60
    before_s: int = 900
    step_s: int = 5
    trace: str = ""
    well: Mapping[str, Level] = field(default_factory=dict)

    @property
    def rule(self) -> Rule:
        """The one that it proves."""
        (found,) = [
            rule
            for rule in RULES
            if rule.name == self.alert
            and self.priority in (None, rule.priority)
            and self.was in (None, rule.labels.get("was"))
        ]
        return found


def series_of(world: Mapping[str, Level], phases: Sequence[Phase], step_s: int) -> list[dict[str, str]]:
    """The world's series in promtool's notation. A name that ends in _total, _count, _sum or _bucket is a counter."""
    every = dict.fromkeys([*world, *(name for phase in phases for name in phase.changed)])
    return [
        {
            "series": name,
            "values": _values(name, [(p.steps, p.changed.get(name, world.get(name))) for p in phases], step_s),
        }
        for name in every
    ]


def _values(name: str, parts: Sequence[tuple[int, Level]], step_s: int) -> str:
    counter = name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket"))
    words: list[str] = []
    total = 0.0
    for steps, level in parts:
        if level is None:
            words.append(f"_x{steps}")
        elif counter:
            grows = level * step_s / 5
            words.append(f"{total + grows:.10g}+{grows:.10g}x{steps - 1}")
            total += grows * steps
        else:
            words.append(f"{level:.10g}x{steps - 1}")
    return " ".join(words)


def alert_of(proof: Proof) -> dict[str, Any]:
    """The one alert that is to be seen, whole."""
    rule = proof.rule
    texts = {
        "summary": proof.summary,
        "description": proof.description,
        "summary_zh": proof.summary_zh,
        "description_zh": proof.description_zh,
        "runbook_url": f"{RUNBOOKS}/{rule.name}.md",
        "runbook_url_zh": f"{RUNBOOKS}/zh-CN/{rule.name}.md",
        "dashboard_url": dashboard(rule, proof.labels),
    }
    if proof.trace:
        texts["trace_url"] = JAEGER + proof.trace
    else:
        texts["log_url"] = logs(rule, proof.labels)
    priority = rule.priority
    assert priority is not None
    always = {"priority": priority, "severity": SEVERITIES[priority], "scope": rule.scope}
    return {"exp_labels": always | dict(proof.labels), "exp_annotations": texts}


def dashboard(rule: Rule, labels: Mapping[str, str]) -> str:
    """The dashboard of an alert with these labels."""
    place = "".join(f"&var-{label}={labels[label]}" for label in rule.placed if label in labels)
    return f"{GRAFANA}/d/marketprism-{rule.seen_on}?from=now-3h&to=now{place}"


def logs(rule: Rule, labels: Mapping[str, str]) -> str:
    """What is said where an alert with these labels is; what all complain of, where that is no place in the data."""
    place = [f"{_ON_A_LINE[label]}=`{labels[label]}`" for label in rule.placed if label in labels]
    all_ = ['{service_name=~"marketprism-.+"}', 'severity_text=~"WARNING|ERROR|CRITICAL"']
    parts = ['{service_name="marketprism-collector"}', *place] if rule.placed else all_
    query = {"refId": "A", "datasource": {"type": "loki", "uid": "loki"}, "expr": " | ".join(parts)}
    pane = {"datasource": "loki", "queries": [query], "range": {"from": "now-1h", "to": "now"}}
    return (
        f"{GRAFANA}/explore?schemaVersion=1&panes={quote(json.dumps({'logs': pane}, separators=(',', ':')), safe='')}"
    )


def case_of(proof: Proof, world: Mapping[str, Level]) -> dict[str, Any]:
    """Give promtool's test: not before its time, then exactly this alert, and none after the recovery."""
    hold = int(proof.rule.hold_s)
    fires = proof.before_s + proof.rises_s + hold
    ends = fires + proof.lasts_s
    step = proof.step_s
    phases = [
        Phase(proof.before_s // step, proof.well),
        Phase((ends - proof.before_s) // step, {**proof.well, **proof.ill}),
        Phase((proof.clears_s + 600) // step, proof.well),
    ]
    seen = [alert_of(proof)]
    checks = [
        (proof.before_s - step, []),
        (fires - step, []),
        (fires, seen),
        (ends - step, seen),
        (ends + proof.clears_s, []),
        (ends + proof.clears_s + 300, []),
    ]
    return {
        "name": f"{proof.alert} {proof.priority or ''}{proof.was or ''}".strip(),
        "interval": f"{step}s",
        "input_series": series_of({**world, **proof.well}, phases, step),
        "alert_rule_test": [
            {"eval_time": f"{at}s", "alertname": proof.alert, "exp_alerts": alerts} for at, alerts in checks
        ],
    }
