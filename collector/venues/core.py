"""What every venue core does the same way: streams, requests, dead letters, waking.

A venue's own core (venues/<name>/core.py) adds its wire format, its subscriptions and its book rule, and nothing else.
This class owns the streams of one connection; it is moved by the five inputs of `protocol.Core` and never does I/O,
reads a clock or emits telemetry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET, DecodeError
from msgspec.structs import replace

from collector.books.book import Book
from collector.books.contract import Identity
from collector.books.sync import BookSync
from collector.clock import MILLI_NS, SECOND_NS
from collector.venues.protocol import STATUS_TRANSPORT, WHOLE_VENUE, Answer, DeadLetter, Fetch, Output, StreamStatus
from collector.venues.stream import Stream
from collector.venues.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from msgspec import Raw

    from collector.books.contract import Rule
    from collector.clock import Now
    from collector.records import Instrument, Record
    from collector.venues.polling import Poll
    from collector.venues.protocol import Channel, CoreSettings, Facts, FrameKind, UndecodableReason

TICK_NS = SECOND_NS
BUSY_TICK_NS = 250 * MILLI_NS
"""How soon a core wakes again while a book is not in sync."""
KEPT_LEVELS = 20_000
"""Levels a side that a book may grow to where the venue sets no bound: far beyond every published depth."""
MOST_DETAIL = 500
MOST_SHOWN = 100
"""Bytes of a row of a listing that a reader is shown."""
TOO_DEEP = "nested too deeply"
Row = TypeVar("Row")


class FieldError(ValueError):
    """A field's value is not what the venue's protocol allows."""


class VenueCore(ABC):
    """The common part. `message_deadline_s`: see `Watch`."""

    def __init__(self, facts: Facts, settings: CoreSettings, *, message_deadline_s: float | None = None) -> None:
        self.facts = facts
        self.settings = settings
        self.out = Output()
        self.deadline = 0
        self.by_name: dict[str, Stream] = {}
        self.by_wire: dict[str, list[Stream]] = {}
        """The streams that one subscription of the venue's feeds: its ticker may be quotes and tickers at once."""
        self.listing: dict[str, Instrument] | None = None
        """Everything that the venue is known to list, by its symbol; None while nothing is known."""
        self.polls: list[Poll] = []
        self.open = False
        self.watch = Watch(self, message_deadline_s)
        self._random = Random(settings.seed)
        self._fetches = 0
        self._pending: dict[int, Stream | None] = {}

    # -- what a venue adds -----------------------------------------------------------------------------------------

    @abstractmethod
    def opened(self, now: Now) -> None:
        """Start subscribing on a fresh connection."""

    @abstractmethod
    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """Ask for those of the streams that were not asked for yet."""

    @abstractmethod
    def resubscribe(self, stream: Stream, now: Now) -> None:
        """Drop one stream and ask for it again."""

    @abstractmethod
    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """Get a book snapshot in the venue's way."""

    @abstractmethod
    def want_check(self, stream: Stream, now: Now) -> None:
        """Fetch a small REST book to learn whether a silent book still stands."""

    @abstractmethod
    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """Take the answer to a Fetch of this connection."""

    @abstractmethod
    def parse(self, data: bytes, now: Now) -> FrameKind:
        """Take one text message."""

    @abstractmethod
    def rule(self, who: Identity) -> Rule:
        """Give the rule that this instrument's book obeys."""

    @abstractmethod
    def tick(self, now: Now) -> None:
        """Let the venue's own deadlines pass."""

    # -- inputs ----------------------------------------------------------------------------------------------------

    def connected(self, now: Now) -> None:
        """See `protocol.Core`."""
        self.open = True
        self._pending.clear()
        for poll in self.polls:
            poll.due_ns = now.mono_ns
        self.watch.last_message_ns = now.mono_ns
        self.deadline = now.mono_ns + BUSY_TICK_NS
        self.opened(now)

    def disconnected(self, now: Now, cause: str) -> None:
        """See `protocol.Core`."""
        self.open = False
        self._pending.clear()
        for stream in self.by_name.values():
            stream.disconnected(cause, now)

    def frame(self, data: bytes, now: Now) -> FrameKind:
        """See `protocol.Core`."""
        self.watch.last_message_ns = now.mono_ns
        try:
            return self.parse(data, now)
        except RecursionError:  # msgspec's word for JSON that is nested deeper than anybody means
            return self.dead("unknown", "json", TOO_DEEP, data, now)

    def binary(self, data: bytes, now: Now) -> FrameKind:
        """See `protocol.Core`."""
        self.watch.last_message_ns = now.mono_ns
        return self.dead("unknown", "binary", "a binary message", data, now)

    def reply(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        """See `protocol.Core`. Answers to requests of an earlier connection are void."""
        if fetch.id not in self._pending:
            return
        stream = self._pending.pop(fetch.id)
        try:
            self.answered(fetch, stream, answer, now)
        except RecursionError:
            self.dead("unknown", "json", f"{fetch.endpoint}: {TOO_DEEP}", answer.body, now, ())
            self.answered(fetch, stream, Answer(STATUS_TRANSPORT, b"", answer.request, TOO_DEEP), now)

    def wake(self, now: Now) -> None:
        """See `protocol.Core`."""
        busy = False
        for stream in tuple(self.by_name.values()):
            book = stream.book
            if book is None:
                continue
            book.wake(now)
            busy = busy or book.phase in ("waiting", "backoff") or stream.checking is not None
            if book.phase != "live":
                continue
            if not stream.snapshot_ns:
                stream.snapshot_ns = now.mono_ns
            elif now.mono_ns - stream.snapshot_ns > self.settings.snapshot_every_s * SECOND_NS:
                self.out.records.append(book.image("periodic", now))
                stream.snapshot_ns = now.mono_ns
        if self.open:
            self.watch.look(now)
            for poll in self.polls:
                poll.look(now)
            self.tick(now)
        self.deadline = now.mono_ns + (BUSY_TICK_NS if busy else TICK_NS)

    def snapshots(self, now: Now) -> list[Record]:
        """See `protocol.Core`."""
        books = (stream.book for stream in self.by_name.values() if stream.book is not None)
        return [book.image("segment", now) for book in books if book.phase == "live"]

    def streams(self, *, digests: bool = False) -> list[StreamStatus]:
        """See `protocol.Core`."""
        return [self._status(stream, digests=digests) for stream in self.by_name.values()]

    def _status(self, stream: Stream, *, digests: bool) -> StreamStatus:
        who, book = stream.who, stream.book
        status = StreamStatus(who.instrument, who.symbol, stream.channel, stream.verdict, stream.last_us, None)
        if book is not None:
            status.verdict = book.verdict
            status.depth = book.covered
            if digests and book.phase == "live":
                status.digest = book.book.digest()
        return status

    # -- helpers for venues ----------------------------------------------------------------------------------------

    def add(
        self, name: str, instrument: str, symbol: str, channel: Channel, *, wire: str = "", levels: int = KEPT_LEVELS
    ) -> Stream:
        """Make the stream `name`, which the venue's subscription `wire` (the same where not said) feeds.

        `levels`: how deep its book may be.
        """
        listed = (self.listing or {}).get(symbol)
        size = UNSET if listed is None else listed.contract_size
        who = Identity(self.facts.venue, self.facts.market, instrument, symbol, size)
        stream = self.by_name[name] = Stream(self, name, who, channel)
        self.by_wire.setdefault(wire or name, []).append(stream)
        if channel == "book":
            stream.book = BookSync(who, self.rule(who), Book(self.settings.depth, levels), stream, self._random)
        return stream

    def readable(self, rows: Sequence[Raw], read: Callable[[Raw], Row | None], now: Now) -> tuple[list[Row], bool]:
        """Give what can be read of a listing's rows, and whether that is all: a broken row must not hide the others.

        One dead letter tells how many are broken, and shows the first. `read` gives None for what is not spoken, and
        raises DecodeError or FieldError.
        """
        made: list[Row] = []
        broken: list[tuple[Raw, Exception]] = []
        for row in rows:
            try:
                one = read(row)
            except (DecodeError, UnicodeDecodeError, FieldError) as error:
                broken.append((row, error))
                continue
            if one is not None:
                made.append(one)
        if broken:
            row, first = broken[0]
            reason: UndecodableReason = "value" if isinstance(first, FieldError) else "type"
            shown = bytes(row)[:MOST_SHOWN].decode(errors="replace")
            told = f"{len(broken)} of {len(rows)} rows of the listing, the first: {first}: {shown}"
            self.dead("instruments", reason, told, bytes(row)[:MOST_DETAIL], now, ())
        return made, not broken

    def take_listing(self, listed: Iterable[Instrument], now: Now, *, complete: bool) -> list[Stream]:
        """Take what the venue lists (`complete`: all of it) and give the streams that can be subscribed.

        A stream of what is not listed, or no longer, is blocked and says so once; one that is listed again is free.
        Changes are published by the streams of channel `instruments`.
        """
        before = self.listing or {}
        after = {instrument.symbol: instrument for instrument in listed}
        if complete:
            gone = (known for symbol, known in before.items() if symbol not in after)
            after |= {known.symbol: replace(known, status="delisted", venue_status="not listed") for known in gone}
        self.listing = {**before, **after}
        free = []
        for stream in tuple(self.by_name.values()):
            known = self.listing.get(stream.who.symbol)
            if stream.who.instrument == WHOLE_VENUE or (known is None and not complete):
                free.append(stream)
            elif known is not None and stream.channel == "instruments":
                stream.listed(known, now)
                stream.instrument(known, now)  # of one that is delisted too
                free.append(stream)
            elif known is None or known.status == "delisted":
                if not self.settings.open_world:
                    stream.unlisted("not listed" if known is None else "delisted", now)
            else:
                stream.listed(known, now)
                free.append(stream)
        return free

    def soon(self, now: Now) -> None:
        """Ask to be woken soon: a book is not in sync."""
        self.deadline = min(self.deadline, now.mono_ns + BUSY_TICK_NS)

    def fetch(
        self,
        endpoint: str,
        path: str,
        params: tuple[tuple[str, str], ...],
        weight: int,
        stream: Stream | None = None,
    ) -> None:
        """Ask the driver for a REST GET; its answer comes to `answered`, unless the connection ends first."""
        self._fetches += 1
        self._pending[self._fetches] = stream
        symbol = None if stream is None else stream.who.symbol
        self.out.commands.append(Fetch(self._fetches, endpoint, path, params, symbol, weight))

    def dead(
        self,
        channel: FrameKind,
        reason: UndecodableReason,
        detail: str,
        data: bytes,
        now: Now,
        streams: Iterable[Stream] | None = None,
    ) -> FrameKind:
        """Keep a message that cannot be decoded and lower the verdict of what it may have carried.

        `streams`: those it belonged to; None: it may have been any stream's. Gives `channel` back.
        """
        self.out.dead.append(DeadLetter(channel, reason, detail[:MOST_DETAIL], data, now))
        for stream in self.by_name.values() if streams is None else streams:
            stream.undecodable(detail[:MOST_DETAIL], now, mine=streams is not None)
        return channel
