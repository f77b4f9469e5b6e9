"""The table as Prometheus reads it: two files of rules, their links, and the same with every duration divided.

It owns the groups, the labels and annotations that every alert has, and the text of the files; it decides nothing about
what is alerted on. Links come from here and not from the table, so that no rule can have a wrong one.
Format: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from urllib.parse import quote

import yaml

from alerting.rules import slo
from alerting.rules.model import EVERY_S, SERIES, SEVERITIES, Label, Rule
from alerting.rules.promql import duration, faster
from alerting.rules.table import OF_OBJECTIVES, RULES

ALERTS, OBJECTIVES = "alerts.yml", "objectives.yml"
SERVICE: Final = "marketprism-collector"
_METADATA: Final[dict[Label, str]] = {**SERIES, "instance": "service_instance_id"}
"""What a label is called on a log line in Loki."""
_HEAD = """\
# Generated from alerting/rules by `python -m alerting.rules`. Do not edit.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where the links of an alert lead. `runbooks`: docs/runbooks as people can open it, by default the bridge's."""

    runbooks: str = "http://127.0.0.1:8081/runbooks"
    jaeger: str = "http://127.0.0.1:16686"
    grafana: str = "http://127.0.0.1:3000"


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
        "runbook_url_zh": f"{links.runbooks}/zh-CN/{rule.name}.md",
        "dashboard_url": _dashboard(rule, links),
    }
    if rule.span:
        found["trace_url"] = f"{links.jaeger}/search?service={SERVICE}&operation={quote(rule.span)}&lookback=1h"
        if "venue" in rule.by:
            tag = quote('{"marketprism.venue":"')
            found["trace_url"] += f"&tags={tag}{{{{ $labels.marketprism_venue }}}}{quote(chr(34) + '}')}"
    else:
        found["log_url"] = _logs(rule, links)
    return found


def _dashboard(rule: Rule, links: Links) -> str:
    """The dashboard, of the place that the alert is about, as far as its series says one."""
    place = "".join(_with(label, f"&var-{label}=") for label in rule.placed)
    return f"{links.grafana}/d/marketprism-{rule.seen_on}?from=now-3h&to=now{place}"


def _logs(rule: Rule, links: Links) -> str:
    """What is said there, in Grafana's Explore; where no place is named, what the programs complain of.

    https://grafana.com/docs/grafana/latest/explore/get-started-with-explore/#generate-explore-urls-from-external-tools
    """
    expression = f'{{service_name="{SERVICE}"}}'
    if not rule.placed:
        expression = '{service_name=~"marketprism-.+"} | severity_text=~"WARNING|ERROR|CRITICAL"'
    query = {"refId": "A", "datasource": {"type": "loki", "uid": "loki"}, "expr": f"{expression}@"}
    pane = {"datasource": "loki", "queries": [query], "range": {"from": "now-1h", "to": "now"}}
    place = "".join(_with(label, quote(f" | {_METADATA[label]}=`"), quote("`")) for label in rule.placed)
    text = quote(json.dumps({"logs": pane}, separators=(",", ":")), safe="").replace(quote("@"), place)
    return f"{links.grafana}/explore?schemaVersion=1&panes={text}"


def _with(label: Label, before: str, after: str = "") -> str:
    """The template of a label's value between these, of nothing where there is no such label."""
    return f"{{{{ with $labels.{SERIES[label]} }}}}{before}{{{{ . }}}}{after}{{{{ end }}}}"


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
