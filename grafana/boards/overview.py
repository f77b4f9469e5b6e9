"""Overview: is the data good, now and over 30 days. The table of what is broken leads to the instrument."""

from __future__ import annotations

from typing import Final

from alerting.rules import thresholds as at
from alerting.rules.slo import BURNS
from grafana import queries as q
from grafana.model import ANY, Board, Panel, Query, Row, above, below

_OF: Final = q.where("instance", "venue", "market")
_BAD: Final = f"(marketprism_verdict{_OF} == 1 or marketprism_verdict{_OF} >= 4)"
"""Syncing, stale, gap, diverged or blocked. The others flow, or have nothing to say yet."""
_BURN: Final = max(factor for burn in BURNS if burn.speed == "fast" for factor, _, _ in burn.conditions)
_TO_VENUE: Final = q.board("Venue", q.VENUE, "venue", "market")
_STREAM: Final = {
    "instance": "collector",
    "marketprism_venue": "venue",
    "marketprism_market": "market",
    "marketprism_instrument": "instrument",
    "marketprism_channel": "channel",
}

_NOW: Final = Row(
    title="Now",
    height=5,
    panels=(
        Panel(
            kind="stat",
            title="Streams that flow",
            says="In sync: proven by sequence numbers or checksums. Not provable: the venue gives nothing to check by.",
            queries=(
                Query(text=f"count(marketprism_verdict{_OF} == 0) or vector(0)", legend="in sync"),
                Query(text=f"count(marketprism_verdict{_OF} == 3) or vector(0)", legend="not provable"),
            ),
            unit="short",
            width=4,
        ),
        Panel(
            kind="stat",
            title="Streams broken",
            says="Streams that are syncing, stale, behind a gap, diverged or blocked. They stand in the table below.",
            queries=(Query(text=f"count({_BAD}) or vector(0)"),),
            unit="short",
            width=4,
            steps=ANY,
        ),
        Panel(
            kind="stat",
            title="Connections",
            says="The part of all connections to exchanges that stands.",
            queries=(Query(text=f"avg(marketprism_connection_state{_OF})"),),
            unit="percentunit",
            width=4,
            steps=below(1),
        ),
        Panel(
            kind="stat",
            title="Messages",
            says="Messages received from all exchanges.",
            queries=(Query(text=q.total("marketprism_messages_received_total", _OF)),),
            unit="mps",
            width=4,
        ),
        Panel(
            kind="stat",
            title="Gaps",
            says="Gaps found in the time that is shown, repaired or not.",
            queries=(Query(text=q.grown("marketprism_gaps_total", _OF)),),
            unit="short",
            width=4,
            decimals=0,
            steps=above(at.GAPS, warn=1),
        ),
        Panel(
            kind="stat",
            title="Alerts firing",
            says="Alerts that somebody is told of.",
            queries=(Query(text='count(ALERTS{alertstate="firing", priority=~"P[1-4]"}) or vector(0)'),),
            unit="short",
            width=4,
            steps=ANY,
            links=(q.board("Alerts", q.ALERTS),),
        ),
    ),
)
_BROKEN: Final = Row(
    title="What is broken: follow a row to its instrument",
    height=9,
    panels=(
        Panel(
            kind="table",
            title="Broken streams",
            says="One row for each stream that is not what it should be. A row leads to its instrument, or its venue.",
            queries=(
                Query(
                    text=f"max by ({', '.join(_STREAM)}) {_BAD}",
                    fault="messages of a book are lost",
                ),
            ),
            unit="short",
            width=16,
            names=q.VERDICTS,
            columns=_STREAM,
            value="verdict",
            empty="Nothing is broken.",
            links=(
                q.board("Instrument", q.INSTRUMENT, "instance", "venue", "market", "instrument", of="row"),
                q.board("Venue", q.VENUE, "instance", "venue", "market", of="row"),
            ),
        ),
        Panel(
            kind="timeline",
            title="Worst verdict of each venue",
            says="The worst that is known of any of its streams.",
            queries=(
                Query(
                    text=f"max by (instance, marketprism_venue, marketprism_market) (marketprism_verdict{_OF})",
                    legend=q.legend("venue", "market"),
                ),
            ),
            unit="short",
            width=8,
            names=q.VERDICTS,
            links=(_TO_VENUE,),
        ),
    ),
)
_MONTH: Final = Row(
    title="Thirty days",
    panels=(
        Panel(
            kind="stat",
            title="Error budget left",
            says="What is left of the part that may fail in 30 days. At 0 the promise is broken.",
            queries=(Query(text="slo:period_error_budget_remaining:ratio", legend="{{slo}}"),),
            unit="percentunit",
            steps=below(0, warn=0.25),
        ),
        Panel(
            kind="graph",
            title="Kept over 30 days",
            says="The part of the last 30 days that was good. What is promised: "
            + ", ".join(f"{name} {ratio:.1%}" for name, ratio in at.OBJECTIVES.items())
            + ".",
            queries=(Query(text="1 - slo:sli_error:ratio_rate30d", legend="{{slo}}"),),
            unit="percentunit",
            decimals=2,
            steps=below(min(at.OBJECTIVES.values())),
        ),
        Panel(
            kind="graph",
            title="How fast the budget burns",
            says=f"1 uses up the budget in exactly 30 days. At {_BURN:g} for an hour somebody is called.",
            queries=(Query(text="slo:current_burn_rate:ratio", legend="{{slo}}"),),
            unit="none",
            steps=above(_BURN, warn=1),
        ),
    ),
)
_QUALITY: Final = Row(
    title="Quality",
    panels=(
        Panel(
            kind="stack",
            title="Streams by verdict",
            says="How many streams have each verdict.",
            queries=tuple(
                Query(text=f"count(marketprism_verdict{_OF} == {code}) or vector(0)", legend=name)
                for code, (name, _) in q.VERDICTS.items()
            ),
            unit="short",
        ),
        Panel(
            kind="stack",
            title="Gaps by cause",
            says="Gaps found, by how they were found.",
            queries=(
                Query(
                    text=f"sum by (marketprism_gap_cause) (increase(marketprism_gaps_total{_OF}{q.WINDOW}))",
                    legend="{{marketprism_gap_cause}}",
                ),
            ),
            unit="short",
            links=(q.traces("marketprism.gap"),),
        ),
        Panel(
            kind="graph",
            title="Lag, 99 of 100",
            says=(
                "From the venue's stamp to our receiving, of 99 of 100 records. "
                f"Promised is {at.LATENCY_GOOD_S} s of {at.OBJECTIVES['latency']:.0%}."
            ),
            queries=(
                Query(
                    text=q.quantile(0.99, "marketprism_feed_lag_seconds", _OF, "venue", "market"),
                    legend=q.legend("venue", "market"),
                    exemplars=True,
                ),
            ),
            unit="s",
            steps=above(at.LATENCY_GOOD_S),
            links=(q.traces("marketprism.message", "venue", "market"), _TO_VENUE),
        ),
    ),
)
OVERVIEW: Final = Board(
    uid=q.OVERVIEW,
    title="Overview",
    says="Is the data good, now and over 30 days?",
    variables=("instance", "venue", "market"),
    rows=(_NOW, _BROKEN, _MONTH, _QUALITY),
)
