"""What Kraken spot is, as data.

Every number is the exchange's (or where it says none, a public client's); its page stands beside it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collector.venues.protocol import Facts, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

BOOK_PAGE = "https://docs.kraken.com/api/docs/websocket-v2/book"
CHECKSUM_PAGE = "https://docs.kraken.com/api/docs/guides/spot-ws-book-v2"
REST_PAGE = "https://docs.kraken.com/api/docs/rest-api/get-order-book"

FACTS = Facts(
    venue="kraken",
    market="spot",
    ws_urls=("wss://ws.kraken.com",),
    ws_path="/v2",
    rest_urls=("https://api.kraken.com",),
    pool=Pool(
        name="kraken-spot", limit=1, interval_s=1.0
    ),  # about one public call a second and address; no quota header
    control_per_s=20.0,  # bursts of a hundred are dropped silently (pace of a public client)
    connects=(150, 600.0),
    streams_per_connection=500,
    max_frame_bytes=8 * 1024 * 1024,
    lifetime_s=None,
    docs=(BOOK_PAGE, CHECKSUM_PAGE, REST_PAGE),
)

DEPTHS = (10, 25, 100, 500, 1000)
"""Depths that the book channel offers (BOOK_PAGE)."""
CHECKSUM_DEPTH = 10
MESSAGE_DEADLINE_S = 10.0
"""A heartbeat comes about every second when nothing else does; the guide advises to act after five."""
SUBSCRIBE_BATCH = 50

_REST_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
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
