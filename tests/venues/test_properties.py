"""Whatever a wire does to a venue's frames, each book equals the exchange's at its own id or its verdict says so.

The frames are the simulator's own. The fast tier draws a hundred plans a case, `make fuzz` ten thousand and more a
venue, and prints what became of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import seed as random_by
from hypothesis import strategies as st

from tests.venues.damage import PLANS, Damage
from tests.venues.sessions import CASES, WAYS, Session, Way

MANY = 10_000
PART = 2_000
MAIN = ("binance", "binance_usdm", "okx", "okx_swap", "coinbase", "kraken")
PARTS = [(name, part) for name in MAIN for part in range(MANY // PART)]
EVERY = pytest.mark.parametrize("case", CASES)
WITH_BOOKS = pytest.mark.parametrize("case", [name for name, case in CASES.items() if "book" in case.channels])
_outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
_cases: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def report(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the share of each outcome of the many cases."""
    yield
    manager = request.config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled():
        for name, outcomes in _outcomes.items():
            print(f"\n{name}: {_cases[name]} cases")  # noqa: T201 - it is to be read
            for outcome, times in sorted(outcomes.items()):
                print(f"  {times / _cases[name]:8.4f}  {outcome}")  # noqa: T201


def damage(case: str, seed: int, plan: list[Damage], way: Way) -> Session:
    session = Session(CASES[case], seed, plan, way)
    session.run()
    return session


@EVERY
@given(seed=st.integers(0, 2**32), plan=PLANS, way=st.sampled_from(WAYS))
def test_drop_double_delay_cut_or_flip_any_frames_and_the_books_are_right_or_say_that_they_are_not(
    case: str, seed: int, plan: list[Damage], way: Way
) -> None:
    damage(case, seed, plan, way)


@WITH_BOOKS
@given(seed=st.integers(0, 2**32), plan=PLANS, way=st.sampled_from(WAYS))
@settings(max_examples=20)
def test_whatever_was_done_to_the_frames_the_books_are_in_sync_soon_after_it_ends(
    case: str, seed: int, plan: list[Damage], way: Way
) -> None:
    damage(case, seed, plan, way).settle()


@pytest.mark.full
@pytest.mark.parametrize("case", CASES)
def test_five_hundred_times_over_the_books_are_right_or_say_that_they_are_not(case: str) -> None:
    _many(case, 0, 500)


@pytest.mark.fuzz
@pytest.mark.parametrize(("case", "part"), PARTS)
def test_ten_thousand_times_over_the_books_are_right_or_say_that_they_are_not_and_are_in_sync_soon_after_it_ends(
    case: str, part: int
) -> None:
    _many(case, part, PART)


def _many(case: str, part: int, examples: int) -> None:
    @random_by(part)
    @settings(max_examples=examples)
    @given(seed=st.integers(0, 2**32), plan=PLANS, way=st.sampled_from(WAYS))
    def run(seed: int, plan: list[Damage], way: Way) -> None:
        session = damage(case, seed, plan, way)
        _cases[case] += 1
        _outcomes[case].update(session.outcome())
        if seed % 10 == 0 and "book" in CASES[case].channels:
            session.settle()

    run()
