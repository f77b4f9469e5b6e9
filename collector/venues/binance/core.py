"""Binance's core, spot and USDⓈ-M alike: subscriptions, REST, and messages to their handlers.

It owns one connection's streams; what a product's paths, weights and book rule are stands in `product`, what its events
mean in `handlers`. Book procedure:
https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md, "How to manage a local order book
correctly". What the venue does not push (the listing, its own state, open interest) is asked for by REST again and
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from collector.books.contract import Snapshot
from collector.venues.binance import convert, handlers, listing, wire
from collector.venues.binance.facts import FACTS, QUOTES
from collector.venues.binance.product import LIGHT, OPEN_INTEREST_PATH, PRODUCTS, STATUS_PATH
from collector.venues.core import MOST_DETAIL, FieldError, VenueCore
from collector.venues.polling import Poll
from collector.venues.protocol import STATUS_NOT_ON_TAPE, WHOLE_VENUE, Event, Reconnect, Send
from collector.venues.symbols import split_symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import Raw

    from collector.books.contract import Identity, Rule
    from collector.books.sync import BookSync
    from collector.clock import Now
    from collector.records import Instrument
    from collector.venues.binance.handlers import Handler
    from collector.venues.protocol import Answer, Channel, CoreSettings, Facts, Fetch, FrameKind, Wanted
    from collector.venues.stream import Stream

    Route = tuple[Handler, Stream]

LISTING_S = 600.0
LISTING_RETRY_S = 60.0
STATUS_S = 60.0
OPEN_INTEREST_S = 30.0
SUBSCRIBE_BATCH = 200
OK = 200
NOT_FOUND = 404
NO_SUCH_SYMBOL = -1121
"""https://developers.binance.com/docs/binance-spot-api-docs/errors"""
BY_REST: frozenset[Channel] = frozenset({"instruments", "status", "open_interest"})
"""Channels that no stream of the venue's feeds."""


class BinanceCore(VenueCore):
    """One connection to Binance. See `protocol.Core`."""

    def __init__(self, wanted: Sequence[Wanted], settings: CoreSettings, facts: Facts = FACTS) -> None:
        self.product = PRODUCTS[facts.market]
        super().__init__(facts, settings)
        self._routes: dict[str, Route] = {}
        self._control: dict[int, tuple[Stream, ...]] = {}
        self._last_control = 0
        self._asking: set[tuple[str, Stream | None]] = set()
        """Polls that are not answered yet: a paused budget must not pile them up."""
        self._system: wire.SystemStatus | None = None
        weights = self.product.depth_weights
        self._limit = next((limit for limit, _ in weights if limit >= settings.depth), weights[-1][0])
        for want in wanted:
            self._want(want)
        self._listing = Poll(LISTING_S, self._ask_listing)
        self._interest = Poll(OPEN_INTEREST_S, self._ask_open_interest)
        if not settings.open_world:
            self.polls = [self._listing, self._interest, Poll(STATUS_S, self._ask_status)]

    def _want(self, want: Wanted) -> None:
        channel, instrument = want.channel, want.instrument
        symbol = instrument.replace("-", "")
        if channel in BY_REST:
            self.add(f"{channel}:{symbol}", instrument, symbol, channel)
            return
        kind = self.product.kinds[channel]
        if channel == "candles":
            kind = f"{kind}_{self.settings.candle_interval}"
        elif channel == "trades" and self.facts.market == "spot":
            kind = self.settings.trade_stream
        spoken = handlers.spoken(kind)
        if spoken is None:
            raise ValueError(f"Binance has no stream {kind!r} that is spoken")
        self._route(f"{symbol.lower()}@{kind}", instrument, symbol, *spoken)

    # -- subscriptions ---------------------------------------------------------------------------------------------

    def opened(self, now: Now) -> None:
        """Learn what is listed before the first subscription: streams of unknown symbols are acknowledged too."""
        self._control.clear()
        self._asking.clear()
        if self.listing is None:
            self._listing.look(now)
        else:
            self.subscribe([s for s in self.by_name.values() if s.verdict_now.state != "blocked"], now)

    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """See `VenueCore`. Open interest is asked for with the next look at what is polled."""
        todo = [stream for stream in streams if not stream.asked]
        for stream in todo:
            stream.asked = True
            stream.pulse.arm(now.mono_ns)
        pushed = [stream for stream in todo if stream.channel not in BY_REST]
        if len(pushed) < len(todo):
            self._interest.due_ns = now.mono_ns
        for start in range(0, len(pushed), SUBSCRIBE_BATCH):
            self._send("SUBSCRIBE", pushed[start : start + SUBSCRIBE_BATCH])

    def resubscribe(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        if stream.channel in BY_REST:
            return  # it is asked for again all the time
        self._send("UNSUBSCRIBE", [stream])
        self._send("SUBSCRIBE", [stream])

    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._fetch_depth(stream, "depth", self._limit)

    def want_check(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._fetch_depth(stream, "check", self.product.depth_weights[0][0])

    def rule(self, who: Identity) -> Rule:
        """See `VenueCore`."""
        del who
        return self.product.rule()

    def tick(self, now: Now) -> None:
        """See `VenueCore`. Binance has no deadlines of its own."""

    # -- REST ------------------------------------------------------------------------------------------------------

    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """See `VenueCore`."""
        self._asking.discard((fetch.endpoint, stream))
        if stream is None:
            self._take_listing(answer, now)
        elif answer.status != OK and _refused_symbol(answer):
            stream.unlisted("not listed", now)
            self._drop([stream])
        elif stream.book is None:
            self._take_polled(stream, answer, now)
        else:
            self._take_depth(fetch, stream, answer, now)

    def _take_depth(self, fetch: Fetch, stream: Stream, answer: Answer, now: Now) -> None:
        book = cast("BookSync", stream.book)
        checking = fetch.endpoint == "check"
        if answer.status != OK:
            if checking:
                self.watch.check_failed(stream, answer, now)
            else:
                book.failed(f"the depth snapshot failed: {_told(answer)}", now)
            return
        try:
            depth = wire.depth_book(answer.body)
            convert.clean(answer.body, depth.bids, depth.asks)
            limit = convert.limit_of(answer.request, self.product.depth_default)
            same_id = checking and depth.lastUpdateId == book.last
            differs = same_id and book.book.differs(depth.bids, depth.asks, asked=limit)
        except (msgspec.DecodeError, ValueError) as error:
            self.dead("book", "type", f"{fetch.endpoint}: {error}", answer.body, now, ())
            if checking:
                self.watch.check_failed(stream, answer, now)
            else:
                book.failed("the depth snapshot could not be decoded", now)
            return
        if not checking:
            ts = None if depth.E is None else depth.E * 1000
            book.snapshot(Snapshot(depth.bids, depth.asks, depth.lastUpdateId, ts, None, limit), now)
        elif differs:
            book.refuted("diverged", f"at id {book.last} the venue's REST book shows other levels", None, now)
        elif depth.lastUpdateId == book.last:
            book.confirmed(now)
            self.watch.checked(stream, None, now, same=True)
        elif depth.lastUpdateId > (book.last or 0):
            self.watch.checked(stream, depth.lastUpdateId, now, same=False)
        # else: an answer older than our book, as caches give it, proves nothing

    def _take_polled(self, stream: Stream, answer: Answer, now: Now) -> None:
        """Take the state of the venue, or an open interest. What could not be had says nothing: it is asked again."""
        if answer.status == NOT_FOUND and stream.verdict.state != "blocked":
            stream.rejected("this host does not tell it: HTTP 404", now, final=True)
        if answer.status != OK:
            return
        try:
            if stream.channel == "status":
                system = wire.system_status(answer.body)
                stream.beat(now)
                if system != self._system or stream.verdict.state != "unverifiable":  # news, or a new connection
                    self._system = system
                    stream.plain(convert.status(stream.who, system, now), now)
            else:
                stream.plain(convert.open_interest(stream.who, wire.open_interest(answer.body), now), now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.dead(stream.channel, "type", str(error), answer.body, now, (stream,))
        except FieldError as error:
            self.dead(stream.channel, "value", str(error), answer.body, now, (stream,))

    def _take_listing(self, answer: Answer, now: Now) -> None:
        listed, whole = self._instruments(answer, now)
        if listed:
            free = self.take_listing(listed, now, complete=whole)
            self._drop([stream for stream in set(self.by_name.values()).difference(free) if stream.asked])
            self.subscribe(free, now)
        elif answer.status != STATUS_NOT_ON_TAPE:
            self._listing.again(LISTING_RETRY_S, now)
        if self.listing is None:
            # Data first: symbols are base + quote, so the streams can be asked for; the listing is tried again.
            self.subscribe(self.by_name.values(), now)

    def _instruments(self, answer: Answer, now: Now) -> tuple[list[Instrument], bool]:
        """Give what the venue lists, and whether that is all; nothing when the answer is of no use, as an empty one."""
        if answer.status != OK:
            return [], False
        try:
            info = wire.exchange_info(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.dead("instruments", "type", str(error), answer.body[:MOST_DETAIL], now, ())
            return [], False
        ts = None if info.serverTime is None else info.serverTime * 1000
        return self.readable(info.symbols, lambda row: listing.instrument(row, self.facts, ts, now), now)

    def _fetch_depth(self, stream: Stream, endpoint: str, limit: int) -> None:
        weight = next(weight for most, weight in self.product.depth_weights if limit <= most)
        params = (("symbol", stream.who.symbol), ("limit", str(limit)))
        self.fetch(endpoint, self.product.depth_path, params, weight, stream)

    def _ask_listing(self, now: Now) -> None:
        del now
        product = self.product
        self._ask("listing", product.listing_path, product.listing_params, product.listing_weight)

    def _ask_status(self, now: Now) -> None:
        del now
        stream = self.by_name.get(f"status:{WHOLE_VENUE}")
        if stream is not None:
            self._ask("status", STATUS_PATH, (), LIGHT, stream)

    def _ask_open_interest(self, now: Now) -> None:
        del now
        for stream in self.by_name.values():
            if stream.channel == "open_interest" and stream.asked:
                self._ask("open_interest", OPEN_INTEREST_PATH, (("symbol", stream.who.symbol),), LIGHT, stream)

    def _ask(
        self, endpoint: str, path: str, params: tuple[tuple[str, str], ...], weight: int, stream: Stream | None = None
    ) -> None:
        if (endpoint, stream) not in self._asking:
            self._asking.add((endpoint, stream))
            self.fetch(endpoint, path, params, weight, stream)

    # -- frames ----------------------------------------------------------------------------------------------------

    def parse(self, data: bytes, now: Now) -> FrameKind:
        """See `VenueCore`. A stream of all symbols without an envelope is a list of events."""
        try:
            if data.startswith(b"["):
                events = [bytes(event) for event in wire.several(data)]
                if events and all(event.startswith(b"{") for event in events):
                    return [self.parse(event, now) for event in events][-1]
            message = wire.envelope(data)
            name, body = message.stream, message.data
            if not name:
                if not message.e and not (message.s and message.u):
                    return self._answer(message, data, now)
                name, body = convert.raw_name(message, data), msgspec.Raw(data)
        except msgspec.ValidationError as error:
            return self.dead("unknown", "type", str(error), data, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("unknown", "json", str(error), data, now)
        route = self._routes.get(name)
        if route is None:
            found = self._discover(name, body, data, now)
            if isinstance(found, str):
                return found
            route = found
        handler, stream = route
        try:
            handler(stream, body, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead(stream.channel, "type", str(error), data, now, (stream,))
        except FieldError as error:
            return self.dead(stream.channel, "value", str(error), data, now, (stream,))
        return stream.channel

    def _discover(self, name: str, body: Raw, data: bytes, now: Now) -> Route | FrameKind:
        """Take what was not asked for: control, not spoken, or (on a foreign tape) new; of one symbol or of all."""
        if name in ("serverShutdown", "!serverShutdown"):
            self.out.commands.append(Reconnect("server_shutdown", planned=True))
            return "control"
        symbol, _, kind = name.partition("@")
        kind = handlers.OF_ALL.get(name, kind)
        spoken = handlers.spoken(kind)
        dated = self.facts.market == "perp" and "_" in symbol
        if spoken is None or dated or spoken[0] not in self.facts.channels:
            what = "dated future" if dated else name if name.startswith("!") else kind
            self.out.events.append(Event("not_spoken", "unknown", "", what))
            return "unknown"
        channel, handler = spoken
        if name in handlers.OF_ALL:
            return self._of_all(kind, channel, body, data, now)
        upper = symbol.upper()
        known = (self.listing or {}).get(upper)
        instrument = split_symbol(upper, QUOTES) if known is None else known.instrument
        if not self.settings.open_world or instrument is None:
            return self.dead(channel, "unknown_symbol", f"stream {name!r} was not asked for", data, now)
        return self._route(name, instrument, upper, channel, handler)

    def _of_all(self, kind: str, channel: Channel, body: Raw, data: bytes, now: Now) -> FrameKind:
        """Take each event of a stream of all symbols as one of its own symbol's stream."""
        try:
            events = wire.several(body) if bytes(body).startswith(b"[") else [body]
            names = [f"{_symbol(event)}@{kind}".encode() for event in events]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead(channel, "type", str(error), data, now, ())
        for name, event in zip(names, events, strict=True):
            self.parse(b'{"stream":"%b","data":%b}' % (name, bytes(event)), now)
        return channel

    def _route(self, name: str, instrument: str, symbol: str, channel: Channel, handler: Handler) -> Route:
        stream = self.add(name, instrument, symbol, channel)
        if handler is handlers.partial:
            stream.book = None
        route = self._routes[name] = (handler, stream)
        return route

    # -- control ---------------------------------------------------------------------------------------------------

    def _drop(self, streams: Sequence[Stream]) -> None:
        """End the subscriptions of what is not to be had any more."""
        for stream in streams:
            stream.asked = False
        pushed = [stream for stream in streams if stream.channel not in BY_REST]
        for start in range(0, len(pushed), SUBSCRIBE_BATCH):
            self._send("UNSUBSCRIBE", pushed[start : start + SUBSCRIBE_BATCH])

    def _send(self, method: str, streams: Sequence[Stream]) -> None:
        self._last_control += 1
        request = {"method": method, "params": [stream.name for stream in streams], "id": self._last_control}
        text = msgspec.json.encode(request).decode()
        if method == "SUBSCRIBE":
            self._control[self._last_control] = tuple(streams)
            self.out.commands.append(Send(text, "subscribe", len(streams)))
        else:
            self.out.commands.append(Send(text, "unsubscribe", len(streams)))

    def _answer(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        refusal = bytes(message.error).decode(errors="replace") or message.msg
        if message.id is None and not refusal and not bytes(message.result):
            return self.dead("unknown", "unknown_type", "neither a stream's message nor an answer", data, now, ())
        ours = message.id if isinstance(message.id, int) else 0  # others' ids, on their tapes, may be text
        asked = self._control.pop(ours, ())
        if refusal and not asked:
            self.out.events.append(Event("subscription_rejected", "control", "", refusal[:200]))
        for stream in asked:
            if refusal:
                stream.rejected(refusal[:200], now, final=False)
            else:
                stream.acknowledged(now)
        return "control"


def _symbol(event: Raw) -> str:
    whose = wire.whose(event)
    return (whose.s or wire.named(whose.o).s).lower()


def _refused_symbol(answer: Answer) -> bool:
    """Say whether the venue refused because it has no such symbol."""
    try:
        return wire.refusal(answer.body).code == NO_SUCH_SYMBOL
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False  # a proxy's page, or nothing


def _told(answer: Answer) -> str:
    if answer.status == STATUS_NOT_ON_TAPE:
        return "not on tape"
    return answer.error or f"HTTP {answer.status}"
