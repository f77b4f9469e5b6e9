"""Real messages of the exchanges, replayed: complete runs are proven whole, and each file has the verdict it deserves.

What other people's parsers made of the same messages: test_replay_expected.py.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from collector.venues.core import VenueCore
from tests.feed.expected_rest import checked, endpoint, fetched
from tests.feed.kit import Result, replayed, write
from tests.recordings import lines, recording, recordings
from tests.venues.kit import Consumer

BINANCE = ("binance.rest.cryptofeed.jsonl", "binance.ws.cryptofeed.jsonl")
KRAKEN = "kraken.ws.python-kraken-sdk.jsonl"
OKX = ("okx.rest.cryptofeed.jsonl", "okx.ws.cryptofeed.jsonl")
OKX_GAP = "okx.ws.anyutkinz.jsonl"


class Verdict(NamedTuple):
    """What `--strict` says of one file: its exit code, what each of its books is at the end, and what is counted."""

    code: int
    books: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()


NO_SNAPSHOT = "ends syncing (the depth snapshot failed: not on tape)"
PARTIAL = "ends unverifiable (a partial book has no chain)"
NO_IDS = "ends unverifiable (the venue gave no ids to check it by)"
UNASKED = "REST lines that nothing asked for:"
VERDICTS = {
    "binance.rest.anyutkinz.jsonl": Verdict(0, (), (f"{UNASKED} binance spot book 1",)),
    "binance.rest.crypto-msg-parser.jsonl": Verdict(
        0, (), tuple(f"{UNASKED} binance {name} 1" for name in ("perp book", "perp other", "spot book"))
    ),
    "binance.rest.cryptofeed.jsonl": Verdict(
        0, (), (f"{UNASKED} binance perp book 4", f"{UNASKED} binance spot book 4")
    ),
    "binance.rest.gocryptotrader.jsonl": Verdict(
        0,
        (),
        tuple(
            f"{UNASKED} binance {name}"
            for name in ("perp book 3", "perp candle 4", "perp other 9", "perp status 1", "perp ticker 7",
                         "perp trade 5", "spot book 1", "spot candle 5", "spot ticker 8", "spot trade 27")
        ),
    ),
    "binance.ws.anyutkinz.jsonl": Verdict(1, (f"binance spot BTC-USDT book: {NO_SNAPSHOT}",) * 2),
    "binance.ws.crypto-msg-parser.jsonl": Verdict(
        1,
        (
            f"binance spot BTC-USDT book: {NO_SNAPSHOT}",
            f"binance perp BTC-USDT book: {NO_SNAPSHOT}",
            f"binance spot ETH-USDT book: {PARTIAL}",
            f"binance perp ETH-USDT book: {PARTIAL}",
        ),
    ),
    "binance.ws.cryptofeed.jsonl": Verdict(
        1,
        tuple(
            f"binance {name} book: {NO_SNAPSHOT}"
            for name in ("spot NKN-USDT", "spot BLZ-ETH", "spot LRC-BTC", "spot RUNE-EUR",
                         "perp SUSHI-USDT", "perp AKRO-USDT", "perp KEEP-USDT", "perp CTK-USDT")
        ),
    ),
    "coinbase.rest.ccxt.jsonl": Verdict(0, (), (f"{UNASKED} coinbase spot ticker 1",)),
    "coinbase.ws.jkorf.jsonl": Verdict(0),
    "kraken.rest.ccxt.jsonl": Verdict(
        0, (), tuple(f"{UNASKED} kraken spot {name} 1" for name in ("candle", "ticker", "trade"))
    ),
    "kraken.rest.crypto-msg-parser.jsonl": Verdict(0, (), (f"{UNASKED} kraken spot book 1",)),
    "kraken.rest.cryptofeed.jsonl": Verdict(0, (), (f"{UNASKED} kraken spot status 1",)),
    "kraken.rest.knowm-xchange.jsonl": Verdict(
        0, (), tuple(f"{UNASKED} kraken spot {name}" for name in ("book 1", "status 2", "ticker 2", "trade 1"))
    ),
    KRAKEN: Verdict(0),
    "kraken.ws.thecookielab-xchange.jsonl": Verdict(0),
    "okx.rest.crypto-msg-parser.jsonl": Verdict(
        0, (), tuple(f"{UNASKED} okx {name}" for name in ("perp book 2", "perp other 2", "spot book 1"))
    ),
    "okx.rest.cryptofeed.jsonl": Verdict(0, (), ("not spoken yet: okx futures status 1",)),
    OKX_GAP: Verdict(
        1,
        (
            "okx spot BTC-USDT book: ends gap (expected the update after 78677952687, got the one after 78677952829)",
        ),
    ),
    "okx.ws.crypto-msg-parser.jsonl": Verdict(
        1,
        (
            f"okx spot BTC-USDT book: {NO_IDS}",
            "okx spot BTC-USDT book: ends syncing (waiting for a snapshot)",
            f"okx perp BTC-USD book: {NO_IDS}",
            f"okx spot BTC-USDT book: {PARTIAL}",
            f"okx perp BTC-USD book: {PARTIAL}",
            f"okx perp BTC-USDT book: {PARTIAL}",
        ),
    ),
    "okx.ws.cryptofeed.jsonl": Verdict(
        1,
        (f"okx perp UNI-USD book: {NO_IDS}", f"okx spot BTC-USDT book: {NO_IDS}"),
        tuple(f"not spoken yet: okx futures {name}" for name in ("book 99", "status 6", "ticker 2", "trade 4")),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def binance() -> Result:
    return replayed(*(recording(name) for name in BINANCE))


@pytest.fixture(scope="module")
def kraken() -> Result:
    return replayed(recording(KRAKEN))


def test_all_510_checksums_of_the_kraken_run_match(kraken: Result) -> None:
    assert kraken.code == 0
    assert "checksums: kraken spot BTC-USD match 510\n" in kraken.err
    assert "mismatch" not in kraken.err
    assert "kraken spot BTC-USD book: in_sync by checksum, to depth 10, book " in kraken.err


@pytest.mark.parametrize(
    ("market", "names"),
    [
        ("spot", {"NKN-USDT", "BLZ-ETH", "LRC-BTC", "RUNE-EUR"}),
        ("perp", {"CTK-USDT", "AKRO-USDT", "KEEP-USDT", "SUSHI-USDT"}),
    ],
)
def test_the_four_splices_of_each_binance_run_hold_without_a_gap(binance: Result, market: str, names: set[str]) -> None:
    assert binance.code == 0
    assert {book for book in binance.books() if f" {market} " in book} == {f"binance {market} {name}" for name in names}
    records = [record for record in binance.records if record["market"] == market]
    kinds = Counter(record["type"] for record in records)
    assert kinds["Gap"] == 0
    assert Counter(r["instrument"] for r in records if r.get("cause") == "sync") == dict.fromkeys(names, 1)
    assert kinds["BookDelta"] > 100


@pytest.mark.parametrize("market", ["spot", "usdm-futures"])
def test_each_binance_run_is_clean_by_itself(market: str, tmp_path: Path) -> None:
    tape = [line for name in BINANCE for line in lines(name) if line["market"] == market]
    result = replayed(write(tmp_path / "run.jsonl", tape))
    assert (result.code, len(result.books())) == (0, 4)


def test_every_frame_of_the_binance_runs_is_spoken(binance: Result) -> None:
    assert "not spoken" not in binance.err
    counted = [line for line in binance.err.splitlines() if line.startswith("frames: binance ")]
    assert sum(int(line.rsplit(" ", 1)[1]) for line in counted) == len(lines(BINANCE[1]))


def test_two_replays_of_a_recording_are_byte_identical(kraken: Result, binance: Result) -> None:
    assert replayed(recording(KRAKEN)) == kraken
    assert replayed(*(recording(name) for name in BINANCE)) == binance


def test_who_applies_snapshot_and_deltas_of_a_recording_holds_the_final_book(kraken: Result) -> None:
    consumer = Consumer()
    for record in kraken.records:
        for side, held in (("bids", consumer.bids), ("asks", consumer.asks)):
            if record["type"] == "BookSnapshot":
                held.clear()
            for price, size in record.get(side, ()):
                if size == "0":
                    held.pop(price, None)
                else:
                    held[price] = size
        bids, asks = consumer.levels()
        assert len(bids) == len(asks) == 10
        assert float(bids[0][0]) < float(asks[0][0])


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_every_recording_has_the_verdict_that_it_deserves(path: Path) -> None:
    result = replayed(path)
    told = result.err.splitlines()
    ends = [line.rpartition(" at ")[0] for line in told if " book: ends " in line]
    counted = tuple(line for line in told if line.startswith(("not spoken yet: ", UNASKED)))
    assert Verdict(result.code, tuple(ends), counted) == VERDICTS[path.name]
    assert "undecodable" not in result.err
    spoken = sum(int(line.rpartition(" ")[2]) for line in told if line.startswith("frames: "))
    other = sum(1 for line in lines(path.name) if line["market"] == "futures" and line["transport"] == "ws")
    assert spoken + other == sum(line["transport"] == "ws" for line in lines(path.name))


def test_the_verdicts_are_of_all_recordings() -> None:
    recording(KRAKEN)
    assert {path.name for path in recordings()} == set(VERDICTS)


def test_the_gap_of_an_okx_book_names_the_instrument_and_both_ids() -> None:
    result = replayed(recording(OKX_GAP))
    assert result.code == 1
    assert f"okx spot BTC-USDT book: gap 78677952688..78677952829 (sequence) at {recording(OKX_GAP)}:4" in result.err
    assert [(r["type"], r["instrument"]) for r in result.records] == [
        ("BookSnapshot", "BTC-USDT"), ("BookDelta", "BTC-USDT"), ("Gap", "BTC-USDT"),
    ]  # fmt: skip


def test_with_its_listing_an_okx_swap_has_its_contract_size_and_its_books_stay_unverifiable() -> None:
    result = replayed(*(recording(name) for name in OKX))
    assert result.code == 1
    assert sum(NO_IDS in line for line in result.err.splitlines()) == 2
    assert "reconnects" not in result.err
    sizes = {(record["market"], record.get("contract_size")) for record in result.records}
    assert sizes == {("spot", None), ("perp", "10")}


def test_every_rest_answer_of_an_endpoint_that_is_read_decodes() -> None:
    read = Counter[str]()
    for path in recordings():
        for line in lines(path.name):
            what = endpoint(line) if line["transport"] == "rest" else ""
            if what == "check":
                checked(line["raw"])
            elif what:
                made = fetched(line["exchange"], line["market"], what, line["raw"])
                assert not made.dead, (path.name, made.dead)
                assert cast("VenueCore", made.core).listing if what == "listing" else made.records, path.name
            read[f"{line['exchange']} {line['market']} {what}"] += what != ""
    recording(KRAKEN)
    assert +read == {
        "binance spot depth": 7, "binance spot listing": 2, "binance usdm-futures depth": 8,
        "binance usdm-futures listing": 2, "binance usdm-futures open_interest": 2, "okx spot depth": 1,
        "okx swap depth": 2, "okx spot listing": 1, "okx swap listing": 1, "kraken spot check": 2,
    }  # fmt: skip
