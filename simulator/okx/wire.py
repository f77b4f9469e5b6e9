"""OKX's messages as bytes: channels, REST rows.

It owns their exact text: prices and sizes are strings without trailing zeros, a level is [price, size, "0", orders].
It must never touch a socket or decide what is sent.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
"""

from collections.abc import Iterable, Sequence

from simulator.book import Book, Level
from simulator.instruments import SIZE_DECIMALS, Instrument
from simulator.market import Trade
from simulator.okx.facts import Contract, contract, inst_id, inst_type
from simulator.statistics import Candle, Day
from simulator.text import decimal_text


def plain(value: int, decimals: int) -> str:
    """A decimal without trailing zeros: (1500, 3) is 1.5."""
    text = decimal_text(value, decimals)
    return text.rstrip("0").rstrip(".") if decimals else text


class Wire:
    """One instrument's messages. Lots are of base currency, or of contracts for a swap."""

    def __init__(self, instrument: Instrument) -> None:
        self.symbol = inst_id(instrument.symbol)
        self.type = inst_type(instrument)
        self.contract: Contract | None = contract(instrument.symbol)
        self._decimals = instrument.price_decimals
        self._step = instrument.lot_step

    def price(self, tick: int) -> str:
        """A price as text."""
        return plain(tick, self._decimals)

    @staticmethod
    def size(lots: int) -> str:
        """A size as text."""
        return plain(lots, SIZE_DECIMALS)

    def levels(self, levels: Iterable[Level]) -> str:
        """Levels as a JSON array; how many orders make one up follows from its size."""
        price, step = self.price, self._step
        return (
            "["
            + ",".join(
                [
                    f'["{price(tick)}","{plain(lots, SIZE_DECIMALS)}","0","{1 + lots // step % 7 if lots else 0}"]'
                    for tick, lots in levels
                ]
            )
            + "]"
        )

    def _push(self, channel: str, data: str) -> bytes:
        return f'{{"arg":{{"channel":"{channel}","instId":"{self.symbol}"}},"data":[{data}]}}'.encode()

    def book(
        self, action: str, sides: tuple[Iterable[Level], Iterable[Level]], ts_us: int, seqs: tuple[int, int]
    ) -> bytes:
        """`books`: bids and asks, and (prevSeqId, seqId). The checksum has been 0 since 2026."""
        bids, asks = sides
        return (
            f'{{"arg":{{"channel":"books","instId":"{self.symbol}"}},"action":"{action}","data":['
            f'{{"asks":{self.levels(asks)},"bids":{self.levels(bids)},"ts":"{ts_us // 1000}","checksum":0,'
            f'"seqId":{seqs[1]},"prevSeqId":{seqs[0]}}}]}}'
        ).encode()

    def top(self, channel: str, book: Book, depth: int, ts_us: int, seq: int) -> bytes:
        """`books5` and `bbo-tbt`: the first levels, whole."""
        name = f'"instId":"{self.symbol}",' if channel == "books5" else ""
        return self._push(
            channel,
            f'{{"asks":{self.levels(book.asks.top(depth))},"bids":{self.levels(book.bids.top(depth))},'
            f'{name}"ts":"{ts_us // 1000}","seqId":{seq}}}',
        )

    def trade(self, fills: Sequence[Trade], skew_us: int, seq: int | None) -> str:
        """One item of `trades`: the fills of one taker order at one price; without `seq`, one fill of `trades-all`."""
        last = fills[-1]
        more = "" if seq is None else f'"count":"{len(fills)}",'
        tail = "" if seq is None else f',"seqId":{seq}'
        return (
            f'{{"instId":"{self.symbol}","tradeId":"{last.id}","px":"{self.price(last.tick)}",'
            f'"sz":"{self.size(sum(fill.size for fill in fills))}","side":"{last.side}",'
            f'"ts":"{(last.ts_us + skew_us) // 1000}",{more}"source":"0"{tail}}}'
        )

    def trades(self, fills: Sequence[Trade], skew_us: int, seq: int) -> bytes:
        """`trades`."""
        return self._push("trades", self.trade(fills, skew_us, seq))

    def trades_all(self, fill: Trade, skew_us: int) -> bytes:
        """`trades-all`."""
        return self._push("trades-all", self.trade([fill], skew_us, None))

    def trade_row(self, trade: Trade, skew_us: int) -> str:
        """A row of GET trades."""
        return (
            f'{{"instId":"{self.symbol}","side":"{trade.side}","sz":"{self.size(trade.size)}",'
            f'"px":"{self.price(trade.tick)}","source":"0","tradeId":"{trade.id}",'
            f'"ts":"{(trade.ts_us + skew_us) // 1000}"}}'
        )

    def ticker(self, best: tuple[Level, Level], day: Day, ts_us: int) -> str:
        """One item of `tickers`; the day is the time since the simulator started."""
        (bid, bid_lots), (ask, ask_lots) = best
        volume, in_currency, _ = self.volumes(day.volume, day.turnover)
        opening = self.price(day.opening)
        return (
            f'{{"instType":"{self.type}","instId":"{self.symbol}","last":"{self.price(day.last)}",'
            f'"lastSz":"{self.size(day.last_size)}","askPx":"{self.price(ask)}","askSz":"{self.size(ask_lots)}",'
            f'"bidPx":"{self.price(bid)}","bidSz":"{self.size(bid_lots)}","open24h":"{opening}",'
            f'"high24h":"{self.price(day.high)}","low24h":"{self.price(day.low)}","sodUtc0":"{opening}",'
            f'"sodUtc8":"{opening}","volCcy24h":"{in_currency}","vol24h":"{volume}","ts":"{ts_us // 1000}"}}'
        )

    def tickers(self, item: str) -> bytes:
        """`tickers`."""
        return self._push("tickers", item)

    def volumes(self, lots: int, turnover: int) -> tuple[str, str, str]:
        """A volume as OKX counts it: `vol`, `volCcy` and `volCcyQuote`.

        Spot: base currency, quote currency, quote currency. Swap: contracts, base currency, quote currency. `turnover`
        is in ticks times lots.
        """
        decimals = self._decimals + SIZE_DECIMALS
        if self.contract is None:
            quote = plain(turnover, decimals)
            return self.size(lots), quote, quote
        worth, places = _parts(self.contract.value)
        if not self.contract.inverse:
            return (
                self.size(lots),
                plain(lots * worth, SIZE_DECIMALS + places),
                plain(turnover * worth, decimals + places),
            )
        in_dollars = lots * worth  # in 10^-(8 + places) dollars
        in_base = in_dollars * lots * 10**self._decimals // turnover if turnover else 0
        return self.size(lots), plain(in_base, SIZE_DECIMALS + places), plain(in_dollars, SIZE_DECIMALS + places)

    def worth(self, lots: int, mark: int) -> tuple[str, str]:
        """What contracts are worth in base currency and in dollars, at a mark price in units of 10^-8."""
        worth, places = _parts("1" if self.contract is None else self.contract.value)
        decimals = SIZE_DECIMALS + places
        if self.contract is not None and self.contract.inverse:
            return plain(lots * worth * 10**SIZE_DECIMALS // mark, decimals), plain(lots * worth, decimals)
        return plain(lots * worth, decimals), plain(lots * worth * mark // 10**SIZE_DECIMALS, decimals)

    def candle(self, bar: Candle, *, closed: bool) -> str:
        """[ts, open, high, low, close, vol, volCcy, volCcyQuote, confirm]."""
        cells = (
            str(bar.begin_us // 1000),
            *(self.price(tick) for tick in (bar.opening, bar.high, bar.low, bar.closing)),
            *self.volumes(bar.volume, bar.turnover),
            "1" if closed else "0",
        )
        return "[" + ",".join(f'"{cell}"' for cell in cells) + "]"

    def candles(self, bar_name: str, row: str) -> bytes:
        """`candle1m` and its like."""
        return self._push(f"candle{bar_name}", row)

    def push(self, channel: str, item: str) -> bytes:
        """Any other channel with one item."""
        return self._push(channel, item)


def _parts(text: str) -> tuple[int, int]:
    """0.01 as (1, 2): digits and decimals."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), len(fraction)
