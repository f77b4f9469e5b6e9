"""Coinbase's trades: the taker's side, where we begin, what ids prove and what a snapshot does."""

import pytest

from collector.records import Gap, Trade
from tests.venues.coinbases import bench, heartbeat, holes, reconnected, trades
from tests.venues.kit import Bench


def idents(made: Bench) -> list[int]:
    return [int(trade.id) for trade in made.of(Trade)]


def test_a_trades_side_is_the_takers_and_trades_come_oldest_first() -> None:
    made = bench("trades")
    made.say(trades(5, 6))
    assert [(trade.id, trade.side, trade.price, trade.size) for trade in made.of(Trade)] == [
        ("5", "sell", "100.5", "0.25"), ("6", "sell", "100.5", "0.25"),
    ]  # fmt: skip
    assert (made.state("BTC-USD", "trades"), made.verdict("BTC-USD", "trades").by) == ("in_sync", "sequence")


def test_the_trades_before_the_subscription_are_not_ours_and_say_where_we_begin() -> None:
    made = bench("trades")
    made.say(trades(1, 2, 3, kind="snapshot"))
    assert made.records == []
    made.says(trades(3, 4), trades(5))
    assert idents(made) == [4, 5]
    assert made.of(Gap) == []


def test_after_a_reconnect_the_snapshot_fills_the_hole() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), trades(2))
    reconnected(made)
    made.say(trades(1, 2, 3, 4, kind="snapshot"))
    assert idents(made) == [2, 3, 4]
    assert made.of(Gap) == []
    assert made.state("BTC-USD", "trades") == "in_sync"


def test_what_the_snapshot_does_not_reach_after_a_reconnect_is_a_gap_with_its_ids() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), trades(2))
    reconnected(made)
    made.say(trades(6, 7, kind="snapshot"))
    assert idents(made) == [2, 6, 7]
    assert [(gap.first, gap.last, gap.cause) for gap in made.of(Gap)] == [(3, 5, "disconnect")]


def test_what_the_snapshot_of_a_repair_does_not_reach_is_a_gap_although_trades_flowed_until_then() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), trades(2))
    made.skip()
    made.say(trades(4))  # the hole is told, and the stream is subscribed again: what comes meanwhile is sent to nobody
    made.say(trades(6, 7, kind="snapshot"))
    assert idents(made) == [2, 4, 6, 7]
    assert holes(made, "trades") == [(3, 3, False), (5, 5, False)]


def test_within_a_snapshot_nothing_is_missing_though_its_ids_jump() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), trades(2))
    reconnected(made)
    made.say(trades(6, 9, kind="snapshot"))
    assert holes(made, "trades") == [(3, 5, False)]


def test_a_snapshot_without_news_proves_that_nothing_was_missed() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), trades(2))
    reconnected(made)
    assert made.state("BTC-USD", "trades") != "in_sync"
    made.say(trades(1, 2, kind="snapshot"))
    assert made.state("BTC-USD", "trades") == "in_sync"
    assert made.count("duplicate") == 0


def test_a_hole_makes_trades_say_so_until_ids_or_a_snapshot_tell() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), trades(2))
    made.skip()
    made.say(heartbeat(0))
    assert made.verdict("BTC-USD", "trades").reason == "expected sequence_num 4, got 5"
    assert made.state("BTC-USD", "trades") == "gap"
    assert ("subscribe", "market_trades", "BTC-USD") in made.asked()
    made.say(trades(5))
    assert holes(made, "trades") == [(3, 4, False)]
    made.say(trades(1, 2, 3, 4, 5, kind="snapshot"))
    assert sorted(idents(made)) == [2, 3, 4, 5]
    assert holes(made, "trades") == [(3, 4, False), (3, 3, True), (4, 4, True)]
    made.say(trades(6))
    assert made.state("BTC-USD", "trades") == "in_sync"


def test_ids_that_jump_while_nothing_was_lost_are_no_gap() -> None:
    made = bench("trades")
    made.says(trades(1, kind="snapshot"), trades(4), trades(9))
    assert idents(made) == [4, 9]
    assert made.of(Gap) == []


def test_ids_that_jump_after_a_hundred_in_a_row_are_a_gap_even_so() -> None:
    made = bench("trades")
    made.says(*(trades(ident) for ident in range(1, 102)), trades(105))
    assert holes(made, "trades") == [(102, 104, False)]


def test_a_trade_that_was_seen_is_counted_and_dropped() -> None:
    made = bench("trades")
    made.says(trades(1), trades(1))
    assert (idents(made), made.count("duplicate")) == ([1], 1)


def test_an_id_may_be_a_number_too() -> None:
    made = bench("trades")
    event = trades(5)
    event["events"][0]["trades"][0]["trade_id"] = 5
    made.say(event)
    assert idents(made) == [5]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trade_id", "x"),
        ("trade_id", " 5"),
        ("price", "-1"),
        ("size", "1_0"),
        ("time", "yesterday"),
        ("side", "buy"),
        ("price", 1),
    ],
)
def test_a_trade_with_a_wrong_value_is_a_dead_letter_and_taints_its_product_alone(field: str, value: object) -> None:
    made = bench("trades", instruments=("BTC-USD", "ETH-USD"))
    made.says(trades(1), trades(1, product="ETH-USD"))
    event = trades(2)
    event["events"][0]["trades"][0][field] = value
    made.say(event)
    assert len(made.dead) == 1
    assert (made.state("BTC-USD", "trades"), made.state("ETH-USD", "trades")) == ("gap", "in_sync")
    made.say(trades(3))
    assert holes(made, "trades") == [(2, 2, False)]
