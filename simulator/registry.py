"""The venues there are.

It owns the list and nothing else: a new venue is a package beside these and one line here.
"""

from collections.abc import Mapping
from typing import Final

from simulator.binance.venue import Binance
from simulator.kraken.venue import Kraken

VENUES: Final[Mapping[str, type[Binance | Kraken]]] = {"binance": Binance, "kraken": Kraken}
