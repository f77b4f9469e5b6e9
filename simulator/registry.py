"""The venues there are.

It owns the list and nothing else: a new venue is a package beside these and one line here.
"""

from collections.abc import Mapping
from typing import Final

from simulator.binance.venue import Binance
from simulator.binance_usdm.venue import BinanceUsdm
from simulator.coinbase.venue import Coinbase
from simulator.kraken.venue import Kraken
from simulator.okx.venue import Okx

VENUES: Final[Mapping[str, type[Binance | BinanceUsdm | Coinbase | Kraken | Okx]]] = {
    "binance": Binance,
    "binance_usdm": BinanceUsdm,
    "coinbase": Coinbase,
    "kraken": Kraken,
    "okx": Okx,
}
