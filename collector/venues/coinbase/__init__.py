"""Coinbase Advanced Trade: everything on a connection is numbered in one row; a hole in it is everybody's."""

from collector.venues.coinbase.convert import canonical
from collector.venues.coinbase.core import CoinbaseCore
from collector.venues.coinbase.facts import FACTS, throttle_seconds

__all__ = ["FACTS", "CoinbaseCore", "canonical", "throttle_seconds"]
