"""Coinbase's REST API, in step mode."""

import json
from decimal import Decimal

import pytest

from tests.recordings import lines
from tests.simulator.coinbase_client import BTC, coinbase, micros, rest, truth, venue
from tests.simulator.conftest import Json, Start, fault


async def test_the_time_is_the_venues_in_three_forms(start: Start) -> None:
    async with coinbase(start) as harness:
        await harness.simulator.step(30)
        body = await rest(harness, "time")
        now = micros(body["iso"])
        assert body == {"iso": body["iso"], "epochSeconds": str(now // 1_000_000), "epochMillis": str(now // 1000)}
        assert now == max(market.ts_us for market in venue(harness).markets.values())


@pytest.mark.parametrize("product", [BTC, "BTC-USDC"])
async def test_the_book_is_the_ledgers_at_its_time_under_the_name_asked_for(start: Start, product: str) -> None:
    async with coinbase(start) as harness:
        await harness.simulator.step(30, "coinbase", BTC)
        body = await rest(harness, "market/product_book", product_id=product, limit=10)
        book = body["pricebook"]
        shown = [[[one["price"], one["size"]] for one in book[side]] for side in ("bids", "asks")]
        assert shown == [side[:10] for side in await truth(harness, BTC, micros(book["time"]))]
        assert book["product_id"] == product
        best = [Decimal(side[0][0]) for side in shown]
        assert Decimal(body["mid_market"]) == sum(best) / 2
        assert Decimal(body["spread_absolute"]) == best[1] - best[0]
        whole = await rest(harness, "market/product_book", product_id=product)
        assert len(whole["pricebook"]["bids"]) == len((await truth(harness, BTC))[0])


async def test_the_book_can_be_stale(start: Start) -> None:
    async with coinbase(start) as harness:
        await harness.simulator.step(30, "coinbase", BTC)
        await fault(harness, "rest_stale", venue="coinbase", channel="book", behind=20)
        old, new = [(await rest(harness, "market/product_book", product_id=BTC))["pricebook"] for _ in range(2)]
        assert micros(old["time"]) < micros(new["time"])
        shown = [[[one["price"], one["size"]] for one in old[side]] for side in ("bids", "asks")]
        assert shown == await truth(harness, BTC, micros(old["time"]))


async def test_trades_are_the_newest_first_or_those_of_some_seconds(start: Start) -> None:
    async with coinbase(start) as harness:
        await harness.simulator.step(500, "coinbase", BTC)
        true = (await harness.get("/control/ledger/trades", venue="coinbase", symbol=BTC))["trades"]
        body = await rest(harness, f"market/products/{BTC}/ticker", limit=5)
        assert [int(one["trade_id"]) for one in body["trades"]] == [one["id"] for one in true[:-6:-1]]
        sides = {"buy": "SELL", "sell": "BUY"}
        assert [one["side"] for one in body["trades"]] == [sides[one["side"]] for one in true[:-6:-1]]
        bids, asks = await truth(harness, BTC)
        assert [body["best_bid"], body["best_ask"]] == [bids[0][0], asks[0][0]]
        second = true[0]["ts_us"] // 1_000_000 + 1
        body = await rest(harness, f"market/products/{BTC}/ticker", start=second, end=second + 1, limit=1000)
        wanted = [one["id"] for one in true if second <= one["ts_us"] // 1_000_000 <= second + 1]
        assert [int(one["trade_id"]) for one in reversed(body["trades"])] == wanted
        assert wanted
    for line in lines("coinbase.rest.ccxt.jsonl"):
        real = json.loads(line["raw"])
        assert set(body) == set(real)
        assert set(body["trades"][0]) == set(real["trades"][0])


async def test_candles_equal_their_trades_newest_first(start: Start) -> None:
    async with coinbase(start) as harness:
        market = venue(harness).markets[BTC]
        for _ in range(20):
            market.ts_us += 30_000_000
            await harness.simulator.step(5, "coinbase", BTC)
        path = f"market/products/{BTC}/candles"
        rows = (await rest(harness, path, granularity="ONE_MINUTE"))["candles"]
        true = (await harness.get("/control/ledger/trades", venue="coinbase", symbol=BTC))["trades"]
        begins = [int(row["start"]) for row in rows]
        assert begins == sorted({one["ts_us"] // 60_000_000 * 60 for one in true}, reverse=True)
        for row, begin in zip(rows, begins, strict=True):
            fills = [one for one in true if begin <= one["ts_us"] // 1_000_000 < begin + 60]
            assert Decimal(row["volume"]) == sum(Decimal(one["size"]) for one in fills)
            assert Decimal(row["open"]) == Decimal(fills[0]["price"])
            assert Decimal(row["close"]) == Decimal(fills[-1]["price"])
        some = (await rest(harness, path, granularity="ONE_MINUTE", start=begins[4], end=begins[2]))["candles"]
        assert some == rows[2:5]


async def test_products_say_their_state(start: Start) -> None:
    async with coinbase(start) as harness:
        (one,) = (await rest(harness, "market/products", product_ids=BTC))["products"]
        assert (one["status"], one["product_type"], one["trading_disabled"]) == ("online", "SPOT", False)
        assert (one["base_increment"], one["quote_increment"]) == ("0.00000001", "0.01")
        assert await rest(harness, f"market/products/{BTC}") == one
        await harness.post("/control/status", venue="coinbase", status="post_only")
        assert (await rest(harness, f"market/products/{BTC}"))["post_only"] is True
        await harness.post("/control/listing", venue="coinbase", symbol=BTC, status="halted")
        assert (await rest(harness, f"market/products/{BTC}"))["trading_disabled"] is True
        await harness.post("/control/listing", venue="coinbase", symbol=BTC, status="delisted")
        assert BTC not in [row["product_id"] for row in (await rest(harness, "market/products"))["products"]]


@pytest.mark.parametrize(
    ("path", "params", "status", "error"),
    [
        ("market/product_book", {"product_id": "NO-PE"}, 404, "NOT_FOUND"),
        ("market/products/NO-PE", {}, 404, "NOT_FOUND"),
        (f"market/products/{BTC}/candles", {"granularity": "WEEK"}, 400, "INVALID_ARGUMENT"),
        (f"market/products/{BTC}/ticker", {"limit": "many"}, 400, "INVALID_ARGUMENT"),
    ],
)
async def test_a_wrong_request_has_its_status_and_name(
    start: Start, path: str, params: Json, status: int, error: str
) -> None:
    async with coinbase(start) as harness:
        got, _, text = await harness.reply(f"/coinbase/api/v3/brokerage/{path}", **params)
        assert (got, json.loads(text)["error"]) == (status, error)


async def test_ten_requests_a_second_and_the_next_is_named_too_many(start: Start) -> None:
    async with coinbase(start, rest_per_second=10) as harness:
        path = "/coinbase/api/v3/brokerage/time"
        got = [await harness.reply(path) for _ in range(11)]
        assert [status for status, _, _ in got] == [200] * 10 + [429]
        _, headers, text = got[-1]
        assert json.loads(text)["errors"][0]["id"] == "rate_limit_exceeded"
        assert {name.lower(): value for name, value in headers.items()}["x-ratelimit-remaining"] == "0"


async def test_faults_on_rest_have_coinbases_bodies(start: Start) -> None:
    async with coinbase(start) as harness:
        for status, name in ((429, "errors"), (500, "error")):
            await fault(harness, "http", venue="coinbase", status=status, endpoint="time", retry_after=3)
            got, headers, text = await harness.reply("/coinbase/api/v3/brokerage/time")
            assert (got, headers["Retry-After"]) == (status, "3")
            assert name in json.loads(text)
