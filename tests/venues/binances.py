"""Messages of both Binance products, and cores that are subscribed and acknowledged."""

from collections.abc import Sequence
from typing import Any

from collector.records import Level
from collector.venues import VENUES
from collector.venues.protocol import Channel, CoreSettings, Wanted
from tests.venues.kit import Bench

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000  # the beginning of a minute
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "9", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00010", "maxQty": "9000.0", "stepSize": "0.00001"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "7.5", "stepSize": "0"},
]
Body = dict[str, Any]


def data(stream: str, body: Any) -> Body:
    return {"stream": stream, "data": body}


def listed(base: str, quote: str, status: str = "TRADING", **more: Any) -> Body:
    """One of exchangeInfo's symbols, as spot has it."""
    least = {"filterType": "NOTIONAL", "minNotional": "5.00"}
    return {
        "symbol": base + quote, "status": status, "baseAsset": base, "quoteAsset": quote, "filters": [*FILTERS, least],
        **more,
    }  # fmt: skip


def contract(base: str, quote: str, status: str = "TRADING", kind: str = "PERPETUAL", symbol: str = "") -> Body:
    """One of exchangeInfo's symbols, as USDⓈ-M has it."""
    least = {"filterType": "MIN_NOTIONAL", "notional": "100"}
    return {
        "symbol": symbol or base + quote, "pair": base + quote, "contractType": kind, "status": status,
        "baseAsset": base, "quoteAsset": quote, "marginAsset": quote, "filters": [*FILTERS, least],
    }  # fmt: skip


def listing(*symbols: Body, at: int = START_MS) -> Body:
    return {"timezone": "UTC", "serverTime": at, "symbols": list(symbols)}


SPOT = listing(listed("BTC", "USDT"), listed("ETH", "USDT"))
USDM = listing(contract("BTC", "USDT"), contract("ETH", "USDT"))


def fresh(
    section: str, *channels: Channel, instruments: tuple[str, ...] = ("BTC-USDT",), settings: CoreSettings | None = None
) -> Bench:
    """A core that is connected and waits for the listing."""
    venue = VENUES[section]
    wanted = [Wanted(name, channel) for name in instruments for channel in channels]
    made = Bench(venue.make_core(wanted, settings or CoreSettings(), venue.facts))
    made.connect()
    return made


def bench(
    section: str, *channels: Channel, instruments: tuple[str, ...] = ("BTC-USDT",), settings: CoreSettings | None = None
) -> Bench:
    """The same with its streams subscribed and acknowledged, and nothing said so far."""
    made = fresh(section, *channels, instruments=instruments, settings=settings)
    made.reply(SPOT if section == "binance" else USDM)
    for request in made.sent():
        made.frame({"result": None, "id": request["id"]})
    made.forget()
    return made


def names(made: Bench) -> list[tuple[str, list[str]]]:
    """Take the control messages sent since the last call: their method and streams."""
    return [(sent["method"], sent["params"]) for sent in made.sent()]


def ticker(last: str = "100.10", symbol: str = "BTCUSDT", *, best: bool = True) -> Body:
    body = {
        "e": "24hrTicker", "E": START_MS, "s": symbol, "p": "0.1", "P": "0.1", "w": "100", "c": last, "Q": "1",
        "o": "99.00", "h": "110.0", "l": "90.0", "v": "1234.500", "q": "123450.0", "O": 1, "C": 2, "F": 1, "L": 9,
        "n": 9,
    }  # fmt: skip
    if best:
        body |= {"x": "99.9", "b": "100.0", "B": "1.5", "a": "100.2", "A": "2.50"}
    return data(f"{symbol.lower()}@ticker", body)


def kline(minute: int, *, closed: bool = False, close: str = "10.5", interval: str = "1m", **changed: Any) -> Body:
    """The bar of the `minute`-th minute."""
    start = START_MS + minute * MINUTE_MS
    bar = {
        "t": start, "T": start + MINUTE_MS - 1, "s": "BTCUSDT", "i": interval, "f": 1, "L": 9, "o": "10.0", "c": close,
        "h": "11.00", "l": "9.5", "v": "3.250", "n": 9, "x": closed, "q": "33", "V": "1", "Q": "10", "B": "0",
    }  # fmt: skip
    return data(
        f"btcusdt@kline_{interval}",
        {"e": "kline", "E": start + 500, "s": "BTCUSDT", "k": bar | changed},
    )


def agg_trade(ident: int, first: int, last: int, price: str = "100.1") -> Body:
    when = START_MS + ident
    body = {
        "e": "aggTrade", "E": when + 5, "s": "BTCUSDT", "a": ident, "p": price, "q": "0.500", "f": first, "l": last,
        "T": when, "m": False,
    }  # fmt: skip
    return data("btcusdt@aggTrade", body)


def perp_depth(first: int, last: int, before: int, bids: Sequence[Level] = (), asks: Sequence[Level] = ()) -> Body:
    body = {
        "e": "depthUpdate", "E": START_MS + last, "T": START_MS + last - 3, "s": "BTCUSDT", "U": first, "u": last,
        "pu": before, "b": bids, "a": asks,
    }  # fmt: skip
    return data("btcusdt@depth@100ms", body)


def perp_book(last: int, bids: Sequence[Level], asks: Sequence[Level]) -> Body:
    return {"lastUpdateId": last, "E": START_MS + last, "T": START_MS + last, "bids": bids, "asks": asks}


def perp_quote(update: int, bid: str = "100.0") -> Body:
    body = {
        "e": "bookTicker", "u": update, "s": "BTCUSDT", "b": bid, "B": "1.0", "a": "101.0", "A": "2.0",
        "T": START_MS + update, "E": START_MS + update + 7,
    }  # fmt: skip
    return data("btcusdt@bookTicker", body)


def mark_price(rate: str = "0.00010000", symbol: str = "BTCUSDT") -> Body:
    body = {
        "e": "markPriceUpdate", "E": START_MS, "s": symbol, "p": "100.50000000", "i": "100.40000000",
        "P": "100.45000000", "r": rate, "T": START_MS + 3_600_000,
    }  # fmt: skip
    return data(f"{symbol.lower()}@markPrice@1s", body)


def force_order(side: str = "SELL", size: str = "0.014") -> Body:
    order = {
        "s": "BTCUSDT", "S": side, "o": "LIMIT", "f": "IOC", "q": size, "p": "99.10", "ap": "99.25", "X": "FILLED",
        "l": size, "z": size, "T": START_MS - 9,
    }  # fmt: skip
    return data("btcusdt@forceOrder", {"e": "forceOrder", "E": START_MS, "o": order})


def interest(value: str = "10659.509", symbol: str = "BTCUSDT") -> Body:
    return {"openInterest": value, "symbol": symbol, "time": START_MS}
