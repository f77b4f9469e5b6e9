"""OKX's trade ids: one message stands for the fills `tradeId - count + 1` .. `tradeId`, and the venue promises no more.

It owns what is known of each stream's ids. Whether they are dense from message to message is not written anywhere, so
it is looked at: see `collector.quality.density`. After an interruption a hole is told whatever the ids are, because
then something was missed for certain. https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-trades-channel
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.quality.density import Density

if TYPE_CHECKING:
    from collector.clock import Now
    from collector.records import Trade
    from collector.venues.stream import Stream

UNKNOWN = "whether trade ids are dense is not known yet"
SPARSE = "trade ids are not dense: a lost trade cannot be seen"


class TradeIds:
    """One stream's trades."""

    def __init__(self) -> None:
        self._density = Density()

    def take(self, stream: Stream, first: int, last: int, record: Trade, now: Now) -> None:
        """Publish a trade of the fills `first`..`last` once; with a Gap where fills are missing for certain."""
        stream.beat(now)
        before, ids, density = stream.ids.last, stream.ids, self._density
        seen = ids.see(last, first)
        missing = ""
        if seen == "duplicate":
            stream.counted("duplicate", f"trade {last}")
            if last == before and stream.verdict.state not in ("in_sync", "gap"):
                self._judge(stream, now)  # what the venue repeats on subscribing: nothing was missed
                stream.resumed = False
            return
        if seen == "next" and before is not None:
            density.link(whole=True)
        elif seen == "gap":
            missing = self._hole(stream, *ids.holes[-1], now)
        elif seen == "late":
            self._late(stream, first, last, now)
        if density.dense is not None and density.held:
            missing = self._told(stream, now) or missing
        if missing:
            stream.judge("gap", now, reason=missing)
        elif seen != "late":
            self._judge(stream, now)
        stream.resumed = False
        stream.record(record)

    def _hole(self, stream: Stream, first: int, last: int, now: Now) -> str:
        """Take a hole; give what to say of it when it is a loss for certain."""
        if stream.resumed:
            stream.record(stream.gap_record("disconnect", now, first=first, last=last))
            return f"trades {first}..{last} are missing"
        self._density.link(whole=False)
        if self._density.dense is None:
            self._density.held.append((first, last, now.wall_us))
        elif self._density.dense:
            stream.record(stream.gap_record("sequence", now, first=first, last=last))
            return f"trades {first}..{last} are missing"
        return ""

    def _told(self, stream: Stream, now: Now) -> str:
        """Now it is known what the ids are: the holes of the beginning were losses, or nothing."""
        held, self._density.held = self._density.held, []
        if not self._density.dense:
            return ""
        for first, last, found_us in held:
            record = stream.gap_record("sequence", now, first=first, last=last)
            record.detected_ts = found_us
            stream.record(record)
        return f"trades {held[-1][0]}..{held[-1][1]} are missing"

    def _late(self, stream: Stream, first: int, last: int, now: Now) -> None:
        """Fills of a hole came after all."""
        held = self._density.held
        for at, (begin, end, found_us) in enumerate(held):
            if first <= end and last >= begin:
                parts = ((begin, first - 1), (last + 1, end))
                held[at : at + 1] = [(one, other, found_us) for one, other in parts if one <= other]
                return
        if self._density.dense is not False:  # else nobody was told of a hole
            stream.record(stream.gap_record("sequence", now, first=first, last=last, repaired=True))

    def _judge(self, stream: Stream, now: Now) -> None:
        dense = self._density.dense
        if dense:
            if stream.verdict.state != "in_sync":
                stream.judge("in_sync", now, by="sequence")
        else:
            stream.judge("unverifiable", now, reason=UNKNOWN if dense is None else SPARSE)
