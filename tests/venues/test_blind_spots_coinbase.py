"""What nobody can see on Coinbase: which changed digits its own checks do not cover. Everything else is noticed.

Each test states its blind spot exactly, so that it is known, and so that a venue that begins to cover it shows here.
"""

import pytest

from collector.records import BookDelta, Candle, Gap, Level, Quote, Ticker, Trade
from collector.venues.coinbase.chain import RESTARTED
from tests.venues.coinbases import ASKS, BIDS, EVENTS, Coinbase, bench, book, candles, heartbeat, ticker, trades

BAR = 1_775_521_800


def coinbase() -> Coinbase:
    made = bench("book", "trades", "quotes", "tickers", "candles")
    made.says(book("snapshot", BIDS, ASKS), *(trades(ident) for ident in range(1, 120)), ticker(), candles((BAR, "1")))
    made.forget()
    return made


def item(event: EVENTS, of: str) -> dict[str, str]:
    found: dict[str, str] = event["events"][0][of][0]
    return found


def noticed(made: Coinbase) -> bool:
    return bool(made.dead) or bool(made.of(Gap)) or made.count("duplicate") > 0


@pytest.mark.parametrize(
    ("event", "of", "change"),
    [
        (book("update", [("99.00", "5.0")]), "updates", {"price_level": "98.00"}),
        (book("update", [("99.00", "5.0")]), "updates", {"new_quantity": "7.0"}),
        (book("update", [("99.00", "5.0")]), "updates", {"event_time": "2023-11-14T22:13:21Z"}),
        (trades(120), "trades", {"price": "100.6"}),
        (trades(120), "trades", {"size": "0.26"}),
        (trades(120), "trades", {"time": "2023-11-14T22:13:21Z"}),
        (ticker("100.6"), "tickers", {"price": "100.7"}),
        (ticker("100.6"), "tickers", {"volume_24_h": "15328.12345679"}),
        (ticker("100.6"), "tickers", {"best_bid": "100.01"}),
        (candles((BAR, "2")), "candles", {"close": "3"}),
        (candles((BAR, "2")), "candles", {"volume": "42.16"}),
    ],
)
def test_coinbase_covers_no_price_size_or_time(event: EVENTS, of: str, change: dict[str, str]) -> None:
    made = coinbase()
    item(event, of).update(change)
    made.say(event)
    assert not noticed(made)
    assert {type(record) for record in made.records} <= {BookDelta, Trade, Quote, Ticker, Candle}
    assert made.records


@pytest.mark.parametrize("wrong", [2, 40, 900_000])
def test_a_changed_number_of_the_row_is_noticed_wherever_it_points(wrong: int) -> None:
    made = coinbase()
    made.frame(made.numbered(heartbeat(1), wrong))
    made.number += 1  # what it took
    for count in range(RESTARTED + 1):
        made.say(book("update", [("99.00", f"{count + 1}")]))
    assert made.state("BTC-USD", "book") == "gap"
    assert noticed(made)


@pytest.mark.parametrize("wrong", ["119", "170"])
def test_a_trades_id_is_covered_by_its_neighbours(wrong: str) -> None:
    made = coinbase()
    event = trades(120)
    item(event, "trades")["trade_id"] = wrong
    made.says(event, trades(121))
    assert noticed(made)


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([BIDS[0], ("99.95", "1"), BIDS[1], ("99.85", "1")], ASKS),  # out of order
        ([*BIDS, BIDS[-1]], ASKS),  # twice
        (BIDS, [("99.99", "1"), *ASKS]),  # crossed
        ([("100.00", "0"), *BIDS[1:]], ASKS),  # empty
    ],
)
def test_a_snapshots_order_is_covered(bids: list[Level], asks: list[Level]) -> None:
    made = coinbase()
    made.say(book("snapshot", bids, asks))
    assert made.state("BTC-USD", "book") == "gap"
