"""The generated parts of docs/alerting.md: the table of the rules and that of the objectives.

It owns what stands between its two kinds of marks in that page, and nothing else there: the rest is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from alerting.rules import slo
from alerting.rules.model import ANSWER_WITHIN, CHANNELS, EVERY_S, Rule
from alerting.rules.promql import duration
from alerting.rules.table import RULES

_TEMPLATE: Final = re.compile(r"{{ \$labels\.(?:marketprism_)?(\w+) }}")
_PARTS: Final = re.compile(r"(<!-- (\w+): generated[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)


class PageError(ValueError):
    """The page has not the marks that it must have; the message names them."""


def filled(page: str) -> str:
    """The page with its generated parts as they should be. PageError where a mark is missing."""
    parts = {"priorities": _priorities(), "rules": _rules(), "objectives": _objectives()}
    found = [name for _, name, _ in _PARTS.findall(page)]
    if sorted(found) != sorted(parts):
        expected = ", ".join(f"<!-- {name}: generated … --> … <!-- end -->" for name in parts)
        raise PageError(f"docs/alerting.md: expected each once: {expected}; found {', '.join(found) or 'none'}")
    return _PARTS.sub(lambda part: f"{part[1]}\n{parts[part[2]]}\n{part[3]}", page)


def _priorities() -> str:
    rows = (
        (name, ANSWER_WITHIN[name], ", ".join(channels), f"{EVERY_S[name]} s") for name, channels in CHANNELS.items()
    )
    return _table(("priority", "answer within", "channels, where configured", "evaluated every"), rows)


def _rules() -> str:
    rows = (
        (
            f"[{rule.name}](runbooks/{rule.name}.md)",
            _priority(rule),
            duration(rule.hold_s) if rule.hold_s else "at once",
            _TEMPLATE.sub(r"*\1*", rule.summary),
            rule.fault,
        )
        for rule in RULES
    )
    return _table(("alert", "priority", "after", "says", "the fault that proves it"), rows)


def _priority(rule: Rule) -> str:
    also = f", also {', '.join(rule.also)}" if rule.also else ""
    return f"{rule.priority or 'none'}{also}"


def _objectives() -> str:
    rows = ((f"`{one.name}`", f"{one.ratio:.1%}", one.means, _budget(one.budget)) for one in slo.OBJECTIVES)
    burns = (
        (
            burn.priority,
            f"{factor:g}",
            f"{long} and {short}",
            f"{30 / factor:.3g} days",
        )
        for burn in slo.BURNS
        for factor, long, short in burn.conditions
    )
    return "\n".join(
        (
            _table(("objective", "promise", "what is promised", "budget in 30 days, all at once"), rows),
            _table(("priority", "times the pace", "over both", "the month's budget then lasts"), burns),
        )
    )


def _budget(part: float) -> str:
    return f"{part * 30 * 24 * 60:.0f} min"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines: list[Sequence[str]] = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
