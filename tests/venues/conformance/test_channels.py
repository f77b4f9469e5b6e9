"""What every venue does with every channel: subscribed, acknowledged, first message, exact text, losses, candles."""

from __future__ import annotations

import re

import pytest
from msgspec import UNSET, structs

from collector.clock import Now
from collector.records import CHANNEL_OF, Candle, Gap, Record, Trade, encode_lines
from collector.venues.protocol import WHOLE_VENUE, Answer, Channel, Fetch, FrameKind
from tests.venues.conformance.adapter import Adapter
from tests.venues.conformance.every import every_channel, every_venue, having
from tests.venues.kit import Bench

Make = type[Adapter]
BY_REST: tuple[Channel, ...] = ("instruments", "status")
"""Channels that may have their first data with the listing, before anything is subscribed."""
NUMBERS = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def whose(adapter: Adapter, channel: Channel) -> str:
    return WHOLE_VENUE if channel == "status" else adapter.pair


def of_channel(bench: Bench, channel: Channel) -> list[Record]:
    return [one for one in bench.records if CHANNEL_OF.get(type(one)) == channel]


@every_channel(*BY_REST)
def test_a_channel_is_asked_for_acknowledged_and_silent_until_its_first_message(make: Make, channel: Channel) -> None:
    adapter = make()
    made = adapter.bench(channel)
    assert made.verdict(adapter.pair, channel).reason == "not subscribed yet"
    adapter.open(made)
    state = made.state(adapter.pair, channel)
    assert state == ("syncing" if channel == "book" or channel in adapter.polled else "acknowledged")
    assert of_channel(made, channel) == []
    assert made.count("subscription_acked") == (channel not in adapter.polled)


@every_channel()
def test_the_first_message_of_a_channel_is_a_record_of_this_market_in_its_own_text(
    make: Make, channel: Channel
) -> None:
    adapter = make()
    made = adapter.ready(channel)
    said = "".join(told(adapter, made, channel))
    records = of_channel(made, channel)
    assert records
    size = adapter.contract_size if channel != "status" else UNSET
    for record in records:
        assert (record.venue, record.market) == (adapter.facts.venue, adapter.facts.market)
        assert record.instrument == whose(adapter, channel)
        assert record.symbol == (WHOLE_VENUE if channel == "status" else adapter.symbol(adapter.pair))
        assert record.contract_size == size
        assert (record.recv_ts or 0) > 0
    texts = set(NUMBERS.findall(said))
    for name, text in numbers_of(records[-1]):
        assert text in texts, f"{name} {text} is not what the venue said"


def told(adapter: Adapter, made: Bench, channel: Channel) -> list[str]:
    """Let the venue tell news of a channel; everything that it said."""
    heard: list[str] = []
    core = made.core
    frame, reply = core.frame, core.reply

    def hear(data: bytes, now: Now) -> FrameKind:
        heard.append(data.decode())
        return frame(data, now)

    def read(fetch: Fetch, answer: Answer, now: Now) -> None:
        heard.append(answer.body.decode())
        reply(fetch, answer, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "frame", hear)
        patch.setattr(core, "reply", read)
        adapter.tell(made, adapter.pair, channel)
    return heard


def numbers_of(record: Record) -> list[tuple[str, str]]:
    """Each number in a record that is text."""
    found = []
    for name, value in structs.asdict(record).items():
        cells = [text for level in value for text in level] if isinstance(value, list) else [value]
        texts = [cell for cell in cells if isinstance(cell, str) and NUMBERS.fullmatch(cell)]
        found += [(name, text) for text in texts if name not in ("contract_size", "venue_status")]
    return found


@every_channel(*BY_REST)
def test_when_the_connection_ends_a_channel_is_not_fine_and_when_it_is_back_it_says_what_may_be_missing(
    make: Make, channel: Channel
) -> None:
    adapter = make()
    made = adapter.ready(channel)
    adapter.tell(made, adapter.pair, channel)
    before = made.state(adapter.pair, channel)
    made.disconnect("cut")
    assert made.verdict(adapter.pair, channel).state == "syncing"
    made.forget()
    made.fetches.clear()
    adapter.open(made)
    if channel == "book":
        adapter.bring(made, adapter.pair)
    adapter.tell(made, adapter.pair, channel)
    assert made.state(adapter.pair, channel) == before
    assert of_channel(made, channel)


@having("book", "trades", "quotes")
def test_an_interruption_is_a_gap_of_what_has_no_ids_and_of_a_book_and_is_repaired_by_what_comes(make: Make) -> None:
    adapter = make()
    made = adapter.ready("book", "quotes")
    adapter.tell(made, adapter.pair, "quotes")
    made.disconnect("cut")
    found = [(gap.channel, gap.cause, gap.repaired_ts) for gap in made.of(Gap)]
    assert sorted(found) == [("book", "disconnect", None), ("quotes", "disconnect", None)]
    adapter.open(made)
    adapter.bring(made, adapter.pair)
    adapter.tell(made, adapter.pair, "quotes")
    repaired = [(gap.channel, gap.detected_ts) for gap in made.of(Gap) if gap.repaired_ts is not None]
    assert sorted(repaired) == sorted((gap.channel, gap.detected_ts) for gap in made.of(Gap)[:2])


@having("trades")
def test_a_lost_trade_is_a_gap_with_its_ids_and_one_that_comes_again_is_dropped(make: Make) -> None:
    adapter = make()
    made = adapter.ready("trades", instruments=(adapter.pair, adapter.other))
    adapter.tell(made, adapter.other, "trades")
    for _ in range(12):
        adapter.tell(made, adapter.pair, "trades")
    assert made.state(adapter.pair, "trades") == "in_sync"
    made.forget()
    lost = adapter.message(adapter.pair, "trades")
    after = adapter.message(adapter.pair, "trades")
    made.frame(after)
    (gap,) = [gap for gap in made.of(Gap) if gap.instrument == adapter.pair]
    (trade,) = made.of(Trade)
    assert (gap.channel, gap.first, gap.last, gap.count) == ("trades", int(trade.id) - 1, int(trade.id) - 1, 1)
    assert made.state(adapter.pair, "trades") == "gap"
    other = made.state(adapter.other, "trades")
    assert (other == "gap") is (adapter.scope == "connection")
    made.forget()
    made.frame(after)
    assert made.of(Trade) == []
    assert made.count("duplicate") == 1
    assert lost != after
    adapter.tell(made, adapter.pair, "trades")
    assert made.state(adapter.pair, "trades") == "in_sync"


@having("trades")
def test_the_side_of_a_trade_is_the_takers(make: Make) -> None:
    adapter = make()
    made = adapter.ready("trades")
    adapter.tell(made, adapter.pair, "trades")
    assert [trade.side for trade in made.of(Trade)] == [adapter.taker]


@having("trades")
def test_a_late_trade_fills_its_hole_where_the_venue_has_no_numbering_that_forbids_it(make: Make) -> None:
    adapter = make()
    made = adapter.ready("trades")
    for _ in range(12):
        adapter.tell(made, adapter.pair, "trades")
    late = adapter.message(adapter.pair, "trades")
    adapter.tell(made, adapter.pair, "trades")
    made.forget()
    made.frame(late)
    if adapter.scope == "connection":  # what comes after its number was missed is void
        assert made.records == []
        return
    (trade,) = made.of(Trade)
    (gap,) = made.of(Gap)
    assert (gap.first, gap.last, gap.repaired_ts) == (int(trade.id), int(trade.id), trade.recv_ts)


@having("quotes")
def test_an_older_quote_is_dropped_where_quotes_are_numbered(make: Make) -> None:
    adapter = make()
    made = adapter.ready("quotes")
    old = adapter.message(adapter.pair, "quotes")
    adapter.tell(made, adapter.pair, "quotes")
    published = len(made.records)
    made.frame(old)
    numbered = adapter.numbered_quotes or adapter.scope == "connection"
    assert (len(made.records) == published) is numbered


@having("candles")
def test_a_candle_is_closed_once_with_its_last_state_and_the_one_that_forms_is_not(make: Make) -> None:
    adapter = make()
    made = adapter.ready("candles")
    made.frame(adapter.bar(adapter.pair, 0, "10.10", closed=False))
    made.frame(adapter.bar(adapter.pair, 0, "10.20", closed=False))
    assert [bar.closed for bar in made.of(Candle)] == [False, False]
    if adapter.marks_candles:
        made.frame(adapter.bar(adapter.pair, 0, "10.20", closed=True))
    made.frame(adapter.bar(adapter.pair, 1, "10.30", closed=False))
    first = made.of(Candle)[0].open_ts
    closed = [(bar.open_ts, bar.close) for bar in made.of(Candle) if bar.closed]
    assert closed == [(first, "10.20")]
    forming = made.of(Candle)[-1]
    assert (forming.open_ts, forming.closed) == (first + adapter.interval_s * 1_000_000, False)


@having("candles")
def test_a_candle_that_was_not_watched_to_its_end_is_missing_and_never_called_closed(make: Make) -> None:
    adapter = make()
    made = adapter.ready("candles")
    made.frame(adapter.bar(adapter.pair, 0, "10.10", closed=False))
    made.disconnect("cut")
    adapter.open(made)
    made.frame(adapter.bar(adapter.pair, 1, "10.30", closed=False))
    first = made.of(Candle)[0].open_ts
    assert [bar for bar in made.of(Candle) if bar.closed] == []
    assert [(gap.channel, gap.first, gap.last, gap.count) for gap in made.of(Gap)] == [("candles", first, first, 1)]


@every_venue
def test_the_same_inputs_give_the_same_records_to_the_byte(make: Make) -> None:
    def day() -> tuple[bytes, list[str]]:
        adapter = make()
        channels = [channel for channel in adapter.facts.channels if channel != "status"]
        made = adapter.ready(*channels, instruments=(adapter.pair, adapter.other))
        asked: list[str] = []
        for _ in range(4):
            for channel in channels:
                adapter.tell(made, adapter.pair, channel)
            adapter.update(adapter.other)  # lost
            made.frame(adapter.update(adapter.other))
            adapter.repair(made, adapter.other)
            adapter.idle(made, 5)
            asked += [send.text for send in made.sends]
        return encode_lines(made.records), asked

    first, second = day(), day()
    assert first == second
    assert b'"BookDelta"' in first[0]


@every_venue
def test_each_record_names_its_market_so_that_spot_and_perpetual_are_never_confused(make: Make) -> None:
    adapter = make()
    channels = [channel for channel in adapter.facts.channels if channel != "status"]
    made = adapter.ready(*channels)
    for channel in channels:
        adapter.tell(made, adapter.pair, channel)
    assert {record.market for record in made.records} == {adapter.facts.market}
    of_contracts = {record.contract_size for record in made.records if not isinstance(record, Gap)}
    assert of_contracts == {adapter.contract_size}
