"""Coinbase's limits as data, every one of which can be changed for a run by its name; its channels and its aliases.

It owns these facts and nothing that moves.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from dataclasses import dataclass
from typing import Final

from simulator.frames import BOOK, CANDLES, INSTRUMENTS, QUOTES, TICKERS, TRADES


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts. `levels` is how deep a book is: 22 000 a side make a snapshot of some 5 MB."""

    levels: int = 1500
    heartbeat: float = 1.0
    subscribe_within: float = 5.0
    idle: float = 75.0  # without anything sent a connection is closed; the exchange says after 60 to 90
    messages_per_second: int = 8
    connects: int = 8  # a second and address
    rest_per_second: int = 10


CHANNELS: Final = {
    "level2": BOOK,
    "market_trades": TRADES,
    "ticker": QUOTES,
    "ticker_batch": TICKERS,
    "candles": CANDLES,
    "status": INSTRUMENTS,
}
"""The channels with products, as ours; `heartbeats` is the one without."""

HEARTBEATS = "heartbeats"
TRADES_IN_SNAPSHOT = 50
CANDLES_IN_SNAPSHOT = 100
CANDLE_SECONDS = 300
TICKER_SECONDS = 5.0
GRANULARITIES: Final = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "SIX_HOUR": 21600,
    "ONE_DAY": 86400,
}


def alias(symbol: str) -> str | None:
    """The USDC pair that is another name of a USD pair."""
    base, _, quote = symbol.partition("-")
    return f"{base}-USDC" if quote == "USD" and base not in ("USDT", "EURC", "USDC") else None
