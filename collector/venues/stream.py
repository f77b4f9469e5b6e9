"""One subscription: what was asked, what came, what is known of it.

Trades and quotes are kept whole here; a book is kept by its `BookSync`, whose `Owner` the stream is: it passes on what
the book says. A stream only ever speaks through its core's output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.books.verdict import Verdict
from collector.quality.liveness import Pulse
from collector.quality.sequence import IdSequence
from collector.records import Gap
from collector.venues.protocol import Event, VerdictChange

if TYPE_CHECKING:
    from collector.books.contract import Identity
    from collector.books.sync import BookSync
    from collector.books.verdict import State, VerifiedBy
    from collector.clock import Now
    from collector.records import GapCause, Quote, Record, Trade
    from collector.venues.core import VenueCore
    from collector.venues.protocol import Channel, EventKind


class Stream:
    """`name` is what the venue's messages and requests call it."""

    __slots__ = (
        "acked",
        "asked",
        "book",
        "channel",
        "checking",
        "core",
        "gap",
        "ids",
        "last_seq",
        "last_us",
        "name",
        "pulse",
        "resumed",
        "snapshot_ns",
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
        self.resumed = False
        """Whether the connection ended since the last message: a hole is then the interruption's."""
        self.last_us: int | None = None
        self.last_seq: int | None = None
        self.gap: Gap | None = None
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
        """Take note that the venue accepted the subscription: from here on it owes a first message."""
        self.acked = True
        self.counted("subscription_acked")
        if self.book is not None:
            self.book.start(now)
        elif self.pulse.count == 0:
            self.judge("acknowledged", now, reason="no message yet")

    def rejected(self, reason: str, now: Now, *, final: bool) -> None:
        """Take note that the venue refused. `final`: it will not be asked again on this connection."""
        self.counted("subscription_rejected", reason)
        if not final:
            return
        self.pulse.armed = None
        if self.book is not None:
            self.book.blocked(reason, now)
        else:
            self.judge("blocked", now, reason=reason)

    def disconnected(self, cause: str, now: Now) -> None:
        """Take note that the connection is gone."""
        self.asked = self.acked = False
        self.checking = self.last_seq = None
        self.resumed = self.resumed or self.pulse.count > 0
        self.pulse = Pulse(remedies=self.pulse.remedies)
        if self.book is not None:
            self.book.lost(cause, now)
        elif self.verdict.state != "blocked":
            if self.channel == "quotes" and self.resumed and self.gap is None:
                self.gap = self.gap_record("disconnect", now)
                self.record(self.gap)
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
            return
        self.resumed = False
        self.record(record)

    def quote(self, record: Quote, now: Now) -> None:
        """Publish a quote unless a newer one was. No venue numbers quotes one by one, so a lost one cannot be seen."""
        self.beat(now)
        if record.seq is not None:
            if self.last_seq is not None and record.seq <= self.last_seq:
                self.counted("duplicate", f"quote {record.seq}")
                return
            self.last_seq = record.seq
        if self.gap is not None:
            gap, self.gap = self.gap, None
            self.record(self.gap_record(gap.cause, now, detected=gap.detected_ts, repaired=True))
        if self.verdict.state != "unverifiable" or self.verdict.reason:
            self.judge("unverifiable", now)
        self.record(record)

    def undecodable(self, detail: str, now: Now, *, mine: bool) -> None:
        """A message was lost that was (`mine`), or may have been, this stream's."""
        if self.book is not None:
            if mine:
                self.book.undecodable(now)
            else:
                self.book.suspect(f"an undecodable message may have been this book's: {detail}", now)
        elif self.verdict.state in ("in_sync", "unverifiable"):
            self.judge("unverifiable", now, reason=f"a message could not be decoded: {detail}")

    def judge(self, state: State, now: Now, *, by: VerifiedBy | None = None, reason: str = "") -> None:
        """Set the verdict of a stream that is not a book."""
        before = self.verdict
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
            count=None if first is None or last is None else last - first + 1,
            cause=cause,
            detected_ts=detected if repaired else now.wall_us,
            repaired_ts=now.wall_us if repaired else None,
        )
