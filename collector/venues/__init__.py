"""The exchanges: one folder each, sans-I/O. Opening any one of them teaches the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from collector.venues import binance, coinbase, kraken, okx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from collector.records import Market
    from collector.venues.protocol import Core, CoreSettings, Facts, Wanted


class Venue(NamedTuple):
    """What a venue's package offers.

    `throttle_seconds`: how long an answer stops the pool (status, headers, body). `canonical`: an instrument's one
    name, where the venue knows it by several.
    """

    facts: Facts
    make_core: Callable[[Sequence[Wanted], CoreSettings, Facts], Core]
    throttle_seconds: Callable[[int, Mapping[str, str], bytes], float | None]
    canonical: Callable[[str], str] = str


VENUES: Mapping[str, Venue] = {  # by the name of its section in the configuration
    "binance": Venue(binance.FACTS, binance.BinanceCore, binance.throttle_seconds),
    "binance_usdm": Venue(binance.USDM_FACTS, binance.BinanceCore, binance.throttle_seconds),
    "okx": Venue(okx.FACTS, okx.OkxCore, okx.throttle_seconds),
    "okx_swap": Venue(okx.SWAP_FACTS, okx.OkxCore, okx.throttle_seconds),
    "coinbase": Venue(coinbase.FACTS, coinbase.CoinbaseCore, coinbase.throttle_seconds, coinbase.canonical),
    "kraken": Venue(kraken.FACTS, kraken.KrakenCore, kraken.throttle_seconds),
}

BY_MARKET: Mapping[tuple[str, Market], Venue] = {
    (venue.facts.venue, venue.facts.market): venue for venue in VENUES.values()
}
"""The same, as records and tapes name them."""
