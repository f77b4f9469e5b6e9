"""Ids that a venue counts one by one."""

from hypothesis import given
from hypothesis import strategies as st

from collector.quality.sequence import BELIEVED, REPEATED, IdSequence


def seen(*values: int) -> list[str]:
    sequence = IdSequence()
    return [sequence.see(value) for value in values]


def test_the_first_id_and_each_one_after_it_is_next() -> None:
    assert seen(7, 8, 9) == ["next", "next", "next"]


def test_a_jump_is_a_gap_whose_ends_are_named() -> None:
    sequence = IdSequence()
    sequence.see(7)
    assert sequence.see(11) == "gap"
    assert sequence.holes[-1] == (8, 10)


def test_an_id_seen_before_is_a_duplicate() -> None:
    assert seen(7, 8, 8, 7, 6) == ["next", "next", "duplicate", "duplicate", "duplicate"]


def test_an_id_from_a_hole_is_late_once_and_a_duplicate_the_second_time() -> None:
    sequence = IdSequence()
    for value in (1, 6):
        sequence.see(value)
    assert [sequence.see(value) for value in (4, 4, 2, 3, 5, 5, 2)] == [
        "late", "duplicate", "late", "late", "late", "duplicate", "duplicate",
    ]  # fmt: skip
    assert not sequence.holes


def test_holes_are_bounded_and_the_oldest_is_forgotten_first() -> None:
    sequence = IdSequence()
    for value in range(0, 2000, 2):
        sequence.see(value)
    assert len(sequence.holes) == 256
    assert sequence.see(1) == "duplicate"
    assert sequence.see(1997) == "late"


@given(st.permutations(range(12)), st.lists(st.integers(0, 11)))
def test_whatever_the_order_each_id_is_new_once_and_what_is_missing_is_in_a_hole(
    order: list[int], again: list[int]
) -> None:
    sequence = IdSequence()
    new = [value for value in [*order, *again] if sequence.see(value) != "duplicate"]
    assert len(new) == len(set(new))
    assert set(range(order[0], 12)) <= set(new)
    assert not sequence.holes


def test_an_id_that_is_far_too_high_is_not_believed_for_good() -> None:
    sequence = IdSequence()
    for value in (1, 2, 9_000):
        sequence.see(value)
    assert {sequence.see(value) for value in range(4, 4 + BELIEVED)} == {"late"}
    assert [sequence.see(4 + BELIEVED), sequence.see(6 + BELIEVED), sequence.see(3)] == ["next", "gap", "late"]
    assert list(sequence.holes) == [(5 + BELIEVED, 5 + BELIEVED)]


def test_late_ids_that_do_not_follow_one_another_refute_no_newer_one() -> None:
    sequence = IdSequence()
    for value in (1, 9_000):
        sequence.see(value)
    assert {sequence.see(value) for value in range(3, 3 + 4 * BELIEVED, 2)} == {"late"}
    assert sequence.last == 9_000


def test_one_message_may_stand_for_several_ids() -> None:
    sequence = IdSequence()
    assert [sequence.see(value, first) for value, first in ((3, 1), (6, 4), (12, 10), (9, 8), (7, 7), (12, 10))] == [
        "next", "next", "gap", "late", "late", "duplicate",
    ]  # fmt: skip
    assert not sequence.holes


def test_the_last_of_several_ids_alone_says_whether_they_were_seen() -> None:
    sequence = IdSequence()
    assert [sequence.see(value, first) for value, first in ((5, 5), (7, 4), (12, 11), (9, 6))] == [
        "next", "next", "gap", "late",
    ]  # fmt: skip
    assert list(sequence.holes) == [(10, 10)]
    assert sequence.see(12, 9) == "duplicate"


def test_a_first_id_that_is_far_too_high_is_not_believed_for_good_and_what_it_hid_is_a_hole() -> None:
    sequence = IdSequence()
    sequence.see(9_000)
    assert {sequence.see(value) for value in range(4, 3 + REPEATED)} == {"duplicate"}
    assert [sequence.see(value) for value in (3 + REPEATED, 4 + REPEATED, 4)] == ["gap", "next", "late"]
    assert list(sequence.holes) == [(5, 2 + REPEATED)]


def test_as_many_repeated_ids_refute_no_newer_one_while_new_ones_come() -> None:
    sequence = IdSequence()
    sequence.see(10)
    for value in range(11, 11 + 2 * REPEATED):
        assert [sequence.see(value), sequence.see(value - 10)][0] == "next"
    assert not sequence.holes
