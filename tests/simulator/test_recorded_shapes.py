"""What the simulator sends has the keys and kinds of values that the exchanges' own recorded messages have."""

import json
from typing import Any

import pytest

from tests.recordings import lines
from tests.simulator.conftest import Harness, Json, Start

SPOT, USDM = ("binance", "btcusdt"), ("binance_usdm", "btcusdt")
GONE = {
    "amendAllowed",
    "maxMoveOrderLimit",
    "permissionSets",
    "settlePlan",
    "isSpotTradingAllowed",
}  # came or went with the years


def kinds(value: Json) -> Json:
    """A value's shape: keys with their kinds; of a list, the shapes of its first entry."""
    if isinstance(value, dict):
        return {key: kinds(one) for key, one in value.items()}
    if isinstance(value, list):
        return [kinds(one) for one in value[:1]] if value and isinstance(value[0], list | dict) else list
    return type(value)


def missing(real: Json, ours: Json, path: str = "") -> list[str]:
    """Where the shape of ours lacks or differs from the real one's; what is new in ours does not matter."""
    if isinstance(real, dict) and isinstance(ours, dict):
        return [
            fault
            for key, kind in real.items()
            if key not in GONE
            for fault in ([f"{path}.{key}: none"] if key not in ours else missing(kind, ours[key], f"{path}.{key}"))
        ]
    if isinstance(real, list) and isinstance(ours, list):
        return missing(real[0], ours[0], f"{path}[]") if real and ours else []
    return [] if real == ours or list in (real, ours) else [f"{path}: {ours} is not {real}"]


def recorded(name: str, market: str, transport: str) -> list[Any]:
    return [
        (one.get("request") or "", json.loads(one["raw"]))
        for one in lines(name)
        if one.get("market", "spot") == market and one["transport"] == transport
    ]


async def events(start: Start, path: str, *streams: str) -> dict[str, Any]:
    """The first message of each stream."""
    async with start(seed=1, symbols=("BTC-USDT", "BTC-USDT-PERP"), venues=("binance", "binance_usdm")) as harness:
        client = await harness.connect(path + "/".join(f"btcusdt@{name}" for name in streams))
        await harness.simulator.step(1000)
        found: dict[str, Any] = {}
        for one in await client.read():
            found.setdefault(one["stream"].partition("@")[2].partition("_")[0], one["data"])
        return found


@pytest.mark.parametrize(
    ("market", "path", "streams"),
    [
        ("spot", "/binance/stream?streams=", ("depth@100ms", "aggTrade", "bookTicker", "kline_1m")),
        ("usdm-futures", "/binance_usdm/public/stream?streams=", ("depth@100ms", "bookTicker")),
        ("usdm-futures", "/binance_usdm/market/stream?streams=", ("aggTrade", "kline_1m", "markPrice")),
    ],
)
async def test_binances_streams_have_the_recorded_shapes(
    start: Start, market: str, path: str, streams: tuple[str, ...]
) -> None:
    ours = await events(start, path, *streams)
    seen = set()
    for name in ("binance.ws.cryptofeed.jsonl", "binance.ws.crypto-msg-parser.jsonl"):
        for _, body in recorded(name, market, "ws"):
            stream = body["stream"].partition("@")[2].partition("_")[0]
            if stream in ours:
                seen.add(stream)
                assert missing(kinds(body["data"]), kinds(ours[stream])) == []
    assert seen == {name.partition("_")[0] for name in streams}


REST = {
    "/api/v3/depth": ("/binance/api/v3/depth?symbol=BTCUSDT", "spot"),
    "/api/v3/klines": ("/binance/api/v3/klines?symbol=BTCUSDT&interval=1m", "spot"),
    "/api/v3/ticker/24hr": ("/binance/api/v3/ticker/24hr?symbol=BTCUSDT", "spot"),
    "/api/v3/exchangeInfo": ("/binance/api/v3/exchangeInfo", "spot"),
    "/fapi/v1/depth": ("/binance_usdm/fapi/v1/depth?symbol=BTCUSDT", "usdm-futures"),
    "/fapi/v1/klines": ("/binance_usdm/fapi/v1/klines?symbol=BTCUSDT&interval=1m", "usdm-futures"),
    "/fapi/v1/trades": ("/binance_usdm/fapi/v1/trades?symbol=BTCUSDT", "usdm-futures"),
    "/fapi/v1/aggTrades": ("/binance_usdm/fapi/v1/aggTrades?symbol=BTCUSDT", "usdm-futures"),
    "/fapi/v1/openInterest": ("/binance_usdm/fapi/v1/openInterest?symbol=BTCUSDT", "usdm-futures"),
    "/fapi/v1/premiumIndex": ("/binance_usdm/fapi/v1/premiumIndex?symbol=BTCUSDT", "usdm-futures"),
    "/fapi/v1/fundingRate": ("/binance_usdm/fapi/v1/fundingRate?symbol=BTCUSDT", "usdm-futures"),
    "/fapi/v1/exchangeInfo": ("/binance_usdm/fapi/v1/exchangeInfo", "usdm-futures"),
}


@pytest.mark.parametrize("endpoint", list(REST))
async def test_binances_rest_has_the_recorded_shapes(start: Start, endpoint: str) -> None:
    path, market = REST[endpoint]
    options = {"symbols": ("BTC-USDT", "BTC-USDT-PERP"), "venues": ("binance", "binance_usdm"), "funding_seconds": 2}
    async with start(seed=1, **options) as harness:
        await harness.simulator.step(1000)
        ours = kinds(await harness.get(path))
    real = [
        kinds(body)
        for request, body in recorded("binance.rest.gocryptotrader.jsonl", market, "rest")
        if request.partition("?")[0].endswith(endpoint) and not (isinstance(body, dict) and "code" in body)
    ]
    assert real
    for shape in real:
        if isinstance(shape, dict) == isinstance(ours, dict):
            assert missing(shape, ours) == []


@pytest.mark.parametrize("endpoint", ["Ticker", "OHLC", "Trades"])
async def test_krakens_rest_has_the_recorded_shapes(harness: Harness, endpoint: str) -> None:
    await harness.simulator.step(1000, "kraken", "BTC-USDT")
    ours = await harness.get(f"/kraken/0/public/{endpoint}", pair="XBTUSDT")
    for request, real in recorded("kraken.rest.ccxt.jsonl", "spot", "rest"):
        if request.startswith(f"GET /0/public/{endpoint} "):
            row, own = (body["result"]["XBTUSDT"] for body in (real, ours))
            # The exchange's page has OHLC's `last` as a number, this recording as a text.
            assert set(ours["result"]) == set(real["result"])
            if isinstance(row, list):
                count = 7 if endpoint == "Trades" else len(row[0])  # later years have one more in Trades
                assert [type(one) for one in own[0]] == [type(one) for one in row[0]][:count]
                assert isinstance(ours["result"]["last"], str if endpoint == "Trades" else int)
            else:
                assert {key: [type(one) for one in value] for key, value in own.items() if key != "o"} == {
                    key: [type(one) for one in value] for key, value in row.items() if key != "o"
                }
            return
    pytest.fail(f"no recorded {endpoint}")
