"""Binance spot: REST snapshot spliced into a diff stream, `U`/`u` chain per symbol."""

from collector.venues.binance.core import BinanceCore
from collector.venues.binance.facts import FACTS, throttle_seconds

__all__ = ["FACTS", "BinanceCore", "throttle_seconds"]
