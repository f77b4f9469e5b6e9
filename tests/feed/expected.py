"""What other people's parsers made of recorded messages, and what the house makes of the same: reading and playing.

`expectations` gives every line of the recordings' `expected/`. `Played` keeps what a replay said line by line, and of
the books named to it what they held. Nothing is judged here: see `expected_sources` and `test_replay_expected`.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from collector.feed.replay import play
from collector.feed.summary import Summary
from tests.recordings import FOLDER, lines
from tests.venues.kit import Consumer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.feed.tape import Place
    from collector.records import Level
    from collector.venues.protocol import Output

Body = dict[str, Any]
FAR: list[list[str]] = [["0.00000001", "1"]]
"""A bid of a book that holds nothing near the market; `FAR_ASK` is its ask."""
FAR_ASK: list[list[str]] = [["99999999", "1"]]


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line of `expected/`."""

    source: str
    number: int
    line: Body
    recorded: Body

    @property
    def where(self) -> str:
        return f"{self.source}:{self.number} ({self.line['file']}:{self.line['line']})"

    @property
    def message(self) -> Any:
        """The message, with numbers as they are written."""
        return json.loads(self.recorded["raw"], parse_float=Decimal)


def expectations() -> list[Expectation]:
    recorded: dict[str, list[Body]] = {}
    every = []
    for path in sorted((FOLDER / "expected").glob("*.jsonl")):
        for number, line in enumerate(lines(f"expected/{path.name}"), 1):
            tape = recorded.setdefault(line["file"], lines(line["file"]))
            every.append(Expectation(path.name, number, line, tape[line["line"] - 1]))
    return every


@dataclass(slots=True)
class Book:
    """A book after one of its records, best first, and what it held before."""

    record: Body
    bids: list[Level]
    asks: list[Level]
    before: dict[str, dict[str, str]]

    def side(self, name: str) -> list[Level]:
        return self.bids if name.startswith("bid") else self.asks


@dataclass(slots=True)
class Played(Summary):
    """A replay's records, by file and line; the books after the lines, and at the venue's ids, where they are noted."""

    records_at: dict[tuple[str, int], list[Body]] = field(default_factory=lambda: defaultdict(list))
    books_at: dict[tuple[str, int], Book] = field(default_factory=dict)
    books_of: dict[tuple[str, str, int], Book] = field(default_factory=dict)
    noted: set[tuple[str, int]] = field(default_factory=set)
    noted_ids: set[int] = field(default_factory=set)
    consumers: dict[tuple[str, str], Consumer] = field(default_factory=dict)

    def take(self, venue: str, market: str, out: Output, place: Place, *, findings: bool = True) -> None:
        Summary.take(self, venue, market, out, place, findings=findings)
        at = (Path(place.file).name, place.line)
        for record in out.records:
            plain = msgspec.to_builtins(record, builtin_types=(tuple,))
            self.records_at[at].append(plain)
            if plain["type"] not in ("BookSnapshot", "BookDelta"):
                continue
            consumer = self.consumers.setdefault((market, record.instrument), Consumer())
            wanted = at in self.noted or plain["last_seq"] in self.noted_ids
            before = {"bids": dict(consumer.bids), "asks": dict(consumer.asks)} if wanted else {}
            consumer.take(record)
            if wanted:
                book = Book(plain, *consumer.levels(), before)
                self.books_at[at] = book
                if plain["last_seq"] is not None:
                    self.books_of[market, record.instrument, plain["last_seq"]] = book


def played(paths: Iterable[Path], noted: Iterable[Expectation] = (), *, whole: str = "") -> Played:
    """Replay; keep the books that the expectations are about, and after every line of the file named `whole`."""
    summary = Played()
    for one in noted:
        summary.noted.add((one.line["file"], one.line["line"]))
        for item in one.line["expected"]:
            if item["type"] == "book" and item["sequence_number"] is not None:
                summary.noted_ids.add(item["sequence_number"])
    for path in paths:
        if path.name == whole:
            summary.noted |= {(whole, number + 1) for number in range(path.read_bytes().count(b"\n"))}
    play(list(paths), io.BytesIO(), summary)
    return summary


def alone(one: Expectation, folder: Path) -> tuple[list[Body], Book | None]:
    """What becomes of one WebSocket message that belongs to no run: its records, and the book after it.

    Before a swap's message stands its market's listing; before a book's update, a book that it follows.
    """
    line = {key: one.recorded[key] for key in ("exchange", "transport", "channel", "market", "raw")} | {"run": "alone"}
    tape = [line]
    before = _before(line)
    if before is not None and before["transport"] == "rest":
        tape.append(before)
    elif before is not None:
        tape.insert(0, before)
    if line["exchange"] == "okx" and line["market"] == "swap":
        tape.insert(0, listing() | {"run": "alone"})
    path = folder / "alone.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in tape), encoding="utf-8")
    summary = played([path], whole=path.name)
    records = [record for at in sorted(summary.records_at) for record in summary.records_at[at]]
    if line["channel"] != "book" or records[-1]["type"] == "Quote":
        return records, None
    book = summary.books_at[max(summary.books_at)]
    return [book.record], book


def _before(line: Body) -> Body | None:
    message = json.loads(line["raw"])
    if message.get("stream", "").endswith("@depth@100ms"):
        data = message["data"]
        path = "api.binance.com/api/v3/depth" if line["market"] == "spot" else "fapi.binance.com/fapi/v1/depth"
        body = {"lastUpdateId": data.get("pu", data["U"] - 1), "bids": FAR, "asks": FAR_ASK}
        request = f"GET https://{path}?symbol={data['s']}&limit=1000"
        return line | {"transport": "rest", "raw": json.dumps(body), "request": request}
    if message.get("action") == "update":
        sides = {"bids": [[*FAR[0], "0", "1"]], "asks": [[*FAR_ASK[0], "0", "1"]]}
        first = message | {"action": "snapshot", "data": [message["data"][0] | sides]}
        return line | {"raw": json.dumps(first)}
    return None


def listing() -> Body:
    """OKX's swaps, as listed in 2022."""
    (line,) = (one for one in lines("okx.rest.cryptofeed.jsonl") if one["market"] == "swap")
    return {key: line[key] for key in ("exchange", "transport", "channel", "market", "request", "raw")}


def contracts() -> dict[str, tuple[Decimal, str]]:
    """Each swap's contract by that listing: how much of which currency."""
    rows = json.loads(listing()["raw"])["data"]
    return {row["instId"]: (Decimal(row["ctVal"]) * Decimal(row["ctMult"]), row["ctValCcy"]) for row in rows}


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values are equal, however numbers are written."""
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, bool) or isinstance(theirs, bool) or ours is None or theirs is None:
        return ours is theirs
    try:
        return Decimal(str(ours)) == Decimal(str(theirs))
    except ArithmeticError:
        return bool(ours == theirs)
