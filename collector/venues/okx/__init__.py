"""OKX v5, spot and swaps: each book update names the one before it, and swaps count contracts."""

from collector.venues.okx.core import OkxCore
from collector.venues.okx.facts import FACTS, SWAP_FACTS, throttle_seconds

__all__ = ["FACTS", "SWAP_FACTS", "OkxCore", "throttle_seconds"]
