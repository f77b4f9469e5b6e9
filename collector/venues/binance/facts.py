"""What Binance spot and USDⓈ-M futures are, as data. Every number is the exchange's; its page stands beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.venues.protocol import Endpoint, Facts, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

STREAMS_PAGE = "https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md"
REST_PAGE = "https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md"
WALLET_PAGE = "https://developers.binance.com/docs/wallet/others/system-status"
USDM_PAGE = "https://developers.binance.com/docs/derivatives/usds-margined-futures"
USDM_STREAMS_PAGE = f"{USDM_PAGE}/websocket-market-streams"
USDM_REST_PAGE = f"{USDM_PAGE}/general-info"

FACTS = Facts(
    venue="binance",
    market="spot",
    # STREAMS_PAGE "General WSS information"; data-stream carries market data only
    ws_urls=("wss://stream.binance.com:9443", "wss://data-stream.binance.vision"),
    endpoints=(Endpoint("/stream", ("trades", "quotes", "tickers", "book", "candles", "instruments", "status")),),
    # REST_PAGE "General API Information"; data-api serves public data only
    rest_urls=("https://api.binance.com", "https://data-api.binance.vision"),
    pool=Pool(
        name="binance-spot", limit=6000, interval_s=60.0, used_header="X-MBX-USED-WEIGHT-1M"
    ),  # REST_PAGE "LIMITS"
    control_per_s=3.0,  # 5 incoming messages a second are allowed, pongs included (STREAMS_PAGE "Websocket Limits")
    connects=(300, 300.0),
    streams_per_connection=1024,
    max_frame_bytes=4 * 1024 * 1024,
    lifetime_s=24 * 3600.0,
    docs=(STREAMS_PAGE, REST_PAGE, WALLET_PAGE),
)

USDM_FACTS = Facts(
    venue="binance",
    market="perp",
    # USDM_STREAMS_PAGE: the host is split; a stream on the wrong path is acknowledged and never comes
    ws_urls=("wss://fstream.binance.com",),
    endpoints=(
        Endpoint("/public/stream", ("quotes", "book")),
        # Without `status`: the venue tells nothing of itself as a whole, only of each contract.
        Endpoint(
            "/market/stream",
            ("trades", "tickers", "candles", "instruments", "funding", "open_interest", "liquidations"),
        ),
    ),
    rest_urls=("https://fapi.binance.com",),  # USDM_REST_PAGE "General API Information"
    pool=Pool(
        name="binance-usdm", limit=2400, interval_s=60.0, used_header="X-MBX-USED-WEIGHT-1M"
    ),  # USDM_REST_PAGE "IP Limits"
    control_per_s=5.0,  # 10 incoming messages a second are allowed (USDM_STREAMS_PAGE)
    connects=(300, 300.0),
    streams_per_connection=1024,
    max_frame_bytes=4 * 1024 * 1024,
    lifetime_s=24 * 3600.0,
    docs=(USDM_STREAMS_PAGE, USDM_REST_PAGE),
    silent_s=400.0,  # a ping every 3 minutes (USDM_STREAMS_PAGE), which may be all that a path with quiet streams sends
)

QUOTES = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "DAI", "BIDR", "BKRW", "IDRT", "AEUR", "EURI", "USD1", "USDE"),
    *("BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "DOT", "SOL", "VAI", "PAX", "USDS", "UST"),
    *("EUR", "GBP", "AUD", "BRL", "RUB", "TRY", "UAH", "NGN", "ZAR", "JPY", "PLN", "RON", "ARS", "MXN", "COP", "CZK"),
)
"""Quote currencies that Binance has listed. Only used to split a symbol when no listing could be had."""

BAN_S = 120.0  # a first ban lasts two minutes (REST_PAGE "LIMITS")


def throttle_seconds(status: int, headers: Mapping[str, str], body: bytes) -> float | None:
    """Give how long the whole pool must rest after this answer, or None.

    429: slow down, 418: banned (REST_PAGE "LIMITS").
    """
    del body
    if status not in (418, 429):
        return None
    after = headers.get("Retry-After", "")
    return float(after) if after.isdigit() else BAN_S
