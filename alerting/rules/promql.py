"""As much of PromQL as this package needs: the names of metrics in an expression, and its durations.

It splits an expression into words and never judges it: promtool does. Strings and label matchers are skipped whole, so
what looks like a name or a duration inside them is left alone.
Syntax: https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import re
from fractions import Fraction

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")
      | (?P<matchers>\{[^}]*\})
      | (?P<duration>\b\d+(?:ms|[smhdw])\b)
      | (?P<number>\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b)
      | (?P<grouping>\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\))
      | (?P<word>[a-zA-Z_][a-zA-Z0-9_:]*)(?P<called>\s*\()?""",
    re.VERBOSE,
)
_OPERATORS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"})
_AGGREGATED = re.compile(r"\s*(?:by|without)\b")
_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def metrics(expression: str) -> set[str]:
    """The names of the metrics that it reads. A selector by `__name__` names none."""
    return {
        found["word"]
        for found in _TOKEN.finditer(expression)
        if found["word"]
        and not found["called"]
        and found["word"].lower() not in _OPERATORS
        and not _AGGREGATED.match(expression, found.end())
    }


def faster(expression: str, factor: int) -> str:
    """The same with every duration divided by `factor`; numbers stay, also those that are seconds."""

    def shorter(found: re.Match[str]) -> str:
        text = found["duration"]
        if not text:
            return found[0]
        number, unit = re.fullmatch(r"(\d+)([a-z]+)", text).groups()  # type: ignore[union-attr]  # it is a duration
        return duration(Fraction(int(number) * _MS[unit], 1000 * factor))

    return _TOKEN.sub(shorter, expression)


def duration(seconds: Fraction | float) -> str:
    """As PromQL writes it, in the largest unit that leaves a whole number: 300 is `5m`. Rounded to a millisecond."""
    ms = round(seconds * 1000)
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if ms % _MS[unit] == 0)
    return f"{ms // _MS[unit]}{unit}"
