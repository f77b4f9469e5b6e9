"""Restart Gaps: opened by the journal, closed by the first record that shows where the hole ends."""

from __future__ import annotations

from typing import Any

from collector.clock import Now
from collector.records import BookSnapshot, Gap, Quote, Trade
from collector.service.restarts import Restarts

NOW = Now(5, 2_000)
WHO: dict[str, Any] = {
    "venue": "binance",
    "market": "spot",
    "instrument": "BTC-USDT",
    "symbol": "BTCUSDT",
    "ts": 1,
    "recv_ts": 2,
}


def gap(channel: str, first: int | None = None) -> Gap:
    return Gap(
        **WHO, channel=channel, first=first, last=None, count=None, cause="restart", detected_ts=1_000, repaired_ts=None
    )


def trade(ident: str) -> Trade:
    return Trade(**WHO, id=ident, id_space="trade", price="1", size="1", side="buy")


def quote() -> Quote:
    return Quote(**WHO, bid="1", bid_size="1", ask="2", ask_size="1")


def snapshot() -> BookSnapshot:
    return BookSnapshot(
        **WHO, bids=[], asks=[], first_seq=1, last_seq=1, depth=10, known_bid=None, known_ask=None, cause="sync"
    )


def test_the_first_trade_says_which_trades_are_missing() -> None:
    restarts = Restarts([gap("trades", first=101)])
    [closed] = restarts.close([trade("150"), trade("151")], NOW)
    assert (closed.first, closed.last, closed.count) == (101, 149, 49)
    assert (closed.detected_ts, closed.repaired_ts, closed.recv_ts) == (1_000, None, 2_000)
    assert not restarts


def test_a_restart_that_missed_no_trade_is_repaired() -> None:
    [closed] = Restarts([gap("trades", first=101)]).close([trade("101")], NOW)
    assert (closed.first, closed.last, closed.count, closed.repaired_ts) == (None, None, 0, 2_000)


def test_a_venue_that_counts_anew_leaves_unknown_what_is_missing() -> None:
    [closed] = Restarts([gap("trades", first=101)]).close([trade("7")], NOW)
    assert (closed.first, closed.last, closed.count, closed.repaired_ts) == (None, None, None, None)


def test_without_a_last_id_only_the_end_of_the_silence_is_told() -> None:
    [closed] = Restarts([gap("trades")]).close([trade("101")], NOW)
    assert (closed.first, closed.last, closed.count, closed.repaired_ts) == (None, None, None, None)


def test_a_quote_and_a_snapshot_make_their_streams_whole() -> None:
    restarts = Restarts([gap("quotes"), gap("book")])
    closed = restarts.close([quote(), snapshot()], NOW)
    assert [(each.channel, each.detected_ts, each.repaired_ts) for each in closed] == [
        ("quotes", 1_000, 2_000),
        ("book", 1_000, 2_000),
    ]
    assert restarts.close([quote(), snapshot()], NOW) == []


def test_a_stream_that_the_last_run_did_not_have_closes_nothing() -> None:
    restarts = Restarts([gap("book")])
    assert restarts.close([trade("1"), quote()], NOW) == []
    assert restarts
