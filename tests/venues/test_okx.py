"""OKX's core: subscriptions, control messages, pings."""

from typing import Any

import pytest

from collector.records import Trade
from collector.venues.okx import OkxCore, throttle_seconds
from tests.venues.okxs import (
    SNAPSHOT,
    ack,
    acknowledge,
    answer,
    asked,
    bbo,
    bench,
    listed,
    made_of,
    pongs,
    push,
    refusal,
    trade,
)


def test_the_listing_is_asked_for_first_and_the_streams_in_one_request_once_it_came() -> None:
    made = made_of("trades", "quotes", "tickers", "book", "instruments", "status")
    made.connect()
    assert made.sends == []
    fetch = made.reply(answer(listed("BTC-USDT")), endpoint="listing")
    assert (fetch.path, fetch.params) == ("/api/v5/public/instruments", (("instType", "SPOT"),))
    assert [send.streams for send in made.sends] == [6]
    assert asked(made) == [
        ("subscribe", name)
        for name in (
            "trades:BTC-USDT", "bbo-tbt:BTC-USDT", "tickers:BTC-USDT", "books:BTC-USDT", "instruments:SPOT", "status",
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "channel"), [("1m", "candle1m"), ("1h", "candle1H"), ("12h", "candle12Hutc"), ("1d", "candle1Dutc")]
)
def test_days_and_half_days_are_those_of_utc(interval: str, channel: str) -> None:
    made = made_of("candles", candle_interval=interval)
    made.connect()
    made.reply(answer(listed("BTC-USDT")))
    assert asked(made) == [("subscribe", f"{channel}:BTC-USDT")]


def test_a_type_wide_channel_is_subscribed_once_for_all_its_instruments() -> None:
    made = made_of("liquidations", instruments=("BTC-USDT", "ETH-USDT"), market="perp")
    made.connect()
    made.reply(answer(listed("BTC-USDT-SWAP"), listed("ETH-USDT-SWAP")))
    assert asked(made) == [("subscribe", "liquidation-orders:SWAP")]
    made.frame(ack("liquidation-orders", "SWAP", "instType"))
    assert {made.state(name, "liquidations") for name in ("BTC-USDT", "ETH-USDT")} == {"acknowledged"}


def test_the_acknowledgement_of_a_type_is_none_of_what_is_not_listed() -> None:
    made = made_of("liquidations", instruments=("BTC-USDT", "XXX-USDT"), market="perp")
    made.connect()
    made.reply(answer(listed("BTC-USDT-SWAP")))
    acknowledge(made)
    assert made.state("BTC-USDT", "liquidations") == "acknowledged"
    assert made.verdict("XXX-USDT", "liquidations").reason == "not listed"


def test_thousands_of_arguments_go_out_in_requests_of_less_than_64_kilobytes() -> None:
    names = [f"ABCDEFGHIJ{number}-USDT" for number in range(900)]
    made = made_of("trades", instruments=names)
    made.connect()
    made.reply(answer(*(listed(name) for name in names)))
    assert [send.streams for send in made.sends] == [400, 400, 100]
    assert max(len(send.text) for send in made.sends) < 64 * 1024


def test_spot_is_subscribed_even_when_the_listing_cannot_be_had_and_the_listing_tried_again() -> None:
    made = made_of("trades")
    made.connect()
    made.reply(status=503)
    assert asked(made) == [("subscribe", "trades:BTC-USDT")]
    made.frame(ack("trades"))
    pongs(made, 11)
    made.reply(answer(listed("ETH-USDT")), endpoint="listing")
    assert made.verdict("BTC-USDT", "trades").reason == "not listed"


def test_a_reconnect_subscribes_at_once_what_is_known_to_be_listed() -> None:
    made = bench("trades", instruments=("BTC-USDT", "XXX-USDT"), symbols=("BTC-USDT",))
    assert made.verdict("XXX-USDT", "trades").reason == "not listed"
    made.disconnect()
    made.connect()
    assert asked(made) == [("subscribe", "trades:BTC-USDT")]
    assert made.state("XXX-USDT", "trades") == "blocked"


def test_an_acknowledged_stream_owes_a_first_message_and_says_so() -> None:
    made = bench("trades", "book")
    assert made.state("BTC-USDT", "trades") == "acknowledged"
    assert made.state("BTC-USDT", "book") == "syncing"


@pytest.mark.parametrize(
    "msg",
    [
        "channel:trades,instId:BTC-USDT doesn't exist",
        "Wrong URL or channel:trades,instId:BTC-USDT doesn't exist. Please use the correct URL, channel and parameters",
    ],
)
def test_a_channel_that_does_not_exist_is_blocked_for_good_and_no_other_of_its_request(msg: str) -> None:
    made = made_of("trades", "quotes")
    made.connect()
    made.reply(answer(listed("BTC-USDT")))
    made.sent()
    made.frame(refusal("60018", msg, "1"))
    assert made.verdict("BTC-USDT", "trades").reason.startswith("60018 ")
    assert (made.state("BTC-USDT", "trades"), made.state("BTC-USDT", "quotes")) == ("blocked", "syncing")
    assert made.count("subscription_rejected") == 1
    pongs(made, 9)
    assert asked(made) == []


def test_a_refusal_that_names_a_stream_ends_it_even_when_it_flowed() -> None:
    made = bench("trades")
    made.frames(trade(1), refusal("60018", "channel:trades,instId:BTC-USDT doesn't exist"))
    assert made.state("BTC-USDT", "trades") == "blocked"


def test_a_refusal_that_names_nothing_is_of_the_request_that_it_answers_and_is_asked_again() -> None:
    made = made_of("trades", "quotes")
    made.connect()
    made.reply(answer(listed("BTC-USDT")))
    made.sent()
    made.frame(refusal("60014", "Requests too frequent", "1"))
    assert {made.verdict("BTC-USDT", channel).reason for channel in ("trades", "quotes")} == {
        "refused: 60014 Requests too frequent"
    }
    pongs(made, 3)
    assert asked(made) == [
        (op, name) for name in ("trades:BTC-USDT", "bbo-tbt:BTC-USDT") for op in ("unsubscribe", "subscribe")
    ]


def test_a_refusal_of_something_unknown_is_counted_and_harms_nobody() -> None:
    made = bench("trades")
    made.frame(refusal("60012", 'Invalid request: {"op": "subscribe", "argss":[{}]}'))
    assert [(event.kind, event.detail[:5]) for event in made.events] == [("subscription_rejected", "60012")]
    assert made.state("BTC-USDT", "trades") == "acknowledged"


def test_a_state_that_is_as_it_was_before_a_reconnect_was_told_all_the_same() -> None:
    made = bench("status")
    pongs(made, 1)
    made.reply(answer(), endpoint="status")
    made.disconnect()
    made.connect()
    acknowledge(made)
    assert made.state("*", "status") == "acknowledged"
    pongs(made, 125)
    made.reply(answer(), endpoint="status")
    assert made.state("*", "status") == "unverifiable"
    assert len(made.records) == 1


def test_a_lost_acknowledgement_is_asked_for_again() -> None:
    made = made_of("trades")
    made.connect()
    made.reply(answer(listed("BTC-USDT")))
    made.sent()
    pongs(made, 12)
    assert asked(made) == [("unsubscribe", "trades:BTC-USDT"), ("subscribe", "trades:BTC-USDT")]


def test_a_silent_connection_is_pinged_before_eighteen_seconds_and_a_pong_is_not_data() -> None:
    made = bench("trades")
    made.wait(14)
    assert made.sends == []
    made.wait(3)
    assert [(send.text, send.purpose, send.streams) for send in made.sends] == [("ping", "ping", 0)]
    assert made.frame("pong") == "control"
    assert made.dead == []
    assert made.status("BTC-USDT", "trades").last_message_us is None
    made.wait(14)
    assert len(made.sends) == 1
    made.wait(3)
    assert len(made.sends) == 2


def test_a_connection_that_carries_messages_is_not_pinged() -> None:
    made = bench("quotes")
    for number in range(10):
        made.wait(5)
        made.frame(bbo(number))
    assert made.sends == []


def test_a_missed_pong_replaces_the_connection() -> None:
    made = bench("trades")
    made.wait(24)
    assert made.reconnects == []
    made.wait(3)
    assert [(one.cause, one.planned) for one in made.reconnects] == [("no_message", False)]


def test_a_notice_of_the_end_is_a_planned_reconnect() -> None:
    made = bench("trades")
    notice = {"event": "notice", "code": "64008", "msg": "The connection will soon be closed for a service upgrade."}
    assert made.frame(notice) == "control"
    assert [(one.cause, one.planned) for one in made.reconnects] == [("server_shutdown", True)]


@pytest.mark.parametrize(
    "message",
    [
        {"event": "unsubscribe", "arg": {"channel": "trades", "instId": "BTC-USDT"}},
        {"event": "channel-conn-count", "channel": "orders", "connCount": "2", "connId": "abcd1234"},
        {"event": "notice", "code": "1", "msg": "something else"},
        ack("trades"),
    ],
)
def test_control_messages_are_not_data(message: dict[str, Any]) -> None:
    made = bench("trades")
    assert made.frame(message) == "control"
    assert made.dead == []
    assert made.reconnects == []
    assert made.status("BTC-USDT", "trades").last_message_us is None


def test_repeating_a_subscription_stops_before_the_hours_budget_is_used_up() -> None:
    made = bench("trades")
    assert isinstance(made.core, OkxCore)
    requests = 0
    for _ in range(3000):
        made.core.resubscribe(made.core.by_name["trades:BTC-USDT"], made.now)
        made.drain()
        requests += len(made.sent())
    assert 400 < requests <= 440
    made.wait(3601)
    made.forget()
    made.core.resubscribe(made.core.by_name["trades:BTC-USDT"], made.now)
    made.drain()
    assert len(made.sends) == 2


@pytest.mark.parametrize("name", ["mark-price", "index-candle1m", "candle1D", "books-elp", "price-limit"])
def test_channels_that_nothing_is_made_of_are_counted_by_name(name: str) -> None:
    made = bench("trades")
    assert made.frame(push(name, {})) == "unknown"
    assert [(event.kind, event.detail) for event in made.events] == [("not_spoken", name)]
    assert made.dead == []


@pytest.mark.parametrize(
    "message", [push("horoscope", {}), {"event": "surprise"}, {"arg": {"channel": "trades"}}, {"data": [1]}, {}]
)
def test_an_unknown_message_is_a_dead_letter_that_lowers_nothing(message: dict[str, Any]) -> None:
    made = bench("book")
    made.frame(SNAPSHOT)
    made.frame(message)
    assert [letter.reason for letter in made.dead] == ["unknown_type"]
    assert made.state("BTC-USDT", "book") == "in_sync"


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "json"), (b"{", "json"), (b"\xff\xfe", "json"), (b"[]", "type"), (b'{"arg":5}', "type"), (b"ponh", "json")],
)
def test_what_is_no_message_at_all_lowers_every_verdict(data: bytes, reason: str) -> None:
    made = bench("trades", "book")
    made.frame(SNAPSHOT)
    made.frames(*(trade(number) for number in range(1, 12)))
    made.frame(data)
    assert [(letter.reason, letter.raw) for letter in made.dead] == [(reason, data)]
    assert {made.state("BTC-USDT", "book"), made.state("BTC-USDT", "trades")} == {"unverifiable"}
    made.frame(trade(12))
    assert made.state("BTC-USDT", "trades") == "in_sync"


def test_an_instrument_that_nobody_asked_for_is_a_dead_letter() -> None:
    made = bench("trades")
    made.frame(trade(1, inst="ETH-USDT"))
    assert [letter.reason for letter in made.dead] == ["unknown_symbol"]
    assert made.of(Trade) == []


def test_an_open_world_takes_what_comes_but_no_dated_future() -> None:
    made = made_of(open_world=True)
    made.connect()
    made.frame(trade(1))
    made.frames(trade(1, inst="BTC-USD-220527"), trade(1, inst="BTC-USDT-SWAP"))
    assert [record.instrument for record in made.of(Trade)] == ["BTC-USDT"]
    assert [letter.reason for letter in made.dead] == ["unknown_symbol"] * 2
    pongs(made, 400)
    assert [fetch.endpoint for fetch in made.fetches] == ["listing"]


@pytest.mark.parametrize("answered", [True, False])
def test_streams_of_one_subscription_that_are_listed_later_need_no_second_one(*, answered: bool) -> None:
    made = made_of("liquidations", instruments=("BTC-USDT", "NEW-USDT"), market="perp")
    made.connect()
    made.reply(answer(listed("BTC-USDT-SWAP")))
    if answered:
        acknowledge(made)
    made.forget()
    made.frame({"arg": {"channel": "instruments", "instType": "SWAP"}, "data": [listed("NEW-USDT-SWAP", "preopen")]})
    assert asked(made) == []
    assert made.state("NEW-USDT", "liquidations") == ("acknowledged" if answered else "syncing")


@pytest.mark.parametrize(
    ("status", "headers", "body", "rests"),
    [
        (200, {}, b'{"code":"0","data":[]}', None),
        (200, {}, b'{"code":"50011","msg":"Too Many Requests","data":[]}', 2.0),
        (200, {}, b'{"msg": "Too Many Requests", "code": "50011"}', 2.0),
        (429, {}, b"", 2.0),
        (429, {"Retry-After": "7"}, b"", 7.0),
        (503, {}, b"", None),
    ],
)
def test_throttling_is_read_from_the_status_and_from_the_body(
    status: int, headers: dict[str, str], body: bytes, rests: float | None
) -> None:
    assert throttle_seconds(status, headers, body) == rests
