"""An id that was damaged on the way and is far too high: what comes after it is not called old for good."""

from collector.quality.sequence import BELIEVED
from collector.records import Gap, Quote, Trade
from tests.venues.binances import bench
from tests.venues.kit import binance_trade, book_ticker


def test_a_damaged_trade_id_does_not_make_every_later_trade_a_late_one() -> None:
    made = bench("binance", "trades")
    made.frames(*(binance_trade(ident) for ident in (1, 2, 9_003, *range(4, 4 + BELIEVED))))
    assert made.state("BTC-USDT", "trades") == "gap"
    made.forget()
    made.frames(binance_trade(4 + BELIEVED), binance_trade(5 + BELIEVED))
    assert (made.state("BTC-USDT", "trades"), made.of(Gap), len(made.of(Trade))) == ("in_sync", [], 2)


def test_a_damaged_quote_id_does_not_silence_the_quotes_for_good() -> None:
    made = bench("binance", "quotes")
    made.frames(*(book_ticker(update) for update in (1, 9_002, *range(3, 3 + BELIEVED))))
    assert [quote.seq for quote in made.of(Quote)] == [1, 9_002]
    made.frames(book_ticker(3 + BELIEVED), book_ticker(3 + BELIEVED), book_ticker(4 + BELIEVED))
    assert [quote.seq for quote in made.of(Quote)][2:] == [3 + BELIEVED, 4 + BELIEVED]
