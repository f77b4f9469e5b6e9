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
        trace=f"marketprism.subscription{AT_KRAKEN}",
    ),
    Proof(
        alert="SequenceGaps",
        ill={gaps("kraken", "book", "sequence"): 5 / 60},
        labels={**KRAKEN, "channel": "book"},
        summary="kraken spot book keeps losing messages.",
        description="collector-1 found 6 gaps in kraken spot book in 10 min (more than 5), interruptions not counted.",
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
            trace=f"marketprism.book.sync{AT_KRAKEN}",
        )
        for code, said in ((1, "syncing"), (5, "broken by a gap"), (6, "different from the exchange's"))
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
            trace=f"marketprism.message{AT_KRAKEN}",
        )
        for seconds, took, said in (
            (-5, "-5s", "our clock is behind the exchange's"),
            (2, "2s", "our clock is ahead of the exchange's, or everything comes late"),
        )
    ),
)
