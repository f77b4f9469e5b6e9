"""What Binance sends, spot and USDⓈ-M, as declarations: decoded once, at the edge, typed from there on.

Field names are the venue's; what only one product sends is optional. Shapes:
https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md and rest-api.md,
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams and market-data.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from collector.records import Level


class Envelope(Struct, gc=False):
    """Any message: combined (`stream`, `data`), a raw event (`e`, `s`), or the answer to a control message (`id`,
    `result` or `code`, `msg`).
    """

    stream: str = ""
    data: Raw = Raw(b"")
    e: str = ""
    s: str = ""
    u: int = 0
    id: int | str | None = None
    result: Raw = Raw(b"")
    code: int | None = None
    msg: str = ""
    error: Raw = Raw(b"")


class TradeEvent(Struct, gc=False):
    """`<symbol>@trade`. `m`: the buyer was the maker, so the taker sold. `T`, `E` in ms."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class AggTradeEvent(Struct, gc=False):
    """`<symbol>@aggTrade`: fills `f`..`l` of one taker order at one price."""

    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741 - the venue's name
    T: int
    m: bool


class BookTickerEvent(Struct, gc=False):
    """`<symbol>@bookTicker`. Spot sends no time with it. `u`: the order book's update id."""

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    T: int | None = None


class DepthEvent(Struct, gc=False):
    """`<symbol>@depth[@100ms]`: absolute quantities of updates `U`..`u`. USDⓈ-M: `pu` is the `u` of the one before,
    and `<symbol>@depth<5|10|20>` is the same.
    """

    E: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]
    pu: int | None = None


class DepthBook(Struct, gc=False):
    """GET depth, and in spot each message of `<symbol>@depth<5|10|20>`. `E`: USDⓈ-M only."""

    lastUpdateId: int  # noqa: N815 - the venue's name
    bids: list[Level]
    asks: list[Level]
    E: int | None = None


class TickerEvent(Struct, gc=False):
    """`<symbol>@ticker`: 24 hours. USDⓈ-M tells no best bid and ask with it."""

    E: int
    s: str
    c: str
    o: str
    h: str
    l: str  # noqa: E741 - the venue's name
    v: str
    q: str
    b: str | None = None
    B: str | None = None
    a: str | None = None
    A: str | None = None


class Kline(Struct, gc=False):
    """One bar, from `t` to `T` (ms, both in it), `i` long. `n`: trades, `x`: closed."""

    t: int
    T: int
    s: str
    i: str
    o: str
    c: str
    h: str
    l: str  # noqa: E741 - the venue's name
    v: str
    n: int
    x: bool


class KlineEvent(Struct, gc=False):
    """`<symbol>@kline_<interval>`."""

    E: int
    s: str
    k: Kline


class MarkPriceEvent(Struct, gc=False):
    """`<symbol>@markPrice[@1s]`. `p`: mark, `i`: index, `r`: funding rate, paid at `T` (ms)."""

    E: int
    s: str
    p: str
    i: str
    r: str
    T: int


class ForcedOrder(Struct, gc=False):
    """`S`: the order's side, `q`: its size, `p`: its price, `ap`: the average that it was filled at."""

    s: str
    S: Literal["BUY", "SELL"]
    q: str
    p: str
    ap: str
    T: int


class ForceOrderEvent(Struct, gc=False):
    """`<symbol>@forceOrder`: the latest liquidation of each second."""

    o: ForcedOrder


class Whose(Struct):
    """Whose an event of a stream of all symbols is; a liquidation's symbol stands one level deeper, in `o`."""

    s: str = ""
    o: Raw = Raw(b"{}")


class Named(Struct):
    """What names its symbol."""

    s: str


class Filter(Struct):
    """One of a symbol's filters; which fields it has depends on its type."""

    filterType: str  # noqa: N815 - the venue's name
    tickSize: str | None = None  # noqa: N815 - the venue's name
    stepSize: str | None = None  # noqa: N815 - the venue's name
    minQty: str | None = None  # noqa: N815 - the venue's name
    minNotional: str | None = None  # noqa: N815 - the venue's name
    notional: str | None = None


class ListedSymbol(Struct):
    """One of exchangeInfo's symbols."""

    symbol: str
    status: str
    baseAsset: str  # noqa: N815 - the venue's name
    quoteAsset: str  # noqa: N815 - the venue's name
    marginAsset: str | None = None  # noqa: N815 - the venue's name
    contractType: str | None = None  # noqa: N815 - the venue's name
    filters: tuple[Filter, ...] = ()


class ExchangeInfo(Struct):
    """GET exchangeInfo, the part that is used."""

    symbols: list[Raw]
    """Each a ListedSymbol, read one by one."""
    serverTime: int | None = None  # noqa: N815 - the venue's name


class SystemStatus(Struct):
    """GET /sapi/v1/system/status. `status`: 0 normal, 1 maintenance."""

    status: int
    msg: str | None = None


class OpenInterest(Struct):
    """GET /fapi/v1/openInterest. `openInterest` in base currency, `time` in ms."""

    symbol: str
    openInterest: str  # noqa: N815 - the venue's name
    time: int


class Refusal(Struct):
    """The body of a REST error."""

    code: int


envelope = msgspec.json.Decoder(Envelope).decode
trade = msgspec.json.Decoder(TradeEvent).decode
agg_trade = msgspec.json.Decoder(AggTradeEvent).decode
book_ticker = msgspec.json.Decoder(BookTickerEvent).decode
depth = msgspec.json.Decoder(DepthEvent).decode
depth_book = msgspec.json.Decoder(DepthBook).decode
ticker = msgspec.json.Decoder(TickerEvent).decode
kline = msgspec.json.Decoder(KlineEvent).decode
mark_price = msgspec.json.Decoder(MarkPriceEvent).decode
force_order = msgspec.json.Decoder(ForceOrderEvent).decode
whose = msgspec.json.Decoder(Whose).decode
named = msgspec.json.Decoder(Named).decode
several = msgspec.json.Decoder(list[Raw]).decode
system_status = msgspec.json.Decoder(SystemStatus).decode
open_interest = msgspec.json.Decoder(OpenInterest).decode
refusal = msgspec.json.Decoder(Refusal).decode
exchange_info = msgspec.json.Decoder(ExchangeInfo).decode
listed_symbol = msgspec.json.Decoder(ListedSymbol).decode
