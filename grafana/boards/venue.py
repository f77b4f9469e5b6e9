"""Venue: connections, traffic, quality, perpetuals, latency and the REST API of each exchange."""

from __future__ import annotations

from typing import Final

from alerting.rules import thresholds as at
from grafana import queries as q
from grafana.model import ANY, Board, Panel, Query, Row, above

_OF: Final = q.where("instance", "venue", "market")
_CHANNEL: Final = q.where("instance", "venue", "market", "channel")
_POOL: Final = q.where("instance", "venue")
_PERPETUAL: Final = q.where(
    "instance", "venue", "market", also='marketprism_channel=~"funding|open_interest|liquidations"'
)
_STEADY: Final = q.where("instance", "venue", "market", also='marketprism_channel=~"funding|open_interest"')
_PERPETUAL_RECORDS: Final = q.where(
    "instance", "venue", "market", also='marketprism_record_type=~"FundingRate|OpenInterest|Liquidation"'
)
_NO_PERPETUALS: Final = "No perpetuals are collected here."
_REST: Final = "http_client_request_duration_seconds"

_CONNECTIONS: Final = Row(
    title="Connections",
    panels=(
        Panel(
            kind="timeline",
            title="Connections",
            says="Whether each connection stands.",
            queries=(
                Query(
                    text=f"max by (instance, marketprism_connection) (marketprism_connection_state{_OF})",
                    legend="{{marketprism_connection}}",
                ),
            ),
            unit="short",
            names=q.UP,
        ),
        Panel(
            kind="stack",
            title="Connections that ended",
            says="By what ended them. A rotation is planned; stalled means that we closed it because its data stopped.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_venue, marketprism_close_cause) "
                        f"(increase(marketprism_connection_closed_total{_OF}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_venue}} {{marketprism_close_cause}}",
                ),
            ),
            unit="short",
            links=(q.traces("marketprism.connection", "venue"),),
        ),
        Panel(
            kind="stack",
            title="Attempts to connect",
            says="By how they ended.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_venue, marketprism_attempt_outcome) "
                        f"(increase(marketprism_connection_attempts_total{_OF}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_venue}} {{marketprism_attempt_outcome}}",
                ),
            ),
            unit="short",
        ),
    ),
)
_TRAFFIC: Final = Row(
    title="Traffic",
    panels=(
        Panel(
            kind="graph",
            title="Messages",
            says="Messages received, before anything is decided about them.",
            queries=(
                Query(
                    text=q.total("marketprism_messages_received_total", _CHANNEL, "venue", "channel"),
                    legend=q.legend("venue", "channel"),
                ),
            ),
            unit="mps",
        ),
        Panel(
            kind="graph",
            title="Payload",
            says="Bytes received, after decompression.",
            queries=(
                Query(
                    text=q.total("marketprism_received_size_bytes_total", _CHANNEL, "venue", "channel"),
                    legend=q.legend("venue", "channel"),
                ),
            ),
            unit="Bps",
        ),
        Panel(
            kind="graph",
            title="Records",
            says="Records handed to the journal, by type.",
            queries=(
                Query(
                    text=q.total("marketprism_records_written_total", _OF, "venue", "marketprism_record_type"),
                    legend="{{marketprism_venue}} {{marketprism_record_type}}",
                ),
            ),
            unit="rps",
        ),
    ),
)
_QUALITY: Final = Row(
    title="Quality: follow a verdict to its instrument",
    height=10,
    panels=(
        Panel(
            kind="timeline",
            title="Verdicts",
            says="What is known of each stream's data.",
            queries=(
                Query(
                    text=f"max without (job) (marketprism_verdict{_CHANNEL})",
                    legend=q.legend("venue", "instrument", "channel"),
                ),
            ),
            unit="short",
            width=12,
            names=q.VERDICTS,
            links=(q.board("Instrument", q.INSTRUMENT, "instance", "venue", "market", "instrument"),),
        ),
        Panel(
            kind="stack",
            title="Gaps by cause",
            says=f"More than {at.GAPS} in ten minutes that the data itself showed are an alert.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_venue, marketprism_channel, marketprism_gap_cause) "
                        f"(increase(marketprism_gaps_total{_CHANNEL}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_venue}} {{marketprism_channel}} {{marketprism_gap_cause}}",
                ),
            ),
            unit="short",
            width=6,
            links=(q.traces("marketprism.gap", "venue", "channel"),),
        ),
        Panel(
            kind="stack",
            title="Undecodable, duplicate",
            says="Messages that could not be decoded (each is a dead letter), and records dropped as seen before.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_venue, marketprism_undecodable_reason) "
                        f"(increase(marketprism_message_undecodable_total{_CHANNEL}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_venue}} undecodable: {{marketprism_undecodable_reason}}",
                ),
                Query(
                    text=(
                        "sum by (marketprism_venue) "
                        f"(increase(marketprism_duplicates_dropped_total{_CHANNEL}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_venue}} duplicates",
                ),
            ),
            unit="short",
            width=6,
        ),
    ),
)
_PERPETUALS: Final = Row(
    title="Perpetuals: funding, open interest, liquidations",
    panels=(
        Panel(
            kind="timeline",
            title="Verdicts of perpetuals",
            says="None of these can be proven. A quiet market has no liquidations, so theirs may stay acknowledged.",
            queries=(
                Query(
                    text=f"max without (job) (marketprism_verdict{_PERPETUAL})",
                    legend=q.legend("venue", "instrument", "channel"),
                ),
            ),
            unit="short",
            names=q.VERDICTS,
            links=(q.board("Instrument", q.INSTRUMENT, "instance", "venue", "market", "instrument"),),
            empty=_NO_PERPETUALS,
        ),
        Panel(
            kind="stack",
            title="Records of perpetuals",
            says="Records handed to the journal, by type.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_venue, marketprism_record_type) "
                        f"(increase(marketprism_records_written_total{_PERPETUAL_RECORDS}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_venue}} {{marketprism_record_type}}",
                ),
            ),
            unit="short",
            empty=_NO_PERPETUALS,
        ),
        Panel(
            kind="graph",
            title="Time since the last funding, open interest",
            says="Of the instrument that has waited longest. A stream is stale by its own pace, not by this age.",
            queries=(
                Query(
                    text=(
                        "time() - min by (marketprism_venue, marketprism_channel) "
                        f"(marketprism_last_message_time_seconds{_STEADY} > 0)"
                    ),
                    legend=q.legend("venue", "channel"),
                ),
            ),
            unit="s",
            empty=_NO_PERPETUALS,
        ),
    ),
)
_LATENCY: Final = Row(
    title="Latency",
    panels=(
        Panel(
            kind="graph",
            title="Lag, 99 of 100",
            says="From the venue's stamp to our receiving. Channels without stamps have none.",
            queries=(
                Query(
                    text=q.quantile(0.99, "marketprism_feed_lag_seconds", _CHANNEL, "venue", "market", "channel"),
                    legend=q.legend("venue", "market", "channel"),
                    exemplars=True,
                ),
            ),
            unit="s",
            steps=above(at.LATENCY_GOOD_S),
            links=(q.traces("marketprism.message", "venue", "channel"),),
        ),
        Panel(
            kind="graph",
            title="Clocks apart",
            says=(
                "The quickest message of the last half minute, by the venue's stamp. Below 0 our clock is behind, for "
                "certain; far above ours is ahead, or everything comes late."
            ),
            queries=(
                Query(
                    # The comparison of a value with itself drops NaN: no message had a stamp.
                    text=f"(marketprism_clock_skew_seconds{_OF} == marketprism_clock_skew_seconds{_OF})",
                    legend="{{marketprism_connection}}",
                ),
            ),
            unit="s",
            steps=((None, "red"), (-at.CLOCK_SKEW_S, "green"), (at.CLOCK_SKEW_S, "red")),
        ),
        Panel(
            kind="graph",
            title="Repair of gaps, 95 of 100",
            says="From finding a gap to its repair, of those that were repaired lately.",
            queries=(
                Query(
                    text=q.quantile(0.95, "marketprism_gap_repair_duration_seconds", _CHANNEL, "venue", "channel"),
                    legend=q.legend("venue", "channel"),
                    exemplars=True,
                    fault="messages of a book are lost",
                ),
            ),
            unit="s",
            empty="No gap was repaired.",
            links=(q.traces("marketprism.gap", "venue", "channel"),),
        ),
    ),
)
_API: Final = Row(
    title="REST API",
    panels=(
        Panel(
            kind="graph",
            title="Requests, 95 of 100",
            says=f"How long requests take, to the end of the body. Beyond {at.API_P95_S} s is an alert.",
            queries=(
                Query(
                    text=q.quantile(0.95, _REST, _POOL, "venue"),
                    legend=q.legend("venue"),
                    exemplars=True,
                    fault="a book is fetched",
                ),
            ),
            unit="s",
            width=6,
            steps=above(at.API_P95_S),
            empty="Nothing was asked.",
            links=(q.traces("GET", "venue"),),
        ),
        Panel(
            kind="stack",
            title="Requests by endpoint",
            says="By what was answered; without a status there was no answer.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_venue, marketprism_endpoint, http_response_status_code) "
                        f"(increase({_REST}_count{_POOL}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_venue}} {{marketprism_endpoint}} {{http_response_status_code}}",
                ),
            ),
            unit="short",
            width=6,
        ),
        Panel(
            kind="graph",
            title="Budget used",
            says="Of the weight that may be used in the present window. Beyond it requests wait.",
            queries=(
                Query(
                    text=f"marketprism_rest_budget_used{_POOL} / marketprism_rest_budget_limit{_POOL}",
                    legend="{{marketprism_pool}}",
                ),
            ),
            unit="percentunit",
            width=6,
            steps=above(1, warn=0.8),
        ),
        Panel(
            kind="graph",
            title="Paused by the venue",
            says="How long until the pool may be used again: the venue said 429 or 418.",
            queries=(Query(text=f"marketprism_rest_paused_seconds{_POOL}", legend="{{marketprism_pool}}"),),
            unit="s",
            width=6,
            steps=ANY,
        ),
    ),
)
_LOGS: Final = Row(
    title="Logs",
    height=10,
    panels=(
        Panel(
            kind="logs",
            title="Log lines",
            says="What the collectors said of these venues. A line with a trace leads to it.",
            queries=(Query(text=q.logs('marketprism_venue=~"$venue"')),),
            width=24,
        ),
    ),
)
VENUE: Final = Board(
    uid=q.VENUE,
    title="Venue",
    says="What an exchange sends, how good it is, and how its API answers.",
    variables=("instance", "venue", "market", "channel"),
    rows=(_CONNECTIONS, _TRAFFIC, _QUALITY, _PERPETUALS, _LATENCY, _API, _LOGS),
)
