"""The whole: determinism, what was sent, control, tapes, the command line."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from unittest import mock

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request

from simulator.cli import main, parser
from simulator.control import Control
from simulator.server import Simulator
from simulator.tape import read_tape
from simulator.tls import Tls
from tests.simulator.conftest import Harness, Json, Start
from tests.simulator.naive import candles


async def story(start: Start, seed: int) -> list[str]:
    """All payloads of both venues, with faults in between."""
    async with start(seed=seed) as harness:
        binance = await harness.connect("/binance/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker")
        kraken = await harness.connect("/kraken/v2")
        got = [str(await kraken.follow("book", "BTC/USD", depth=25)), str(await kraken.follow("ticker", "BTC/USD"))]
        await harness.post("/control/faults", kind="drop", venue="binance", channel="trades", count=3)
        await harness.post("/control/faults", kind="corrupt", venue="kraken", how="checksum", after=5)
        await harness.simulator.step(200)
        await harness.post("/control/faults", kind="clock_skew", venue="kraken", ms=250)
        await harness.simulator.step(200)
        return got + await binance.read_text() + await kraken.read_text()


async def test_the_same_seed_steps_and_faults_send_the_same_bytes(start: Start) -> None:
    first = await story(start, 5)
    assert len(first) > 200
    assert first == await story(start, 5)
    assert first != await story(start, 6)


async def test_what_was_sent_is_counted_by_channel_and_connection(harness: Harness) -> None:
    one = await harness.connect("/binance/ws/btcusdt@trade")
    two = await harness.connect("/binance/stream?streams=btcusdt@trade")
    await harness.simulator.step(100)
    texts = [*await one.read_text(), *await two.read_text()]
    sent = await harness.get("/control/ledger/sent")
    assert sent["venues"]["binance"]["trades"] == {"messages": len(texts), "bytes": sum(map(len, texts))}
    by_connection = [c["channels"]["trades"]["messages"] for c in sent["connections"]]
    assert by_connection == [len(texts) // 2, len(texts) // 2]


async def test_messages_are_compressed_when_the_client_offers_it(harness: Harness) -> None:
    packed = await harness.connect("/binance/ws/btcusdt@depth@100ms", compress=15)
    plain = await harness.connect("/binance/ws/btcusdt@depth@100ms")
    assert (packed.ws.compress, plain.ws.compress) == (15, 0)
    await harness.simulator.step(100)
    assert await packed.read_text() == await plain.read_text()


async def test_steps_can_be_for_one_venue_or_market_and_need_a_standing_market(harness: Harness) -> None:
    assert await harness.post("/control/step", steps=6, venue="kraken") == {"steps": 6, "undelivered": 0}
    state = await harness.get("/control/state")
    assert state["markets"]["kraken"] == {"BTC-USDT": 2, "ETH-USDT": 2, "BTC-USD": 2}
    assert state["markets"]["binance"] == {"BTC-USDT": 0, "ETH-USDT": 0}
    assert "no market" in (await harness.post("/control/step", steps=1, venue="kraken", symbol="X-Y"))["error"]
    assert "rate is 0" in (await harness.post("/control/market", running=True))["error"]
    await harness.post("/control/rate", rate=10)
    await harness.post("/control/market", running=True)
    assert "running" in (await harness.post("/control/step", steps=1))["error"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/control/ledger/book?venue=binanse&symbol=BTC-USDT", "did you mean 'binance'"),
        ("/control/ledger/book?venue=binance&symbol=BTC-USD", "did you mean 'BTC-USDT'"),
        ("/control/ledger/book?venue=binance&symbol=BTC-USDT&at=soon", "whole number"),
        ("/control/ledger/book?venue=binance&symbol=BTC-USDT&at=1", "older than the ledger"),
        ("/control/ledger/records?venue=binance&symbol=BTC-USDT&kind=candels", "did you mean 'candles'"),
        ("/control/ledger/records?venue=binance&symbol=BTC-USDT&kind=funding", "no perpetual"),
        ("/control/ledger/records?venue=binance&symbol=BTC-USDT&kind=candles&interval=0", "at least 1"),
    ],
)
async def test_a_wrong_control_request_says_what_is_wrong(harness: Harness, path: str, words: str) -> None:
    status, _, text = await harness.reply(path)
    assert status == 400
    assert words in json.loads(text)["error"]


async def test_a_market_that_is_stopped_takes_no_further_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.driver._BURST", 1)
    simulator = Simulator(rate=1)
    advancing = asyncio.create_task(simulator.driver._advance(50))
    await asyncio.sleep(0)
    await simulator.run_markets(running=False)
    await advancing
    assert simulator.driver.steps == 1


async def test_control_is_for_this_machine_only_unless_it_is_opened() -> None:
    transport = mock.Mock()
    transport.get_extra_info.side_effect = {"peername": ("192.0.2.7", 1)}.get
    request = make_mocked_request("GET", "/control/state", transport=transport)
    assert (await Control(Simulator()).state(request)).status == 403
    assert (await Control(Simulator(open_control=True)).state(request)).status == 200


def test_a_directory_keeps_its_authority_and_lets_nobody_else_read_its_keys(tmp_path: Path) -> None:
    files = []
    for _ in range(2):
        tls = Tls(tmp_path, "127.0.0.1", lambda: None)
        context = ssl.create_default_context(cafile=str(tls.ca_file))
        files.append((tmp_path / "ca.key").read_bytes())
        assert context.cert_store_stats()["x509_ca"] == 1
    assert files[0] == files[1]
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir() if path.name != "ca.pem")


def test_the_certificate_is_also_for_the_names_that_it_is_given(tmp_path: Path) -> None:
    tls = Tls(tmp_path, "0.0.0.0", lambda: None, ("simulator",))  # noqa: S104 - as in a container
    trusting = ssl.create_default_context(cafile=str(tls.ca_file))
    for name, fits in {"simulator": True, "127.0.0.1": True, "elsewhere": False}.items():
        assert _shakes_hands(tls.context, trusting, name) is fits


def _shakes_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname=name), server.wrap_bio(there, back, server_side=True)]
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError:
            return False
    return True


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("listing", {"venue": "binance", "symbol": "BTC-USDT", "status": "haltd"}, "did you mean 'halted'"),
        ("listing", {"venue": "binance", "symbol": "SOL-USD", "status": "trading"}, "cannot list 'SOL-USD'"),
        ("listing", {"venue": "kraken", "symbol": "BTC-USDT-PERP", "status": "trading"}, "cannot list"),
        ("listing", {"venue": "kraken", "symbol": "sol", "status": "trading"}, "BASE-QUOTE"),
        ("listing", {"venue": "kraken", "status": "trading"}, "expected a symbol"),
        ("status", {"venue": "kraken", "status": "maintenence"}, "did you mean 'maintenance'"),
        ("status", {"venue": "kraken", "status": "online", "message": 1}, "must be a text"),
    ],
)
async def test_a_wrong_listing_or_status_changes_nothing(harness: Harness, path: str, body: Json, words: str) -> None:
    before = await harness.get("/control/state")
    assert words in (await harness.post(f"/control/{path}", **body))["error"]
    assert await harness.get("/control/state") == before


async def test_candles_of_the_ledger_are_its_trades_and_only_the_last_is_open(harness: Harness) -> None:
    await harness.simulator.step(1000, "kraken", "BTC-USD")
    at = {"venue": "kraken", "symbol": "BTC-USD"}
    told = (await harness.get("/control/ledger/records", **at, kind="candles", interval=1))["records"]
    bars = candles((await harness.get("/control/ledger/trades", **at))["trades"], 1)
    assert [(one["begin_us"] // 1000, Decimal(one["volume"]), one["trades"]) for one in told] == [
        (begin, bar["volume"], bar["count"]) for begin, bar in bars.items()
    ]
    assert [one["closed"] for one in told] == [True] * len(told)  # ten seconds to the step: the last ended too
    await harness.simulator.step(50, "kraken", "BTC-USD")
    told = (await harness.get("/control/ledger/records", **at, kind="candles", interval=1))["records"]
    assert [one["closed"] for one in told] == [True] * (len(told) - 1) + [False]


async def test_steps_go_in_turn_over_all_markets_and_those_that_are_listed_later(start: Start) -> None:
    async with start(venues=("kraken",), symbols=("BTC-USD", "ETH-USD")) as harness:
        await harness.simulator.step(4)
        await harness.post("/control/listing", venue="kraken", symbol="SOL-USD", status="trading")
        await harness.simulator.step(9)
        markets = (await harness.get("/control/state"))["markets"]["kraken"]
        assert markets == {"BTC-USD": 5, "ETH-USD": 5, "SOL-USD": 3}


def test_only_the_chosen_venues_exist() -> None:
    assert list(Simulator(venues=("kraken",)).venues) == ["kraken"]
    for venues, words in ((("krakem",), "did you mean 'kraken'"), ((), "no venue")):
        with pytest.raises(ValueError, match=words):
            Simulator(venues=venues)


def test_spot_and_perpetuals_are_listed_where_the_exchanges_have_them() -> None:
    symbols = ("BTC-USDT", "BTC-USD", "BTC-USDT-PERP", "BTC-USD-PERP")
    listed = {name: list(one.markets) for name, one in Simulator(symbols=symbols).venues.items()}
    assert listed["binance"] == ["BTC-USDT"]
    assert listed["binance_usdm"] == ["BTC-USDT-PERP"]
    assert listed["kraken"] == ["BTC-USDT", "BTC-USD"]


@pytest.mark.parametrize("body", ["{", "[]", '{"running":"yes"}'])
async def test_a_wrong_control_body_says_what_is_wrong(harness: Harness, body: str) -> None:
    url = f"{harness.simulator.http_url}/control/market"
    async with harness.session.post(url, data=body) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limits": {"binance.wieght": 1}}, "did you mean 'weight'"),
        ({"limits": {"binanse.weight": 1}}, "did you mean 'binance'"),
    ],
)
def test_an_unknown_limit_is_refused_with_the_nearest_one(options: Json, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Simulator(**options)


async def test_a_client_that_does_not_read_is_cut_off_and_delays_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.connection.QUEUE_BYTES", 200_000)
    async with start() as harness:
        deaf = await harness.connect("/binance/ws/btcusdt@depth@100ms")
        well = await harness.connect("/binance/ws/ethusdt@trade")
        await harness.post("/control/faults", kind="oversized", venue="binance", symbol="BTC-USDT", bytes=300_000)
        await harness.simulator.step(100)
        assert await well.read()
        assert (await deaf.ws.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert await harness.ended() == ["too slow a consumer"]


def line(transport: str, raw: str, n: int, **more: Json) -> str:
    return json.dumps({"exchange": "binance", "transport": transport, "channel": "book", "raw": raw, "n": n, **more})


DIFF = '{"e":"depthUpdate","E":1,"s":"NKNUSDT","U":%d,"u":%d,"b":[["0.1","2"]],"a":[]}'


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Two diffs of one stream, one of futures, a depth answer, one Kraken book."""
    depth = {"request": "GET https://api.binance.com/api/v3/depth?symbol=NKNUSDT&limit=1000"}
    wrapped = '{"stream":"nknusdt@depth@100ms","data":%s}'
    kraken = '{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[],"asks":[],"checksum":0}]}'
    lines = [
        line("ws", wrapped % (DIFF % (1, 1)), 0, recv_ts=1.0),
        line("rest", '{"lastUpdateId":1,"bids":[],"asks":[]}', 0, recv_ts=1.5, **depth),
        line("ws", wrapped % (DIFF % (3, 3)), 2, recv_ts=3.0),
        line("ws", DIFF % (2, 2), 1, recv_ts=2.0),
        line("ws", DIFF % (9, 9), 9, recv_ts=0.0, market="usdm-futures"),
        json.dumps({"exchange": "kraken", "transport": "ws", "channel": "book", "raw": kraken}),
    ]
    path = tmp_path / "tape.jsonl"
    path.write_text("\n".join(lines))
    return path


async def test_a_tape_is_played_in_order_to_those_who_subscribed(start: Start, tape: Path) -> None:
    async with start(tape=tape, symbols=()) as harness:
        client = await harness.connect("/binance/ws/nknusdt@depth@100ms")
        kraken = await harness.connect("/kraken/v2")
        await kraken.follow("book", "BTC/USD", depth=10)
        assert (await harness.get("/binance/api/v3/depth", symbol="NKNUSDT"))["lastUpdateId"] == 1
        assert (await harness.reply("/binance/api/v3/depth", symbol="BTCUSDT"))[0] == 400
        assert [s["baseAsset"] for s in (await harness.get("/binance/api/v3/exchangeInfo"))["symbols"]] == ["NKN"]
        await harness.simulator.step(10)
        assert await client.read_text() == [DIFF % (n, n) for n in (1, 2, 3)]
        assert [one["type"] for one in await kraken.read()] == ["snapshot"]


async def test_a_running_tape_starts_with_the_first_subscription(
    start: Start, tape: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.driver._TAPE_DELAY", 0.0)
    async with start(tape=tape, symbols=(), rate=1000, speed=1000) as harness:
        client = await harness.connect("/binance/ws/nknusdt@depth@100ms")
        assert [(await client.ws.receive_json(timeout=5))["u"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [("{oops", "tape.jsonl:1: not JSON"), ('{"raw":""}', "exchange, transport missing"), ("", "no line of a venue")],
)
def test_a_wrong_tape_is_refused_before_anything_is_played(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_tape(path)


def test_wrong_flags_end_with_2_and_a_port_in_use_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rate", "-1"]) == 2
    assert main(["--limit", "binance.nope=1", "--no-tls"]) == 2
    assert main(["--venues", "binanse", "--no-tls"]) == 2
    assert main(["--funding-seconds", "0", "--no-tls"]) == 2
    for flags in (["--symbols", "btc"], ["--limit", "binance.weight"], ["--limit", "binance.weight=x"]):
        with pytest.raises(SystemExit, match="2"):
            parser().parse_args(flags)
    assert main(["--host", "192.0.2.1", "--port", "1", "--no-tls"]) == 1
    assert "simulator: " in capsys.readouterr().err


@pytest.mark.full
def test_the_command_says_when_it_is_ready_and_ends_at_once_when_told(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "simulator", "--port", "0", "--tls-port", "0", "--ca-file", str(ca_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["event"] == "ready"
        assert ready["ca_file"] == str(ca_file)
        assert ready["port"] != ready["tls_port"]
        assert "BEGIN CERTIFICATE" in ca_file.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


async def test_the_ledger_tells_the_aggregate_trades(harness: Harness) -> None:
    client = await harness.connect("/binance/ws/btcusdt@aggTrade")
    await harness.simulator.step(200)
    got = [{"id": one["a"], "first": one["f"], "last": one["l"]} for one in await client.read()]
    truth = await harness.get("/control/ledger/aggregates", venue="binance", symbol="BTC-USDT")
    assert truth["aggregates"] == got
