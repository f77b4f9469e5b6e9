"""OKX's trades, whose ids are watched for density, and its quotes."""

import pytest

from collector.records import Gap, Quote, Trade
from tests.venues.kit import Bench
from tests.venues.okxs import T0_MS, acknowledge, bbo, bench, made_of, push, trade, trade_item


def flowing(last: int = 10) -> Bench:
    """A stream whose ids are known to be dense: trades 1 to `last` came."""
    made = bench("trades")
    made.frames(*(trade(number) for number in range(1, last + 1)))
    assert made.state("BTC-USDT", "trades") == "in_sync"
    made.forget()
    return made


def ids(made: Bench) -> list[str]:
    return [record.id for record in made.of(Trade)]


def test_a_trade_is_published_with_its_own_numbers_and_the_takers_side() -> None:
    made = bench("trades")
    assert made.frame(trade(7, seq=77)) == "trades"
    (record,) = made.of(Trade)
    assert (record.id, record.id_space, record.price, record.size, record.side) == (
        "7", "trades", "100.10", "0.5", "sell",
    )  # fmt: skip
    assert (record.ts, record.seq, record.symbol) == ((T0_MS + 7) * 1000, 77, "BTC-USDT")


def test_ids_are_believed_to_be_dense_only_after_enough_of_them_were() -> None:
    made = bench("trades")
    made.frames(*(trade(number) for number in range(1, 9)))
    assert made.verdict("BTC-USDT", "trades").reason == "whether trade ids are dense is not known yet"
    made.frame(trade(9))
    verdict = made.verdict("BTC-USDT", "trades")
    assert (verdict.state, verdict.by) == ("in_sync", "sequence")


def test_several_fills_in_one_item_are_all_accounted_for() -> None:
    made = flowing()
    made.frames(trade(13, 3), trade(14))
    assert ids(made) == ["13", "14"]
    assert made.of(Gap) == []
    assert made.state("BTC-USDT", "trades") == "in_sync"


def test_a_lost_trade_is_a_gap_with_exactly_the_missing_fills_and_a_late_one_repairs_it() -> None:
    made = flowing()
    made.frame(trade(16, 3))
    assert [(gap.first, gap.last, gap.count, gap.cause) for gap in made.of(Gap)] == [(11, 13, 3, "sequence")]
    assert made.verdict("BTC-USDT", "trades").reason == "trades 11..13 are missing"
    made.frames(trade(12, 2), trade(12, 2), trade(17))
    assert ids(made) == ["16", "12", "17"]
    assert [(gap.first, gap.last) for gap in made.of(Gap) if gap.repaired_ts is not None] == [(11, 12)]
    assert made.count("duplicate") == 1
    assert made.state("BTC-USDT", "trades") == "in_sync"


def test_a_hole_of_the_beginning_is_told_with_its_own_time_once_the_ids_are_known_to_be_dense() -> None:
    made = bench("trades")
    made.frames(trade(1), trade(2))
    made.wait(5)
    found = made.now.wall_us
    made.frame(trade(6))
    made.wait(5)
    made.frames(trade(4), *(trade(number) for number in range(7, 14)))
    assert [(gap.first, gap.last, gap.detected_ts) for gap in made.of(Gap)] == [(3, 3, found), (5, 5, found)]


def test_ids_that_are_shared_with_other_streams_never_give_gaps() -> None:
    made = bench("trades")
    made.frames(*(trade(number) for number in range(1, 900, 7)))
    assert made.of(Gap) == []
    assert len(made.of(Trade)) == len(range(1, 900, 7))
    assert made.verdict("BTC-USDT", "trades").reason == "trade ids are not dense: a lost trade cannot be seen"


def test_after_an_interruption_a_hole_is_told_whatever_the_ids_are() -> None:
    made = bench("trades")
    made.frame(trade(1))
    made.disconnect()
    made.connect()
    acknowledge(made)
    made.frame(trade(7, 2))
    assert [(gap.first, gap.last, gap.cause) for gap in made.of(Gap)] == [(2, 5, "disconnect")]
    made.frame(trade(3))
    assert [(gap.first, gap.last) for gap in made.of(Gap) if gap.repaired_ts is not None] == [(3, 3)]


def test_what_the_venue_repeats_on_subscribing_proves_that_nothing_was_missed() -> None:
    made = flowing()
    made.disconnect()
    made.connect()
    acknowledge(made)
    made.frame(trade(10))
    assert (ids(made), made.count("duplicate")) == ([], 1)
    assert made.state("BTC-USDT", "trades") == "in_sync"
    made.frame(trade(12))
    assert [gap.cause for gap in made.of(Gap)] == ["sequence"]


def test_a_trade_that_comes_twice_is_published_once() -> None:
    made = flowing()
    made.frames(trade(11), trade(11), trade(9))
    assert ids(made) == ["11"]
    assert made.count("duplicate") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"tradeId": "7x"}, {"tradeId": "-7"}, {"count": "0"}, {"count": "9000"}, {"count": ""}, {"px": "1e"},
        {"px": " 1"}, {"sz": "-1"}, {"ts": ""}, {"ts": "17"}, {"instId": "ETH-USDT"},
    ],
)  # fmt: skip
def test_a_trade_that_is_not_what_it_should_be_harms_only_itself_and_is_missing(change: dict[str, str]) -> None:
    made = flowing()
    made.frame(push("trades", trade_item(11), trade_item(12) | change, trade_item(13)))
    assert [letter.reason for letter in made.dead] == ["value"]
    assert ids(made) == ["11", "13"]
    assert [(gap.first, gap.last) for gap in made.of(Gap)] == [(12, 12)]


def test_a_side_that_is_neither_is_a_dead_letter() -> None:
    made = flowing()
    made.frame(push("trades", trade_item(11) | {"side": "both"}))
    assert [letter.reason for letter in made.dead] == ["type"]
    assert made.state("BTC-USDT", "trades") == "unverifiable"


def test_single_fills_of_a_tape_have_an_id_space_of_their_own() -> None:
    made = made_of(open_world=True)
    made.connect()
    item = trade_item(5)
    del item["count"], item["seqId"]
    made.frame(push("trades-all", item))
    assert [(record.id_space, record.seq) for record in made.of(Trade)] == [("trades-all", None)]


# -- quotes ------------------------------------------------------------------------------------------------------------


def test_a_quote_is_published_and_cannot_be_verified() -> None:
    made = bench("quotes")
    assert made.frame(bbo(5)) == "quotes"
    (quote,) = made.of(Quote)
    assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == ("100.5", "1", "101.5", "2")
    assert (quote.ts, quote.seq) == (T0_MS * 1000, 5)
    assert made.state("BTC-USDT", "quotes") == "unverifiable"


def test_a_quote_sent_again_or_out_of_order_is_dropped() -> None:
    made = bench("quotes")
    made.frames(bbo(5, ms=T0_MS), bbo(5, ms=T0_MS), bbo(7, ms=T0_MS + 2), bbo(6, ms=T0_MS + 1))
    assert [quote.seq for quote in made.of(Quote)] == [5, 7]
    assert made.count("duplicate") == 2


def test_quotes_whose_ids_begin_anew_after_maintenance_go_on() -> None:
    made = bench("quotes")
    made.frames(bbo(500), bbo(3, ms=T0_MS + 1), bbo(4, ms=T0_MS + 2))
    assert [quote.seq for quote in made.of(Quote)] == [500, 3, 4]


def test_a_market_with_an_empty_side_has_no_quote() -> None:
    made = bench("quotes")
    made.frame(push("bbo-tbt", {"asks": [], "bids": [["1", "1", "0", "1"]], "ts": str(T0_MS), "seqId": 1}))
    assert made.of(Quote) == []
    assert made.dead == []
    assert [event.detail for event in made.events] == ["bbo-tbt with an empty side"]


def test_quotes_lost_in_an_interruption_are_a_gap_that_the_next_quote_ends() -> None:
    made = bench("quotes")
    made.frame(bbo(5))
    made.disconnect()
    made.connect()
    acknowledge(made)
    made.frame(bbo(5))
    assert [(gap.cause, gap.repaired_ts is not None) for gap in made.of(Gap)] == [
        ("disconnect", False),
        ("disconnect", True),
    ]
