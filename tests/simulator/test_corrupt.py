"""Each way to corrupt a frame breaks one thing, and it is known who can notice."""

import json

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
    assert different <= {"u", "U", "t", "q", "a", "f", "l", "B"}


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


@pytest.mark.parametrize(("channel", "field"), [("trade", "trade_id"), ("ticker", "bid")])
async def test_a_kraken_number_turned_to_text(harness: Harness, channel: str, field: str) -> None:
    client = await harness.connect("/kraken/v2")
    await client.follow(channel, "BTC/USD")
    await fault(harness, "corrupt", venue="kraken", how="type")
    await harness.simulator.step(60, "kraken", "BTC-USD")
    first, second = (await client.read())[:2]
    assert isinstance(first["data"][0][field], str)
    assert not isinstance(second["data"][0][field], str)
