"""What nobody can see on OKX: which changed digits its own checks do not cover. Everything else is noticed."""

import json
from typing import Any

import pytest

from collector.records import BookDelta, Gap, Quote, Trade
from tests.venues.kit import Bench
from tests.venues.okxs import SNAPSHOT, T0_MS, bbo, bench, book, trade

Frame = dict[str, Any]


def flowing() -> Bench:
    made = bench("book", "trades", "quotes")
    made.frames(SNAPSHOT, *(trade(number) for number in range(1, 12)), bbo(1))
    made.forget()
    return made


def noticed(made: Bench, *, channel: str) -> bool:
    return bool(made.dead) or any(gap.channel == channel for gap in made.of(Gap)) or made.count("duplicate") > 0


@pytest.mark.parametrize(
    ("frame", "channel", "change"),
    [
        (book(10, 12, bids=[("99.5", "5")]), "book", {"bids": [["98.5", "5", "0", "1"]]}),
        (book(10, 12, bids=[("99.5", "5")]), "book", {"bids": [["99.5", "7", "0", "1"]]}),
        (book(10, 12, bids=[("99.5", "5")]), "book", {"bids": [["99.5", "5", "0", "9"]]}),
        (book(10, 12), "book", {"ts": str(T0_MS + 7)}),
        (book(10, 12), "book", {"checksum": 5}),
        (trade(12), "trades", {"px": "100.11"}),
        (trade(12), "trades", {"sz": "0.6"}),
        (trade(12), "trades", {"ts": str(T0_MS + 7)}),
        (trade(12), "trades", {"seqId": 99}),
        (trade(12), "trades", {"count": "2"}),
        (bbo(2), "quotes", {"bids": [["100.4", "1", "0", "1"]]}),
        (bbo(2), "quotes", {"seqId": 3}),
    ],
)
def test_okx_covers_no_price_size_or_time(frame: Frame, channel: str, change: Frame) -> None:
    made = flowing()
    changed = json.loads(json.dumps(frame))
    changed["data"][0].update(change)
    made.frame(changed)
    assert not noticed(made, channel=channel)
    assert len(made.of(BookDelta)) + len(made.of(Trade)) + len(made.of(Quote)) == 1


@pytest.mark.parametrize(
    ("frame", "channel", "change", "after"),
    [
        (book(10, 12), "book", {"prevSeqId": 11}, None),
        (book(10, 12), "book", {"prevSeqId": 9}, None),
        # The id itself is covered by the update that names it.
        (book(10, 12), "book", {"seqId": 13}, book(12, 14)),
        (trade(12), "trades", {"tradeId": "18"}, None),
        (trade(12), "trades", {"tradeId": "11"}, None),
        # A count that is too low leaves fills out.
        (trade(14, 3), "trades", {"count": "2"}, None),
    ],
)
def test_okxs_ids_are_covered_by_their_neighbours(
    frame: Frame, channel: str, change: Frame, after: Frame | None
) -> None:
    made = flowing()
    changed = json.loads(json.dumps(frame))
    changed["data"][0].update(change)
    made.frame(changed)
    if after is not None:
        made.frame(after)
    assert noticed(made, channel=channel)


def test_a_lost_quote_cannot_be_seen() -> None:
    made = flowing()
    made.frames(bbo(2), bbo(9))
    assert not noticed(made, channel="quotes")
    assert made.state("BTC-USDT", "quotes") == "unverifiable"


def test_fills_lost_before_ids_are_known_to_be_dense_are_not_told_yet() -> None:
    made = bench("trades")
    made.frames(trade(1), trade(5))
    assert not noticed(made, channel="trades")
    assert made.state("BTC-USDT", "trades") == "unverifiable"
