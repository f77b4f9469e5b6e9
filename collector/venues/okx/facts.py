"""What OKX spot and OKX swaps (perpetuals) are, as data. Every number is the exchange's; its page stands beside it.

REST limits count for each endpoint, and no header tells what is left; a pool has one limit, so it has the strictest of
those endpoints that are asked again and again. The two markets have a pool each and share an address: both limits
together are what the exchange allows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collector.venues.protocol import Endpoint, Facts, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.records import Market
    from collector.venues.protocol import Channel

WEBSOCKET_PAGE = "https://www.okx.com/docs-v5/en/#overview-websocket"
BOOK_PAGE = "https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel"
TRADES_PAGE = "https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-trades-channel"
CANDLES_PAGE = "https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-candlesticks-channel"
INSTRUMENTS_PAGE = "https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments"
STATUS_PAGE = "https://www.okx.com/docs-v5/en/#status"
LIQUIDATIONS_PAGE = "https://www.okx.com/docs-v5/en/#public-data-websocket-liquidation-orders-channel"

_SPOT: tuple[Channel, ...] = ("trades", "quotes", "tickers", "book", "instruments", "status")
_SWAP: tuple[Channel, ...] = (*_SPOT, "funding", "open_interest", "liquidations")


def _facts(market: Market, channels: tuple[Channel, ...]) -> Facts:
    return Facts(
        venue="okx",
        market=market,
        ws_urls=("wss://ws.okx.com:8443",),  # other hosts are other regions, which list other instruments
        # WEBSOCKET_PAGE, CANDLES_PAGE: candles are not on the public path
        endpoints=(Endpoint("/ws/v5/public", channels), Endpoint("/ws/v5/business", ("candles",))),
        rest_urls=("https://www.okx.com",),
        # INSTRUMENTS_PAGE: 20 requests in 2 s; a book costs half of that
        pool=Pool(name="okx-public", limit=20, interval_s=2.0),
        control_per_s=2.0,  # the hour's budget is the core's (REQUESTS_PER_HOUR)
        connects=(1, 1.5),  # WEBSOCKET_PAGE: 3 a second and address, which both markets share
        streams_per_connection=240,
        max_frame_bytes=8 * 1024 * 1024,  # a whole listing comes in one frame
        lifetime_s=None,
        docs=(WEBSOCKET_PAGE, BOOK_PAGE, TRADES_PAGE, CANDLES_PAGE, INSTRUMENTS_PAGE, STATUS_PAGE, LIQUIDATIONS_PAGE),
        instruments_per_connection=25,  # BOOK_PAGE: less than 30 books of 400 levels on a connection
    )


FACTS = _facts("spot", _SPOT)
SWAP_FACTS = _facts("perp", _SWAP)

REQUESTS_PER_HOUR = 480
"""Subscribe and unsubscribe requests of one connection (WEBSOCKET_PAGE, "Request limit")."""
SPARE_REQUESTS = 40
"""Of those, what is kept for subscriptions: without it, books are repaired by REST alone."""
SUBSCRIBE_BATCH = 400
"""Arguments of one request: about 60 bytes each, where 64 KB are allowed (WEBSOCKET_PAGE, "Subscribe")."""
PING_AFTER_S = 15.0
PONG_WITHIN_S = 10.0
"""A connection on which nothing was pushed for 30 s is closed (WEBSOCKET_PAGE); clients met it after 18 s
(https://github.com/ccxt/ccxt/pull/22883)."""
BOOK_LEVELS = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50}
"""Incremental book channels and the levels a side that they carry (BOOK_PAGE)."""
REST_LEVELS = 400
CHECK_LEVELS = 20
IN_BAND_S = 5.0
"""How long after the acknowledgement a book's snapshot may take to come; OKX has announced that it will not come any
more, and that GET /api/v5/market/books is to be used then."""
LISTING_EVERY_S = 300.0
STATUS_EVERY_S = 3600.0
STATUS_APART_S = 6.0
"""GET /api/v5/system/status: 1 request in 5 s (STATUS_PAGE)."""
STATUS_AGAIN_S = 120.0
"""How often it is asked for at most however often the connection is lost; changes are pushed."""
RETRY_S = 10.0

BARS = {
    "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1H", "2h": "2H", "4h": "4H",
    "12h": "12Hutc", "1d": "1Dutc",
}  # fmt: skip
"""Our intervals → the venue's bars (CANDLES_PAGE): without `utc`, long bars begin at midnight in Hong Kong."""
INTERVALS = {bar: interval for interval, bar in BARS.items()} | {"1s": "1s", "6Hutc": "6h", "1Wutc": "1w"}
"""The venue's bars → our intervals, also those that only tapes of others hold."""

NOT_SPOKEN = frozenset(
    {
        "mark-price", "index-tickers", "price-limit", "estimated-price", "opt-summary", "option-trades", "adl-warning",
        "liquidation-warning", "block-tickers", "public-block-trades", "public-struc-block-trades", "books-elp",
        "call-auction-details", "economic-calendar",
    }
)  # fmt: skip
"""Public channels of the venue that nothing here is made of; so are all candles that `INTERVALS` does not hold."""
is_candle = re.compile(r"(mark-price-|index-)?candle[0-9]+[smHDWM](utc)?").fullmatch
"""Whether a channel is one of candles."""
NO_SUCH = frozenset({"51001", "60018", "64001", "64003"})
"""Codes of a refusal that asking again does not change: no such instrument or channel, not on this path, not for us."""
CLOSING_SOON = "64008"
TOO_FAST = b'"code":"50011"'
THROTTLED_S = 2.0
"""The longest window of a limit, which is also how long an excess lasts."""


def throttle_seconds(status: int, headers: Mapping[str, str], body: bytes) -> float | None:
    """Give how long the whole pool must rest after this answer, or None: HTTP 429, or code 50011 in another answer."""
    after = headers.get("Retry-After", "")
    if status == 429 or TOO_FAST in body[:200].replace(b" ", b""):
        return float(after) if after.isdigit() else THROTTLED_S
    return None
