"""Coinbase Advanced Trade as a client meets it, in step mode."""

import json
from decimal import Decimal

import pytest

from simulator.coinbase.corrupt import EDITS
from tests.recordings import lines, recording
from tests.simulator.coinbase_client import (
    BTC,
    ETH,
    CoinbaseBook,
    CoinbaseClient,
    coinbase,
    connect,
    events,
    micros,
    numbers,
    rest,
    truth,
    venue,
)
from tests.simulator.conftest import Harness, Json, Start, fault

CHANNELS = ("level2", "market_trades", "ticker", "ticker_batch", "candles", "status")


async def trades(harness: Harness, symbol: str = BTC) -> list[Json]:
    found: list[Json] = (await harness.get("/control/ledger/trades", venue="coinbase", symbol=symbol))["trades"]
    return found


async def test_every_frame_of_a_connection_has_the_next_number_control_frames_too(start: Start) -> None:
    async with coinbase(start) as harness:
        clients = [await connect(harness), await connect(harness, "/coinbase/ws")]
        got: list[list[Json]] = [[], await clients[1].subscribe("market_trades", BTC)]
        for channel in (*CHANNELS, "heartbeats"):
            got[0] += await clients[0].subscribe(channel, BTC, ETH)
        await harness.simulator.step(100)
        for connection in venue(harness).connections.values():
            venue(harness).keep(connection, harness.simulator.world.clock.mono())
        for index, client in enumerate(clients):
            got[index] += await client.read()
            assert numbers(got[index]) == list(range(len(got[index])))
        assert {one["channel"] for one in got[0]} == {"l2_data", *CHANNELS[1:], "heartbeats", "subscriptions"}
        assert len(got[1]) < len(got[0])


async def test_a_lost_frame_leaves_a_hole_on_the_sockets_that_were_to_get_it_and_on_no_other(start: Start) -> None:
    async with coinbase(start) as harness:
        both, eth = await connect(harness), await connect(harness)
        got = await both.subscribe("level2", BTC, ETH)
        others = await eth.subscribe("level2", ETH)
        await fault(harness, "drop", venue="coinbase", symbol=BTC, channel="book", count=2)
        await harness.simulator.step(30)
        got += await both.read()
        others += await eth.read()
        missing = set(range(numbers(got)[-1])) - set(numbers(got))
        assert len(missing) == 2
        assert numbers(others) == list(range(len(others)))


async def test_other_faults_number_as_an_exchange_would(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await client.subscribe("level2", BTC)
        seen = []
        for kind, more in (("duplicate", {}), ("reorder", {}), ("unknown_type", {}), ("oversized", {"bytes": 3000})):
            await fault(harness, kind, venue="coinbase", channel="book", **more)
            await harness.simulator.step(3, "coinbase", BTC)
            got = numbers(await client.read())
            seen.append([one - min(got) for one in got])
        assert seen == [[0, 0, 1, 2], [1, 0, 2], [0, 1, 2, 3], [0, 1, 2, 3]]
        await fault(harness, "malformed", venue="coinbase", channel="book")
        await harness.simulator.step(2, "coinbase", BTC)
        texts = await client.read_text()
        assert texts[0].startswith("<html>")
        first, second = numbers([json.loads(text) for text in texts[1:]])
        assert second == first + 1


async def test_a_naive_client_has_the_ledgers_book_at_every_event_time(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        messages = await client.subscribe("level2", BTC, "BTC-USDT")
        await harness.simulator.step(60)
        messages += await client.read()
        books, times = {BTC: CoinbaseBook(), "BTC-USDT": CoinbaseBook()}, []
        for event in events(messages, "l2_data"):
            symbol = event["product_id"]
            time = micros(books[symbol].apply(event))
            times.append((symbol, time))
            assert books[symbol].levels() == await truth(harness, symbol, time)
        assert len(set(times)) == len(times) == 2 + 40
        for symbol, book in books.items():
            assert book.levels() == await truth(harness, symbol)


async def subscriptions(client: CoinbaseClient) -> Json:
    """What the venue says is subscribed; a heartbeat may come first."""
    [answer] = [one for one in await client.read() if one["channel"] == "subscriptions"]
    return answer["events"][0]["subscriptions"]


async def test_the_snapshot_comes_before_its_acknowledgement_which_lists_all_subscriptions(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        assert [one["channel"] for one in await client.subscribe("heartbeats")] == ["subscriptions"]
        got = await client.subscribe("level2", BTC, ETH)
        assert [one["channel"] for one in got] == ["l2_data", "l2_data", "subscriptions"]
        assert got[-1]["events"] == [{"subscriptions": {"heartbeats": ["heartbeats"], "level2": [BTC, ETH]}}]
        await client.send("unsubscribe", "level2", ETH)
        assert (await subscriptions(client))["level2"] == [BTC]
        await client.send("unsubscribe", "level2")
        assert "level2" not in await subscriptions(client)
        await harness.simulator.step(30)
        assert await client.read() == []


async def test_a_trade_has_the_makers_side_and_the_newest_stands_first(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await harness.simulator.step(300, "coinbase", BTC)
        old = await trades(harness)
        (snapshot,) = events(await client.subscribe("market_trades", BTC), "market_trades")
        assert [int(one["trade_id"]) for one in snapshot["trades"]] == [one["id"] for one in old[:-51:-1]]
        await harness.simulator.step(100, "coinbase", BTC)
        told = [event["trades"] for event in events(await client.read(), "market_trades")]
        ids = [[int(one["trade_id"]) for one in rows] for rows in told]
        assert ids == [sorted(one, reverse=True) for one in ids]
        new = {int(one["trade_id"]): one for rows in told for one in rows}
        true = (await trades(harness))[len(old) :]
        assert sorted(new) == [one["id"] for one in true]
        for one in true:
            row = new[one["id"]]
            assert row["side"] == {"buy": "SELL", "sell": "BUY"}[one["side"]]
            assert (Decimal(row["price"]), Decimal(row["size"])) == (Decimal(one["price"]), Decimal(one["size"]))
            assert (micros(row["time"]), row["product_id"]) == (one["ts_us"], BTC)


async def test_a_ticker_comes_with_each_match_and_the_batched_one_has_no_best_prices(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await client.subscribe("ticker", BTC)
        await client.subscribe("ticker_batch", BTC)
        await client.subscribe("market_trades", BTC)
        await harness.simulator.step(100, "coinbase", BTC)
        got = await client.read()
        ticks = [event["tickers"][0] for event in events(got, "ticker")]
        matches = [event["trades"] for event in events(got, "market_trades")]
        assert [one["price"] for one in ticks] == [rows[0]["price"] for rows in matches]
        batched = events(got, "ticker_batch")[-1]["tickers"][0]
        assert set(ticks[-1]) - set(batched) == {
            "best_bid",
            "best_bid_quantity",
            "best_ask",
            "best_ask_quantity",
        }
        assert Decimal(batched["volume_24_h"]) == sum(Decimal(one["size"]) for one in await trades(harness))


async def test_candles_have_no_closed_mark_and_the_last_state_of_each_equals_its_trades(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await client.subscribe("candles", BTC)
        market = venue(harness).markets[BTC]
        for _ in range(40):
            market.ts_us += 30_000_000  # half a minute on
            for _ in range(3):
                venue(harness).advance(BTC)  # nothing is sent of an open candle: as between two seconds
        last: dict[int, Json] = {}
        begins = []
        for event in events(await client.read(), "candles"):
            for row in event["candles"]:
                begins.append(int(row["start"]))
                last[begins[-1]] = row
        assert begins == sorted(begins)
        assert len(last) >= 3
        true = await trades(harness)
        for begin, row in last.items():
            fills = [one for one in true if begin <= one["ts_us"] // 1_000_000 < begin + 300]
            prices = [Decimal(one["price"]) for one in fills]
            assert [Decimal(row[name]) for name in ("open", "high", "low", "close")] == [
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
            ]
            assert Decimal(row["volume"]) == sum(Decimal(one["size"]) for one in fills)
            assert set(row) == {"start", "high", "low", "open", "close", "volume", "product_id"}


async def test_status_tells_of_a_product_that_is_halted_delisted_or_new(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        first = events(await client.subscribe("status"), "status")
        assert [(one["type"], one["products"][0]["id"], one["products"][0]["status"]) for one in first] == [
            ("snapshot", symbol, "online") for symbol in (BTC, ETH, "BTC-USDT")
        ]
        told = []
        for listing in ("halted", "delisted", "trading"):
            await harness.post("/control/listing", venue="coinbase", symbol=ETH, status=listing)
            told += [one["products"][0]["status"] for one in events(await client.read(), "status")]
        assert told == ["offline", "delisted", "online"]
        answer = await harness.post("/control/listing", venue="coinbase", symbol="SOL-USD", status="trading")
        assert "SOL-USD" in answer["listings"]
        assert [one["channel"] for one in await client.subscribe("level2", "SOL-USDC")] == ["l2_data", "subscriptions"]


async def test_two_names_of_a_pair_are_one_stream_until_both_are_given_up(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await client.subscribe("level2", BTC)
        (answer,) = await client.subscribe("level2", "BTC-USDC")
        assert answer["events"] == [{"subscriptions": {"level2": [BTC, "BTC-USDC"]}}]
        counts = []
        for product in (BTC, "BTC-USDC"):
            await harness.simulator.step(10, "coinbase", BTC)
            counts.append(len(events(await client.read(), "l2_data")))
            await client.send("unsubscribe", "level2", product)
            await client.read()
        await harness.simulator.step(10, "coinbase", BTC)
        assert await client.read() == []
        assert min(counts) > 5


async def test_a_usdc_pair_is_another_name_of_the_usd_pair(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        got = await client.subscribe("level2", "BTC-USDC")
        assert got[0]["events"][0]["product_id"] == BTC
        assert got[1]["events"] == [{"subscriptions": {"level2": ["BTC-USDC"]}}]
        products = {one["product_id"]: one for one in (await rest(harness, "market/products"))["products"]}
        assert set(products) == {BTC, "BTC-USDC", ETH, "ETH-USDC", "BTC-USDT"}
        assert (products["BTC-USDC"]["alias"], products["BTC-USDC"]["alias_to"]) == (BTC, [])
        assert (products[BTC]["alias"], products[BTC]["alias_to"]) == ("", ["BTC-USDC"])
        assert (products["BTC-USDT"]["alias"], products["BTC-USDT"]["alias_to"]) == ("", [])


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{oops", "malformed"),
        ('{"type":"order"}', "unsupported"),
        ('{"type":"subscribe","channel":"user"}', "channel user"),
        ('{"type":"subscribe","channel":"level2","product_ids":["NO-PE","BTC-USD"]}', "NO-PE is not a valid product"),
        ('{"type":"subscribe","channel":"level2"}', "no product"),
        ('{"type":"subscribe","channel":"level2","product_ids":"BTC-USD"}', "product_ids"),
    ],
)
async def test_a_wrong_request_is_answered_without_a_number_and_changes_nothing(
    start: Start, message: str, words: str
) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await client.ws.send_str(message)
        (answer,) = await client.read()
        assert set(answer) == {"type", "message"}
        assert answer["type"] == "error"
        assert words in answer["message"]
        assert numbers(await client.subscribe("level2", BTC)) == [0, 1]


@pytest.mark.parametrize(("after", "subscribe", "why"), [(6, False, "no subscription"), (76, True, "no updates")])
async def test_a_connection_ends_without_a_first_subscription_or_without_updates(
    start: Start, after: float, *, subscribe: bool, why: str
) -> None:
    async with coinbase(start, subscribe_within=5) as harness:
        client = await connect(harness)
        if subscribe:
            await client.subscribe("market_trades", BTC)
        else:
            await client.read()
        (connection,) = venue(harness).connections.values()
        venue(harness).keep(connection, harness.simulator.world.clock.mono() + after - 2)
        assert await client.read() == []
        venue(harness).keep(connection, harness.simulator.world.clock.mono() + after)
        assert why in (await client.ended())[1]


async def test_heartbeats_count_and_a_stalled_venue_sends_none(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await client.subscribe("heartbeats")
        (connection,) = venue(harness).connections.values()
        now = harness.simulator.world.clock.mono() + 20_000
        for beat in range(3):
            if beat == 2:
                await fault(harness, "stall", venue="coinbase")
            connection.last_sent = now + 10_000 * beat
            venue(harness).keep(connection, now + 10_000 * beat)
        beats = events(await client.read(), "heartbeats")
        assert [one["heartbeat_counter"] for one in beats] == [0, 1]
        assert beats[0]["current_time"].startswith("2026-01-01 00:00:00.")


async def test_too_many_messages_are_refused(start: Start) -> None:
    async with coinbase(start, messages_per_second=1) as harness:
        client = await connect(harness)
        await client.send("subscribe", "heartbeats")
        await client.send("subscribe", "level2", BTC)
        got = [json.loads((await client.ws.receive(timeout=5)).data) for _ in range(2)]
        assert [one.get("message") for one in got] == [None, "rate limit exceeded"]


async def test_a_whole_book_of_the_real_size_is_one_frame_of_five_megabytes(start: Start) -> None:
    async with coinbase(start, levels=22_000) as harness:
        client = await connect(harness)
        await client.send("subscribe", "level2", BTC)
        text = (await client.ws.receive(timeout=10)).data
        assert 4_500_000 < len(text) < 6_000_000
        assert len(json.loads(text)["events"][0]["updates"]) == 44_000


async def test_messages_have_the_keys_of_recorded_ones(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        got = await client.subscribe("heartbeats")
        (connection,) = venue(harness).connections.values()
        connection.last_sent = connection.opened + 20_000
        venue(harness).keep(connection, connection.last_sent)
        got += await client.subscribe("market_trades", BTC)
        await harness.simulator.step(50, "coinbase", BTC)
        got += await client.read()
    ours = {one["channel"]: one for one in got}
    for line in lines("coinbase.ws.jkorf.jsonl"):
        real = json.loads(line["raw"])
        same = ours[real["channel"]]
        assert list(same) == list(real)
        assert len(same["timestamp"]) == len(real["timestamp"])
        assert set(same["events"][0]) == set(real["events"][0])
        if real["channel"] == "market_trades":
            assert list(same["events"][0]["trades"][0]) == list(real["events"][0]["trades"][0])
            assert len(same["events"][0]["trades"][0]["time"]) == len(real["events"][0]["trades"][0]["time"])


_OURS = {"book": "level2", "trades": "market_trades", "quotes": "ticker", "tickers": "ticker_batch"}


@pytest.mark.parametrize(("channel", "how"), sorted(EDITS))
async def test_a_corrupt_frame_is_wrong_in_just_one_place(start: Start, channel: str, how: str) -> None:
    got = []
    for harmed in (False, True):
        async with coinbase(start) as harness:
            client = await connect(harness)
            await client.subscribe({"instruments": "status"}.get(channel, _OURS.get(channel, channel)), BTC)
            if harmed:
                await fault(harness, "corrupt", venue="coinbase", channel=channel, how=how)
            await harness.simulator.step(60, "coinbase", BTC)
            await harness.post("/control/listing", venue="coinbase", symbol=BTC, status="halted")
            got.append(await client.read())
    clean, broken = got
    assert clean[1:] == broken[1:]
    if how == "digit":
        pairs = zip(json.dumps(clean[0]), json.dumps(broken[0]), strict=True)
        assert sum(one != other for one, other in pairs) == 1
    else:
        number = clean[0].pop("sequence_num")
        assert broken[0].pop("sequence_num") == (f"x{number}" if how == "type" else int(f"1000{number}"))
        assert clean[0] == broken[0]


async def test_a_tape_is_played_with_the_numbers_of_the_connection(start: Start) -> None:
    async with start(tape=recording("coinbase.ws.jkorf.jsonl"), venues=("coinbase",)) as harness:
        client = await connect(harness)
        got = await client.subscribe("market_trades", "ETH-USDT")
        await harness.simulator.step(10)
        got += await client.read()
        assert numbers(got) == [0, 1]
        (event,) = events(got, "market_trades")
    (real,) = [json.loads(one["raw"]) for one in lines("coinbase.ws.jkorf.jsonl") if one["channel"] == "trade"]
    assert event == real["events"][0]


async def test_a_subscription_can_be_rejected_or_acknowledged_without_data(start: Start) -> None:
    async with coinbase(start) as harness:
        client = await connect(harness)
        await fault(harness, "reject_subscribe", venue="coinbase", channel="trades")
        await fault(harness, "ack_without_data", venue="coinbase", channel="book")
        (refused,) = await client.subscribe("market_trades", BTC)
        assert refused == {"type": "error", "message": "Subscription rejected"}
        (answer,) = await client.subscribe("level2", BTC)
        assert (answer["channel"], answer["sequence_num"]) == ("subscriptions", 0)
        await harness.simulator.step(20, "coinbase", BTC)
        assert await client.read() == []
