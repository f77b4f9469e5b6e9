"""What the house makes of recorded REST answers: each given where a core asks for such an answer.

What no core asks for is not read; of it `unread` shows that the message says what was expected of it.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from math import isclose
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from collector.records import BookSnapshot, Level, OpenInterest
from collector.venues.stamps import iso_us
from tests.feed.expected import Book
from tests.venues import binances, kit, krakens, okxs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.feed.expected import Body, Expectation
    from tests.venues.kit import Bench

OLDER_NAMES = "Kraken's REST answers by its older names: the answer is that of the pair that was asked for"
FROM_THE_STREAM = "OKX's open interest is read from the stream, whose items are the same"
NOT_READ = "an endpoint that is not read; the message says what is expected"


ENDPOINTS = {
    "/api/v3/depth": "depth",
    "/api/v3/exchangeInfo": "listing",
    "/fapi/v1/depth": "depth",
    "/fapi/v1/exchangeInfo": "listing",
    "/fapi/v1/openInterest": "open_interest",
    "/api/v5/market/books": "depth",
    "/api/v5/public/instruments": "listing",
    "/0/public/Depth": "check",
}
"""What a core asks for, by the path of the request."""


def polled(one: Expectation) -> tuple[list[Body], Book | None, set[str]]:
    """Our records of an answer, the book that it became, and what is to be explained about the way."""
    exchange, market, raw = one.line["exchange"], one.line["market"], one.recorded["raw"]
    if exchange == "kraken":
        return [{"symbol": checked(raw), "ts": None}], None, {OLDER_NAMES}
    if (exchange, one.line["channel"]) == ("okx", "other"):
        made = okxs.bench("open_interest", market="perp", instruments=("BTC-USD", "ETH-USD"))
        for item in json.loads(raw)["data"]:
            made.frame(okxs.push("open-interest", item, inst=item["instId"]))
        return plain(made), None, {FROM_THE_STREAM}
    if one.line["channel"] == "other":
        return plain(fetched(exchange, market, "open_interest", raw)), None, set()
    return *snapshot(fetched(exchange, market, "depth", raw)), set()


def endpoint(line: Body) -> str:
    """What a REST line of a market that is spoken answers; "" when no core asks for it."""
    if line["market"] == "futures":
        return ""
    if "request" in line:
        return ENDPOINTS.get(urlsplit(line["request"].removeprefix("GET ").split(" ")[0]).path, "")
    if line["channel"] == "book":
        return "check" if line["exchange"] == "kraken" else "depth"
    return "open_interest" if line["exchange"] == "binance" else ""


def fetched(exchange: str, market: str, what: str, raw: str) -> Bench:
    """A core that asked for just this, and was given it."""
    if exchange == "binance":
        section = "binance" if market == "spot" else "binance_usdm"
        made = binances.fresh(section, "open_interest" if what == "open_interest" else "book")
        if what == "listing":
            made.reply(raw, endpoint=what)
            return made
        made.reply(binances.SPOT if market == "spot" else binances.USDM)
        if what == "depth":
            made.frame({"result": None, "id": 1})
        made.wait(1)
        made.reply(raw, endpoint=what)
        return made
    if what == "listing":
        made = okxs.made_of("book", market="spot" if market == "spot" else "perp")
        made.connect()
    else:
        made = okxs.bench("book", market="spot" if market == "spot" else "perp")
        made.wait(6)
    made.reply(raw, endpoint=what)
    return made


def plain(made: Bench) -> list[Body]:
    assert not made.dead
    return [msgspec.to_builtins(record, builtin_types=(tuple,)) for record in made.of(OpenInterest)]


def snapshot(made: Bench) -> tuple[list[Body], Book]:
    assert not made.dead
    (record,) = made.of(BookSnapshot)
    body = msgspec.to_builtins(record, builtin_types=(tuple,))
    return [body], Book(body, record.bids, record.asks, {"bids": {}, "asks": {}})


def checked(raw: str) -> str:
    """Let a silent book that holds just these levels be compared with the answer, and another one: it tells them apart.

    Gives the symbol of the answer.
    """
    ((name, theirs),) = json.loads(raw)["result"].items()
    bids: list[Level] = [(price, size) for price, size, _ in theirs["bids"]]
    asks: list[Level] = [(price, size) for price, size, _ in theirs["asks"]]
    for ours, state in ((bids, "in_sync"), ([(bids[0][0], "9.0"), *bids[1:]], "stale")):
        made = krakens.bench("book")
        made.frame(kit.kraken_book("snapshot", ours, asks, kit.kraken_crc(ours, asks)))
        krakens.beating(made, 12)
        made.reply(raw, endpoint="check")
        krakens.beating(made, 4)
        assert made.state("BTC-USD", "book") == state
    return str(name)


def unread(one: Expectation) -> set[str]:
    """Every number that is expected stands in the message: as it is, in another unit, or as a product of two."""
    known = {number for text in leaves(one.message) for number in readings(text)}
    expected = [Decimal(str(leaf)) for leaf in leaves(one.line["expected"]) if not isinstance(leaf, str)]
    for number in expected:
        products = (a * b for a in expected for b in expected)
        assert number in known or any(isclose(number, product) for product in products), (one.where, number)
    return {NOT_READ}


def leaves(value: Any) -> Iterator[Any]:
    """Everything that is neither null nor made of other things."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from leaves(each)
    elif value is not None:
        yield value


def readings(leaf: Any) -> Iterator[Decimal]:
    """A number itself, and seconds as whole milliseconds."""
    text = str(leaf)
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        yield Decimal(text)
        yield Decimal(int(Decimal(text) * 1000))
    elif re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", text):
        yield Decimal(iso_us(text) // 1000)
