"""Kraken as a client meets it, in step mode."""

import asyncio
import re
from itertools import pairwise

import pytest

from simulator.book import Book
from simulator.instruments import kraken_instrument
from simulator.kraken.facts import pair_names
from simulator.kraken.wire import View, checksum
from simulator.market import Market
from tests.simulator.conftest import Harness, Json, Start
from tests.simulator.naive import KrakenBook, micros, pairs

ASKS = """45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660
45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827"""
BIDS = """45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586
45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238"""


def integers(text: str) -> list[tuple[int, int]]:
    levels = [level.split("/") for level in text.split()]
    return [(int(price.replace(".", "")), int(size.replace(".", ""))) for price, size in levels]


def test_the_checksum_of_krakens_own_example_is_met() -> None:
    assert checksum(integers(ASKS), integers(BIDS)) == 3310070434


@pytest.mark.parametrize("depth", [10, 25, 100])
def test_a_client_that_cuts_its_book_after_each_message_sees_the_top_of_the_book(depth: int) -> None:
    market = Market(kraken_instrument("BTC-USD"), 7, 0)
    view = View(market.book, depth)
    client = Book(dict(market.book.bids.top(depth)), dict(market.book.asks.top(depth)))
    repeated = exposed = 0
    for _ in range(5000):
        step = market.step(None)
        bids, asks = view.update(market.book, step.changes)
        for mine, told in ((client.bids, bids), (client.asks, asks)):
            for tick, lots in told:
                mine.set(tick, lots)
            for tick, _ in mine.top()[depth:]:
                mine.set(tick, 0)
            repeated += len(told) != len({tick for tick, _ in told})
            exposed += any((side, t, s) not in step.changes for t, s in told for side in (0, 1))
        assert (client.bids.top(), client.asks.top()) == market.top(depth)
    assert repeated
    assert exposed


@pytest.mark.parametrize(
    ("canonical", "symbol", "key", "altname", "wsname"),
    [
        ("BTC-USD", "BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD"),
        ("BTC-USDT", "BTC/USDT", "XBTUSDT", "XBTUSDT", "XBT/USDT"),
        ("ETH-USD", "ETH/USD", "XETHZUSD", "ETHUSD", "ETH/USD"),
        ("ETH-BTC", "ETH/BTC", "XETHXXBT", "ETHXBT", "ETH/XBT"),
        ("DOGE-USD", "DOGE/USD", "XDGUSD", "XDGUSD", "XDG/USD"),
        ("SOL-USD", "SOL/USD", "SOLUSD", "SOLUSD", "SOL/USD"),
    ],
)
def test_pairs_have_krakens_spellings(canonical: str, symbol: str, key: str, altname: str, wsname: str) -> None:
    names = pair_names(canonical)
    assert (names.symbol, names.key, names.altname, names.wsname) == (symbol, key, altname, wsname)


@pytest.mark.parametrize(("depth", "steps"), [(10, 1500), (1000, 500)])
async def test_a_naive_client_ends_with_the_ledgers_book_and_every_checksum_holds(
    harness: Harness, depth: int, steps: int
) -> None:
    client = await harness.connect("/kraken/v2")
    messages = await client.follow("book", "BTC/USD", "ETH/USDT", depth=depth)
    await harness.simulator.step(steps)
    messages += await client.read()
    books = {"BTC/USD": KrakenBook(depth), "ETH/USDT": KrakenBook(depth)}
    for message in messages:
        if message.get("channel") == "book":
            books[message["data"][0]["symbol"]].apply(message)
    for symbol, book in books.items():
        truth = await harness.get("/control/ledger/book", venue="kraken", symbol=symbol.replace("/", "-"))
        assert book.levels() == (pairs(truth["bids"])[:depth], pairs(truth["asks"])[:depth])


async def test_the_ledger_has_the_book_at_the_time_of_any_message(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    messages = await client.follow("book", "BTC/USD", depth=25)
    await harness.simulator.step(300)
    messages += await client.read()
    book, stamps = KrakenBook(25), []
    for message in (one for one in messages if one.get("channel") == "book"):
        book.apply(message)
        if message["type"] == "update":
            stamp = message["data"][0]["timestamp"]
            stamps.append(stamp)
            truth = await harness.get(
                "/control/ledger/book", venue="kraken", symbol="BTC-USD", at=micros(stamp), depth=25
            )
            assert book.levels() == (pairs(truth["bids"])[:25], pairs(truth["asks"])[:25])
    assert len(stamps) == len(set(stamps))
    assert stamps == sorted(stamps)


async def test_a_connection_begins_with_the_status(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    first = (await client.read())[0]
    assert (first["channel"], first["data"][0]["system"]) == ("status", "online")


async def test_there_is_one_answer_a_symbol_and_a_failure_names_its_symbol(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.read()
    answers = [one for one in await client.follow("trade", "BTC/USD", "NO/PE", "ETH/USDT") if "method" in one]
    assert [one["success"] for one in answers] == [True, False, True]
    assert answers[0]["result"] == {"channel": "trade", "symbol": "BTC/USD", "snapshot": False}
    assert answers[1]["error"] == "Currency pair not supported NO/PE"
    assert answers[1]["symbol"] == "NO/PE"
    assert all(one["req_id"] == 1 and one["time_in"] <= one["time_out"] for one in answers)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "book", "symbol": ["BTC/USD"], "depth": 11}, "depth"),
        ({"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "often"}, "trigger"),
        ({"channel": "candles", "symbol": ["BTC/USD"]}, "candles"),
        ({"channel": "book"}, "Symbol"),
    ],
)
async def test_a_wrong_subscription_is_refused_with_its_reason(harness: Harness, params: Json, error: str) -> None:
    client = await harness.connect("/kraken/v2")
    await client.read()
    await client.send(method="subscribe", params=params, req_id=5)
    answer = (await client.read())[0]
    assert answer["success"] is False
    assert error in answer["error"]


async def test_subscribing_twice_and_ending_what_never_was_are_errors(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.follow("trade", "BTC/USD")
    assert (await client.follow("trade", "BTC/USD"))[0]["error"] == "Already subscribed"
    for expected in (True, False):
        await client.send(method="unsubscribe", params={"channel": "trade", "symbol": ["BTC/USD"]})
        assert (await client.read())[0]["success"] is expected
    await harness.simulator.step(200)
    assert await client.read() == []


async def test_trades_are_those_of_the_ledger_and_a_snapshot_has_the_last_fifty(harness: Harness) -> None:
    await harness.simulator.step(900, "kraken", "BTC-USD")
    client = await harness.connect("/kraken/v2")
    messages = await client.follow("trade", "BTC/USD", snapshot=True)
    await harness.simulator.step(300, "kraken", "BTC-USD")
    messages += await client.read()
    rows = [row for one in messages if one.get("channel") == "trade" for row in one["data"]]
    truth = (await harness.get("/control/ledger/trades", venue="kraken", symbol="BTC-USD"))["trades"]
    snapshot = next(one for one in messages if one.get("type") == "snapshot" and one["channel"] == "trade")
    assert len(snapshot["data"]) == 50
    got = [(r["trade_id"], f"{r['price']:f}", f"{r['qty']:f}", r["side"], micros(r["timestamp"])) for r in rows]
    assert got == [(t["id"], t["price"], t["size"], t["side"], t["ts_us"]) for t in truth[-len(rows) :]]
    assert any(len(one["data"]) > 1 for one in messages if one.get("type") == "update" and one["channel"] == "trade")


async def test_ticker_follows_the_best_prices_or_the_trades_as_asked(harness: Harness) -> None:
    bbo, trades = await harness.connect("/kraken/v2"), await harness.connect("/kraken/v2")
    await bbo.follow("ticker", "BTC/USD", event_trigger="bbo")
    await trades.follow("ticker", "BTC/USD")
    await harness.simulator.step(300, "kraken", "BTC-USD")
    quotes = [one["data"][0] for one in await bbo.read()]
    assert all(
        (a["bid"], a["bid_qty"], a["ask"], a["ask_qty"]) != (b["bid"], b["bid_qty"], b["ask"], b["ask_qty"])
        for a, b in pairwise(quotes)
    )
    for quote in quotes[:10]:
        at = micros(quote["timestamp"])
        truth = await harness.get("/control/ledger/book", venue="kraken", symbol="BTC-USD", at=at, depth=1)
        assert [[f"{quote['bid']:f}", f"{quote['bid_qty']:f}"], [f"{quote['ask']:f}", f"{quote['ask_qty']:f}"]] == [
            truth["bids"][0],
            truth["asks"][0],
        ]
    last = (await trades.read())[-1]["data"][0]
    assert last["low"] <= last["vwap"] <= last["high"]
    assert last["last"] == pytest.approx(last["last"])
    assert 0 < len(quotes) < 300


async def test_the_instrument_channel_lists_pairs_with_their_precisions(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    listing = next(one for one in await client.follow("instrument") if one.get("channel") == "instrument")
    pairs_by_symbol = {one["symbol"]: one for one in listing["data"]["pairs"]}
    assert set(pairs_by_symbol) == {"BTC/USDT", "ETH/USDT", "BTC/USD"}
    assert pairs_by_symbol["BTC/USD"]["price_precision"] == 1
    assert pairs_by_symbol["BTC/USD"]["qty_precision"] == 8
    assert {one["id"] for one in listing["data"]["assets"]} == {"BTC", "ETH", "USD", "USDT"}


async def test_numbers_on_the_wire_keep_their_trailing_zeros(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.follow("book", "BTC/USD")
    await harness.simulator.step(200, "kraken", "BTC-USD")
    text = "".join(await client.read_text())
    assert re.search(r'"price":\d+\.\d,', text)
    assert re.search(r'"qty":0\.00000000\}', text)
    assert not re.search(r'"qty":\d+\.\d{0,7}[,}]', text)


async def test_sending_too_fast_loses_messages_with_one_hint(start: Start) -> None:
    async with start(limits={"kraken.messages_per_second": 3}) as harness:
        client = await harness.connect("/kraken/v2")
        await client.ws.receive_json()
        for number in range(5):
            await client.send(method="ping", req_id=number)
        got = [await client.ws.receive_json(timeout=5) for _ in range(5)]
        assert [one.get("req_id") for one in got] == [0, 1, 2, None, None]
        assert got[-1] == {"Error": "Exceeded msg rate"}


async def test_heartbeats_come_when_nothing_else_is_sent_once_something_is_subscribed(start: Start) -> None:
    async with start(limits={"kraken.heartbeat": 0.01}) as harness:
        idle, client = await harness.connect("/kraken/v2"), await harness.connect("/kraken/v2")
        await client.follow("trade", "BTC/USD")
        assert await client.ws.receive_json(timeout=5) == {"channel": "heartbeat"}
        await asyncio.sleep(0)
        assert [one["channel"] for one in await idle.read()] == ["status"]


async def test_asset_pairs_and_depth_have_krakens_shapes(harness: Harness) -> None:
    listed = (await harness.get("/kraken/0/public/AssetPairs"))["result"]
    assert listed["XXBTZUSD"]["wsname"] == "XBT/USD"
    assert (listed["XXBTZUSD"]["pair_decimals"], listed["XXBTZUSD"]["lot_decimals"]) == (1, 8)
    truth = await harness.get("/control/ledger/book", venue="kraken", symbol="BTC-USD")
    for spelling in ("XXBTZUSD", "XBTUSD", "XBT/USD"):
        depth = (await harness.get("/kraken/0/public/Depth", pair=spelling, count=7))["result"]["XXBTZUSD"]
        assert [row[0] for row in depth["bids"]] == [price + "0000" for price, _ in truth["bids"][:7]]
        assert all(len(row[1].split(".")[1]) == 3 for row in depth["asks"])
    assert (
        len((await harness.get("/kraken/0/public/Depth", pair="XBTUSD", count=900))["result"]["XXBTZUSD"]["asks"])
        == 500
    )


async def test_time_and_status_are_answered(harness: Harness) -> None:
    assert (await harness.get("/kraken/0/public/Time"))["result"]["unixtime"] == 1_767_225_600
    assert (await harness.get("/kraken/0/public/SystemStatus"))["result"]["status"] == "online"


async def test_lost_trades_can_be_fetched_again_page_by_page(harness: Harness) -> None:
    await harness.simulator.step(600, "kraken", "BTC-USD")
    truth = (await harness.get("/control/ledger/trades", venue="kraken", symbol="BTC-USD"))["trades"]
    since, ids = str((truth[5]["ts_us"]) * 1000), []
    while True:
        page = (await harness.get("/kraken/0/public/Trades", pair="XBTUSD", since=since, count=40))["result"]
        if not page["XXBTZUSD"]:
            break
        ids += [row[6] for row in page["XXBTZUSD"]]
        since = page["last"]
    assert ids == [trade["id"] for trade in truth[6:]]


async def test_rest_errors_come_with_http_200(start: Start) -> None:
    async with start(limits={"kraken.rest_burst": 2}) as harness:
        for params, error in (({}, "EGeneral:Invalid arguments"), ({"pair": "NOPE"}, "EQuery:Unknown asset pair")):
            status, _, text = await harness.reply("/kraken/0/public/Depth", **params)
            assert status == 200
            assert error in text
        replies = [await harness.reply("/kraken/0/public/Time") for _ in range(3)]
        assert [status for status, _, _ in replies] == [200, 200, 200]
        assert ["Too many requests" in text for _, _, text in replies] == [False, False, True]


async def test_asset_pairs_can_be_chosen_and_the_newest_trades_come_without_a_cursor(harness: Harness) -> None:
    chosen = (await harness.get("/kraken/0/public/AssetPairs", pair="XBTUSD,ETH/USDT"))["result"]
    assert list(chosen) == ["XXBTZUSD", "ETHUSDT"]
    assert (await harness.get("/kraken/0/public/AssetPairs", pair="NOPE"))["error"] == ["EQuery:Unknown asset pair"]
    await harness.simulator.step(300, "kraken", "BTC-USD")
    rows = (await harness.get("/kraken/0/public/Trades", pair="XBTUSD", count=3))["result"]["XXBTZUSD"]
    last = harness.simulator.ledger("kraken", "BTC-USD").last_trade_id
    assert [row[6] for row in rows] == [last - 2, last - 1, last]
    for wrong in ({"since": "soon"}, {"count": "0"}):
        body = await harness.get("/kraken/0/public/Trades", pair="XBTUSD", **wrong)
        assert "Invalid arguments" in body["error"][0]


async def test_a_stale_depth_is_an_older_book(harness: Harness) -> None:
    await harness.simulator.step(300, "kraken", "BTC-USD")
    ledger = harness.simulator.ledger("kraken", "BTC-USD")
    then = ledger.book_at_id(ledger.book_now()[1] - 200)[0]
    await harness.post("/control/faults", kind="rest_stale", venue="kraken", behind=200)
    rows = (await harness.get("/kraken/0/public/Depth", pair="XBTUSD", count=5))["result"]["XXBTZUSD"]["bids"]
    assert [row[0] for row in rows] == [f"{tick // 10}.{tick % 10}0000" for tick, _ in then.bids.top(5)]
    assert then.bids.top(5) != ledger.book_now()[0].bids.top(5)


async def test_a_malformed_or_unknown_request_is_answered(harness: Harness) -> None:
    client = await harness.connect("/kraken/v2")
    await client.read()
    await client.ws.send_str("{oops")
    await client.send(method="dance")
    assert [one["error"] for one in await client.read()] == ["Malformed request", "Unsupported method"]
