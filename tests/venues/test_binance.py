"""Binance spot's core: the listing, subscriptions, trades, quotes, control messages."""

import json

import pytest

from collector.records import BookSnapshot, Gap, Quote, Trade
from collector.venues.binance import BinanceCore
from collector.venues.binance.facts import throttle_seconds
from collector.venues.protocol import STATUS_NOT_ON_TAPE, Channel, CoreSettings, Wanted
from tests.venues.kit import Bench, binance_trade, book_ticker, depth, exchange_info

LISTING = exchange_info(("BTC", "USDT"), ("ETH", "USDT"))


def fresh(
    *channels: Channel, instruments: tuple[str, ...] = ("BTC-USDT",), settings: CoreSettings | None = None
) -> Bench:
    wanted = [Wanted(name, channel) for name in instruments for channel in channels]
    made = Bench(BinanceCore(wanted, settings or CoreSettings()))
    made.connect()
    return made


def bench(*channels: Channel, instruments: tuple[str, ...] = ("BTC-USDT",)) -> Bench:
    """A core whose streams are subscribed and acknowledged, with nothing said so far."""
    made = fresh(*channels, instruments=instruments)
    made.reply(LISTING)
    for request in made.sent():
        made.frame({"result": None, "id": request["id"]})
    made.forget()
    return made


def names(made: Bench) -> list[tuple[str, list[str]]]:
    return [(sent["method"], sent["params"]) for sent in made.sent()]


# -- the listing and subscriptions -------------------------------------------------------------------------------------


def test_the_listing_is_asked_for_before_the_first_subscription() -> None:
    made = fresh("book", "trades", "quotes")
    assert made.sends == []
    assert [(fetch.endpoint, fetch.path, fetch.weight) for fetch in made.fetches] == [
        ("listing", "/api/v3/exchangeInfo", 20)
    ]
    made.reply(LISTING)
    assert names(made) == [("SUBSCRIBE", ["btcusdt@depth@100ms", "btcusdt@trade", "btcusdt@bookTicker"])]


def test_what_is_not_listed_is_blocked_once_and_never_subscribed() -> None:
    made = fresh("book", "trades", instruments=("BTC-USDT", "BTC-USD"))
    made.reply(LISTING)
    assert names(made) == [("SUBSCRIBE", ["btcusdt@depth@100ms", "btcusdt@trade"])]
    assert (made.state("BTC-USD", "book"), made.verdict("BTC-USD", "trades").reason) == ("blocked", "not listed")
    assert made.count("subscription_rejected") == 2
    made.disconnect()
    made.connect()
    assert made.fetches == []
    assert names(made) == [("SUBSCRIBE", ["btcusdt@depth@100ms", "btcusdt@trade"])]
    assert made.count("subscription_rejected") == 2
    assert made.state("BTC-USD", "book") == "blocked"


@pytest.mark.parametrize(("status", "body"), [(503, b""), (0, b""), (200, b"<html>"), (200, b'{"symbols":7}')])
def test_without_a_listing_the_streams_are_subscribed_and_the_listing_asked_for_again(status: int, body: bytes) -> None:
    made = fresh("trades", instruments=("BTC-USDT", "BTC-USD"))
    made.reply(body, status=status)
    assert names(made) == [("SUBSCRIBE", ["btcusdt@trade", "btcusd@trade"])]
    made.frame({"result": None, "id": 1})
    made.wait(59)
    assert made.fetches == []
    made.wait(3)
    made.reply(LISTING, endpoint="listing")
    assert names(made) == [("UNSUBSCRIBE", ["btcusd@trade"])]
    assert made.state("BTC-USD", "trades") == "blocked"


def test_a_listing_that_comes_after_the_connection_ended_sends_nothing() -> None:
    made = fresh("trades")
    made.disconnect()
    made.reply(LISTING)
    assert made.sends == []
    made.connect()
    made.reply(LISTING)
    assert names(made) == [("SUBSCRIBE", ["btcusdt@trade"])]


def test_a_tape_without_a_listing_is_not_asked_for_one_again() -> None:
    made = fresh("trades")
    made.reply(status=STATUS_NOT_ON_TAPE)
    made.wait(300)
    assert made.fetches == []


def test_many_streams_are_asked_for_in_batches_that_say_how_many_they_hold() -> None:
    names_wanted = tuple(f"A{number}-USDT" for number in range(250))
    made = fresh("trades", instruments=names_wanted)
    made.reply(status=503)
    assert [send.streams for send in made.sends] == [200, 50]


def test_an_acknowledged_stream_owes_a_first_message_and_says_so() -> None:
    made = bench("trades", "quotes", "book")
    assert (made.state("BTC-USDT", "trades"), made.state("BTC-USDT", "quotes")) == ("acknowledged", "acknowledged")
    assert made.state("BTC-USDT", "book") == "syncing"


@pytest.mark.parametrize(
    "error",
    [{"code": 2, "msg": "Invalid request", "id": 1}, {"error": {"code": -1121, "msg": "Invalid symbol."}, "id": 1}],
)
def test_a_refused_subscription_is_counted_and_asked_for_again(error: dict[str, object]) -> None:
    made = fresh("trades")
    made.reply(LISTING)
    made.sent()
    assert made.frame(error) == "control"
    assert made.count("subscription_rejected") == 1
    made.wait(12)
    assert names(made) == [("UNSUBSCRIBE", ["btcusdt@trade"]), ("SUBSCRIBE", ["btcusdt@trade"])]


@pytest.mark.parametrize("number", [{}, {"id": None}, {"id": 77}])
def test_a_refusal_of_nothing_that_we_asked_is_counted_and_named(number: dict[str, object]) -> None:
    made = bench("trades")
    made.frame({"error": {"code": 3, "msg": "Invalid JSON"}, **number})
    assert [(event.kind, event.channel) for event in made.events] == [("subscription_rejected", "control")]
    assert "Invalid JSON" in made.events[0].detail


def test_an_acknowledged_stream_that_stays_silent_is_asked_for_again() -> None:
    made = bench("quotes")
    made.wait(123)
    assert names(made) == [("UNSUBSCRIBE", ["btcusdt@bookTicker"]), ("SUBSCRIBE", ["btcusdt@bookTicker"])]
    assert "no message for" in made.verdict("BTC-USDT", "quotes").reason


def test_a_stream_that_fell_silent_is_stale_until_its_next_message() -> None:
    made = bench("quotes", "trades")
    made.frames(book_ticker(1), book_ticker(2))
    for ident in range(40):
        made.wait(1)
        made.frame(binance_trade(ident))
    assert made.state("BTC-USDT", "quotes") == "stale"
    assert ("SUBSCRIBE", ["btcusdt@bookTicker"]) in names(made)
    assert made.reconnects == []
    made.frame(book_ticker(3))
    assert made.state("BTC-USDT", "quotes") == "unverifiable"


def test_a_connection_on_which_everything_fell_silent_is_replaced_once() -> None:
    made = bench("quotes", "trades")
    for ident in range(1, 20):
        made.frames(book_ticker(ident), binance_trade(ident))
        made.wait(1)
    made.wait(900)
    assert [reconnect.cause for reconnect in made.reconnects] == ["all_silent"]


# -- trades and quotes -------------------------------------------------------------------------------------------------


def test_a_trade_is_published_with_its_text_its_id_space_and_the_takers_side() -> None:
    made = bench("trades")
    assert made.frame(binance_trade(5)) == "trades"
    (trade,) = made.of(Trade)
    assert (trade.id, trade.id_space, trade.price, trade.size, trade.side) == ("5", "trade", "100.10", "0.500", "sell")
    assert (trade.ts, trade.recv_ts, trade.symbol) == (1_700_000_000_005_000, made.now.wall_us, "BTCUSDT")
    assert made.verdict("BTC-USDT", "trades").by == "sequence"


def test_an_aggregate_trade_says_that_its_id_is_of_another_space() -> None:
    made = fresh("trades", settings=CoreSettings(trade_stream="aggTrade"))
    made.reply(LISTING)
    assert names(made) == [("SUBSCRIBE", ["btcusdt@aggTrade"])]
    event = {
        "e": "aggTrade",
        "E": 9,
        "s": "BTCUSDT",
        "a": 7,
        "p": "1.0",
        "q": "2",
        "f": 100,
        "l": 104,
        "T": 8,
        "m": False,
    }
    made.frame({"stream": "btcusdt@aggTrade", "data": event})
    (trade,) = made.of(Trade)
    assert (trade.id, trade.id_space, trade.side, trade.ts) == ("7", "aggTrade", "buy", 8000)


def test_an_event_without_an_envelope_is_the_same() -> None:
    made = bench("trades", "quotes")
    made.frame(binance_trade(5)["data"])
    made.frame(book_ticker(5)["data"])
    assert (len(made.of(Trade)), len(made.of(Quote))) == (1, 1)


def test_a_lost_trade_is_a_gap_with_its_ids_and_a_repeated_one_is_dropped() -> None:
    made = bench("trades")
    made.frames(binance_trade(1), binance_trade(1), binance_trade(5), binance_trade(6))
    assert [trade.id for trade in made.of(Trade)] == ["1", "5", "6"]
    assert [(gap.first, gap.last, gap.count, gap.cause) for gap in made.of(Gap)] == [(2, 4, 3, "sequence")]
    assert made.count("duplicate") == 1
    assert made.state("BTC-USDT", "trades") == "in_sync"


def test_trades_lost_in_an_interruption_are_a_gap_with_its_cause() -> None:
    made = bench("trades")
    made.frame(binance_trade(1))
    made.disconnect()
    assert made.state("BTC-USDT", "trades") == "syncing"
    made.connect()
    made.frames(binance_trade(5), binance_trade(7))
    assert [(gap.first, gap.last, gap.cause) for gap in made.of(Gap)] == [(2, 4, "disconnect"), (6, 6, "sequence")]


def test_an_interruption_that_lost_no_trade_is_no_gap_and_no_cause_of_a_later_one() -> None:
    made = bench("trades")
    made.frame(binance_trade(1))
    made.disconnect()
    made.connect()
    made.frames(binance_trade(2), binance_trade(4))
    assert [(gap.first, gap.last, gap.cause) for gap in made.of(Gap)] == [(3, 3, "sequence")]


def test_an_older_quote_is_never_published_after_a_newer_one() -> None:
    made = bench("quotes")
    made.frames(book_ticker(5), book_ticker(7), book_ticker(6), book_ticker(7), book_ticker(8))
    assert [quote.seq for quote in made.of(Quote)] == [5, 7, 8]
    assert made.count("duplicate") == 2
    assert made.of(Quote)[0].ts is None


def test_a_new_connection_may_repeat_a_quote() -> None:
    made = bench("quotes")
    made.frame(book_ticker(5))
    made.disconnect()
    made.connect()
    made.frame(book_ticker(5))
    assert [quote.seq for quote in made.of(Quote)] == [5, 5]


# -- frames that are no data -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message", [{"e": "serverShutdown", "E": 1}, {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}}]
)
def test_a_server_shutdown_is_a_planned_reconnect(message: dict[str, object]) -> None:
    made = bench("trades")
    assert made.frame(message) == "control"
    assert [(reconnect.cause, reconnect.planned) for reconnect in made.reconnects] == [("server_shutdown", True)]
    assert made.dead == []


@pytest.mark.parametrize(
    ("stream", "named"),
    [("btcusdt@avgPrice", "avgPrice"), ("!miniTicker@arr", "!miniTicker@arr"), ("btcusdt@ticker_1h", "ticker_1h"),
     ("btcusdt@kline_1x", "kline_1x"), ("btcusdt@markPrice", "markPrice")],
)  # fmt: skip
def test_streams_that_are_not_spoken_are_counted_by_name(stream: str, named: str) -> None:
    made = bench("trades")
    assert made.frame({"stream": stream, "data": {}}) == "unknown"
    assert [event.detail for event in made.events if event.kind == "not_spoken"] == [named]
    assert made.dead == []


@pytest.mark.parametrize("message", [{"result": None, "id": 99}, {"id": 7, "result": ["btcusdt@trade"]}])
def test_answers_are_not_data(message: dict[str, object]) -> None:
    made = bench("trades")
    assert made.frame(message) == "control"
    assert made.status("BTC-USDT", "trades").last_message_us is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "json"), (b'{"stream":', "json"), (b"\xff", "json"), (b"7", "type"), (b"{}", "unknown_type")],
)
def test_what_is_no_message_at_all_is_a_dead_letter(data: bytes, reason: str) -> None:
    made = bench("trades")
    made.frame(binance_trade(1))
    made.frame(data)
    assert [(letter.reason, letter.raw) for letter in made.dead] == [(reason, data)]
    if reason != "unknown_type":
        assert made.state("BTC-USDT", "trades") == "unverifiable"
    made.frame(binance_trade(2))
    assert made.state("BTC-USDT", "trades") == "in_sync"


def test_a_binary_message_is_a_dead_letter() -> None:
    made = bench("trades")
    assert made.core.binary(b"\x00\x01", made.now) == "unknown"
    made.drain()
    assert [letter.reason for letter in made.dead] == ["binary"]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("p", "nan", "value"), ("q", "-1", "value"), ("q", "1 0", "value"), ("p", "1e5", "value"),
     ("p", 5, "type"), ("t", "5", "type"), ("s", "ETHUSDT", "value"), ("m", None, "type"), ("T", 1.5, "type")],
)  # fmt: skip
def test_a_trade_that_breaks_the_protocol_is_a_dead_letter_and_the_next_one_names_the_gap(
    key: str, value: object, reason: str
) -> None:
    made = bench("trades")
    made.frame(binance_trade(1))
    broken = binance_trade(2)
    broken["data"][key] = value
    assert made.frame(broken) == "trades"
    assert [letter.reason for letter in made.dead] == [reason]
    assert made.state("BTC-USDT", "trades") == "unverifiable"
    made.frame(binance_trade(3))
    assert [(gap.first, gap.last) for gap in made.of(Gap)] == [(2, 2)]


def test_a_stream_that_nobody_asked_for_is_a_dead_letter() -> None:
    made = bench("trades")
    assert made.frame(binance_trade(1, symbol="ETHUSDT")) == "trades"
    assert [letter.reason for letter in made.dead] == ["unknown_symbol"]
    assert made.of(Trade) == []


# -- what only a tape carries ------------------------------------------------------------------------------------------


def tape() -> Bench:
    made = Bench(BinanceCore((), CoreSettings(open_world=True)))
    made.connect()
    made.reply(status=STATUS_NOT_ON_TAPE)
    return made


def test_an_open_world_takes_what_comes_and_splits_its_symbols_without_a_listing() -> None:
    made = tape()
    made.frame(binance_trade(1, symbol="RUNEEUR"))
    assert made.of(Trade)[0].instrument == "RUNE-EUR"
    made.frame(binance_trade(1, symbol="ABCXYZ"))
    assert [letter.reason for letter in made.dead] == ["unknown_symbol"]


def test_an_open_world_prefers_the_listing_to_a_guess() -> None:
    made = Bench(BinanceCore((), CoreSettings(open_world=True)))
    made.connect()
    made.reply(exchange_info(("FOOUS", "DT")))
    made.frame(binance_trade(1, symbol="FOOUSDT"))
    assert made.of(Trade)[0].instrument == "FOOUS-DT"


def test_the_stream_of_all_quotes_gives_each_symbol_its_own() -> None:
    made = tape()
    for symbol in ("BTCUSDT", "ETHUSDT", "BTCUSDT"):
        made.frame({"stream": "!bookTicker", "data": book_ticker(len(made.records) + 1, symbol)["data"]})
    assert [quote.instrument for quote in made.of(Quote)] == ["BTC-USDT", "ETH-USDT", "BTC-USDT"]
    made.frame({"stream": "!bookTicker", "data": {"u": 1}})
    assert [letter.reason for letter in made.dead] == ["type"]


def test_a_partial_book_is_a_snapshot_of_its_own_and_cannot_be_verified() -> None:
    made = tape()
    book = {"lastUpdateId": 5, "bids": [["100.0", "1"], ["99.0", "2"]], "asks": [["101.0", "1"]]}
    made.frame({"stream": "btcusdt@depth20", "data": book})
    made.frame({"stream": "btcusdt@depth20", "data": {**book, "lastUpdateId": 4}})
    (snapshot,) = made.of(BookSnapshot)
    assert (snapshot.cause, snapshot.last_seq, snapshot.depth) == ("partial", 5, 2)
    assert (snapshot.known_bid, snapshot.known_ask) == ("99.0", "101.0")
    assert made.state("BTC-USDT", "book") == "unverifiable"
    assert made.count("duplicate") == 1


@pytest.mark.parametrize("levels", [[["x", "1"]], [["1_0", "1"]], [["100.0", "1"], ["101.0", "1"]], [["100.0", "0"]]])
def test_a_partial_book_that_is_no_book_is_never_published(levels: list[list[str]]) -> None:
    made = tape()
    made.frame({"stream": "btcusdt@depth20", "data": {"lastUpdateId": 5, "bids": levels, "asks": []}})
    assert made.of(BookSnapshot) == []
    assert [letter.channel for letter in made.dead] == ["book"]


@pytest.mark.parametrize(
    ("status", "headers", "rest"),
    [(200, {}, None), (429, {"Retry-After": "7"}, 7.0), (418, {"Retry-After": "300"}, 300.0), (429, {}, 120.0),
     (418, {"Retry-After": "soon"}, 120.0), (503, {"Retry-After": "7"}, None)],
)  # fmt: skip
def test_throttling_and_bans_rest_the_whole_pool(status: int, headers: dict[str, str], rest: float | None) -> None:
    assert throttle_seconds(status, headers, b"") == rest


def test_every_frame_kind_is_told_to_the_driver() -> None:
    made = bench("trades", "quotes", "book")
    frames = [binance_trade(1), book_ticker(1), depth(1, 1), {"result": None, "id": 5}]
    assert [made.frame(json.dumps(frame)) for frame in frames] == ["trades", "quotes", "book", "control"]
