"""What differs between Binance's two products, spot and USDⓈ-M perpetuals, as data: names, paths, weights, book rules.

It owns no behaviour beyond the two rules. One core serves both products; what is not here is the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from collector.books.book import Book
    from collector.books.contract import Rule, Step, Update
    from collector.books.verdict import VerifiedBy
    from collector.records import Market
    from collector.venues.protocol import Channel


@dataclass(frozen=True, slots=True)
class Product:
    """`kinds`: what a channel's stream is called behind its symbol (candles: without the interval).

    `depth_weights`: largest `limit` → weight; `depth_default`: the limit of a request that names none.
    """

    kinds: Mapping[Channel, str]
    rule: Callable[[], Rule]
    depth_path: str
    depth_weights: tuple[tuple[int, int], ...]
    depth_default: int
    listing_path: str
    listing_params: tuple[tuple[str, str], ...]
    listing_weight: int


class UpdateIds:
    """The rule of a spot book: update ids `U`..`u` follow one another, nothing is signed.

    https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md, "How to manage a local order
    book correctly".
    """

    verified_by: VerifiedBy = "sequence"
    snapshot_in_band = False
    covered_depth: int | None = None

    def step(self, update: Update, last: int | None) -> Step:
        """Say whether `update` follows `last` (procedure, steps 4 to 6)."""
        first, final, at = update.first, update.last, last
        if first is None or final is None or at is None:
            return "gap"  # without ids nothing follows
        if final <= at:
            return "skip"
        return "gap" if first > at + 1 else "apply"

    def proven(self, book: Book, checksum: int | None) -> bool | None:
        """Binance sends no checksum."""
        del book, checksum
        return None


class PreviousIds(UpdateIds):
    """The rule of a USDⓈ-M book: ids are shared by all symbols, so each update names the one before it (`pu`).

    https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/How-to-manage-a-local-order-book-correctly
    """

    def __init__(self) -> None:
        self._applied: int | None = None
        """The id of the last update: the next one must name it. A snapshot's may be spanned instead."""

    def step(self, update: Update, last: int | None) -> Step:
        """Say whether `update` follows `last`: names it, or spans it, as only the first one after a snapshot can."""
        first, final, at = update.first, update.last, last
        if first is None or final is None or at is None:
            return "gap"
        if final <= at:
            return "skip"
        if update.prev != at and (first > at or at == self._applied):
            return "gap"
        self._applied = final
        return "apply"


SPOT = Product(
    kinds={
        "trades": "trade",  # or aggTrade, by the configuration
        "quotes": "bookTicker",
        "tickers": "ticker",
        "book": "depth@100ms",
        "candles": "kline",
    },
    rule=UpdateIds,
    depth_path="/api/v3/depth",
    depth_weights=((100, 5), (500, 25), (1000, 50), (5000, 250)),  # rest-api.md "Order book"
    depth_default=100,
    listing_path="/api/v3/exchangeInfo",
    listing_params=(("showPermissionSets", "false"),),  # they are the larger half of the answer
    listing_weight=20,  # rest-api.md "Exchange information"
)
USDM = Product(
    kinds={
        # Not `trade`, which is not documented. What the insurance fund and automatic deleveraging trade is in no
        # aggregate, so `a` counts one by one and `f`..`l` do not.
        "trades": "aggTrade",
        "quotes": "bookTicker",
        "tickers": "ticker",
        "book": "depth@100ms",
        "candles": "kline",
        "funding": "markPrice@1s",
        "liquidations": "forceOrder",
    },
    rule=PreviousIds,
    depth_path="/fapi/v1/depth",
    depth_weights=((50, 2), (100, 5), (500, 10), (1000, 20)),
    depth_default=500,
    listing_path="/fapi/v1/exchangeInfo",
    listing_params=(),
    listing_weight=1,
)
PRODUCTS: Mapping[Market, Product] = {"spot": SPOT, "perp": USDM}

STATUS_PATH = "/sapi/v1/system/status"
"""Of the whole venue; only the api hosts have it. https://developers.binance.com/docs/wallet/others/system-status"""
OPEN_INTEREST_PATH = "/fapi/v1/openInterest"
"""https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Open-Interest"""
LIGHT = 1
"""The weight of either."""
