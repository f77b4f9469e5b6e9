"""The rules by which measured facts become ok, degraded or failing, each as a sentence."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from collector.books.verdict import State, Verdict, VerifiedBy
from collector.clock import Now
from collector.venues.protocol import Channel, StreamStatus
from collector.web.health import (
    ConnectionFacts,
    Facts,
    JournalFacts,
    Judge,
    SideFacts,
    VenueFacts,
    not_ready,
)
from collector.web.report import Report

START = Now(0, 1_700_000_000_000_000)
NOW = Now(90_000_000_000, 1_700_000_090_000_000)
JOURNAL = JournalFacts(
    accepts=True,
    reason="",
    since_us=START.wall_us,
    epoch=3,
    accepted=120,
    durable=100,
    dropped=0,
    written_us=1_700_000_089_500_000,
    sync_s=0.002,
)


def stream(
    channel: Channel = "book",
    state: State = "in_sync",
    instrument: str = "BTC-USDT",
    *,
    reason: str = "",
    last: int | None = 1_700_000_089_000_000,
    by: VerifiedBy | None = "sequence",
) -> StreamStatus:
    verdict = Verdict(state, since_us=START.wall_us, by=by, reason=reason)
    return StreamStatus(instrument, instrument.replace("-", ""), channel, verdict, last, 1000)


def venue(*streams: StreamStatus, is_open: bool = True, assumed: str = "", name: str = "binance") -> VenueFacts:
    connection = ConnectionFacts("0", is_open, START.wall_us, 0.05, "" if is_open else "refused", streams)
    return VenueFacts(name, "spot", [connection], frozenset(assumed.split()))


def facts(*venues: VenueFacts, journal: JournalFacts | None = JOURNAL, sides: tuple[SideFacts, ...] = ()) -> Facts:
    return Facts("one", "0.1.0", START, 0.001, NOW.wall_us, journal, venues, sides)


def judge(*venues: VenueFacts) -> Report:
    return Judge().report(facts(*venues), NOW)


def test_everything_as_it_should_be_is_ok() -> None:
    report = judge(venue(stream(), stream("trades"), stream("quotes", "unverifiable", by=None)))
    assert (report.status, report.not_ok) == ("ok", [])
    assert [check.name for check in report.checks] == ["event_loop", "journal", "venue.binance.spot"]
    assert [check.state for check in report.checks] == ["ok"] * 3
    assert report.venues[0].state == "in_sync"
    assert report.uptime_s == 90.0


def test_every_check_tells_its_age_and_latency() -> None:
    loop, journal, binance = judge(venue(stream())).checks
    assert (loop.age_s, loop.latency_s) == (0.0, 0.001)
    assert (journal.age_s, journal.latency_s) == (0.5, 0.002)
    assert (binance.age_s, binance.latency_s) == (1.0, 0.05)


def test_a_stream_is_reported_with_its_verdict_and_the_age_of_its_last_message() -> None:
    [shown] = judge(venue(stream())).venues[0].streams
    assert msgspec.to_builtins(shown) == {
        "instrument": "BTC-USDT",
        "symbol": "BTCUSDT",
        "channel": "book",
        "state": "in_sync",
        "by": "sequence",
        "reason": "",
        "since": "2023-11-14T22:13:20.000000Z",
        "last_message": "2023-11-14T22:14:49.000000Z",
        "last_message_age_s": 1.0,
        "depth": 1000,
    }


@pytest.mark.parametrize("state", ["syncing", "acknowledged", "unverifiable", "stale", "gap", "diverged", "blocked"])
def test_a_book_that_is_not_in_sync_degrades_and_is_named(state: State) -> None:
    report = judge(venue(stream(state=state, reason="because"), stream("trades")))
    assert report.status == "degraded"
    assert report.not_ok == [f"venue.binance.spot: BTC-USDT book is {state} (because)"]
    assert report.venues[0].state == state


@pytest.mark.parametrize("channel", ["trades", "quotes"])
@pytest.mark.parametrize("state", ["acknowledged", "unverifiable"])
def test_trades_and_quotes_without_proof_do_not_degrade(channel: Channel, state: State) -> None:
    report = judge(venue(stream(), stream(channel, state, by=None)))
    assert (report.status, report.venues[0].state) == ("ok", "in_sync")


@pytest.mark.parametrize("channel", ["instruments", "status", "liquidations"])
def test_what_is_told_only_when_it_happens_need_not_have_been_told_yet(channel: Channel) -> None:
    assert judge(venue(stream(), stream(channel, "syncing", last=None))).not_ok == []
    assert judge(venue(stream(), stream(channel, "blocked", last=None))).status == "degraded"


@pytest.mark.parametrize("channel", ["trades", "quotes"])
@pytest.mark.parametrize("state", ["syncing", "stale", "gap", "diverged", "blocked"])
def test_trades_and_quotes_that_are_broken_or_not_back_degrade(channel: Channel, state: State) -> None:
    report = judge(venue(stream(), stream(channel, state)))
    assert (report.status, report.venues[0].state) == ("degraded", state)


def test_a_stream_that_has_not_come_back_is_named_with_its_reason() -> None:
    reason = "acknowledged, and no message yet since the connection was lost"
    named = judge(venue(stream(), stream("trades", "syncing", reason=reason))).not_ok
    assert named == [f"venue.binance.spot: BTC-USDT trades is syncing ({reason})"]


def test_a_venue_has_the_state_of_its_worst_stream() -> None:
    report = judge(venue(stream(state="syncing"), stream(state="diverged"), stream("trades", "gap")))
    assert report.venues[0].state == "diverged"


def test_a_default_instrument_that_the_venue_does_not_list_is_shown_and_no_fault() -> None:
    unlisted = stream(state="blocked", instrument="BTC-USD", reason="not listed by binance", last=None)
    report = judge(venue(stream(), unlisted, assumed="BTC-USD BTC-USDT"))
    assert (report.status, report.venues[0].state) == ("ok", "in_sync")
    assert report.venues[0].streams[1].state == "blocked"


def test_an_instrument_that_was_asked_for_by_name_and_is_not_listed_degrades() -> None:
    unlisted = stream(state="blocked", instrument="BTC-USD", reason="not listed by binance", last=None)
    assert judge(venue(stream(), unlisted)).status == "degraded"


def test_a_default_instrument_that_is_blocked_for_another_reason_degrades() -> None:
    rejected = stream(state="blocked", instrument="BTC-USD", reason="rejected", last=None)
    assert judge(venue(stream(), rejected, assumed="BTC-USD")).status == "degraded"


def test_one_venue_that_is_disconnected_degrades() -> None:
    report = judge(venue(stream()), venue(stream(state="gap"), is_open=False, name="kraken"))
    assert report.status == "degraded"
    assert report.venues[1].state == "disconnected"
    assert report.not_ok == ["venue.kraken.spot: connection 0 is closed (refused)"]


def test_no_venue_that_delivers_is_failing() -> None:
    report = judge(venue(stream(), is_open=False), venue(stream(state="syncing", last=None), name="kraken"))
    assert report.status == "failing"
    assert report.not_ok[0] == "no venue delivers"


def test_a_stale_stream_delivers_nothing() -> None:
    assert judge(venue(stream(state="stale"), stream("trades", "blocked"))).status == "failing"


@pytest.mark.parametrize("channel", ["instruments", "status", "liquidations"])
def test_what_speaks_only_when_something_happens_does_not_make_a_silent_venue_deliver(channel: Channel) -> None:
    told_once = stream(channel, "unverifiable", by=None)
    report = judge(venue(stream(state="stale"), stream("trades", "stale"), told_once))
    assert (report.status, report.not_ok[0]) == ("failing", "no venue delivers")
    assert not report.venues[0].delivers
    assert judge(venue(told_once)).status == "ok", "where nothing else is subscribed it is all that can be asked for"


def test_a_venue_where_one_of_two_connections_is_closed_is_not_in_sync() -> None:
    both = [ConnectionFacts("0", is_open=True, since_us=1, handshake_s=0.1, detail="", streams=[stream()])]
    both.append(ConnectionFacts("1", is_open=False, since_us=1, handshake_s=0.2, detail="", streams=[]))
    report = judge(VenueFacts("binance", "spot", both))
    assert (report.status, report.venues[0].state) == ("degraded", "gap")
    assert report.checks[-1].latency_s == 0.2


def test_a_journal_that_cannot_accept_is_failing_and_not_ready() -> None:
    full = replace(JOURNAL, accepts=False, reason="disk_full (ENOSPC)")
    everything = facts(venue(stream()), journal=full)
    report = Judge().report(everything, NOW)
    assert report.status == "failing"
    assert report.not_ok == ["journal: does not accept records: disk_full (ENOSPC)"]
    assert report.journal is not None
    assert report.journal.state == "failing"
    assert not_ready(everything) == "the journal does not accept records: disk_full (ENOSPC)"
    assert not_ready(facts(venue(stream()))) is None


def test_the_journals_lag_is_what_is_accepted_and_not_yet_durable() -> None:
    report = judge(venue(stream()))
    assert report.journal is not None
    assert (report.journal.accepted, report.journal.durable, report.journal.lag) == (120, 100, 20)


def test_a_full_dead_letter_file_degrades() -> None:
    report = Judge().report(facts(venue(stream()), sides=(SideFacts("dead_letters", "3 were dropped"),)), NOW)
    assert (report.status, report.not_ok) == ("degraded", ["dead_letters: 3 were dropped"])


def test_an_event_loop_that_is_late_degrades() -> None:
    report = Judge().report(replace(facts(venue(stream())), loop_delay_s=1.5), NOW)
    assert report.not_ok == ["event_loop: the event loop turns 1.5 s late"]


def test_what_was_never_measured_has_no_age() -> None:
    never = replace(JOURNAL, written_us=None, sync_s=None)
    report = Judge().report(
        replace(facts(venue(stream(last=None)), journal=never), loop_delay_s=None, loop_measured_us=None), NOW
    )
    assert [(check.age_s, check.latency_s) for check in report.checks] == [(None, None), (None, None), (None, 0.05)]


def test_what_came_before_the_clock_was_set_back_has_no_age() -> None:
    report = Judge().report(facts(venue(stream())), Now(NOW.mono_ns, START.wall_us))
    assert [check.age_s for check in report.checks] == [None, None, None]
    assert report.venues[0].streams[0].last_message_age_s is None
    assert report.journal is not None
    assert report.journal.last_write_age_s is None


def test_since_is_when_a_check_got_its_state_and_not_when_it_was_asked() -> None:
    remembering = Judge()
    good, bad = facts(venue(stream())), facts(venue(stream(state="gap")))

    def since(what: Facts, second: int) -> str | None:
        now = Now(second * 10**9, 1_700_000_000_000_000 + second * 1_000_000)
        return remembering.report(what, now).checks[-1].since

    seen = [since(good, 0), since(good, 5), since(bad, 6), since(bad, 9), since(good, 10)]
    assert [None if text is None else text[-9:] for text in seen] == [
        "20.000000Z"[-9:],
        "20.000000Z"[-9:],
        "26.000000Z"[-9:],
        "26.000000Z"[-9:],
        "30.000000Z"[-9:],
    ]
