"""OKX's book, trades and connections as a client meets them, in step mode."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest

from simulator.book import Book
from simulator.instruments import okx_instrument
from simulator.market import Market
from simulator.okx.books import Image
from tests.recordings import lines
from tests.simulator.conftest import Json, Start, applied, fault
from tests.simulator.okx_client import BUSINESS, PUBLIC, OkxBook, arg, connect, okx, rest, truth, venue

SPOT, SWAP, INVERSE = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"


@pytest.mark.parametrize(("symbol", "inst"), [("BTC-USDT", SPOT), ("BTC-USDT-PERP", SWAP), ("BTC-USD-PERP", INVERSE)])
async def test_a_naive_client_has_the_ledgers_book_at_every_seq_id(start: Start, symbol: str, inst: str) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        messages = await client.subscribe(arg("books", inst))
        await harness.simulator.step(70, "okx", symbol)
        messages += await client.read()
        book, seqs = OkxBook(), list[int]()
        for message in messages:
            book.apply(message)
            seqs.append(message["data"][0]["seqId"])
            assert book.levels() == await truth(harness, symbol, book.seq)
            assert [len(side) for side in book.sides.values()] == [400, 400]
            assert message["data"][0]["checksum"] == 0
        assert len(messages) == 71
        assert any(after > before + 1 for before, after in pairwise(seqs)), "ids never jump"


async def test_a_second_subscriber_begins_in_the_middle_and_chains_on(start: Start) -> None:
    async with okx(start) as harness:
        first, second = await connect(harness), await connect(harness)
        messages = await first.subscribe(arg("books"))
        venue(harness).advance("BTC-USDT")  # not told yet: it goes out before the second snapshot
        others = await second.subscribe(arg("books"))
        await harness.simulator.step(10, "okx", "BTC-USDT")
        for client, got in ((first, messages), (second, others)):
            book = OkxBook()
            for message in got + await client.read():
                book.apply(message)
                assert book.levels() == await truth(harness, "BTC-USDT", book.seq)


def test_an_image_leads_also_from_a_book_of_any_moment_in_between_to_the_next_image() -> None:
    instrument = okx_instrument("BTC-USDT")
    assert instrument is not None
    market = Market(instrument, 5, 0)
    image, clients = Image(market.book, 40, market.last_id), []
    for number in range(4000):
        step = market.step(None)
        image.note(market.book, step.changes)
        clients.append(Book(dict(market.book.bids.top(40)), dict(market.book.asks.top(40))))
        if number % 20 == 19:
            told = image.update(market.book)
            for client in clients:
                for side, levels in zip(client.sides, told, strict=True):
                    for tick, lots in levels:
                        side.set(tick, lots)
                assert (client.bids.top(), client.asks.top()) == market.top(40)
            clients = clients[:2]


@pytest.mark.parametrize("numbered", [1, 0])
async def test_without_a_snapshot_in_band_rest_seeds_the_book_if_it_has_a_sequence(start: Start, numbered: int) -> None:
    async with okx(start, in_band_snapshot=0, rest_seq=numbered) as harness:
        client = await connect(harness)
        assert await client.subscribe(arg("books")) == []
        await harness.simulator.step(20, "okx", "BTC-USDT")
        venue(harness).advance("BTC-USDT")
        (seed,) = await rest(harness, "market/books", instId=SPOT, sz=400, source=0)
        await harness.simulator.step(60, "okx", "BTC-USDT")
        messages = await client.read()
        assert {message["action"] for message in messages} == {"update"}
        if not numbered:
            assert "seqId" not in seed
            return
        book = OkxBook(seed["seqId"], seed)
        left = [one for one in messages if one["data"][0]["seqId"] > seed["seqId"]]
        assert left[0]["data"][0]["prevSeqId"] < seed["seqId"] < left[0]["data"][0]["seqId"]
        book.seq = left[0]["data"][0]["prevSeqId"]
        for message in left:
            book.apply(message)
        assert book.levels() == await truth(harness, "BTC-USDT")


async def test_ids_that_begin_again_lower_still_chain_and_the_ledger_knows_both(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        messages = await client.subscribe(arg("books"))
        answer: Json = None
        for _ in range(3):
            await harness.simulator.step(10, "okx", "BTC-USDT")
            answer = await harness.post("/control/sequence-reset", venue="okx", symbol="BTC-USDT")
        await harness.simulator.step(10, "okx", "BTC-USDT")
        messages += await client.read()
        book, drops = OkxBook(), []
        for message in messages:
            book.apply(message)
            data = message["data"][0]
            drops += [data] if 0 < data["seqId"] < data["prevSeqId"] else []
            assert book.levels() == await truth(harness, "BTC-USDT", data["seqId"])
        assert len(drops) == 3
        assert drops[-1]["seqId"] == answer["last_id"]
        refused = await harness.post("/control/sequence-reset", venue="okx", symbol="NO-PE")
        assert "NO-PE" in refused["error"]


async def test_a_quiet_book_says_so_after_a_minute_with_an_empty_update(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        (snapshot,) = await client.subscribe(arg("books"))
        now = harness.simulator.world.clock.mono()
        for seconds in (59, 61):
            venue(harness).flush(now + seconds)
        (empty,) = await client.read()
        seq = snapshot["data"][0]["seqId"]
        assert empty["action"] == "update"
        assert (empty["data"][0]["prevSeqId"], empty["data"][0]["seqId"]) == (seq, seq)
        assert (empty["data"][0]["asks"], empty["data"][0]["bids"]) == ([], [])


async def test_changes_of_a_tenth_of_a_second_are_one_update(start: Start) -> None:
    async with okx(start) as harness:
        client, now = await connect(harness), harness.simulator.world.clock.mono()
        await client.subscribe(arg("books"))
        counts = []
        for seconds in (0.0, 0.05, 0.09, 0.11):
            for _ in range(5):
                venue(harness).advance("BTC-USDT")
            venue(harness).flush(now + seconds)
            counts.append(len(await client.read()))
        assert counts == [1, 0, 0, 1]


async def test_books5_and_bbo_show_the_top_of_the_book_at_their_seq_id(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        messages = await client.subscribe(arg("books5", SWAP), arg("bbo-tbt", SWAP))
        await harness.simulator.step(100, "okx", "BTC-USDT-PERP")
        messages += await client.read()
        for message in messages:
            depth = 5 if message["arg"]["channel"] == "books5" else 1
            (data,) = message["data"]
            shown = [[level[:2] for level in data[side]] for side in ("bids", "asks")]
            assert shown == await truth(harness, "BTC-USDT-PERP", data["seqId"], depth)
        assert {one["arg"]["channel"] for one in messages[2:]} == {"books5", "bbo-tbt"}


async def test_every_fill_is_in_one_item_of_trades_and_alone_in_trades_all(start: Start) -> None:
    async with okx(start) as harness:
        public, business = await connect(harness), await connect(harness, BUSINESS)
        assert await public.subscribe(arg("trades", SWAP)) == []
        assert await business.subscribe(arg("trades-all", SWAP)) == []
        await harness.simulator.step(300, "okx", "BTC-USDT-PERP")
        items = [item for one in await public.read() for item in one["data"]]
        fills = [item for one in await business.read() for item in one["data"]]
        ledger = await harness.get("/control/ledger/trades", venue="okx", symbol="BTC-USDT-PERP")
        true = {one["id"]: one for one in ledger["trades"]}
        assert [int(fill["tradeId"]) for fill in fills] == sorted(true)
        for fill in fills:
            one = true[int(fill["tradeId"])]
            assert (Decimal(fill["px"]), Decimal(fill["sz"])) == (Decimal(one["price"]), Decimal(one["size"]))
            assert (fill["side"], int(fill["ts"])) == (one["side"], one["ts_us"] // 1000)
        covered: list[int] = []
        for item in items:
            last, count = int(item["tradeId"]), int(item["count"])
            ids = range(last - count + 1, last + 1)
            covered += ids
            assert Decimal(item["sz"]) == sum(Decimal(true[number]["size"]) for number in ids)
            assert {item["side"]} == {true[number]["side"] for number in ids}
            assert {Decimal(item["px"])} == {Decimal(true[number]["price"]) for number in ids}
        assert covered == sorted(true)
        assert any(item["count"] != "1" for item in items)


def _shape(value: Json) -> Json:
    """What a value is made of: a number's text becomes its kind."""
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    if not isinstance(value, str):
        return type(value).__name__
    return "number" if value.replace(".", "").replace("-", "").isdecimal() else "text" if value else "empty"


async def test_messages_have_the_shapes_of_recorded_ones(start: Start) -> None:
    recorded: dict[tuple[Json, ...], Json] = {}
    for name in ("okx.ws.anyutkinz.jsonl", "okx.ws.cryptofeed.jsonl", "okx.ws.crypto-msg-parser.jsonl"):
        for line in lines(name):
            body = json.loads(line["raw"])
            if body.get("arg", {}).get("instId") in (SPOT, SWAP) and body.get("data") != []:
                key = body["arg"]["channel"], body["arg"]["instId"], body.get("action"), body.get("event")
                recorded.setdefault(key, body)
    async with okx(start) as harness:
        client = await connect(harness)
        args = [arg(channel, inst) for channel in ("books", "books5", "bbo-tbt", "tickers") for inst in (SPOT, SWAP)]
        got = await client.ask("subscribe", *args, arg("trades"), arg("trades", SWAP))
        await harness.simulator.step(200)
        got += await client.read()
    compared = set()
    for body in got:
        key = body["arg"]["channel"], body["arg"]["instId"], body.get("action"), body.get("event")
        if key in recorded and not (key[2] == "update" and not all(body["data"][0][side] for side in ("asks", "bids"))):
            ours, real = _shape(body), _shape(recorded[key])
            added = {"data", "connId", "seqId", "count", "source"}  # looked at below, or newer than some recordings
            for one, other in [(ours, real), *zip(ours.get("data", []), real.get("data", []), strict=False)]:
                assert {name: kind for name, kind in one.items() if name not in added} == {
                    name: kind for name, kind in other.items() if name not in added
                }
            compared.add(key)
    assert {one[0] for one in compared} == {"books", "books5", "bbo-tbt", "tickers", "trades"}
    assert ("books", SPOT, "update", None) in compared


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (PUBLIC, arg("candle1m")),
        (PUBLIC, arg("trades-all")),
        (BUSINESS, arg("trades")),
        (BUSINESS, arg("candle7m")),
        (PUBLIC, arg("books", "NO-PE")),
        (PUBLIC, arg("books", "BTC-USDT-PERP")),
        (PUBLIC, arg("funding-rate", SPOT)),
        (PUBLIC, arg("liquidation-orders", "SPOT")),
        (PUBLIC, arg("nothing")),
    ],
)
async def test_what_is_not_on_an_endpoint_is_refused_by_name_and_the_rest_goes_on(
    start: Start, path: str, wrong: Json
) -> None:
    good = arg("tickers") if path == PUBLIC else arg("candle1m")
    async with okx(start) as harness:
        client = await connect(harness, path)
        got = await client.ask("subscribe", wrong, good, id="a1")
        assert (got[0]["event"], got[0]["code"]) == ("error", "60018")
        assert all(f"{name}:{value}" in got[0]["msg"] for name, value in wrong.items())
        assert (got[1]["event"], got[1]["arg"]) == ("subscribe", good)
        assert {one["id"] for one in got[:2]} == {"a1"}
        assert len({one["connId"] for one in got[:2]}) == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{oops", "60012"),
        ('{"op":"subscribe","argss":[]}', "60012"),
        ('{"op":"order","args":[{}]}', "60019"),
        ('{"op":"subscribe","args":["books"]}', "60013"),
    ],
)
async def test_a_malformed_request_is_answered_with_its_code(start: Start, message: str, code: str) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        await client.ws.send_str(message)
        (answer,) = await client.read()
        assert (answer["event"], answer["code"]) == ("error", code)


async def test_more_requests_than_an_hour_allows_are_refused(start: Start) -> None:
    async with okx(start, requests=2) as harness:
        client = await connect(harness)
        await client.subscribe(arg("trades"))
        await client.ask("unsubscribe", arg("trades"))
        assert (await client.ask("subscribe", arg("trades")))[0]["code"] == "60014"


async def test_after_unsubscribing_nothing_comes_and_the_next_snapshot_begins_anew(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        await client.subscribe(arg("books"))
        (answer,) = await client.ask("unsubscribe", arg("books"))
        assert (answer["event"], answer["arg"]) == ("unsubscribe", arg("books"))
        await harness.simulator.step(20, "okx", "BTC-USDT")
        assert await client.read() == []
        book = OkxBook()
        for message in await client.subscribe(arg("books")):
            book.apply(message)
        assert book.levels() == await truth(harness, "BTC-USDT")


@pytest.mark.parametrize(
    ("after", "subscribed", "why"),
    [(29, True, None), (31, True, "No data received"), (19, False, None), (21, False, "No subscription")],
)
async def test_a_connection_that_is_silent_or_without_subscription_ends(
    start: Start, after: float, *, subscribed: bool, why: str | None
) -> None:
    async with okx(start, unsubscribed=20) as harness:
        client = await connect(harness)
        if subscribed:
            await client.subscribe(arg("trades"))
        else:
            await client.read()
        (connection,) = venue(harness).connections.values()
        venue(harness).keep(connection, harness.simulator.world.clock.mono() + after)
        if why is None:
            assert await client.read() == []
        else:
            assert why in (await client.ended())[1]


async def test_a_shutdown_is_announced_and_comes_a_minute_later(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        await client.subscribe(arg("trades"))
        assert (await harness.post("/control/shutdown-notice", venue="okx"))["connections"] == 1
        (notice,) = await client.read()
        assert (notice["event"], notice["code"]) == ("notice", "64008")
        (connection,) = venue(harness).connections.values()
        venue(harness).keep(connection, harness.simulator.world.clock.mono() + 61)
        assert (await client.ended())[0] == 1001


async def test_a_stalled_venue_answers_no_ping(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        await fault(harness, "stall", venue="okx")
        await client.ws.send_str("ping")
        with pytest.raises(TimeoutError):
            await client.ws.receive(timeout=0.05)


async def test_a_lost_update_breaks_the_chain_of_its_instrument_alone(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        messages = await client.subscribe(arg("books"), arg("books", SWAP))
        await fault(harness, "drop", venue="okx", symbol="BTC-USDT", channel="book")
        await harness.simulator.step(20, "okx", "BTC-USDT")
        await harness.simulator.step(20, "okx", "BTC-USDT-PERP")
        messages += await client.read()
        swap = OkxBook()
        for message in (one for one in messages if one["arg"]["instId"] == SWAP):
            swap.apply(message)
        assert swap.levels() == await truth(harness, "BTC-USDT-PERP")
        (lost,) = await applied(harness)
        spot, *rows = [one["data"][0] for one in messages if one["arg"]["instId"] == SPOT]
        chain = [spot["seqId"], *(row["seqId"] for row in rows)]
        broken = [(seq, row["prevSeqId"]) for seq, row in zip(chain, rows, strict=False) if row["prevSeqId"] != seq]
        assert broken == [(lost["first"] - 1, lost["last"])]


async def test_a_subscription_can_be_rejected_or_acknowledged_without_data(start: Start) -> None:
    async with okx(start) as harness:
        client = await connect(harness)
        await fault(harness, "reject_subscribe", venue="okx", channel="trades")
        await fault(harness, "ack_without_data", venue="okx", channel="book")
        got = await client.ask("subscribe", arg("trades"), arg("books"))
        assert [one["event"] for one in got] == ["error", "subscribe"]
        await harness.simulator.step(20, "okx", "BTC-USDT")
        assert await client.read() == []
