"""Real messages of OKX: every line decodes, and means what other people's parsers made of it."""

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from collector.books.book import Book
from collector.records import BookSnapshot, Record
from collector.venues.okx import FACTS, SWAP_FACTS, OkxCore
from collector.venues.okx.convert import levels
from collector.venues.okx.wire import books, message
from collector.venues.protocol import CoreSettings
from tests.feed.kit import replayed
from tests.recordings import lines, recording
from tests.venues.kit import Bench
from tests.venues.okxs import made_of

CRYPTOFEED, PARSER, ANYUTKINZ = (f"okx.ws.{name}.jsonl" for name in ("cryptofeed", "crypto-msg-parser", "anyutkinz"))
FACTS_OF = {"spot": FACTS, "swap": SWAP_FACTS}


def same(ours: str, theirs: str) -> bool:
    return Decimal(ours) == Decimal(theirs)


def decoded(market: str, raw: str) -> list[Record]:
    """What the core makes of one message by itself."""
    made = Bench(OkxCore((), CoreSettings(open_world=True, depth=400), FACTS_OF[market]))
    made.connect()
    made.frame(raw)
    assert made.dead == []
    return made.records


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        (
            ANYUTKINZ,
            1,
            "BTC-USDT book: ends gap (expected the update after 78677952687, got the one after 78677952829)",
        ),
        (CRYPTOFEED, 1, "BTC-USDT book: ends unverifiable (the venue gave no ids to check it by)"),
        (PARSER, 1, "findings: 6"),  # books of a message each, without ids
        ("okx.rest.cryptofeed.jsonl", 0, "findings: 0"),
        ("okx.rest.crypto-msg-parser.jsonl", 0, "findings: 0"),
    ],
)
def test_each_recording_has_its_expected_verdict(name: str, code: int, said: str) -> None:
    result = replayed(recording(name))
    assert result.code == code
    assert said in result.err
    assert "undecodable" not in result.err


def test_a_gap_of_a_recording_is_a_record_with_both_ids() -> None:
    (gap,) = (record for record in replayed(recording(ANYUTKINZ)).records if record["type"] == "Gap")
    assert (gap["instrument"], gap["first"], gap["last"], gap["count"]) == ("BTC-USDT", 78677952688, 78677952829, None)


def test_the_listing_on_tape_tells_what_the_contracts_of_the_recording_are_worth() -> None:
    result = replayed(recording("okx.rest.cryptofeed.jsonl"), recording(CRYPTOFEED))
    swaps = [record for record in result.records if record["market"] == "perp"]
    assert {record["contract_size"] for record in swaps} == {"10"}
    assert all("contract_size" not in record for record in result.records if record["market"] == "spot")
    (trades,) = [line for line in result.err.splitlines() if line.startswith("okx spot BTC-USDT trades: ")]
    assert "in_sync by sequence" in trades


def test_each_trade_ticker_and_book_that_cryptofeed_parsed_is_met() -> None:
    raws, met = lines(CRYPTOFEED), Counter[str]()
    held: dict[str, Book] = {}
    expected = {line["line"]: line["expected"][0] for line in lines("expected/okx.cryptofeed.jsonl")}
    for number, line in enumerate(raws, 1):
        if line["market"] not in FACTS_OF:
            continue  # dated futures
        theirs = expected.get(number)
        if line["channel"] == "book":
            held_book(held, line["raw"])
        if theirs is None:
            continue
        if line["channel"] == "book":
            top = held[theirs["base"]].top(5)
            for ours, side in zip(top, ("bids", "asks"), strict=True):
                assert [list(map(Decimal, level)) for level in ours] == [
                    list(map(Decimal, level)) for level in theirs[f"top5_{side}"]
                ]
        else:
            (record,) = map(msgspec.to_builtins, decoded(line["market"], line["raw"]))
            assert record["instrument"] == f"{theirs['base']}-{theirs['quote']}"
            assert Decimal(record["ts"]) / 10**6 == Decimal(str(theirs["timestamp"]))
            fields = ("bid", "ask") if line["channel"] == "ticker" else ("price", "size")
            assert all(same(record[field], theirs[field]) for field in fields)
            if line["channel"] == "trade":
                assert (record["id"], record["side"]) == (theirs["trade_id"], theirs["side"])
        met[f"{line['market']} {line['channel']}"] += 1
    assert met == {"spot trade": 23, "spot ticker": 10, "spot book": 7, "swap book": 7}


def held_book(held: dict[str, Book], raw: str) -> None:
    """Apply one message of a book: 400 levels a side at most, and every level that falls out is removed by name."""
    said = message(raw.encode())
    assert said.arg is not None
    (item,) = books(said.data)
    name = said.arg.inst_id.partition("-")[0]
    if said.action == "snapshot":
        held[name] = Book(400, 10_000)
        held[name].load(levels(item.bids), levels(item.asks), limit=None)
    else:
        held[name].apply(levels(item.bids), levels(item.asks))
    assert max(len(side) for side in held[name].top(10_000)) <= 400


def test_both_books_of_the_newer_run_are_met_level_by_level() -> None:
    held: dict[str, Book] = {}
    raws = lines(ANYUTKINZ)
    for expected in lines("expected/okx.cryptofeed-current.jsonl"):
        held_book(held, raws[expected["line"] - 1]["raw"])
        for ours, side in zip(held["BTC"].top(5), ("bids", "asks"), strict=True):
            assert [list(level) for level in ours] == expected["expected"][0][f"top5_{side}"]


def test_each_message_that_crypto_msg_parser_asserted_is_met() -> None:
    met = Counter[str]()
    for line in lines("expected/okx.crypto-msg-parser.jsonl"):
        if line["transport"] == "rest":
            continue  # nothing asks for those: see the test below
        asserted = line["expected"]["asserts"]
        raw = lines(line["file"])[line["line"] - 1]["raw"]
        if asserted.get("orderbook.snapshot") is False:
            continue  # an update without its book
        (record,) = decoded(line["market"], raw)
        ours: dict[str, Any] = msgspec.to_builtins(record)
        kind = type(record).__name__
        if asserted["msg_timestamp"] is not None:
            assert ours["ts"] == int(asserted["msg_timestamp"]) * 1000
        for theirs, field in NAMES.get(kind, ()):
            if asserted.get(theirs) is not None:
                assert same(ours[field], asserted[theirs]), (line["line"], theirs)
        if kind == "BookSnapshot":
            check_levels(ours, asserted)
        if kind == "Candle":
            assert ours["open_ts"] == int(asserted["candlestick_msg.begin_time"]) * 10**6
        met[kind] += 1
    assert met == {"Trade": 3, "FundingRate": 2, "BookSnapshot": 5, "Quote": 3, "Candle": 3, "Ticker": 3}


NAMES = {
    # Their volume of a swap's candle is in base currency; ours is in contracts, like all sizes of a swap.
    "Candle": [(f"candlestick_msg.{field}", field) for field in ("open", "high", "low", "close")],
    "Trade": [("trade.price", "price"), ("trade.quantity_base", "size"), ("trade.quantity_contract", "size")],
    "FundingRate": [("funding_rates[0].funding_rate", "rate"), ("funding_rates[0].estimated_rate", "next_rate")],
    "Quote": [
        *((f"bbo_msg.{side}_price", side) for side in ("bid", "ask")),
        *((f"bbo_msg.{side}_quantity_contract", f"{side}_size") for side in ("bid", "ask")),
    ],
}


def check_levels(ours: dict[str, Any], asserted: dict[str, Any]) -> None:
    for side in ("bids", "asks"):
        assert len(ours[side]) == int(asserted[f"orderbook.{side}.len()"])
        for at, (price, size) in enumerate(ours[side]):
            prefix = f"orderbook.{side}[{at}]"
            if f"{prefix}.price" in asserted:
                assert same(price, asserted[f"{prefix}.price"])
                theirs = asserted.get(f"{prefix}.quantity_contract") or asserted[f"{prefix}.quantity_base"]
                assert same(size, theirs)


def test_the_rest_books_that_others_recorded_make_a_book() -> None:
    for number, market in ((1, "spot"), (2, "perp"), (3, "perp")):
        raw = lines("okx.rest.crypto-msg-parser.jsonl")[number - 1]["raw"]
        made = made_of("book", market="spot" if market == "spot" else "perp")
        assert isinstance(made.core, OkxCore)
        made.connect()
        stream = next(iter(made.core.by_name.values()))
        assert stream.book is not None
        stream.book.start(made.now)
        made.core.rest.fetch_book(stream, "depth")
        stream.book.rule.snapshot_in_band = False
        made.drain()
        made.reply(raw, endpoint="depth")
        (snapshot,) = made.of(BookSnapshot)
        assert len(snapshot.bids) == len(snapshot.asks) == 3
        assert made.state("BTC-USDT", "book") == "unverifiable"
