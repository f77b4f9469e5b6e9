"""What OKX is asked by REST: the listing, its maintenances, and books, where the stream gives no snapshot or is silent.

It belongs to a core and speaks through it; it owns what was learnt of the venue's state. Answers come in an envelope
that says `code` "0" or what is wrong. https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from collector.clock import SECOND_NS
from collector.venues.core import FieldError
from collector.venues.okx import convert, wire
from collector.venues.okx.facts import (
    CHECK_LEVELS,
    LISTING_EVERY_S,
    REST_LEVELS,
    RETRY_S,
    STATUS_AGAIN_S,
    STATUS_APART_S,
    STATUS_EVERY_S,
)
from collector.venues.polling import Poll
from collector.venues.protocol import STATUS_NOT_ON_TAPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from collector.books.sync import BookSync
    from collector.clock import Now
    from collector.records import Instrument, SystemStatus
    from collector.venues.okx.chain import Chain
    from collector.venues.okx.core import OkxCore
    from collector.venues.protocol import Answer, Fetch, FrameKind
    from collector.venues.stream import Stream

OK = 200
STATUS_STREAM = "status:*"
DEMO = "2"
GRAVITY: tuple[SystemStatus, ...] = ("online", "unknown", "degraded", "offline", "maintenance")
"""Of several maintenances, the last of these is what the venue is in."""


class _Told(NamedTuple):
    """A maintenance's state and end in the venue's words, and what that means for the venue."""

    state: str
    end: str
    status: SystemStatus


class AnswerError(ValueError):
    """An answer without what was asked for; the message says what the venue or the network said."""


class Rest:
    """One core's."""

    def __init__(self, core: OkxCore) -> None:
        self._core = core
        self._listing = Poll(LISTING_EVERY_S, self._want_listing)
        self._status = Poll(STATUS_EVERY_S, self._want_status)
        self.polls = [self._listing]
        if STATUS_STREAM in core.by_name:
            self.polls.append(self._status)
        self._status_asked_ns: int | None = None
        self._state = ""
        """The status published last."""
        self._told: dict[tuple[str, str], _Told] = {}
        """Every maintenance (title, begin), as published last."""

    def opened(self, now: Now) -> None:
        """Ask for the listing at once, and for the status when the venue allows it."""
        self._listing.look(now)
        # Both markets ask, and the venue answers one address once in five seconds.
        first_ns = now.mono_ns + (round(STATUS_APART_S * SECOND_NS) if self._core.facts.market == "perp" else 0)
        again_ns = 0 if self._status_asked_ns is None else self._status_asked_ns + round(STATUS_AGAIN_S * SECOND_NS)
        self._status.due_ns = max(first_ns, again_ns)

    def fetch_book(self, stream: Stream, endpoint: str) -> None:
        """Ask for a whole book (`depth`), or for its top (`check`)."""
        levels = REST_LEVELS if endpoint == "depth" else CHECK_LEVELS
        params = (("instId", stream.who.symbol), ("sz", str(levels)), ("source", "0"))
        self._core.fetch(endpoint, "/api/v5/market/books", params, 1, stream)

    def _want_listing(self, now: Now) -> None:
        del now
        self._core.fetch("listing", "/api/v5/public/instruments", (("instType", self._core.type),), 1)

    def _want_status(self, now: Now) -> None:
        self._status_asked_ns = now.mono_ns
        self._core.fetch("status", "/api/v5/system/status", (), 1)

    # -- answers -----------------------------------------------------------------------------------------------------

    def answered(self, fetch: Fetch, stream: Stream | None, answer: Answer, now: Now) -> None:
        """Take an answer, whatever it is."""
        try:
            data = _data(answer)
            if stream is not None:
                self._book(stream, fetch.endpoint, data, now)
            elif fetch.endpoint == "listing":
                self._listed(wire.instruments(data), now)
            else:
                self.told(wire.status(data), answer.body, now, complete=True)
        except AnswerError as error:
            self._failed(fetch, stream, answer, str(error), now)
        except (msgspec.DecodeError, UnicodeDecodeError, FieldError) as error:
            channel: FrameKind = "instruments" if fetch.endpoint == "listing" else "status"
            kind = "book" if stream is not None else channel
            self._core.dead(kind, "type", f"{fetch.endpoint}: {error}", answer.body, now, ())
            self._failed(fetch, stream, answer, "the answer could not be decoded", now)

    def _failed(self, fetch: Fetch, stream: Stream | None, answer: Answer, reason: str, now: Now) -> None:
        core = self._core
        if stream is not None and fetch.endpoint == "check":
            core.watch.check_failed(stream, answer, now)
        elif stream is not None:
            cast("BookSync", stream.book).failed(f"the book could not be fetched: {reason}", now)
        elif answer.status != STATUS_NOT_ON_TAPE and fetch.endpoint == "status":
            self._status.again(RETRY_S, now)
        elif answer.status != STATUS_NOT_ON_TAPE:
            self._listing.again(RETRY_S, now)
            if core.facts.market == "spot" and core.listing is None:
                # Data first: a pair's name is its symbol. A swap's sizes mean nothing before its contract is known.
                core.subscribe(core.by_name.values(), now)

    def _listed(self, rows: Sequence[Raw], now: Now) -> None:
        core = self._core
        listed, whole = self._read(rows, now)
        if not listed:
            raise AnswerError("an empty listing")
        free = core.take_listing(listed, now, complete=whole)
        if not core.settings.open_world:
            core.subscribe(free if whole else core.known(free), now)

    def _read(self, rows: Sequence[Raw], now: Now) -> tuple[list[Instrument], bool]:
        market = self._core.facts.market
        return self._core.readable(rows, lambda row: convert.instrument(wire.instrument(row), market, now), now)

    def _book(self, stream: Stream, endpoint: str, data: Raw, now: Now) -> None:
        items = wire.books(data)
        if len(items) != 1:
            raise AnswerError(f"{len(items)} books, expected one")
        item, book = items[0], cast("BookSync", stream.book)
        bids, asks, ts = convert.levels(item.bids), convert.levels(item.asks), convert.ms_us(item.ts)
        rule = cast("Chain", book.rule)
        if endpoint == "depth":
            if not rule.snapshot_in_band:  # else it has come in band after all
                book.snapshot(rule.by_rest(bids, asks, item.seq_id, ts), now)
            return
        same_id = item.seq_id is None or item.seq_id == book.last
        equal = not book.book.differs(bids, asks, asked=CHECK_LEVELS)
        if same_id and equal:
            if rule.verified_by is not None:
                book.confirmed(now)
            self._core.watch.checked(stream, None, now, same=True)
        elif item.seq_id is not None and same_id:
            book.refuted("diverged", f"at id {book.last} the venue's REST book shows other levels", None, now)
        elif ts > (book.ts or 0):
            ahead = item.seq_id if item.seq_id is not None and item.seq_id > (book.last or 0) else None
            self._core.watch.checked(stream, ahead, now, same=False)
        # else: an answer older than our book, as caches give it, proves nothing

    # -- what comes by REST and by the stream ------------------------------------------------------------------------

    def pushed(self, rows: Sequence[Raw], now: Now) -> None:
        """Take changes of the listing."""
        core = self._core
        free = core.take_listing(self._read(rows, now)[0], now, complete=False)
        if not core.settings.open_world:
            core.subscribe(core.known(free), now)

    def told(self, items: Sequence[wire.StatusItem], data: bytes, now: Now, *, complete: bool = False) -> None:
        """Take maintenances: each is published when it is news; and that there are none, where all were told."""
        stream, market = self._core.by_name.get(STATUS_STREAM), self._core.facts.market
        real = {(item.title, item.begin): item for item in items if item.env != DEMO}
        if stream is None:
            return
        if complete:  # what is not told any more is over
            self._told = {thing: told for thing, told in self._told.items() if thing in real}
        for thing, item in real.items():
            known = self._told.get(thing)
            if known is not None and (known.state, known.end) == (item.state, item.end):
                continue
            try:
                record = convert.status(market, item, now)
            except FieldError as error:
                self._core.dead("status", "value", str(error), data, now, (stream,))
                continue
            self._told[thing] = _Told(item.state, item.end, record.status)
            record.status = self._state = self._worst()  # another one may be going on
            stream.plain(record, now)
        if not complete or self._told.keys() != real.keys():  # one that cannot be read may be going on
            return
        worst = self._worst()
        if self._state == worst:
            stream.spoke(now)
            return
        cause = next((thing for thing, told in self._told.items() if told.status == worst != "online"), None)
        record = convert.status(market, None if cause is None else real[cause], now)
        self._state = worst
        stream.plain(record, now)

    def _worst(self) -> SystemStatus:
        return max((told.status for told in self._told.values()), key=GRAVITY.index, default="online")


def _data(answer: Answer) -> Raw:
    """Give what an answer holds.

    Raises AnswerError when it holds nothing, msgspec.DecodeError for what is no answer.
    """
    if answer.status == STATUS_NOT_ON_TAPE:
        raise AnswerError("not on tape")
    if answer.status != OK:
        raise AnswerError(answer.error or f"HTTP {answer.status}")
    envelope = wire.answer(answer.body)
    if envelope.code != "0":
        raise AnswerError(f"{envelope.code} {envelope.msg}"[:200])
    return envelope.data
