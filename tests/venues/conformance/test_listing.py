"""What every venue does with instruments that are not there, go away, and come back."""

from __future__ import annotations

from typing import Any

import pytest

from collector.records import Instrument
from tests.venues.conformance.adapter import Adapter
from tests.venues.conformance.every import every_venue, having, refusing
from tests.venues.kit import Bench

Make = type[Adapter]


def refusals(made: Bench, name: str) -> list[str]:
    return [event.detail for event in made.events if (event.kind, event.instrument) == ("subscription_rejected", name)]


@every_venue
def test_an_instrument_that_the_venue_does_not_list_is_named_once_and_the_rest_goes_on(make: Make) -> None:
    adapter = make()
    made = adapter.bench("quotes", instruments=(adapter.pair, adapter.absent))
    adapter.open(made)
    assert made.verdict(adapter.absent, "quotes").state == "blocked"
    assert made.verdict(adapter.absent, "quotes").reason == "not listed"
    adapter.tell(made, adapter.pair, "quotes")
    assert made.state(adapter.pair, "quotes") in ("in_sync", "unverifiable")
    adapter.relist(made, adapter.other, "halted")
    adapter.idle(made, 5)
    assert refusals(made, adapter.absent) == ["not listed"]
    assert adapter.symbol(adapter.absent).lower() not in "".join(send.text for send in made.sends).lower()


def rows_of(listing: Any) -> list[Any]:
    """The rows of a listing, wherever the venue puts them."""
    if isinstance(listing, list) and listing and all(isinstance(one, dict) for one in listing):
        return listing
    within = listing.values() if isinstance(listing, dict) else ()
    return next((rows for rows in map(rows_of, within) if rows), [])


def with_rows_broken(adapter: Adapter, monkeypatch: pytest.MonkeyPatch, *, others: bool) -> None:
    """Let the venue list two rows that nobody can read, and `others` beside them or instead of them."""
    whole = adapter.listing

    def listing() -> dict[str, Any]:
        told = whole()
        assert isinstance(told, dict)
        rows = rows_of(told)
        rows[:] = [{"symbol": 7}, *(rows if others else ()), ["no", "row"]]
        return told

    monkeypatch.setattr(adapter, "listing", listing)


@every_venue
def test_rows_of_the_listing_that_cannot_be_read_are_named_at_once_and_hide_no_other(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make()
    with_rows_broken(adapter, monkeypatch, others=True)
    made = adapter.bench("quotes", instruments=(adapter.pair, adapter.absent))
    adapter.open(made)
    adapter.tell(made, adapter.pair, "quotes")
    assert made.state(adapter.pair, "quotes") in ("in_sync", "unverifiable")
    (dead,) = made.dead
    assert dead.channel == "instruments"
    assert dead.detail.startswith("2 of 4 rows of the listing, the first: ")
    assert dead.detail.endswith('{"symbol":7}')
    assert dead.raw == b'{"symbol":7}'
    assert refusals(made, adapter.absent) == []  # whether it is among those two nobody can say


@every_venue
def test_what_is_listed_stays_listed_when_its_row_cannot_be_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make()
    made = adapter.ready("quotes", instruments=(adapter.pair, adapter.other))
    with_rows_broken(adapter, monkeypatch, others=True)
    adapter.listed = {adapter.pair: "trading"}
    adapter.relist(made, adapter.pair, "trading")
    adapter.tell(made, adapter.other, "quotes")
    assert made.state(adapter.other, "quotes") in ("in_sync", "unverifiable")


@every_venue
def test_a_listing_of_which_nothing_can_be_read_is_as_none(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make()
    with_rows_broken(adapter, monkeypatch, others=False)
    made = adapter.bench("quotes")
    adapter.fresh()
    made.connect()
    asked = ""
    for _ in range(12):
        sends, made.sends = made.sends, []
        asked += "".join(send.text for send in sends).lower()
        for send in sends:
            made.frames(*adapter.answers(send.text))
        while any(fetch.endpoint == "listing" for fetch in made.fetches):
            made.reply(adapter.listing(), endpoint="listing")
        beat = adapter.heartbeat()
        if beat is not None:
            made.frame(beat)
        made.wait(1)
    assert made.dead[0].detail.startswith("2 of 2 rows of the listing, the first: ")
    assert (adapter.symbol(adapter.pair).lower() in asked) is adapter.asks_without_listing
    assert refusals(made, adapter.pair) == []


@every_venue
def test_an_instrument_that_is_delisted_is_named_once_and_when_it_is_listed_again_it_is_collected_again(
    make: Make,
) -> None:
    adapter = make()
    made = adapter.ready("book", "quotes", instruments=(adapter.pair, adapter.other))
    for name in (adapter.pair, adapter.other):
        adapter.tell(made, name, "quotes")
    made.forget()
    adapter.relist(made, adapter.pair, "delisted")
    for channel in ("book", "quotes"):
        verdict = made.verdict(adapter.pair, channel)
        assert (verdict.state, verdict.reason) == ("blocked", "delisted")
        assert made.state(adapter.other, channel) != "blocked"
    assert refusals(made, adapter.pair) == ["delisted", "delisted"]  # of each stream
    adapter.idle(made, 30)
    assert len(refusals(made, adapter.pair)) == 2
    made.forget()
    made.fetches.clear()
    adapter.relist(made, adapter.pair, "trading")
    adapter.idle(made, 3)
    adapter.repair(made, adapter.pair)
    adapter.tell(made, adapter.pair, "quotes")
    assert made.state(adapter.pair, "quotes") in ("in_sync", "unverifiable")


@every_venue
def test_a_delisted_instrument_is_not_asked_for_on_the_next_connection(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book", instruments=(adapter.pair, adapter.other))
    adapter.relist(made, adapter.pair, "delisted")
    made.disconnect("cut")
    made.forget()
    made.fetches.clear()
    adapter.fresh()
    made.connect()
    made.wait(3)
    asked = "".join(send.text for send in made.sends).lower()
    assert adapter.symbol(adapter.pair).lower() not in asked
    assert made.state(adapter.pair, "book") == "blocked"


@refusing
def test_an_instrument_that_the_venue_refuses_is_named_and_not_asked_for_again_and_the_rest_goes_on(make: Make) -> None:
    adapter = make()
    adapter.listed[adapter.absent] = "trading"  # the listing knows it, the subscription does not
    made = adapter.bench("quotes", instruments=(adapter.pair, adapter.absent))
    adapter.fresh()
    made.connect()
    asked = 0
    for _ in range(30):
        while any(fetch.endpoint == "listing" for fetch in made.fetches):
            made.reply(adapter.listing(), endpoint="listing")
        sends, made.sends = made.sends, []
        for send in sends:
            asked += adapter.symbol(adapter.absent) in send.text
            made.frames(*adapter.refusal(send.text, adapter.absent))
        beat = adapter.heartbeat()
        if beat is not None:
            made.frame(beat)
        made.wait(1)
    adapter.tell(made, adapter.pair, "quotes")
    assert made.state(adapter.pair, "quotes") in ("in_sync", "unverifiable")
    assert len(refusals(made, adapter.absent)) == asked == 1
    assert made.verdict(adapter.absent, "quotes").state == "blocked"


@having("instruments")
def test_what_the_venue_says_of_an_instrument_is_published_when_it_is_news(make: Make) -> None:
    adapter = make()
    made = adapter.bench("instruments")
    adapter.open(made)
    (first,) = made.of(Instrument)
    assert (first.instrument, first.symbol, first.status) == (adapter.pair, adapter.symbol(adapter.pair), "trading")
    assert f"{first.base}-{first.quote}" == adapter.pair
    assert first.market == adapter.facts.market
    made.forget()
    adapter.relist(made, adapter.other, "halted")  # nobody asked for that one
    assert made.of(Instrument) == []
    adapter.relist(made, adapter.pair, "halted")
    assert [one.status for one in made.of(Instrument)] == ["halted"]
    adapter.relist(made, adapter.pair, "delisted")
    assert [one.status for one in made.of(Instrument)] == ["halted", "delisted"]


@having("instruments")
def test_a_halted_instrument_is_still_collected(make: Make) -> None:
    adapter = make()
    adapter.listed[adapter.pair] = "halted"
    made = adapter.ready("book")
    assert made.state(adapter.pair, "book") == "in_sync"


@every_venue
def test_without_a_listing_data_is_asked_for_all_the_same_where_names_are_known(make: Make) -> None:
    adapter = make()
    made = adapter.bench("book")
    adapter.fresh()
    made.connect()
    made.sends.clear()  # whatever asks for it is not answered
    for _ in range(3):
        if made.fetches:
            made.reply(status=503)
        made.wait(4)
        beat = adapter.heartbeat()
        if beat is not None:
            made.frame(beat)
    asked = "".join(send.text for send in made.sends).lower()
    assert (adapter.symbol(adapter.pair).lower() in asked) is (adapter.asks_without_listing)
