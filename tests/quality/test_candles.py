"""Which bars are closed, which are missing, which came late."""

from __future__ import annotations

from typing import Any

import pytest

from collector.quality.candles import MOST_HOLES, Bars, interval_us
from collector.records import Candle

MINUTE = 60_000_000


def bar(minute: int, *, closed: bool = False, close: str = "1", **more: Any) -> Candle:
    fields: dict[str, Any] = {"venue": "v", "market": "spot", "instrument": "A-B", "symbol": "AB", "ts": None}
    prices: dict[str, Any] = {"open": "1", "high": "9", "low": "1", "close": close, "volume": "1", "trades": None}
    return Candle(**fields, recv_ts=7, interval="1m", open_ts=minute * MINUTE, closed=closed, **prices, **more)


def shown(told: list[Candle]) -> list[tuple[int, bool, str]]:
    return [(one.open_ts // MINUTE, one.closed, one.close) for one in told]


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("5m", 300), ("4h", 14_400), ("1d", 86_400), ("1w", 604_800)])
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert interval_us(text) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "m", "0m", "5", "1M", "-1m", "1.5h", "²m"])
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number and one of s, m, h, d, w"):
        interval_us(text)


def test_marked_bars_that_follow_one_another_leave_no_hole() -> None:
    bars = Bars(marked=True, step_us=MINUTE)
    states = [bar(1), bar(1, close="2"), bar(1, closed=True, close="2"), bar(2), bar(2, closed=True), bar(3)]
    told = [bars.take(state) for state in states]
    assert [shown(one.bars) for one in told] == [shown([state]) for state in states]
    assert not any(one.holes for one in told)


def test_a_state_that_says_nothing_new_is_dropped() -> None:
    bars = Bars(marked=True, step_us=MINUTE)
    bars.take(bar(1))
    assert bars.take(bar(1, seq=9)).bars == []


def test_a_closed_bar_does_not_change_any_more() -> None:
    bars = Bars(marked=True, step_us=MINUTE)
    bars.take(bar(1, closed=True))
    assert bars.take(bar(1, close="5")).bars == []


def test_a_marked_bar_that_was_never_seen_closed_is_a_hole() -> None:
    bars = Bars(marked=True, step_us=MINUTE)
    bars.take(bar(1))
    told = bars.take(bar(2))
    assert told.holes == [(MINUTE, MINUTE)]
    assert shown(told.bars) == [(2, False, "1")]


def test_marked_bars_that_never_came_are_a_hole_from_the_first_to_the_last() -> None:
    bars = Bars(marked=True, step_us=MINUTE)
    bars.take(bar(1, closed=True))
    assert bars.take(bar(5)).holes == [(2 * MINUTE, 4 * MINUTE)]


def test_a_closed_bar_that_comes_late_fills_its_hole_once() -> None:
    bars = Bars(marked=True, step_us=MINUTE)
    bars.take(bar(1, closed=True))
    bars.take(bar(3))
    assert bars.take(bar(2)).bars == []  # an open state is no end
    told = bars.take(bar(2, closed=True))
    assert (told.filled, shown(told.bars)) == (2 * MINUTE, [(2, True, "1")])
    assert bars.take(bar(2, closed=True)).bars == []


def test_holes_are_remembered_within_bounds() -> None:
    bars = Bars(marked=True, step_us=MINUTE)
    bars.take(bar(1, closed=True))
    bars.take(bar(1_000_000))
    assert len(bars._missing) == MOST_HOLES
    assert bars.take(bar(2, closed=True)).filled is None
    assert bars.take(bar(999_999, closed=True)).filled == 999_999 * MINUTE


def test_without_a_mark_a_bar_is_closed_when_the_next_begins_and_not_before() -> None:
    bars = Bars(marked=False, step_us=MINUTE)
    assert shown(bars.take(bar(1)).bars) == [(1, False, "1")]
    assert shown(bars.take(bar(1, close="2")).bars) == [(1, False, "2")]
    assert shown(bars.take(bar(4)).bars) == [(1, True, "2"), (4, False, "1")]  # nothing traded in between


def test_after_a_break_an_unmarked_bar_is_not_taken_for_closed() -> None:
    bars = Bars(marked=False, step_us=MINUTE)
    bars.take(bar(1))
    bars.broken()
    told = bars.take(bar(2))
    assert shown(told.bars) == [(2, False, "1")]
    assert told.holes == [(MINUTE, MINUTE)]


def test_after_a_break_the_venues_own_last_state_makes_it_whole_again() -> None:
    bars = Bars(marked=False, step_us=MINUTE)
    bars.take(bar(1))
    bars.broken()
    assert shown(bars.take(bar(1, close="3")).bars) == [(1, False, "3")]
    assert shown(bars.take(bar(2)).bars) == [(1, True, "3"), (2, False, "1")]


def test_what_a_break_may_have_hidden_between_two_unmarked_bars_is_a_hole() -> None:
    bars = Bars(marked=False, step_us=MINUTE)
    bars.take(bar(1))
    bars.broken()
    assert bars.take(bar(9)).holes == [(MINUTE, 8 * MINUTE)]
    assert bars.take(bar(12)).holes == []  # watched: nothing traded in between


def test_the_closed_bar_was_received_when_the_next_one_began() -> None:
    bars = Bars(marked=False, step_us=MINUTE)
    bars.take(bar(1))
    later = bar(2)
    later.recv_ts = 99
    assert [one.recv_ts for one in bars.take(later).bars] == [99, 99]


def test_bars_older_than_the_first_watched_are_not_ours() -> None:
    bars = Bars(marked=False, step_us=MINUTE)
    bars.take(bar(5))
    assert bars.take(bar(4, closed=True)).bars == []
