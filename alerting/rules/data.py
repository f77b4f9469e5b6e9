"""What only this system can know: whether each stream is fresh, whole and provable, and whether the clocks agree.

Judged by the verdicts that the collector gives, never by age alone: a quiet market is not a dead feed.
"""

from __future__ import annotations

from typing import Final

from alerting.rules import thresholds as at
from alerting.rules.core import INSTANCE, MARKET, VENUE
from alerting.rules.model import Label, Rule, by, shown

INSTRUMENT, CHANNEL = shown("instrument"), shown("channel")
STREAM: Final[tuple[Label, ...]] = ("instance", "venue", "market", "instrument", "channel")
BOOK: Final[tuple[Label, ...]] = ("instance", "venue", "market", "instrument")
FOUND: Final = "sequence|checksum|crossed|unsorted|undecodable|stalled"
"""Causes of gaps that the data itself showed. An interruption or a restart has alerts of its own."""
_OF_STREAM: Final = by(*STREAM)
_OF_BOOK: Final = by(*BOOK)
_OF_CHANNEL: Final = by("instance", "venue", "market", "channel")

DATA: Final = (
    Rule(
        name="FeedStale",
        priority="P2",
        scope="feed",
        value=f"max {_OF_STREAM} (marketprism_verdict == 4)",
        hold_s=at.FEED_STALE_FOR_S,
        by=STREAM,
        summary=f"{VENUE} {MARKET} {INSTRUMENT} {CHANNEL} has gone silent.",
        description=(
            f"{INSTANCE} has heard nothing of {VENUE} {MARKET} {INSTRUMENT} {CHANNEL} for longer than this stream's "
            "own pace explains, although the connection stands."
        ),
        span="marketprism.subscription",
        fault="the exchange sends nothing more of one stream",
    ),
    Rule(
        name="FeedNeverSpoke",
        priority="P3",
        scope="feed",
        value=f'max {_OF_STREAM} (marketprism_verdict{{marketprism_channel=~"book|quotes|tickers"}} == 2)',
        hold_s=at.FEED_SILENT_FOR_S,
        by=STREAM,
        summary=f"{VENUE} {MARKET} {INSTRUMENT} {CHANNEL} was acknowledged and has never spoken.",
        description=(
            f"{VENUE} accepted the subscription of {INSTANCE} to {MARKET} {INSTRUMENT} {CHANNEL} "
            "and has sent no data of it for 15 min."
        ),
        span="marketprism.subscription",
        fault="the exchange acknowledges a subscription and sends nothing",
    ),
    Rule(
        name="SequenceGaps",
        priority="P3",
        scope="feed",
        value=(f'round(sum {_OF_CHANNEL} (increase(marketprism_gaps_total{{marketprism_gap_cause=~"{FOUND}"}}[10m])))'),
        when=f"> {at.GAPS}",
        by=("instance", "venue", "market", "channel"),
        summary=f"{VENUE} {MARKET} {CHANNEL} keeps losing messages.",
        description=(
            f"{INSTANCE} found {{{{ $value }}}} gaps in {VENUE} {MARKET} {CHANNEL} in 10 min (more than {at.GAPS}), "
            "interruptions not counted."
        ),
        span="marketprism.gap",
        fault="messages of one channel are dropped again and again",
    ),
    Rule(
        name="BookOutOfSync",
        priority="P2",
        scope="feed",
        # syncing, gap, diverged; stale has an alert of its own.
        value=(
            f'max {_OF_BOOK} (marketprism_verdict{{marketprism_channel="book"}} == 1\n'
            'or marketprism_verdict{marketprism_channel="book"} == 5\n'
            'or marketprism_verdict{marketprism_channel="book"} == 6)'
        ),
        hold_s=at.BOOK_OUT_OF_SYNC_FOR_S,
        by=BOOK,
        summary=f"The book of {VENUE} {MARKET} {INSTRUMENT} does not come back into sync.",
        description=(
            f"The book of {VENUE} {MARKET} {INSTRUMENT} in {INSTANCE} has been "
            "{{ if eq $value 1.0 }}syncing{{ else if eq $value 5.0 }}broken by a gap{{ else }}different from the "
            "exchange's{{ end }} for 2 min. A repair takes seconds."
        ),
        span="marketprism.book.sync",
        fault="a book loses an update, and snapshots are refused",
    ),
    Rule(
        name="BookUnverifiable",
        priority="P3",
        scope="feed",
        # Newly: one that never could be checked stays silent. It was in sync within the hour.
        value=(
            f"max {_OF_BOOK} (\n"
            '  marketprism_verdict{marketprism_channel="book"} == 3\n'
            '  and min_over_time(marketprism_verdict{marketprism_channel="book"}[1h]) == 0\n'
            ")"
        ),
        hold_s=at.BOOK_UNVERIFIABLE_FOR_S,
        by=BOOK,
        summary=f"The book of {VENUE} {MARKET} {INSTRUMENT} can no longer be verified.",
        description=(
            f"The book of {VENUE} {MARKET} {INSTRUMENT} in {INSTANCE} was in sync and can now not be checked. "
            "It is still published, and may be wrong."
        ),
        span="marketprism.book.sync",
        fault="the exchange's checksums are wrong again and again",
    ),
    Rule(
        name="ClockSkew",
        priority="P3",
        scope="venue",
        value=f"min {by('instance', 'venue', 'market')} (marketprism_clock_skew_seconds)",
        when=f"< -{at.CLOCK_SKEW_S} or min {by('instance', 'venue', 'market')} (marketprism_clock_skew_seconds) "
        f"> {at.CLOCK_SKEW_S}",
        hold_s=at.CLOCK_SKEW_FOR_S,
        by=("instance", "venue", "market"),
        summary=f"The clocks of a collector and of {VENUE} {MARKET} differ.",
        description=(
            f"By the stamps of {VENUE} {MARKET} even the quickest message took {{{{ $value | humanizeDuration }}}} to "
            f"{INSTANCE}: {{{{ if lt $value 0.0 }}}}our clock is behind the exchange's{{{{ else }}}}our clock is ahead "
            f"of the exchange's, or everything comes late{{{{ end }}}} (more than {at.CLOCK_SKEW_S} s)."
        ),
        span="marketprism.message",
        fault="the exchange's clock is 5 s off",
    ),
)
