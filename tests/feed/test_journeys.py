"""Which messages are traced, and what a journey's spans and exemplars say, on a clock that moves at each reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from collector.books.book import Book
from collector.clock import SECOND_NS, Now
from collector.feed.journeys import LOOK_PAUSE_NS, MOST_LOOKS, Journeys, Sampler
from collector.quality.sequence import IdSequence
from collector.records import Record, Trade
from collector.venues import binance, kraken
from collector.venues.protocol import Channel, Core, DeadLetter, Endpoint, Facts, FrameKind, Output, Pool
from collector.venues.stream import Stream
from telemetry.cells import Metrics
from telemetry.registry import load_registry
from telemetry.tracing import SpanRef, current
from tests.telemetry.spans import FakeTracer
from tests.venues import krakens, test_binance
from tests.venues.kit import (
    as_text,
    binance_trade,
    book_ticker,
    depth,
    depth_book,
    kraken_book,
    kraken_crc,
    kraken_ticker,
    kraken_trade,
)

CORE: tuple[Channel, ...] = ("trades", "quotes", "book")
FACTS = Facts(
    "binance",
    "spot",
    (),
    (Endpoint("/", ("trades", "quotes", "book")),),
    (),
    Pool("p", 1, 1.0),
    1.0,
    (1, 1.0),
    1,
    1,
    None,
    (),
)
WALL_US = 1_700_000_000_000_000
START = 1_000 * SECOND_NS


def wall(mono_ns: int) -> int:
    return WALL_US * 1000 + mono_ns - START


def now(mono_ns: int = START) -> Now:
    return Now(mono_ns, wall(mono_ns) // 1000)


def trade(ident: str) -> Trade:
    return Trade(
        venue="binance",
        market="spot",
        instrument="BTC-USDT",
        symbol="BTCUSDT",
        ts=WALL_US - 30_000,
        recv_ts=WALL_US,
        id=ident,
        id_space="trade",
        price="1",
        size="1",
        side="buy",
    )


class PlainCore:
    """Makes of `kind:text` a trade for each letter; asks for the receive time once per message, as venue cores do."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.out = Output()
        self.deadline = 2**62
        self.clock = clock
        self.seen: list[Now] = []

    def frame(self, data: bytes, now: Now) -> FrameKind:
        self.seen.append(now)
        kind, _, text = data.decode().partition(":")
        self.clock()  # time passes: the text is decoded
        if text == "dead":
            self.out.dead.append(DeadLetter("trades", "json", "", data, now))
        elif text:
            assert now.wall_us is not None
            self.clock()  # and it is checked
            self.out.records += [trade(letter) for letter in text]
        return cast("FrameKind", kind)


class Table:
    """Journeys with everything around them. The clock advances 1 µs at each reading."""

    def __init__(self) -> None:
        self.ns = START
        self.tracer = FakeTracer()
        self.sampler = Sampler(CORE)
        self.metrics = Metrics(load_registry())
        self.told: list[tuple[FrameKind, SpanRef]] = []
        self.core = PlainCore(self.clock)
        self.published: list[list[Record]] = []
        self.current: list[SpanRef] = []
        self.journeys = self.connection("0")

    def connection(self, name: str) -> Journeys:
        def traced(kind: FrameKind, ref: SpanRef) -> None:
            self.told.append((kind, ref))

        return Journeys(self.tracer, self.sampler, self.metrics, FACTS, name, self.clock, traced)

    def clock(self) -> int:
        self.ns += 1000
        return self.ns

    def give(self, message: str, at: int = START, journeys: Journeys | None = None) -> FrameKind:
        """As LiveFeed does: only what is due is looked at."""
        journeys = journeys or self.journeys
        if at < journeys.look_ns:
            return self.core.frame(message.encode(), now(at))
        return journeys.frame(cast("Core", self.core), message.encode(), now(at))

    def flush(self, journeys: Journeys | None = None) -> None:
        records = self.core.out.records[:]
        self.core.out.clear()
        journeys = journeys or self.journeys
        if journeys.open:
            journeys.flush(self.publish, records)

    def publish(self, records: list[Record]) -> bool:
        self.current.append(current())
        self.published.append(records)
        self.clock()
        return True

    def names(self) -> list[str]:
        return [span.name.removeprefix("marketprism.") for span in self.tracer.spans]


@pytest.fixture
def table() -> Table:
    return Table()


def test_a_journey_reaches_from_the_socket_read_to_the_write_of_its_records(table: Table) -> None:
    table.ns += 5_000  # another message of the burst was handled before
    table.give("trades:a")
    table.give("trades:b")
    table.flush()
    assert table.names() == ["decode", "verify", "journal", "message", "burst.flush"]
    decode, verify, journal, message, flush = table.tracer.spans
    us = [(span.start_ns - wall(START), span.end_ns - wall(START)) for span in table.tracer.spans]
    # The readings, in µs: 6 it begins, 7 in the core, 8 its receive time is asked for, 9 in the core, 10 it is done;
    # 11 to 15 the same of the other message, looked at in vain; 16 before the write, 17 in it, 18 after it.
    assert us == [(6000, 8000), (8000, 10000), (16000, 18000), (0, 18000), (16000, 18000)]
    assert message.parent is None
    assert [span.parent for span in (decode, verify, journal)] == [message.ref] * 3
    assert len({span.ref.trace_id for span in (decode, verify, journal, message)}) == 1
    assert (flush.parent, flush.links) == (None, (message.ref,))
    assert flush.attributes == {"marketprism.records": 2}
    assert message.attributes == {
        "marketprism.venue": "binance",
        "marketprism.market": "spot",
        "marketprism.channel": "trades",
        "marketprism.connection": "0",
        "marketprism.size": len(b"trades:a"),
        "marketprism.records": 1,
    }
    assert table.current == [message.ref], "what is logged and counted while it is written belongs to it"


def test_every_record_of_a_traced_message_carries_its_traceparent_and_no_other_does(table: Table) -> None:
    table.core.out.records.append(trade("x"))
    table.give("trades:ab")
    table.give("trades:c")
    table.flush()
    (message,) = table.tracer.named("marketprism.message")
    carried = [record.traceparent for record in table.published[0]]
    assert [isinstance(text, str) for text in carried] == [False, True, True, False]
    assert carried[1] == carried[2] == message.ref.traceparent
    assert message.attributes["marketprism.records"] == 2


def test_at_most_one_message_a_second_is_traced_for_each_channel(table: Table) -> None:
    for at in range(START, START + 3 * SECOND_NS, SECOND_NS // 4):
        for kind in ("trades", "book", "quotes"):
            table.give(f"{kind}:a", at)
        table.flush()
    assert [kind for kind, _ in table.told] == ["trades", "book", "quotes"] * 3
    assert len(table.tracer.named("marketprism.message")) == 9
    assert len(table.tracer.named("marketprism.burst.flush")) == 3, "one flush links to all the journeys of its burst"
    assert [len(span.links) for span in table.tracer.named("marketprism.burst.flush")] == [3, 3, 3]


def test_the_connections_of_a_venue_share_that_second(table: Table) -> None:
    other = table.connection("1")
    table.give("trades:a")
    table.give("trades:b", START + 1, other)
    assert [kind for kind, _ in table.told] == ["trades"]
    assert other.look_ns == START + 1, "it looks on, for quotes and books are due"
    table.flush()


def test_until_a_channel_is_due_a_message_costs_one_comparison(table: Table) -> None:
    for kind in ("trades", "book", "quotes"):
        table.give(f"{kind}:a")
    table.flush()
    assert table.journeys.look_ns == START + SECOND_NS
    given = len(table.core.seen)
    table.give("trades:b", START + SECOND_NS - 1)
    assert type(table.core.seen[given]) is Now, "the very Now of the socket read: nothing was made for the message"
    table.give("trades:b", START + SECOND_NS)
    assert type(table.core.seen[given + 1]) is not Now
    table.flush()


def test_looking_for_a_quiet_channel_is_rationed_and_its_turn_still_comes(table: Table) -> None:
    for kind in ("trades", "book"):
        table.give(f"{kind}:a")
    table.flush()
    seen = len(table.core.seen)
    for _ in range(100):
        table.give("trades:b", START + 1)
    looked = sum(type(each) is not Now for each in table.core.seen[seen:])
    assert looked == MOST_LOOKS
    assert table.journeys.look_ns == START + 1 + LOOK_PAUSE_NS
    table.give("quotes:q", START + 1 + LOOK_PAUSE_NS)
    assert [kind for kind, _ in table.told] == ["trades", "book", "quotes"]
    table.flush()


@pytest.mark.parametrize("kind", ["control", "unknown"])
def test_only_data_is_traced(table: Table, kind: str) -> None:
    assert table.give(f"{kind}:") == kind
    assert table.journeys.open == []
    assert table.told == []


def test_a_message_that_gives_no_record_ends_where_it_was_verified(table: Table) -> None:
    table.give("book:")
    table.flush()
    assert table.names() == ["decode", "verify", "message"]
    assert table.published == [], "there is nothing to write"
    assert table.tracer.spans[2].end_ns == wall(START) + 3000
    assert table.journeys.open == []


def test_a_message_that_cannot_be_decoded_is_a_journey_that_failed_there(table: Table) -> None:
    table.give("trades:dead")
    table.flush()
    assert table.names() == ["decode", "message"]
    assert [span.error for span in table.tracer.spans] == ["json", "json"]


def test_records_that_the_journal_does_not_accept_make_the_write_an_error(table: Table) -> None:
    table.give("trades:a")
    records = table.core.out.records[:]
    table.journeys.flush(lambda _: False, records)
    assert {span.name: span.error for span in table.tracer.spans} == {
        "marketprism.decode": None,
        "marketprism.verify": None,
        "marketprism.journal": "not_accepted",
        "marketprism.message": "not_accepted",
        "marketprism.burst.flush": "not_accepted",
    }


def test_records_that_are_written_nowhere_end_their_journey_where_they_were_verified(table: Table) -> None:
    table.give("trades:a")
    table.journeys.flush(lambda _: None, table.core.out.records[:])
    assert table.names() == ["decode", "verify", "message"]
    assert table.tracer.spans[2].end_ns == table.tracer.spans[1].end_ns


def test_a_defect_while_publishing_ends_the_journey_and_comes_out(table: Table) -> None:
    def publish(_: list[Record]) -> bool:
        raise RuntimeError("a defect")

    table.give("trades:a")
    with pytest.raises(RuntimeError, match="a defect"):
        table.journeys.flush(publish, table.core.out.records[:])
    assert table.tracer.named("marketprism.message")[0].error == "RuntimeError: a defect"
    assert table.journeys.open == []


def test_the_lag_of_a_traced_record_leads_to_its_journey(table: Table) -> None:
    table.give("trades:a")
    table.flush()
    (message,) = table.tracer.named("marketprism.message")
    cell = table.metrics.histogram("marketprism.feed.lag").cell(venue="binance", market="spot", channel="trades")
    ((bucket, exemplar),) = cell.ex.items()
    assert cell.bounds[bucket - 1] < 0.03 <= cell.bounds[bucket]
    assert exemplar == (0.03, wall(START), message.ref.trace_id, message.ref.span_id)


def test_what_the_sampler_does_not_want_leaves_no_trace_anywhere(table: Table) -> None:
    table.tracer.sampling = False
    table.give("trades:a")
    assert not isinstance(table.core.out.records[0].traceparent, str)
    assert (table.journeys.open, table.told) == ([], [])
    assert table.journeys.look_ns <= START, "the other channels are due"
    for kind in ("book", "quotes"):
        table.give(f"{kind}:a")
    assert table.journeys.look_ns == START + SECOND_NS, "it counts as this second's"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
    """Make decoding a message take 1 s, and checking it another 10 s, in every core that is made from now on."""

    def taking(owner: object, name: str, seconds: int) -> None:
        real = getattr(owner, name)

        def call(*given: object, **named: object) -> object:
            table.ns += seconds * SECOND_NS
            return real(*given, **named)

        monkeypatch.setattr(owner, name, call)

    for module, names in (
        (binance.wire, ("depth", "trade", "book_ticker")),
        (kraken.wire, ("books", "trades", "tickers")),
    ):
        for name in names:
            taking(module, name, 1)
    taking(IdSequence, "see", 10)
    taking(Stream, "judge", 10)
    taking(Book, "apply", 10)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("venue", ["binance", "kraken"])
@pytest.mark.parametrize("channel", CORE)
def test_every_core_asks_for_the_receive_time_when_it_has_decoded_and_before_it_checks(
    table: Table, venue: str, channel: Channel
) -> None:
    """The seam between decode and verify: fails when a core stops asking, or asks at another place."""
    messages: dict[Channel, dict[str, object] | str]
    if venue == "binance":
        made = test_binance.bench(*CORE)
        made.reply(depth_book(10, [("100", "1")], [("101", "1")]), endpoint="depth")
        messages = {"trades": binance_trade(5), "quotes": book_ticker(7), "book": depth(11, 12, [("99", "1")])}
    else:
        made = krakens.bench(*CORE)
        made.frame(krakens.SNAPSHOT)
        bids = [("100.0", "5.00000000"), *krakens.BIDS[1:]]
        update = kraken_book("update", bids[:1], [], kraken_crc(bids, krakens.ASKS), ticks=5)
        messages = {"trades": kraken_trade(5), "quotes": kraken_ticker(), "book": update}
    table.journeys.frame(made.core, as_text(messages[channel]).encode(), made.now)
    (journey,) = table.journeys.open
    assert (journey.kind, len(journey.made)) == (channel, 1)
    assert (journey.decoded_ns - journey.began_ns) // SECOND_NS == 1
    assert (journey.done_ns - journey.decoded_ns) // SECOND_NS >= 10
