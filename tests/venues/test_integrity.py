"""docs/integrity.md says what is so: its rows, verdicts and depths, and in which digits a change is seen by nobody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from collector.records import BookDelta, Gap, Level
from collector.venues import VENUES
from collector.venues.protocol import WHOLE_VENUE, Channel
from tests.venues.conformance.adapter import LEVELS, Adapter
from tests.venues.conformance.every import ADAPTERS, every_channel
from tests.venues.digits import ALL, Field, Noticed, measured
from tests.venues.kit import kraken_book, kraken_crc
from tests.venues.krakens import ASKS, BIDS, SNAPSHOT, bench

PAGE = Path(__file__).parents[2] / "docs" / "integrity.md"
SECTIONS = pytest.mark.parametrize("section", ALL)
TRIALS = 12
SEEDS = (3, 4, 5, 6)
RARELY = {"tradeId", "trade_id", "start", "interval_begin"}
"""Silent only while nothing contradicts them, so that few trials, or none, show it."""
_shares: dict[str, Counter[Noticed]] = {}


class Row(NamedTuple):
    whole: str
    depth: str
    fields: frozenset[str]


def rows() -> dict[tuple[str, str], Row]:
    """The page's table, by section and channel."""
    found = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0] in VENUES:
            found[cells[0], cells[1]] = Row(cells[2], cells[3], frozenset(re.findall(r"`(\w+)`", cells[5])))
    return found


def documented(section: str) -> set[Field]:
    """The fields in which nobody sees a changed digit, by the message that carries them: one may feed two channels."""
    shared = section in ("coinbase", "kraken")  # their ticker is quotes too
    return {
        ("quotes" if shared and channel == "tickers" else channel, field)
        for (one, channel), row in rows().items()
        if one == section
        for field in row.fields
    }


@pytest.fixture(scope="module", autouse=True)
def report(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the shares of the full tier's trials."""
    yield
    manager = request.config.pluginmanager.getplugin("capturemanager")
    with manager.global_and_fixture_disabled():
        for section, tally in _shares.items():
            shares = ", ".join(f"{name} {times / tally.total():.3f}" for name, times in sorted(tally.items()))
            print(f"\n{section}: {tally.total()} changed digits: {shares}")  # noqa: T201 - it is to be read


def test_the_page_has_a_row_for_every_channel_of_every_section_and_no_other() -> None:
    assert sorted(rows()) == sorted(
        (section, channel) for section, venue in VENUES.items() for channel in venue.facts.channels
    )


@every_channel()
def test_the_page_says_how_a_whole_stream_is_judged_and_to_which_depth(make: type[Adapter], channel: Channel) -> None:
    adapter = make()
    if adapter.section not in VENUES:  # the fifth one stands in no document
        return
    made = adapter.ready(channel)
    for _ in range(12):
        adapter.tell(made, adapter.pair, channel)
    status = made.status(WHOLE_VENUE if channel == "status" else adapter.pair, channel)
    verdict = status.verdict
    depth = "" if status.depth is None else "all" if status.depth == LEVELS else str(status.depth)
    row = rows()[adapter.section, channel]
    assert (row.whole, row.depth) == (", ".join(filter(None, (verdict.state, verdict.by))), depth)


@SECTIONS
def test_a_digit_that_changes_without_anybody_noticing_is_in_a_field_that_the_page_lists(section: str) -> None:
    found = measured(section, 1, SEEDS[0])
    assert {field for field, tally in found.items() if tally["silent"]} <= documented(section)


@pytest.mark.full
@SECTIONS
def test_the_page_lists_exactly_the_fields_in_which_changed_digits_are_not_noticed(section: str) -> None:
    silent: set[Field] = set()
    shares: Counter[Noticed] = Counter()
    for seed in SEEDS:
        for field, tally in measured(section, TRIALS, seed).items():
            shares.update(tally)
            if tally["silent"]:
                silent.add(field)
    _shares[section] = shares
    assert silent <= documented(section)
    assert {field for field in documented(section) - silent if field[1] not in RARELY} == set()


# -- Kraken's checksum, digit by digit ------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(10))
@pytest.mark.parametrize("field", [0, 1])
def test_kraken_covers_every_digit_of_the_top_ten(at: int, field: int) -> None:
    made = bench("book", depth=25)
    made.frame(SNAPSHOT)
    made.forget()
    true: list[Level] = [
        (price, "3.00000000") if number == at else (price, size) for number, (price, size) in enumerate(BIDS)
    ]
    wrong = (f"{true[at][0][:-1]}5", true[at][1]) if field == 0 else (true[at][0], "4.00000000")
    made.frame(kraken_book("update", [wrong], [], kraken_crc(true, ASKS)))
    assert [gap.cause for gap in made.of(Gap)] == ["checksum"]
    assert made.of(BookDelta) == []


def test_kraken_covers_nothing_below_the_tenth_level_and_the_verdict_says_ten() -> None:
    made = bench("book", depth=25)
    made.frame(SNAPSHOT)
    made.forget()
    made.frame(kraken_book("update", [("50.0", "9.99999999")], [], kraken_crc(BIDS, ASKS)))
    assert made.of(Gap) == []
    assert (made.state("BTC-USD", "book"), made.status("BTC-USD", "book").depth) == ("in_sync", 10)


def test_every_section_has_an_adapter_for_the_suite_and_the_one_that_has_none_is_the_fifth() -> None:
    assert {made.section for made in ADAPTERS} == {*VENUES, "fifth"}
