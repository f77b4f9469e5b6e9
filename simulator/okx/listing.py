"""What OKX lists and says beside trades and books: instruments, the state of its system, and the news of swaps.

It owns these shapes and nothing that moves.
https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments https://www.okx.com/docs-v5/en/#status-get-status
https://www.okx.com/docs-v5/en/#public-data-websocket-funding-rate-channel
"""

import json
from typing import Any

from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.markets import DELISTED, TRADING
from simulator.okx.wire import Wire, plain
from simulator.perpetual import Funding, Liquidation, OpenInterest, Perpetual

_LIST_TIME = "1548133413000"
_STATES = {"online": "completed", "maintenance": "ongoing", "cancel_only": "ongoing", "post_only": "pre_open"}


def instrument_row(wire: Wire, instrument: Instrument, listing: str, changed_us: int) -> dict[str, Any]:
    """One instrument. When it goes offline by hand, `expTime` is that time."""
    contract = wire.contract
    spot = contract is None
    family = f"{instrument.base}-{instrument.quote}"
    step = plain(instrument.lot_step, SIZE_DECIMALS)
    return {
        "alias": "",
        "baseCcy": instrument.base if spot else "",
        "category": "1",
        "ctMult": "" if spot else "1",
        "ctType": "" if contract is None else "inverse" if contract.inverse else "linear",
        "ctVal": "" if contract is None else contract.value,
        "ctValCcy": "" if contract is None else contract.currency,
        "expTime": str(changed_us // 1000) if listing == DELISTED else "",
        "instFamily": "" if spot else family,
        "instId": wire.symbol,
        "instType": wire.type,
        "lever": "10" if spot else "100",
        "listTime": _LIST_TIME,
        "lotSz": step,
        "maxIcebergSz": "9999999999",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "9999999999",
        "maxMktAmt": "1000000" if spot else "",
        "maxMktSz": "1000000" if spot else "12000",
        "maxStopSz": "1000000" if spot else "12000",
        "maxTriggerSz": "9999999999",
        "maxTwapSz": "9999999999",
        "minSz": "0.00001" if spot else step,
        "optType": "",
        "quoteCcy": instrument.quote if spot else "",
        "ruleType": "normal",
        "settleCcy": "" if contract is None else contract.settle,
        "state": "live" if listing == TRADING else "suspend",
        "stk": "",
        "tickSz": plain(1, instrument.price_decimals),
        "uly": "" if spot else family,
    }


def instruments_push(row: dict[str, Any]) -> bytes:
    """`instruments`: what has changed."""
    return dumps({"arg": {"channel": "instruments", "instType": row["instType"]}, "data": [row]}).encode()


def status_row(system: tuple[str, str], since_us: int) -> dict[str, Any]:
    """The maintenance that the state of the venue stands for; `end` is empty while nobody knows it."""
    state, since = _STATES[system[0]], str(since_us // 1000)
    return {
        "begin": since,
        "end": since if state == "completed" else "",
        "href": "",
        "preOpenBegin": since if state == "pre_open" else "",
        "scheDesc": "",
        "serviceType": "0",
        "state": state,
        "maintType": "1",
        "env": "1",
        "system": "unified",
        "title": system[1] or "WebSocket system upgrade",
    }


def status_push(row: dict[str, Any], now_us: int) -> bytes:
    """`status`."""
    return dumps({"arg": {"channel": "status"}, "data": [{**row, "ts": str(now_us // 1000)}]}).encode()


def funding_item(wire: Wire, perpetual: Perpetual, period_seconds: int, now_us: int) -> str:
    """The rate that the next settlement pays, and the one that the last settlement paid."""
    now = perpetual.now
    paid = plain(perpetual.settlements[-1].rate, SIZE_DECIMALS) if perpetual.settlements else "0"
    following = now.next_us + period_seconds * 1_000_000
    previous = now.next_us - period_seconds * 1_000_000
    return (
        f'{{"formulaType":"withRate","fundingRate":"{plain(now.rate, SIZE_DECIMALS)}",'
        f'"fundingTime":"{now.next_us // 1000}","impactValue":"20000","instId":"{wire.symbol}","instType":"SWAP",'
        f'"interestRate":"0.0001","maxFundingRate":"0.00375","method":"current_period","minFundingRate":"-0.00375",'
        f'"nextFundingRate":"","nextFundingTime":"{following // 1000}","premium":"0",'
        f'"prevFundingTime":"{previous // 1000}","settFundingRate":"{paid}","settState":"settled",'
        f'"ts":"{now_us // 1000}"}}'
    )


def mark_item(wire: Wire, now: Funding, now_us: int) -> str:
    """The mark price."""
    return (
        f'{{"instId":"{wire.symbol}","instType":"SWAP","markPx":"{plain(now.mark, SIZE_DECIMALS)}",'
        f'"ts":"{now_us // 1000}"}}'
    )


def open_interest_item(wire: Wire, now: Funding, one: OpenInterest, ts_us: int) -> str:
    """Open contracts, and what they are worth in base currency and in dollars at the mark price."""
    base, dollars = wire.worth(one.lots, now.mark)
    return (
        f'{{"instId":"{wire.symbol}","instType":"SWAP","oi":"{wire.size(one.lots)}","oiCcy":"{base}",'
        f'"oiUsd":"{dollars}","ts":"{ts_us // 1000}"}}'
    )


def liquidation_item(wire: Wire, instrument: Instrument, one: Liquidation, skew_us: int) -> bytes:
    """`liquidation-orders`: a forced sale closes a long position, a forced purchase a short one."""
    family = f"{instrument.base}-{instrument.quote}"
    position = "long" if one.side == "sell" else "short"
    return (
        '{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0",'
        f'"bkPx":"{wire.price(one.tick)}","ccy":"","posSide":"{position}","side":"{one.side}",'
        f'"sz":"{wire.size(one.size)}","ts":"{(one.ts_us + skew_us) // 1000}"}}],"instFamily":"{family}",'
        f'"instId":"{wire.symbol}","instType":"SWAP","uly":"{family}"}}]}}'
    ).encode()


def dumps(value: object) -> str:
    """JSON as compact as OKX's."""
    return json.dumps(value, separators=(",", ":"))
