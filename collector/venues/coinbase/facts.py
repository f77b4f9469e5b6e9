"""What Coinbase Advanced Trade is, as data.

Every number is the exchange's (or where it says none, a public client's); its page stands beside it. Coinbase
*Exchange*, the other feed of the house, is not this one: its keyless book has no sequence, so a loss could not be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.venues.protocol import Endpoint, Facts, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.venues.protocol import Channel

OVERVIEW_PAGE = "https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview"
CHANNELS_PAGE = "https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels"
REST_PAGE = "https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/list-public-products"

FACTS = Facts(
    venue="coinbase",
    market="spot",
    ws_urls=("wss://advanced-trade-ws.coinbase.com",),  # the -user host serves no market data (OVERVIEW_PAGE)
    endpoints=(Endpoint("", ("trades", "quotes", "tickers", "book", "candles", "instruments", "status")),),
    rest_urls=("https://api.coinbase.com",),
    pool=Pool(name="coinbase-public", limit=10, interval_s=1.0),  # ten public calls a second (pace of public clients)
    # Eight messages and eight connections a second and address (OVERVIEW_PAGE). A budget of messages is a connection's
    # own here, so a second between connections keeps the messages of those that start together below eight.
    control_per_s=2.0,
    connects=(1, 1.0),
    streams_per_connection=60,
    max_frame_bytes=32 * 1024 * 1024,  # a snapshot of BTC-USD is about 5 MB
    lifetime_s=None,
    docs=(OVERVIEW_PAGE, CHANNELS_PAGE, REST_PAGE),
    instruments_per_connection=10,  # numbers are the connection's: what is lost on it taints all of them
)

WIRE_CHANNELS: Mapping[Channel, str] = {
    "book": "level2",
    "trades": "market_trades",
    "quotes": "ticker",
    "tickers": "ticker",
    "candles": "candles",
    "instruments": "status",
}
"""What to subscribe to for a channel (CHANNELS_PAGE). The venue's own status is not pushed: the listing tells it."""
MESSAGE_DEADLINE_S = 10.0
"""A heartbeat comes every second (CHANNELS_PAGE)."""
MOST_LEVELS = 100_000
"""Levels a side that a book may grow to: the venue sends all that it has, 22 000 a side for BTC-USD."""
CANDLE_INTERVAL = "5m"
"""The only one (CHANNELS_PAGE)."""
NOT_SPOKEN = ("ticker_batch", "user", "futures_balance_summary")
OURS = (b'"updates"', b'"trades"', b'"tickers"', b'"candles"')
"""What a message of an unknown channel holds when the channel's name is all that is wrong with it."""
UNKNOWN_PRODUCT = ("not a valid product", "invalid product", "unknown product", "not found", "does not exist")
"""Parts of the venue's error for a product that there is not; the message names it too."""
OWN_USDC = frozenset({"USDT-USDC", "EURC-USDC"})
"""Products that end in -USDC and are not another name of the one that ends in -USD (CHANNELS_PAGE)."""

PATH = "/api/v3/brokerage/market"
CHECK_LEVELS = 10
TOO_FAST = b"rate_limit_exceeded"
REST_S = 5.0
LONGEST_REST_S = 3600


def throttle_seconds(status: int, headers: Mapping[str, str], body: bytes) -> float | None:
    """Give how long the whole pool must rest after this answer, or None.

    429 with `errors[].id` = `rate_limit_exceeded`; `x-ratelimit-reset` is taken for seconds where it can be that.
    """
    if status != 429 and (status < 400 or TOO_FAST not in body[:500]):
        return None
    for header in ("Retry-After", "x-ratelimit-reset"):
        text = headers.get(header, "")
        if text.isascii() and text.isdigit() and 0 < int(text) <= LONGEST_REST_S:
            return float(text)
    return REST_S
