"""Binance's limits as data; every one can be changed for a run by its name.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#general-wss-information
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator.statistics import MONDAY_US, Period, every, months

INTERVALS: Final[Mapping[str, Period]] = {
    "1s": every(1),
    "1m": every(60),
    "3m": every(180),
    "5m": every(300),
    "15m": every(900),
    "30m": every(1800),
    "1h": every(3600),
    "2h": every(2 * 3600),
    "4h": every(4 * 3600),
    "6h": every(6 * 3600),
    "8h": every(8 * 3600),
    "12h": every(12 * 3600),
    "1d": every(86400),
    "3d": every(3 * 86400),
    "1w": every(7 * 86400, MONDAY_US),
    "1M": months,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts."""

    ping_interval: float = 20.0
    pong_deadline: float = 60.0
    lifetime: float = 86400.0
    messages_per_second: int = 5
    streams: int = 1024
    connects: int = 300
    connects_seconds: float = 300.0
    weight: int = 6000
    weight_seconds: float = 60.0
    raw_requests: int = 300_000
    raw_seconds: float = 300.0
    patience: int = 10  # requests that are answered 429 before the ban
    ban: float = 120.0


WEIGHTS = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 20,
    "trades": 25,
    "historicalTrades": 25,
    "aggTrades": 4,
    "klines": 2,
    "ticker/24hr": 2,
    "system/status": 1,
}
DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))  # up to this limit: this weight
