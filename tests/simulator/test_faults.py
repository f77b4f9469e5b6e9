"""Each fault does what it says, to what it names, as often as it says; and the ledger stays true."""

import json
import ssl

import aiohttp
import pytest

from simulator.clock import Clock
from tests.simulator.conftest import BTC, Harness, Json, Start, applied, fault, gaps, step, trades

CLOSED = (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_drop_loses_the_next_frames_and_names_the_ids(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "drop", **BTC, channel="trades", count=2, after=1)
    await step(harness)
    ids = [one["t"] for one in await client.read()]
    assert gaps(ids) == [(ids[0] + 1, ids[0] + 2)]
    record = (await applied(harness))[0]
    assert (record["kind"], record["ids"], record["first"], record["last"]) == ("drop", "trade", ids[0] + 1, ids[0] + 2)
    assert record["strikes"] == 2
    assert harness.simulator.ledger("binance", "BTC-USDT").last_trade_id == ids[-1]


async def test_a_fault_strikes_only_what_it_names(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@trade/ethusdt@trade/btcusdt@bookTicker")
    await fault(harness, "drop", **BTC, channel="trades", count=1000)
    await harness.simulator.step(300)
    events = await client.read()
    assert {one["s"] for one in events if one.get("e") == "trade"} == {"ETHUSDT"}
    assert {one["s"] for one in events if "e" not in one} == {"BTCUSDT"}


async def test_what_nobody_subscribed_to_uses_up_no_fault(harness: Harness) -> None:
    await fault(harness, "drop", venue="binance")
    await step(harness)
    assert (await harness.get("/control/faults"))["active"][0]["left"] == 1


async def test_duplicate_sends_a_frame_twice(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "duplicate", **BTC)
    await step(harness)
    events = await client.read()
    assert events[0] == events[1]
    assert events[1] != events[2]


async def test_reorder_sends_a_frame_after_the_next_of_its_stream(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "reorder", **BTC)
    await step(harness)
    ids = [one["t"] for one in await client.read()]
    assert ids[:2] == [min(ids) + 1, min(ids)]
    assert ids[2:] == list(range(min(ids) + 2, min(ids) + len(ids)))


async def test_reorder_counts_each_swap_once(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "reorder", **BTC, count=2)
    await step(harness, 120)
    ids = [one["t"] - harness.simulator.ledger("binance", "BTC-USDT").first_trade_id for one in await client.read()]
    assert ids[:6] == [1, 0, 3, 2, 4, 5]


async def test_stall_sends_nothing_while_the_socket_lives_and_until_it_is_lifted(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "stall", venue="binance")
    await step(harness)
    assert await client.read() == []
    async with harness.session.delete(f"{harness.simulator.http_url}/control/faults") as reply:
        assert await reply.json() == {"cleared": 1}
    await step(harness)
    assert (await client.read())[0]["t"] > harness.simulator.ledger("binance", "BTC-USDT").first_trade_id
    assert (await applied(harness))[0]["strikes"] > 1


@pytest.mark.parametrize(("more", "heard"), [({}, False), ({"heartbeats": True}, True), ({"channel": "book"}, True)])
async def test_a_stall_of_a_whole_venue_takes_its_heartbeats_along_unless_told(
    start: Start, more: Json, heard: object
) -> None:
    async with start(limits={"kraken.heartbeat": 0.0}) as harness:
        client = await harness.connect("/kraken/v2")
        await client.follow("trade", "BTC/USD")
        await fault(harness, "stall", venue="kraken", **more)
        await client.read()
        venue = harness.simulator.venues["kraken"]
        for connection in venue.connections.values():
            venue.keep(connection, harness.simulator.world.clock.mono())
        assert bool(await client.read()) is heard


async def test_seconds_end_a_fault(start: Start) -> None:
    now = [0.0]
    async with start(clock=Clock(mono=lambda: now[0])) as harness:
        client = await trades(harness)
        await fault(harness, "stall", venue="binance", seconds=5)
        now[0] = 4.9
        await step(harness)
        assert await client.read() == []
        now[0] = 5.0
        await step(harness)
        assert await client.read()


@pytest.mark.parametrize("code", [1001, 1012])
async def test_close_ends_connections_with_its_code(harness: Harness, code: int) -> None:
    client, other = await trades(harness), await harness.connect("/binance/ws/ethusdt@trade")
    assert (await fault(harness, "close", **BTC, code=code))["connections"] == 1
    assert (await client.ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert client.ws.close_code == code
    assert await other.read() == []


async def test_an_abrupt_close_has_no_close_frame(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "close", venue="binance", abrupt=True)
    assert (await client.ws.receive(timeout=5)).type in CLOSED
    assert client.ws.close_code == 1006


async def test_refuse_answers_upgrades_with_503_or_cuts_them(harness: Harness) -> None:
    await fault(harness, "refuse", venue="binance", count=1)
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        await trades(harness)
    await fault(harness, "refuse", venue="binance", how="abort")
    with pytest.raises(aiohttp.ClientConnectionError):
        await trades(harness)
    harness.simulator.world.faults.clear()
    await trades(harness)
    await harness.connect("/kraken/v2")


async def test_refuse_listen_closes_the_ports_for_a_while(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "refuse", how="listen", seconds=0.05)
    simulator, failures = harness.simulator, 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        for _ in range(2000):
            try:
                async with session.get(f"{simulator.http_url}/binance/api/v3/ping") as reply:
                    assert reply.status == 200
                    if failures:
                        break
            except aiohttp.ClientConnectionError:
                failures += 1
    assert failures
    await step(harness)
    assert await client.read()


@pytest.mark.parametrize(
    ("status", "code"), [(429, -1003), (418, -1003), (451, 0), (503, -1008), (500, -1000), (403, None)]
)
async def test_http_fails_a_rest_request_as_binance_would(harness: Harness, status: int, code: int | None) -> None:
    await fault(harness, "http", venue="binance", status=status, retry_after=7, endpoint="depth")
    assert (await harness.reply("/binance/api/v3/ping"))[0] == 200
    got, headers, text = await harness.reply("/binance/api/v3/depth", symbol="BTCUSDT")
    assert got == status
    assert headers["Retry-After"] == "7"
    assert (json.loads(text)["code"] if code is not None else text) in (code, "<html>403 Forbidden</html>")
    assert (await harness.reply("/binance/api/v3/depth", symbol="BTCUSDT"))[0] == 200


async def test_http_fails_kraken_with_an_error_in_a_200_and_upgrades_with_a_status(harness: Harness) -> None:
    await fault(harness, "http", venue="kraken", status=200, error="EService:Unavailable", endpoint="Depth")
    body = await harness.get("/kraken/0/public/Depth", pair="XBTUSD")
    assert body == {"error": ["EService:Unavailable"]}
    await fault(harness, "http", venue="kraken", status=451, endpoint="ws")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="451"):
        await harness.connect("/kraken/v2")


@pytest.mark.parametrize(
    ("channel", "venue", "path"),
    [
        ("book", "binance", "/binance/api/v3/depth?symbol=BTCUSDT"),
        ("candles", "binance", "/binance/api/v3/klines?symbol=BTCUSDT&interval=1m"),
        ("tickers", "binance", "/binance/api/v3/ticker/24hr?symbol=BTCUSDT"),
        ("instruments", "binance", "/binance/api/v3/exchangeInfo"),
        ("status", "kraken", "/kraken/0/public/SystemStatus"),
        ("candles", "kraken", "/kraken/0/public/OHLC?pair=XBTUSD"),
    ],
)
async def test_a_fault_on_rest_may_name_the_channel_instead_of_the_endpoint(
    harness: Harness, channel: str, venue: str, path: str
) -> None:
    await fault(harness, "http", venue=venue, status=500, channel=channel, count=2)
    assert (await harness.reply(path))[0] == 500
    assert (await harness.reply({"binance": "/binance/api/v3/ping", "kraken": "/kraken/0/public/Time"}[venue]))[
        0
    ] == 200
    assert (await harness.reply(path))[0] == 500
    assert (await harness.reply(path))[0] == 200


async def test_slow_delays_frames_and_replies(start: Start) -> None:
    async with start() as harness:
        mono = harness.simulator.world.clock.mono
        client = await trades(harness)
        await fault(harness, "slow", **BTC, ms=60)
        began = mono()
        await step(harness, 20)
        assert mono() - began >= 0.06
        assert gaps([one["t"] for one in await client.read()]) == []
        await fault(harness, "slow", venue="binance", ms=60, endpoint="ping")
        began = mono()
        await harness.get("/binance/api/v3/ping")
        assert mono() - began >= 0.06


async def test_strange_frames_come_beside_the_real_ones(harness: Harness) -> None:
    client = await trades(harness)
    for kind, more in (("malformed", {}), ("unknown_type", {}), ("oversized", {"bytes": 70_000}), ("binary", {})):
        await fault(harness, kind, **BTC, after=0, **more)
    await step(harness)
    texts = await client.read_text()
    strange, real = texts[:4], texts[4:]
    assert max(len(one) for one in strange) == 70_000
    assert sum(one == "<binary>" for one in strange) == 1
    assert sum(one.startswith("<html>") for one in strange) == 1
    assert sum(one.startswith('{"e":"simulatedUnknownEvent"') for one in strange) == 2
    assert gaps([json.loads(one)["t"] for one in real]) == []
    assert json.loads(real[0])["t"] == harness.simulator.ledger("binance", "BTC-USDT").first_trade_id


async def test_clock_skew_moves_the_venues_times_but_not_the_truth(harness: Harness) -> None:
    client = await trades(harness)
    await fault(harness, "clock_skew", venue="binance", ms=-4000)
    await step(harness)
    first = (await client.read())[0]
    truth = harness.simulator.ledger("binance", "BTC-USDT").trades()[0]
    assert first["T"] == truth.ts_us // 1000 - 4000
    assert (await harness.get("/binance/api/v3/time"))["serverTime"] == harness.simulator.venues[
        "binance"
    ].now_us() // 1000
    assert (await harness.get("/kraken/0/public/Time"))["result"]["unixtime"] >= 1_767_225_600


@pytest.mark.parametrize("how", ["expired", "untrusted", "wrong_host"])
async def test_a_bad_certificate_is_refused_by_a_client_that_checks(start: Start, how: str) -> None:
    async with start(tls=True) as harness:
        simulator = harness.simulator
        assert simulator.ca_file is not None
        trust = ssl.create_default_context(cafile=str(simulator.ca_file))
        connector = aiohttp.TCPConnector(ssl=trust, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            url = f"{simulator.https_url}/binance/api/v3/ping"
            await fault(harness, "bad_certificate", how=how, count=1)
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(url)
            async with session.get(url) as reply:
                assert reply.status == 200
            async with session.ws_connect(f"{simulator.wss_url}/kraken/v2") as ws:
                assert (await ws.receive_json())["channel"] == "status"


async def test_rest_stale_answers_with_an_older_book(harness: Harness) -> None:
    await step(harness, 300)
    now = (await harness.get("/binance/api/v3/depth", symbol="BTCUSDT"))["lastUpdateId"]
    await fault(harness, "rest_stale", **BTC, behind=100)
    old = await harness.get("/binance/api/v3/depth", symbol="BTCUSDT")
    assert old["lastUpdateId"] == now - 100
    truth = await harness.get("/control/ledger/book", venue="binance", symbol="BTC-USDT", at=now - 100)
    assert old["bids"] == truth["bids"][:100]


@pytest.mark.parametrize("venue", ["binance", "kraken"])
async def test_ack_without_data_acknowledges_and_sends_nothing(harness: Harness, venue: str) -> None:
    await fault(harness, "ack_without_data", venue=venue, channel="trades")
    if venue == "binance":
        client = await harness.connect("/binance/ws")
        assert await client.subscribe("btcusdt@trade") == [{"result": None, "id": 1}]
    else:
        client = await harness.connect("/kraken/v2")
        assert (await client.follow("trade", "BTC/USDT", snapshot=True))[1]["success"] is True
    await harness.simulator.step(200)
    assert await client.read() == []
    await (client.subscribe("btcusdt@trade") if venue == "binance" else client.follow("trade", "BTC/USDT"))
    await harness.simulator.step(200)
    assert await client.read()


async def test_reject_subscribe_answers_with_an_error(harness: Harness) -> None:
    await fault(harness, "reject_subscribe", venue="binance", message="not today")
    client = await harness.connect("/binance/ws")
    assert (await client.subscribe("btcusdt@trade"))[0]["msg"] == "Invalid request: not today"
    await fault(harness, "reject_subscribe", venue="kraken", symbol="BTC-USD")
    other = await harness.connect("/kraken/v2")
    answers = [one for one in await other.follow("book", "BTC/USDT", "BTC/USD") if "method" in one]
    assert [one["success"] for one in answers] == [True, False]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "dropp", "venue": "binance"}, "did you mean 'drop'"),
        ({"kind": "drop", "venue": "binanse"}, "did you mean 'binance'"),
        ({"kind": "drop", "venue": "binance", "symbol": "BTC-USDC"}, "did you mean 'BTC-USDT'"),
        ({"kind": "drop", "venue": "binance", "channel": "trade"}, "did you mean 'trades'"),
        ({"kind": "drop", "venue": "binance", "cuont": 2}, "did you mean 'count'"),
        ({"kind": "drop", "venue": "binance", "count": 0}, "at least 1"),
        ({"kind": "drop"}, "needs a venue"),
        ({"kind": "corrupt", "venue": "binance"}, "needs 'how'"),
        ({"kind": "corrupt", "venue": "binance", "how": "chksum"}, "did you mean 'checksum'"),
        ({"kind": "corrupt", "venue": "binance", "how": "checksum"}, "nothing that corrupt"),
        ({"kind": "corrupt", "venue": "kraken", "channel": "book", "how": "sequence"}, "nothing that corrupt"),
        ({"kind": "refuse", "how": "listen"}, "needs seconds"),
        ({"kind": "slow", "venue": "binance", "ms": "5"}, "whole number"),
        ({"kind": "stall", "venue": "binance", "seconds": -1}, "above 0"),
        ({"kind": "drop", "venue": "binance", "of": "delta"}, "snapshot or update"),
    ],
)
async def test_a_wrong_fault_is_refused_with_the_nearest_valid_name(harness: Harness, body: Json, words: str) -> None:
    assert words in (await harness.post("/control/faults", **body))["error"]


async def test_a_fault_can_choose_snapshots_alone(harness: Harness) -> None:
    await fault(harness, "drop", venue="kraken", channel="book", of="snapshot")
    client = await harness.connect("/kraken/v2")
    assert not [
        one for one in await client.follow("book", "BTC/USD") if one.get("type") == "snapshot" and "data" in one
    ]
    await harness.simulator.step(30, "kraken", "BTC-USD")
    assert {one["type"] for one in await client.read()} == {"update"}


async def test_a_frame_that_is_held_back_is_never_sent_to_another_venues_subscribers(start: Start) -> None:
    both = {"venues": ("binance", "binance_usdm"), "symbols": ("BTC-USDT", "BTC-USDT-PERP")}
    async with start(**both) as harness:
        spot = await harness.connect("/binance/ws/btcusdt@trade")
        perpetual = await harness.connect("/binance_usdm/public/ws/btcusdt@trade")
        await fault(harness, "reorder", **BTC, channel="trades", count=20)
        await harness.simulator.step(300)
        mine, others = await spot.read(), await perpetual.read()
    assert len(mine) > 1 < len(others)
    for ids in ([one["t"] for one in mine], [one["t"] for one in others]):
        assert sorted(ids) == list(range(min(ids), max(ids) + 1))
