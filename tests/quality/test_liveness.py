"""When silence means trouble."""

import pytest

from collector.clock import SECOND_NS
from collector.quality.liveness import ACK, EXPECTATIONS, REFUSED, REMEMBERED, Expectation, Pulse

EXPECTED = Expectation(least=10, most=120, first=30, pace=30)


def pulse(every: float = 0.0, messages: int = 0) -> Pulse:
    """Armed at second 100; `messages` of them, the last at second 100 + (messages - 1) * every."""
    made = Pulse()
    made.arm(100 * SECOND_NS)
    for number in range(messages):
        made.beat(int((100 + number * every) * SECOND_NS))
    return made


def silent(made: Pulse, at: float) -> float | None:
    return made.silent(int(at * SECOND_NS), EXPECTED)


def test_a_stream_that_was_never_asked_for_is_not_silent() -> None:
    assert silent(Pulse(), 10_000) is None


def test_a_first_message_has_a_patience_of_its_own() -> None:
    assert silent(pulse(), 130) is None
    assert silent(pulse(), 131) == pytest.approx(31)


def test_a_busy_stream_is_silent_after_the_least_patience() -> None:
    made = pulse(0.1, 100)
    last = 100 + 99 * 0.1
    assert silent(made, last + 10) is None
    assert silent(made, last + 10.5) == pytest.approx(10.5)


def test_a_slow_stream_gets_patience_by_its_own_pace() -> None:
    made = pulse(2, 10)
    assert silent(made, 118 + 60) is None
    assert silent(made, 118 + 61) is not None


def test_patience_never_exceeds_the_most() -> None:
    made = pulse(3600, 3)
    assert silent(made, 100 + 7200 + 120) is None
    assert silent(made, 100 + 7200 + 121) is not None


def test_each_remedy_that_did_not_help_doubles_the_patience_and_data_ends_that() -> None:
    made = pulse(0.1, 2)
    made.remedies = 3
    assert silent(made, 100 + 79) is None
    assert silent(made, 100 + 81) is not None
    made.beat(200 * SECOND_NS)
    assert made.remedies == 0


def test_arming_again_starts_a_new_wait() -> None:
    made = pulse()
    made.arm(200 * SECOND_NS)
    assert silent(made, 229) is None


def test_quiet_is_judged_by_the_streams_own_pace_alone() -> None:
    made = pulse(0.1, 100)
    made.remedies = 5
    assert not made.quiet(int(119 * SECOND_NS), EXPECTED)
    assert made.quiet(int(121 * SECOND_NS), EXPECTED)


def test_messages_of_one_read_count_as_one() -> None:
    made = pulse(10, 2)
    for _ in range(50):
        made.beat(110 * SECOND_NS)
    assert made.count == 2
    assert silent(made, 110 + 119) is None


def test_on_the_next_connection_the_pace_is_known_before_the_first_message() -> None:
    made = pulse(2, 10).reconnected()
    assert (made.count, silent(made, 10_000)) == (0, None)
    made.arm(200 * SECOND_NS)
    assert silent(made, 260) is None
    assert silent(made, 261) == pytest.approx(61)


def test_a_fast_stream_gets_the_least_patience_for_its_return_and_a_slow_one_never_more_than_the_most() -> None:
    for every, patience in ((0.01, 10), (3600, 120)):
        made = pulse(every, 5).reconnected()
        made.arm(10**5 * SECOND_NS)
        assert silent(made, 10**5 + patience) is None
        assert silent(made, 10**5 + patience + 1) is not None


@pytest.mark.parametrize("messages", [0, 1])
def test_a_pace_that_was_not_learnt_is_not_carried_over(messages: int) -> None:
    made = pulse(1, messages).reconnected()
    made.arm(200 * SECOND_NS)
    assert silent(made, 230) is None
    assert silent(made, 231) is not None


def test_the_pace_of_earlier_connections_outweighs_a_burst_and_gives_way_to_a_new_pace() -> None:
    made = pulse(3, 50).reconnected()
    made.arm(1000 * SECOND_NS)
    for number in range(2):
        made.beat(1000 * SECOND_NS + number)
    assert made.patience(EXPECTED, 0) == pytest.approx(90, rel=0.05)
    for number in range(50 * REMEMBERED):
        made.beat(1001 * SECOND_NS + number * SECOND_NS // 10)
    assert made.patience(EXPECTED, 0) == EXPECTED.least


def test_what_was_remembered_of_many_messages_weighs_no_more_than_a_hundred() -> None:
    assert pulse(0.1, 5000).reconnected().weight == REMEMBERED == 100


def test_a_quiet_market_explains_a_missing_first_message_only_of_a_slow_stream_that_was_not_overdue() -> None:
    slow, fast, new = pulse(2, 10).reconnected(), pulse(0.1, 10).reconnected(), pulse()
    assert [made.explains_silence(EXPECTED) for made in (slow, fast, new)] == [True, False, True]
    slow.remedies = 1
    assert not slow.explains_silence(EXPECTED)


def test_a_refused_subscription_is_tried_sooner_than_one_without_an_answer_and_both_without_end() -> None:
    assert [REFUSED.wait(tries) for tries in (0, 1, 2, 3, 50)] == [1, 2, 4, 8, 120]
    assert [ACK.wait(tries) for tries in (0, 1, 2, 3, 50)] == [10, 20, 40, 80, 120]


def test_channels_that_speak_only_when_something_happens_have_no_expectation() -> None:
    assert set(EXPECTATIONS) == {"book", "quotes", "tickers", "trades", "candles", "funding", "open_interest"}
    assert EXPECTATIONS["book"].least < EXPECTATIONS["quotes"].least < EXPECTATIONS["trades"].least
    assert EXPECTATIONS["tickers"] == EXPECTATIONS["quotes"]
