"""What nobody can see: which changed digits a venue's own checks do not cover. Everything else is noticed.

Each test states its blind spot exactly, so that it is known, and so that a venue that begins to cover it shows here.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from collector.records import BookDelta, Gap, Quote, Trade
from collector.venues.binance import BinanceCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.kit import (
    Bench,
    binance_trade,
    book_ticker,
    depth,
    depth_book,
    exchange_info,
    kraken_book,
    kraken_crc,
)
from tests.venues.krakens import ASKS, BIDS, SNAPSHOT, bench

Frame = dict[str, Any]


def binance() -> Bench:
    made = Bench(
        BinanceCore(
            [Wanted("BTC-USDT", "book"), Wanted("BTC-USDT", "trades"), Wanted("BTC-USDT", "quotes")], CoreSettings()
        )
    )
    made.connect()
    made.reply(exchange_info(("BTC", "USDT")))
    made.frame({"result": None, "id": 1})
    made.reply(depth_book(10, [("100.0", "1.0")], [("101.0", "1.0")]))
    made.frames(binance_trade(1), book_ticker(1))
    made.forget()
    return made


def noticed(made: Bench, *, channel: str) -> bool:
    return bool(made.dead) or any(gap.channel == channel for gap in made.of(Gap)) or made.count("duplicate") > 0


@pytest.mark.parametrize(
    ("frame", "channel", "change"),
    [
        (depth(11, 12, bids=[("99.0", "5.0")]), "book", lambda data: data["b"].__setitem__(0, ("98.0", "5.0"))),
        (depth(11, 12, bids=[("99.0", "5.0")]), "book", lambda data: data["b"].__setitem__(0, ("99.0", "7.0"))),
        (depth(11, 12), "book", lambda data: data.update(E=1)),
        (binance_trade(2), "trades", lambda data: data.update(p="100.11")),
        (binance_trade(2), "trades", lambda data: data.update(q="0.501")),
        (binance_trade(2), "trades", lambda data: data.update(T=1)),
        (book_ticker(2), "quotes", lambda data: data.update(b="100.01")),
        (book_ticker(2), "quotes", lambda data: data.update(u=3)),
    ],
)
def test_binance_covers_no_price_size_or_time(frame: Frame, channel: str, change: Callable[[Frame], None]) -> None:
    made = binance()
    changed = json.loads(json.dumps(frame))
    change(changed["data"])
    made.frame(changed)
    assert not noticed(made, channel=channel)
    assert len(made.of(BookDelta)) + len(made.of(Trade)) + len(made.of(Quote)) == 1


@pytest.mark.parametrize(
    ("frame", "channel", "change", "after"),
    [
        # A first id that is too high is a hole at once; one that is too low does no harm: sizes are absolute.
        (depth(11, 12), "book", {"U": 12}, None),
        # A last id that is too low, or a little too high, makes the next update a hole or a duplicate.
        (depth(11, 12), "book", {"u": 11}, depth(13, 13)),
        (depth(11, 12), "book", {"u": 19}, depth(13, 13)),
        (binance_trade(2), "trades", {"t": 8}, None),
        (binance_trade(2), "trades", {"t": 1}, None),
    ],
)
def test_binances_ids_are_covered_by_their_neighbours(
    frame: Frame, channel: str, change: Frame, after: Frame | None
) -> None:
    made = binance()
    changed = json.loads(json.dumps(frame))
    changed["data"].update(change)
    made.frame(changed)
    if after is not None:
        made.frame(after)
    assert noticed(made, channel=channel)


@pytest.mark.parametrize("at", range(10))
@pytest.mark.parametrize("field", [0, 1])
def test_kraken_covers_every_digit_of_the_top_ten(at: int, field: int) -> None:
    made = bench("book", depth=25)
    made.frame(SNAPSHOT)
    made.forget()
    true = [(price, "3.00000000") if number == at else (price, size) for number, (price, size) in enumerate(BIDS)]
    wrong = (f"{true[at][0][:-1]}5", true[at][1]) if field == 0 else (true[at][0], "4.00000000")
    made.frame(kraken_book("update", [wrong], [], kraken_crc(true, ASKS)))
    assert noticed(made, channel="book")
    assert made.of(BookDelta) == []


def test_kraken_covers_nothing_below_the_tenth_level_and_the_verdict_says_ten() -> None:
    made = bench("book", depth=25)
    made.frame(SNAPSHOT)
    made.forget()
    made.frame(kraken_book("update", [("50.0", "9.99999999")], [], kraken_crc(BIDS, ASKS)))
    assert not noticed(made, channel="book")
    assert (made.state("BTC-USD", "book"), made.status("BTC-USD", "book").depth) == ("in_sync", 10)
