"""Kraken's core: subscriptions and control messages."""

import pytest

from collector.records import Trade
from collector.venues.kraken import KrakenCore
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.kit import (
    Bench,
    kraken_ack,
    kraken_instruments,
    kraken_trade,
)
from tests.venues.krakens import SNAPSHOT, beating, bench, books


def test_the_instruments_are_asked_for_first_and_the_streams_once_they_came() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "book"), Wanted("BTC-USD", "trades"), Wanted("BTC-USD", "quotes")],
                            CoreSettings(depth=10)))  # fmt: skip
    made.connect()
    assert [sent["params"]["channel"] for sent in made.sent()] == ["instrument"]
    made.frame(kraken_instruments("BTC/USD"))
    sent = {request["params"]["channel"]: request["params"] for request in made.sent()}
    assert sent == {
        "book": {"channel": "book", "symbol": ["BTC/USD"], "depth": 10, "snapshot": True},
        "trade": {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": False},
        "ticker": {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo", "snapshot": True},
    }


def test_an_acknowledged_stream_owes_a_first_message_and_says_so() -> None:
    made = bench("trades", "book")
    assert made.state("BTC-USD", "trades") == "acknowledged"
    assert made.state("BTC-USD", "book") == "syncing"


def test_acknowledging_a_book_does_not_subscribe_it_again() -> None:
    assert bench("book").sends == []


@pytest.mark.parametrize("data", [b"7", b'{"pairs":[{"symbol":"\xff"}]}'])
def test_instruments_that_cannot_be_read_are_a_dead_letter(data: bytes) -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "trades")], CoreSettings()))
    made.connect()
    assert made.frame(b'{"channel":"instrument","data":' + data + b"}") == "instruments"
    assert len(made.dead) == 1


def test_streams_are_subscribed_even_when_the_instruments_never_come() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "book")], CoreSettings(depth=10)))
    made.connect()
    made.sent()
    for _ in range(3):
        made.wait(5)
        made.frame({"channel": "heartbeat"})
    assert ("subscribe", "BTC/USD") in books(made)


@pytest.mark.parametrize("data", [{"assets": [], "pairs": []}, {"assets": []}])
def test_an_empty_listing_does_not_mean_that_nothing_is_listed(data: dict[str, object]) -> None:
    empty = {"channel": "instrument", "type": "snapshot", "data": data}
    made = bench("book", "trades")
    made.frames(SNAPSHOT, kraken_trade(7), empty)
    assert (made.state("BTC-USD", "book"), made.state("BTC-USD", "trades")) == ("in_sync", "in_sync")
    fresh = Bench(KrakenCore([Wanted("BTC-USD", "book")], CoreSettings(depth=10)))
    fresh.connect()
    fresh.frame(empty)
    beating(fresh, 11)
    assert [sent["params"]["channel"] for sent in fresh.sent()] == ["instrument", "instrument", "book"]


def test_a_pair_that_is_not_listed_is_blocked_and_not_subscribed() -> None:
    made = bench("trades", "book", instruments=("BTC-USD", "XXX-USD"))
    assert made.verdict("XXX-USD", "book").reason == "not listed"
    assert {made.state("XXX-USD", "book"), made.state("XXX-USD", "trades")} == {"blocked"}
    made.wait(5)
    assert all("XXX/USD" not in symbols for _, symbols in books(made))


def test_a_thousand_symbols_are_asked_for_in_batches_that_say_how_many_they_hold() -> None:
    names = [f"A{number}-USD" for number in range(120)]
    made = Bench(KrakenCore([Wanted(name, "trades") for name in names], CoreSettings()))
    made.connect()
    made.sent()
    made.frame(kraken_instruments(*(name.replace("-", "/") for name in names)))
    assert [send.streams for send in made.sends] == [50, 50, 20]


def refusal(made_request: int, symbol: str, error: str) -> dict[str, object]:
    return {"method": "subscribe", "success": False, "error": error, "symbol": symbol, "req_id": made_request}


def test_a_refused_subscription_blocks_that_stream_and_no_other_of_its_symbol() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "book"), Wanted("BTC-USD", "trades")], CoreSettings(depth=10)))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    number = next(sent["req_id"] for sent in made.sent() if sent["params"]["channel"] == "book")
    made.frame(refusal(number, "BTC/USD", "Subscription depth not supported"))
    assert made.verdict("BTC-USD", "book").reason == "Subscription depth not supported"
    assert made.state("BTC-USD", "book") == "blocked"
    assert made.state("BTC-USD", "trades") == "syncing"
    assert made.count("subscription_rejected") == 1


def test_a_refusal_that_may_pass_is_counted_and_asked_again() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "trades")], CoreSettings()))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    number = made.sent()[-1]["req_id"]
    made.frame(refusal(number, "BTC/USD", "EService:Unavailable"))
    assert made.count("subscription_rejected") == 1
    assert made.state("BTC-USD", "trades") == "syncing"
    beating(made, 12)
    assert ("subscribe", "BTC/USD") in books(made)


def test_a_refusal_of_something_unknown_is_counted_and_harms_nobody() -> None:
    made = bench("trades")
    made.frame({"method": "subscribe", "success": False, "error": "Malformed request"})
    assert made.count("subscription_rejected") == 1
    assert made.state("BTC-USD", "trades") == "acknowledged"


def test_a_lost_acknowledgement_is_asked_for_again_with_doubling_patience() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "trades")], CoreSettings()))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    made.sent()
    asked = []
    for second in range(170):
        beating(made, 1)
        asked += [second + 1 for method, _ in books(made) if method == "subscribe"]
    waits = [after - before for before, after in zip([0, *asked], asked, strict=False)]
    assert waits == pytest.approx([10, 20, 40, 80], abs=2)


def test_a_message_rate_error_is_counted_and_what_it_dropped_is_asked_for_again() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "trades")], CoreSettings()))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    made.sent()
    assert made.frame({"Error": "Exceeded msg rate"}) == "control"
    assert made.count("subscription_rejected") == 1
    beating(made, 12)
    assert books(made) == [("unsubscribe", "BTC/USD"), ("subscribe", "BTC/USD")]


@pytest.mark.parametrize(
    "message",
    [
        {"channel": "heartbeat"},
        {"method": "pong", "req_id": 5, "time_in": "x", "time_out": "y"},
        kraken_ack("trade"),
        kraken_ack("trade", method="unsubscribe"),
    ],
)
def test_control_messages_are_not_data(message: dict[str, object]) -> None:
    made = bench("trades")
    assert made.frame(message) == "control"
    assert made.status("BTC-USD", "trades").last_message_us is None
    assert made.dead == []


def test_heartbeats_do_not_hide_a_stream_that_fell_silent() -> None:
    made = bench("trades")
    beating(made, 620)
    assert made.state("BTC-USD", "trades") == "acknowledged"
    assert books(made) == [("unsubscribe", "BTC/USD"), ("subscribe", "BTC/USD")]


def test_a_connection_without_any_message_is_replaced() -> None:
    made = bench("trades")
    made.wait(9)
    assert made.reconnects == []
    made.wait(3)
    assert [reconnect.cause for reconnect in made.reconnects] == ["no_message"]
    assert not made.reconnects[0].planned


def test_channels_that_are_not_spoken_yet_are_counted_by_name() -> None:
    made = bench("trades")
    assert made.frame({"channel": "level3", "type": "update", "data": [{}]}) == "unknown"
    assert [event.detail for event in made.events] == ["level3"]
    assert made.dead == []


def test_an_unknown_message_is_a_dead_letter_and_never_fatal() -> None:
    made = bench("trades")
    made.frame({"channel": "horoscope", "data": []})
    made.frame({"surprise": 1})
    assert [letter.reason for letter in made.dead] == ["unknown_type", "unknown_type"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "json"), (b"{", "json"), (b"\xff\xfe", "json"), (b"[]", "type"), (b'{"channel":5}', "type")],
)
def test_what_is_no_message_at_all_lowers_every_verdict(data: bytes, reason: str) -> None:
    made = bench("trades", "book")
    made.frames(SNAPSHOT, kraken_trade(1))
    made.frame(data)
    assert [letter.reason for letter in made.dead] == [reason]
    assert made.dead[0].raw == data
    assert {made.state("BTC-USD", "book"), made.state("BTC-USD", "trades")} == {"unverifiable"}
    made.frame(kraken_trade(2))
    assert made.state("BTC-USD", "trades") == "in_sync"


def test_a_symbol_that_nobody_asked_for_is_a_dead_letter() -> None:
    made = bench("trades")
    made.frame(kraken_trade(1, symbol="ETH/USD"))
    assert [letter.reason for letter in made.dead] == ["unknown_symbol"]
    assert made.of(Trade) == []
