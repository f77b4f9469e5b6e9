"""Venue time stamps."""

import pytest

from collector.venues.stamps import iso_us
from collector.venues.symbols import split_symbol


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("2023-07-30T15:29:58.343415Z", 1_690_730_998_343_415),
        ("2023-07-30T15:29:58.343415999Z", 1_690_730_998_343_415),
        ("2023-07-30T15:29:58.000001Z", 1_690_730_998_000_001),
    ],
)
def test_a_stamp_is_exact_to_the_microsecond(text: str, expected: int) -> None:
    assert iso_us(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "Z", "now", "2023-07-30T15:29:58", "2023-07-30T15:29:58+02:00", "2023-13-30T15:29:58Z",
     "2023-07-30T15:29:58.34x415Z", "2023-07-30T15:29:58,343415Z", "2023-07-30T15:29:58.\u0661Z", "1690730998"],
)  # fmt: skip
def test_a_stamp_that_is_not_iso_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        iso_us(text)


@pytest.mark.parametrize(
    ("symbol", "instrument"),
    [("BTCUSDT", "BTC-USDT"), ("USDTBTC", "USDT-BTC"), ("BTCFDUSD", "BTC-FDUSD"), ("USDT", None), ("ABCXYZ", None)],
)
def test_a_symbol_is_split_before_its_longest_known_quote_currency(symbol: str, instrument: str | None) -> None:
    assert split_symbol(symbol, ("USD", "USDT", "BTC", "FDUSD")) == instrument
