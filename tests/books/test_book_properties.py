"""Closed deltas: who applies a snapshot and every delta holds exactly the book's first levels."""

from hypothesis import given
from hypothesis import strategies as st

from collector.books.book import Book, BookError
from collector.records import Level

PRICES = st.integers(1, 30).map(lambda ticks: f"{ticks / 4:.2f}")
SIZES = st.sampled_from(["0", "0.000", "1", "1.0", "2.50", "7"])
LEVELS = st.lists(st.tuples(PRICES, SIZES), max_size=12)
ASK_BASE = 100


def asks(levels: list[Level]) -> list[Level]:
    """Moved above every bid, so that only some examples are crossed."""
    return [(f"{float(price) + ASK_BASE:.2f}", size) for price, size in levels]


def follow(held: dict[str, str], changes: list[Level]) -> None:
    for price, size in changes:
        if size == "0":
            held.pop(price, None)  # a level may come and go within one message
        else:
            assert float(size) > 0
            held[price] = size


@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=25), st.integers(1, 12), st.integers(0, 6))
def test_a_consumer_of_snapshot_and_deltas_holds_exactly_the_first_levels(
    messages: list[tuple[list[Level], list[Level]]], depth: int, spare: int
) -> None:
    book = Book(depth, depth + spare)
    held: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for bids, offered in messages:
        for side, changes in zip(held, book.apply(bids, asks(offered)), strict=True):
            follow(side, changes)
        assert (dict(book.bids.top(depth)), dict(book.asks.top(depth))) == held
        check_order(book, depth + spare)


@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=25))
def test_a_book_equals_the_plain_dictionary_that_the_exchange_describes(
    messages: list[tuple[list[Level], list[Level]]],
) -> None:
    book = Book(1000, 1000)
    truth: dict[str, str] = {}
    for bids, offered in messages:
        book.apply(bids, asks(offered))
        for price, size in bids:
            truth[price] = size
            if not float(size):
                del truth[price]
        assert book.bids.top(1000) == sorted(truth.items(), key=lambda level: -float(level[0]))


@given(st.lists(st.tuples(st.booleans(), PRICES, SIZES), max_size=40))
def test_a_book_is_never_crossed_without_saying_so(changes: list[tuple[bool, str, str]]) -> None:
    book = Book(10, 10)
    for bid, price, size in changes:
        try:
            book.apply(*(([(price, size)], []) if bid else ([], [(price, size)])))
        except BookError:
            return
        check_order(book, 10)


def check_order(book: Book, limit: int) -> None:
    bid_prices = [float(price) for price, _ in book.bids.top(1000)]
    ask_prices = [float(price) for price, _ in book.asks.top(1000)]
    assert bid_prices == sorted(set(bid_prices), reverse=True)
    assert ask_prices == sorted(set(ask_prices))
    assert max(len(bid_prices), len(ask_prices)) <= limit
    assert not (bid_prices and ask_prices and bid_prices[0] >= ask_prices[0])
