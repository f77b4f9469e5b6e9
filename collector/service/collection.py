"""All feeds of the process, and the one way of their records: publish → journal → next segment when it is due.

It owns the order that makes a segment complete: every feed hands over what it has, then every book's snapshot heads
the new segment. All of that happens without an await, on the event loop's thread, so nothing can come in between. It
never opens a socket or a file itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from collector.service.restarts import Restarts
from collector.web.health import NOT_LISTED, ConnectionFacts, VenueFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collector.clock import Clock, Now
    from collector.records import Gap, Market, Record
    from collector.venues.protocol import Core, StreamStatus

STOP_S = 2.0
"""How long feeds get to end; each needs less than a second, also when its peer hangs."""


class Feed(Protocol):
    """What the collection needs of a LiveFeed."""

    @property
    def name(self) -> str:
        """Of the connection, the same after every reconnect."""

    @property
    def core(self) -> Core:
        """What it drives."""

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""

    async def run(self) -> None:
        """Collect until stopped."""

    async def stop(self) -> None:
        """End `run`."""

    def flush(self) -> None:
        """Publish what the core has."""

    def snapshots(self, now: Now) -> list[Record]:
        """Give the head of a segment."""


class Spool(Protocol):
    """What the collection needs of a Journal."""

    @property
    def due(self) -> bool:
        """Whether a new segment is wanted."""

    def append(self, records: Sequence[Record]) -> bool:
        """Accept records, or count them as dropped."""

    def rotate(self, head: Sequence[Record]) -> bool:
        """Begin a segment."""


@dataclass(slots=True)
class Note:
    """What is known of a connection beside whether it is open: since when (UTC µs), its handshake, why it ended."""

    since_us: int | None = None
    handshake_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """A feed in its place. `by_name`: instruments that were asked of this very venue."""

    feed: Feed
    note: Note
    by_name: frozenset[str] = frozenset()


@dataclass(slots=True)
class Collection:
    """Add the feeds, then `run`. `spool` is None when records go nowhere (record). `excused`: see `assumed`."""

    spool: Spool | None
    clock: Clock
    restarts: Restarts = field(default_factory=lambda: Restarts(()))
    on_closed: Callable[[Sequence[Gap]], None] = lambda _gaps: None
    defaults: bool = False
    """The instruments are the built-in ones, so nobody asked for any of them by name."""
    placed: list[Placed] = field(default_factory=list)
    _turning: bool = False

    def publish(self, records: list[Record]) -> bool | None:
        """Take a feed's records. False: not all were accepted, and the rest is counted; None: they go nowhere."""
        spool = self.spool
        if spool is None:
            return None
        accepted = spool.append(records)
        if self.restarts:
            closed = self.restarts.close(records, self.clock())
            if closed:
                spool.append(closed)
                self.on_closed(closed)
        if spool.due:
            self.turn()
        return accepted

    def turn(self) -> None:
        """Begin a new segment that starts with every book."""
        if self.spool is None or self._turning:  # a flush publishes, and may find the segment still due
            return
        self._turning = True
        try:
            for place in self.placed:
                place.feed.flush()
            now = self.clock()
            self.spool.rotate([record for place in self.placed for record in place.feed.snapshots(now)])
        finally:
            self._turning = False

    async def stop(self) -> int:
        """End all feeds; give how many would not end in time."""
        tasks = [asyncio.create_task(place.feed.stop()) for place in self.placed]
        if not tasks:
            return 0
        done, late = await asyncio.wait(tasks, timeout=STOP_S)
        for task in late:
            task.cancel()
        for task in done:
            task.result()
        return len(late)

    def venues(self) -> list[VenueFacts]:
        """Facts for /health."""
        streams = {id(place): place.feed.core.streams() for place in self.placed}
        assumed = self._assumed([(place, streams[id(place)]) for place in self.placed])
        found: dict[tuple[str, Market], list[Placed]] = {}
        for place in self.placed:
            facts = place.feed.core.facts
            found.setdefault((facts.venue, facts.market), []).append(place)
        return [
            VenueFacts(
                venue=venue,
                market=market,
                connections=[
                    ConnectionFacts(
                        name=place.feed.name,
                        is_open=place.feed.connected,
                        since_us=place.note.since_us,
                        handshake_s=place.note.handshake_s,
                        detail=place.note.detail,
                        streams=streams[id(place)],
                    )
                    for place in places
                ],
                assumed=assumed - places[0].by_name,
            )
            for (venue, market), places in found.items()
        ]

    def _assumed(self, streams: Sequence[tuple[Placed, Sequence[StreamStatus]]]) -> frozenset[str]:
        """Instruments that a venue may lack without fault: all of the built-in list; of a list that somebody wrote,
        those that another venue lists, for what no venue lists is a mistake.
        """
        every = frozenset(status.instrument for _, statuses in streams for status in statuses)
        if self.defaults:
            return every
        return frozenset(
            status.instrument
            for _, statuses in streams
            for status in statuses
            if not (status.verdict.state == "blocked" and status.verdict.reason.startswith(NOT_LISTED))
        )
