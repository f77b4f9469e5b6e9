"""Kraken spot's core: channel messages to handlers, in-band snapshots, checksums.

https://docs.kraken.com/api/docs/websocket-v2/book and its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import msgspec

from collector.books.contract import Snapshot, Update
from collector.clock import SECOND_NS
from collector.venues.core import FieldError, VenueCore
from collector.venues.kraken import convert, wire
from collector.venues.kraken.checksum import TopTen
from collector.venues.kraken.facts import DEPTHS, FACTS, MESSAGE_DEADLINE_S, SUBSCRIBE_BATCH, rest_pair
from collector.venues.protocol import Event, Send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from msgspec import Raw

    from collector.books.contract import Identity, Rule
    from collector.books.sync import BookSync
    from collector.clock import Now
    from collector.venues.protocol import Answer, Channel, CoreSettings, Facts, Fetch, FrameKind, Wanted
    from collector.venues.stream import Stream

    Decoder = Callable[[bytes | Raw], Sequence[wire.Item]]
    Handler = Callable[[Stream, wire.Item, str, Now], None]

LISTING_S = 10
OK = 200
NAMES: dict[Channel, str] = {"book": "book", "trades": "trade", "quotes": "ticker"}
REQUESTS = ("instrument", *NAMES.values())
"""What a request is about, by its number modulo their count."""
TYPES = ("snapshot", "update")
CONTROL = ("heartbeat", "status", "pong")
NOT_SPOKEN = ("ohlc", "level3")
UNSUPPORTED = "not supported"
"""Part of the venue's error for a pair that it does not list."""


class KrakenCore(VenueCore):
    """One connection to Kraken spot. See `protocol.Core`."""

    def __init__(self, wanted: Sequence[Wanted], settings: CoreSettings, facts: Facts = FACTS) -> None:
        super().__init__(facts, settings, message_deadline_s=MESSAGE_DEADLINE_S)
        self._pairs: dict[str, wire.Pair] | None = None
        self._listing_due: int | None = None
        self._requests = 0
        self._depth = next((depth for depth in DEPTHS if depth >= settings.depth), DEPTHS[-1])
        self._channels: dict[str, tuple[Channel, Decoder, Handler]] = {
            "book": ("book", wire.books, self._book),
            "trade": ("trades", wire.trades, self._trade),
            "ticker": ("quotes", wire.tickers, self._ticker),
        }
        for want in wanted:
            self._add(want.instrument.replace("-", "/"), want.channel)

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def opened(self, now: Now) -> None:
        """Ask for the instruments first: they tell what is listed and how many digits a checksum is made of."""
        self._listing_due = now.mono_ns + LISTING_S * SECOND_NS
        self._send("subscribe", {"channel": "instrument", "snapshot": True}, 1)

    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """See `VenueCore`."""
        todo = [stream for stream in streams if not stream.asked]
        for channel in NAMES:
            chosen = [stream for stream in todo if stream.channel == channel]
            for start in range(0, len(chosen), SUBSCRIBE_BATCH):
                batch = chosen[start : start + SUBSCRIBE_BATCH]
                for stream in batch:
                    stream.asked = True
                    stream.pulse.arm(now.mono_ns)
                self._ask("subscribe", batch)

    def resubscribe(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._ask("unsubscribe", [stream])
        self._ask("subscribe", [stream])

    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """Subscribe again: the snapshot comes in band."""
        if stream.asked and self.open:
            stream.acked = False
            self.resubscribe(stream, now)

    def want_check(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        params = (("pair", rest_pair(stream.who.symbol)), ("count", "10"))
        self.fetch("check", "/0/public/Depth", params, 1, stream)

    def rule(self, who: Identity) -> Rule:
        """See `VenueCore`."""
        rule = TopTen()
        pair = (self._pairs or {}).get(who.symbol)
        if pair is not None:
            rule.precisions = (pair.price_precision, pair.qty_precision)
        return rule

    def tick(self, now: Now) -> None:
        """Subscribe even when the instruments do not come: data first."""
        if self._listing_due is not None and now.mono_ns >= self._listing_due:
            self._listing_due = None
            self.subscribe(self.by_name.values(), now)

    # -- REST --------------------------------------------------------------------------------------------------------

    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """Take the small REST book of a silent stream."""
        if stream is None or stream.book is None:
            return
        try:
            same = _same(stream.book, answer) if answer.status == OK else None
        except (msgspec.DecodeError, ValueError) as error:
            self.dead("book", "type", f"{fetch.endpoint}: {error}", answer.body, now, ())
            same = None
        if same is None:
            self.watch.check_failed(stream, answer, now)
            return
        if same:
            stream.book.confirmed(now)
        self.watch.checked(stream, None, now, same=same)

    # -- frames ------------------------------------------------------------------------------------------------------

    def parse(self, data: bytes, now: Now) -> FrameKind:
        """See `VenueCore`."""
        try:
            message = wire.envelope(data)
        except msgspec.ValidationError as error:
            return self.dead("unknown", "type", str(error), data, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("unknown", "json", str(error), data, now)
        if message.channel in self._channels:
            return self._items(message, data, now)
        if message.channel == "instrument":
            return self._take_instruments(message, data, now)
        return self._control(message, data, now)

    def _items(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        channel, decode, handle = self._channels[message.channel]
        items: Sequence[wire.Item] = ()
        problem = "" if message.type in TYPES else f"type {message.type!r}, expected one of {', '.join(TYPES)}"
        try:
            items = decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = str(error)
        if problem:
            return self.dead(channel, "type", problem, data, now, self._named(message))
        for item in items:
            stream = self.by_name.get(f"{message.channel}:{item.symbol}")
            if stream is None:
                if not self.settings.open_world:
                    self.dead(channel, "unknown_symbol", f"{item.symbol!r} was not asked for", data, now)
                    continue
                levels = convert.offered_depth(item) if isinstance(item, wire.BookItem) else None
                stream = self._add(item.symbol, channel, levels)
            try:
                handle(stream, item, message.type, now)
            except (FieldError, UnicodeDecodeError) as error:
                self.dead(channel, "value", str(error), data, now, (stream,))
        return channel

    def _named(self, message: wire.Envelope) -> list[Stream] | None:
        """Give the streams that a message with a broken item names; None when not even that can be read."""
        try:
            named = [self.by_name.get(f"{message.channel}:{item.symbol}") for item in wire.named(message.data)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return [stream for stream in named if stream is not None] or None

    def _book(self, stream: Stream, item: wire.Item, kind: str, now: Now) -> None:
        message = cast("wire.BookItem", item)
        bids, asks = convert.levels(message.bids), convert.levels(message.asks)
        ts = convert.time_us(message.timestamp) if message.timestamp else None
        stream.beat(now)
        book = cast("BookSync", stream.book)
        if kind == "snapshot":
            book.snapshot(Snapshot(bids, asks, None, ts, message.checksum), now)
        else:
            book.update(Update(bids, asks, None, None, None, ts, message.checksum), now)

    def _trade(self, stream: Stream, item: wire.Item, kind: str, now: Now) -> None:
        del kind
        message = cast("wire.TradeItem", item)
        stream.trade(message.trade_id, convert.trade(stream.who, message, now), now)

    def _ticker(self, stream: Stream, item: wire.Item, kind: str, now: Now) -> None:
        del kind
        stream.quote(convert.quote(stream.who, cast("wire.TickerItem", item), now), now)

    # -- control -----------------------------------------------------------------------------------------------------

    def _take_instruments(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        try:
            pairs = wire.instruments(message.data).pairs
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("control", "type", str(error), data, now, ())
        known = self._pairs = {**(self._pairs or {}), **{pair.symbol: pair for pair in pairs}}
        for stream in tuple(self.by_name.values()):
            pair = known.get(stream.who.symbol)
            if pair is None:
                if message.type == "snapshot" and not self.settings.open_world:
                    stream.rejected("not listed", now, final=True)
            elif stream.book is not None:
                cast("TopTen", stream.book.rule).precisions = (pair.price_precision, pair.qty_precision)
        if message.type == "snapshot" and self.open:
            self._listing_due = None
            self.subscribe((s for s in self.by_name.values() if s.who.symbol in known), now)
        return "control"

    def _control(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        if message.method in ("subscribe", "unsubscribe"):
            return self._answer(message, data, now)
        if message.error or message.Error:
            self.out.events.append(
                Event("subscription_rejected", "control", "", (message.error or message.Error)[:200])
            )
        elif message.channel in NOT_SPOKEN:
            self.out.events.append(Event("not_spoken", "unknown", "", message.channel))
            return "unknown"
        elif message.channel not in CONTROL and message.method not in CONTROL:
            return self.dead("unknown", "unknown_type", f"channel {message.channel!r}", data, now, ())
        return "control"

    def _answer(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        try:
            result = wire.acknowledged(message.result) if bytes(message.result) else wire.Acknowledged()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("control", "type", str(error), data, now, ())
        if message.method == "unsubscribe":
            return "control"
        stream = self.by_name.get(f"{result.channel}:{result.symbol}")
        if message.success:
            if stream is not None:
                stream.acknowledged(now)
            return "control"
        asked_for = REQUESTS[(message.req_id or 0) % len(REQUESTS)]  # a refusal does not repeat the channel
        refused = self.by_name.get(f"{asked_for}:{message.symbol}") if stream is None else stream
        if refused is not None:
            refused.rejected(message.error[:200], now, final=UNSUPPORTED in message.error)
        else:
            self.out.events.append(Event("subscription_rejected", "control", "", message.error[:200]))
        return "control"

    def _ask(self, method: Literal["subscribe", "unsubscribe"], streams: Sequence[Stream]) -> None:
        channel = streams[0].channel
        params: dict[str, object] = {
            "channel": NAMES[channel],
            "symbol": [stream.who.symbol for stream in streams],
        }
        if channel == "book":
            params["depth"] = self._depth
        elif channel == "quotes":
            params["event_trigger"] = "bbo"
        if method == "subscribe":
            # Trades: after an interruption the last fifty come again, which fills a short hole; ids tell them apart.
            params["snapshot"] = channel != "trades" or any(stream.ids.last is not None for stream in streams)
        self._send(method, params, len(streams))

    def _send(self, method: Literal["subscribe", "unsubscribe"], params: Mapping[str, object], streams: int) -> None:
        self._requests += 1
        number = self._requests * len(REQUESTS) + REQUESTS.index(str(params["channel"]))
        text = msgspec.json.encode({"method": method, "params": params, "req_id": number}).decode()
        self.out.commands.append(Send(text, method, streams))

    def _add(self, symbol: str, channel: Channel, levels: int | None = None) -> Stream:
        return self.add(
            f"{NAMES[channel]}:{symbol}", symbol.replace("/", "-"), symbol, channel, levels=levels or self._depth
        )


def _same(book: BookSync, answer: Answer) -> bool | None:
    """Say whether a REST book equals ours; None when the venue gave an error instead of one."""
    told = wire.rest_depth(answer.body)
    if told.error or not told.result:
        return None
    theirs = next(iter(told.result.values()))
    bids, asks = ([(level[0], level[1]) for level in side] for side in (theirs.bids, theirs.asks))
    return not book.book.differs(bids, asks)
