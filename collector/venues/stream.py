"""One subscription: what was asked, what came, what is known of it.

Trades and quotes are kept whole here; a book is kept by its `BookSync`, whose `Owner` the stream is: it passes on what
the book says. A stream only ever speaks through its core's output.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, cast

from msgspec.structs import replace

from collector.books.verdict import Verdict
from collector.quality.candles import Bars, interval_us
from collector.quality.liveness import EXPECTATIONS, Pulse
from collector.quality.sequence import BELIEVED, IdSequence
from collector.records import Gap
from collector.venues.protocol import Event, VerdictChange

if TYPE_CHECKING:
    from collector.books.contract import Identity
    from collector.books.sync import BookSync
    from collector.books.verdict import State, VerifiedBy
    from collector.clock import Now
    from collector.records import Candle, GapCause, Instrument, Quote, Record, Trade
    from collector.venues.core import VenueCore
    from collector.venues.protocol import Channel, EventKind


UNNUMBERED = frozenset({"quotes", "tickers", "funding", "open_interest", "liquidations"})
"""Channels of which an interruption loses something that cannot be told; the rest say it by ids, or say all anew."""
UNLISTED = frozenset({"not listed", "delisted"})
AWAITED = frozenset({"syncing", "acknowledged", "stale"})
"""Verdicts that say that no message came."""


class Stream:
    """`name` is what the venue's messages and requests call it."""

    __slots__ = (
        "acked",
        "asked",
        "bars",
        "book",
        "channel",
        "checking",
        "core",
        "gap",
        "ids",
        "known",
        "last_seq",
        "last_us",
        "name",
        "older",
        "pulse",
        "refused",
        "resumed",
        "snapshot_ns",
        "tries",
        "verdict",
        "who",
    )

    def __init__(self, core: VenueCore, name: str, who: Identity, channel: Channel) -> None:
        self.core = core
        self.name = name
        self.who = who
        self.channel = channel
        self.book: BookSync | None = None
        self.verdict = Verdict("syncing", reason="not subscribed yet")
        """Of trades and quotes; a book's verdict is its BookSync's."""
        self.pulse = Pulse()
        self.ids = IdSequence()
        self.asked = False
        self.acked = False
        self.refused = False
        """Whether the venue's last answer was no, and it has not been asked again since."""
        self.tries = 0
        """How often it was asked again on this connection without being accepted."""
        self.resumed = False
        """Whether the connection ended since the last message: a hole is then the interruption's."""
        self.last_us: int | None = None
        self.last_seq: int | None = None
        self.older = 0
        """Quotes in a row that were older than the newest."""
        self.gap: Gap | None = None
        self.bars: Bars | None = None
        """Of candles."""
        self.known: Instrument | None = None
        """Of channel `instruments`: what was published last."""
        self.checking: tuple[int, int | None] | None = None
        """A REST check found a difference: (monotonic ns at which it counts, the id that the venue's book stands at).
        """
        self.snapshot_ns = 0

    # -- a book's owner --------------------------------------------------------------------------------------------

    def want_snapshot(self, now: Now) -> None:
        """See `Owner`."""
        self.core.want_snapshot(self, now)

    def record(self, record: Record) -> None:
        """See `Owner`."""
        self.core.out.records.append(record)

    def changed(self, verdict: Verdict, now: Now) -> None:
        """See `Owner`."""
        self.core.out.verdicts.append(VerdictChange(self.who.instrument, self.channel, verdict))
        if self.book is not None and verdict.state != "in_sync":
            self.core.soon(now)

    def counted(self, kind: EventKind, detail: str = "") -> None:
        """See `Owner`."""
        self.core.out.events.append(Event(kind, self.channel, self.who.instrument, detail))

    # -- subscription ----------------------------------------------------------------------------------------------

    def beat(self, now: Now) -> None:
        """Take note of one message of this stream's data."""
        self.pulse.beat(now.mono_ns)
        self.last_us = now.wall_us

    def acknowledged(self, now: Now) -> None:
        """Take note that the venue accepted the subscription: from here on it owes a first message.

        A stream that flowed before the connection ended is `acknowledged` only if its own pace explains that it waits;
        else it is still `syncing` until it is back, and `stale` when its patience is over.
        """
        self.acked, self.refused, self.tries = True, False, 0
        self.counted("subscription_acked")
        if self.book is not None:
            self.book.start(now)
        elif self.pulse.count == 0 and self.verdict.state != "stale":
            expectation = EXPECTATIONS.get(self.channel)
            quiet = self.last_us is None or expectation is None or self.pulse.explains_silence(expectation)
            if quiet:
                self.judge("acknowledged", now, reason=f"no message yet{self.since_when()}")
            else:
                self.judge("syncing", now, reason=f"acknowledged, and no message yet{self.since_when()}")

    def since_when(self) -> str:
        """Give what to add to "no message" while a stream that used to flow is not back after a reconnect."""
        return "" if self.pulse.count or self.last_us is None else " since the connection was lost"

    def rejected(self, reason: str, now: Now, *, final: bool) -> None:
        """Take note that the venue refused. `final`: it will not be asked again on this connection.

        Else it is asked again soon, and is not fine until it is accepted or brings data all the same.
        """
        self.counted("subscription_rejected", reason)
        self.refused, self.acked = not final, False
        if not final and self.pulse.armed is not None:
            self.pulse.armed = now.mono_ns
        if not final and self.book is not None:
            self.book.suspect(f"refused: {reason}", now, "stale")  # a snapshot may have made it live meanwhile
        elif not final and self.pulse.count == 0 and self.verdict.state != "stale":
            self.judge("syncing", now, reason=f"refused: {reason}")
        if not final:
            return
        self.pulse.armed = None
        if self.book is not None:
            self.book.blocked(reason, now)
        else:
            self.judge("blocked", now, reason=reason)

    def disconnected(self, cause: str, now: Now) -> None:
        """Take note that the connection is gone."""
        # What speaks only when something happens may have been about to, also where nothing had come yet.
        flowing = self.pulse.count > 0 or (self.acked and self.channel not in EXPECTATIONS)
        self.asked = self.acked = self.refused = False
        self.tries = 0
        self.checking = self.last_seq = None
        self.resumed = self.resumed or flowing
        self.pulse = self.pulse.reconnected()
        if self.book is not None:
            self.book.lost(cause, now)
        elif self.verdict.state != "blocked":
            if self.bars is not None:
                self.bars.broken()
            elif self.channel in UNNUMBERED and self.resumed and self.gap is None:
                self.lose("disconnect", now)
            self.judge("syncing", now, reason=cause)

    # -- data ------------------------------------------------------------------------------------------------------

    def trade(self, ident: int, record: Trade, now: Now) -> None:
        """Publish a trade whose ids the venue counts one by one: each once, with a Gap where some are missing."""
        self.beat(now)
        seen = self.ids.see(ident)
        if seen == "next":
            if self.verdict.state != "in_sync":
                self.judge("in_sync", now, by="sequence")
        elif seen == "gap":
            first, last = self.ids.holes[-1]
            self.record(self.gap_record("disconnect" if self.resumed else "sequence", now, first=first, last=last))
            self.judge("gap", now, reason=f"trades {first}..{last} are missing")
        elif seen == "late":
            self.record(self.gap_record("sequence", now, first=ident, last=ident, repaired=True))
        else:
            self.counted("duplicate", f"trade {ident}")
            if ident == self.ids.last and self.verdict.state in AWAITED:  # it is back, and ours is still the newest
                self.judge("in_sync", now, by="sequence")
            return
        self.resumed = False
        self.record(record)

    def quote(self, record: Quote, now: Now, *, by: VerifiedBy | None = None) -> None:
        """Publish a quote unless a newer one was. See `plain`."""
        if record.seq is not None:
            if self.last_seq is not None and record.seq <= self.last_seq and self.older < BELIEVED:
                self.older += 1
                self.spoke(now)
                self.counted("duplicate", f"quote {record.seq}")
                return
            self.last_seq, self.older = record.seq, 0
        self.plain(record, now, by=by)

    def spoke(self, now: Now, *, by: VerifiedBy | None = None) -> None:
        """Take a message of which there is no record: the stream is not silent all the same."""
        self.beat(now)
        if self.verdict.state in AWAITED:
            self.judge("unverifiable" if by is None else "in_sync", now, by=by)

    def plain(self, record: Record, now: Now, *, by: VerifiedBy | None = None) -> None:
        """Publish a record of a kind that the venue does not number, so that a lost one cannot be seen; unless `by`
        something else (the connection's own sequence) it can.
        """
        self.beat(now)
        if self.gap is not None:
            gap, self.gap = self.gap, None
            self.record(self.gap_record(gap.cause, now, detected=gap.detected_ts, repaired=True))
        verdict = self.verdict
        if by is not None:
            if verdict.state != "in_sync":
                self.judge("in_sync", now, by=by)
        elif verdict.state != "unverifiable" or verdict.reason:
            self.judge("unverifiable", now)
        self.resumed = False
        self.record(record)

    def lose(self, cause: GapCause, now: Now) -> None:
        """Open a Gap of unknown extent; the next `plain` record closes it."""
        if self.gap is None:
            self.gap = self.gap_record(cause, now)
            self.record(self.gap)

    def candle(self, bar: Candle, now: Now, *, marked: bool, by: VerifiedBy | None = None) -> None:
        """Publish a bar's new state, the one before as closed where that follows, and a Gap for those that are missing.

        `marked`: the venue marks closed bars and emits every one, which makes a missing one seen.
        """
        self.beat(now)
        if self.bars is None:
            self.bars = Bars(marked, interval_us(bar.interval))
        told = self.bars.take(bar)
        for first, last in told.holes:
            count = (last - first) // self.bars.step_us + 1
            cause: GapCause = "disconnect" if self.resumed else "sequence"
            self.record(self.gap_record(cause, now, first=first, last=last, count=count))
        if told.filled is not None:
            self.record(self.gap_record("sequence", now, first=told.filled, last=told.filled, count=1, repaired=True))
        older = bar.open_ts < cast("Candle", self.bars.current).open_ts
        if not told.bars and (marked or older):
            self.counted("duplicate", f"bar of {bar.open_ts}")
        if not told.bars and older:  # else the newest bar as it was: nothing was missed
            return
        proof: VerifiedBy | None = "sequence" if marked else by
        state: State = "unverifiable" if proof is None else "in_sync"
        if told.holes:
            self.judge("gap", now, reason=f"bars {told.holes[0][0]}..{told.holes[-1][1]} are missing")
        elif self.verdict.state != state or self.verdict.reason:
            self.judge(state, now, by=proof)
        self.resumed = False
        for one in told.bars:
            self.record(one)

    # -- the listing -----------------------------------------------------------------------------------------------

    def instrument(self, record: Instrument, now: Now) -> None:
        """Publish what the venue says of the instrument, when it is news."""
        self.beat(now)
        if self.known is None or replace(record, ts=self.known.ts, recv_ts=self.known.recv_ts) != self.known:
            self.known = record
            self.plain(record, now)
        elif self.verdict.state != "unverifiable":
            self.judge("unverifiable", now)

    def listed(self, entry: Instrument, now: Now) -> None:
        """Take note that the venue lists the instrument: what it is worth, and that it may be asked for (again)."""
        if entry.contract_size != self.who.contract_size:
            self.who = dataclasses.replace(self.who, contract_size=entry.contract_size)
            if self.book is not None:
                self.book.who = self.who
        if self.verdict_now.state == "blocked" and self.verdict_now.reason in UNLISTED:
            self.asked = False
            if self.book is not None:
                self.book.lost("listed again", now)
            else:
                self.judge("syncing", now, reason="listed again")

    def unlisted(self, reason: Literal["not listed", "delisted"], now: Now) -> None:
        """Take note that there is nothing to be had; said once."""
        if self.verdict_now.state != "blocked" or self.verdict_now.reason != reason:
            self.rejected(reason, now, final=True)

    @property
    def verdict_now(self) -> Verdict:
        """The stream's verdict, whoever keeps it."""
        return self.verdict if self.book is None else self.book.verdict

    def undecodable(self, detail: str, now: Now, *, mine: bool) -> None:
        """A message was lost that was (`mine`), or may have been, this stream's."""
        if self.book is not None:
            if mine:
                self.book.undecodable(now)
            else:
                self.book.suspect(f"an undecodable message may have been this book's: {detail}", now)
            return
        if self.bars is not None:
            self.bars.broken()  # the state that was lost may have been the bar's last
        if self.verdict.state in ("in_sync", "unverifiable"):
            self.judge("unverifiable", now, reason=f"a message could not be decoded: {detail}")

    def judge(self, state: State, now: Now, *, by: VerifiedBy | None = None, reason: str = "") -> None:
        """Set the verdict of a stream that is not a book. What is not listed any more stays so, whatever comes late."""
        before = self.verdict
        if before.state == "blocked" and before.reason in UNLISTED and state in ("in_sync", "unverifiable", "gap"):
            return
        if before.state != state or before.reason != reason:
            since = now.wall_us if before.state != state or before.since_us is None else before.since_us
            self.verdict = Verdict(state, since, by, reason)
            self.changed(self.verdict, now)

    def gap_record(
        self,
        cause: GapCause,
        now: Now,
        *,
        first: int | None = None,
        last: int | None = None,
        count: int | None = None,
        detected: int | None = None,
        repaired: bool = False,
    ) -> Gap:
        """Give a Gap of this stream, found now unless it is `repaired` now."""
        who = self.who
        return Gap(
            venue=who.venue,
            market=who.market,
            instrument=who.instrument,
            symbol=who.symbol,
            ts=None,
            recv_ts=now.wall_us,
            channel=self.channel,
            first=first,
            last=last,
            count=last - first + 1 if count is None and first is not None and last is not None else count,
            cause=cause,
            detected_ts=detected if repaired else now.wall_us,
            repaired_ts=now.wall_us if repaired else None,
        )
