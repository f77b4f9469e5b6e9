"""Each way to corrupt a frame breaks one thing, and it is known who can notice."""

import json
from decimal import Decimal

import pytest

from tests.simulator.conftest import BTC, Harness, Json, Start, fault, step
from tests.simulator.naive import BinanceBook, KrakenBook


@pytest.mark.parametrize(
    ("stream", "channel", "how", "check"),
    [
        ("depth@100ms", "book", "type", lambda one, true: one["u"] == f"x{true['u']}"),
        (
            "depth@100ms",
            "book",
            "sequence",
            lambda one, true: one["U"] == true["U"] + 1000 and one["u"] == true["u"] + 1000,
        ),
        ("trade", "trades", "type", lambda one, true: one["t"] == f"x{true['t']}"),
        ("trade", "trades", "sequence", lambda one, true: one["t"] == true["t"] + 1000),
        ("trade", "trades", "digit", lambda one, true: one["q"][:-1] == true["q"][:-1] and one["q"] != true["q"]),
        (
            "aggTrade",
            "trades",
            "sequence",
            lambda one, true: one["f"] == true["f"] + 1000 and one["l"] == true["l"] + 1000,
        ),
        ("bookTicker", "quotes", "type", lambda one, true: one["u"] == f"x{true['u']}"),
        ("bookTicker", "quotes", "sequence", lambda one, true: one["u"] == true["u"] - 1000),
        ("bookTicker", "quotes", "digit", lambda one, true: one["B"][:-1] == true["B"][:-1] and one["B"] != true["B"]),
        ("ticker", "tickers", "digit", lambda one, true: one["v"][:-1] == true["v"][:-1] and one["v"] != true["v"]),
        ("ticker", "tickers", "type", lambda one, true: one["n"] == f"x{true['n']}"),
        ("kline_1m", "candles", "digit", lambda one, true: one["k"]["v"] != true["k"]["v"]),
        ("kline_1m", "candles", "type", lambda one, true: one["k"]["n"] == f"x{true['k']['n']}"),
    ],
)
async def test_a_corrupt_binance_frame_is_wrong_in_just_one_way(
    start: Start, stream: str, channel: str, how: str, check: Json
) -> None:
    got = []
    for harmed in (False, True):
        async with start(seed=3) as harness:
            client = await harness.connect(f"/binance/ws/btcusdt@{stream}")
            if harmed:
                await fault(harness, "corrupt", **BTC, channel=channel, how=how)
            await step(harness)
            got.append(await client.read())
    assert check(got[1][0], got[0][0])
    assert got[1][1:] == got[0][1:]
    different = {key for key in got[0][0] if got[0][0][key] != got[1][0][key]}
    assert different <= {"u", "U", "t", "q", "a", "f", "l", "B", "v", "n", "k"}


async def test_corrupt_json_is_no_json(harness: Harness) -> None:
    client = await harness.connect("/binance/stream?streams=btcusdt@depth@100ms")
    await fault(harness, "corrupt", venue="binance", how="json")
    await step(harness)
    with pytest.raises(ValueError, match=r".+"):
        json.loads((await client.read_text())[0])


async def test_a_changed_digit_of_a_binance_book_is_a_wrong_size_that_no_sequence_shows(start: Start) -> None:
    books = []
    for harmed in (False, True):
        async with start(seed=3) as harness:
            client = await harness.connect("/binance/ws/btcusdt@depth@100ms")
            book = BinanceBook(await harness.get("/binance/api/v3/depth", symbol="BTCUSDT", limit=5000))
            if harmed:
                await fault(harness, "corrupt", **BTC, channel="book", how="digit")
            await step(harness, 1)
            for event in await client.read():
                book.apply(event)
            books.append(book.levels())
    different = [pair for one, other in zip(*books, strict=True) for pair in set(one) ^ set(other)]
    assert len({price for price, _ in different}) == 1


@pytest.mark.parametrize("how", ["checksum", "digit", "type"])
async def test_a_corrupt_kraken_book_is_seen_by_its_checksum_or_type(harness: Harness, how: str) -> None:
    client = await harness.connect("/kraken/v2")
    messages = await client.follow("book", "BTC/USD", depth=10)
    await fault(harness, "corrupt", venue="kraken", symbol="BTC-USD", channel="book", how=how)
    await harness.simulator.step(60, "kraken", "BTC-USD")
    messages += await client.read()
    book = KrakenBook(10)
    seen = []
    for message in (one for one in messages if one.get("channel") == "book"):
        try:
            book.apply(message)
        except AssertionError:
            seen.append(message)
    assert seen
    if how == "type":
        assert isinstance(seen[0]["data"][0]["checksum"], str)


@pytest.mark.parametrize(("channel", "field"), [("trade", "trade_id"), ("ticker", "bid"), ("ohlc", "trades")])
async def test_a_kraken_number_turned_to_text(harness: Harness, channel: str, field: str) -> None:
    client = await harness.connect("/kraken/v2")
    await client.follow(channel, "BTC/USD")
    await fault(harness, "corrupt", venue="kraken", how="type")
    await harness.simulator.step(60, "kraken", "BTC-USD")
    first, second = (await client.read())[:2]
    assert isinstance(first["data"][0][field], str)
    assert not isinstance(second["data"][0][field], str)


async def test_what_kraken_lists_can_be_corrupted_in_its_snapshot(harness: Harness) -> None:
    for how, wrong in (("type", "x1"), ("digit", Decimal("0.00005001"))):
        client = await harness.connect("/kraken/v2")
        await fault(harness, "corrupt", venue="kraken", channel="instruments", how=how)
        listing = next(one for one in await client.follow("instrument") if one.get("channel") == "instrument")
        pair = next(one for one in listing["data"]["pairs"] if wrong in one.values())
        assert pair[{"type": "price_precision", "digit": "qty_min"}[how]] == wrong


async def test_a_change_of_the_status_can_be_lost(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.read()
    await fault(harness, "drop", venue="kraken", channel="status")
    for status in ("maintenance", "online"):
        await harness.post("/control/status", venue="kraken", status=status)
    assert [one["data"][0]["system"] for one in await client.read()] == ["online"]
