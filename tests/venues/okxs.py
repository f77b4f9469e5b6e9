"""An OKX core on a bench, and the messages that its tests share."""

from collections.abc import Sequence
from typing import Any

from collector.records import Level, Market
from collector.venues.okx import FACTS, SWAP_FACTS, OkxCore
from collector.venues.protocol import Channel, CoreSettings, Wanted
from tests.venues.kit import Bench

T0_MS = 1_700_000_000_000
BIDS: list[Level] = [(f"{100 - number}.5", f"{number + 1}") for number in range(10)]
ASKS: list[Level] = [(f"{101 + number}.5", f"{number + 1}") for number in range(10)]


def push(channel: str, *items: Any, inst: str = "BTC-USDT", action: str = "") -> dict[str, Any]:
    message: dict[str, Any] = {"arg": {"channel": channel, "instId": inst}}
    if action:
        message["action"] = action
    return {**message, "data": list(items)}


def four(levels: Sequence[Level]) -> list[list[str]]:
    return [[price, size, "0", "0" if size == "0" else "3"] for price, size in levels]


def book(
    prev: int | None,
    seq: int | None,
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    *,
    inst: str = "BTC-USDT",
    channel: str = "books",
    ms: int = T0_MS,
) -> dict[str, Any]:
    """An update; with `prev` -1 a snapshot."""
    item: dict[str, Any] = {"asks": four(asks), "bids": four(bids), "ts": str(ms), "checksum": 0}
    if seq is not None:
        item |= {"seqId": seq, "prevSeqId": prev}
    return push(channel, item, inst=inst, action="snapshot" if prev == -1 else "update")


SNAPSHOT = book(-1, 10, BIDS, ASKS)


def rest_book(
    seq: int | None, bids: Sequence[Level] = BIDS, asks: Sequence[Level] = ASKS, ms: int = T0_MS
) -> dict[str, Any]:
    item: dict[str, Any] = {"asks": four(asks), "bids": four(bids), "ts": str(ms)}
    if seq is not None:
        item["seqId"] = seq
    return answer(item)


def answer(*items: Any, code: str = "0", msg: str = "") -> dict[str, Any]:
    return {"code": code, "msg": msg, "data": list(items)}


def trade(ident: int, count: int = 1, *, inst: str = "BTC-USDT", seq: int | None = None) -> dict[str, Any]:
    return push("trades", trade_item(ident, count, inst=inst, seq=seq), inst=inst)


def trade_item(ident: int, count: int = 1, *, inst: str = "BTC-USDT", seq: int | None = None) -> dict[str, Any]:
    return {
        "instId": inst,
        "tradeId": str(ident),
        "px": "100.10",
        "sz": "0.5",
        "side": "sell",
        "ts": str(T0_MS + ident % 1000),
        "count": str(count),
        "source": "0",
        "seqId": ident if seq is None else seq,
    }


def bbo(seq: int, *, ms: int = T0_MS, bid: str = "100.5", inst: str = "BTC-USDT") -> dict[str, Any]:
    item = {"asks": [["101.5", "2", "0", "1"]], "bids": [[bid, "1", "0", "1"]], "ts": str(ms), "seqId": seq}
    return push("bbo-tbt", item, inst=inst)


def listed(inst: str, state: str = "live", **fields: str) -> dict[str, Any]:
    """One row of the listing."""
    base, quote, *rest = inst.split("-")
    row = {"instId": inst, "instType": "SPOT", "state": state, "tickSz": "0.1", "lotSz": "0.001", "minSz": "0.01"}
    if rest:
        row |= {"instType": "SWAP", "ctVal": "0.01", "ctMult": "1", "ctValCcy": base, "settleCcy": quote}
    else:
        row |= {"baseCcy": base, "quoteCcy": quote, "ctVal": "", "ctMult": "", "ctValCcy": "", "settleCcy": ""}
    return row | fields


def ack(channel: str, inst: str = "BTC-USDT", kind: str = "instId") -> dict[str, Any]:
    arg = {"channel": channel, kind: inst} if inst else {"channel": channel}
    return {"id": "1", "event": "subscribe", "arg": arg, "connId": "a4d3ae55"}


def refusal(code: str, msg: str, ident: str = "") -> dict[str, Any]:
    return {"id": ident, "event": "error", "code": code, "msg": msg, "connId": "a4d3ae55"}


def made_of(
    *channels: Channel, instruments: Sequence[str] = ("BTC-USDT",), market: Market = "spot", **settings: Any
) -> Bench:
    """A core that was told nothing yet."""
    wanted = [Wanted("*" if channel == "status" else name, channel) for name in instruments for channel in channels]
    facts = FACTS if market == "spot" else SWAP_FACTS
    return Bench(OkxCore(list(dict.fromkeys(wanted)), CoreSettings(depth=400, **settings), facts))


def acknowledge(made: Bench) -> None:
    """Acknowledge everything that was asked for since."""
    for request in made.sent():
        if request["op"] == "subscribe":
            made.frames(*({"id": request["id"], "event": "subscribe", "arg": arg} for arg in request["args"]))


def bench(
    *channels: Channel,
    instruments: Sequence[str] = ("BTC-USDT",),
    market: Market = "spot",
    symbols: Sequence[str] | None = None,
    **settings: Any,
) -> Bench:
    """A core whose streams are subscribed and acknowledged, with nothing said so far."""
    made = made_of(*channels, instruments=instruments, market=market, **settings)
    made.connect()
    every = [name + ("-SWAP" if market == "perp" else "") for name in instruments] if symbols is None else symbols
    made.reply(answer(*(listed(symbol) for symbol in every)), endpoint="listing")
    acknowledge(made)
    made.forget()
    return made


def with_book() -> Bench:
    """A book that is in sync at id 10."""
    made = bench("book")
    made.frame(SNAPSHOT)
    assert made.state("BTC-USDT", "book") == "in_sync"
    made.forget()
    return made


def asked(made: Bench) -> list[tuple[str, str]]:
    """What was asked for since: (operation, subscription)."""
    return [(sent["op"], arg_name(arg)) for sent in made.sent() for arg in sent["args"]]


def arg_name(arg: dict[str, str]) -> str:
    return ":".join(arg.values())


def pongs(made: Bench, seconds: float) -> None:
    """Let time pass on a connection that answers pings and sends nothing else."""
    for _ in range(int(seconds)):
        made.wait(1)
        for _ in [send for send in made.sends if send.purpose == "ping"]:
            made.frame("pong")
        made.sends = [send for send in made.sends if send.purpose != "ping"]
