"""The one state machine that gets a book in sync, keeps it proven, and repairs it. Every venue uses it.

    idle ──start──▶ waiting ──snapshot that splices──▶ live ──gap, mismatch, crossed, stalled──▶ waiting …
                      │  ▲                               │
              failed  ▼  │ retry_at                      └──lost (connection gone)──▶ idle
                    backoff

Single owner: only the core of the book's connection calls it. It asks for snapshots through `Owner.want_snapshot`; how
(REST, or a new subscription) is the venue's business. Budgets: at once the first time, then full jitter with a doubling
cap, forgotten only after `healthy_s` of unbroken sync; one attempt at a time, each with a deadline. The clock is passed
in. A book whose checksum keeps failing is published as `unverifiable` rather than fetched for ever; one whose known
range the market has left is fetched again while it stays live. Nothing is published unless it was checked: sequence,
checksum where the venue has one, sorted, not crossed, never older than what was published before.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

from collector.books import published
from collector.books.book import Book, BookError
from collector.books.contract import Budget
from collector.books.published import Missing
from collector.books.splice import following, unbroken
from collector.books.verdict import Verdict
from collector.clock import SECOND_NS
from collector.records import BookDelta

if TYPE_CHECKING:
    from random import Random

    from collector.books.contract import Identity, Owner, Rule, Snapshot, Update
    from collector.books.verdict import State, VerifiedBy
    from collector.clock import Now
    from collector.records import BookSnapshot, Gap, GapCause, SnapshotCause

FUTURE_US = 60_000_000
"""How far a venue's clock may be ahead of ours before its time stamps stop ordering snapshots."""
UNKNOWN = Missing()
Phase = Literal["idle", "waiting", "backoff", "live"]


class BookSync:
    """One book and its state. See the module's docstring."""

    def __init__(
        self, who: Identity, rule: Rule, book: Book, owner: Owner, rng: Random, budget: Budget | None = None
    ) -> None:
        self.who = who
        self.rule = rule
        self.book = book
        self.owner = owner
        self.rng = rng
        self.budget = budget or Budget()
        self.phase: Phase = "idle"
        self.verdict = Verdict("syncing", reason="not subscribed yet")
        self.last: int | None = None
        self.ts: int | None = None
        self.due: int | None = None
        """Monotonic ns at which `wake` has something to do: the attempt's deadline, or the next try."""
        self._floor: int | None = None
        self._dropped_ts: int | None = None
        """Venue time of the newest update that was void for want of a snapshot."""
        self._buffer: deque[Update] = deque(maxlen=self.budget.buffer)
        self._attempts = 0
        self._mismatches = 0
        self._skipped = 0
        """Updates in a row that were not newer than the book."""
        self._live_since = 0
        self._asked = 0
        self._widening = False
        """A snapshot was asked for although the book is live: most of the levels that it knew are gone."""
        self._gap: Gap | None = None

    # -- inputs ------------------------------------------------------------------------------------------------------

    def start(self, now: Now) -> None:
        """Begin: the stream is subscribed (or its first message came). A fresh subscription brings its own snapshot."""
        if self.phase == "idle":
            self._wait(now)
            if not self.rule.snapshot_in_band:
                self.owner.want_snapshot(now)

    def update(self, update: Update, now: Now) -> None:
        """Take one message of changes."""
        if self.phase != "live":
            if self.phase == "idle" and self.verdict.state != "blocked":  # else it is a late one
                self.start(now)
            if not self.rule.snapshot_in_band:
                update.recv_us = now.wall_us
                self._buffer.append(update)
            elif update.ts is not None:
                self._dropped_ts = max(update.ts, self._dropped_ts or update.ts)
            return
        step = self.rule.step(update, self.last)
        if step == "skip":
            self.owner.counted("duplicate", f"{update.first}..{update.last} is not newer than {self.last}")
            self._skipped += 1
            if self._skipped >= self.budget.skips:
                self._broken("sequence", f"{self._skipped} updates in a row are not newer than {self.last}", now)
        elif step == "gap":
            detail, missing = published.hole(update, self.last)
            self._broken("sequence", detail, now, missing)
            if not self.rule.snapshot_in_band:
                update.recv_us = now.wall_us
                self._buffer.append(update)
        else:
            self._skipped = 0
            self._apply(update, now)
            if self._widening:
                self._buffer.append(update)

    def snapshot(self, snapshot: Snapshot, now: Now) -> None:
        """Take a snapshot: the answer to a request, or one that came in band."""
        if self.rule.snapshot_in_band:
            self._buffer.clear()  # what came before it is void, also what was kept while one was fetched
            self.phase = "waiting" if self.phase == "idle" else self.phase
        if not self.rule.snapshot_in_band and self.phase != "waiting":
            if self._widening:
                self._widened(snapshot, now)
            return  # else a late answer to an attempt that was given up
        splice = following(self.rule, self._buffer, snapshot.last)
        outdated = "" if snapshot.ordered else self._outdated(snapshot, splice, now)
        if outdated and self.phase == "live":
            self.owner.counted("duplicate", outdated)
            return
        if outdated:
            self._failed(outdated, now)
            return
        unordered = self.phase == "live" and not snapshot.ordered and (snapshot.ts is None or self._newest(now) is None)
        if isinstance(splice, str):
            self._buffer = deque(unbroken(self.rule, self._buffer), self.budget.buffer)
            self._failed(splice, now)
            return
        try:
            self.book.load(snapshot.bids, snapshot.asks, limit=snapshot.limit)
        except BookError as error:
            self._broken(error.cause, str(error), now)
            return
        if not self._accept_checksum(snapshot.checksum, now):
            return
        self._buffer.clear()
        self._went_live(snapshot, now)
        for update in splice:
            if self.phase == "live":
                self._apply(update, now)
        if unordered:
            self.suspect("an unasked snapshot without a time may be older than the book", now)

    def failed(self, reason: str, now: Now) -> None:
        """Take note that the wanted snapshot could not be had."""
        if self.phase == "waiting":
            self._failed(reason, now)
        elif self._widening:
            self._widening = False
            self.owner.counted("sync_failed", f"no snapshot to know deeper levels again: {reason}")

    def undecodable(self, now: Now) -> None:
        """A message of this very book could not be decoded: it is lost."""
        if self.phase == "live":
            self._broken("undecodable", "a message of this book could not be decoded", now)

    def missed(self, detail: str, first: int | None, last: int | None, now: Now) -> None:
        """Messages `first`..`last` of this book's connection were lost, any of which may have been this book's."""
        if self.phase == "live":
            self._broken("sequence", detail, now, Missing(first, last, counted=False))

    def suspect(self, reason: str, now: Now, state: Literal["unverifiable", "stale"] = "unverifiable") -> None:
        """Something may be wrong with this book: it says so until the next message proves the chain whole."""
        if self.phase == "live":
            self._verdict(state, now, reason=reason)

    def confirmed(self, now: Now) -> None:
        """The venue's REST book equals ours: what made it doubtful is settled."""
        if self.phase == "live" and self.verdict.state != "in_sync" and self._mismatches < self.budget.mismatches:
            self._verdict("in_sync", now, by="rest")

    def blocked(self, reason: str, now: Now) -> None:
        """The venue does not give this book."""
        self.lost(reason, now)
        self._verdict("blocked", now, reason=reason)

    def refuted(self, cause: Literal["stalled", "diverged"], detail: str, upto: int | None, now: Now) -> None:
        """The venue's REST book moved on while this stream was silent, or shows other levels."""
        if self.phase == "live":
            first = None if self.last is None or upto is None else self.last + 1
            self._broken(cause, detail, now, Missing(first, upto))

    def lost(self, cause: str, now: Now) -> None:
        """The connection is gone."""
        if self.phase == "live":
            self._floor = self.last
            self._open_gap("disconnect", now)
        if self.phase != "idle":
            self._verdict("syncing", now, reason=cause)
        self.phase = "idle"
        self.due = None
        self._widening = False
        self._buffer.clear()

    def wake(self, now: Now) -> None:
        """Let deadlines pass."""
        if (
            self.phase == "live"
            and self._attempts
            and self._mismatches < self.budget.mismatches
            and now.mono_ns - self._live_since > self.budget.healthy_s * SECOND_NS
        ):
            self._attempts = self._mismatches = 0
        if self.phase == "live" and self.book.narrow and now.mono_ns - self._asked > self.budget.widen_s * SECOND_NS:
            self._asked, self._widening, self._floor = now.mono_ns, True, self.last
            self._buffer.clear()
            self.owner.want_snapshot(now)
        if self.due is None or now.mono_ns < self.due:
            return
        if self.phase == "waiting":
            self._failed(f"no snapshot within {self.budget.attempt_s:g} s", now)
        else:
            self._request(now)

    # -- what is published -------------------------------------------------------------------------------------------

    @property
    def covered(self) -> int:
        """Levels a side that the verdict speaks of."""
        complete = min(self.book.complete, self.book.depth)
        return complete if self.rule.covered_depth is None else min(complete, self.rule.covered_depth)

    def image(self, cause: SnapshotCause, now: Now) -> BookSnapshot:
        """Give the book as it stands as a record."""
        return published.image(self.who, self.book, self.last, self.ts, cause, now)

    def _apply(self, update: Update, now: Now) -> None:
        try:
            bids, asks = self.book.apply(update.bids, update.asks)
        except BookError as error:
            self._broken(error.cause, str(error), now)
            return
        self.last = update.last
        self.ts = update.ts
        if not self._accept_checksum(update.checksum, now):
            return
        who = self.who
        self.owner.record(
            BookDelta(
                venue=who.venue,
                market=who.market,
                instrument=who.instrument,
                symbol=who.symbol,
                ts=update.ts,
                recv_ts=now.wall_us if update.recv_us is None else update.recv_us,
                seq=update.last,
                contract_size=who.contract_size,
                bids=bids,
                asks=asks,
                first_seq=update.first,
                last_seq=update.last,
                depth=self.book.depth,
            )
        )
        verdict = self.verdict
        proven = verdict.state == "in_sync" and verdict.by == self.rule.verified_by
        if not proven and self._mismatches < self.budget.mismatches:
            self._proved(now)

    def _proved(self, now: Now) -> None:
        """Set the verdict of a book of which all that can be checked is whole."""
        by = self.rule.verified_by
        if by is None:
            self._verdict("unverifiable", now, reason="the venue gave no ids to check it by")
        else:
            self._verdict("in_sync", now, by=by)

    # -- transitions -------------------------------------------------------------------------------------------------

    def _request(self, now: Now) -> None:
        if self.phase == "live":  # a recheck: what comes before its snapshot is void
            self._open_gap("checksum", now)
        self._wait(now)
        self.owner.want_snapshot(now)

    def _wait(self, now: Now) -> None:
        self.phase = "waiting"
        # A REST request is always answered, also late when the venue's budget is paused: asking again would only pile
        # requests up.
        self.due = now.mono_ns + int(self.budget.attempt_s * SECOND_NS) if self.rule.snapshot_in_band else None
        if self.verdict.state not in ("gap", "stale", "diverged"):
            self._verdict("syncing", now, reason="waiting for a snapshot")

    def _went_live(self, snapshot: Snapshot, now: Now) -> None:
        self.phase, self._live_since, self._asked, self._skipped = "live", now.mono_ns, now.mono_ns, 0
        if self._mismatches < self.budget.mismatches:
            self.due = None
        self.last, self.ts, self._floor = snapshot.last, snapshot.ts, snapshot.last
        self.owner.counted("sync_ok", "")
        if self._gap is not None:
            self.owner.record(published.repaired(self._gap, self.ts, now))
            self._gap = None
        self.owner.record(self.image("sync", now))
        if self._mismatches < self.budget.mismatches:
            self._proved(now)

    def _widened(self, snapshot: Snapshot, now: Now) -> None:
        """Put a newer snapshot and what came since under a book that stays live. Ids that join prove it, not times."""
        self._widening = False
        splice = following(self.rule, self._buffer, snapshot.last)
        if isinstance(splice, str) or (not splice and self._outdated(snapshot, splice, now)):
            self.owner.counted("sync_failed", f"the snapshot at {snapshot.last} does not meet the book at {self.last}")
            return
        try:
            self.book.load(snapshot.bids, snapshot.asks, limit=snapshot.limit)
            for update in splice:
                self.book.apply(update.bids, update.asks)
        except BookError as error:
            self._broken(error.cause, str(error), now)
            return
        self.last = splice[-1].last if splice else snapshot.last
        self._buffer.clear()
        self.owner.counted("sync_ok", "")
        self.owner.record(self.image("sync", now))

    def _accept_checksum(self, checksum: int | None, now: Now) -> bool:
        proven = self.rule.proven(self.book, checksum)
        if proven is None:
            return True
        if proven:
            if self._mismatches >= self.budget.mismatches:
                self._mismatches, self.due = 0, None
            self.owner.counted("checksum_match", "")
            return True
        self.owner.counted("checksum_mismatch", f"the venue says {checksum}")
        self._mismatches += 1
        if self._mismatches >= self.budget.mismatches:
            self._verdict("unverifiable", now, reason=f"the checksum failed {self.budget.mismatches} times in a row")
            if self.phase != "live" or self.due is None:  # else the recheck is due already
                self.due = now.mono_ns + int(self.budget.recheck_s * SECOND_NS)
            return True
        self._broken("checksum", f"the venue's checksum {checksum} does not match the book", now)
        return False

    def _broken(self, cause: GapCause, detail: str, now: Now, missing: Missing = UNKNOWN) -> None:
        self._buffer.clear()
        self._widening = False
        self._floor = self.last
        self._open_gap(cause, now, missing)
        states: dict[str, State] = {"stalled": "stale", "diverged": "diverged"}
        self._verdict(states.get(cause, "gap"), now, reason=detail)
        self._retry(now)

    def _failed(self, reason: str, now: Now) -> None:
        self.owner.counted("sync_failed", reason)
        if self.verdict.state == "syncing":
            self._verdict("syncing", now, reason=reason)
        self._retry(now)

    def _outdated(self, snapshot: Snapshot, splice: list[Update] | str, now: Now) -> str:
        """Say why a snapshot is older than what this book saw already; empty when nothing shows it.

        An id below the book's shows nothing when the stream's updates follow the snapshot: then the id that was
        published was wrong, or the venue has begun its ids anew.
        """
        newest = self._newest(now)
        if snapshot.ts is not None and newest is not None and snapshot.ts < newest:
            return "the snapshot is older than updates that came before it"
        joined = isinstance(splice, list) and bool(splice)
        floor = None if snapshot.renumbered or joined else self._floor
        if snapshot.last is not None and floor is not None and snapshot.last < floor:
            return f"the snapshot at {snapshot.last} is older than the book already published at {floor}"
        return ""

    def _newest(self, now: Now) -> int | None:
        """Give the newest venue time that this book saw; one from the far future is not believed."""
        newest = max((ts for ts in (self.ts, self._dropped_ts) if ts is not None), default=None)
        if newest is not None and now.wall_us is not None and newest > now.wall_us + FUTURE_US:
            return None
        return newest

    def _retry(self, now: Now) -> None:
        attempts, self._attempts = self._attempts, self._attempts + 1
        if attempts == 0:
            self._request(now)
            return
        ceiling = min(self.budget.cap_s, self.budget.base_s * 2 ** min(attempts - 1, 16))
        self.phase = "backoff"
        self.due = now.mono_ns + int(self.rng.uniform(0.0, ceiling) * SECOND_NS)

    def _open_gap(self, cause: GapCause, now: Now, missing: Missing = UNKNOWN) -> None:
        if self._gap is None:
            self._gap = published.gap(self.who, cause, missing, self.ts, now)
            self.owner.record(self._gap)

    def _verdict(self, state: State, now: Now, *, by: VerifiedBy | None = None, reason: str = "") -> None:
        before = self.verdict
        since = now.wall_us if before.state != state or before.since_us is None else before.since_us
        self.verdict = Verdict(state, since, by, reason)
        if before.state != state or before.reason != reason:
            self.owner.changed(self.verdict, now)
