"""Four promises over 30 days, and the alerts on how fast their error budgets burn.

Each objective gives two series every minute, `slo:errors:rate5m` and `slo:events:rate5m`. All windows are sums over
those, so that a month costs no more than its minutes. A window divides by the events that it would have at the mean
rate: what was before the first sample counts as good, so a young system is not judged by its first minute. Windows
and factors are those of https://sre.google/workbook/alerting-on-slos/ as sloth writes them: a page for 2 % of a
month's budget in an hour or 5 % in six, a ticket for 10 % in a day or in three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alerting.rules import thresholds as at
from alerting.rules.core import COLLECTOR_UP
from alerting.rules.model import Priority, Rule

EVERY_S: Final = 60
WINDOWS: Final = {"5m": 5, "30m": 30, "1h": 60, "2h": 120, "6h": 360, "1d": 1440, "3d": 4320, "30d": 43200}
"""Window: samples in it, one a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """Alert when the budget burns `factor` times as fast as 30 days allow, over both windows, or over both others."""

    priority: Priority
    speed: str
    conditions: tuple[tuple[float, str, str], ...]
    """(factor, long window, short window)"""


BURNS: Final = (
    Burn(priority="P2", speed="fast", conditions=((14.4, "1h", "5m"), (6, "6h", "30m"))),
    Burn(priority="P3", speed="slow", conditions=((3, "1d", "2h"), (1, "3d", "6h"))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """`errors` and `events`: PromQL, per second or as a ratio, over five minutes.

    `means`: the promise in words.
    """

    name: str
    means: str
    means_zh: str
    errors: str
    events: str
    span: str
    fault: str

    @property
    def ratio(self) -> float:
        """The part that has to be good."""
        return at.OBJECTIVES[self.name]

    @property
    def budget(self) -> float:
        """The part that may fail."""
        return round(1 - self.ratio, 9)

    @property
    def alert(self) -> str:
        """The name of its alerts."""
        return f"{self.name.capitalize()}BudgetBurn"


_BAD: Final = "(marketprism_verdict == 1 or marketprism_verdict >= 4 < 7)"
_LOST: Final = (
    'sum(rate(marketprism_gap_records_lost_total{marketprism_gap_cause!="journal"}[5m]))\n'
    '+ sum(rate(marketprism_gaps_total{marketprism_gap_cause!="journal"}[5m]))'
)
_WITHIN: Final = f'le=~"{at.LATENCY_GOOD_S}([.]0)?"'

OBJECTIVES: Final = (
    Objective(
        name="freshness",
        means="of the time, over all streams, data flows: neither syncing, stale, broken, nor is the collector down",
        means_zh="的时间里（按全部数据流计）数据在流动：不处于同步中、沉默、损坏，采集器也没有停机",
        errors=(
            "sum_over_time((\n"
            f"  (1 - max({COLLECTOR_UP}) > 0)\n"
            f"  or count({_BAD}) / count(marketprism_verdict != 7)\n"
            "  or vector(0)\n"
            ")[5m:15s]) / 20"
        ),
        events="vector(1)",
        span="marketprism.connection",
        fault="one exchange refuses connections",
    ),
    Objective(
        name="completeness",
        means="of the exchanges' records arrive: each that is known to be missing counts, and each gap at least once",
        means_zh="的交易所记录到达：每条已知缺失的都计入，每个缺口至少计一条",
        errors=_LOST,
        events=f"sum(rate(marketprism_records_written_total[5m]))\n+ {_LOST}",
        span="marketprism.gap",
        fault="one message in twenty is dropped",
    ),
    Objective(
        name="latency",
        means=f"of the records are here within {at.LATENCY_GOOD_S} s of the exchange's stamp",
        means_zh=f"的记录在交易所时间戳之后 {at.LATENCY_GOOD_S} s 内到达",
        errors=(
            "sum(rate(marketprism_feed_lag_seconds_count[5m]))\n"
            f"- sum(rate(marketprism_feed_lag_seconds_bucket{{{_WITHIN}}}[5m]))"
        ),
        events="sum(rate(marketprism_feed_lag_seconds_count[5m]))",
        span="marketprism.message",
        fault="messages come 3 s late",
    ),
    Objective(
        name="delivery",
        means="of the received records are accepted by the journal",
        means_zh="的已收到记录被日志接受",
        errors="sum(rate(marketprism_journal_records_dropped_total[5m]))",
        events=(
            "sum(rate(marketprism_journal_records_accepted_total[5m]))\n"
            "+ sum(rate(marketprism_journal_records_dropped_total[5m]))"
        ),
        span="marketprism.burst.flush",
        fault="the journal's free-disk reserve is raised above what is free",
    ),
)


def recordings(objective: Objective) -> list[dict[str, object]]:
    """The recording rules of an objective, in the order in which they build on each other."""
    of, budget = f'{{slo="{objective.name}"}}', f"{objective.budget:g}"
    rules = [
        ("slo:errors:rate5m", objective.errors),
        ("slo:events:rate5m", objective.events),
        *(
            (
                f"slo:sli_error:ratio_rate{window}",
                (
                    f"sum_over_time(slo:errors:rate5m{of}[{window}])\n"
                    f"/ (avg_over_time(slo:events:rate5m{of}[{window}]) * {samples})"
                ),
            )
            for window, samples in WINDOWS.items()
        ),
        ("slo:objective:ratio", f"vector({objective.ratio:g})"),
        ("slo:error_budget:ratio", f"vector({budget})"),
        ("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{of} / {budget}"),
        ("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate30d{of} / {budget}"),
        ("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{of}"),
    ]
    return [{"record": name, "expr": expr, "labels": {"slo": objective.name}} for name, expr in rules]


def alerts(objective: Objective) -> list[Rule]:
    """Its alerts: one that asks for somebody soon, one for some time today."""
    return [_alert(objective, burn) for burn in BURNS]


def _alert(objective: Objective, burn: Burn) -> Rule:
    def over(factor: float, window: str) -> str:
        return f'slo:sli_error:ratio_rate{window}{{slo="{objective.name}"}} > {factor:g} * {objective.budget:g}'

    pairs = ((over(factor, long), over(factor, short)) for factor, long, short in burn.conditions)
    windows = " or ".join(f"{long} and {short} at {factor:g} times the pace" for factor, long, short in burn.conditions)
    windows_zh = "，或 ".join(f"{long} 与 {short} 窗口内为 {factor:g} 倍速" for factor, long, short in burn.conditions)
    return Rule(
        name=objective.alert,
        priority=burn.priority,
        scope="objective",
        value="\nor ".join(f"({long}\n  and {short})" for long, short in pairs),
        labels={"burn": burn.speed},
        summary=f"The error budget of {objective.name} burns {'fast' if burn.speed == 'fast' else 'steadily'}.",
        description=(
            f"{{{{ $value | humanizePercentage }}}} failed over the longer window ({windows}); "
            f"{objective.budget:.1%} may in 30 days. Promised: {objective.ratio:.1%} {objective.means}. "
            "Left of the month's budget: "
            f'{{{{ with query `slo:period_error_budget_remaining:ratio{{slo="{objective.name}"}}` }}}}'
            "{{ . | first | value | humanizePercentage }}{{ else }}unknown{{ end }}."
        ),
        summary_zh=f"{objective.name} 的错误预算正在{'快速' if burn.speed == 'fast' else '持续'}消耗。",
        description_zh=(
            f"较长窗口内有 {{{{ $value | humanizePercentage }}}} 失败（{windows_zh}）；"
            f"30 天内允许 {objective.budget:.1%}。承诺：{objective.ratio:.1%} {objective.means_zh}。本月预算剩余："
            f'{{{{ with query `slo:period_error_budget_remaining:ratio{{slo="{objective.name}"}}` }}}}'
            "{{ . | first | value | humanizePercentage }}{{ else }}未知{{ end }}。"
        ),
        span=objective.span,
        fault=objective.fault,
    )
