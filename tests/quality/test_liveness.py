"""When silence means trouble."""

import pytest

from collector.clock import SECOND_NS
from collector.quality.liveness import EXPECTATIONS, Expectation, Pulse

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


def test_every_channel_has_an_expectation() -> None:
    assert set(EXPECTATIONS) == {"book", "quotes", "trades"}
    assert EXPECTATIONS["book"].least < EXPECTATIONS["quotes"].least < EXPECTATIONS["trades"].least
