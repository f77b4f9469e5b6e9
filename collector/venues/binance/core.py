"""Binance spot's core: stream names to handlers, `U`/`u` chains, REST snapshots.

Book procedure: https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md, "How to manage a
local order book correctly".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from collector.books.contract import Snapshot, Update
from collector.venues.binance import convert, wire
from collector.venues.binance.facts import DEPTH_WEIGHTS, FACTS, LISTING_WEIGHT, QUOTES
from collector.venues.core import FieldError, VenueCore
from collector.venues.protocol import STATUS_NOT_ON_TAPE, Event, Reconnect, Send
from collector.venues.symbols import split_symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from msgspec import Raw

    from collector.books.book import Book
    from collector.books.contract import Identity, Rule, Step
    from collector.books.sync import BookSync
    from collector.books.verdict import VerifiedBy
    from collector.clock import Now
    from collector.venues.protocol import Answer, Channel, CoreSettings, Facts, Fetch, FrameKind, Wanted
    from collector.venues.stream import Stream

    Handler = Callable[[Stream, Raw, Now], None]
    Route = tuple[Handler, Stream]

LISTING_RETRY_NS = 60_000_000_000
SUBSCRIBE_BATCH = 200
OK = 200


class UpdateIds:
    """The rule of a spot book: update ids `U`..`u` follow one another, nothing is signed."""

    verified_by: VerifiedBy = "sequence"
    snapshot_in_band = False
    covered_depth: int | None = None

    def step(self, update: Update, last: int | None) -> Step:
        """Say whether `update` follows `last` (procedure, steps 4 to 6)."""
        first, final, at = update.first, update.last, last
        if first is None or final is None or at is None:
            return "gap"  # without ids nothing follows
        if final <= at:
            return "skip"
        return "gap" if first > at + 1 else "apply"

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        """Binance sends no checksum."""
        del book, checksum
        return None


class BinanceCore(VenueCore):
    """One connection to Binance spot. See `protocol.Core`."""

    def __init__(self, wanted: Sequence[Wanted], settings: CoreSettings, facts: Facts = FACTS) -> None:
        super().__init__(facts, settings)
        self._routes: dict[str, Route] = {}
        self._instruments: dict[str, str] | None = None
        self._listing_due: int | None = None
        self._control: dict[int, tuple[Stream, ...]] = {}
        self._last_control = 0
        self._limit = next((limit for limit, _ in DEPTH_WEIGHTS if limit >= settings.depth), DEPTH_WEIGHTS[-1][0])
        kinds = {"trades": settings.trade_stream, "quotes": "bookTicker", "book": "depth@100ms"}
        for want in wanted:
            symbol = want.instrument.replace("-", "")
            self._route(f"{symbol.lower()}@{kinds[want.channel]}", want.instrument, symbol, want.channel)

    # -- subscriptions ---------------------------------------------------------------------------------------------

    def opened(self, now: Now) -> None:
        """Learn what is listed before the first subscription: streams of unknown symbols are acknowledged too."""
        self._control.clear()
        if self._instruments is None:
            self._want_listing()
        else:
            self.subscribe(self._listed(), now)

    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """See `VenueCore`."""
        todo = [stream for stream in streams if not stream.asked]
        for start in range(0, len(todo), SUBSCRIBE_BATCH):
            batch = todo[start : start + SUBSCRIBE_BATCH]
            for stream in batch:
                stream.asked = True
                stream.pulse.arm(now.mono_ns)
            self._send("SUBSCRIBE", batch)

    def resubscribe(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._send("UNSUBSCRIBE", [stream])
        self._send("SUBSCRIBE", [stream])

    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._fetch_depth(stream, "depth", self._limit)

    def want_check(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._fetch_depth(stream, "check", DEPTH_WEIGHTS[0][0])

    def rule(self, who: Identity) -> Rule:
        """See `VenueCore`."""
        del who
        return UpdateIds()

    def tick(self, now: Now) -> None:
        """Ask for the listing again when it could not be had."""
        if self._listing_due is not None and now.mono_ns >= self._listing_due:
            self._want_listing()

    # -- REST ------------------------------------------------------------------------------------------------------

    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """See `VenueCore`."""
        if stream is None:
            self._take_listing(answer, now)
            return
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
            differs = checking and depth.lastUpdateId == book.last and book.book.differs(depth.bids, depth.asks)
            limit = convert.limit_of(answer.request)
        except (msgspec.DecodeError, ValueError) as error:
            self.dead("book", "type", f"{fetch.endpoint}: {error}", answer.body, now, ())
            if checking:
                self.watch.check_failed(stream, answer, now)
            else:
                book.failed("the depth snapshot could not be decoded", now)
            return
        if not checking:
            book.snapshot(Snapshot(depth.bids, depth.asks, depth.lastUpdateId, None, None, limit), now)
        elif differs:
            book.refuted("diverged", f"at id {book.last} the venue's REST book shows other levels", None, now)
        elif depth.lastUpdateId == book.last:
            book.confirmed(now)
            self.watch.checked(stream, None, now, same=True)
        elif depth.lastUpdateId > (book.last or 0):
            self.watch.checked(stream, depth.lastUpdateId, now, same=False)
        # else: an answer older than our book, as caches give it, proves nothing

    def _fetch_depth(self, stream: Stream, endpoint: str, limit: int) -> None:
        weight = next(weight for most, weight in DEPTH_WEIGHTS if limit <= most)
        params = (("symbol", stream.who.symbol), ("limit", str(limit)))
        self.fetch(endpoint, "/api/v3/depth", params, weight, stream)

    def _want_listing(self) -> None:
        self._listing_due = None
        self.fetch("listing", "/api/v3/exchangeInfo", (), LISTING_WEIGHT)

    def _take_listing(self, answer: Answer, now: Now) -> None:
        listed = _listing(answer)
        if listed is None:
            # Data first: symbols are base + quote, so the streams can be asked for; the listing is tried again.
            if answer.status != STATUS_NOT_ON_TAPE:
                self._listing_due = now.mono_ns + LISTING_RETRY_NS
            self.subscribe(self.by_name.values(), now)
            return
        self._instruments = listed
        for stream in self.by_name.values():
            if stream.who.symbol not in listed and not self.settings.open_world:
                stream.rejected("not listed", now, final=True)
        self.subscribe(self._listed(), now)

    def _listed(self) -> list[Stream]:
        return [stream for stream in self.by_name.values() if stream.who.symbol in (self._instruments or {})]

    # -- frames ----------------------------------------------------------------------------------------------------

    def parse(self, data: bytes, now: Now) -> FrameKind:
        """See `VenueCore`."""
        try:
            message = wire.envelope(data)
        except msgspec.ValidationError as error:
            return self.dead("unknown", "type", str(error), data, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("unknown", "json", str(error), data, now)
        name, body = message.stream, message.data
        if not name:
            if not message.e and not (message.s and message.u):
                return self._answer(message, data, now)
            name, body = convert.raw_name(message), msgspec.Raw(data)
        route = self._routes.get(name) or self._discover(name, body, data, now)
        if not isinstance(route, tuple):
            return route
        handler, stream = route
        try:
            handler(stream, body, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead(stream.channel, "type", str(error), data, now, (stream,))
        except FieldError as error:
            return self.dead(stream.channel, "value", str(error), data, now, (stream,))
        return stream.channel

    def _trade(self, stream: Stream, body: Raw, now: Now) -> None:
        event = wire.trade(body)
        stream.trade(event.t, convert.trade(stream.who, event, event.t, "trade", now), now)

    def _agg_trade(self, stream: Stream, body: Raw, now: Now) -> None:
        event = wire.agg_trade(body)
        stream.trade(event.a, convert.trade(stream.who, event, event.a, "aggTrade", now), now)

    def _book_ticker(self, stream: Stream, body: Raw, now: Now) -> None:
        stream.quote(convert.quote(stream.who, wire.book_ticker(body), now), now)

    def _depth(self, stream: Stream, body: Raw, now: Now) -> None:
        event = wire.depth(body)
        convert.belongs(stream.who, event.s)
        if event.u < event.U:
            raise FieldError(f"last update id {event.u} before the first, {event.U}")
        convert.clean(body, event.b, event.a)
        stream.beat(now)
        book = stream.book
        if book is not None:  # it always has one: partial books have a handler of their own
            book.update(Update(event.b, event.a, event.U, event.u, None, event.E * 1000), now)

    def _partial(self, stream: Stream, body: Raw, now: Now) -> None:
        event = wire.depth_book(body)
        convert.clean(body, event.bids, event.asks)
        stream.beat(now)
        if stream.last_seq is not None and event.lastUpdateId <= stream.last_seq:
            stream.counted("duplicate", f"partial book {event.lastUpdateId}")
            return
        stream.last_seq = event.lastUpdateId
        stream.judge("unverifiable", now, reason="a partial book has no chain")
        stream.record(convert.partial(stream.who, event, now))

    # -- control ---------------------------------------------------------------------------------------------------

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
        if message.id is None and not refusal:
            return self.dead("unknown", "unknown_type", "neither a stream's message nor an answer", data, now, ())
        for stream in self._control.pop(message.id or 0, ()):
            if refusal:
                stream.rejected(refusal[:200], now, final=False)
            else:
                stream.acknowledged(now)
        return "control"

    def _discover(self, name: str, body: Raw, data: bytes, now: Now) -> Route | FrameKind:
        """Take a stream that was not asked for: control, not spoken yet, or (on a foreign tape) new."""
        if name in ("serverShutdown", "!serverShutdown"):
            self.out.commands.append(Reconnect("server_shutdown", planned=True))
            return "control"
        symbol, _, kind = name.partition("@")
        if name == "!bookTicker":
            try:
                symbol, kind = wire.book_ticker(body).s.lower(), "bookTicker"
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                return self.dead("quotes", "type", str(error), data, now, ())
        channel = convert.channel_of(kind)
        if channel is None:
            self.out.events.append(Event("not_spoken", "unknown", "", kind.split("_")[0] or name))
            return "unknown"
        known = self._routes.get(f"{symbol}@{kind}")
        if known is not None:
            return known
        upper = symbol.upper()
        instrument = (self._instruments or {}).get(upper) or split_symbol(upper, QUOTES)
        if not self.settings.open_world or instrument is None:
            return self.dead(channel, "unknown_symbol", f"stream {name!r} was not asked for", data, now)
        return self._route(f"{symbol}@{kind}", instrument, upper, channel)

    def _route(self, name: str, instrument: str, symbol: str, channel: Channel) -> Route:
        kind = name.partition("@")[2]
        stream = self.add(name, instrument, symbol, channel)
        handlers: dict[str, Handler] = {
            "trade": self._trade,
            "aggTrade": self._agg_trade,
            "bookTicker": self._book_ticker,
        }
        handler = handlers.get(kind, self._depth)
        if convert.is_partial(kind):
            handler, stream.book = self._partial, None
        route = self._routes[name] = (handler, stream)
        return route


def _listing(answer: Answer) -> dict[str, str] | None:
    """Give symbol → instrument of everything listed, or None when the answer is unusable."""
    if answer.status != OK:
        return None
    try:
        info = wire.exchange_info(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return {listed.symbol: f"{listed.baseAsset}-{listed.quoteAsset}" for listed in info.symbols}


def _told(answer: Answer) -> str:
    if answer.status == STATUS_NOT_ON_TAPE:
        return "not on tape"
    return answer.error or f"HTTP {answer.status}"
