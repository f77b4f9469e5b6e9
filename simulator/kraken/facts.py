"""Kraken's limits as data; every one can be changed for a run by its name. And how it spells its currencies.

https://docs.kraken.com/api/docs/guides/spot-ws-intro
https://docs.kraken.com/api/docs/guides/spot-rest-ratelimits
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts. Kraken does not publish its message rate: this one lets a paced client through."""

    heartbeat: float = 1.0
    messages_per_second: int = 30
    connects: int = 150
    connects_seconds: float = 600.0
    rest_per_second: float = 1.0
    rest_burst: float = 3.0


INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)  # minutes
BARS_IN_SNAPSHOT = 720  # as many as REST gives
DEPTHS = (10, 25, 100, 500, 1000)
TRADES_IN_SNAPSHOT = 50

# REST spells old currencies with a leading X or Z and has its own names for two of them.
_ALT = {"BTC": "XBT", "DOGE": "XDG"}
_LEGACY = {"XBT": "XXBT", "ETH": "XETH", "XRP": "XXRP", "XDG": "XXDG", "LTC": "XLTC"}
_FIAT = ("USD", "EUR", "GBP", "CAD", "JPY", "AUD")


@dataclass(frozen=True, slots=True)
class PairNames:
    """One pair in all of Kraken's spellings."""

    symbol: str  # WebSocket v2: BTC/USD
    key: str  # REST result: XXBTZUSD
    altname: str  # XBTUSD
    wsname: str  # XBT/USD
    base: str  # XXBT
    quote: str  # ZUSD


def pair_names(canonical: str) -> PairNames:
    """BTC-USD in Kraken's spellings."""
    base, _, quote = canonical.partition("-")
    alt_base, alt_quote = _ALT.get(base, base), _ALT.get(quote, quote)
    rest_base = _LEGACY.get(alt_base, alt_base)
    rest_quote = f"Z{quote}" if quote in _FIAT else _LEGACY.get(alt_quote, alt_quote)
    altname = f"{alt_base}{alt_quote}"
    legacy = alt_base in _LEGACY and alt_base != "XDG" and rest_quote != alt_quote
    return PairNames(
        symbol=f"{base}/{quote}",
        key=f"{rest_base}{rest_quote}" if legacy else altname,
        altname=altname,
        wsname=f"{alt_base}/{alt_quote}",
        base=rest_base,
        quote=rest_quote,
    )
