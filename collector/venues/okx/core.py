"""OKX's core, of spot and of swaps: channel messages to handlers, books chained by `prevSeqId`, snapshots in band and,
when they do not come, by REST.

https://www.okx.com/docs-v5/en/#overview-websocket and the pages in facts.py.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

import msgspec

from collector.books.contract import Update
from collector.clock import SECOND_NS
from collector.venues.core import FieldError, VenueCore
from collector.venues.okx import convert, wire
from collector.venues.okx.chain import Chain
from collector.venues.okx.facts import (
    BARS,
    BOOK_LEVELS,
    CLOSING_SOON,
    FACTS,
    IN_BAND_S,
    INTERVALS,
    NO_SUCH,
    NOT_SPOKEN,
    PING_AFTER_S,
    PONG_WITHIN_S,
    SUBSCRIBE_BATCH,
    is_candle,
)
from collector.venues.okx.requests import Requests
from collector.venues.okx.rest import STATUS_STREAM, Rest
from collector.venues.okx.trades import TradeIds
from collector.venues.protocol import WHOLE_VENUE, Event, Reconnect, Send
from collector.venues.stream import UNLISTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from collector.books.contract import Identity, Rule
    from collector.books.sync import BookSync
    from collector.clock import Now
    from collector.venues.protocol import Answer, Channel, CoreSettings, Facts, Fetch, FrameKind, Wanted
    from collector.venues.stream import Stream

    Handler = Callable[[Stream, Any, wire.Message, Now], None]
    Spoken = tuple[Channel, Callable[[Any], Sequence[Any]], Handler]

NAMES: dict[Channel, str] = {
    "trades": "trades",
    "quotes": "bbo-tbt",
    "tickers": "tickers",
    "book": "books",
    "instruments": "instruments",
    "status": "status",
    "funding": "funding-rate",
    "open_interest": "open-interest",
    "liquidations": "liquidation-orders",
}
BY_TYPE = frozenset({"instruments", "liquidation-orders"})
"""Channels that carry every instrument of a type."""
PONG = b"pong"
CONTROL = ("unsubscribe", "notice", "login", "channel-conn-count", "channel-conn-count-error")


class OkxCore(VenueCore):
    """One connection to OKX. See `protocol.Core`."""

    def __init__(self, wanted: Sequence[Wanted], settings: CoreSettings, facts: Facts = FACTS) -> None:
        super().__init__(facts, settings, message_deadline_s=PING_AFTER_S + PONG_WITHIN_S)
        self.type = convert.TYPES[facts.market]
        self._args: dict[str, wire.Arg] = {}
        self._keys: dict[str, str] = {}
        """The subscription (`wire.Arg.key`) of each stream, by its name."""
        self._requests = Requests()
        self._ids: dict[str, TradeIds] = {}
        self._quoted: dict[str, int] = {}
        self._in_band: dict[str, int] = {}
        """Until when (monotonic ns) the snapshot of a book may come in band."""
        self._pinged_ns = 0
        self._spoken: dict[str, Spoken] = {
            "trades": ("trades", wire.trades, self._trade),
            "trades-all": ("trades", wire.trades, self._trade),
            "bbo-tbt": ("quotes", wire.books, self._quote),
            "tickers": ("tickers", wire.tickers, self._ticker),
            "books5": ("book", wire.books, self._partial),
            **dict.fromkeys(BOOK_LEVELS, ("book", wire.books, self._book)),
            **{f"candle{bar}": ("candles", wire.candles, self._candle) for bar in INTERVALS},
            "funding-rate": ("funding", wire.funding, self._funding),
            "open-interest": ("open_interest", wire.open_interest, self._open_interest),
        }
        self._broad: dict[str, tuple[Channel, Callable[[wire.Message, bytes, Now], None]]] = {
            "liquidation-orders": ("liquidations", self._liquidations),
            "instruments": ("instruments", self._instruments),
            "status": ("status", self._maintenances),
        }
        for want in wanted:
            name = NAMES.get(want.channel) or f"candle{BARS[settings.candle_interval]}"
            symbol = convert.symbol_of(want.instrument, facts.market) if want.channel != "status" else WHOLE_VENUE
            self._add(name, symbol, want.instrument, want.channel)
        self.rest = Rest(self)
        if not settings.open_world:
            self.polls = self.rest.polls

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def opened(self, now: Now) -> None:
        """Learn what is listed, and at once ask for what is known to be."""
        self._requests.clear()
        self._in_band.clear()
        self._pinged_ns = now.mono_ns
        for stream in self.by_name.values():
            if stream.book is not None:
                cast("Chain", stream.book.rule).snapshot_in_band = True
        self.rest.opened(now)
        if self.listing is not None and not self.settings.open_world:
            self.subscribe(self.known(self.by_name.values()), now)

    def known(self, streams: Iterable[Stream]) -> list[Stream]:
        """Give those of the streams that are of the venue itself or of what it lists."""
        listing = self.listing or {}
        free = (stream for stream in streams if stream.who.instrument == WHOLE_VENUE or stream.who.symbol in listing)
        return [stream for stream in free if stream.verdict_now.reason not in UNLISTED]

    def subscribe(self, streams: Iterable[Stream], now: Now) -> None:
        """See `VenueCore`. What another stream's subscription feeds already is not asked for twice."""
        keys: dict[str, None] = {}
        for stream in streams:
            if stream.asked:
                continue
            others = [other for other in self.by_wire[self._keys[stream.name]] if other.asked]
            stream.asked = True
            heard = stream.pulse.count if stream.channel == "instruments" else 0
            stream.pulse.arm(now.mono_ns)
            stream.pulse.count = heard  # by REST
            if any(other.acked for other in others):
                stream.acknowledged(now)
            elif not others:
                keys[self._keys[stream.name]] = None
        every = [self._args[key] for key in keys]
        for start in range(0, len(every), SUBSCRIBE_BATCH):
            self.out.commands.append(self._requests.make("subscribe", every[start : start + SUBSCRIBE_BATCH], now))

    def resubscribe(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`. When the hour's requests are used up, the watch tries again later."""
        if self._requests.room(now):
            arg = self._args[self._keys[stream.name]]
            self.out.commands.append(self._requests.make("unsubscribe", [arg], now))
            self.out.commands.append(self._requests.make("subscribe", [arg], now))

    def want_snapshot(self, stream: Stream, now: Now) -> None:
        """Subscribe again: the snapshot comes in band. By REST when it did not, or when the requests are used up."""
        if not stream.asked or not self.open:
            return
        book = cast("BookSync", stream.book)
        if cast("Chain", book.rule).snapshot_in_band and self._requests.room(now):
            stream.acked = False
            self._in_band.pop(stream.name, None)
            self.resubscribe(stream, now)
        else:
            self._by_rest(stream, book)

    def _by_rest(self, stream: Stream, book: BookSync) -> None:
        cast("Chain", book.rule).snapshot_in_band = False
        book.due = None  # what is fetched is always answered
        self.rest.fetch_book(stream, "depth")

    def want_check(self, stream: Stream, now: Now) -> None:
        """See `VenueCore`."""
        del now
        self.rest.fetch_book(stream, "check")

    def rule(self, who: Identity) -> Rule:
        """See `VenueCore`."""
        del who
        return Chain()

    def tick(self, now: Now) -> None:
        """Ping a silent connection; fetch the snapshots that did not come in band."""
        heard_ns = self.watch.last_message_ns
        if now.mono_ns - heard_ns >= PING_AFTER_S * SECOND_NS and self._pinged_ns <= heard_ns:
            self._pinged_ns = now.mono_ns
            self.out.commands.append(Send("ping", "ping", 0))
        for name in [name for name, until in self._in_band.items() if now.mono_ns >= until]:
            del self._in_band[name]
            stream = self.by_name[name]
            book = cast("BookSync", stream.book)
            if book.phase == "waiting":
                self._by_rest(stream, book)

    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """See `VenueCore`."""
        self.rest.answered(fetch, stream, answer, now)

    # -- frames ------------------------------------------------------------------------------------------------------

    def parse(self, data: bytes, now: Now) -> FrameKind:
        """See `VenueCore`."""
        if data == PONG:  # the only message that is not JSON
            return "control"
        try:
            message = wire.message(data)
        except msgspec.ValidationError as error:
            return self.dead("unknown", "type", str(error), data, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead("unknown", "json", str(error), data, now)
        if message.event:
            return self._control(message, data, now)
        if message.arg is None or not bytes(message.data):
            return self.dead("unknown", "unknown_type", "neither a channel's message nor an event", data, now, ())
        return self._route(message, message.arg, data, now)

    def _route(self, message: wire.Message, arg: wire.Arg, data: bytes, now: Now) -> FrameKind:
        name = arg.channel
        if name in self._spoken:
            return self._items(message, arg, self._spoken[name], data, now)
        if name in self._broad:
            channel, take = self._broad[name]
            try:
                take(message, data, now)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                return self.dead(channel, "type", str(error), data, now, self.by_wire.get(arg.key))
            return channel
        if name in NOT_SPOKEN or is_candle(name):
            self.out.events.append(Event("not_spoken", "unknown", "", name))
            return "unknown"
        return self.dead("unknown", "unknown_type", f"channel {name!r}", data, now, ())

    def _items(self, message: wire.Message, arg: wire.Arg, spoken: Spoken, data: bytes, now: Now) -> FrameKind:
        channel, decode, handle = spoken
        stream = self.by_name.get(arg.key)
        if stream is None:
            instrument = convert.instrument_of(arg.inst_id, self.facts.market)
            if not self.settings.open_world or instrument is None:
                return self.dead(channel, "unknown_symbol", f"{arg.key!r} was not asked for", data, now)
            stream = self._add(arg.channel, arg.inst_id, instrument, channel)
        try:
            items = decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.dead(channel, "type", str(error), data, now, (stream,))
        if not items:
            return self.dead(channel, "value", "no data", data, now, (stream,))
        for item in items:
            try:
                handle(stream, item, message, now)
            except (FieldError, UnicodeDecodeError) as error:
                self.dead(channel, "value", str(error), data, now, (stream,))
        return channel

    def _book(self, stream: Stream, item: wire.BookItem, message: wire.Message, now: Now) -> None:
        bids, asks = convert.levels(item.bids), convert.levels(item.asks)
        ts, seq, prev = convert.ms_us(item.ts), item.seq_id, item.prev_seq_id
        if (seq is None) is not (prev is None):
            raise FieldError(f"seqId {seq} with prevSeqId {prev}: expected both or neither")
        book = cast("BookSync", stream.book)
        if message.action == "update":
            stream.beat(now)
            book.update(Update(bids, asks, None, seq, prev, ts), now)
        elif message.action != "snapshot":
            raise FieldError(f"action {message.action!r}, expected snapshot or update")
        elif prev not in (None, -1):
            raise FieldError(f"a snapshot with prevSeqId {prev}, expected -1")
        else:
            stream.beat(now)
            book.snapshot(cast("Chain", book.rule).in_band(bids, asks, seq, ts), now)

    def _partial(self, stream: Stream, item: wire.BookItem, message: wire.Message, now: Now) -> None:
        del message
        if item.inst_id:
            convert.belongs(stream.who, item.inst_id)
        record = convert.partial(stream.who, item, now)
        stream.beat(now)
        stream.judge("unverifiable", now, reason="a partial book has no chain")
        stream.record(record)

    def _trade(self, stream: Stream, item: wire.TradeItem, message: wire.Message, now: Now) -> None:
        convert.belongs(stream.who, item.inst_id)
        last, count = convert.whole(item.trade_id, "tradeId"), convert.whole(item.count, "count")
        if not 1 <= count <= last + 1:
            raise FieldError(f"{count} fills up to tradeId {last}")
        space = cast("wire.Arg", message.arg).channel
        ids = self._ids.setdefault(stream.name, TradeIds())
        ids.take(stream, last - count + 1, last, convert.trade(stream.who, item, space, now), now)

    def _quote(self, stream: Stream, item: wire.BookItem, message: wire.Message, now: Now) -> None:
        del message
        record = convert.quote(stream.who, item, now)
        if record is None:
            stream.spoke(now)
            stream.counted("not_spoken", "bbo-tbt with an empty side")
            return
        ts, seq = record.ts or 0, record.seq
        newer = ts > self._quoted.get(stream.name, ts)
        if seq is not None and stream.last_seq is not None and seq < stream.last_seq and newer:
            stream.last_seq = None  # maintenance began the ids anew
        self._quoted[stream.name] = max(ts, self._quoted.get(stream.name, 0))
        stream.quote(record, now)

    def _ticker(self, stream: Stream, item: wire.TickerItem, message: wire.Message, now: Now) -> None:
        del message
        convert.belongs(stream.who, item.inst_id)
        if not item.last:
            stream.spoke(now)
            stream.counted("not_spoken", "tickers of what never traded")
            return
        stream.plain(convert.ticker(stream.who, item, now), now)

    def _candle(self, stream: Stream, row: wire.Row, message: wire.Message, now: Now) -> None:
        bar = cast("wire.Arg", message.arg).channel.removeprefix("candle")
        stream.candle(convert.candle(stream.who, bar, row, now), now, marked=len(row) > 8)

    def _funding(self, stream: Stream, item: wire.FundingItem, message: wire.Message, now: Now) -> None:
        del message
        convert.belongs(stream.who, item.inst_id)
        stream.plain(convert.funding(stream.who, item, now), now)

    def _open_interest(self, stream: Stream, item: wire.OpenInterestItem, message: wire.Message, now: Now) -> None:
        del message
        convert.belongs(stream.who, item.inst_id)
        stream.plain(convert.open_interest(stream.who, item, now), now)

    def _liquidations(self, message: wire.Message, data: bytes, now: Now) -> None:
        """Take those of instruments that were asked for: the channel carries every one of the type."""
        for item in wire.liquidations(message.data):
            stream = self.by_name.get(f"liquidation-orders:{item.inst_id}")
            if stream is None:
                instrument = convert.instrument_of(item.inst_id, self.facts.market)
                if not self.settings.open_world or instrument is None:
                    continue
                stream = self._add("liquidation-orders", item.inst_id, instrument, "liquidations")
            for detail in item.details:
                try:
                    stream.plain(convert.liquidation(stream.who, detail, now), now)
                except FieldError as error:
                    self.dead("liquidations", "value", str(error), data, now, (stream,))

    def _instruments(self, message: wire.Message, data: bytes, now: Now) -> None:
        del data
        self.rest.pushed(wire.instruments(message.data), now)

    def _maintenances(self, message: wire.Message, data: bytes, now: Now) -> None:
        if self.settings.open_world and STATUS_STREAM not in self.by_name:
            self._add("status", WHOLE_VENUE, WHOLE_VENUE, "status")
        self.rest.told(wire.status(message.data), data, now)

    # -- control -----------------------------------------------------------------------------------------------------

    def _control(self, message: wire.Message, data: bytes, now: Now) -> FrameKind:
        if message.event == "subscribe" and message.arg is not None:
            for stream in self.by_wire.get(message.arg.key, ()):
                if not stream.asked or stream.verdict_now.reason in UNLISTED:
                    continue  # another of its type was asked for
                stream.acknowledged(now)
                if stream.book is not None and stream.book.phase == "waiting":
                    self._in_band[stream.name] = now.mono_ns + round(IN_BAND_S * SECOND_NS)
        elif message.event == "error":
            self._refused(message, now)
        elif message.event not in CONTROL:
            return self.dead("unknown", "unknown_type", f"event {message.event!r}", data, now, ())
        if message.event == "notice" and message.code == CLOSING_SOON:
            self.out.commands.append(Reconnect("server_shutdown", planned=True))
        return "control"

    def _refused(self, message: wire.Message, now: Now) -> None:
        detail = f"{message.code} {message.msg}"[:200]
        keys = self._requests.refused(message)
        named = len(keys) == 1
        streams = [stream for key in keys for stream in self.by_wire.get(key, ()) if named or not stream.acked]
        if not streams:
            self.out.events.append(Event("subscription_rejected", "control", "", detail))
        for stream in streams:  # a refusal that names none of several may be about any of them
            stream.rejected(detail, now, final=named and message.code in NO_SUCH)

    def _add(self, name: str, symbol: str, instrument: str, channel: Channel) -> Stream:
        arg = wire.Arg(
            name, "" if name in BY_TYPE or name == "status" else symbol, self.type if name in BY_TYPE else ""
        )
        self._args[arg.key] = arg
        stream_name = f"{name}:{symbol}"
        self._keys[stream_name] = arg.key
        levels = BOOK_LEVELS.get(name, self.settings.depth)
        stream = self.add(stream_name, instrument, symbol, channel, wire=arg.key, levels=levels)
        if name == "books5":
            stream.book = None
        if self.facts.market == "perp" and instrument != WHOLE_VENUE and stream.who.contract_size is msgspec.UNSET:
            stream.who = dataclasses.replace(stream.who, contract_size=None)  # contracts, but of what is not known yet
            if stream.book is not None:
                stream.book.who = stream.who
        return stream
