"""What Kraken spot is, as data.

Every number is the exchange's (or where it says none, a public client's); its page stands beside it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collector.venues.protocol import Endpoint, Facts, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.records import InstrumentStatus, SystemStatus

BOOK_PAGE = "https://docs.kraken.com/api/docs/websocket-v2/book"
CHECKSUM_PAGE = "https://docs.kraken.com/api/docs/guides/spot-ws-book-v2"
INSTRUMENT_PAGE = "https://docs.kraken.com/api/docs/websocket-v2/instrument"
STATUS_PAGE = "https://docs.kraken.com/api/docs/websocket-v2/status"
CANDLES_PAGE = "https://docs.kraken.com/api/docs/websocket-v2/ohlc"
REST_PAGE = "https://docs.kraken.com/api/docs/rest-api/get-order-book"

FACTS = Facts(
    venue="kraken",
    market="spot",
    ws_urls=("wss://ws.kraken.com",),
    endpoints=(Endpoint("/v2", ("trades", "quotes", "tickers", "book", "candles", "instruments", "status")),),
    rest_urls=("https://api.kraken.com",),
    pool=Pool(
        name="kraken-spot", limit=1, interval_s=1.0
    ),  # about one public call a second and address; no quota header
    control_per_s=20.0,  # bursts of a hundred are dropped silently (pace of a public client)
    connects=(150, 600.0),
    streams_per_connection=500,
    max_frame_bytes=8 * 1024 * 1024,
    lifetime_s=None,
    docs=(BOOK_PAGE, CHECKSUM_PAGE, INSTRUMENT_PAGE, STATUS_PAGE, CANDLES_PAGE, REST_PAGE),
)

DEPTHS = (10, 25, 100, 500, 1000)
"""Depths that the book channel offers (BOOK_PAGE)."""
CHECKSUM_DEPTH = 10
CHECK_LEVELS = 10
"""Asked for by REST to check a silent book."""
MESSAGE_DEADLINE_S = 10.0
"""A heartbeat comes about every second when nothing else does; the guide advises to act after five."""
SUBSCRIBE_BATCH = 50
INTERVALS: Mapping[str, int] = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440, "1w": 10080}
"""Our names of candle intervals → the venue's, minutes (CANDLES_PAGE)."""
PAIR_STATUS: Mapping[str, InstrumentStatus] = {
    "online": "trading",
    "limit_only": "trading",
    "post_only": "pre_open",
    "work_in_progress": "pre_open",
    "cancel_only": "halted",
    "reduce_only": "halted",
    "maintenance": "halted",
    "delisted": "delisted",
}
"""A pair's status (INSTRUMENT_PAGE) in our words; any other is `unknown`."""
SYSTEM_STATUS: Mapping[str, SystemStatus] = {
    "online": "online",
    "post_only": "degraded",
    "cancel_only": "degraded",
    "limit_only": "degraded",
    "maintenance": "maintenance",
}
"""The exchange's own status (STATUS_PAGE) in our words; any other is `unknown`."""

OLD_NAMES: Mapping[str, str] = {"XBT": "BTC", "XDG": "DOGE"}
"""Currencies that REST and protocol version 1 call otherwise."""
_REST_NAMES = {new: old for old, new in OLD_NAMES.items()}
_UNTIL = re.compile(rb"EService: ?Throttled: ?(\d+)")
_TOO_FAST = (b"EGeneral:Too many requests", b"EAPI:Rate limit exceeded", b"EService:Throttled")
REST_S = 15.0


def rest_pair(symbol: str) -> str:
    """`BTC/USD` → `XBTUSD`: REST still uses the older currency codes."""
    return "".join(_REST_NAMES.get(part, part) for part in symbol.split("/"))


def throttle_seconds(status: int, headers: Mapping[str, str], body: bytes) -> float | None:
    """Give how long the whole pool must rest after this answer, or None.

    Kraken reports throttling inside HTTP 200 bodies.
    """
    if status in (418, 429):
        after = headers.get("Retry-After", "")
        return float(after) if after.isdigit() else REST_S
    return REST_S if _UNTIL.search(body[:500]) or any(mark in body[:500] for mark in _TOO_FAST) else None
