"""What an alert says in Chinese in a running system, from the table: names exact, measured values as patterns.

The texts to the letter, values too, are proven by promtool in `proofs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from alerting.rules.table import RULES

_LABEL = re.compile(r"{{ \$labels\.(?:marketprism_)?(\w+) }}")
_REST = re.compile(r"{{ (?:if|with) .*?{{ end }}|{{.*?}}", re.DOTALL)


def said(alert: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """Patterns of the summary and the description. `labels`: the alert's, which tell rules of one name apart."""
    (rule,) = [
        rule
        for rule in RULES
        if rule.name == alert and all(rule.labels.get(key) == labels.get(key) for key in ("was", "burn"))
    ]
    known = {**labels, "alertname": labels.get("alert", alert)}
    return _pattern(rule.summary_zh, known), _pattern(rule.description_zh, known)


def _pattern(template: str, labels: Mapping[str, str]) -> str:
    filled = _LABEL.sub(lambda found: labels.get(found[1], found[0]), template)
    return r"[^\n]+?".join(re.escape(text) for text in _REST.split(filled))
