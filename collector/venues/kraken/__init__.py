"""Kraken spot, WebSocket v2: the snapshot comes in band, a CRC32 of the top ten proves every message."""

from collector.venues.kraken.core import KrakenCore
from collector.venues.kraken.facts import FACTS, throttle_seconds

__all__ = ["FACTS", "KrakenCore", "throttle_seconds"]
