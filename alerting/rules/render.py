"""The table as Prometheus reads it: two files of rules, their links, and the same with every duration divided.

It owns the groups, the labels and annotations that every alert has, and the text of the files; it decides nothing about
what is alerted on. Links come from here and not from the table, so that no rule can have a wrong one.
Format: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from urllib.parse import quote, quote_plus

import yaml

from alerting.rules import slo
from alerting.rules.model import EVERY_S, SERIES, SEVERITIES, Rule
from alerting.rules.promql import duration, faster
from alerting.rules.table import OF_OBJECTIVES, RULES

ALERTS, OBJECTIVES = "alerts.yml", "objectives.yml"
SERVICE: Final = "marketprism-collector"
_HEAD = """\
# Generated from alerting/rules by `python -m alerting.rules`. Do not edit.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where the links of an alert lead. `runbooks`: the folder of docs/runbooks, as people can open it."""

    runbooks: str = "docs/runbooks"
    jaeger: str = "http://127.0.0.1:16686"
    prometheus: str = "http://127.0.0.1:9090"


def files(links: Links | None = None, *, factor: int = 1) -> dict[str, str]:
    """The text of each file, by its name. `factor`: what every duration is divided by, windows and intervals too."""
    links = links or Links()
    recordings = [rule for objective in slo.OBJECTIVES for rule in slo.recordings(objective)]
    return {
        ALERTS: _text(_alert_groups(links), factor),
        OBJECTIVES: _text(
            [
                _group("objectives", slo.EVERY_S, recordings),
                _group("budgets", slo.EVERY_S, (_alert(rule, links) for rule in OF_OBJECTIVES)),
            ],
            factor,
        ),
    }


def annotations(rule: Rule, links: Links) -> dict[str, str]:
    """What the person who is woken gets to read and to open."""
    found = {
        "summary": rule.summary,
        "description": rule.description,
        "summary_zh": rule.summary_zh,
        "description_zh": rule.description_zh,
        "runbook_url": f"{links.runbooks}/{rule.name}.md",
        # A graph of what is measured, without the condition: how it came to this.
        "dashboard_url": f"{links.prometheus}/graph?g0.expr={quote_plus(rule.value)}&g0.tab=0",
    }
    if rule.span:
        found["trace_url"] = f"{links.jaeger}/search?service={SERVICE}&operation={quote(rule.span)}&lookback=1h"
        if "venue" in rule.by:
            tag = quote('{"marketprism.venue":"')
            found["trace_url"] += f"&tags={tag}{{{{ $labels.marketprism_venue }}}}{quote(chr(34) + '}')}"
    return found


def labels(rule: Rule) -> dict[str, str]:
    """What Alertmanager routes, groups and inhibits by. The series' own names are replaced by short ones."""
    priority = rule.priority or "none"
    severity = "none" if rule.priority is None else SEVERITIES[rule.priority]
    found = {"priority": priority, "severity": severity, "scope": rule.scope}
    if rule.also:
        found["also"] = ",".join(rule.also)
    for label in rule.by:
        series = SERIES[label]
        if series != label:
            found[label] = f"{{{{ $labels.{series} }}}}"
            found[series] = ""
    return found | dict(rule.labels)


def _alert_groups(links: Links) -> list[dict[str, Any]]:
    plain = [rule for rule in RULES if rule not in OF_OBJECTIVES]
    groups = [
        _group(priority, every_s, (_alert(rule, links) for rule in plain if rule.priority == priority))
        for priority, every_s in EVERY_S.items()
    ]
    return [*groups, _group("watchdog", EVERY_S["P4"], (_alert(rule, links) for rule in plain if not rule.priority))]


def _group(name: str, every_s: int, rules: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "interval": every_s, "rules": list(rules)}


def _alert(rule: Rule, links: Links) -> dict[str, Any]:
    found: dict[str, Any] = {"alert": rule.name, "expr": rule.expression}
    if rule.hold_s:
        found["for"] = rule.hold_s
    return found | {"labels": labels(rule), "annotations": annotations(rule, links)}


def _text(groups: list[dict[str, Any]], factor: int) -> str:
    for group in groups:
        group["interval"] = duration(Fraction(group["interval"]) / factor)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = duration(Fraction(rule["for"]) / factor)
            if factor != 1:
                rule["expr"] = faster(rule["expr"], factor)
    said = _HEAD if factor == 1 else f"{_HEAD}# Every duration is divided by {factor}.\n"
    return said + yaml.dump({"groups": groups}, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Texts of several lines as blocks, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002 - PyYAML's signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _string)
