"""Kraken's candles, tickers, listings and status as a client meets them, in step mode."""

from decimal import Decimal

from simulator.clock import Clock
from tests.simulator.conftest import Harness, Json, Start
from tests.simulator.naive import candles, micros


async def test_candles_are_the_trades_and_the_last_word_on_a_bar_is_its_closed_state(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await harness.simulator.step(200, "kraken", "BTC-USD")
    messages = await client.follow("ohlc", "BTC/USD", interval=1)
    for _ in range(13):  # over two minutes
        await harness.simulator.step(1000, "kraken", "BTC-USD")
        messages += await client.read()
    told: dict[int, Json] = {}
    for message in (one for one in messages if one.get("channel") == "ohlc"):
        assert message["type"] == ("update" if told else "snapshot")
        for bar in message["data"]:
            assert (bar["symbol"], bar["interval"]) == ("BTC/USD", 1)
            assert bar["interval_begin"].endswith(":00.000000000Z")
            assert micros(bar["timestamp"]) == micros(bar["interval_begin"]) + 60_000_000
            told[micros(bar["interval_begin"]) // 1000] = bar
    trades = (await harness.get("/control/ledger/trades", venue="kraken", symbol="BTC-USD"))["trades"]
    bars = candles(trades, 60)
    assert len(bars) == 3
    assert [(n, b["open"], b["high"], b["low"], b["close"], b["volume"], b["trades"]) for n, b in told.items()] == [
        (n, b["open"], b["high"], b["low"], b["close"], b["volume"], b["count"]) for n, b in bars.items()
    ]
    rows = (await harness.get("/kraken/0/public/OHLC", pair="XBTUSD", interval=1))["result"]
    assert [row[0] * 1000 for row in rows["XXBTZUSD"]] == list(bars)
    assert rows["last"] * 1000 == list(bars)[-2]
    since = await harness.get("/kraken/0/public/OHLC", pair="XBTUSD", interval=1, since=rows["last"])
    assert since["result"]["XXBTZUSD"] == rows["XXBTZUSD"][-2:]
    assert "Interval" in (await client.follow("ohlc", "BTC/USD", interval=7))[0]["error"]


async def test_a_minute_without_trades_has_no_candle(start: Start) -> None:
    now = [0]
    clock = Clock(wall_us=lambda: now[0])
    async with start(clock=clock, rate=1, venues=("kraken",)) as harness:
        await harness.post("/control/market", running=False)
        harness.simulator.world.running = True  # the wall clock dates the steps that this test takes itself
        kraken = harness.simulator.venues["kraken"]
        ledger = harness.simulator.ledger("kraken", "BTC-USD")
        for now[0] in (10_000_000, 200_000_000):
            count = ledger.last_trade_id
            while ledger.last_trade_id == count:
                kraken.advance("BTC-USD")
        rows = (await harness.get("/kraken/0/public/OHLC", pair="XBTUSD"))["result"]["XXBTZUSD"]
        assert [row[0] for row in rows] == [0, 180]


async def test_a_ticker_says_how_many_trades_there_were_and_rest_says_the_same(harness: Harness) -> None:
    await harness.simulator.step(300, "kraken", "BTC-USD")
    client = await harness.connect("/kraken/v2")
    ticker = (await client.follow("ticker", "BTC/USD"))[-1]["data"][0]
    ledger = harness.simulator.ledger("kraken", "BTC-USD")
    trades = ledger.trades()
    assert ticker["trades"] == len(trades)
    assert ticker["volume"] == Decimal(sum(t.size for t in trades)) / 10**8
    rest = (await harness.get("/kraken/0/public/Ticker", pair="XBTUSD"))["result"]["XXBTZUSD"]
    assert (Decimal(rest["a"][0]), Decimal(rest["c"][0])) == (ticker["ask"], ticker["last"])
    assert (Decimal(rest["v"][1]), rest["t"][1]) == (ticker["volume"], len(trades))
    assert (await harness.get("/kraken/0/public/Ticker", pair="NOPE"))["error"] == ["EQuery:Unknown asset pair"]


async def test_a_delisted_pair_is_announced_silent_and_not_supported(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.follow("instrument")
    await client.follow("trade", "BTC/USD")
    listing = {"venue": "kraken", "symbol": "BTC-USD"}
    statuses = []
    for status in ("halted", "trading", "delisted"):
        await harness.post("/control/listing", **listing, status=status)
        await harness.simulator.step(100, "kraken", "BTC-USD")
        messages = await client.read()
        statuses.append(messages[0]["data"]["pairs"][0]["status"])
        assert messages[0]["type"] == "update"
        assert bool(messages[1:]) == (status == "trading")
    assert statuses == ["cancel_only", "online", "delisted"]
    (refused,) = await client.follow("book", "BTC/USD")
    assert (refused["error"], refused["symbol"]) == ("Currency pair not supported BTC/USD", "BTC/USD")
    assert "XXBTZUSD" not in (await harness.get("/kraken/0/public/AssetPairs"))["result"]
    assert (await harness.get("/kraken/0/public/Depth", pair="XBTUSD"))["error"] == ["EQuery:Unknown asset pair"]


async def test_a_pair_that_is_listed_during_the_run_can_be_subscribed_at_once(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.follow("instrument")
    assert not (await client.follow("trade", "SOL/USD"))[0]["success"]
    await harness.post("/control/listing", venue="kraken", symbol="SOL-USD", status="trading")
    messages = await client.follow("trade", "SOL/USD")
    assert messages[0]["data"]["pairs"][0]["symbol"] == "SOL/USD"
    assert messages[1]["success"]
    await harness.simulator.step(100, "kraken", "SOL-USD")
    assert {one["channel"] for one in await client.read()} == {"trade"}
    assert "SOLUSD" in (await harness.get("/kraken/0/public/AssetPairs"))["result"]


async def test_a_change_of_the_systems_status_is_told_to_everybody(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.read()
    await harness.post("/control/status", venue="kraken", status="maintenance")
    (status,) = await client.read()
    assert (status["channel"], status["type"], status["data"][0]["system"]) == ("status", "update", "maintenance")
    assert (await harness.get("/kraken/0/public/SystemStatus"))["result"]["status"] == "maintenance"


async def test_the_trades_of_one_order_on_both_sides_of_a_minute_are_each_told_in_their_own_bar(start: Start) -> None:
    now = [0]
    async with start(clock=Clock(wall_us=lambda: now[0]), rate=1, venues=("kraken",)) as harness:
        await harness.post("/control/market", running=False)
        harness.simulator.world.running = True
        client = await harness.connect("/kraken/v2")
        await client.follow("ohlc", "BTC/USD", snapshot=False)
        for minute in range(1, 101):
            now[0] = minute * 60_000_000 - 1
            harness.simulator.venues["kraken"].advance("BTC-USD")
        told = {micros(bar["interval_begin"]): bar for one in await client.read() for bar in one["data"]}
        trades = (await harness.get("/control/ledger/trades", venue="kraken", symbol="BTC-USD"))["trades"]
        assert {begin // 1000: bar["trades"] for begin, bar in told.items()} == {
            begin: bar["count"] for begin, bar in candles(trades, 60).items()
        }
        assert any(trade["ts_us"] % 60_000_000 == 0 for trade in trades)
