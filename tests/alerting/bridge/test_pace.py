"""A robot's budget: never more than its limit in any minute, quick when quiet, merging when not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.bridge.pace import WINDOW_S, Pace


def test_the_first_messages_of_a_quiet_minute_go_at_once() -> None:
    pace = Pace(20)
    for _ in range(8):
        assert pace.delay(100.0, urgent=False) == 0
        pace.sent(100.0)
    assert pace.delay(100.0, urgent=False) > 5


def test_after_a_burst_a_p1_goes_at_once_and_others_wait_for_company() -> None:
    pace = Pace(20, [100.0] * 8)
    assert pace.delay(101.0, urgent=True) == 0
    assert 4 < pace.delay(101.0, urgent=False) < 10


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=60, max_size=150))
def test_no_minute_has_more_messages_than_the_limit_whatever_is_asked(asked: list[tuple[float, bool]]) -> None:
    pace, now, sent = Pace(20), 1000.0, list[float]()
    for pause, urgent in asked:
        now += pause
        now += pace.delay(now, urgent=urgent)
        assert pace.delay(now, urgent=urgent) <= 1e-6
        pace.sent(now)
        sent.append(now)
    assert all(later - first > 60 for first, later in zip(sent, sent[20:], strict=False))


def test_steady_traffic_that_is_not_urgent_leaves_room_for_what_is() -> None:
    pace, now = Pace(20), 0.0
    for _ in range(100):
        now += pace.delay(now, urgent=False)
        assert pace.delay(now, urgent=True) == 0
        pace.sent(now)
        assert pace.delay(now, urgent=True) == 0


def test_messages_from_before_a_restart_count() -> None:
    pace = Pace(20, [float(second) for second in range(20)])
    assert pace.delay(20.0, urgent=True) == WINDOW_S - 20
    assert pace.delay(0.0 + WINDOW_S, urgent=True) == 0


def test_a_robot_that_had_too_many_is_left_alone_for_as_long_as_it_said() -> None:
    pace = Pace(20)
    pace.pause(10.0, 60.0)
    pace.pause(11.0, 1.0)
    assert (pace.paused(15.0), pace.delay(15.0, urgent=True)) == (55.0, 55.0)
    assert (pace.paused(70.0), pace.delay(70.0, urgent=True)) == (0.0, 0.0)


def test_a_limit_of_one_a_minute_is_kept() -> None:
    pace = Pace(1)
    assert pace.delay(0.0, urgent=True) == 0
    pace.sent(0.0)
    assert pace.delay(1.0, urgent=True) == WINDOW_S - 1
