"""One order book: exact text, absolute sizes, and what it publishes."""

import pytest

from collector.books.book import Book, BookError
from collector.records import Level

BIDS: list[Level] = [("100.10", "1.50"), ("100.0", "2"), ("99.5", "0.30")]
ASKS: list[Level] = [("100.20", "1.0"), ("101", "4.00"), ("102.0", "0.1")]


def book(depth: int = 1000, limit: int = 1000, *, known: int | None = None) -> Book:
    made = Book(depth, limit)
    made.load(BIDS, ASKS, limit=known)
    return made


def test_prices_and_sizes_keep_the_text_that_the_venue_sent() -> None:
    made = book()
    made.apply([("99.50", "0.300")], [("101", "4.000")])
    assert made.bids.top(3) == [("100.10", "1.50"), ("100.0", "2"), ("99.5", "0.300")]
    assert made.asks.top(2) == [("100.20", "1.0"), ("101", "4.000")]


def test_another_text_of_a_known_price_is_the_same_level_and_published_under_its_first_text() -> None:
    assert book().apply([("100.100", "7")], []) == ([("100.10", "7")], [])
    assert book().apply([], [("101.00", "0")]) == ([], [("101", "0")])


def test_removing_a_level_that_was_never_known_changes_nothing() -> None:
    made = book()
    before = made.digest()
    assert made.apply([("98", "0"), ("98.5", "0.000")], [("110", "0.00000000")]) == ([], [])
    assert made.digest() == before


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000", "0e-8"])
def test_any_zero_removes_and_is_published_as_a_plain_zero(zero: str) -> None:
    assert book().apply([("100.0", zero)], []) == ([("100.0", "0")], [])


def test_a_level_changed_twice_in_one_message_ends_at_its_last_size() -> None:
    assert book().apply([("100.0", "5"), ("100.0", "0"), ("100.0", "6")], []) == ([("100.0", "6")], [])


def test_a_level_pushed_out_of_the_published_range_is_published_as_removed() -> None:
    assert book(depth=2).apply([("100.05", "1")], []) == ([("100.05", "1"), ("100.0", "0")], [])


def test_a_level_that_moves_up_into_the_published_range_is_published() -> None:
    assert book(depth=2).apply([("100.10", "0")], []) == ([("100.10", "0"), ("99.5", "0.30")], [])


def test_a_change_below_the_published_range_is_kept_and_not_published() -> None:
    made = book(depth=2)
    assert made.apply([("99.5", "9"), ("99", "1")], []) == ([], [])
    assert made.bids.top(4)[2:] == [("99.5", "9"), ("99", "1")]


def test_levels_beyond_the_limit_are_forgotten_after_each_message() -> None:
    made = book(depth=3, limit=3)
    assert made.apply([], [("100.5", "1")]) == ([], [("100.5", "1"), ("102.0", "0")])
    assert [price for price, _ in made.asks.top(10)] == ["100.20", "100.5", "101"]
    assert made.apply([], [("100.20", "0")]) == ([], [("100.20", "0")])
    assert "102.0" not in made.asks.sizes


def test_a_snapshot_as_long_as_its_limit_is_known_no_further_than_its_last_level() -> None:
    made = book(known=3)
    assert (made.bids.known_to, made.asks.known_to) == ("99.5", "102.0")
    made.apply([("90", "1")], [])
    assert made.bids.known_to == "99.5"
    assert made.bids.complete == 3
    made.apply([("99.5", "0")], [])
    assert made.bids.known_to == "100.0"
    assert made.complete == 2


def test_a_snapshot_shorter_than_its_limit_is_the_whole_book() -> None:
    made = book(known=4)
    assert (made.bids.known_to, made.asks.known_to) == (None, None)
    made.apply([("90", "1")], [])
    assert made.bids.complete == 4


def test_a_side_whose_known_levels_are_all_gone_is_known_as_far_as_its_snapshot_reached() -> None:
    made = book(known=3)
    made.apply([(price, "0") for price, _ in BIDS] + [("1", "1")], [])
    assert (made.bids.complete, made.bids.known_to) == (0, "99.5")


def test_an_empty_side_is_a_book_too() -> None:
    made = Book(10, 10)
    made.load([], ASKS, limit=0)
    assert made.top(10) == ([], ASKS)
    assert made.apply([("1", "1")], []) == ([("1", "1")], [])


MALFORMED = ["", " ", "nan", "NaN", "inf", "-inf", "Infinity", "-1", "0x10", "one", "1,5", "1e999", "--1"]


@pytest.mark.parametrize("size", MALFORMED)
def test_a_size_that_is_no_number_of_at_least_zero_is_refused(size: str) -> None:
    with pytest.raises(BookError, match="size") as raised:
        book().apply([("100.0", size)], [])
    assert raised.value.cause == "undecodable"
    with pytest.raises(BookError, match="size"):
        Book(10, 10).load([("1", size)], [], limit=None)


@pytest.mark.parametrize("price", [*MALFORMED, "0", "0.00", "1_0", " 1", "1 ", "+1", "\uff11", ".5", "5.", "1e"])
def test_a_price_that_is_no_number_above_zero_is_refused(price: str) -> None:
    with pytest.raises(BookError, match="price"):
        book().apply([(price, "1")], [])
    with pytest.raises(BookError, match="price"):
        Book(10, 10).load([], [(price, "1")], limit=None)


@pytest.mark.parametrize("price", ["1e2", "1E+2", "1.0e2", "1000e-1"])
def test_a_price_with_an_exponent_is_a_number_and_stays_as_it_came(price: str) -> None:
    made = Book(10, 10)
    made.load([(price, "1")], [("101", "1")], limit=None)
    assert made.bids.top(1) == [(price, "1")]
    assert made.apply([("100", "2")], []) == ([(price, "2")], [])


def test_two_prices_that_floats_cannot_tell_apart_are_refused_rather_than_merged() -> None:
    with pytest.raises(BookError, match="closer than can be told apart"):
        Book(10, 10).apply([("1.00000000000000001", "1"), ("1.00000000000000002", "2")], [])


def test_a_snapshot_with_levels_out_of_order_is_refused_as_unsorted() -> None:
    for bids, asks in (([BIDS[1], BIDS[0]], ASKS), (BIDS, [ASKS[0], ASKS[0]]), (BIDS, [ASKS[1], ASKS[0]])):
        with pytest.raises(BookError, match="out of order") as raised:
            Book(10, 10).load(bids, asks, limit=None)
        assert raised.value.cause == "unsorted"


def test_a_snapshot_with_an_empty_level_is_refused() -> None:
    with pytest.raises(BookError, match="empty level"):
        Book(10, 10).load([("1", "0.0")], [], limit=None)


@pytest.mark.parametrize("bid", ["100.20", "100.2000", "150"])
def test_a_bid_at_or_above_the_best_ask_makes_the_book_crossed(bid: str) -> None:
    with pytest.raises(BookError, match="not below") as raised:
        book().apply([(bid, "1")], [])
    assert raised.value.cause == "crossed"
    with pytest.raises(BookError, match="not below"):
        Book(10, 10).load([(bid, "1")], ASKS, limit=None)


def test_the_digest_is_equal_for_equal_books_and_differs_for_any_level_side_or_text() -> None:
    assert book().digest() == book(depth=2).digest()
    others = []
    for bids, asks in (([("99.5", "0.31")], []), ([("99.50", "0"), ("99.4", "0.30")], []), ([], [("103", "1")])):
        changed = book()
        changed.apply(bids, asks)
        others.append(changed.digest())
    moved = Book(1000, 1000)
    moved.load([*BIDS, ("1", "1")], ASKS, limit=None)
    sideways = Book(1000, 1000)
    sideways.load([], [*BIDS[::-1], *ASKS], limit=None)
    digests = {book().digest(), *others, moved.digest(), sideways.digest()}
    assert len(digests) == 6


def test_books_are_compared_by_value_as_deep_as_ours_is_known() -> None:
    made = book(known=3)
    assert not made.differs([("100.1", "1.5")], [("100.2", "1")], asked=0)
    assert made.differs([("100.1", "1.6")], [], asked=0)
    assert made.differs([("100.2", "1.5")], [], asked=0)
    made.apply([], [("102.0", "0"), ("103", "1")])
    assert not made.differs([], [("100.20", "1.0"), ("101", "4.00"), ("102.5", "9"), ("103", "1")], asked=0)
    with pytest.raises(ValueError, match="one"):
        made.differs([("one", "1")], [], asked=0)


def test_a_side_that_is_shorter_than_what_was_asked_for_is_all_that_there_is() -> None:
    made = Book(10, 10)
    made.load([("100", "1"), ("99", "1")], [("101", "1")], limit=None)
    assert not made.differs([("100", "1"), ("99", "1")], [("101", "1")], asked=5)
    assert not made.differs([("100", "1")], [("101", "1")], asked=1)
    assert made.differs([("100", "1")], [("101", "1")], asked=5)
    assert made.differs([("100", "1"), ("99", "1")], [("101", "1"), ("102", "1")], asked=5)


@pytest.mark.parametrize(
    ("theirs", "ours", "differs"),
    [
        ("1.500", "1.50000000", False),
        ("0.001", "0.00069919", False),  # rounded up
        ("0.000", "0.00069919", False),  # cut off
        ("0.002", "0.00069919", True),
        ("7.455", "7.45542336", False),
        ("7.45542337", "7.45542336", True),  # as many digits: each counts
        ("7.5", "7.45", False),
        ("7.45", "7.5", True),
        ("0.00001", "1e-05", False),
        ("2", "1.99999999", False),
    ],
)
def test_a_rest_book_that_rounds_sizes_differs_only_in_the_digits_that_it_gives(
    theirs: str,
    ours: str,
    differs: bool,  # noqa: FBT001
) -> None:
    book = Book(10, 10)
    book.load([("100", ours)], [("101", "1")], limit=None)
    assert book.differs([("100.0", theirs)], [("101", "1")], asked=0) is differs


@pytest.mark.parametrize("size", ["inf", "1_0", "x", "1e99999999999999999999", "0e-99999999999999999999", "1e9999999"])
def test_a_rest_book_with_a_size_that_is_no_number_is_refused(size: str) -> None:
    book = Book(10, 10)
    book.load([("100", "1")], [("101", "1")], limit=None)
    with pytest.raises(ValueError, match=r"size|could not convert"):
        book.differs([("100", size)], [("101", "1")], asked=0)
