"""Coinbase Advanced Trade's core: one numbered row of messages, in-band snapshots, repair of a whole connection.

A hole in the row, or a message of it whose content is lost, may have been any stream's: each says so until it is whole
again, and what a snapshot repairs is subscribed again. What the messages say is read in `data`.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from collector.clock import SECOND_NS
from collector.venues.coinbase import convert, wire
from collector.venues.coinbase.chain import ByConnection, Chain
from collector.venues.coinbase.data import Data
from collector.venues.coinbase.facts import (
    CHECK_LEVELS,
    FACTS,
    MESSAGE_DEADLINE_S,
    MOST_LEVELS,
    NOT_SPOKEN,
    OURS,
    PATH,
    UNKNOWN_PRODUCT,
    WIRE_CHANNELS,
)
from collector.venues.coinbase.requests import Requests
from collector.venues.core import FieldError, VenueCore
from collector.venues.polling import Poll
from collector.venues.protocol import STATUS_NOT_ON_TAPE, WHOLE_VENUE, Event
from collector.venues.stream import UNLISTED, UNNUMBERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from msgspec import Raw

    from collector.books.contract import Identity, Rule
    from collector.clock import Now
    from collector.records import GapCause, Instrument
    from collector.venues.protocol import (
        Answer,
        Channel,
        CoreSettings,
        Facts,
        Fetch,
        FrameKind,
        UndecodableReason,
        Wanted,
    )
    from collector.venues.stream import Stream

OK = 200
LISTING_WAIT_S = 2
"""How long the first subscriptions wait for the listing: one unknown product spoils a message for the others."""
LISTING_EVERY_S = 300.0
STATUS_EVERY_S = 60.0
"""How often the listing is asked for where somebody wants to know what it says."""
LISTING_AGAIN_S = 30.0


class CoinbaseCore(VenueCore):
    """One connection to Coinbase. See `protocol.Core`."""

    def __init__(self, wanted: Sequence[Wanted], settings: CoreSettings, facts: Facts = FACTS) -> None:
        super().__init__(facts, settings, message_deadline_s=MESSAGE_DEADLINE_S)
        self._chain = Chain()
        self._aliases: dict[str, str] = {}
        self._listing_due: int | None = None
        self._requests = Requests(self.out.commands)
        self._data = Data(self)
        self._channels: dict[str, tuple[Channel, Callable[[wire.Envelope, int | None, bytes, Now], None]]] = {
            "l2_data": ("book", self._data.books),
            "market_trades": ("trades", self._data.trades),
            "ticker": ("quotes", self._data.tickers),
            "candles": ("candles", self._data.candles),
        }
        self._control: dict[str, Callable[[wire.Envelope, Now], None]] = {
            "heartbeats": self._beats,
            "subscriptions": self._acknowledged,
        }
        for want in wanted:
            self._add(convert.canonical(want.instrument), want.channel)
        if not settings.open_world:
            often = any(want.channel in ("instruments", "status") for want in wanted)
            self.polls = [Poll(STATUS_EVERY_S if often else LISTING_EVERY_S, self._ask_listing)]

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def opened(self, now: Now) -> None:
        """Ask for heartbeats at once, and for the rest when the listing is known or late."""
        self._chain = Chain(None if self.settings.open_world else 0)
        self._data.interrupted(self.by_name.values())
        self._requests.opened()
        if self.listing is None:
            self._listing_due = now.mono_ns + LISTING_WAIT_S * SECOND_NS
        else:
            self._subscribe_all(now)

    def _subscribe_all(self, now: Now) -> None:
        self._listing_due = None
        self.subscribe([s for s in self.by_name.values() if s.verdict_now.reason not in UNLISTED], now)

    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """See `VenueCore`."""
        todo = [stream for stream in streams if not stream.asked and stream.channel in WIRE_CHANNELS]
        for stream in todo:
            stream.asked = True
            stream.pulse.arm(now.mono_ns)
        self._requests.subscribe(todo)

    def resubscribe(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`. It goes out with the others of this moment: one message takes many products."""
        self._requests.again(stream)
        self.soon(now)

    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """Subscribe again: the snapshot comes in band."""
        if stream.asked and self.open:
            stream.acked = False
            self.resubscribe(stream, now)

    def want_check(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        params = (("product_id", stream.who.symbol), ("limit", str(CHECK_LEVELS)))
        self.fetch("check", f"{PATH}/product_book", params, 1, stream)

    def rule(self, who: Identity) -> Rule:
        """See `VenueCore`."""
        del who
        return ByConnection()

    def tick(self, now: Now) -> None:
        """Subscribe even when the listing does not come: data first. Send what was collected."""
        if self._listing_due is not None and now.mono_ns >= self._listing_due:
            self._subscribe_all(now)
        self._requests.flush(now)

    def _add(self, symbol: str, channel: Channel) -> None:
        name, wired = f"{channel}:{symbol}", WIRE_CHANNELS.get(channel)
        if name not in self.by_name:  # an alias and its product are one
            self.add(name, symbol, symbol, channel, wire=f"{wired}:{symbol}" if wired else "", levels=MOST_LEVELS)

    def carried(self, symbol: str, channel: Channel) -> None:
        """Take note that a tape carries what `channel` is fed by: in an open world it is wanted then."""
        if self.settings.open_world:
            for fed, wired in WIRE_CHANNELS.items():
                if wired == WIRE_CHANNELS[channel]:
                    self._add(symbol, fed)

    def _fed_by(self, channel: Channel) -> list[Stream]:
        """Give the streams that the same subscription feeds."""
        wired = WIRE_CHANNELS[channel]
        return [stream for stream in self.by_name.values() if WIRE_CHANNELS.get(stream.channel) == wired]

    # -- REST --------------------------------------------------------------------------------------------------------

    def _ask_listing(self, now: Now) -> None:
        del now
        self.fetch("listing", f"{PATH}/products", (("product_type", "SPOT"),), 1)

    def ask_again(self, now: Now) -> None:
        """Ask for the listing soon: it is not what it was."""
        for poll in self.polls:
            poll.again(0.0, now)

    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """Take the listing, or the small REST book of a silent stream."""
        told = answer.status == OK
        try:
            if stream is None:
                if told:
                    told = self._take_products(wire.products(answer.body), now)
            elif told and stream.book is not None:
                same = not stream.book.book.differs(*convert.rest_sides(answer.body), asked=CHECK_LEVELS)
                if same:
                    stream.book.confirmed(now)
                self.watch.checked(stream, None, now, same=same)
        except (msgspec.DecodeError, ValueError) as error:
            kind: FrameKind = "control" if stream is None else "book"
            self.dead(kind, "type", f"{fetch.endpoint}: {error}", answer.body, now, ())
            told = False
        if not told and stream is not None:
            self.watch.check_failed(stream, answer, now)
        elif not told and answer.status != STATUS_NOT_ON_TAPE:
            for poll in self.polls:
                poll.again(LISTING_AGAIN_S, now)

    def _take_products(self, listing: wire.Products, now: Now) -> bool:
        rows, whole = self.readable(listing.products, lambda row: _listed(row, now), now)
        if listing.products and not rows:
            return False
        products = [product for product, _ in rows]
        more = listing.pagination is not None and listing.pagination.has_next
        complete = whole and bool(products) and not more and listing.num_products in (None, len(products))
        self._aliases |= {product.product_id: product.alias for product in products if product.alias}
        spot = [instrument for _, instrument in rows if instrument is not None]
        free = self.take_listing(spot, now, complete=complete)
        self._listing_due = None
        self.subscribe(free, now)
        stream = self.by_name.get(f"status:{WHOLE_VENUE}")
        status = convert.venue_status((self.listing or {}).values(), now)
        if stream is not None and status is not None:
            self._data.status(stream, status, now)
        return True

    def pushed(self, entries: Sequence[Instrument], now: Now) -> None:
        """Take what the venue says of some instruments."""
        free = self.take_listing(entries, now, complete=False)
        if self._listing_due is None:
            self.subscribe(free, now)

    # -- frames ------------------------------------------------------------------------------------------------------

    def parse(self, data: bytes, now: Now) -> FrameKind:
        """See `VenueCore`."""
        kind = self._take(data, now)
        self._requests.flush(now)
        return kind

    def _take(self, data: bytes, now: Now) -> FrameKind:
        try:
            message = wire.envelope(data)
        except msgspec.ValidationError as error:
            return self.dead("unknown", "type", str(error), data, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("unknown", "json", str(error), data, now)
        number = message.sequence_num
        if message.type == "error":
            fresh = number is None or self._in_row(number, "control", now)  # where it has a number, it is of the row
            return self._refused(message.message, now) if fresh else "control"
        if number is None:  # whether it was one of the row, the next number tells
            return self.dead("unknown", "type", "neither an error nor a sequence_num", data, now)
        kind = self._kind(message.channel)
        if self._in_row(number, kind, now):
            self._read(message, kind, data, now)
        return kind

    def _kind(self, channel: str) -> FrameKind:
        if channel in self._channels:
            return self._channels[channel][0]
        if channel == "status":
            return "instruments"
        return "control" if channel in self._control else "unknown"

    def _in_row(self, number: int, kind: FrameKind, now: Now) -> bool:
        """Look at a message's number before anything else of it. False: it came before, or is missed already."""
        place = self._chain.take(number)
        every = self.by_name.values()
        if place == "late":
            self.out.events.append(Event("duplicate", kind, "", f"message {number} came again, or late"))
        elif place == "hole":
            first, last = self._chain.hole
            self._lost(every, "sequence", f"expected sequence_num {first}, got {number}", now, first, last)
        elif place == "restarted":
            self._lost(every, "sequence", f"sequence_num goes on at {number}", now)
        return place != "late"

    def _read(self, message: wire.Envelope, kind: FrameKind, data: bytes, now: Now) -> None:
        known = self._channels.get(message.channel)
        try:
            if known is not None:
                known[1](message, convert.time_us(message.timestamp) if message.timestamp else None, data, now)
            else:
                self._other(message, data, now)
        except (msgspec.DecodeError, UnicodeDecodeError, FieldError) as error:
            if known is None:
                self._chain.beat_lost()
                self.dead(kind, "type", str(error), data, now, ())
                return
            fed = self._fed_by(known[0])
            named = [stream for stream in fed if f'"{stream.who.symbol}"'.encode() in data]
            self.unread(kind, "type", str(error), data, now, named or fed)

    def _other(self, message: wire.Envelope, data: bytes, now: Now) -> None:
        control = self._control.get(message.channel)
        if control is not None:
            control(message, now)
        elif message.channel == "status":
            self._data.statuses(message, now)
        elif message.channel in NOT_SPOKEN:
            self.out.events.append(Event("not_spoken", "unknown", "", message.channel))
        elif any(mark in data for mark in OURS):
            detail = f"channel {message.channel!r} with data such as ours"
            self.unread("unknown", "unknown_type", detail, data, now, self.by_name.values())
        else:
            self.dead("unknown", "unknown_type", f"channel {message.channel!r}", data, now, ())

    def known(self, product: str, channel: Channel, data: bytes, now: Now) -> list[Stream]:
        """Give the streams of a product id (which may be an alias) that a channel feeds; none is a dead letter."""
        symbol = self._aliases.get(product) or convert.canonical(product)
        self.carried(symbol, channel)
        found = self.by_wire.get(f"{WIRE_CHANNELS[channel]}:{symbol}", [])
        if not found:
            self.unread(channel, "unknown_symbol", f"{product!r} was not asked for", data, now, self._fed_by(channel))
        return found

    # -- what is lost ------------------------------------------------------------------------------------------------

    def unread(
        self,
        kind: FrameKind,
        reason: UndecodableReason,
        detail: str,
        data: bytes,
        now: Now,
        streams: Iterable[Stream],
    ) -> None:
        """Keep a message of the row whose content is lost: no later one proves these streams whole."""
        self.dead(kind, reason, detail, data, now, ())
        self._lost(streams, "undecodable", f"a message could not be decoded: {detail}", now)

    def _lost(
        self,
        streams: Iterable[Stream],
        cause: GapCause,
        reason: str,
        now: Now,
        first: int | None = None,
        last: int | None = None,
    ) -> None:
        """Something is lost that was, or may have been, these streams'; `first`..`last` are numbers of the row."""
        if cause == "sequence":
            self._requests.lost()  # an answer may be among it
        for stream in tuple(streams):
            if stream.book is not None and cause == "sequence":
                stream.book.missed(reason, first, last, now)
            elif stream.book is not None:
                stream.book.undecodable(now)
            elif stream.channel in ("trades", "candles") or stream.channel in UNNUMBERED:
                self._data.interrupted((stream,))
                if stream.asked:
                    self._requests.mend(stream)
                if stream.verdict.state in ("in_sync", "unverifiable", "gap", "stale"):
                    if stream.channel in UNNUMBERED:
                        stream.lose(cause, now)
                    stream.judge("gap", now, reason=reason)

    # -- control -----------------------------------------------------------------------------------------------------

    def _beats(self, message: wire.Envelope, now: Now) -> None:
        """Take a heartbeat. It is no data; its count is a second check of the row."""
        for event in wire.heartbeats(message.events):
            missing = self._chain.beat(convert.whole(event.heartbeat_counter))
            if missing is not None:
                self._lost(self.by_name.values(), "sequence", f"heartbeats {missing[0]}..{missing[1]} are missing", now)

    def _acknowledged(self, message: wire.Envelope, now: Now) -> None:
        """Take an answer: it names everything that the connection is subscribed to."""
        self._requests.answered()
        for event in wire.subscriptions(message.events):
            for channel, products in event.subscriptions.items():
                for product in products:
                    symbol = self._aliases.get(product) or convert.canonical(product)
                    for stream in self.by_wire.get(f"{channel}:{symbol}", ()):
                        if stream.asked and not stream.acked:
                            stream.acknowledged(now)

    def _refused(self, text: str, now: Now) -> FrameKind:
        """Take an error, which refuses the oldest request whole. A product that there is not is refused for good, and
        the rest of its request asked for again.
        """
        batch = self._requests.answered()
        final = any(part in text.lower() for part in UNKNOWN_PRODUCT)
        named = [s for s in self.by_name.values() if final and s.who.symbol in text.replace(",", " ").split()]
        new = [stream for stream in named if stream.verdict_now.state != "blocked"]
        for stream in new:
            stream.rejected(text[:200], now, final=True)
        for stream in batch:
            if named and stream not in named:
                self.resubscribe(stream, now)
            elif not named:
                stream.rejected(text[:200], now, final=False)
        if not batch and not named:
            self.out.events.append(Event("subscription_rejected", "control", "", text[:200]))
        return "control"


def _listed(row: Raw, now: Now) -> tuple[wire.Product, Instrument | None]:
    """Read a row of the listing. Raises DecodeError or FieldError. An alias and what is no spot are no instruments."""
    product = wire.product(row)
    ours = product.product_type == "SPOT" and not product.alias
    return product, convert.instrument(product, now) if ours else None
