"""What a dashboard consists of: boards of rows of panels with queries, as plain values.

It owns the words (kinds of panels, steps of colours, links) and must never know Grafana's JSON, so that a panel stays a
few lines and the tests can ask each query what it promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["stat", "graph", "stack", "timeline", "table", "logs"]
"""`graph`: lines over time, `stack`: the same piled up, `timeline`: states over time."""
Variable = Literal["instance", "venue", "market", "instrument", "channel"]
Steps = tuple[tuple[float | None, str], ...]
"""From which value on a colour is used; None is where all begins."""

COLUMNS: Final = 24
"""A row of Grafana's grid: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/"""
PLAIN: Final[Steps] = ((None, "blue"),)
"""Of what has no limit."""


def above(limit: float, *, warn: float | None = None) -> Steps:
    """Red from the limit on, yellow from `warn` on."""
    middle: Steps = () if warn is None else ((warn, "yellow"),)
    return ((None, "green"), *middle, (limit, "red"))


def below(limit: float, *, warn: float | None = None) -> Steps:
    """Red under the limit, yellow up to `warn`."""
    return ((None, "red"), (limit, "green")) if warn is None else ((None, "red"), (limit, "yellow"), (warn, "green"))


ANY: Final = above(1)
"""Red as soon as there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL, in a panel of kind `logs` LogQL.

    `fault`: while all is well it has no series, and this is what gives it some; empty where it always has some.
    `exemplars`: draw the traces that the histogram points to.
    """

    text: str
    legend: str = ""
    fault: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An address within Grafana that a value leads to, with Grafana's `${…}` in it."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    `unit` is Grafana's id of a unit. `names`: what the numbers mean, with the colour of each. `columns` of a table:
    label to heading, in order; `value` is the heading of the value. `empty`: what stands there without data.
    """

    kind: Kind
    title: str
    says: str
    queries: tuple[Query, ...]
    unit: str = ""
    width: int = 8
    steps: Steps = PLAIN
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    value: str = ""
    empty: str = "no data"
    decimals: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels side by side under a heading. Their widths fill whole rows of the grid."""

    title: str
    panels: tuple[Panel, ...]
    height: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard. `one`: of each variable one value is chosen, but for the channel; else any number."""

    uid: str
    title: str
    says: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ("instance",)
    one: bool = False
    since: str = "now-1h"
