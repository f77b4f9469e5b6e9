"""What is traded here: for each venue and symbol its precisions, its starting price and how deep its book is.

It owns these facts and nothing that moves. Symbols are canonical (`BTC-USDT`); a venue's own spelling is the venue's
business. Unknown bases get a plain default, so that any symbol can be simulated.
"""

from dataclasses import dataclass

SIZE_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Instrument:
    """A market's fixed facts: prices count in ticks of 10^-price_decimals, sizes in lots of 10^-8."""

    venue: str
    symbol: str
    price_decimals: int
    lot_step: int
    start_tick: int
    levels: int

    @property
    def base(self) -> str:
        """The currency that is traded."""
        return self.symbol.partition("-")[0]

    @property
    def quote(self) -> str:
        """The currency that it is priced in."""
        return self.symbol.partition("-")[2]


@dataclass(frozen=True, slots=True)
class _Base:
    price: float
    binance_decimals: int
    kraken_decimals: int


_BASES = {
    "BTC": _Base(64000, 2, 1),
    "ETH": _Base(3100, 2, 2),
    "SOL": _Base(150, 2, 2),
    "XRP": _Base(0.52, 4, 5),
    "ADA": _Base(0.45, 4, 6),
    "DOGE": _Base(0.16, 5, 7),
}
_OTHER = _Base(100, 4, 4)

# Deeper than Binance's largest REST answer (5 000 levels a side), so that its bound matters: levels beyond stay unknown
# to a client until they change.
BINANCE_BTC_LEVELS = 5400
BINANCE_LEVELS = 1500
KRAKEN_LEVELS = 1200


def parse_symbols(text: str) -> tuple[str, ...]:
    """A comma-separated list of canonical symbols.

    Raises:
        ValueError: an entry is not BASE-QUOTE in capitals, or the list is empty or names one twice.
    """
    symbols = tuple(part.strip() for part in text.split(",") if part.strip())
    if not symbols:
        raise ValueError("no symbol given, expected a list such as BTC-USDT,ETH-USD")
    for symbol in symbols:
        base, dash, quote = symbol.partition("-")
        if not (dash and base.isalnum() and quote.isalnum() and symbol == symbol.upper()):
            raise ValueError(f"symbol {symbol!r} is not of the form BASE-QUOTE, such as BTC-USDT")
    if len(set(symbols)) != len(symbols):
        raise ValueError("a symbol is named twice")
    return symbols


def binance_instrument(symbol: str) -> Instrument | None:
    """The symbol on Binance, or None: Binance lists nothing against the US dollar itself."""
    base, _, quote = symbol.partition("-")
    if quote == "USD":
        return None
    facts = _BASES.get(base, _OTHER)
    return Instrument(
        venue="binance",
        symbol=symbol,
        price_decimals=facts.binance_decimals,
        lot_step=1000,
        start_tick=round(facts.price * 10**facts.binance_decimals),
        levels=BINANCE_BTC_LEVELS if base == "BTC" else BINANCE_LEVELS,
    )


def kraken_instrument(symbol: str) -> Instrument:
    """The symbol on Kraken, which lists all of them."""
    facts = _BASES.get(symbol.partition("-")[0], _OTHER)
    return Instrument(
        venue="kraken",
        symbol=symbol,
        price_decimals=facts.kraken_decimals,
        lot_step=1,
        start_tick=round(facts.price * 10**facts.kraken_decimals),
        levels=KRAKEN_LEVELS,
    )
