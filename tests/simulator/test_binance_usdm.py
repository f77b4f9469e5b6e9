"""Binance's USDⓈ-M market as a client meets it, in step mode."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.conftest import Client, Harness, Json, Start, fault
from tests.simulator.naive import candles, ordered, pairs

PERP = {"venue": "binance_usdm", "symbol": "BTC-USDT-PERP"}
FAPI = "/binance_usdm/fapi/v1"
SYMBOLS = ("BTC-USDT", "BTC-USDT-PERP", "ETH-USDC-PERP", "BTC-USD-PERP")


@pytest.fixture
async def harness(start: Start) -> AsyncIterator[Harness]:
    """Spot and perpetuals side by side; funding settles every two seconds."""
    async with start(seed=1, symbols=SYMBOLS, venues=("binance", "binance_usdm"), funding_seconds=2) as one:
        yield one


async def step(harness: Harness, count: int = 400) -> None:
    await harness.simulator.step(count, "binance_usdm", "BTC-USDT-PERP")


async def public(harness: Harness, *names: str) -> Client:
    return await harness.connect("/binance_usdm/public/ws/" + "/".join(f"btcusdt@{name}" for name in names))


async def market(harness: Harness, *names: str) -> Client:
    return await harness.connect("/binance_usdm/market/ws/" + "/".join(f"btcusdt@{name}" for name in names))


async def truth(harness: Harness, kind: str, **more: Json) -> list[Any]:
    rows: list[Any] = (await harness.get("/control/ledger/records", **PERP, kind=kind, **more))["records"]
    return rows


async def test_only_perpetuals_against_usdt_and_usdc_are_listed(harness: Harness) -> None:
    info = await harness.get(f"{FAPI}/exchangeInfo")
    assert [one["symbol"] for one in info["symbols"]] == ["BTCUSDT", "ETHUSDC"]
    one = info["symbols"][0]
    assert (one["contractType"], one["status"], one["quoteAsset"], one["marginAsset"]) == (
        "PERPETUAL",
        "TRADING",
        "USDT",
        "USDT",
    )
    filters = {each["filterType"]: each for each in one["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.10"
    assert (filters["LOT_SIZE"]["stepSize"], filters["LOT_SIZE"]["minQty"]) == ("0.001", "0.001")
    assert filters["MIN_NOTIONAL"]["notional"] == "100"
    assert {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400} in info[
        "rateLimits"
    ]
    spot = await harness.get("/binance/api/v3/exchangeInfo")
    assert [one["symbol"] for one in spot["symbols"]] == ["BTCUSDT"]


async def test_a_naive_client_that_follows_the_chain_of_pu_ends_with_the_ledgers_book(harness: Harness) -> None:
    client = await public(harness, "depth@100ms")
    await step(harness, 50)
    events = await client.read()
    snapshot = await harness.get(f"{FAPI}/depth", symbol="BTCUSDT", limit=1000)
    assert snapshot["lastUpdateId"] == events[-1]["u"]
    await step(harness, 500)
    sides: dict[str, dict[str, str]] = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    events = [one for one in [*events, *await client.read()] if one["u"] >= snapshot["lastUpdateId"]]
    assert events[0]["U"] <= snapshot["lastUpdateId"] <= events[0]["u"]
    for before, event in pairwise([None, *events]):
        assert event["U"] <= event["u"]
        assert before is None or event["pu"] == before["u"] < event["U"]
        for side, levels in sides.items():
            for price, size in event[side]:
                levels[price] = size
                if Decimal(size) == 0:
                    del levels[price]
    assert any(event["U"] != before["u"] + 1 for before, event in pairwise(events)), "ids without holes"
    book = await harness.get("/control/ledger/book", **PERP, depth=500)
    assert ordered(sides["b"], best_first=True)[:500] == pairs(book["bids"])
    assert ordered(sides["a"], best_first=False)[:500] == pairs(book["asks"])
    assert {"e", "E", "T", "s", "U", "u", "pu", "b", "a"} == set(events[0])


@pytest.mark.parametrize(
    ("path", "served", "silent"),
    [
        (
            "public",
            ["trade", "bookTicker", "depth@100ms", "depth5"],
            ["aggTrade", "ticker", "kline_1m", "markPrice@1s"],
        ),
        (
            "market",
            ["aggTrade", "ticker", "kline_1m", "markPrice@1s"],
            ["trade", "bookTicker", "depth@100ms", "depth5"],
        ),
    ],
)
async def test_a_stream_on_the_wrong_path_is_acknowledged_and_silent(
    harness: Harness, path: str, served: list[str], silent: list[str]
) -> None:
    client = await harness.connect(f"/binance_usdm/{path}/stream")
    streams = [f"btcusdt@{name}" for name in [*served, *silent]]
    assert await client.subscribe(*streams) == [{"result": None, "id": 1}]
    await step(harness)
    assert {one["stream"] for one in await client.read()} == {f"btcusdt@{name}" for name in served}
    await client.send(method="LIST_SUBSCRIPTIONS", id=5)
    assert (await client.read())[0]["result"] == streams
    assert (await harness.reply("/binance_usdm/ws"))[0] == 404


async def test_trades_quotes_and_aggregates_have_the_futures_shapes(harness: Harness) -> None:
    client, other = await public(harness, "trade", "bookTicker"), await market(harness, "aggTrade")
    await step(harness)
    events = await client.read()
    trades = [one for one in events if one["e"] == "trade"]
    rows = (await harness.get("/control/ledger/trades", **PERP))["trades"]
    assert [one["t"] for one in trades] == [row["id"] for row in rows]
    assert [Decimal(one["q"]) for one in trades] == [Decimal(row["size"]) for row in rows]
    assert [one["m"] for one in trades] == [row["side"] == "sell" for row in rows]
    assert list(trades[0]) == ["e", "E", "T", "s", "t", "p", "q", "X", "m", "st"]
    assert (trades[0]["s"], trades[0]["X"], len(trades[0]["p"].partition(".")[2])) == ("BTCUSDT", "MARKET", 2)
    quote = next(one for one in events if one["e"] == "bookTicker")
    assert set(quote) == {"e", "u", "s", "ps", "b", "B", "a", "A", "T", "E", "st"}
    aggregates = await other.read()
    assert [aggregates[0]["f"], aggregates[-1]["l"]] == [rows[0]["id"], rows[-1]["id"]]
    assert all(b["f"] == a["l"] + 1 and b["a"] == a["a"] + 1 for a, b in pairwise(aggregates))
    assert "M" not in aggregates[0]


async def test_mark_prices_funding_and_open_interest_are_the_ledgers(harness: Harness) -> None:
    client = await market(harness, "markPrice@1s")
    await step(harness, 500)  # five seconds
    marks, known = await client.read(), await truth(harness, "funding")
    assert [(one["p"], one["i"], one["r"], one["T"]) for one in marks] == [
        (row["mark"], row["index"], row["rate"], row["next_us"] // 1000) for row in known[1:]
    ]
    assert set(marks[0]) == {"e", "E", "s", "p", "ap", "P", "i", "r", "T", "st"}
    index = await harness.get(f"{FAPI}/premiumIndex", symbol="BTCUSDT")
    assert (index["markPrice"], index["indexPrice"], index["lastFundingRate"]) == (
        known[-1]["mark"],
        known[-1]["index"],
        known[-1]["rate"],
    )
    assert [one["symbol"] for one in await harness.get(f"{FAPI}/premiumIndex")] == ["BTCUSDT", "ETHUSDC"]
    paid = await harness.get(f"{FAPI}/fundingRate", symbol="BTCUSDT")
    assert [(row["fundingTime"], row["fundingRate"]) for row in paid] == [
        (row["ts_us"] // 1000, row["rate"]) for row in await truth(harness, "settlements")
    ]
    assert len(paid) == 2
    later = await harness.get(f"{FAPI}/fundingRate", symbol="BTCUSDT", startTime=paid[1]["fundingTime"])
    assert later == paid[1:]
    interest = await harness.get(f"{FAPI}/openInterest", symbol="BTCUSDT")
    assert Decimal(interest["openInterest"]) == Decimal((await truth(harness, "open_interest"))[-1]["size"])


async def test_liquidations_are_told_on_the_stream_of_the_symbol_and_of_all(harness: Harness) -> None:
    client = await harness.connect("/binance_usdm/market/stream?streams=btcusdt@forceOrder/!forceOrder@arr")
    await step(harness, 1500)
    events, known = await client.read(), await truth(harness, "liquidations")
    for stream in ("btcusdt@forceOrder", "!forceOrder@arr"):
        orders = [one["data"]["o"] for one in events if one["stream"] == stream]
        told = [(one["S"].lower(), Decimal(one["q"]), Decimal(one["p"])) for one in orders]
        true = [(row["side"], Decimal(row["size"]), Decimal(row["price"])) for row in known]
        assert len(told) > 10
        assert set(told) <= set(true)  # of two at once only the newer one is told
        assert orders[0]["s"] == "BTCUSDT"
        assert orders[0]["X"] == "FILLED"


async def test_klines_are_the_trades_candles_and_a_second_is_no_interval_here(harness: Harness) -> None:
    await step(harness, 900)
    rows = await harness.get(f"{FAPI}/klines", symbol="BTCUSDT", interval="1m")
    bars = candles((await harness.get("/control/ledger/trades", **PERP))["trades"], 60)
    assert [(row[0], Decimal(row[4]), Decimal(row[5]), row[8]) for row in rows] == [
        (begin, bar["close"], bar["volume"], bar["count"]) for begin, bar in bars.items()
    ]
    assert (await harness.reply(f"{FAPI}/klines", symbol="BTCUSDT", interval="1s"))[0] == 400


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("depth", {"symbol": "BTCUSDT", "limit": "7"}, 400, -4021),
        ("depth", {"symbol": "BTCUSDTPERP"}, 400, -1121),
        ("openInterest", {}, 400, -1102),
        ("historicalTrades", {"symbol": "BTCUSDT"}, 401, -2014),
    ],
)
async def test_wrong_requests_have_binances_errors(
    harness: Harness, path: str, params: dict[str, str], status: int, code: int
) -> None:
    got, headers, text = await harness.reply(f"{FAPI}/{path}", **params)
    assert (got, json.loads(text)["code"]) == (status, code)
    assert "X-MBX-USED-WEIGHT-1M" in headers


async def test_weight_is_2400_a_minute_and_depth_costs_by_its_limit(harness: Harness) -> None:
    used = []
    for limit in (50, 100, 500, 1000):
        _, headers, _ = await harness.reply(f"{FAPI}/depth", symbol="BTCUSDT", limit=limit)
        used.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
    assert [b - a for a, b in pairwise([0, *used])] == [2, 5, 10, 20]


async def test_a_listing_and_a_delisting_are_announced_and_a_delisted_contract_is_unknown(harness: Harness) -> None:
    client = await harness.connect("/binance_usdm/market/stream?streams=!contractInfo/solusdt@aggTrade")
    listing = {"venue": "binance_usdm", "symbol": "SOL-USDT-PERP"}
    await harness.post("/control/listing", **listing, status="trading")
    await harness.simulator.step(100, "binance_usdm", "SOL-USDT-PERP")
    await harness.post("/control/listing", **listing, status="delisted")
    await harness.simulator.step(100, "binance_usdm", "SOL-USDT-PERP")
    events = [one["data"] for one in await client.read()]
    assert [(one["s"], one["ct"], one["cs"]) for one in events if one["e"] == "contractInfo"] == [
        ("SOLUSDT", "PERPETUAL", "TRADING"),
        ("SOLUSDT", "PERPETUAL", "CLOSE"),
    ]
    assert {one["s"] for one in events if one["e"] == "aggTrade"} == {"SOLUSDT"}
    listed = [one["symbol"] for one in (await harness.get(f"{FAPI}/exchangeInfo"))["symbols"]]
    assert "SOLUSDT" not in listed
    assert (await harness.get(f"{FAPI}/depth", symbol="SOLUSDT"))["code"] == -1121
    assert (await harness.get("/control/state"))["markets"]["binance_usdm"]["SOL-USDT-PERP"] == 100


@pytest.mark.parametrize(
    ("path", "name", "channel", "how", "field"),
    [
        ("public", "depth@100ms", "book", "sequence", "pu"),
        ("market", "markPrice@1s", "funding", "digit", "r"),
        ("market", "markPrice@1s", "funding", "type", "T"),
        ("market", "ticker", "tickers", "digit", "v"),
        ("market", "kline_1m", "candles", "type", "k"),
        ("market", "forceOrder", "liquidations", "digit", "o"),
    ],
)
async def test_each_channel_can_be_corrupted_once(
    start: Start, path: str, name: str, channel: str, how: str, field: str
) -> None:
    got = []
    for harmed in (False, True):
        async with start(seed=3, symbols=SYMBOLS, venues=("binance_usdm",)) as harness:
            client = await harness.connect(f"/binance_usdm/{path}/ws/btcusdt@{name}")
            if harmed:
                await fault(harness, "corrupt", **PERP, channel=channel, how=how)
            await step(harness, 300)
            got.append(await client.read())
    assert got[0][0][field] != got[1][0][field]
    assert got[0][1:] == got[1][1:]


async def test_a_dropped_diff_breaks_the_chain_of_pu(harness: Harness) -> None:
    client = await public(harness, "depth@100ms")
    await fault(harness, "drop", **PERP, channel="book", after=3)
    await step(harness, 20)
    events = await client.read()
    assert [event["pu"] == before["u"] for before, event in pairwise(events)].count(False) == 1


async def test_a_tape_of_futures_is_played_on_their_own_paths(start: Start, tmp_path: Path) -> None:
    raw = '{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}'
    line = {"exchange": "binance", "market": "usdm-futures", "transport": "ws", "raw": raw}
    path = tmp_path / "tape.jsonl"
    path.write_text(json.dumps(line))
    async with start(tape=path, symbols=(), venues=("binance", "binance_usdm")) as harness:
        client = await public(harness, "depth@100ms")
        await harness.simulator.step(1)
        assert await client.read_text() == [raw]
        assert list(harness.simulator.venues["binance_usdm"].markets) == ["BTC-USDT-PERP"]
