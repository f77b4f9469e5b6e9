"""The limits and weights of Binance's USDⓈ-M market as data; every limit can be changed for a run by its name.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from dataclasses import dataclass

from simulator.binance import facts


@dataclass(frozen=True, slots=True)
class Limits(facts.Limits):
    """Seconds and counts, where they differ from spot's."""

    ping_interval: float = 180.0
    pong_deadline: float = 600.0
    messages_per_second: int = 10
    weight: int = 2400


WEIGHTS = {
    "ping": 1,
    "time": 1,
    "exchangeInfo": 1,
    "trades": 5,
    "historicalTrades": 20,
    "aggTrades": 20,
    "openInterest": 1,
    "premiumIndex": 1,
    "fundingRate": 1,
    "ticker/24hr": 1,
}
ALL_WEIGHTS = {"premiumIndex": 10, "ticker/24hr": 40}  # without ?symbol=
DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}  # no other limit is allowed
KLINE_WEIGHTS = ((99, 1), (499, 2), (1000, 5), (1500, 10))  # up to this limit: this weight

PUBLIC, MARKET = "public", "market"  # the two paths; a stream is served on one of them
PUBLIC_STREAMS = ("trade", "bookTicker", "depth")
"""What the names of the streams on the public path begin with.

https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/Important-WebSocket-Change-Notice
"""
