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
_OF_MARKET: Final = by("instance", "venue", "market")
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
        summary_zh=f"{VENUE} {MARKET} {INSTRUMENT} {CHANNEL} 没有动静了。",
        description_zh=(
            f"{INSTANCE} 没有收到 {VENUE} {MARKET} {INSTRUMENT} {CHANNEL} 的任何消息，"
            "时间之长已不能用此数据流自身的节奏解释，而连接仍在。"
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
        summary_zh=f"{VENUE} {MARKET} {INSTRUMENT} {CHANNEL} 的订阅已确认，却从未有数据。",
        description_zh=(
            f"{VENUE} 接受了 {INSTANCE} 对 {MARKET} {INSTRUMENT} {CHANNEL} 的订阅，"
            "但 15 分钟以来没有发送过它的任何数据。"
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
        summary_zh=f"{VENUE} {MARKET} {CHANNEL} 不断丢失消息。",
        description_zh=(
            f"10 分钟内，{INSTANCE} 在 {VENUE} {MARKET} {CHANNEL} 中发现 {{{{ $value }}}} 个缺口"
            f"（超过 {at.GAPS} 个），连接中断不计。"
        ),
        span="marketprism.gap",
        fault="messages of one channel are dropped again and again",
    ),
    Rule(
        name="BookOutOfSync",
        priority="P2",
        scope="feed",
        # syncing, gap, diverged; stale has an alert of its own, and so has an exchange that is not connected.
        value=(
            f'max {_OF_BOOK} (marketprism_verdict{{marketprism_channel="book"}} == 1\n'
            'or marketprism_verdict{marketprism_channel="book"} == 5\n'
            'or marketprism_verdict{marketprism_channel="book"} == 6)\n'
            "unless on (instance, marketprism_venue, marketprism_market) "
            f"(max {_OF_MARKET} (marketprism_connection_state) == 0)"
        ),
        hold_s=at.BOOK_OUT_OF_SYNC_FOR_S,
        by=BOOK,
        summary=f"The book of {VENUE} {MARKET} {INSTRUMENT} does not come back into sync.",
        description=(
            f"The book of {VENUE} {MARKET} {INSTRUMENT} in {INSTANCE} has been "
            "{{ if eq $value 1.0 }}syncing{{ else if eq $value 5.0 }}broken by a gap{{ else }}different from the "
            "exchange's{{ end }} for 2 min. A repair takes seconds."
        ),
        summary_zh=f"{VENUE} {MARKET} {INSTRUMENT} 的订单簿无法恢复同步。",
        description_zh=(
            f"{INSTANCE} 中 {VENUE} {MARKET} {INSTRUMENT} 的订单簿"
            "{{ if eq $value 1.0 }}处于同步中{{ else if eq $value 5.0 }}因缺口损坏{{ else }}与交易所不一致{{ end }}"
            "已有 2 分钟。修复通常只需数秒。"
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
        summary_zh=f"{VENUE} {MARKET} {INSTRUMENT} 的订单簿无法再校验。",
        description_zh=(
            f"{INSTANCE} 中 {VENUE} {MARKET} {INSTRUMENT} 的订单簿曾经同步，现在无法校验。它仍会发布，但可能有误。"
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
        summary_zh=f"采集器与 {VENUE} {MARKET} 的时钟不一致。",
        description_zh=(
            f"按 {VENUE} {MARKET} 的时间戳，最快的消息也用了 {{{{ $value | humanizeDuration }}}} 才到 {INSTANCE}："
            "{{ if lt $value 0.0 }}我方时钟落后于交易所{{ else }}我方时钟超前于交易所，或一切都晚到{{ end }}"
            f"（超过 {at.CLOCK_SKEW_S} s）。"
        ),
        span="marketprism.message",
        fault="the exchange's clock is 5 s off",
    ),
)
