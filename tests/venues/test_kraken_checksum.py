"""Kraken's CRC32 of the top ten levels, and the digits that it is made of."""

from zlib import crc32

import pytest

from collector.books.book import Book
from collector.records import Level
from collector.venues.kraken.checksum import TopTen, checksum, decimals, plain
from tests.venues.kit import kraken_crc

# The worked example of https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
VECTOR = 3310070434
ASKS: list[Level] = [
    ("45285.2", "0.00100000"), ("45286.4", "1.54571953"), ("45286.6", "1.54571109"), ("45289.6", "1.54560911"),
    ("45290.2", "0.15890660"), ("45291.8", "1.54553491"), ("45294.7", "0.04454749"), ("45296.1", "0.35380000"),
    ("45297.5", "0.09945542"), ("45299.5", "0.18772827"),
]  # fmt: skip
BIDS: list[Level] = [
    ("45283.5", "0.10000000"), ("45283.4", "1.54582015"), ("45282.1", "0.10000000"), ("45281.0", "0.10000000"),
    ("45280.3", "1.54592586"), ("45279.0", "0.07990000"), ("45277.6", "0.03310103"), ("45277.5", "0.30000000"),
    ("45277.3", "1.54602737"), ("45276.6", "0.15445238"),
]  # fmt: skip


def lossy(levels: list[Level]) -> list[Level]:
    """As a recording that lost its trailing zeros shows them."""
    return [(str(float(price)), f"{float(size):.8f}".rstrip("0")) for price, size in levels]


def book(bids: list[Level], asks: list[Level]) -> Book:
    made = Book(100, 100)
    made.load(bids, asks, limit=None)
    return made


def test_the_documented_example_gives_the_documented_checksum() -> None:
    assert checksum(BIDS, ASKS, None) == VECTOR == kraken_crc(BIDS, ASKS)
    assert TopTen().proven(book(BIDS, ASKS), VECTOR) is True


@pytest.mark.parametrize("at", range(10))
def test_a_changed_digit_in_any_of_the_top_ten_levels_fails(at: int) -> None:
    for bids, asks in ((list(BIDS), list(ASKS)) for _ in range(1)):
        price, size = bids[at]
        bids[at] = (price, size[:-1] + ("1" if size[-1] != "1" else "2"))
        assert TopTen().proven(book(bids, asks), VECTOR) is False
        price, size = asks[at]
        asks[at] = (price, size[:-1] + ("1" if size[-1] != "1" else "2"))
        assert TopTen().proven(book(list(BIDS), asks), VECTOR) is False


def test_levels_below_the_tenth_do_not_count() -> None:
    assert TopTen().proven(book([*BIDS, ("45000.0", "1")], [*ASKS, ("46000.0", "1")]), VECTOR) is True


def test_lost_zeros_come_back_from_the_instruments_precisions() -> None:
    rule = TopTen()
    lost = book([(p, s.rstrip("0")) for p, s in BIDS[:3]], [(p, s.rstrip("0")) for p, s in ASKS[7:]])
    told = kraken_crc(BIDS[:3], ASKS[7:])
    rule.precisions = (2, 3)
    assert rule.proven(lost, 12345) is False
    rule.precisions = (1, 8)
    assert rule.proven(lost, told) is True


def test_lost_zeros_come_back_from_the_most_digits_that_the_book_shows() -> None:
    assert TopTen().proven(book(lossy(BIDS), lossy(ASKS)), VECTOR) is True


def test_the_digits_that_matched_are_tried_first_and_others_still_tried_after_them() -> None:
    rule = TopTen()
    assert rule.proven(book(lossy(BIDS), lossy(ASKS)), VECTOR) is True
    assert rule.proven(book(BIDS, ASKS), VECTOR) is True
    finer: list[Level] = [("1.25", "2.50")]
    assert rule.proven(book(finer, []), kraken_crc(finer, [])) is True


def test_without_a_checksum_nothing_is_said() -> None:
    assert TopTen().proven(book(BIDS, ASKS), None) is None


@pytest.mark.parametrize(("text", "wire"), [("5E-8", "0.00000005"), ("1e2", "100"), ("1.50E-3", "0.00150"), ("7", "7")])
def test_scientific_notation_is_written_out_before_the_checksum(text: str, wire: str) -> None:
    assert plain(text) == wire
    assert checksum([("1.0", text)], [], None) == kraken_crc([("1.0", wire)], [])


def test_leading_zeros_of_prices_and_sizes_do_not_count() -> None:
    assert checksum([("0.0512", "0.00100000")], [("0.0600", "1.0")], None) == crc32(b"60010512100000")
    assert checksum([("0.0512", "0.001")], [], (5, 8)) == crc32(b"5120100000")


def test_decimals_counts_the_digits_behind_the_point() -> None:
    assert [decimals(text) for text in ("1", "1.0", "0.00000005", "5E-8", "1e2")] == [0, 1, 8, 8, 0]
