"""Instrument: book, quotes and latency of one instrument on one venue.

Only the verdict and the time of the last message are kept for each instrument: that bounds the number of series. What
else there is counts the venue's whole channel, and says so.
"""

from __future__ import annotations

from typing import Final

from alerting.rules import thresholds as at
from grafana import queries as q
from grafana.model import Board, Panel, Query, Row, above

_OF: Final = q.where("instance", "venue", "market", "instrument", "channel", one=True)
_CHANNEL: Final = q.where("instance", "venue", "market", "channel", one=True)
_BOOKS: Final = q.where("instance", "venue", "market", one=True)
_BOOK: Final = q.where("instance", "venue", "market", one=True, also='marketprism_channel="book"')


def _verdict(channel: str, says: str) -> Panel:
    of = q.where("instance", "venue", "market", "instrument", one=True, also=f'marketprism_channel="{channel}"')
    return Panel(
        kind="stat",
        title=channel.capitalize(),
        says=says,
        queries=(Query(text=f"max by (marketprism_channel) (marketprism_verdict{of})"),),
        unit="short",
        width=4,
        names=q.VERDICTS,
    )


def _age(channel: str, says: str) -> Panel:
    of = q.where("instance", "venue", "market", "instrument", one=True, also=f'marketprism_channel="{channel}"')
    return Panel(
        kind="stat",
        title=f"Last of {channel}",
        says=says,
        queries=(Query(text=f"time() - max by (marketprism_channel) (marketprism_last_message_time_seconds{of} > 0)"),),
        unit="s",
        width=4,
        decimals=1,
        steps=above(at.FEED_SILENT_FOR_S, warn=at.FEED_STALE_FOR_S),
    )


_NOW: Final = Row(
    title="Now",
    height=4,
    panels=(
        _verdict("book", "What is known of the order book."),
        _age("book", "How long ago the book's last message came. A quiet market is not a dead feed: see the verdict."),
        _verdict("quotes", "What is known of the best bid and ask."),
        _age("quotes", "How long ago the last quote came."),
        _verdict("trades", "What is known of the trades."),
        _age("trades", "How long ago the last trade came."),
    ),
)
_STREAMS: Final = Row(
    title="Streams",
    panels=(
        Panel(
            kind="timeline",
            title="Verdicts",
            says="What is known of each of its streams.",
            queries=(
                Query(
                    text=f"max by (marketprism_channel) (marketprism_verdict{_OF})",
                    legend=q.legend("channel"),
                ),
            ),
            unit="short",
            width=12,
            names=q.VERDICTS,
            links=(q.traces("marketprism.subscription"),),
        ),
        Panel(
            kind="graph",
            title="Time since the last message",
            says="A stream is called stale by its own pace, not by this age alone.",
            queries=(
                Query(
                    text=f"time() - max by (marketprism_channel) (marketprism_last_message_time_seconds{_OF} > 0)",
                    legend=q.legend("channel"),
                ),
            ),
            unit="s",
            width=12,
            steps=above(at.FEED_SILENT_FOR_S, warn=at.FEED_STALE_FOR_S),
        ),
    ),
)
_BOOK_ROW: Final = Row(
    title="Book (counted over all books of the venue and market)",
    panels=(
        Panel(
            kind="stack",
            title="Syncs",
            says="Book syncs that ended, by how.",
            queries=(
                Query(
                    text=(
                        f"sum by (marketprism_sync_outcome) (increase(marketprism_book_syncs_total{_BOOKS}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_sync_outcome}}",
                ),
            ),
            unit="short",
            width=6,
            links=(q.traces("marketprism.book.sync"),),
        ),
        Panel(
            kind="graph",
            title="Checksums",
            says="Checksums compared. Venues without checksums stay at 0: their sequence numbers prove the book.",
            queries=(
                Query(
                    text=q.total("marketprism_book_checksums_total", _BOOKS, "marketprism_checksum_outcome"),
                    legend="{{marketprism_checksum_outcome}}",
                ),
            ),
            unit="ops",
            width=6,
        ),
        Panel(
            kind="stack",
            title="Gaps",
            says="Gaps of books, by how they were found.",
            queries=(
                Query(
                    text=f"sum by (marketprism_gap_cause) (increase(marketprism_gaps_total{_BOOK}{q.WINDOW}))",
                    legend="{{marketprism_gap_cause}}",
                ),
            ),
            unit="short",
            width=6,
            links=(q.traces("marketprism.gap"),),
        ),
        Panel(
            kind="graph",
            title="Repair, 95 of 100",
            says="From finding a gap of a book to its repair.",
            queries=(
                Query(
                    text=q.quantile(0.95, "marketprism_gap_repair_duration_seconds", _BOOK),
                    legend="repair",
                    exemplars=True,
                    fault="messages of a book are lost",
                ),
            ),
            unit="s",
            width=6,
            steps=above(at.BOOK_OUT_OF_SYNC_FOR_S),
            empty="No gap was repaired.",
            links=(q.traces("marketprism.gap"),),
        ),
    ),
)
_LATENCY: Final = Row(
    title="Latency (counted over all instruments of the channel)",
    panels=(
        Panel(
            kind="graph",
            title="Lag",
            says="From the venue's stamp to our receiving: the middle one, and 99 of 100.",
            queries=tuple(
                Query(
                    text=q.quantile(ratio, "marketprism_feed_lag_seconds", _CHANNEL, "channel"),
                    legend=f"{q.legend('channel')} {name}",
                    exemplars=ratio > 0.9,
                )
                for ratio, name in ((0.5, "half"), (0.99, "99 of 100"))
            ),
            unit="s",
            steps=above(at.LATENCY_GOOD_S),
            links=(q.traces("marketprism.message", "channel"),),
        ),
        Panel(
            kind="graph",
            title="Processing, 99 of 100",
            says="From received to journaled, a message's share of its burst.",
            queries=(
                Query(
                    text=q.quantile(0.99, "marketprism_message_process_duration_seconds", _CHANNEL, "channel"),
                    legend=q.legend("channel"),
                    exemplars=True,
                ),
            ),
            unit="s",
            links=(q.traces("marketprism.message", "channel"),),
        ),
        Panel(
            kind="graph",
            title="Messages",
            says="Messages received.",
            queries=(
                Query(
                    text=q.total("marketprism_messages_received_total", _CHANNEL, "channel"),
                    legend=q.legend("channel"),
                ),
            ),
            unit="mps",
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
            says="What the collector said of this instrument. A line with a trace leads to it.",
            queries=(Query(text=q.logs('marketprism_venue="$venue"', 'marketprism_instrument="$instrument"')),),
            width=24,
        ),
    ),
)
INSTRUMENT: Final = Board(
    uid=q.INSTRUMENT,
    title="Instrument",
    says="Book, quotes and latency of one instrument.",
    variables=("instance", "venue", "market", "instrument", "channel"),
    one=True,
    rows=(_NOW, _STREAMS, _BOOK_ROW, _LATENCY, _LOGS),
)
