"""Binance: spot and USDⓈ-M perpetuals. REST snapshots spliced into diff streams, one chain of update ids a symbol."""

from collector.venues.binance.core import BinanceCore
from collector.venues.binance.facts import FACTS, USDM_FACTS, throttle_seconds

__all__ = ["FACTS", "USDM_FACTS", "BinanceCore", "throttle_seconds"]
