"""Real messages of the exchanges, replayed: complete runs are proven whole, and no file is ever an exception."""

from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from collector.records import BookSnapshot, Level
from collector.venues.binance import BinanceCore, wire
from collector.venues.protocol import STATUS_NOT_ON_TAPE, CoreSettings, Wanted
from tests.feed.kit import Result, replayed
from tests.recordings import lines, recording, recordings
from tests.venues.kit import Bench, Consumer, exchange_info

BINANCE = ("binance.rest.cryptofeed.jsonl", "binance.ws.cryptofeed.jsonl")
KRAKEN = "kraken.ws.python-kraken-sdk.jsonl"


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


def test_the_four_splices_of_the_binance_run_hold_without_a_gap(binance: Result) -> None:
    assert binance.code == 0
    assert set(binance.books()) == {f"binance spot {name}" for name in ("NKN-USDT", "BLZ-ETH", "LRC-BTC", "RUNE-EUR")}
    kinds = Counter(record["type"] for record in binance.records)
    assert kinds["Gap"] == 0
    assert Counter(r["instrument"] for r in binance.records if r.get("cause") == "sync") == {
        "NKN-USDT": 1, "BLZ-ETH": 1, "LRC-BTC": 1, "RUNE-EUR": 1,
    }  # fmt: skip
    assert kinds["BookDelta"] > 100


def test_futures_frames_are_counted_as_not_spoken(binance: Result) -> None:
    futures = sum(line["market"] != "spot" for name in BINANCE for line in lines(name))
    counted = [line for line in binance.err.splitlines() if line.startswith("not spoken yet: binance usdm-futures ")]
    assert futures > 100
    assert sum(int(line.rsplit(" ", 1)[1]) for line in counted) == futures


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
def test_every_recording_replays_without_an_exception(path: Any) -> None:
    result = replayed(path)
    assert result.code in (0, 1)
    assert "findings: " in result.err


def test_there_are_recordings_to_replay() -> None:
    recording(KRAKEN)
    assert len(recordings()) == 20


# -- what other people's parsers made of the same messages -------------------------------------------------------------


def same(ours: str, theirs: str) -> bool:
    return Decimal(ours) == Decimal(theirs)


def sides_equal(ours: list[Level], theirs: list[list[str]]) -> bool:
    return [tuple(map(Decimal, level)) for level in ours] == [tuple(map(Decimal, level)) for level in theirs]


def of_line(name: str, number: int) -> list[dict[str, Any]]:
    """The records of one line by itself."""
    result = decoded(lines(name)[number - 1]["raw"])
    assert result, f"{name}:{number} gives no record"
    return result


def decoded(raw: str) -> list[dict[str, Any]]:
    """What the core makes of one message; of a depth update what the decoder does, since no book can follow from it."""
    envelope = wire.envelope(raw.encode())
    if b"depthUpdate" in bytes(envelope.data):
        update = wire.depth(envelope.data)
        return [{"last_seq": update.u, "ts": update.E * 1000, "bids": update.b, "asks": update.a}]
    bench = Bench(BinanceCore((), CoreSettings(open_world=True)))
    bench.connect()
    bench.reply(exchange_info(("BTC", "USDT")), status=STATUS_NOT_ON_TAPE)
    bench.frame(raw)
    return [msgspec.to_builtins(record, builtin_types=(tuple,)) for record in bench.records]


def fetched(raw: str) -> dict[str, Any]:
    """The BookSnapshot that a REST book becomes."""
    bench = Bench(BinanceCore([Wanted("BTC-USDT", "book")], CoreSettings()))
    bench.connect()
    bench.reply(exchange_info(("BTC", "USDT")))
    bench.frame({"result": None, "id": 1})
    bench.reply(raw)
    (snapshot,) = bench.of(BookSnapshot)
    return {"last_seq": snapshot.last_seq, "bids": snapshot.bids, "asks": snapshot.asks}


def test_each_trade_and_quote_that_cryptofeed_parsed_is_met() -> None:
    met = Counter[str]()
    for expected in lines("expected/binance.cryptofeed.jsonl"):
        if expected["market"] != "spot" or expected["channel"] not in ("trade", "ticker"):
            continue
        (theirs,) = expected["expected"]
        (ours,) = of_line(expected["file"], expected["line"])
        assert ours["instrument"] == theirs["symbol"]
        if expected["channel"] == "trade":
            assert (ours["type"], ours["id"], ours["side"]) == ("Trade", theirs["trade_id"], theirs["side"])
            assert same(ours["price"], theirs["price"])
            assert same(ours["size"], theirs["size"])
            assert Decimal(ours["ts"]) / 10**6 == Decimal(str(theirs["timestamp"]))
        else:
            assert ours["type"] == "Quote"
            assert same(ours["bid"], theirs["bid"])
            assert same(ours["ask"], theirs["ask"])
        met[expected["channel"]] += 1
    assert met == {"trade": 2, "ticker": 8}


def test_each_book_that_cryptofeed_parsed_is_met_level_by_level(binance: Result) -> None:
    met = Counter[str]()
    wanted = {
        (line["expected"][0]["symbol"], line["expected"][0]["sequence_number"]): line["expected"][0]
        for line in lines("expected/binance.cryptofeed.jsonl")
        if line["market"] == "spot" and line["channel"] == "book"
    }
    books: dict[str, Consumer] = {}
    for record in binance.records:
        if record["type"] not in ("BookSnapshot", "BookDelta"):
            continue
        consumer = books.setdefault(record["instrument"], Consumer())
        if record["type"] == "BookSnapshot":
            consumer.bids, consumer.asks = dict(record["bids"]), dict(record["asks"])
        for side, held in (("bids", consumer.bids), ("asks", consumer.asks)):
            for price, size in record[side] if record["type"] == "BookDelta" else ():
                if size == "0":
                    held.pop(price, None)
                else:
                    held[price] = size
        theirs = wanted.get((record["instrument"], record["last_seq"]))
        if theirs is None:
            continue
        bids, asks = consumer.levels()
        assert not theirs["snapshot"] or record["type"] == "BookSnapshot"
        assert sides_equal(bids[:5], theirs["top5_bids"]), record
        assert sides_equal(asks[:5], theirs["top5_asks"]), record
        met["snapshot" if theirs["snapshot"] else "update"] += 1
    assert met == {"snapshot": 4, "update": 16}


def test_each_spot_message_that_crypto_msg_parser_asserted_is_met() -> None:
    met = Counter[str]()
    for expected in lines("expected/binance.crypto-msg-parser.jsonl"):
        if expected["market"] != "spot" or expected["channel"] == "candle":
            continue
        asserted = expected["expected"]["asserts"]
        raw = lines(expected["file"])[expected["line"] - 1]["raw"]
        (ours,) = [fetched(raw)] if expected["transport"] == "rest" else decoded(raw)
        if expected["channel"] == "trade":
            assert (ours["side"], ours["id_space"]) == (asserted["trade.side"], "aggTrade")
            assert same(ours["size"], asserted["trade.quantity_base"])
        elif expected["channel"] == "ticker":
            assert (ours["symbol"], ours["seq"]) == (asserted["bbo_msg.symbol"], int(asserted["bbo_msg.id"]))
            for field in ("bid", "ask"):
                assert same(ours[field], asserted[f"bbo_msg.{field}_price"])
                assert same(ours[f"{field}_size"], asserted[f"bbo_msg.{field}_quantity_base"])
        else:
            assert ours["last_seq"] == int(asserted["orderbook.seq_id"])
            for side in ("bids", "asks"):
                assert len(ours[side]) == int(asserted[f"orderbook.{side}.len()"])
                for at, (price, size) in enumerate(ours[side]):
                    if f"orderbook.{side}[{at}].price" in asserted:
                        assert same(price, asserted[f"orderbook.{side}[{at}].price"])
                        assert same(size, asserted[f"orderbook.{side}[{at}].quantity_base"])
        met[expected["channel"]] += 1
    assert met == {"trade": 1, "ticker": 1, "book": 3}
