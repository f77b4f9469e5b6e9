"""Streams that used to flow and have not come back; subscriptions that were refused; channels that may be silent."""

from __future__ import annotations

import pytest

from collector.records import Gap, Trade
from collector.venues.binance import BinanceCore
from collector.venues.binance.facts import FACTS
from collector.venues.core import VenueCore
from collector.venues.protocol import Channel, CoreSettings, Wanted
from tests.venues import binances, krakens
from tests.venues.kit import (
    Bench,
    binance_trade,
    book_ticker,
    depth,
    depth_book,
    exchange_info,
    kraken_ack,
    kraken_trade,
    kraken_trades,
)

REFUSED = {"code": 2, "msg": "Invalid request: not today"}


def fresh(*channels: Channel, instruments: int = 1) -> Bench:
    """Binance: everything is asked for and nothing answered."""
    names = [f"A{number}" for number in range(instruments)]
    made = Bench(BinanceCore([Wanted(f"{name}-USDT", channel) for name in names for channel in channels],
                             CoreSettings()))  # fmt: skip
    made.connect()
    made.reply(exchange_info(*((name, "USDT") for name in names)))
    return made


def answer(made: Bench, refusal: dict[str, object] | None = None) -> int:
    """Acknowledge or refuse every subscription asked for since; give how many there were."""
    asked = [sent["id"] for sent in made.sent() if sent["method"] == "SUBSCRIBE"]
    for ident in asked:
        made.frame({"result": None, "id": ident} if refusal is None else {**refusal, "id": ident})
    return len(asked)


def trade(ident: int) -> dict[str, object]:
    return binance_trade(ident, symbol="A0USDT")


def lost(every: float, messages: int = 20) -> Bench:
    """A stream of trades that flowed at this pace, on a new connection where it is asked for and not answered yet."""
    made = fresh("trades")
    answer(made)
    for ident in range(messages):
        made.wait(every if ident else 0)
        made.frame(trade(ident))
    assert made.state("A0-USDT", "trades") == "in_sync"
    made.disconnect("closed by the venue")
    made.wait(1)
    made.connect()
    return made


def verdict(made: Bench) -> tuple[str, str]:
    return verdict_of(made, "trades")


def verdict_of(made: Bench, channel: Channel) -> tuple[str, str]:
    told = made.verdict("A0-USDT", channel)
    return told.state, told.reason


def asked_at(made: Bench, seconds: int, refusal: dict[str, object] | None = None) -> list[int]:
    """Let time pass in whole seconds and give those at which a subscription was sent; refuse it when told how."""
    at = []
    for second in range(1, seconds + 1):
        made.wait(1)
        if refusal is None:
            at += [second for sent in made.sent() if sent["method"] == "SUBSCRIBE"]
        else:
            at += [second] * answer(made, refusal)
    return at


# -- after a reconnect -------------------------------------------------------------------------------------------------


def test_a_fast_stream_is_not_fine_until_its_first_message_after_a_reconnect() -> None:
    made = lost(0.1)
    assert verdict(made) == ("syncing", "closed by the venue")
    answer(made)
    assert verdict(made) == ("syncing", "acknowledged, and no message yet since the connection was lost")
    made.wait(5)
    made.frame(trade(20))
    assert verdict(made) == ("in_sync", "")


def test_a_fast_stream_that_does_not_come_back_is_stale_and_asked_for_again_after_the_least_patience() -> None:
    made = lost(0.1)
    answer(made)
    assert asked_at(made, 60) == []
    assert made.state("A0-USDT", "trades") == "syncing"
    made.wait(2)
    state, reason = verdict(made)
    assert state == "stale"
    assert reason.startswith("no message for 6")
    assert reason.endswith(" s since the connection was lost")
    assert answer(made) == 1
    assert verdict(made) == (state, reason)


def test_what_was_missed_until_a_stream_came_back_is_one_gap_with_its_ids() -> None:
    made = lost(0.1)
    answer(made)
    made.wait(70)
    answer(made)
    made.forget()
    made.frames(trade(30), trade(31))
    assert [(gap.first, gap.last, gap.cause) for gap in made.of(Gap)] == [(20, 29, "disconnect")]
    assert [record.id for record in made.of(Trade)] == ["30", "31"]
    assert made.state("A0-USDT", "trades") == "in_sync"


def test_a_slow_stream_may_be_quiet_after_a_reconnect_for_as_long_as_its_pace_explains() -> None:
    made = lost(10)
    assert made.state("A0-USDT", "trades") == "syncing"
    answer(made)
    assert verdict(made) == ("acknowledged", "no message yet since the connection was lost")
    made.wait(295)
    assert made.state("A0-USDT", "trades") == "acknowledged"
    made.wait(10)
    assert made.state("A0-USDT", "trades") == "stale"


def test_a_slow_stream_that_was_overdue_before_the_reconnect_is_not_excused_by_its_pace() -> None:
    made = lost(10)
    answer(made)
    made.wait(310)
    assert made.state("A0-USDT", "trades") == "stale"
    made.disconnect()
    made.connect()
    answer(made)
    assert made.state("A0-USDT", "trades") == "syncing"


def test_the_pace_survives_a_connection_on_which_nothing_came() -> None:
    made = lost(0.1)
    made.disconnect()
    made.connect()
    answer(made)
    made.wait(62)
    assert made.state("A0-USDT", "trades") == "stale"


def test_a_stream_that_never_flowed_is_acknowledged_however_long_it_is_quiet() -> None:
    made = fresh("trades")
    answer(made)
    made.wait(605)
    assert made.state("A0-USDT", "trades") == "acknowledged"
    answer(made)
    assert verdict(made) == ("acknowledged", "no message yet")


def test_the_trades_that_kraken_sends_again_do_not_make_a_slow_stream_look_fast() -> None:
    made = krakens.bench("trades")
    for ident in range(20):
        krakens.beating(made, 10)
        made.frame(kraken_trade(ident))
    made.disconnect()
    made.connect()
    krakens.beating(made, 11)
    made.frame(kraken_ack("trade"))
    made.frame(kraken_trades(range(20), kind="snapshot"))
    made.frame(kraken_trade(20))
    krakens.beating(made, 250)
    assert made.state("BTC-USD", "trades") == "in_sync"
    krakens.beating(made, 60)
    assert made.state("BTC-USD", "trades") == "stale"


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_refused_subscription_is_asked_for_again_soon_then_at_growing_intervals() -> None:
    made = fresh("trades")
    answer(made, REFUSED)
    at = asked_at(made, 70, REFUSED)
    waits = [after - before for before, after in zip([0, *at], at, strict=False)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32], abs=1)


def test_a_refused_stream_says_so_until_it_is_accepted() -> None:
    made = fresh("trades")
    answer(made, REFUSED)
    assert verdict(made) == ("syncing", "refused: Invalid request: not today")
    made.wait(2.5)
    assert answer(made) == 1
    assert verdict(made) == ("acknowledged", "no message yet")


def test_being_accepted_ends_the_growing_of_the_intervals() -> None:
    made = fresh("quotes")
    answer(made, REFUSED)
    assert len(asked_at(made, 20, REFUSED)) == 4
    made.wait(16)
    assert answer(made) == 1
    assert asked_at(made, 135, REFUSED) == pytest.approx([121, 123, 126, 131], abs=1)


def test_a_new_connection_ends_the_growing_of_the_intervals() -> None:
    made = fresh("trades")
    answer(made, REFUSED)
    assert len(asked_at(made, 20, REFUSED)) == 4
    made.disconnect()
    made.connect()
    answer(made, REFUSED)
    assert asked_at(made, 8, REFUSED) == pytest.approx([2, 5], abs=1)


def test_a_refusal_on_the_connection_before_is_forgotten() -> None:
    made = fresh("trades")
    answer(made, REFUSED)
    made.disconnect()
    made.connect()
    made.sent()
    assert asked_at(made, 12) == pytest.approx([11], abs=1)


def test_a_stream_that_is_accepted_after_a_refusal_is_not_asked_for_again() -> None:
    made = krakens.bench("trades")
    made.frame({"method": "subscribe", "success": False, "error": "Busy", "symbol": "BTC/USD", "req_id": 2})
    made.frame(kraken_ack("trade"))
    krakens.beating(made, 30)
    assert made.sent() == []


def test_a_stream_that_is_refused_after_it_was_accepted_is_no_longer_accepted() -> None:
    made = fresh("quotes")
    answer(made)
    made.wait(121.5)
    assert answer(made, REFUSED) == 1
    assert verdict_of(made, "quotes") == ("syncing", "refused: Invalid request: not today")
    assert asked_at(made, 30) == pytest.approx([1, 21], abs=1)


def test_a_stream_that_was_refused_for_good_and_is_asked_for_later_waits_for_its_answer() -> None:
    made = fresh("trades")
    core = made.core
    assert isinstance(core, VenueCore)
    (stream,) = core.by_name.values()
    stream.rejected("not listed", made.now, final=True)
    assert asked_at(made, 300)[1:] == []
    stream.asked = False
    core.subscribe([stream], made.now)
    made.drain()
    made.sent()
    assert asked_at(made, 8) == []


def test_asking_again_after_a_refusal_waits_for_the_answer_before_the_next() -> None:
    made = fresh("trades")
    answer(made, REFUSED)
    at = asked_at(made, 30)
    assert at == pytest.approx([2, 22], abs=1)


def test_a_stream_that_flows_all_the_same_is_not_asked_for_again_after_a_refusal() -> None:
    made = krakens.bench("trades")
    made.frame(kraken_trade(1))
    made.frame({"method": "subscribe", "success": False, "error": "Already subscribed", "symbol": "BTC/USD",
                "req_id": 2})  # fmt: skip
    assert made.count("subscription_rejected") == 1
    made.wait(0.1)
    for ident in range(2, 30):
        made.frame(kraken_trade(ident))
        krakens.beating(made, 1)
    assert (made.sent(), made.state("BTC-USD", "trades")) == ([], "in_sync")


def test_a_book_whose_repair_is_refused_is_asked_for_again_soon() -> None:
    made = krakens.with_book()
    made.frame(krakens.MISMATCH)
    (request,) = [sent for sent in made.sent() if sent["method"] == "subscribe"]
    made.frame({"method": "subscribe", "success": False, "error": "EService:Unavailable", "symbol": "BTC/USD",
                "req_id": request["req_id"]})  # fmt: skip
    krakens.beating(made, 3)
    assert krakens.books(made) == [("unsubscribe", "BTC/USD"), ("subscribe", "BTC/USD")]
    made.frame(kraken_ack("book"))
    made.frame(krakens.SNAPSHOT)
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_book_with_a_fresh_snapshot_whose_subscription_is_refused_is_stale_until_it_flows() -> None:
    made = binances.bench("binance", "book")
    sides = [("100", "1")], [("101", "1")]
    made.reply(depth_book(11, *sides))
    made.frame(depth(12, 12))
    made.wait(11)
    made.reply(depth_book(20, *sides), endpoint="check")
    made.wait(3)
    made.reply(depth_book(20, *sides), endpoint="depth")
    for _ in range(3):
        assert answer(made, REFUSED) > 0
        assert made.verdict("BTC-USDT", "book").reason.startswith("refused: ")
        assert made.state("BTC-USDT", "book") == "stale"
        made.wait(9)
    answer(made)
    made.frame(depth(21, 21))
    assert made.state("BTC-USDT", "book") == "in_sync"


def test_what_was_refused_together_is_asked_for_again_no_faster_than_the_venue_lets_us_speak() -> None:
    made = fresh("trades", instruments=150)
    answer(made, REFUSED)
    sent, asked = 0, set()
    for _ in range(110):
        made.wait(1)
        told = made.sent()
        sent += len(told)
        asked |= {name for one in told for name in one["params"]}
    assert sent <= 112 * FACTS.control_per_s
    assert len(asked) == 150


def test_a_silent_stream_that_waits_for_its_turn_to_be_asked_for_again_says_so_once() -> None:
    made = fresh("quotes", instruments=30)
    answer(made)
    made.wait(118)
    made.forget()
    made.wait(40)
    assert len(made.verdicts) == 30


# -- channels whose silence means nothing ------------------------------------------------------------------------------


def eventful(*channels: Channel) -> Bench:
    """A connection that also carries liquidations, which are asked for and not answered yet."""
    made = fresh(*channels)
    answer(made)
    core = made.core
    assert isinstance(core, VenueCore)
    core.subscribe([core.add("a0usdt@forceOrder", "A0-USDT", "A0USDT", "liquidations")], made.now)
    made.drain()
    return made


def test_a_channel_without_an_expectation_is_never_silent_once_it_is_acknowledged() -> None:
    made = eventful()
    answer(made)
    made.wait(20_000)
    assert (made.sent(), made.reconnects) == ([], [])
    assert made.state("A0-USDT", "liquidations") == "acknowledged"


def test_a_channel_without_an_expectation_is_asked_for_again_until_it_is_acknowledged() -> None:
    made = eventful()
    made.sent()
    assert asked_at(made, 35) == pytest.approx([11, 31], abs=1)


def test_a_quiet_channel_without_an_expectation_does_not_hide_that_all_the_rest_is_silent() -> None:
    made = eventful("quotes")
    answer(made)
    core = made.core
    assert isinstance(core, VenueCore)
    for ident in range(1, 20):
        made.frame(book_ticker(ident, symbol="A0USDT"))
        core.by_name["a0usdt@forceOrder"].beat(made.now)
        made.wait(1)
    made.wait(45)
    assert [reconnect.cause for reconnect in made.reconnects] == ["all_silent"]
