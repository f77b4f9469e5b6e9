"""What is traded here: for each venue and symbol its precisions, its starting price and how deep its book is.

It owns these facts and nothing that moves. Symbols are canonical (`BTC-USDT`, and `BTC-USDT-PERP` for the perpetual of
the same pair); a venue's own spelling is the venue's business. Unknown bases get a plain default, so that any symbol
can be simulated.
"""

from dataclasses import dataclass

SIZE_DECIMALS = 8
SPOT, PERP = "spot", "perp"


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
        return split_symbol(self.symbol)[0]

    @property
    def quote(self) -> str:
        """The currency that it is priced in."""
        return split_symbol(self.symbol)[1]

    @property
    def kind(self) -> str:
        """`spot` or `perp`."""
        return split_symbol(self.symbol)[2]


def split_symbol(symbol: str) -> tuple[str, str, str]:
    """Base, quote and kind: BTC-USDT-PERP is (BTC, USDT, perp)."""
    base, _, rest = symbol.partition("-")
    quote = rest.removesuffix("-PERP")
    return base, quote, SPOT if quote == rest else PERP


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
OKX_LEVELS = 1200  # three times what its book channel shows
COINBASE_LEVELS = 1500  # the real one sends all its levels, for Bitcoin some 44 000; a limit by name raises it


def parse_symbols(text: str) -> tuple[str, ...]:
    """A comma-separated list of canonical symbols.

    Raises:
        ValueError: an entry is not BASE-QUOTE or BASE-QUOTE-PERP in capitals, or the list is empty or names one twice.
    """
    symbols = tuple(part.strip() for part in text.split(",") if part.strip())
    if not symbols:
        raise ValueError("no symbol given, expected a list such as BTC-USDT,ETH-USD")
    for symbol in symbols:
        check_symbol(symbol)
    if len(set(symbols)) != len(symbols):
        raise ValueError("a symbol is named twice")
    return symbols


def check_symbol(symbol: str) -> None:
    """Raise ValueError unless `symbol` is canonical."""
    base, quote, _ = split_symbol(symbol)
    if not (base.isalnum() and quote.isalnum() and symbol == symbol.upper()):
        raise ValueError(f"symbol {symbol!r} is not of the form BASE-QUOTE or BASE-QUOTE-PERP, such as BTC-USDT")


def binance_instrument(symbol: str) -> Instrument | None:
    """The symbol on Binance spot, or None: it lists nothing against the US dollar itself."""
    base, quote, kind = split_symbol(symbol)
    if kind != SPOT or quote == "USD":
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


def binance_usdm_instrument(symbol: str) -> Instrument | None:
    """The symbol among Binance's USDⓈ-margined perpetuals, or None: they are against USDT and USDC alone."""
    base, quote, kind = split_symbol(symbol)
    if kind != PERP or quote not in ("USDT", "USDC"):
        return None
    facts = _BASES.get(base, _OTHER)
    decimals = 1 if base == "BTC" else facts.binance_decimals
    return Instrument(
        venue="binance_usdm",
        symbol=symbol,
        price_decimals=decimals,
        lot_step=100_000,
        start_tick=round(facts.price * 10**decimals),
        levels=BINANCE_LEVELS,
    )


def kraken_instrument(symbol: str) -> Instrument:
    """The symbol on Kraken spot, which lists every pair."""
    facts = _BASES.get(symbol.partition("-")[0], _OTHER)
    return Instrument(
        venue="kraken",
        symbol=symbol,
        price_decimals=facts.kraken_decimals,
        lot_step=1,
        start_tick=round(facts.price * 10**facts.kraken_decimals),
        levels=KRAKEN_LEVELS,
    )


def okx_instrument(symbol: str) -> Instrument | None:
    """The symbol on OKX, or None: spot is not against the US dollar; swaps are linear (USDT, USDC) or inverse (USD).

    A swap's lots are of contracts: 0.01 of one in linear swaps, whole ones in inverse swaps.
    """
    base, quote, kind = split_symbol(symbol)
    if kind == SPOT and quote == "USD":
        return None
    if kind == PERP and quote not in ("USD", "USDT", "USDC"):
        return None
    facts = _BASES.get(base, _OTHER)
    decimals = 1 if base == "BTC" else facts.binance_decimals
    whole = 10**SIZE_DECIMALS
    spot_step = 1 if base == "BTC" else 100
    return Instrument(
        venue="okx",
        symbol=symbol,
        price_decimals=decimals,
        lot_step=spot_step if kind == SPOT else whole if quote == "USD" else whole // 100,
        start_tick=round(facts.price * 10**decimals),
        levels=OKX_LEVELS,
    )


def coinbase_instrument(symbol: str) -> Instrument | None:
    """The symbol on Coinbase, or None: spot only, and most USDC pairs are other names of USD pairs."""
    base, quote, kind = split_symbol(symbol)
    if kind != SPOT or (quote == "USDC" and base not in ("USDT", "EURC")):
        return None
    facts = _BASES.get(base, _OTHER)
    return Instrument(
        venue="coinbase",
        symbol=symbol,
        price_decimals=facts.binance_decimals,
        lot_step=1,
        start_tick=round(facts.price * 10**facts.binance_decimals),
        levels=COINBASE_LEVELS,
    )
