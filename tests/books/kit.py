"""What a BookSync needs around it: an owner that keeps what it hears, made-up rules, a clock that moves when told."""

from random import Random

from collector.books.book import Book
from collector.books.contract import Budget, Identity, Snapshot, Step, Update
from collector.books.sync import BookSync
from collector.books.verdict import Verdict, VerifiedBy
from collector.clock import SECOND_NS, Now
from collector.records import BookDelta, BookSnapshot, Gap, Level, Record

WALL_US = 1_700_000_000_000_000
BIDS: list[Level] = [("100", "1"), ("99", "2")]
ASKS: list[Level] = [("101", "3"), ("102", "4")]


class Chained:
    """A venue whose updates carry first and last ids, and whose snapshots come by request."""

    verified_by: VerifiedBy = "sequence"
    snapshot_in_band = False
    covered_depth: int | None = None

    def step(self, update: Update, last: int | None) -> Step:
        assert update.first is not None
        assert update.last is not None
        assert last is not None
        if update.last <= last:
            return "skip"
        return "gap" if update.first > last + 1 else "apply"

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        del book, checksum
        return None


class Signed:
    """A venue whose messages carry a checksum (here: the number of levels) and whose snapshots come in band."""

    verified_by: VerifiedBy = "checksum"
    snapshot_in_band = True
    covered_depth: int | None = 10

    def step(self, update: Update, last: int | None) -> Step:
        del update, last
        return "apply"

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        return None if checksum is None else checksum == len(book.bids.keys) + len(book.asks.keys)


class Widest(Random):
    """Always draws the upper end, so that a test sees the ceiling itself."""

    def uniform(self, a: float, b: float) -> float:
        self.drawn = (a, b)
        return b


class Bench:
    """One book, its owner and its clock."""

    def __init__(self, rule: Chained | Signed, budget: Budget | None = None) -> None:
        self.mono = SECOND_NS
        self.random = Widest()
        self.asked: list[int] = []
        self.records: list[Record] = []
        self.verdicts: list[Verdict] = []
        self.counts: list[str] = []
        who = Identity("nowhere", "spot", "A-B", "AB")
        self.sync = BookSync(who, rule, Book(10, 100), self, self.random, budget)

    @property
    def now(self) -> Now:
        return Now(self.mono, WALL_US + self.mono // 1000)

    # -- the owner ---------------------------------------------------------------------------------------------------

    def want_snapshot(self, now: Now) -> None:
        self.asked.append(now.mono_ns)

    def record(self, record: Record) -> None:
        self.records.append(record)

    def changed(self, verdict: Verdict, now: Now) -> None:
        del now
        self.verdicts.append(verdict)

    def counted(self, kind: str, detail: str = "") -> None:
        del detail
        self.counts.append(kind)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.sync.start(self.now)

    def update(
        self,
        first: int | None = None,
        last: int | None = None,
        bids: list[Level] | None = None,
        asks: list[Level] | None = None,
        *,
        checksum: int | None = None,
        ts: int | None = None,
    ) -> None:
        last = first if last is None else last
        self.sync.update(Update(bids or [], asks or [], first, last, None, ts, checksum), self.now)

    def snapshot(
        self,
        last: int | None = None,
        bids: list[Level] | None = None,
        asks: list[Level] | None = None,
        *,
        checksum: int | None = None,
        ts: int | None = None,
    ) -> None:
        sides = (BIDS if bids is None else bids, ASKS if asks is None else asks)
        self.sync.snapshot(Snapshot(*sides, last, ts, checksum), self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass in steps of a quarter of a second, as a core does while a book is not in sync."""
        end = self.mono + int(seconds * SECOND_NS)
        while self.mono < end:
            self.mono = min(end, self.mono + SECOND_NS // 4)
            self.sync.wake(self.now)

    # -- what it said ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return self.sync.verdict.state

    def gaps(self) -> list[Gap]:
        return [record for record in self.records if isinstance(record, Gap)]

    def deltas(self) -> list[BookDelta]:
        return [record for record in self.records if isinstance(record, BookDelta)]

    def snapshots(self) -> list[BookSnapshot]:
        return [record for record in self.records if isinstance(record, BookSnapshot)]


def live(rule: Chained | Signed | None = None, budget: Budget | None = None) -> Bench:
    """A bench whose book is in sync at id 10 (or by its checksum, 4), with nothing said so far."""
    rule = rule or Chained()
    bench = Bench(rule, budget)
    bench.start()
    if rule.snapshot_in_band:
        bench.snapshot(checksum=4)
    else:
        bench.snapshot(10)
    assert bench.state == "in_sync"
    for kept in (bench.asked, bench.records, bench.verdicts, bench.counts):
        kept.clear()
    return bench
