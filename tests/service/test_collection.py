"""The way of the records: published, appended, and every new segment begins with every book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from collector.books.verdict import State, Verdict
from collector.clock import Now
from collector.journal import Journal, JournalSettings, read
from collector.journal.model import JournalListener
from collector.records import BookDelta, BookSnapshot, Gap, Record, Trade
from collector.service.collection import Collection, Note, Placed
from collector.service.restarts import Restarts
from collector.venues import VENUES
from collector.venues.protocol import Channel, Core, Facts, StreamStatus

NOW = Now(1_000_000_000, 1_700_000_000_000_000)
WHO: dict[str, Any] = {
    "venue": "binance",
    "market": "spot",
    "instrument": "BTC-USDT",
    "symbol": "BTCUSDT",
    "ts": 1,
    "recv_ts": 2,
}


def clock() -> Now:
    return NOW


def trade(ident: int) -> Trade:
    return Trade(**WHO, id=str(ident), id_space="trade", price="1", size="1", side="buy")


def delta(seq: int) -> BookDelta:
    return BookDelta(**WHO, bids=[("1", str(seq))], asks=[], first_seq=seq, last_seq=seq, depth=10)


def snapshot(seq: int) -> BookSnapshot:
    level = [("1", str(seq))]
    return BookSnapshot(
        **WHO,
        bids=level,
        asks=[],
        first_seq=seq,
        last_seq=seq,
        depth=10,
        known_bid=None,
        known_ask=None,
        cause="segment",
    )


@dataclass
class FakeCore:
    facts: Facts = field(default_factory=lambda: VENUES["binance"].facts)
    statuses: list[StreamStatus] = field(default_factory=list)

    def streams(self, *, digests: bool = False) -> list[StreamStatus]:
        del digests
        return self.statuses


@dataclass
class FakeFeed:
    """Holds records back until it is flushed, like a feed in the middle of a burst."""

    collection: Collection
    name: str = "0"
    held: list[Record] = field(default_factory=list)
    book: int = 0
    fake_core: FakeCore = field(default_factory=FakeCore)
    connected: bool = True
    stopped: bool = False

    @property
    def core(self) -> Core:
        return cast("Core", self.fake_core)

    async def run(self) -> None:
        """Collect nothing."""

    async def stop(self) -> None:
        self.stopped = True

    def flush(self) -> None:
        held, self.held = self.held, []
        if held:
            self.collection.publish(held)

    def snapshots(self, now: Now) -> list[Record]:
        assert now == NOW
        return [snapshot(self.book)] if self.book else []


@dataclass
class FakeSpool:
    """Says that a segment is due after so many records."""

    limit: int
    segments: list[list[Record]] = field(default_factory=lambda: [[]])

    @property
    def due(self) -> bool:
        return len(self.segments[-1]) >= self.limit

    def append(self, records: Sequence[Record]) -> bool:
        self.segments[-1].extend(records)
        return True

    def rotate(self, head: Sequence[Record]) -> bool:
        self.segments.append(list(head))
        return True


def collection_of(spool: FakeSpool | None, *books: int) -> tuple[Collection, list[FakeFeed]]:
    collection = Collection(spool, clock)
    feeds = [FakeFeed(collection, book=book) for book in books]
    collection.placed = [Placed(feed, Note()) for feed in feeds]
    return collection, feeds


def test_what_is_published_is_appended_in_order() -> None:
    spool = FakeSpool(limit=100)
    collection, _ = collection_of(spool, 1)
    collection.publish([trade(1), trade(2)])
    collection.publish([trade(3)])
    assert [[cast("Trade", record).id for record in segment] for segment in spool.segments] == [["1", "2", "3"]]


def test_a_new_segment_begins_with_every_book_after_every_feed_has_handed_over() -> None:
    spool = FakeSpool(limit=2)
    collection, (first, second) = collection_of(spool, 7, 9)
    second.held = [delta(9)]
    collection.publish([trade(1), trade(2)])
    assert first.held == second.held == []
    assert spool.segments == [[trade(1), trade(2), delta(9)], [snapshot(7), snapshot(9)]]


def test_a_flush_that_finds_the_segment_still_due_does_not_begin_two() -> None:
    spool = FakeSpool(limit=1)
    collection, (first, _) = collection_of(spool, 0, 0)
    first.held = [trade(2)]
    collection.publish([trade(1)])
    assert spool.segments == [[trade(1), trade(2)], []]


def test_the_gap_of_a_restart_is_closed_after_the_record_that_closes_it() -> None:
    spool = FakeSpool(limit=100)
    collection, _ = collection_of(spool, 1)
    opened = Gap(
        **WHO, channel="trades", first=5, last=None, count=None, cause="restart", detected_ts=1, repaired_ts=None
    )
    collection.restarts = Restarts([opened])
    counted: list[Gap] = []
    collection.on_closed = counted.extend
    collection.publish([trade(8)])
    collection.publish([trade(9)])
    kinds = [type(record).__name__ for record in spool.segments[0]]
    assert kinds == ["Trade", "Gap", "Trade"]
    assert [(gap.first, gap.last, gap.count) for gap in counted] == [(5, 7, 3)]


def test_without_a_journal_records_go_nowhere() -> None:
    collection, _ = collection_of(None, 1)
    collection.publish([trade(1)])
    collection.turn()


async def test_stopping_ends_every_feed() -> None:
    collection, feeds = collection_of(None, 1, 2)
    assert await collection.stop() == 0
    assert all(feed.stopped for feed in feeds)


def test_any_one_segment_of_a_real_journal_begins_with_the_book(tmp_path: Path) -> None:
    class Deaf:
        def __getattr__(self, name: str) -> object:
            return lambda *_: None

    journal = Journal(
        JournalSettings(directory=tmp_path, segment_bytes=2_000, reserve_bytes=0),
        clock,
        cast("JournalListener", Deaf()),
    )
    journal.open()
    collection = Collection(journal, clock)
    feed = FakeFeed(collection)
    collection.placed = [Placed(feed, Note())]
    for seq in range(1, 101):
        feed.book = seq
        collection.publish([snapshot(seq) if seq == 1 else delta(seq)])
    journal.close()
    files = sorted(tmp_path.glob("*.jsonl"))
    assert len(files) > 3
    for file in files:
        first, *rest = [record for _, record in read(file)]
        assert isinstance(first, BookSnapshot)
        seqs = [first.last_seq, *(record.last_seq for record in rest if isinstance(record, BookDelta))]
        assert seqs == list(range(seqs[0] or 0, (seqs[0] or 0) + len(seqs)))


def status(instrument: str, state: State = "in_sync", reason: str = "", channel: Channel = "book") -> StreamStatus:
    return StreamStatus(instrument, instrument, channel, Verdict(state, 1, None, reason), 1, 10)


def assumed(collection: Collection) -> frozenset[str]:
    [venue] = collection.venues()
    return venue.assumed


def test_an_instrument_of_a_written_list_that_no_venue_lists_is_a_fault() -> None:
    collection, (feed,) = collection_of(None, 1)
    feed.fake_core.statuses = [status("BTC-USDT"), status("BTX-USDT", "blocked", "not listed")]
    assert assumed(collection) == {"BTC-USDT"}


def test_an_instrument_of_the_built_in_list_is_never_a_fault() -> None:
    collection, (feed,) = collection_of(None, 1)
    collection.defaults = True
    feed.fake_core.statuses = [status("BTC-USDT"), status("BTC-USD", "blocked", "not listed")]
    assert assumed(collection) == {"BTC-USDT", "BTC-USD"}


def test_an_instrument_asked_of_a_venue_by_name_is_not_assumed() -> None:
    collection, (feed,) = collection_of(None, 1)
    collection.placed = [Placed(feed, Note(), frozenset({"BTC-USDT"}))]
    feed.fake_core.statuses = [status("BTC-USDT"), status("ETH-USDT")]
    assert assumed(collection) == {"ETH-USDT"}


def test_two_markets_of_one_exchange_are_reported_apart() -> None:
    collection, (spot, perp) = collection_of(None, 1, 1)
    perp.fake_core.facts = VENUES["binance_usdm"].facts
    spot.fake_core.statuses = perp.fake_core.statuses = [status("BTC-USDT")]
    assert [(venue.venue, venue.market, len(venue.connections)) for venue in collection.venues()] == [
        ("binance", "spot", 1),
        ("binance", "perp", 1),
    ]
