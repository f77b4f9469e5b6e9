"""The fifth exchange's core: its messages to handlers, its requests, and the rule that its books obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from collector.books.contract import Snapshot, Update
from collector.venues.core import KEPT_LEVELS, FieldError, VenueCore
from collector.venues.polling import Poll
from collector.venues.protocol import STATUS_NOT_ON_TAPE, Event, Send
from tests.venues.fifth import convert, wire
from tests.venues.fifth.facts import FACTS, LISTING_EVERY_S, MESSAGE_DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Literal

    from collector.books.book import Book
    from collector.books.contract import Identity, Rule, Step
    from collector.books.sync import BookSync
    from collector.books.verdict import VerifiedBy
    from collector.clock import Now
    from collector.venues.protocol import Answer, Channel, CoreSettings, Facts, Fetch, FrameKind, Wanted
    from collector.venues.stream import Stream

    Handler = Callable[[Stream, bytes, Now], None]

TOPICS: dict[Channel, str] = {"book": "book", "trades": "trade", "quotes": "best"}
OK = 200


class Chain:
    """Each update's number is one more than the last."""

    verified_by: VerifiedBy = "sequence"
    snapshot_in_band = True
    covered_depth: int | None = None

    def step(self, update: Update, last: int | None) -> Step:
        """See `Rule`."""
        number = cast("int", update.last)
        at = cast("int", last)
        return "apply" if number == at + 1 else "skip" if number <= at else "gap"

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        """See `Rule`: the exchange has no checksum."""
        del book, checksum
        return None


class FifthCore(VenueCore):
    """One connection to the fifth exchange. See `protocol.Core`."""

    def __init__(self, wanted: Sequence[Wanted], settings: CoreSettings, facts: Facts = FACTS) -> None:
        super().__init__(facts, settings, message_deadline_s=MESSAGE_DEADLINE_S)
        self._handlers: dict[str, tuple[Channel, Handler]] = {
            "book": ("book", self._book),
            "trade": ("trades", self._trade),
            "best": ("quotes", self._best),
        }
        for want in wanted:
            symbol = want.instrument.replace("-", "_")
            self.add(f"{TOPICS[want.channel]}:{symbol}", want.instrument, symbol, want.channel)
        self._listing = Poll(LISTING_EVERY_S, self._ask_listing)
        self.polls = [self._listing]

    # -- what is asked -----------------------------------------------------------------------------------------------

    def opened(self, now: Now) -> None:
        """See `VenueCore`: the listing comes first, where it is not known yet."""
        if self.listing is None:
            self._listing.look(now)
        else:
            self.subscribe([one for one in self.by_name.values() if one.verdict_now.state != "blocked"], now)

    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """See `VenueCore`."""
        for stream in streams:
            if not stream.asked:
                stream.asked = True
                stream.pulse.arm(now.mono_ns)
                self._send("sub", stream)

    def resubscribe(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._send("unsub", stream)
        self._send("sub", stream)

    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`: a subscription begins with the whole book."""
        if stream.asked and self.open:
            stream.acked = False
            self.resubscribe(stream, now)

    def want_check(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self.fetch("check", "/book", (("market", stream.who.symbol),), 1, stream)

    def rule(self, who: Identity) -> Rule:
        """See `VenueCore`."""
        del who
        return Chain()

    def tick(self, now: Now) -> None:
        """See `VenueCore`."""

    def _ask_listing(self, now: Now) -> None:
        del now
        self.fetch("listing", "/markets", (), 1)

    def _send(self, op: Literal["sub", "unsub"], stream: Stream) -> None:
        topic, _, market = stream.name.partition(":")
        text = msgspec.json.encode({"op": op, "topic": topic, "market": market}).decode()
        self.out.commands.append(Send(text, "subscribe" if op == "sub" else "unsubscribe"))

    # -- what comes --------------------------------------------------------------------------------------------------

    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """See `VenueCore`."""
        try:
            if answer.status != OK:
                raise FieldError(answer.error or f"HTTP {answer.status}")
            if stream is None:
                rows = wire.markets(answer.body).markets
                listed, whole = self.readable(rows, lambda row: convert.instrument(wire.listed_market(row), now), now)
                if not listed:
                    raise FieldError("nothing in the listing can be read")
                self.subscribe(self.take_listing(listed, now, complete=whole), now)
            else:
                book, theirs = cast("BookSync", stream.book), wire.rest_book(answer.body)
                same = not book.book.differs(theirs.bids, theirs.asks, asked=KEPT_LEVELS)
                if same:
                    book.confirmed(now)
                self.watch.checked(stream, None, now, same=same)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            if answer.status == OK:
                self.dead("control", "type", f"{fetch.endpoint}: {error}", answer.body, now, ())
            if stream is not None:
                self.watch.check_failed(stream, answer, now)
            elif answer.status != STATUS_NOT_ON_TAPE:
                self._listing.again(30.0, now)
                if self.listing is None:  # data first
                    self.subscribe(self.by_name.values(), now)

    def parse(self, data: bytes, now: Now) -> FrameKind:
        """See `VenueCore`."""
        try:
            message = wire.envelope(data)
        except msgspec.ValidationError as error:
            return self.dead("unknown", "type", str(error), data, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("unknown", "json", str(error), data, now)
        if message.op:
            return self._control(message, data, now)
        if message.topic not in self._handlers:
            return self.dead("unknown", "unknown_type", f"topic {message.topic!r}", data, now, ())
        channel, handle = self._handlers[message.topic]
        stream = self.by_name.get(f"{message.topic}:{message.market}")
        if stream is None:
            return self.dead(channel, "unknown_symbol", f"{message.market!r} was not asked for", data, now)
        try:
            handle(stream, data, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead(channel, "type", str(error), data, now, (stream,))
        except FieldError as error:
            return self.dead(channel, "value", str(error), data, now, (stream,))
        return channel

    def _control(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        stream = self.by_name.get(f"{message.topic}:{message.market}")
        if message.op == "sub" and stream is not None:
            if message.ok:
                stream.acknowledged(now)
            else:
                stream.rejected(message.why, now, final=message.why == "no such market")
        elif message.op == "sub":
            self.out.events.append(Event("subscription_rejected", "control", "", message.why))
        elif message.op not in ("unsub", "beat"):
            return self.dead("unknown", "unknown_type", f"op {message.op!r}", data, now, ())
        return "control"

    def _book(self, stream: Stream, data: bytes, now: Now) -> None:
        message = wire.book(data)
        bids, asks, ts = convert.levels(message.bids), convert.levels(message.asks), message.at * 1000
        stream.beat(now)
        book = cast("BookSync", stream.book)
        if message.kind == "full":
            book.snapshot(Snapshot(bids, asks, message.n, ts), now)
        else:
            book.update(Update(bids, asks, message.n, message.n, None, ts), now)

    def _trade(self, stream: Stream, data: bytes, now: Now) -> None:
        message = wire.trade(data)
        stream.trade(message.n, convert.trade(stream.who, message, now), now)

    def _best(self, stream: Stream, data: bytes, now: Now) -> None:
        stream.quote(convert.quote(stream.who, wire.best(data), now), now)
