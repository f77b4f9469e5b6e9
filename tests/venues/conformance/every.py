"""Every market that the suite is run against, and pytest's parameters of them."""

from __future__ import annotations

import pytest

from collector.venues.protocol import Channel
from tests.venues.conformance.adapter import Adapter
from tests.venues.conformance.binance import Binance, BinanceUsdm
from tests.venues.conformance.coinbase import Coinbase
from tests.venues.conformance.kraken import Kraken
from tests.venues.conformance.okx import Okx, OkxSwap
from tests.venues.fifth.adapter import Fifth

ADAPTERS: tuple[type[Adapter], ...] = (Binance, BinanceUsdm, Okx, OkxSwap, Coinbase, Kraken, Fifth)
every_venue = pytest.mark.parametrize("make", ADAPTERS, ids=lambda made: made.section)
refusing = pytest.mark.parametrize("make", [made for made in ADAPTERS if made.refuses], ids=lambda made: made.section)

_proven = [made for made in ADAPTERS if made.gap_cause == "checksum"]
checksummed = pytest.mark.parametrize("make", _proven, ids=lambda made: made.section)


def having(*channels: Channel) -> pytest.MarkDecorator:
    """Every market that has these channels."""
    fitting = [made for made in ADAPTERS if set(channels) <= set(made().facts.channels)]
    return pytest.mark.parametrize("make", fitting, ids=lambda made: made.section)


def every_channel(*but: Channel) -> pytest.MarkDecorator:
    """Every channel of every market."""
    pairs = [(made, channel) for made in ADAPTERS for channel in made().facts.channels if channel not in but]
    return pytest.mark.parametrize(
        ("make", "channel"), pairs, ids=[f"{made.section}-{channel}" for made, channel in pairs]
    )
