"""What every venue does with what it should never get: a dead letter with its reason, and verdicts that follow."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.records import Gap
from collector.venues.protocol import Channel
from tests.venues.conformance.adapter import Adapter, broken, of_other, text_of
from tests.venues.conformance.every import every_channel, every_venue, having
from tests.venues.kit import Bench, Message

Make = type[Adapter]
FINE = ("in_sync", "unverifiable")


def flowing(adapter: Adapter, *channels: Channel) -> Bench:
    """Two instruments of which everything has come."""
    made = adapter.ready(*channels, instruments=(adapter.pair, adapter.other))
    for name in (adapter.pair, adapter.other):
        for channel in channels:
            for _ in range(12 if channel == "trades" else 1):
                adapter.tell(made, name, channel)
    made.forget()
    return made


def fine(made: Bench, name: str, channel: Channel) -> bool:
    """Whether nothing is said against a stream: what is `unverifiable` by nature has no reason."""
    verdict = made.verdict(name, channel)
    return verdict.state in FINE and "decode" not in verdict.reason


def half(message: Message) -> str:
    text = text_of(message)
    return text[: len(text) // 2]


@having("book", "trades", "quotes")
def test_what_is_not_json_is_kept_and_lowers_all_that_it_may_have_carried(make: Make) -> None:
    adapter = make()
    made = flowing(adapter, "book", "quotes")
    cut = half(adapter.update(adapter.pair))
    made.frame(cut)
    assert [(letter.reason, letter.raw) for letter in made.dead] == [("json", cut.encode())]
    for name in (adapter.pair, adapter.other):
        assert made.state(name, "book") != "in_sync"
        assert not fine(made, name, "quotes")


@pytest.mark.parametrize("instead", ["[]", "{}", '"x"', '"-1.5"', "null", '"1_0.5"', '"NaN"', '"1.5 "'])
@every_channel("instruments", "status", "open_interest")
def test_numbers_that_are_none_are_named_and_lower_their_own_stream(make: Make, channel: Channel, instead: str) -> None:
    adapter = make()
    made = flowing(adapter, channel)
    if channel == "funding":
        instead = instead.replace('"-', '"--')  # a rate may be negative
    wrong = broken(adapter.message(adapter.pair, channel), instead)
    made.frame(wrong)
    assert [letter.reason for letter in made.dead] in (["type"], ["value"], []), wrong
    if not made.dead:  # a level's number is the book's business
        assert [gap.cause for gap in made.of(Gap)] == ["undecodable"], wrong
    else:
        assert made.dead[0].raw == wrong.encode()
        assert made.dead[0].detail
    assert not fine(made, adapter.pair, channel)
    assert made.state(adapter.pair, channel) != "in_sync"
    assert fine(made, adapter.other, channel) or channel in adapter.broad
    assert made.records == [] or all(isinstance(record, Gap) for record in made.records)


@every_channel("instruments", "status", "open_interest")
def test_after_a_message_that_could_not_be_decoded_the_stream_goes_on_and_is_well_again(
    make: Make, channel: Channel
) -> None:
    adapter = make()
    made = flowing(adapter, channel)
    made.frame(broken(adapter.message(adapter.pair, channel), "[]"))
    adapter.idle(made, 12)
    for name in (adapter.pair, adapter.other):  # of one connection, where that is the venue's scope
        if channel == "book":
            adapter.repair(made, name)
    adapter.tell(made, adapter.pair, channel)
    adapter.tell(made, adapter.pair, channel)
    assert fine(made, adapter.pair, channel)


@every_venue
def test_a_kind_of_message_that_nobody_has_heard_of_is_kept_and_lowers_nothing(make: Make) -> None:
    adapter = make()
    made = flowing(adapter, "book", "quotes")
    assert made.frame(adapter.unknown()) == "unknown"
    assert [letter.reason for letter in made.dead] == ["unknown_type"]
    for name in (adapter.pair, adapter.other):
        assert made.state(name, "book") == "in_sync"
        assert fine(made, name, "quotes")


@every_venue
def test_a_message_about_what_was_not_asked_for_is_named(make: Make) -> None:
    adapter = make()
    made = adapter.ready("quotes")
    adapter.tell(made, adapter.pair, "quotes")
    made.forget()
    one, another = adapter.symbol(adapter.pair), adapter.symbol(adapter.absent)
    made.frame(of_other(adapter.message(adapter.pair, "quotes"), {one: another, one.lower(): another.lower()}))
    assert [letter.reason for letter in made.dead] == ["unknown_symbol"]
    assert another in made.dead[0].detail.upper()
    assert all(isinstance(record, Gap) for record in made.records)


@every_venue
def test_a_binary_message_is_kept_and_lowers_all_that_it_may_have_carried(make: Make) -> None:
    adapter = make()
    made = flowing(adapter, "book", "quotes")
    made.core.binary(b"\x00\xff", made.now)
    made.drain()
    assert [(letter.reason, letter.raw) for letter in made.dead] == [("binary", b"\x00\xff")]
    assert made.state(adapter.pair, "book") != "in_sync"


@every_venue
@pytest.mark.parametrize("endpoint", ["listing", "check", "depth"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"<html>", b'{"bids":1}', b"\xff"])
def test_an_answer_that_is_none_harms_nothing(make: Make, endpoint: str, body: bytes) -> None:
    adapter = make()
    made = adapter.bench("book")
    adapter.fresh()
    made.connect()
    if endpoint != "listing":
        adapter.idle(made, 3)
        if endpoint == "check":
            adapter.bring(made, adapter.pair)
            made.frame(adapter.update(adapter.pair))
            adapter.idle(made, 15)
    if any(fetch.endpoint == endpoint for fetch in made.fetches):
        made.reply(body, endpoint=endpoint)
        assert made.state(adapter.pair, "book") != "in_sync"
    adapter.idle(made, 70)
    adapter.repair(made, adapter.pair)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def put(tree: object, at: int, instead: object) -> object:
    """The same with its `at`-th value (counted through) replaced."""
    left = [at]

    def walk(node: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            left[0] = 10**9
            return instead
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        return [walk(value) for value in node] if isinstance(node, list) else node

    return walk(tree)


def whole(adapter: Adapter) -> list[Callable[[], Message]]:
    silent = ("instruments", "status", *adapter.polled)
    pushed = [channel for channel in adapter.facts.channels if channel not in silent]
    return [lambda channel=channel: adapter.message(adapter.pair, channel) for channel in pushed]  # type: ignore[misc]


@every_venue
@given(pick=st.integers(0, 20), at=st.integers(0, 60), instead=ANY_JSON)
def test_whatever_stands_in_a_message_the_core_never_raises(make: Make, pick: int, at: int, instead: object) -> None:
    adapter = make()
    made = adapter.ready("book", "trades", "quotes")
    messages = whole(adapter)
    message = json.loads(text_of(messages[pick % len(messages)]()))
    made.frame(json.dumps(put(message, at, instead)))
    made.wait(1)
