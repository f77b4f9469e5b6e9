"""OKX's limits as data, every one of which can be changed for a run by its name; its channels, bars and contracts.

It owns these facts and nothing that moves. Two of the limits are switches: whether a book's snapshot comes in band, and
whether REST's book carries a sequence, because OKX has announced to move from the one to the other.
https://www.okx.com/docs-v5/en/#overview-websocket-connect
"""

from dataclasses import dataclass
from typing import Final

from simulator.frames import (
    BOOK,
    FUNDING,
    INSTRUMENTS,
    LIQUIDATIONS,
    OPEN_INTEREST,
    QUOTES,
    STATUS,
    TICKERS,
    TRADES,
)
from simulator.instruments import PERP, SIZE_DECIMALS, Instrument, split_symbol
from simulator.statistics import Period, every, months

PUBLIC, BUSINESS = "public", "business"
DEPTH = 400  # levels a side of `books` and the most of REST's


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts. `rest_factor` multiplies what each REST endpoint allows."""

    idle: float = 30.0  # without anything sent or received, a connection is closed
    unsubscribed: float = 30.0  # without a subscription likewise
    requests: int = 480  # subscribe and unsubscribe, a connection and hour
    connects: int = 3  # a second and address
    quiet: float = 60.0  # a book without change gets an empty update
    shutdown_delay: float = 60.0  # between the notice and the end of the connections
    rest_factor: float = 1.0
    in_band_snapshot: int = 1
    rest_seq: int = 1


CHANNELS: Final = {
    "trades": TRADES,
    "books": BOOK,
    "books5": BOOK,
    "bbo-tbt": QUOTES,
    "tickers": TICKERS,
    "instruments": INSTRUMENTS,
    "status": STATUS,
    "funding-rate": FUNDING,
    "open-interest": OPEN_INTEREST,
    "mark-price": FUNDING,
    "liquidation-orders": LIQUIDATIONS,
}
"""What is on /public, as our channels."""

BY_TYPE = ("instruments", "liquidation-orders")  # subscribed with instType, not instId
SWAP_ONLY = ("funding-rate", "open-interest", "mark-price")

_HOUR = 3600
_HONG_KONG = -8 * _HOUR * 1_000_000  # days and longer bars begin at midnight in Hong Kong unless they say utc
_MONDAY = 4 * 86400 * 1_000_000
BARS: Final[dict[str, Period]] = {
    "1s": every(1),
    **{f"{minutes}m": every(60 * minutes) for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}H": every(_HOUR * hours) for hours in (1, 2, 4)},
    **{f"{hours}H": every(_HOUR * hours, _HONG_KONG) for hours in (6, 12)},
    **{f"{hours}Hutc": every(_HOUR * hours) for hours in (6, 12)},
    "1D": every(86400, _HONG_KONG),
    "1Dutc": every(86400),
    "3Dutc": every(3 * 86400),
    "1Wutc": every(7 * 86400, _MONDAY),
    "1Mutc": months,
}

REST: Final = {
    "market/books": (40, 2),
    "market/trades": (100, 2),
    "market/history-trades": (20, 2),
    "market/candles": (40, 2),
    "market/history-candles": (20, 2),
    "market/ticker": (20, 2),
    "market/tickers": (20, 2),
    "public/instruments": (20, 2),
    "public/time": (10, 2),
    "public/funding-rate": (20, 2),
    "public/open-interest": (20, 2),
    "public/mark-price": (10, 2),
    "system/status": (1, 5),
}
"""Requests in so many seconds, an address and endpoint."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What one contract of a swap is worth; sizes count contracts, in steps of `step` lots of 10^-8."""

    value: str
    currency: str
    settle: str
    step: int
    inverse: bool


_LINEAR = {"BTC": "0.01", "ETH": "0.1", "XRP": "100", "ADA": "100", "DOGE": "1000"}
_INVERSE = {"BTC": "100"}


def contract(symbol: str) -> Contract | None:
    """The contract of a perpetual, None for a spot pair: against USD it is inverse, else linear."""
    base, quote, kind = split_symbol(symbol)
    if kind != PERP:
        return None
    if quote == "USD":
        return Contract(_INVERSE.get(base, "10"), "USD", base, 10**SIZE_DECIMALS, inverse=True)
    return Contract(_LINEAR.get(base, "1"), base, quote, 10 ** (SIZE_DECIMALS - 2), inverse=False)


def inst_id(symbol: str) -> str:
    """BTC-USDT is itself, BTC-USDT-PERP is BTC-USDT-SWAP."""
    return f"{symbol.removesuffix('-PERP')}-SWAP" if symbol.endswith("-PERP") else symbol


def inst_type(instrument: Instrument) -> str:
    """SPOT or SWAP."""
    return "SWAP" if instrument.kind == PERP else "SPOT"
