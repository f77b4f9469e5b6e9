"""What the conformance suite needs of a venue: its messages, made without asking the collector. One class a market.

An adapter plays the exchange: it holds a small true market for each instrument, says what the venue would say next
(`message`, `update`, `image`), and answers what a core asks (`open`, `answer`). To lose a message is to make it and not
to deliver it. It never looks into a core: the suite judges by what comes out.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from collector.records import GapCause, Level, Side
from collector.venues import VENUES, Venue
from collector.venues.protocol import WHOLE_VENUE, Channel, CoreSettings, Facts, Wanted
from tests.venues.kit import Bench, Message, as_text

LEVELS = 12
_NUMBER = re.compile(r'(?<=[:,\[])("?)\d+\.\d+("?)(?=[,\]}])')
"""A number with a decimal point, as text or not, that is a whole JSON value."""


class Market:
    """The truth of one instrument. Prices have one decimal and sizes eight, with zeros at the end: text must stay."""

    def __init__(self) -> None:
        self.bids = {f"{100 - number}.5": f"{number + 1}.25000000" for number in range(LEVELS)}
        self.asks = {f"{101 + number}.5": f"{number + 1}.50000000" for number in range(LEVELS)}
        self.ident = 1000
        self.before = 1000
        """`ident` before the last change."""
        self.ticks = 0
        self.count = 0
        """Of messages that are no book's."""
        self.trades = 500
        self.backwards = False
        """Whether the venue gives its levels in the wrong order."""

    def change(self, bids: list[Level], asks: list[Level]) -> tuple[list[Level], list[Level]]:
        """Take these changes, or, when there are none, another size at one of the best bids."""
        self.before, self.ident, self.ticks = self.ident, self.ident + 2, self.ticks + 1
        if not bids and not asks:
            bids = [(f"{100 - self.ticks % 5}.5", f"{self.ticks}.75000000")]
        self.bids |= dict(bids)
        self.asks |= dict(asks)
        return bids, asks

    @property
    def sides(self) -> tuple[list[Level], list[Level]]:
        return (
            sorted(self.bids.items(), key=lambda level: float(level[0]), reverse=not self.backwards),
            sorted(self.asks.items(), key=lambda level: float(level[0]), reverse=self.backwards),
        )


class Adapter(ABC):
    """One market of one venue."""

    section: ClassVar[str]
    pair: ClassVar[str] = "BTC-USDT"
    other: ClassVar[str] = "ETH-USDT"
    absent: ClassVar[str] = "NOPE-USDT"
    scope: ClassVar[Literal["instrument", "connection"]] = "instrument"
    """What a hole in a book's messages taints."""
    gap_cause: ClassVar[GapCause] = "sequence"
    """What a lost update of a book shows by."""
    polled: ClassVar[tuple[Channel, ...]] = ()
    """Channels that are asked for by REST alone, so that nothing acknowledges them."""
    broad: ClassVar[tuple[Channel, ...]] = ()
    """Channels of which one subscription carries every instrument."""
    asks_without_listing: ClassVar[bool] = True
    """Whether data is asked for when the listing cannot be had."""
    refuses: ClassVar[bool] = True
    """Whether a subscription to what does not exist is refused, and not acknowledged and silent."""
    marks_candles: ClassVar[bool] = True
    numbered_quotes: ClassVar[bool] = False
    taker: ClassVar[Side] = "sell"
    """Who took the trades that `message` tells of."""
    contract_size: ClassVar[str | UnsetType | None] = UNSET
    interval_s: ClassVar[int] = 60

    def __init__(self) -> None:
        self.markets = {name: Market() for name in (self.pair, self.other)}
        self.listed: dict[str, str] = {self.pair: "trading", self.other: "trading"}
        """`trading`, `halted` or `delisted`."""

    @property
    def venue(self) -> Venue:
        return VENUES[self.section]

    @property
    def facts(self) -> Facts:
        return self.venue.facts

    # -- the core ----------------------------------------------------------------------------------------------------

    def bench(self, *channels: Channel, instruments: tuple[str, ...] = ()) -> Bench:
        """A core of these channels, not yet connected; of one endpoint, as the service makes them."""
        wanted = dict.fromkeys(
            Wanted(WHOLE_VENUE if channel == "status" else name, channel)
            for name in instruments or (self.pair,)
            for channel in channels
        )
        return Bench(self.venue.make_core(list(wanted), CoreSettings(depth=50), self.facts))

    def ready(self, *channels: Channel, instruments: tuple[str, ...] = ()) -> Bench:
        """The same, connected, listed and acknowledged; books have their snapshot."""
        made = self.bench(*channels, instruments=instruments)
        self.open(made)
        if "book" in channels:
            for name in instruments or (self.pair,):
                self.bring(made, name)
        return made

    def open(self, bench: Bench) -> None:
        """Connect, and answer until nothing is asked any more."""
        self.fresh()
        bench.connect()
        self.idle(bench, 3)

    def fresh(self) -> None:  # noqa: B027 - most venues remember nothing of a connection
        """A new connection begins."""

    def idle(self, bench: Bench, seconds: int) -> None:
        """Let time pass on a connection that lives and carries no data; what is asked is answered."""
        for _ in range(seconds):
            bench.wait(1)
            self.answer(bench)
            beat = self.heartbeat()
            if beat is not None:
                bench.frame(beat)
        self.answer(bench)

    def answer(self, bench: Bench) -> None:
        """Acknowledge every request and give the listing."""
        while bench.sends or any(fetch.endpoint == "listing" for fetch in bench.fetches):
            sends, bench.sends = bench.sends, []
            for send in sends:
                bench.frames(*self.answers(send.text))
            while any(fetch.endpoint == "listing" for fetch in bench.fetches):
                bench.reply(self.listing(), endpoint="listing")

    def bring(self, bench: Bench, name: str, image: Message | None = None) -> None:
        """Give a book's snapshot: as it is now, or `image`."""
        bench.frame(self.image(name) if image is None else image)

    def reply(self, bench: Bench, endpoint: str, name: str, body: Message) -> None:
        """Answer a request about this instrument."""
        symbol = self.symbol(name)
        found = next(one for one in bench.fetches if (one.endpoint, one.symbol) == (endpoint, symbol))
        bench.fetches.remove(found)
        bench.fetches.insert(0, found)
        bench.reply(body, endpoint=endpoint)

    def relist(self, bench: Bench, name: str, status: str) -> None:
        """Let the venue list an instrument otherwise, and tell it in its own way, however long that takes."""
        self.listed[name] = status
        while not any(fetch.endpoint == "listing" for fetch in bench.fetches):
            bench.wait(1)
            beat = self.heartbeat()
            if beat is not None:
                bench.frame(beat)
            for send in [send for send in bench.sends if send.purpose == "ping"]:
                bench.sends.remove(send)
                bench.frames(*self.answers(send.text))
        bench.reply(self.listing(), endpoint="listing")

    def repair(self, bench: Bench, name: str) -> None:
        """Answer whatever is asked until the book is in sync again."""
        for _ in range(120):
            self.answer(bench)
            if bench.state(name, "book") == "in_sync":
                return
            if self.asks_for_book(bench, name):
                self.bring(bench, name)
            elif any((one.endpoint, one.symbol) == ("check", self.symbol(name)) for one in bench.fetches):
                self.reply(bench, "check", name, self.check_body(name))
            self.idle(bench, 1)
        raise AssertionError(f"{name} is {bench.verdict(name, 'book')}")

    def asks_for_book(self, bench: Bench, name: str) -> bool:
        """Whether a snapshot may be given now: in band after any subscription, by REST when it was asked for."""
        del bench, name
        return True

    def tell(self, bench: Bench, name: str, channel: Channel) -> None:
        """Deliver the next data of a channel."""
        bench.frame(self.message(name, channel))

    # -- the venue ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def symbol(self, name: str) -> str:
        """The venue's name of an instrument."""

    @abstractmethod
    def answers(self, request: str) -> list[Message]:
        """What the venue answers to a text frame of the client's: that it is well."""

    @abstractmethod
    def listing(self) -> Message:
        """The answer to a request for the listing: what `listed` says."""

    @abstractmethod
    def image(self, name: str) -> Message:
        """The book as it is: a message, or the body of an answer."""

    @abstractmethod
    def update(self, name: str, bids: list[Level] = [], asks: list[Level] = []) -> Message:  # noqa: B006 - never changed
        """The book changes; the message of it."""

    @abstractmethod
    def message(self, name: str, channel: Channel) -> Message:
        """The next message of a channel, with news."""

    @abstractmethod
    def bar(self, name: str, number: int, close: str, *, closed: bool) -> Message:
        """A state of the `number`-th candle; `closed` only where the venue marks it."""

    @abstractmethod
    def unknown(self) -> Message:
        """A well-formed message of a kind that nobody has heard of."""

    @abstractmethod
    def check_body(self, name: str) -> Message:
        """The answer to the request by which a silent book is checked: the book as it is."""

    def refusal(self, request: str, name: str) -> list[Message]:
        """What the venue answers to a request that may name an instrument which it does not have (where it `refuses`
        any).
        """
        del name
        return self.answers(request)

    def heartbeat(self) -> Message | None:
        """What the venue sends when nothing happens."""
        return None


def text_of(message: Message) -> str:
    return message.decode() if isinstance(message, bytes) else as_text(message)


def broken(message: Message, instead: str) -> str:
    """The message with all its numbers replaced."""
    text = text_of(message)
    made, count = _NUMBER.subn(instead, text)
    assert count, text
    return made


def of_other(message: Message, symbols: dict[str, str]) -> Message:
    """A message about one symbol as one about another: the kits write some for one symbol only."""
    text = text_of(message)
    for one, another in symbols.items():
        text = text.replace(one, another)
    return text
