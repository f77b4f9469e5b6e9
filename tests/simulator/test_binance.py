"""Binance as a client meets it, in step mode."""

import asyncio
import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from simulator.clock import Clock
from tests.simulator.conftest import BTC, Harness, Start
from tests.simulator.naive import BinanceBook, candles, pairs

DEPTH = "/binance/api/v3/depth"


async def splice(harness: Harness, steps: int, limit: int = 5000) -> tuple[BinanceBook, list[Any]]:
    """Stream first, then the snapshot, then the rest of the stream; the book and all events."""
    client = await harness.connect("/binance/ws/btcusdt@depth@100ms")
    await harness.simulator.step(steps // 2)
    book = BinanceBook(await harness.get(DEPTH, symbol="BTCUSDT", limit=limit))
    await harness.simulator.step(steps - steps // 2)
    events = await client.read()
    for event in events:
        book.apply(event)
    return book, events


async def test_a_naive_client_ends_with_the_ledgers_book(harness: Harness) -> None:
    book, events = await splice(harness, 900)
    truth = await harness.get("/control/ledger/book", venue="binance", symbol="BTC-USDT")
    assert book.last_id == truth["last_id"]
    bids, asks = book.levels()
    assert bids[:1000] == pairs(truth["bids"])[:1000]
    assert asks[:1000] == pairs(truth["asks"])[:1000]
    assert len(events) > 100


async def test_the_chain_of_update_ids_is_whole(harness: Harness) -> None:
    _, events = await splice(harness, 600)
    assert all(after["U"] == before["u"] + 1 for before, after in pairwise(events))
    assert any(event["u"] > event["U"] for event in events)


async def test_the_ledger_has_the_book_at_the_update_id_of_any_event(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@depth@100ms")
    book = BinanceBook(await harness.get(DEPTH, symbol="BTCUSDT", limit=5000))
    await harness.simulator.step(120)
    for event in (await client.read())[:20]:
        book.apply(event)
        truth = await harness.get("/control/ledger/book", venue="binance", symbol="BTC-USDT", at=event["u"], depth=500)
        bids, asks = book.levels()
        assert (bids[:500], asks[:500]) == (pairs(truth["bids"])[:500], pairs(truth["asks"])[:500])


async def test_the_slow_diff_stream_tells_the_same_book(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/ethusdt@depth")
    book = BinanceBook(await harness.get(DEPTH, symbol="ETHUSDT", limit=5000))
    await harness.simulator.step(300)
    for event in await client.read():
        book.apply(event)
    truth = await harness.get("/control/ledger/book", venue="binance", symbol="ETH-USDT")
    assert book.levels() == (pairs(truth["bids"]), pairs(truth["asks"]))


async def test_trades_are_those_of_the_ledger_each_once(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@trade")
    await harness.simulator.step(300)
    got = [(t["t"], t["p"], t["q"], "sell" if t["m"] else "buy") for t in await client.read()]
    truth = (await harness.get("/control/ledger/trades", venue="binance", symbol="BTC-USDT"))["trades"]
    assert [(id_, float(p), float(q), side) for id_, p, q, side in got] == [
        (t["id"], float(t["price"]), float(t["size"]), t["side"]) for t in truth
    ]
    assert all(len(price.split(".")[1]) == 8 for _, price, _, _ in got)


async def test_aggregate_trades_cover_every_trade_once(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@aggTrade")
    await harness.simulator.step(600)
    events = await client.read()
    ledger = harness.simulator.ledger("binance", "BTC-USDT")
    assert events[0]["f"] == ledger.first_trade_id
    assert events[-1]["l"] == ledger.last_trade_id
    assert all(after["f"] == before["l"] + 1 and after["a"] == before["a"] + 1 for before, after in pairwise(events))
    assert any(event["l"] > event["f"] for event in events)


async def test_book_ticker_is_the_best_of_the_book_at_its_update_id(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@bookTicker")
    await harness.simulator.step(90)
    events = await client.read()
    assert events
    for event in events:
        truth = await harness.get("/control/ledger/book", venue="binance", symbol="BTC-USDT", at=event["u"], depth=1)
        assert [event["b"], event["B"]] == truth["bids"][0]
        assert [event["a"], event["A"]] == truth["asks"][0]
        assert set(event) == {"u", "s", "b", "B", "a", "A"}


async def test_the_partial_book_is_the_top_of_the_book(harness: Harness) -> None:
    client = await harness.connect("/binance/stream?streams=btcusdt@depth20@100ms")
    await harness.simulator.step(30)
    last = (await client.read())[-1]
    truth = await harness.get(
        "/control/ledger/book", venue="binance", symbol="BTC-USDT", at=last["data"]["lastUpdateId"]
    )
    assert last["stream"] == "btcusdt@depth20@100ms"
    assert (last["data"]["bids"], last["data"]["asks"]) == (truth["bids"][:20], truth["asks"][:20])


async def test_combined_and_raw_connections_get_the_same_data(harness: Harness) -> None:
    raw = await harness.connect("/binance/ws/btcusdt@trade")
    combined = await harness.connect("/binance/stream?streams=btcusdt@trade")
    await harness.simulator.step(60)
    plain, wrapped = await raw.read(), await combined.read()
    assert plain
    assert wrapped == [{"stream": "btcusdt@trade", "data": event} for event in plain]


async def test_subscriptions_are_acknowledged_listed_and_ended(harness: Harness) -> None:
    client = await harness.connect("/binance/ws")
    assert await client.subscribe("btcusdt@trade", "nosuch@trade") == [{"result": None, "id": 1}]
    await client.send(method="LIST_SUBSCRIPTIONS", id="mine")
    assert await client.read() == [{"result": ["btcusdt@trade", "nosuch@trade"], "id": "mine"}]
    await client.send(method="UNSUBSCRIBE", params=["btcusdt@trade"], id=2)
    assert await client.read() == [{"result": None, "id": 2}]
    await harness.simulator.step(60)
    assert await client.read() == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{oops", 3),
        ('{"method":"NOPE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["speed",true],"id":1}', 0),
        ('{"method":"SET_PROPERTY","params":["combined",3],"id":1}', 2),
    ],
)
async def test_a_wrong_request_is_answered_with_code_and_message(harness: Harness, text: str, code: int) -> None:
    client = await harness.connect("/binance/ws")
    await client.ws.send_str(text)
    answer = (await client.read())[0]
    assert answer["code"] == code
    assert answer["msg"]


async def test_the_sixth_message_in_a_second_ends_the_connection(start: Start) -> None:
    async with start(limits={"binance.messages_per_second": 5}) as harness:
        client = await harness.connect("/binance/ws")
        for number in range(5):
            await client.send(method="LIST_SUBSCRIPTIONS", id=number)
        assert [(await client.ws.receive_json())["id"] for _ in range(5)] == [0, 1, 2, 3, 4]
        await client.ws.pong(b"")  # pongs count too
        assert (await client.ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        assert client.ws.close_code == 1008


async def test_more_streams_or_connections_than_allowed_are_refused(start: Start) -> None:
    async with start(limits={"binance.streams": 2, "binance.connects": 2}) as harness:
        client = await harness.connect("/binance/ws")
        answer = (await client.subscribe("a@trade", "b@trade", "c@trade"))[0]
        assert "more than 2 streams" in answer["msg"]
        await harness.connect("/binance/ws")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
            await harness.connect("/binance/ws")


async def test_the_server_pings_and_drops_who_does_not_answer(start: Start) -> None:
    limits = {"binance.ping_interval": 0.01, "binance.pong_deadline": 0.15}
    async with start(limits=limits) as harness:
        silent = await harness.connect("/binance/ws", autoping=False)
        message = await silent.ws.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.PING
        assert message.data.isdigit()
        for _ in range(100):
            await silent.ws.pong(b"unsolicited")
            message = await silent.ws.receive(timeout=5)
            if message.type is not aiohttp.WSMsgType.PING:
                break
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert await harness.ended() == ["no pong"]


async def test_who_answers_pings_stays_and_gets_its_own_pings_answered(start: Start) -> None:
    limits = {"binance.ping_interval": 0.01, "binance.pong_deadline": 0.15}
    async with start(limits=limits) as harness:
        client = await harness.connect("/binance/ws", autoping=False)
        (connection,) = harness.simulator.venues["binance"].connections.values()
        for _ in range(3):
            ping = await client.ws.receive(timeout=5)
            assert ping.type is aiohttp.WSMsgType.PING
            await client.ws.ping(b"mine")
            await client.ws.pong(ping.data)
            answer = await client.ws.receive(timeout=5)
            assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, b"mine")
        await client.read()  # the last pong has arrived
        assert connection.pings == set()


async def test_a_connection_ends_with_its_lifetime(start: Start) -> None:
    async with start(limits={"binance.lifetime": 0.0}) as harness:
        client = await harness.connect("/binance/ws")
        assert (await client.ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
        assert client.ws.close_code == 1001


async def test_a_shutdown_is_announced_to_every_connection(harness: Harness) -> None:
    raw, combined = await harness.connect("/binance/ws"), await harness.connect("/binance/stream")
    assert await harness.post("/control/shutdown-notice", venue="binance") == {"connections": 2}
    assert (await raw.read())[0]["e"] == "serverShutdown"
    assert (await combined.read())[0]["stream"] == "!serverShutdown"
    assert "no shutdown" in (await harness.post("/control/shutdown-notice", venue="kraken"))["error"]


async def test_exchange_info_lists_what_trades_with_its_limits(harness: Harness) -> None:
    info = await harness.get("/binance/api/v3/exchangeInfo")
    assert [(s["symbol"], s["baseAsset"], s["quoteAsset"], s["status"]) for s in info["symbols"]] == [
        ("BTCUSDT", "BTC", "USDT", "TRADING"),
        ("ETHUSDT", "ETH", "USDT", "TRADING"),
    ]
    filters = {one["filterType"]: one for one in info["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert ("REQUEST_WEIGHT", 6000) in {(one["rateLimitType"], one["limit"]) for one in info["rateLimits"]}


async def test_each_request_costs_its_weight(harness: Harness) -> None:
    used = []
    for path, params in (
        ("ping", {}),
        ("time", {}),
        ("exchangeInfo", {}),
        ("depth", {"symbol": "BTCUSDT"}),
        ("depth", {"symbol": "BTCUSDT", "limit": 500}),
        ("depth", {"symbol": "BTCUSDT", "limit": 1000}),
        ("depth", {"symbol": "BTCUSDT", "limit": 5000}),
        ("trades", {"symbol": "BTCUSDT"}),
        ("aggTrades", {"symbol": "BTCUSDT"}),
    ):
        _, headers, _ = await harness.reply(f"/binance/api/v3/{path}", **params)
        used.append(int(headers["X-MBX-USED-WEIGHT-1M"]))
    assert [b - a for a, b in pairwise([0, *used])] == [1, 1, 20, 5, 25, 50, 250, 25, 4]


async def test_too_much_weight_is_429_and_asking_on_is_418(start: Start) -> None:
    async with start(limits={"binance.weight": 2, "binance.patience": 2}) as harness:
        replies = [await harness.reply("/binance/api/v3/ping") for _ in range(5)]
        assert [status for status, _, _ in replies] == [200, 200, 429, 429, 418]
        assert all(int(headers["Retry-After"]) > 0 for status, headers, _ in replies if status != 200)
        assert json.loads(replies[-1][2])["code"] == -1003


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -1102),
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": "btcusdt"}, -1121),
        ({"symbol": "BTCUSDT", "limit": "x"}, -1100),
    ],
)
async def test_a_wrong_depth_request_has_binances_error(harness: Harness, params: dict[str, str], code: int) -> None:
    status, _, text = await harness.reply(DEPTH, **params)
    assert status == 400
    assert json.loads(text)["code"] == code


async def test_depth_is_bounded_by_its_limit(harness: Harness) -> None:
    for asked, got in ((5, 5), (1000, 1000), (9999, 5000)):
        depth = await harness.get(DEPTH, symbol="BTCUSDT", limit=asked)
        assert (len(depth["bids"]), len(depth["asks"])) == (got, got)


async def test_lost_trades_can_be_fetched_again_by_their_ids(harness: Harness) -> None:
    await harness.simulator.step(600)
    ledger = harness.simulator.ledger("binance", "BTC-USDT")
    first = ledger.first_trade_id + 10
    rows = await harness.get("/binance/api/v3/historicalTrades", symbol="BTCUSDT", fromId=first, limit=20)
    assert [row["id"] for row in rows] == list(range(first, first + 20))
    newest = await harness.get("/binance/api/v3/trades", symbol="BTCUSDT", limit=3)
    assert [row["id"] for row in newest] == [ledger.last_trade_id - n for n in (2, 1, 0)]
    aggregate = ledger.trades(first)[0].aggregate
    rows = await harness.get("/binance/api/v3/aggTrades", symbol="BTCUSDT", fromId=aggregate, limit=5)
    assert [row["a"] for row in rows] == list(range(aggregate, aggregate + 5))
    start, end = rows[1]["T"], rows[3]["T"]
    rows = await harness.get("/binance/api/v3/aggTrades", symbol="BTCUSDT", startTime=start, endTime=end)
    assert {row["a"] for row in rows} >= {aggregate + 1, aggregate + 3}
    assert all(start <= row["T"] <= end for row in rows)


async def test_in_running_mode_diffs_gather_for_their_time_and_the_rest_comes_when_it_stops(start: Start) -> None:
    now = [0.0]
    async with start(rate=2000, clock=Clock(mono=lambda: now[0])) as harness:
        client = await harness.connect("/binance/ws/btcusdt@depth@100ms")
        now[0] = 0.05  # 100 steps
        first = await client.ws.receive_json(timeout=5)
        now[0] = 0.09  # some 80 more, and not yet 100 ms
        for _ in range(5000):
            if harness.simulator.driver.steps > 170:
                break
            await asyncio.sleep(0.001)
        assert await client.read() == []
        assert await harness.post("/control/market", running=False) == {"running": False, "undelivered": 0}
        (second,) = await client.read()
        assert second["U"] == first["u"] + 1
        assert first["u"] - first["U"] > 20
        assert second["u"] == harness.simulator.ledger("binance", "BTC-USDT").book_now()[1]


async def ledger_trades(harness: Harness) -> list[Any]:
    rows: list[Any] = (await harness.get("/control/ledger/trades", **BTC))["trades"]
    return rows


async def test_every_second_has_one_closed_candle_and_it_is_the_trades(harness: Harness) -> None:
    client = await harness.connect("/binance/stream?streams=btcusdt@kline_1s/btcusdt@kline_1m")
    await harness.simulator.step(1250, "binance", "BTC-USDT")
    got = [one["data"] for one in await client.read()]
    bars = candles(await ledger_trades(harness), 1)
    closed = {one["k"]["t"]: one["k"] for one in got if one["k"]["x"]}
    assert len([one for one in got if one["k"]["x"]]) == len(closed) == 12
    for begin, kline in closed.items():
        bar = bars[begin]
        assert [Decimal(kline[key]) for key in "ohlcv"] == [
            bar[key] for key in ("open", "high", "low", "close", "volume")
        ]
        assert (kline["f"], kline["L"], kline["n"]) == (bar["first"], bar["last"], bar["count"])
        assert (kline["T"], kline["i"], kline["s"]) == (begin + 999, "1s", "BTCUSDT")
    minute = [one["k"] for one in got if one["k"]["i"] == "1m"]
    assert not any(kline["x"] for kline in minute)
    assert minute[-1]["n"] == len(await ledger_trades(harness))
    last: dict[int, Any] = {}
    for one in (one["k"] for one in got if one["k"]["i"] == "1s"):
        assert last.setdefault(one["t"], {"x": False})["x"] is False, "a closed candle was told again"
        last[one["t"]] = one


async def test_klines_of_rest_are_the_same_candles(harness: Harness) -> None:
    await harness.simulator.step(1250, "binance", "BTC-USDT")
    bars = candles(await ledger_trades(harness), 1)
    rows = await harness.get("/binance/api/v3/klines", symbol="BTCUSDT", interval="1s")
    assert [(row[0], Decimal(row[1]), Decimal(row[2]), Decimal(row[3]), Decimal(row[4]), row[8]) for row in rows] == [
        (begin, bar["open"], bar["high"], bar["low"], bar["close"], bar["count"]) for begin, bar in bars.items()
    ]
    assert {len(row) for row in rows} == {12}
    some = await harness.get("/binance/api/v3/klines", symbol="BTCUSDT", interval="1s", startTime=rows[3][0], limit=2)
    assert some == rows[3:5]
    assert (await harness.get("/binance/api/v3/klines", symbol="BTCUSDT", interval="7m"))["code"] == -1120
    assert (await harness.get("/binance/api/v3/klines", symbol="BTCUSDT"))["code"] == -1102


async def test_the_ticker_counts_the_trades_and_rest_says_the_same(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@ticker")
    await harness.simulator.step(400, "binance", "BTC-USDT")
    last, rows = (await client.read())[-1], await ledger_trades(harness)
    prices = [Decimal(row["price"]) for row in rows]
    assert last["e"] == "24hrTicker"
    assert (Decimal(last["h"]), Decimal(last["c"]), last["n"]) == (max(prices), prices[-1], len(rows))
    assert Decimal(last["v"]) == sum(Decimal(row["size"]) for row in rows)
    assert (last["F"], last["L"]) == (rows[0]["id"], rows[-1]["id"])
    assert set(last) == set("eEspPwxcQbBaAohlvqOCFLn")
    rest = await harness.get("/binance/api/v3/ticker/24hr", symbol="BTCUSDT")
    assert (rest["lastPrice"], rest["volume"], rest["count"]) == (last["c"], last["v"], last["n"])
    assert len(await harness.get("/binance/api/v3/ticker/24hr")) == 2


async def test_tickers_and_candles_are_sent_as_often_as_their_stream_says(harness: Harness) -> None:
    client = await harness.connect("/binance/stream?streams=btcusdt@ticker/btcusdt@kline_1m")
    await client.read()
    venue, heard = harness.simulator.venues["binance"], []
    for now in (0.1, 0.6, 1.2, 2.15, 2.25):
        for _ in range(100):
            venue.advance("BTC-USDT")
        venue.flush(now)
        heard.append(sorted(one["stream"].partition("@")[2] for one in await client.read()))
    assert heard == [["kline_1m", "ticker"], [], ["ticker"], ["kline_1m"], ["ticker"]]


async def test_a_market_that_is_halted_or_delisted_is_silent_and_exchange_info_says_so(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@trade")
    seen = []
    for listing in ("halted", "trading", "delisted"):
        await harness.post("/control/listing", **BTC, status=listing)
        await harness.simulator.step(100, "binance", "BTC-USDT")
        info = await harness.get("/binance/api/v3/exchangeInfo", symbol="BTCUSDT")
        seen.append((info["symbols"][0]["status"], bool(await client.read())))
    assert seen == [("HALT", False), ("TRADING", True), ("BREAK", False)]


async def test_system_status_is_the_venues(harness: Harness) -> None:
    assert await harness.get("/binance/sapi/v1/system/status") == {"status": 0, "msg": "normal"}
    await harness.post("/control/status", venue="binance", status="maintenance")
    assert await harness.get("/binance/sapi/v1/system/status") == {"status": 1, "msg": "system_maintenance"}
