"""Kraken spot's core: channel messages to handlers, in-band snapshots, checksums.

https://docs.kraken.com/api/docs/websocket-v2/book and its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import msgspec

from collector.books.contract import Snapshot, Update
from collector.clock import SECOND_NS
from collector.quality.candles import interval_us
from collector.venues.core import FieldError, VenueCore
from collector.venues.kraken import convert, wire
from collector.venues.kraken.checksum import TopTen
from collector.venues.kraken.facts import (
    CHECK_LEVELS,
    DEPTHS,
    FACTS,
    INTERVALS,
    MESSAGE_DEADLINE_S,
    SUBSCRIBE_BATCH,
    rest_pair,
)
from collector.venues.protocol import WHOLE_VENUE, Event, Send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from msgspec import Raw

    from collector.books.contract import Identity, Rule
    from collector.books.sync import BookSync
    from collector.clock import Now
    from collector.records import Instrument
    from collector.venues.protocol import Answer, Channel, CoreSettings, Facts, Fetch, FrameKind, Wanted
    from collector.venues.stream import Stream

    Decoder = Callable[[bytes | Raw], Sequence[wire.Item]]
    Handler = Callable[[Stream, wire.Item, str, Now], None]

LISTING_S = 10
"""How long data waits for the instruments."""
LISTING_RETRY_S = 60
OK = 200
NAMES: dict[Channel, str] = {
    "book": "book",
    "trades": "trade",
    "quotes": "ticker",
    "tickers": "ticker",
    "candles": "ohlc",
}
"""The venue's channel of each of ours; one subscription to `ticker` feeds quotes and tickers."""
REQUESTS = ("instrument", *dict.fromkeys(NAMES.values()))
"""What a request is about, by its number modulo their count."""
TYPES = ("snapshot", "update")
CONTROL = ("heartbeat", "pong")
NOT_SPOKEN = ("level3",)
UNSUPPORTED = "not supported"
"""Part of the venue's error for a pair that it does not list."""


class KrakenCore(VenueCore):
    """One connection to Kraken spot. See `protocol.Core`."""

    def __init__(self, wanted: Sequence[Wanted], settings: CoreSettings, facts: Facts = FACTS) -> None:
        super().__init__(facts, settings, message_deadline_s=MESSAGE_DEADLINE_S)
        self._precisions: dict[str, tuple[int, int]] = {}
        self._listing_due: int | None = None
        self._requests = 0
        self._depth = next((depth for depth in DEPTHS if depth >= settings.depth), DEPTHS[-1])
        self._statistics: dict[str, tuple[bytes, ...]] = {}
        self._channels: dict[str, tuple[Channel, Decoder, Handler]] = {
            "book": ("book", wire.books, self._book),
            "trade": ("trades", wire.trades, self._trade),
            "ticker": ("quotes", wire.tickers, self._ticker),
            "ohlc": ("candles", wire.candles, self._candle),
        }
        for want in wanted:
            self._add(want.instrument.replace("-", "/"), want.channel)

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def opened(self, now: Now) -> None:
        """Ask for the instruments first: they tell what is listed and how many digits a checksum is made of."""
        self._listing_due = now.mono_ns + LISTING_S * SECOND_NS
        self._ask_instruments()

    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """See `VenueCore`."""
        todo: dict[str, list[str]] = {}
        for stream in streams:
            name = NAMES.get(stream.channel)
            if name is None or stream.asked:
                continue
            todo.setdefault(name, []).append(stream.who.symbol)
            for fed in self.by_wire[f"{name}:{stream.who.symbol}"]:
                fed.asked = True
                fed.pulse.arm(now.mono_ns)
        for name, symbols in todo.items():
            for start in range(0, len(symbols), SUBSCRIBE_BATCH):
                self._ask("subscribe", name, symbols[start : start + SUBSCRIBE_BATCH])

    def resubscribe(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self._ask("unsubscribe", NAMES[stream.channel], [stream.who.symbol])
        self._ask("subscribe", NAMES[stream.channel], [stream.who.symbol])

    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """Subscribe again: the snapshot comes in band."""
        if stream.asked and self.open:
            stream.acked = False
            self.resubscribe(stream, now)

    def want_check(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        params = (("pair", rest_pair(stream.who.symbol)), ("count", str(CHECK_LEVELS)))
        self.fetch("check", "/0/public/Depth", params, 1, stream)

    def rule(self, who: Identity) -> Rule:
        """See `VenueCore`."""
        rule = TopTen()
        rule.precisions = self._precisions.get(who.symbol, rule.precisions)
        return rule

    def tick(self, now: Now) -> None:
        """Subscribe even when the instruments do not come: data first."""
        if self._listing_due is not None and now.mono_ns >= self._listing_due:
            self._listing_due = now.mono_ns + LISTING_RETRY_S * SECOND_NS
            self._ask_instruments()
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
        if message.channel == "status":
            return self._take_status(message, data, now)
        return self._control(message, data, now)

    def _items(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        channel, decode, handle = self._channels[message.channel]
        items: Sequence[wire.Item] = ()
        streams: list[Stream] | None = None
        problem = "" if message.type in TYPES else f"type {message.type!r}, expected one of {', '.join(TYPES)}"
        try:
            items = decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = str(error)
        if problem:
            return self.dead(channel, "type", problem, data, now, self._named(message))
        if message.channel == "ohlc" and message.type == "snapshot":
            items = self._unseen(cast("Sequence[wire.CandleItem]", items))
        for item in items:
            streams = self.by_wire.get(f"{message.channel}:{item.symbol}")
            if streams is None:
                if not self.settings.open_world:
                    self.dead(channel, "unknown_symbol", f"{item.symbol!r} was not asked for", data, now)
                    continue
                levels = convert.offered_depth(item) if isinstance(item, wire.BookItem) else None
                for fed, name in NAMES.items():
                    if name == message.channel:
                        self._add(item.symbol, fed, levels)
                streams = self.by_wire[f"{message.channel}:{item.symbol}"]
            try:
                for stream in streams:
                    handle(stream, item, message.type, now)
            except (FieldError, UnicodeDecodeError) as error:
                self.dead(channel, "value", str(error), data, now, streams)
        return streams[0].channel if streams else channel

    def _unseen(self, bars: Sequence[wire.CandleItem]) -> list[wire.CandleItem]:
        """Give the bars of a snapshot that are news, oldest first: the newest, and what a break may have hidden."""
        newest = {bar.symbol: bar for bar in sorted(bars, key=lambda bar: bar.interval_begin)}
        known = {
            symbol: stream.bars.current.open_ts
            for symbol in newest
            for stream in self.by_wire.get(f"ohlc:{symbol}", ())
            if stream.bars is not None and stream.bars.current is not None
        }
        news = [
            bar
            for bar in bars
            if bar is newest[bar.symbol] or (bar.symbol in known and _begins(bar, known[bar.symbol]))
        ]
        return sorted(news, key=lambda bar: bar.interval_begin)

    def _named(self, message: wire.Envelope) -> list[Stream] | None:
        """Give the streams that a message with a broken item names; None when not even that can be read."""
        try:
            named = [self.by_wire.get(f"{message.channel}:{item.symbol}", []) for item in wire.named(message.data)]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return [stream for streams in named for stream in streams] or None

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
        message = cast("wire.TickerItem", item)
        if stream.channel == "quotes":
            stream.quote(convert.quote(stream.who, message, now), now)
            return
        statistics = convert.statistics(message)
        speaks = stream.verdict.state == "unverifiable" and not stream.verdict.reason  # else a record says so
        if speaks and stream.pulse.count and self._statistics.get(stream.who.symbol) == statistics:
            stream.beat(now)  # only the best bid and ask are others
            return
        record = convert.ticker(stream.who, message, now)
        self._statistics[stream.who.symbol] = statistics
        stream.plain(record, now)

    def _candle(self, stream: Stream, item: wire.Item, kind: str, now: Now) -> None:
        del kind
        message = cast("wire.CandleItem", item)
        interval = next((name for name, minutes in INTERVALS.items() if minutes == message.interval), "")
        if not interval or (interval != self.settings.candle_interval and not self.settings.open_world):
            raise FieldError(f"interval {message.interval} was not asked for")
        if stream.bars is not None and stream.bars.step_us != interval_us(interval):
            # A tape of others may hold several: bars of one length say nothing of when those of another end.
            stream.counted("not_spoken", f"ohlc of {interval} beside another interval")
            return
        stream.candle(convert.candle(stream.who, message, interval, now), now, marked=False)

    # -- control -----------------------------------------------------------------------------------------------------

    def _take_instruments(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        try:
            rows = wire.instruments(message.data).pairs
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("instruments", "type", str(error), data, now, ())
        read, all_read = self.readable(rows, lambda row: _listed(row, now), now)
        self._precisions |= {pair.symbol: (pair.price_precision, pair.qty_precision) for pair, _ in read}
        told = message.type == "snapshot" and bool(read)  # an empty one does not mean that nothing is listed
        free = self.take_listing([made for _, made in read], now, complete=told and all_read)
        for stream in self.by_name.values():
            if stream.book is not None and stream.who.symbol in self._precisions:
                cast("TopTen", stream.book.rule).precisions = self._precisions[stream.who.symbol]
        if told:
            self._listing_due = None
        if self.open and self._listing_due is None:
            self.subscribe(free, now)
        return "instruments"

    def _take_status(self, message: wire.Envelope, data: bytes, now: Now) -> FrameKind:
        try:
            systems = wire.systems(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("status", "type", str(error), data, now, ())
        stream = self.by_name.get(f"status:{WHOLE_VENUE}")
        for system in systems if stream is not None else ():
            cast("Stream", stream).plain(convert.status(system, now), now)
        return "status"

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
        streams = self.by_wire.get(f"{result.channel}:{result.symbol}", [])
        if message.success:
            for stream in streams:
                stream.acknowledged(now)
            return "control"
        asked_for = REQUESTS[(message.req_id or 0) % len(REQUESTS)]  # a refusal does not repeat the channel
        refused = streams or self.by_wire.get(f"{asked_for}:{message.symbol}", [])
        for stream in refused:
            stream.rejected(message.error[:200], now, final=UNSUPPORTED in message.error)
        if not refused:
            self.out.events.append(Event("subscription_rejected", "control", "", message.error[:200]))
        return "control"

    def _ask_instruments(self) -> None:
        self._send("subscribe", {"channel": "instrument", "snapshot": True}, 1)

    def _ask(self, method: Literal["subscribe", "unsubscribe"], name: str, symbols: Sequence[str]) -> None:
        params: dict[str, object] = {"channel": name, "symbol": list(symbols)}
        streams = [stream for symbol in symbols for stream in self.by_wire[f"{name}:{symbol}"]]
        if name == "book":
            params["depth"] = self._depth
        elif name == "ticker":
            params["event_trigger"] = "bbo" if any(stream.channel == "quotes" for stream in streams) else "trades"
        elif name == "ohlc":
            params["interval"] = INTERVALS[self.settings.candle_interval]
        if method == "subscribe":
            # Trades: after an interruption the last fifty come again, which fills a short hole; ids tell them apart.
            params["snapshot"] = name != "trade" or any(stream.ids.last is not None for stream in streams)
        self._send(method, params, len(symbols))

    def _send(self, method: Literal["subscribe", "unsubscribe"], params: Mapping[str, object], streams: int) -> None:
        self._requests += 1
        number = self._requests * len(REQUESTS) + REQUESTS.index(str(params["channel"]))
        text = msgspec.json.encode({"method": method, "params": params, "req_id": number}).decode()
        self.out.commands.append(Send(text, method, streams))

    def _add(self, symbol: str, channel: Channel, levels: int | None = None) -> Stream:
        wired = f"{NAMES.get(channel, channel)}:{symbol}"
        return self.add(
            f"{channel}:{symbol}", convert.canonical(symbol), symbol, channel, wire=wired, levels=levels or self._depth
        )


def _listed(row: Raw, now: Now) -> tuple[wire.Pair, Instrument]:
    pair = wire.pair(row)
    return pair, convert.instrument(pair, now)


def _begins(bar: wire.CandleItem, at_us: int) -> bool:
    """Say whether a bar is not older; one that cannot be read is looked at again, and named, where it is taken."""
    try:
        return convert.time_us(bar.interval_begin) >= at_us
    except FieldError:
        return True


def _same(book: BookSync, answer: Answer) -> bool | None:
    """Say whether a REST book equals ours; None when the venue gave an error instead of one."""
    told = wire.rest_depth(answer.body)
    if told.error or not told.result:
        return None
    theirs = next(iter(told.result.values()))
    bids, asks = ([(level[0], level[1]) for level in side] for side in (theirs.bids, theirs.asks))
    return not book.book.differs(bids, asks, asked=CHECK_LEVELS)
