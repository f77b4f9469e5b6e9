"""Binance's exchangeInfo to Instrument records. Owns what its statuses and filters mean, and remembers nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.records import Instrument
from collector.venues.binance import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Raw

    from collector.clock import Now
    from collector.records import InstrumentStatus
    from collector.venues.protocol import Facts

PERPETUALS = ("PERPETUAL", "TRADIFI_PERPETUAL")
"""The latter are on shares, metals and energy, and come on the same streams
(https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api/TradFi-Perps).
"""
STATUSES: Mapping[str, InstrumentStatus] = {
    # https://github.com/binance/binance-spot-api-docs/blob/master/enums.md "Symbol status"
    "TRADING": "trading",
    "PRE_TRADING": "pre_open",
    "AUCTION_MATCH": "pre_open",
    "POST_TRADING": "halted",
    "END_OF_DAY": "halted",
    "HALT": "halted",
    "BREAK": "halted",
    # https://developers.binance.com/docs/derivatives/usds-margined-futures/common-definition "Contract status"
    "PENDING_TRADING": "pre_open",
    "PRE_DELIVERING": "halted",
    "DELIVERING": "halted",
    "PRE_SETTLE": "halted",
    "SETTLING": "halted",
    "DELIVERED": "delisted",
    "CLOSE": "delisted",
}


def instrument(row: Raw, facts: Facts, ts: int | None, now: Now) -> Instrument | None:
    """Give what a row lists; None for a future that is no perpetual. Raises DecodeError."""
    listed = wire.listed_symbol(row)
    if facts.market == "perp" and listed.contractType not in PERPETUALS:
        return None
    filters = {one.filterType: one for one in listed.filters}
    none = wire.Filter("")
    lot, notional = filters.get("LOT_SIZE", none), filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL", none)
    return Instrument(
        venue=facts.venue,
        market=facts.market,
        instrument=f"{listed.baseAsset}-{listed.quoteAsset}",
        symbol=listed.symbol,
        ts=ts,
        recv_ts=now.wall_us,
        base=listed.baseAsset,
        quote=listed.quoteAsset,
        settle=listed.marginAsset,
        status=STATUSES.get(listed.status, "unknown"),
        venue_status=listed.status,
        price_step=filters.get("PRICE_FILTER", none).tickSize,
        size_step=lot.stepSize,
        min_size=lot.minQty,
        min_value=notional.minNotional or notional.notional,
        contract_currency=None,
    )
