"""OKX's items to records: checks of value, and nothing that needs to be remembered.

Prices and sizes keep the venue's text; nothing is computed, and what the venue leaves empty is null.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from collector.books.book import Book, BookError, decimals, is_decimal
from collector.records import (
    BookSnapshot,
    Candle,
    FundingRate,
    Instrument,
    Liquidation,
    OpenInterest,
    Quote,
    Ticker,
    Trade,
    VenueStatus,
)
from collector.venues.core import FieldError
from collector.venues.okx.facts import INTERVALS
from collector.venues.protocol import WHOLE_VENUE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from msgspec import UnsetType

    from collector.books.contract import Identity
    from collector.clock import Now
    from collector.records import InstrumentStatus, Level, Market
    from collector.venues.okx import wire

SWAP = "-SWAP"
TYPES: dict[Market, str] = {"spot": "SPOT", "perp": "SWAP"}
"""Our markets as the venue's instrument types."""
STATES: dict[str, InstrumentStatus] = {
    "live": "trading",
    "preopen": "pre_open",
    "suspend": "halted",
    "rebase": "halted",
    "post_only": "halted",
    "settling": "halted",
    "expired": "delisted",
}
ELSEWHERE = frozenset({"6", "7", "10", "11"})
"""Services without effect on market data: block and spread trading, bots, copies
(https://www.okx.com/docs-v5/en/#status)."""
_MILLISECONDS = re.compile("[0-9]{10,16}").fullmatch
_ID = re.compile("[0-9]{1,18}").fullmatch
_SYMBOL = re.compile(r"[A-Za-z0-9]+-[A-Za-z0-9_]+(-SWAP)?").fullmatch


def symbol_of(instrument: str, market: Market) -> str:
    """`BTC-USDT` → `BTC-USDT`, or of a perpetual `BTC-USDT-SWAP`."""
    return instrument + SWAP if market == "perp" else instrument


def instrument_of(symbol: str, market: Market) -> str | None:
    """Give the canonical name of a spot pair's or swap's id; None for anything else (dated futures, options)."""
    found = _SYMBOL(symbol)
    if found is None or (found[1] is not None) is not (market == "perp"):
        return None
    return symbol.removesuffix(SWAP).upper()


def number(text: str) -> str:
    """Give a price or size as it is. Raises FieldError for anything but a plain number of at least 0."""
    if is_decimal(text) is None:
        raise FieldError(f"{text!r} is not a number of at least 0")
    return text


def optional(text: str) -> str | None:
    """Give a number as it is; null where the venue says nothing. Raises FieldError."""
    return number(text) if text else None


def signed(text: str) -> str:
    """Give a rate as it is, which may be negative. Raises FieldError."""
    number(text.removeprefix("-"))
    return text


def ms_us(text: str) -> int:
    """Give the venue's time (milliseconds) in µs. Raises FieldError."""
    if _MILLISECONDS(text) is None:
        raise FieldError(f"{text!r} is not a time in milliseconds")
    return int(text) * 1000


def whole(text: str, what: str) -> int:
    """Give an id or count. Raises FieldError."""
    if _ID(text) is None:
        raise FieldError(f"{what} {text!r} is not a whole number")
    return int(text)


def belongs(who: Identity, symbol: str) -> None:
    """Raise FieldError unless the item is this stream's."""
    if symbol != who.symbol:
        raise FieldError(f"instrument {symbol!r} on the stream of {who.symbol}")


def levels(items: Sequence[wire.Level4]) -> list[Level]:
    """Give levels as text. Raises FieldError for what Python's float would forgive: blanks, underscores, signs."""
    taken = [(item[0], item[1]) for item in items]
    if taken and decimals(" ".join([text for level in taken for text in level])) is None:
        raise FieldError("a level is not two numbers of at least 0")
    return taken


def trade(who: Identity, item: wire.TradeItem, space: str, now: Now) -> Trade:
    """Give the record; `space` is the channel: an id of `trades` stands for the last fill of an aggregate."""
    return Trade(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ms_us(item.ts),
        recv_ts=now.wall_us,
        seq=item.seq_id,
        contract_size=who.contract_size,
        id=item.trade_id,
        id_space=space,
        price=number(item.px),
        size=number(item.sz),
        side=item.side,
    )


def quote(who: Identity, item: wire.BookItem, now: Now) -> Quote | None:
    """Give the record; None when a side is empty, of which there is no quote."""
    if not item.bids or not item.asks:
        return None
    (bid, bid_size, *_), (ask, ask_size, *_) = item.bids[0], item.asks[0]
    return Quote(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ms_us(item.ts),
        recv_ts=now.wall_us,
        seq=item.seq_id,
        contract_size=who.contract_size,
        bid=number(bid),
        bid_size=number(bid_size),
        ask=number(ask),
        ask_size=number(ask_size),
    )


def partial(who: Identity, item: wire.BookItem, now: Now) -> BookSnapshot:
    """Give the venue's own partial book as a record. Raises FieldError when it is no book: malformed, unsorted,
    crossed.
    """
    bids, asks = levels(item.bids), levels(item.asks)
    depth = max(len(bids), len(asks))
    try:
        Book(depth, depth).load(bids, asks, limit=None)
    except BookError as error:
        raise FieldError(str(error)) from error
    return BookSnapshot(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ms_us(item.ts),
        recv_ts=now.wall_us,
        seq=item.seq_id,
        contract_size=who.contract_size,
        bids=bids,
        asks=asks,
        first_seq=None,
        last_seq=item.seq_id,
        depth=depth,
        known_bid=bids[-1][0] if bids else None,
        known_ask=asks[-1][0] if asks else None,
        cause="partial",
    )


def ticker(who: Identity, item: wire.TickerItem, now: Now) -> Ticker:
    """Give the record. A swap's `volCcy24h` is in base currency, so its volume in quote currency is not told."""
    return Ticker(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ms_us(item.ts),
        recv_ts=now.wall_us,
        contract_size=who.contract_size,
        last=number(item.last),
        open=optional(item.open24h),
        high=optional(item.high24h),
        low=optional(item.low24h),
        volume=optional(item.vol24h),
        quote_volume=optional(item.vol_ccy24h) if who.market == "spot" else None,
        bid=optional(item.bid_px),
        bid_size=optional(item.bid_sz),
        ask=optional(item.ask_px),
        ask_size=optional(item.ask_sz),
    )


def candle(who: Identity, bar: str, row: wire.Row, now: Now) -> Candle:
    """Give the record. Older rows do not say whether the bar is closed."""
    if len(row) not in (7, 8, 9):
        raise FieldError(f"a candle of {len(row)} cells, expected 9")
    opened, first, high, low, last, volume = row[:6]
    confirm = row[8] if len(row) > 8 else "0"
    if confirm not in ("0", "1"):
        raise FieldError(f"confirm {confirm!r}, expected 0 or 1")
    return Candle(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=None,
        recv_ts=now.wall_us,
        contract_size=who.contract_size,
        interval=INTERVALS[bar],
        open_ts=ms_us(opened),
        open=number(first),
        high=number(high),
        low=number(low),
        close=number(last),
        volume=number(volume),
        trades=None,
        closed=confirm == "1",
    )


def funding(who: Identity, item: wire.FundingItem, now: Now) -> FundingRate:
    """Give the record; the mark and index prices come by other channels."""
    return FundingRate(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ms_us(item.ts) if item.ts else None,
        recv_ts=now.wall_us,
        contract_size=who.contract_size,
        rate=signed(item.funding_rate),
        funding_ts=ms_us(item.funding_time),
        next_rate=signed(item.next_funding_rate) if item.next_funding_rate else None,
        mark_price=None,
        index_price=None,
    )


def open_interest(who: Identity, item: wire.OpenInterestItem, now: Now) -> OpenInterest:
    """Give the record."""
    return OpenInterest(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ms_us(item.ts),
        recv_ts=now.wall_us,
        contract_size=who.contract_size,
        open_interest=number(item.oi),
        base_value=optional(item.oi_ccy),
    )


def liquidation(who: Identity, item: wire.LiquidationDetail, now: Now) -> Liquidation:
    """Give the record."""
    return Liquidation(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ms_us(item.ts),
        recv_ts=now.wall_us,
        contract_size=who.contract_size,
        side=item.side,
        price=number(item.bk_px),
        average_price=None,
        size=number(item.sz),
    )


def instrument(item: wire.InstrumentItem, market: Market, now: Now) -> Instrument | None:
    """Give the record, which comes without a time; None for what is no spot pair or swap. Raises FieldError.

    One contract is `ctVal` times `ctMult`: told where the latter is 1, as it is of all swaps.
    """
    name = instrument_of(item.inst_id, market)
    if name is None or item.inst_type != TYPES[market]:
        return None
    base, _, quote_currency = name.partition("-")
    size: str | UnsetType | None = number(item.ct_val) if item.ct_val and item.ct_mult in ("", "1") else None
    made = Instrument(
        venue="okx",
        market=market,
        instrument=name,
        symbol=item.inst_id,
        ts=None,
        recv_ts=now.wall_us,
        base=item.base_ccy or base,
        quote=item.quote_ccy or quote_currency,
        settle=item.settle_ccy or None,
        status=STATES.get(item.state, "unknown"),
        venue_status=item.state,
        price_step=optional(item.tick_sz),
        size_step=optional(item.lot_sz),
        min_size=optional(item.min_sz),
        min_value=None,
        contract_currency=item.ct_val_ccy or None,
    )
    if market == "perp":
        made.contract_size = size
    return made


def status(market: Market, item: wire.StatusItem | None, now: Now) -> VenueStatus:
    """Give the record of one maintenance; of None, that the venue announces none. Raises FieldError."""
    state: Literal["online", "maintenance", "degraded", "unknown"] = "online"
    if item is not None and item.state in ("ongoing", "pre_open"):
        state = "degraded" if item.service_type in ELSEWHERE else "maintenance"
    elif item is not None and item.state not in ("scheduled", "completed", "canceled"):
        state = "unknown"
    return VenueStatus(
        venue="okx",
        market=market,
        instrument=WHOLE_VENUE,
        symbol=WHOLE_VENUE,
        ts=ms_us(item.ts) if item is not None and item.ts else None,
        recv_ts=now.wall_us,
        status=state,
        venue_status="" if item is None else item.state,
        message=None if item is None else item.title,
        start_ts=ms_us(item.begin) if item is not None and item.begin else None,
        end_ts=ms_us(item.end) if item is not None and item.end else None,
    )
