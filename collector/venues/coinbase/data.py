"""What Coinbase's data messages say, stream by stream. It is given messages of the row only, each once and in order.

It never asks for anything and decides nothing about holes: those are told to it (`interrupted`), and what it cannot
read it hands back (`CoinbaseCore.unread`). Shapes: `wire`.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from collector.books.contract import Snapshot, Update
from collector.venues.coinbase import convert, wire
from collector.venues.core import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.clock import Now
    from collector.records import Instrument, Ticker, Trade, VenueStatus
    from collector.venues.coinbase.core import CoinbaseCore
    from collector.venues.stream import Stream

DENSE = 100
"""So many trade ids in a row, each one more than the last, show that a product counts its trades one by one."""


class Data:
    """Takes one data message at a time. `sent_us`: the venue's time of the message, UTC µs."""

    def __init__(self, core: CoinbaseCore) -> None:
        self._core = core
        self._torn: set[str] = set()
        """Streams of trades of which something may be missing since their last trade."""
        self._dense: dict[str, int] = {}
        """How many ids of a stream of trades came in a row, each one more than the last."""
        self._shown: dict[str, tuple[str | None, ...]] = {}
        """What was published last: of a ticker its quote aside, of the venue its state."""

    def interrupted(self, streams: Iterable[Stream]) -> None:
        """Take note that messages of these streams may be missing."""
        for stream in streams:
            if stream.channel == "trades":
                self._torn.add(stream.name)
            elif stream.bars is not None:
                stream.bars.broken()

    def books(self, message: wire.Envelope, sent_us: int | None, data: bytes, now: Now) -> None:
        """Take a message of `l2_data`."""
        seq = message.sequence_num
        for event in wire.books(message.events):
            for stream in self._core.known(event.product_id, "book", data, now):
                try:
                    bids, asks = convert.levels(event.updates)
                    ts = convert.book_time(event, sent_us)
                except FieldError as error:
                    self._core.unread("book", "value", str(error), data, now, (stream,))
                    continue
                stream.beat(now)
                if stream.book is None:
                    continue
                if event.type == "snapshot":
                    stream.book.snapshot(Snapshot(bids, asks, seq, ts, ordered=True), now)
                else:
                    stream.book.update(Update(bids, asks, seq, seq, None, ts), now)

    def trades(self, message: wire.Envelope, sent_us: int | None, data: bytes, now: Now) -> None:
        """Take a message of `market_trades`."""
        del sent_us
        for event in wire.trades(message.events):
            for product in dict.fromkeys(item.product_id for item in event.trades):
                items = [item for item in event.trades if item.product_id == product]
                for stream in self._core.known(product, "trades", data, now):
                    try:
                        rows = [convert.trade(stream.who, item, message.sequence_num, now) for item in items]
                    except FieldError as error:
                        self._core.unread("trades", "value", str(error), data, now, (stream,))
                    else:
                        rows.sort(key=itemgetter(0))
                        self._take_trades(stream, rows, now, snapshot=event.type == "snapshot")

    def _take_trades(self, stream: Stream, rows: Sequence[tuple[int, Trade]], now: Now, *, snapshot: bool) -> None:
        """Publish what is new.

        A snapshot holds the last trades. The first one is from before the subscription and says where we begin; a later
        one shows what was missed, and when it holds the last trade that we know, that nothing else was.
        """
        ids = stream.ids
        whole = stream.name not in self._torn
        if snapshot and ids.last is None and not self._core.settings.open_world:
            ids.last = rows[-1][0]
            rows = ()
        elif snapshot and ids.last is not None:
            whole = any(ident == ids.last for ident, _ in rows)  # subscribing again is an interruption, too
            rows = [row for row in rows if row[0] > ids.last or any(first <= row[0] <= end for first, end in ids.holes)]
            if not rows and whole and stream.verdict.state != "in_sync":
                stream.judge("in_sync", now, by="sequence")
        for ident, record in rows:
            follows = ids.last is None or ident <= ids.last + 1
            if not follows and whole and self._dense.get(stream.name, 0) < DENSE:
                ids.last = ident - 1  # nothing is missing: this product's ids jump
            self._dense[stream.name] = self._dense.get(stream.name, 0) + 1 if follows else 0
            stream.trade(ident, record, now)
            whole = True
        self._torn.discard(stream.name)

    def tickers(self, message: wire.Envelope, sent_us: int | None, data: bytes, now: Now) -> None:
        """Take a message of `ticker`: a quote each, and a ticker where something else changed."""
        seq = message.sequence_num
        for event in wire.tickers(message.events):
            for item in event.tickers:
                for stream in self._core.known(item.product_id, "quotes", data, now):
                    try:
                        if stream.channel == "tickers":
                            self._take_ticker(stream, convert.ticker(stream.who, item, sent_us, seq, now), now)
                        elif (quote := convert.quote(stream.who, item, sent_us, seq, now)) is None:
                            stream.spoke(now, by="sequence")  # a side is empty
                        else:
                            stream.plain(quote, now, by="sequence")
                    except FieldError as error:
                        self._core.unread("quotes", "value", str(error), data, now, (stream,))

    def _take_ticker(self, stream: Stream, ticker: Ticker, now: Now) -> None:
        shown = (ticker.last, ticker.high, ticker.low, ticker.volume)
        if self._shown.get(stream.name) == shown and stream.gap is None and stream.verdict.state == "in_sync":
            stream.beat(now)
        else:
            self._shown[stream.name] = shown
            stream.plain(ticker, now, by="sequence")

    def candles(self, message: wire.Envelope, sent_us: int | None, data: bytes, now: Now) -> None:
        """Take a message of `candles`. Of the first snapshot only the newest bar is ours to tell: it alone can still
        change; of a later one, those from the last that we know on.
        """
        for event in wire.candles(message.events):
            for product in dict.fromkeys(item.product_id for item in event.candles):
                items = [item for item in event.candles if item.product_id == product]
                for stream in self._core.known(product, "candles", data, now):
                    try:
                        bars = [convert.candle(stream.who, item, sent_us, message.sequence_num, now) for item in items]
                    except FieldError as error:
                        self._core.unread("candles", "value", str(error), data, now, (stream,))
                        continue
                    bars.sort(key=lambda bar: bar.open_ts)
                    current = None if stream.bars is None else stream.bars.current
                    if event.type == "snapshot":
                        bars = bars[-1:] if current is None else [b for b in bars if b.open_ts >= current.open_ts]
                    for bar in bars:
                        stream.candle(bar, now, marked=False, by="sequence")

    def statuses(self, message: wire.Envelope, now: Now) -> None:
        """Take a message of `status`: products, not all of which need be ours. It knows less than the listing, so it is
        believed where it says something else, and the listing is asked.
        """
        listing = self._core.listing or {}
        entries: list[Instrument] = []
        for event in wire.statuses(message.events):
            for item in event.products:
                if item.product_type != "SPOT" or convert.canonical(item.id) != item.id:
                    continue
                self._core.carried(item.id, "instruments")
                known, told = listing.get(item.id), convert.pushed(item, now)
                if known is not None and (
                    known.venue_status.partition(" ")[0] == item.status or known.status == told.status == "delisted"
                ):
                    entries.append(known)
                    continue
                if known is not None:
                    told = replace(known, recv_ts=now.wall_us, status=told.status, venue_status=told.venue_status)
                    self._core.ask_again(now)
                entries.append(told)
        self._core.pushed(entries, now)

    def status(self, stream: Stream, status: VenueStatus, now: Now) -> None:
        """Publish the venue's state when it is news."""
        shown = (status.status, status.venue_status)
        if self._shown.get(stream.name) != shown:
            self._shown[stream.name] = shown
            stream.plain(status, now)
            return
        stream.beat(now)
        if stream.verdict.state != "unverifiable":
            stream.judge("unverifiable", now)
