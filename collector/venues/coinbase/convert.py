"""Coinbase's events to records and levels: checks of value, and nothing that needs to be remembered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from collector.books.book import decimals, is_decimal
from collector.records import Candle, Instrument, Quote, Ticker, Trade, VenueStatus
from collector.venues.coinbase import wire
from collector.venues.coinbase.facts import CANDLE_INTERVAL, FACTS, OWN_USDC
from collector.venues.core import FieldError
from collector.venues.protocol import WHOLE_VENUE
from collector.venues.stamps import iso_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from collector.books.contract import Identity
    from collector.clock import Now
    from collector.records import InstrumentStatus, Level

    State = Literal["online", "maintenance", "degraded", "offline", "unknown"]

BY_WORD: dict[str, tuple[InstrumentStatus, State]] = {
    "online": ("trading", "online"),
    "limit_only": ("trading", "degraded"),
    "post_only": ("pre_open", "degraded"),
    "auction_mode": ("pre_open", "degraded"),
    "cancel_only": ("halted", "degraded"),
    "trading_disabled": ("halted", "maintenance"),
    "offline": ("halted", "offline"),
    "internal": ("halted", "offline"),
    "is_disabled": ("halted", "maintenance"),
    "delisted": ("delisted", "offline"),
}
"""A product's word → what it means for the product, and for the venue when most products say so. The venue's flags are
words too; the last one that is set counts."""
MOST_DIGITS = 18
"""Ids, counts and seconds have no more; int() raises something else for thousands of digits."""
FLAGS = ("limit_only", "post_only", "auction_mode", "cancel_only", "trading_disabled", "is_disabled")


def canonical(product: str) -> str:
    """`BTC-USDC` → `BTC-USD`: on public channels the former is another name of the latter."""
    return product[:-1] if product.endswith("-USDC") and product not in OWN_USDC else product


def trade(who: Identity, item: wire.TradeItem, seq: int | None, now: Now) -> tuple[int, Trade]:
    """Give the trade's id and the record. The venue tells the maker's side: the taker took the other."""
    numbers(item.price, item.size)
    ident = whole(item.trade_id)
    return ident, Trade(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=time_us(item.time),
        recv_ts=now.wall_us,
        seq=seq,
        contract_size=who.contract_size,
        id=str(ident),
        id_space="trade",
        price=item.price,
        size=item.size,
        side="sell" if item.side == "BUY" else "buy",
    )


def quote(who: Identity, item: wire.TickerItem, ts: int | None, seq: int | None, now: Now) -> Quote | None:
    """Give the record; None when a side is empty."""
    sides = (item.best_bid, item.best_bid_quantity, item.best_ask, item.best_ask_quantity)
    if not all(sides):
        return None
    numbers(*sides)
    return Quote(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ts,
        recv_ts=now.wall_us,
        seq=seq,
        contract_size=who.contract_size,
        bid=item.best_bid,
        bid_size=item.best_bid_quantity,
        ask=item.best_ask,
        ask_size=item.best_ask_quantity,
    )


def ticker(who: Identity, item: wire.TickerItem, ts: int | None, seq: int | None, now: Now) -> Ticker:
    """Give the record. The venue says how the price changed, and not where it began."""
    numbers(item.price)
    return Ticker(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ts,
        recv_ts=now.wall_us,
        seq=seq,
        contract_size=who.contract_size,
        last=item.price,
        open=None,
        high=said(item.high_24_h),
        low=said(item.low_24_h),
        volume=said(item.volume_24_h),
        quote_volume=None,
        bid=said(item.best_bid),
        bid_size=said(item.best_bid_quantity),
        ask=said(item.best_ask),
        ask_size=said(item.best_ask_quantity),
    )


def candle(who: Identity, item: wire.CandleItem, ts: int | None, seq: int | None, now: Now) -> Candle:
    """Give the record, open: the venue marks no bar as closed."""
    numbers(item.open, item.high, item.low, item.close, item.volume)
    return Candle(
        venue=who.venue,
        market=who.market,
        instrument=who.instrument,
        symbol=who.symbol,
        ts=ts,
        recv_ts=now.wall_us,
        seq=seq,
        contract_size=who.contract_size,
        interval=CANDLE_INTERVAL,
        open_ts=whole(item.start) * 1_000_000,
        open=item.open,
        high=item.high,
        low=item.low,
        close=item.close,
        volume=item.volume,
        trades=None,
        closed=False,
    )


def levels(updates: Sequence[wire.LevelUpdate]) -> tuple[list[Level], list[Level]]:
    """Give bids and asks as text. Raises FieldError when a size is no plain number; prices are the book's business."""
    bids = [(item.price_level, item.new_quantity) for item in updates if item.side == "bid"]
    asks = [(item.price_level, item.new_quantity) for item in updates if item.side == "offer"]
    if updates and decimals(" ".join([item.new_quantity for item in updates])) is None:
        wrong = next(item for item in updates if is_decimal(item.new_quantity) is None)
        raise FieldError(f"size {wrong.new_quantity!r} at price {wrong.price_level!r} is not a number of at least 0")
    return bids, asks


def rest_sides(body: bytes) -> tuple[list[Level], list[Level]]:
    """Give bids and asks of GET /market/product_book. Raises msgspec.DecodeError."""
    book = wire.product_book(body).pricebook
    return [(level.price, level.size) for level in book.bids], [(level.price, level.size) for level in book.asks]


def book_time(event: wire.BookEvent, sent_us: int | None) -> int | None:
    """Give the venue's time of a book event, µs: its newest change's; of a snapshot, whose levels have none, when it
    was sent.
    """
    texts = {item.event_time for item in event.updates[:1] if item.event_time}
    if event.type == "update":
        texts |= {item.event_time for item in event.updates if item.event_time}
    return max((us for us in map(time_us, texts) if us > 0), default=sent_us)


def instrument(product: wire.Product, now: Now) -> Instrument:
    """Give what the listing says of a product."""
    word, status = product.status, of_word(product.status)[0]
    for flag in FLAGS:
        if getattr(product, flag) and status != "delisted":
            word, status = f"{product.status} {flag}", of_word(flag)[0]
    return Instrument(
        venue=FACTS.venue,
        market=FACTS.market,
        instrument=product.product_id,
        symbol=product.product_id,
        ts=None,
        recv_ts=now.wall_us,
        base=product.base_currency_id,
        quote=product.quote_currency_id,
        settle=None,
        status=status,
        venue_status=word,
        price_step=said(product.price_increment or product.quote_increment),
        size_step=said(product.base_increment),
        min_size=said(product.base_min_size),
        min_value=said(product.quote_min_size),
        contract_currency=None,
    )


def pushed(item: wire.StatusItem, now: Now) -> Instrument:
    """Give what channel `status` says of a product that no listing told yet: it knows no least size."""
    return Instrument(
        venue=FACTS.venue,
        market=FACTS.market,
        instrument=item.id,
        symbol=item.id,
        ts=None,
        recv_ts=now.wall_us,
        base=item.base_currency,
        quote=item.quote_currency,
        settle=None,
        status=of_word(item.status)[0],
        venue_status=item.status,
        price_step=said(item.quote_increment),
        size_step=said(item.base_increment),
        min_size=None,
        min_value=said(item.min_market_funds),
        contract_currency=None,
    )


def venue_status(listed: Iterable[Instrument], now: Now) -> VenueStatus | None:
    """Give the venue's state; None when it lists nothing.

    It has no word for itself: what most of its products say that are not delisted is taken for it, the better of two
    that as many say.
    """
    words = Counter(entry.venue_status for entry in listed if entry.status != "delisted")
    if not words:
        return None
    word = max(words, key=lambda word: (words[word], of_word(word)[1] == "online", word))
    return VenueStatus(
        venue=FACTS.venue,
        market=FACTS.market,
        instrument=WHOLE_VENUE,
        symbol=WHOLE_VENUE,
        ts=None,
        recv_ts=now.wall_us,
        status=of_word(word.rpartition(" ")[2])[1],
        venue_status=word,
        message=None,
        start_ts=None,
        end_ts=None,
    )


def of_word(word: str) -> tuple[InstrumentStatus, State]:
    """Give what a status word means."""
    return BY_WORD.get(word, ("unknown", "unknown"))


def numbers(*texts: str) -> None:
    """Raise FieldError unless all are plain numbers of at least 0."""
    if decimals(" ".join(texts)) is None or any(" " in text for text in texts):
        raise FieldError(f"{', '.join(map(repr, texts))} are not all numbers of at least 0")


def said(text: str) -> str | None:
    """Give a number's text, None when the venue left it out."""
    if not text:
        return None
    numbers(text)
    return text


def whole(number: str | int) -> int:
    """Give a whole number that the venue writes as a number or as text. Raises FieldError."""
    text = str(number)
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        raise FieldError(f"{text[:40]!r} is not a whole number of at most {MOST_DIGITS} digits")
    return int(text)


def time_us(text: str) -> int:
    """Give the venue's time stamp as µs. Raises FieldError."""
    try:
        return iso_us(text)
    except ValueError as error:
        raise FieldError(str(error)) from error
