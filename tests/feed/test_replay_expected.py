"""Every line of the recordings' `expected/` is met, or the difference is explained by the message itself.

Nothing is explained in general: an explanation is a rule about one key, and it holds only when the message shows it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.feed.expected import Expectation, alone, contracts, expectations, played, same
from tests.feed.expected_rest import FROM_THE_STREAM, NOT_READ, OLDER_NAMES, polled, unread
from tests.feed.expected_sources import DATED, MOVED, NOTES, NoCounterpartError, Parser, cryptofeed, okx_crc
from tests.recordings import lines, recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.feed.expected import Body, Played

    Shown = Callable[[Expectation, str, Any, Any], bool]

RUNS = ("binance.rest.cryptofeed.jsonl", "binance.ws.cryptofeed.jsonl", "okx.rest.cryptofeed.jsonl",
        "okx.ws.anyutkinz.jsonl", "coinbase.ws.jkorf.jsonl")  # fmt: skip
OKX = "okx.ws.cryptofeed.jsonl"
"""What is replayed whole, and OKX with its dated futures as swaps (`run`)."""
MOVED_LEVELS = "what moves across the published depth is in a delta of ours"
UNSEEN = "the removal of a level that the book does not hold is no change"


def data(one: Expectation) -> Body:
    """A message's innermost object."""
    message = one.message
    inner = message.get("data", message)
    return dict(inner[0] if isinstance(inner, list) else inner)


EXPLAINED: dict[str, Shown] = {
    "Coinbase tells the maker's side, which cryptofeed passes on": lambda one, key, theirs, ours: (
        (one.line["exchange"], key) == ("coinbase", "side")
        and {theirs, ours} == {"buy", "sell"}
        and all(trade["side"].lower() == theirs for trade in one.message["events"][0]["trades"])
    ),
    "the venue sends no time with it: cryptofeed gives its own": lambda one, key, theirs, ours: (
        key == "timestamp"
        and ours is None
        and not {"E", "T", "ts"} & set(data(one))
        and same(theirs, one.recorded["recv_ts"])
    ),
    "a time is that of the market (T), not that of the sending (E)": lambda one, key, theirs, ours: (
        key.endswith(("timestamp", "timestamp_ms"))
        and ours is not None
        and theirs in (str(data(one)["E"]), data(one)["E"] / 1000)
        and data(one)["T"] in (ours, ours * 1000)
    ),
    "cryptofeed does not read OKX's seqId": lambda one, key, theirs, ours: (
        key == "sequence_number" and theirs is None and ours == data(one)["seqId"]
    ),
    "a Candle has no quote volume": lambda one, key, theirs, ours: (
        key == "candlestick_msg.quote_volume"
        and ours is NoCounterpartError
        and (theirs is None or any(same(theirs, value) for value in volumes(one)))
    ),
    "a swap's volume is in contracts; the message has it in coin too": lambda one, key, theirs, ours: (
        key == "candlestick_msg.volume"
        and one.line["market"] == "swap"
        and same(theirs, data_row(one)[6])
        and same(ours, data_row(one)[5])
    ),
    "pu proves a chain and is not kept": lambda one, key, theirs, ours: (
        key == "orderbook.prev_seq_id" and ours is NoCounterpartError and same(data(one).get("pu"), theirs)
    ),
    "crypto-msg-parser names no symbol of a message without one, or with several": lambda one, key, theirs, ours: (
        key == "exchange_symbol"
        and (theirs, ours in json.dumps(one.message, default=str)) in (("NONE", False), ("ALL", True))
        and (theirs == "NONE" or len(one.message["data"]) > 1)
    ),
    "a dated future is not collected; as a swap's the message is met": lambda one, key, theirs, ours: (
        key in ("symbol", "instrument")
        and ours in ("PERP", "BTC-USD-PERP")
        and "22K27" in theirs
        and DATED.search(one.recorded["raw"]) is not None
    ),
}


def data_row(one: Expectation) -> list[Any]:
    """A candle of OKX's."""
    return list(one.message["data"][0])


def volumes(one: Expectation) -> list[Any]:
    """A candle's volume in quote currency, as the message tells it; of a swap also what its contracts come to."""
    if one.line["exchange"] == "binance":
        return [data(one)["k"]["q"]]
    row, (worth, _) = data_row(one), contracts().get(one.message["arg"]["instId"], (0, ""))
    return [row[6], Decimal(row[5]) * worth]


def explain(one: Expectation, key: str, theirs: Any, ours: Any) -> str:
    """Give the explanation of a difference; fails when there is none."""
    for name, shown in EXPLAINED.items():
        if shown(one, key, theirs, ours):
            return name
    pytest.fail(f"{one.where}: {key} is {ours!r}, expected {theirs!r}")


COUNTS = {
    "a dated future is not collected; as a swap's the message is met": 11,
    "a time is that of the market (T), not that of the sending (E)": 9,
    "crypto-msg-parser names no symbol of a message without one, or with several": 8,
    "pu proves a chain and is not kept": 8,
    "the venue sends no time with it: cryptofeed gives its own": 8,
    MOVED_LEVELS: 8,
    "a Candle has no quote volume": 5,
    NOT_READ: 4,
    "a swap's volume is in contracts; the message has it in coin too": 2,
    "cryptofeed does not read OKX's seqId": 2,
    FROM_THE_STREAM: 2,
    "Coinbase tells the maker's side, which cryptofeed passes on": 1,
    OLDER_NAMES: 1,
    UNSEEN: 1,
}
"""How many lines each explanation is needed for."""


@pytest.fixture(scope="module")
def every() -> list[Expectation]:
    return expectations()


@pytest.fixture(scope="module")
def run(every: list[Expectation], tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The recordings with expectations of runs, replayed as one tape; dated futures as if they were swaps."""
    recording(RUNS[0])
    dated = tmp_path_factory.mktemp("dated") / OKX
    with dated.open("w", encoding="utf-8") as file:
        for line in lines(OKX):
            swap = {"market": "swap", "run": "dated", "raw": DATED.sub('-SWAP"', line["raw"])}
            file.write(json.dumps(line | swap if line["market"] == "futures" else line) + "\n")
    noted = [one for one in every if "cryptofeed" in one.line["origin"]]
    return played([*(recording(name) for name in RUNS), dated], noted, whole=OKX)


def judge_cryptofeed(one: Expectation, run: Played) -> set[str]:
    why: set[str] = set()
    records = run.records_at[one.line["file"], one.line["line"]]
    for item in one.line["expected"]:
        book = None
        if item["type"] == "book":
            market = "spot" if one.line["market"] == "spot" else "perp"
            number = item["sequence_number"]
            book = run.books_at.get((one.line["file"], one.line["line"]))
            if number is not None:
                book = run.books_of[market, f"{item['base']}-{item['quote']}", number]
            assert book is not None, one.where
            record = book.record
        else:
            found = [r for r in records if r["type"] != "Trade" or r["id"] == item.get("trade_id")]
            assert len(found) == 1, f"{one.where}: {len(found)} records"
            record = found[0]
        ours = cryptofeed(item, record, book)
        if ours.get(MOVED):
            why.add(MOVED_LEVELS)
        for key, theirs in item.items():
            if key not in NOTES and not equal(ours[key], theirs):
                why.add(explain(one, key, theirs, ours[key]))
    return why


def equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(equal(ours[key], theirs[key]) for key in ours)
    return same(ours, theirs)


def judge_parser(one: Expectation, folder: Path) -> set[str]:
    if one.line["transport"] == "rest":
        records, book, why = polled(one)
    else:
        (records, book), why = alone(one, folder), set()
    parser = Parser(one, records, book)
    for key, theirs in parser.asserts.items():
        try:
            ours = parser[key]
        except NoCounterpartError:
            ours = NoCounterpartError
        if not same(ours, theirs):
            why.add(explain(one, key, theirs, ours))
    if parser.unseen:
        why.add(UNSEEN)
    return why


def test_every_expectation_is_met_or_explained_by_its_message(
    every: list[Expectation], run: Played, tmp_path: Path
) -> None:
    explained, outcomes = Counter[str](), Counter[str]()
    for one in every:
        if "ccxt" in one.line["origin"]:
            why = unread(one)
        elif "cryptofeed" in one.line["origin"]:
            why = judge_cryptofeed(one, run)
        else:
            why = judge_parser(one, tmp_path)
        explained.update(why)
        outcomes["explained" if why else "met"] += 1
    sys.stdout.write("".join(f"\n{count:4} {name}" for name, count in (outcomes + explained).most_common()))
    assert outcomes == {"met": 115, "explained": 63}
    assert explained == COUNTS


def test_the_books_of_2022_match_every_checksum_that_okx_sent(run: Played) -> None:
    matched = Counter[str]()
    for number, line in enumerate(lines(OKX), 1):
        message = json.loads(line["raw"])
        if line["channel"] == "book":
            book = run.books_at[OKX, number]
            sent = message["data"][0]["checksum"] % 2**32
            assert okx_crc(book.bids, book.asks) == sent, (OKX, number)
            matched[line["market"]] += 1
    sys.stdout.write(f"\nchecksums that matched: {dict(matched)}")
    assert matched == {"spot": 98, "swap": 93, "futures": 99}
