"""OKX's other channels, its REST API, listings, and how its frames are corrupted, in step mode."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest

from simulator.instruments import okx_instrument
from simulator.okx.corrupt import EDITS
from simulator.okx.wire import Wire
from tests.recordings import lines, recording
from tests.simulator.conftest import Harness, Json, Start, fault
from tests.simulator.okx_client import BUSINESS, arg, connect, okx, rest, truth, venue

SPOT, SWAP, INVERSE = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"
PERP = "BTC-USDT-PERP"


async def records(harness: Harness, kind: str, symbol: str = PERP, **more: Json) -> list[Json]:
    answer = await harness.get("/control/ledger/records", venue="okx", symbol=symbol, kind=kind, **more)
    found: list[Json] = answer["records"]
    return found


async def trades(harness: Harness, symbol: str = "BTC-USDT") -> list[Json]:
    found: list[Json] = (await harness.get("/control/ledger/trades", venue="okx", symbol=symbol))["trades"]
    return found


def bar(begin_ms: int, fills: list[Json]) -> list[Json]:
    """A second's open, high, low, close and volume, from fills in order."""
    prices = [Decimal(one["price"]) for one in fills if one["ts_us"] // 1_000_000 * 1000 == begin_ms]
    sizes = [Decimal(one["size"]) for one in fills if one["ts_us"] // 1_000_000 * 1000 == begin_ms]
    return [prices[0], max(prices), min(prices), prices[-1], sum(sizes)] if prices else []


async def test_a_candle_is_confirmed_once_and_equals_its_trades(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness, BUSINESS)
        await client.subscribe(arg("candle1s"))
        await harness.simulator.step(500, "okx", "BTC-USDT")
        rows = [row for one in await client.read() for row in one["data"]]
        fills = await trades(harness)
        closed = [row for row in rows if row[8] == "1"]
        assert len({row[0] for row in closed}) == len(closed) >= 4
        for row in closed:
            true = bar(int(row[0]), fills)
            if true:
                assert [Decimal(cell) for cell in row[1:6]] == true
            else:
                assert (row[1], row[5]) == (row[4], "0")
            assert [one[8] for one in rows if one[0] == row[0]][:-1].count("1") == 0, "open again after its end"
        begins = [int(row[0]) for row in closed]
        assert all(after == before + 1000 for before, after in pairwise(begins))


async def test_a_swaps_candle_counts_contracts_base_and_quote_currency(start: Start) -> None:
    async with okx(start) as harness:
        for symbol, inst, linear in ((PERP, SWAP, True), ("BTC-USD-PERP", INVERSE, False)):
            await harness.simulator.step(200, "okx", symbol)
            rows = await rest(harness, "market/candles", instId=inst, bar="1s")
            row = next(one for one in rows if one[5] != "0")
            contracts, base, quote = (Decimal(cell) for cell in row[5:8])
            prices = Decimal(row[3]), Decimal(row[2])
            if linear:
                assert base == contracts * Decimal("0.01")
                assert base * prices[0] <= quote <= base * prices[1]
            else:
                assert quote == contracts * 100
                assert quote / prices[1] - Decimal("1e-8") <= base <= quote / prices[0]


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [
        ("XRP-USDT", ("3", "1.5", "1.5")),
        ("XRP-USDT-PERP", ("3", "300", "150")),  # 100 XRP
        ("SOL-USDC-PERP", ("3", "3", "1.5")),  # 1 SOL
        ("XRP-USD-PERP", ("3", "60", "30")),  # 10 USD
    ],
)
def test_three_at_half_a_dollar_are_worth_what_the_contract_says(symbol: str, shown: tuple[str, ...]) -> None:
    instrument = okx_instrument(symbol)
    assert instrument is not None
    half = 5 * 10 ** (instrument.price_decimals - 1)
    lots = 3 * 10**8
    assert Wire(instrument).volumes(lots, lots * half) == shown


async def test_days_in_hong_kong_begin_eight_hours_before_those_in_utc(start: Start) -> None:
    async with okx(start) as harness:
        await harness.simulator.step(100, "okx", "BTC-USDT")
        begins = {}
        for name in ("1D", "1Dutc", "4H", "12H", "1Wutc"):
            begins[name] = int((await rest(harness, "market/candles", instId=SPOT, bar=name))[0][0])
        midnight = 1767225600000  # 2026-01-01, a Thursday
        assert begins == {
            "1D": midnight - 8 * 3_600_000,
            "1Dutc": midnight,
            "4H": midnight,
            "12H": midnight - 8 * 3_600_000,
            "1Wutc": midnight - 3 * 86_400_000,
        }


async def test_a_ticker_shows_the_best_prices_and_the_day(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        await client.subscribe(arg("tickers"))
        await harness.simulator.step(200, "okx", "BTC-USDT")
        (last,) = (await client.read())[-1]["data"]
        fills = await trades(harness)
        bids, asks = await truth(harness, "BTC-USDT", depth=1)
        assert [[last["bidPx"], last["bidSz"]]] == bids
        assert [[last["askPx"], last["askSz"]]] == asks
        assert (Decimal(last["last"]), Decimal(last["lastSz"])) == (
            Decimal(fills[-1]["price"]),
            Decimal(fills[-1]["size"]),
        )
        assert Decimal(last["vol24h"]) == sum(Decimal(one["size"]) for one in fills)
        assert Decimal(last["volCcy24h"]) == sum(Decimal(one["size"]) * Decimal(one["price"]) for one in fills)


async def test_the_news_of_a_swap_are_the_ledgers(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        channels = ("funding-rate", "open-interest", "mark-price")
        first = await client.subscribe(*(arg(one, SWAP) for one in channels), arg("liquidation-orders", "SWAP"))
        assert [one["arg"]["channel"] for one in first] == list(channels)
        await harness.simulator.step(300, "okx", PERP)
        got = await client.read()

        def items(channel: str) -> list[Json]:
            return [item for one in got if one["arg"]["channel"] == channel for item in one["data"]]

        true = await records(harness, "funding")
        known = {(Decimal(one["rate"]), one["next_us"] // 1000) for one in true}
        assert all((Decimal(one["fundingRate"]), int(one["fundingTime"])) in known for one in items("funding-rate"))
        hours = {int(one["nextFundingTime"]) - int(one["fundingTime"]) for one in items("funding-rate")}
        assert hours == {8 * 3_600_000}
        assert [Decimal(one["markPx"]) for one in items("mark-price")] == [Decimal(one["mark"]) for one in true]
        open_interest = await records(harness, "open_interest")
        told = [(Decimal(one["oi"]), int(one["ts"])) for one in items("open-interest")]
        assert told[-1] == (Decimal(open_interest[-1]["size"]), open_interest[-1]["ts_us"] // 1000)
        assert all(Decimal(one["oiCcy"]) == Decimal(one["oi"]) / 100 for one in items("open-interest"))
        forced = [(item["instId"], one) for item in items("liquidation-orders") for one in item["details"]]
        true = await records(harness, "liquidations")
        assert [
            (inst, one["side"], Decimal(one["bkPx"]), Decimal(one["sz"]), int(one["ts"])) for inst, one in forced
        ] == [(SWAP, one["side"], Decimal(one["price"]), Decimal(one["size"]), one["ts_us"] // 1000) for one in true]
        assert forced
        assert all((one["side"], one["posSide"]) in (("buy", "short"), ("sell", "long")) for _, one in forced)


async def test_funding_settles_and_moves_on_to_the_next_time(start: Start) -> None:
    limits = {"okx.connects": 10_000, "okx.rest_factor": 1000}
    async with start(seed=1, venues=("okx",), symbols=(PERP,), limits=limits, funding_seconds=1) as harness:
        await harness.simulator.step(250, "okx", PERP)
        (now,) = await rest(harness, "public/funding-rate", instId=SWAP)
        paid = await records(harness, "settlements")
        assert len(paid) == 2
        assert Decimal(now["settFundingRate"]) == Decimal(paid[-1]["rate"])
        assert int(now["prevFundingTime"]) == paid[-1]["ts_us"] // 1000
        assert int(now["fundingTime"]) == int(now["prevFundingTime"]) + 1000


async def test_instruments_say_what_a_size_counts_and_have_the_recorded_keys(start: Start) -> None:
    async with okx(start) as harness:
        spot = await rest(harness, "public/instruments", instType="SPOT")
        swaps = {one["instId"]: one for one in await rest(harness, "public/instruments", instType="SWAP")}
        assert [one["instId"] for one in spot] == [SPOT], "ETH-USD is not on OKX"
        assert (spot[0]["baseCcy"], spot[0]["quoteCcy"], spot[0]["ctVal"]) == ("BTC", "USDT", "")
        linear, inverse = swaps[SWAP], swaps[INVERSE]
        assert (linear["ctType"], linear["ctVal"], linear["ctValCcy"], linear["settleCcy"]) == (
            "linear",
            "0.01",
            "BTC",
            "USDT",
        )
        assert (inverse["ctType"], inverse["ctVal"], inverse["ctValCcy"], inverse["settleCcy"]) == (
            "inverse",
            "100",
            "USD",
            "BTC",
        )
        for inst in (SWAP, INVERSE):
            (book,) = await rest(harness, "market/books", instId=inst, sz=400)
            lot = Decimal(swaps[inst]["lotSz"])
            assert len(book["bids"]) == 400
            assert all(Decimal(level[1]) % lot == 0 for side in ("bids", "asks") for level in book[side])
    for line in lines("okx.rest.cryptofeed.jsonl"):
        real = json.loads(line["raw"])["data"][0]
        ours = spot[0] if real["instType"] == "SPOT" else linear
        assert set(real) <= set(ours)


async def test_a_listing_that_changes_is_pushed_and_what_is_delisted_is_gone(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        assert await client.subscribe(arg("instruments", "SPOT"), arg("trades")) == []
        seen = []
        for symbol, status in (("BTC-USDT", "halted"), ("BTC-USDT", "delisted"), ("SOL-USDT", "trading")):
            answer = await harness.post("/control/listing", venue="okx", symbol=symbol, status=status)
            assert answer["listings"][symbol] == status
            ((row,),) = [one["data"] for one in await client.read()]
            seen.append((row["instId"], row["state"], bool(row["expTime"])))
        assert seen == [(SPOT, "suspend", False), (SPOT, "suspend", True), ("SOL-USDT", "live", False)]
        assert [one["instId"] for one in await rest(harness, "public/instruments", instType="SPOT")] == ["SOL-USDT"]
        assert (await client.ask("subscribe", arg("books")))[0]["code"] == "60018"
        got = await client.subscribe(arg("books", "SOL-USDT"))
        await harness.simulator.step(10, "okx", "SOL-USDT")
        assert len(got + await client.read()) == 11


async def test_the_state_of_the_system_is_pushed_and_told_by_rest(start: Start) -> None:
    async with okx(start, rest_factor=1000) as harness:
        client = await connect(harness)
        await client.ask("subscribe", {"channel": "status"})
        assert await rest(harness, "system/status") == []
        states = []
        for status in ("maintenance", "post_only", "online"):
            await harness.post("/control/status", venue="okx", status=status, message="upgrade")
            ((row,),) = [one["data"] for one in await client.read()]
            told = await rest(harness, "system/status")
            assert told == ([{key: row[key] for key in row if key != "ts"}] if status != "online" else [])
            states.append((row["state"], row["title"]))
        assert states == [("ongoing", "upgrade"), ("pre_open", "upgrade"), ("completed", "upgrade")]


async def test_history_pages_back_by_trade_id(start: Start) -> None:
    async with okx(start) as harness:
        await harness.simulator.step(300, "okx", "BTC-USDT")
        true = [one["id"] for one in await trades(harness)]
        newest = await rest(harness, "market/trades", instId=SPOT, limit=7)
        assert [int(one["tradeId"]) for one in newest] == true[:-8:-1]
        older = await rest(harness, "market/history-trades", instId=SPOT, after=true[-7], limit=5)
        assert [int(one["tradeId"]) for one in older] == true[-8:-13:-1]
        newer = await rest(harness, "market/history-trades", instId=SPOT, before=true[-4])
        assert [int(one["tradeId"]) for one in newer] == true[:-4:-1]


async def test_candles_come_newest_first_and_page_both_ways(start: Start) -> None:
    async with okx(start) as harness:
        await harness.simulator.step(600, "okx", "BTC-USDT")
        rows = await rest(harness, "market/candles", instId=SPOT, bar="1s")
        begins = [int(row[0]) for row in rows]
        assert begins == sorted(begins, reverse=True)
        assert [row[8] for row in rows] == ["0", *["1"] * (len(rows) - 1)]
        older = await rest(harness, "market/history-candles", instId=SPOT, bar="1s", after=begins[2], limit=2)
        assert [int(row[0]) for row in older] == begins[3:5]
        newer = await rest(harness, "market/candles", instId=SPOT, bar="1s", before=begins[2])
        assert [int(row[0]) for row in newer] == begins[:2]


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("market/books", {"instId": "NO-PE"}, "51001"),
        ("market/books", {}, "50014"),
        ("market/candles", {"instId": SPOT, "bar": "7m"}, "51000"),
        ("public/instruments", {"instType": "BOND"}, "51000"),
        ("public/funding-rate", {"instId": SPOT}, "51000"),
        ("market/trades", {"instId": SPOT, "limit": "many"}, "51000"),
    ],
)
async def test_a_wrong_rest_request_has_its_code_with_http_200(
    start: Start, path: str, params: Json, code: str
) -> None:
    async with okx(start) as harness:
        status, _, text = await harness.reply(f"/okx/api/v5/{path}", **params)
        assert (status, json.loads(text)["code"], json.loads(text)["data"]) == (200, code, [])


async def test_each_endpoint_has_a_limit_of_its_own(start: Start) -> None:
    async with okx(start, rest_factor=0.1) as harness:  # 4 books in 2 s, 1 time
        statuses = [(await harness.reply("/okx/api/v5/market/books", instId=SPOT))[0] for _ in range(5)]
        assert statuses == [200] * 4 + [429]
        status, _, text = await harness.reply("/okx/api/v5/market/books", instId=SPOT)
        assert (status, json.loads(text)["code"]) == (429, "50011")
        assert (await harness.reply("/okx/api/v5/public/time"))[0] == 200


async def test_faults_on_rest_have_okxs_bodies(start: Start) -> None:
    async with okx(start) as harness:
        await harness.simulator.step(50, "okx", "BTC-USDT")
        await fault(harness, "rest_stale", venue="okx", channel="book", behind=20)
        old, new = [(await rest(harness, "market/books", instId=SPOT, sz=400, source=0))[0] for _ in range(2)]
        assert new["seqId"] - old["seqId"] == 20
        levels = await truth(harness, "BTC-USDT", old["seqId"])
        assert [[level[:2] for level in old[side]] for side in ("bids", "asks")] == levels
        for status, code in ((429, "50011"), (503, "50001")):
            await fault(harness, "http", venue="okx", status=status, channel="book")
            got, _, text = await harness.reply("/okx/api/v5/market/books", instId=SPOT)
            assert (got, json.loads(text)["code"]) == (status, code)


_CHANNELS = {
    "book": arg("books"),
    "quotes": arg("bbo-tbt"),
    "trades": arg("trades"),
    "tickers": arg("tickers"),
    "funding": arg("funding-rate", SWAP),
    "open_interest": arg("open-interest", SWAP),
    "liquidations": arg("liquidation-orders", "SWAP"),
    "candles": arg("candle1s"),
    "instruments": arg("instruments", "SPOT"),
    "status": {"channel": "status"},
}


@pytest.mark.parametrize(("channel", "how"), sorted(EDITS))
async def test_a_corrupt_frame_is_wrong_in_just_one_place(start: Start, channel: str, how: str) -> None:
    got = []
    for harmed in (False, True):
        async with okx(start) as harness:
            client = await connect(harness, *([BUSINESS] if channel == "candles" else []))
            await client.subscribe(_CHANNELS[channel])
            if harmed:
                await fault(harness, "corrupt", venue="okx", channel=channel, how=how)
            await harness.simulator.step(60, "okx")
            await harness.post("/control/listing", venue="okx", symbol="BTC-USDT", status="halted")
            await harness.post("/control/status", venue="okx", status="maintenance")
            got.append(await client.read())
    clean, broken = got
    assert len(clean) == len(broken)
    assert clean[1:] == broken[1:]
    one, other = json.dumps(clean[0]), json.dumps(broken[0])
    assert one != other
    if how == "digit":
        assert sum(a != b for a, b in zip(one, other, strict=True)) == 1
    if how == "sequence" and channel == "book":
        ((true,), (shifted,)) = clean[0]["data"], broken[0]["data"]
        assert (shifted["seqId"] - true["seqId"], shifted["prevSeqId"] - true["prevSeqId"]) == (1000, 1000)


async def test_a_tape_is_played_to_those_who_subscribed_to_its_channels(start: Start) -> None:
    tape = recording("okx.ws.cryptofeed.jsonl")
    limits = {"okx.connects": 10_000}
    async with start(tape=tape, venues=("okx",), limits=limits) as harness:
        assert set(venue(harness).markets) == {"BTC-USDT", "UNI-USD-PERP"}
        client = await connect(harness)
        assert await client.subscribe(arg("books"), arg("trades"), arg("books", "UNI-USD-SWAP")) == []
        await harness.simulator.step(1000)
        got = await client.read()
    wanted = {("books", SPOT), ("trades", SPOT), ("books", "UNI-USD-SWAP")}
    recorded = [json.loads(line["raw"]) for line in lines("okx.ws.cryptofeed.jsonl")]
    marks = [one for one in recorded if "data" in one and (one["arg"]["channel"], one["arg"]["instId"]) in wanted]
    assert sorted(map(json.dumps, got)) == sorted(map(json.dumps, marks))
