"""The proofs of what this system alone can know."""

from tests.alerting.proofs.core import AT_KRAKEN, KRAKEN
from tests.alerting.proofs.kit import Proof
from tests.alerting.proofs.world import gaps, skew, verdict

BOOK = {**KRAKEN, "instrument": "BTC-USDT"}

DATA = (
    Proof(
        alert="FeedStale",
        ill={verdict("kraken", "trades"): 4},
        labels={**BOOK, "channel": "trades"},
        summary="kraken spot BTC-USDT trades has gone silent.",
        description=(
            "collector-1 has heard nothing of kraken spot BTC-USDT trades for longer than this stream's own pace "
            "explains, although the connection stands."
        ),
        summary_zh="kraken spot BTC-USDT trades 没有动静了。",
        description_zh=(
            "collector-1 没有收到 kraken spot BTC-USDT trades 的任何消息，"
            "时间之长已不能用此数据流自身的节奏解释，而连接仍在。"
        ),
        trace=f"marketprism.subscription{AT_KRAKEN}",
    ),
    Proof(
        alert="FeedNeverSpoke",
        ill={verdict("kraken", "quotes"): 2},
        labels={**BOOK, "channel": "quotes"},
        summary="kraken spot BTC-USDT quotes was acknowledged and has never spoken.",
        description=(
            "kraken accepted the subscription of collector-1 to spot BTC-USDT quotes and has sent no data of it "
            "for 15 min."
        ),
        summary_zh="kraken spot BTC-USDT quotes 的订阅已确认，却从未有数据。",
        description_zh=(
            "kraken 接受了 collector-1 对 spot BTC-USDT quotes 的订阅，但 15 分钟以来没有发送过它的任何数据。"
        ),
        trace=f"marketprism.subscription{AT_KRAKEN}",
    ),
    Proof(
        alert="SequenceGaps",
        ill={gaps("kraken", "book", "sequence"): 5 / 60},
        labels={**KRAKEN, "channel": "book"},
        summary="kraken spot book keeps losing messages.",
        description="collector-1 found 6 gaps in kraken spot book in 10 min (more than 5), interruptions not counted.",
        summary_zh="kraken spot book 不断丢失消息。",
        description_zh="10 分钟内，collector-1 在 kraken spot book 中发现 6 个缺口（超过 5 个），连接中断不计。",
        rises_s=330,
        lasts_s=30,
        clears_s=265,
        trace=f"marketprism.gap{AT_KRAKEN}",
    ),
    *(
        Proof(
            alert="BookOutOfSync",
            ill={verdict("kraken", "book"): code},
            labels=BOOK,
            summary="The book of kraken spot BTC-USDT does not come back into sync.",
            description=(
                f"The book of kraken spot BTC-USDT in collector-1 has been {said} for 2 min. A repair takes seconds."
            ),
            summary_zh="kraken spot BTC-USDT 的订单簿无法恢复同步。",
            description_zh=f"collector-1 中 kraken spot BTC-USDT 的订单簿{said_zh}已有 2 分钟。修复通常只需数秒。",
            trace=f"marketprism.book.sync{AT_KRAKEN}",
        )
        for code, said, said_zh in (
            (1, "syncing", "处于同步中"),
            (5, "broken by a gap", "因缺口损坏"),
            (6, "different from the exchange's", "与交易所不一致"),
        )
    ),
    Proof(
        alert="BookUnverifiable",
        ill={verdict("kraken", "book"): 3},
        labels=BOOK,
        summary="The book of kraken spot BTC-USDT can no longer be verified.",
        description=(
            "The book of kraken spot BTC-USDT in collector-1 was in sync and can now not be checked. "
            "It is still published, and may be wrong."
        ),
        summary_zh="kraken spot BTC-USDT 的订单簿无法再校验。",
        description_zh="collector-1 中 kraken spot BTC-USDT 的订单簿曾经同步，现在无法校验。它仍会发布，但可能有误。",
        trace=f"marketprism.book.sync{AT_KRAKEN}",
    ),
    *(
        Proof(
            alert="ClockSkew",
            ill={skew("kraken"): seconds},
            labels=KRAKEN,
            summary="The clocks of a collector and of kraken spot differ.",
            description=(
                f"By the stamps of kraken spot even the quickest message took {took} to collector-1: {said} "
                "(more than 1 s)."
            ),
            summary_zh="采集器与 kraken spot 的时钟不一致。",
            description_zh=(
                f"按 kraken spot 的时间戳，最快的消息也用了 {took} 才到 collector-1：{said_zh}（超过 1 s）。"
            ),
            trace=f"marketprism.message{AT_KRAKEN}",
        )
        for seconds, took, said, said_zh in (
            (-5, "-5s", "our clock is behind the exchange's", "我方时钟落后于交易所"),
            (
                2,
                "2s",
                "our clock is ahead of the exchange's, or everything comes late",
                "我方时钟超前于交易所，或一切都晚到",
            ),
        )
    ),
)
