"""What Kraken lists: the `instrument` channel and REST's AssetPairs.

It owns these two shapes and nothing that moves.
https://docs.kraken.com/api/docs/websocket-v2/instrument https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.kraken.facts import pair_names
from simulator.markets import DELISTED, HALTED, TRADING
from simulator.text import decimal_text

_FEES = [[0, 0.4], [10000, 0.35], [50000, 0.24]]
_MAKER_FEES = [[0, 0.25], [10000, 0.2], [50000, 0.14]]


STATUSES = {TRADING: "online", HALTED: "cancel_only", DELISTED: "delisted"}


def instruments_message(kind: str, instruments: Iterable[Instrument], listings: Mapping[str, str]) -> str:
    """`instrument`, a snapshot of all or an update of some: its data is one object, not a list."""
    listed = list(instruments)
    assets = dict.fromkeys(name for one in listed for name in (one.base, one.quote))
    asset_rows = ",".join(
        f'{{"id":"{name}","status":"enabled","precision":10,"precision_display":5,"borrowable":true,'
        '"collateral_value":1.00,"margin_rate":0.010000}'
        for name in assets
    )
    pair_rows = ",".join(_pair(one, STATUSES[listings[one.symbol]]) for one in listed)
    return f'{{"channel":"instrument","type":"{kind}","data":{{"assets":[{asset_rows}],"pairs":[{pair_rows}]}}}}'


def _pair(instrument: Instrument, status: str) -> str:
    increment = decimal_text(1, instrument.price_decimals)
    return (
        f'{{"symbol":"{pair_names(instrument.symbol).symbol}","base":"{instrument.base}",'
        f'"quote":"{instrument.quote}","status":"{status}","qty_precision":{SIZE_DECIMALS},'
        f'"qty_increment":{decimal_text(instrument.lot_step, SIZE_DECIMALS)},'
        f'"price_precision":{instrument.price_decimals},"price_increment":{increment},"tick_size":{increment},'
        '"cost_precision":5,"cost_min":0.5,"qty_min":0.00005000,"marginable":true,"margin_initial":0.20,'
        '"has_index":true,"position_limit_long":250,"position_limit_short":200}'
    )


def asset_pair(instrument: Instrument, status: str) -> dict[str, Any]:
    """One pair of AssetPairs."""
    names = pair_names(instrument.symbol)
    return {
        "altname": names.altname,
        "wsname": names.wsname,
        "aclass_base": "currency",
        "base": names.base,
        "aclass_quote": "currency",
        "quote": names.quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": instrument.price_decimals,
        "lot_decimals": SIZE_DECIMALS,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3, 4, 5],
        "leverage_sell": [2, 3, 4, 5],
        "fees": _FEES,
        "fees_maker": _MAKER_FEES,
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": decimal_text(1, instrument.price_decimals),
        "status": status,
    }


def dumps(value: object) -> str:
    """JSON as compact as Kraken's."""
    return json.dumps(value, separators=(",", ":"))
