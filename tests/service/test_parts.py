"""The service's single duties: wiring, the tape's guard, the loop's delay, the journal's telemetry, bounded ends."""

from __future__ import annotations

import asyncio
import io
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from collector.clock import Now
from collector.config import load
from collector.feed.tape import TapeRun, read_tape
from collector.journal import (
    Deleted,
    Failing,
    Journal,
    JournalSettings,
    Position,
    Recovered,
    Rotated,
    RotationFailed,
    Tail,
)
from collector.net.websocket import ConnectError, End
from collector.records import Gap, Quote
from collector.service import process
from collector.service.building import facts_of, options_of, shares, wanted_of
from collector.service.collection import Note
from collector.service.journal_watch import JournalWatch
from collector.service.loop_watch import LoopWatch
from collector.service.noting import NotingObserver
from collector.service.tape_guard import GuardedTape
from collector.venues import VENUES
from collector.venues.protocol import CHANNELS, CoreSettings, Wanted
from telemetry.cells import Metrics
from telemetry.exposition import Exposition
from telemetry.logs import configure_logs
from telemetry.registry import load_registry

NOW = Now(1_000_000_000, 1_700_000_000_000_000)


def clock() -> Now:
    return NOW


REGISTRY = load_registry()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(REGISTRY)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    yield stream
    configure_logs()


def shown(metrics: Metrics, name: str) -> float:
    """The value of a series without attributes, as /metrics shows it."""
    lines = Exposition(metrics).render("prometheus").decode().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return float(line.split()[1])


# -- wiring


def test_a_venue_gets_the_general_lists_unless_it_has_its_own() -> None:
    config = load(
        None,
        {
            "HOME": "/h",
            "MARKETPRISM_INSTRUMENTS": "BTC-USD,ETH-USD",
            "MARKETPRISM_CHANNELS": "trades,book",
            "MARKETPRISM_VENUES__KRAKEN__INSTRUMENTS": "SOL-EUR",
            "MARKETPRISM_VENUES__KRAKEN__CHANNELS": "quotes",
        },
    )
    assert wanted_of(config, config.venues.binance, CHANNELS) == [
        [Wanted("BTC-USD", "trades"), Wanted("BTC-USD", "book")],
        [Wanted("ETH-USD", "trades"), Wanted("ETH-USD", "book")],
    ]
    assert wanted_of(config, config.venues.kraken, CHANNELS) == [[Wanted("SOL-EUR", "quotes")]]


def test_two_names_that_a_venue_has_for_one_instrument_are_collected_once_and_not_on_two_connections() -> None:
    config = load(None, {"HOME": "/h", "MARKETPRISM_INSTRUMENTS": "BTC-USD,ETH-USD,BTC-USDC,USDT-USDC"})
    assert wanted_of(config, config.venues.coinbase, ("trades",), VENUES["coinbase"].canonical) == [
        [Wanted("BTC-USD", "trades")],
        [Wanted("ETH-USD", "trades")],
        [Wanted("USDT-USDC", "trades")],
    ]
    assert len(wanted_of(config, config.venues.kraken, ("trades",), VENUES["kraken"].canonical)) == 4


def test_an_endpoint_gets_what_it_serves_and_the_venues_status_once() -> None:
    config = load(None, {"HOME": "/h", "MARKETPRISM_INSTRUMENTS": "BTC-USD,ETH-USD"})
    assert wanted_of(config, config.venues.kraken, ("candles", "status")) == [
        [Wanted("*", "status")],
        [Wanted("BTC-USD", "candles")],
        [Wanted("ETH-USD", "candles")],
    ]


def test_all_instruments_stay_on_one_connection_as_long_as_they_fit() -> None:
    wanted = [[Wanted(name, "trades"), Wanted(name, "book")] for name in ("A-B", "C-D", "E-F")]
    assert [len(share) for share in shares(wanted, 6, 9)] == [6]
    assert [len(share) for share in shares(wanted, 5, 9)] == [4, 2]
    assert [len(share) for share in shares(wanted, 1, 9)] == [2, 2, 2]
    assert [want for share in shares(wanted, 5, 9) for want in share] == [want for each in wanted for want in each]


def test_a_connection_carries_no_more_instruments_than_the_venue_bears() -> None:
    wanted = [[Wanted("*", "status")], *([Wanted(name, "trades"), Wanted(name, "book")] for name in ("A-B", "C-D"))]
    assert [len(share) for share in shares(wanted, 9, 1)] == [3, 2]
    assert list(shares([], 9, 1)) == []


@pytest.mark.parametrize(("section", "ping_s"), [("binance", 20), ("binance_usdm", 180)])
def test_a_socket_is_not_called_dead_before_the_venues_own_ping_was_due_twice(section: str, ping_s: int) -> None:
    assert options_of(VENUES[section].facts).silent_s > 2 * ping_s


def test_configured_addresses_replace_the_venues_own() -> None:
    config = load(None, {"HOME": "/h", "MARKETPRISM_VENUES__KRAKEN__WS_URL": "ws://localhost:1/kraken"})
    facts = facts_of(VENUES["kraken"], config.venues.kraken)
    assert facts.ws_urls == ("ws://localhost:1/kraken",)
    assert facts.rest_urls == VENUES["kraken"].facts.rest_urls
    assert facts_of(VENUES["binance"], config.venues.binance) == VENUES["binance"].facts


# -- the tape's guard


def test_a_tape_is_written_line_by_line(tmp_path: Path, logs: io.StringIO) -> None:
    tape = GuardedTape(tmp_path / "t.jsonl")
    run = tape.run("binance-0", VENUES["binance"].facts, [Wanted("A-B", "book")], CoreSettings(), NOW)
    run.connected(NOW)
    run.frame("book", b"{}", NOW)
    run.binary(b"\x00", NOW)
    run.wake(NOW)
    run.disconnected(NOW, "normal")
    tape.close()
    assert [line.channel for _, line in read_tape(tmp_path / "t.jsonl")] == [
        "start",
        "connected",
        "book",
        "binary",
        "wake",
        "disconnected",
    ]
    assert tape.lines == 6
    assert '"marketprism.tape.closed"' in logs.getvalue()


def test_a_tape_that_cannot_be_written_ends_once_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    tape = GuardedTape(tmp_path / "t.jsonl")
    run = tape.run("binance-0", VENUES["binance"].facts, [], CoreSettings(), NOW)
    run.connected(NOW)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TapeRun, "frame", full)
    for _ in range(3):
        run.frame("book", b"{}", NOW)
    monkeypatch.undo()
    run.frame("book", b"{}", NOW)
    tape.close()
    assert tape.failed == "t.jsonl ended after 2 lines: No space left on device"
    assert logs.getvalue().count("marketprism.tape.failing") == 1
    assert len(read_tape(tmp_path / "t.jsonl")) == 2


# -- the loop's delay


def test_the_longest_recent_delay_counts(metrics: Metrics) -> None:
    watch = LoopWatch(metrics)
    assert (watch.delay_s, watch.measured_us) == (None, None)
    for second, delay in enumerate([2.0] + [0.001] * 9):
        watch.take(delay, second)
    assert (watch.delay_s, watch.measured_us) == (2.0, 9)
    watch.take(-0.5, 10)
    assert watch.delay_s == 0.001
    assert shown(metrics, "marketprism_event_loop_delay_seconds_count") == 11


# -- the journal's telemetry


def test_what_the_journal_does_is_counted_and_shown(tmp_path: Path, metrics: Metrics) -> None:
    watch = JournalWatch(metrics, clock)
    journal = Journal(JournalSettings(directory=tmp_path, reserve_bytes=0), clock, watch)
    facts = watch.watch(journal)
    journal.open()
    quote = Quote(
        venue="v",
        market="spot",
        instrument="A-B",
        symbol="AB",
        ts=1,
        recv_ts=1,
        bid="1",
        bid_size="1",
        ask="2",
        ask_size="1",
    )
    journal.append([quote])
    journal.append([quote, quote])
    assert (facts().accepts, facts().accepted, facts().epoch) == (True, 3, 1)
    assert facts().written_us is not None
    journal.close()
    assert facts().durable == 3
    assert shown(metrics, "marketprism_journal_records_accepted_total") == 3
    assert shown(metrics, "marketprism_journal_records_durable_total") == 3
    size = sum(path.stat().st_size for path in tmp_path.glob("*.jsonl"))
    assert shown(metrics, "marketprism_journal_accepted_size_bytes_total") == size
    assert shown(metrics, "marketprism_journal_state") == 1
    assert 0 < shown(metrics, "marketprism_journal_free_bytes") < shown(metrics, "marketprism_journal_capacity_bytes")
    assert shown(metrics, "marketprism_journal_limit_bytes") == JournalSettings(directory=tmp_path).retain_bytes


def test_every_word_of_the_journal_becomes_a_count_or_a_line(
    tmp_path: Path, metrics: Metrics, logs: io.StringIO
) -> None:
    watch = JournalWatch(metrics, clock)
    segment = tmp_path / "s.jsonl"
    failing = Failing("disk_full", "ENOSPC", segment, "No space left on device", NOW.wall_us)
    watch.tail_cut(Tail(segment, 17, 0, None))
    watch.rotated(Rotated(segment, Position(1, 0), "full", 2))
    watch.rotation_failed(RotationFailed("EROFS", "read-only"))
    watch.failing(failing)
    watch.dropped("disk_full", 4)
    watch.recovered(Recovered(failing, ()))
    watch.deleted(Deleted(segment, Position(1, 0), Position(1, 9), 100, "age", ()))
    watch.delete_failed(segment, "busy")
    events = [line.split('"event":"marketprism.journal.')[1].split('"')[0] for line in logs.getvalue().splitlines()]
    assert events == ["torn", "rotated", "rotation_failed", "failing", "recovered", "deleted", "delete_failed"]
    assert shown(metrics, "marketprism_journal_torn_size_bytes_total") == 17
    text = Exposition(metrics).render("prometheus").decode()
    assert 'marketprism_journal_records_dropped_total{marketprism_drop_reason="disk_full"} 4' in text
    assert 'marketprism_journal_segments_deleted_total{marketprism_delete_reason="age"} 1' in text


def test_the_gaps_of_a_restart_are_counted_and_their_loss_when_it_is_known(metrics: Metrics) -> None:
    watch = JournalWatch(metrics, clock)
    gap = Gap(
        venue="kraken", market="spot", instrument="A-B", symbol="AB", ts=None, recv_ts=1, channel="trades", first=5,
        last=None, count=None, cause="restart", detected_ts=1, repaired_ts=None,
    )  # fmt: skip
    watch.restarted([gap])
    watch.restart_ended([msgspec.structs.replace(gap, last=9, count=5)])
    text = Exposition(metrics).render("prometheus").decode()
    assert re.search(r'marketprism_gaps_total\{.*channel="trades".*cause="restart"\} 1\n', text)
    assert re.search(r'marketprism_gap_records_lost_total\{.*channel="trades".*cause="restart"\} 5\n', text)


def test_a_failing_journal_says_why_in_words(metrics: Metrics) -> None:
    class Full:
        failing = Failing("disk_full", "ENOSPC", Path("x"), "detail", 7)
        epoch = accepted = durable = dropped = 0

    facts = JournalWatch(metrics, clock).watch(cast("Journal", Full()))()
    assert (facts.accepts, facts.reason, facts.since_us) == (False, "the disk is full (ENOSPC)", 7)


# -- what is noted of a connection


def test_a_connection_remembers_its_handshake_and_why_it_ended(metrics: Metrics, logs: io.StringIO) -> None:
    observer = NotingObserver(metrics, VENUES["binance"].facts, "0", lambda: 0)
    note = observer.note = Note(since_us=5)
    observer.refused("wss://h", ConnectError("refused", "connection refused"), 1.0)
    assert (note.since_us, note.detail, note.handshake_s) == (5, "refused: connection refused", None)
    observer.opened("wss://h", 0.25)
    assert (note.detail, note.handshake_s) == ("", 0.25)
    assert note.since_us is not None
    assert note.since_us > 5
    observer.closed(End("going_away", 1001, "bye"), 10.0, 0.0)
    assert note.detail == "going_away: bye"
    assert logs.getvalue().count("marketprism.connection.") == 3


# -- bounded ends


async def test_a_thread_that_hangs_does_not_hold_the_end_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WORKERS_STOP_S", 0.05)
    hang = threading.Event()
    workers = process.make_workers()
    workers.submit(hang.wait)
    await process.end_workers(workers)
    assert process.workers()
    hang.set()
    workers.shutdown(wait=True)
    assert not process.workers()


class FakeJournal:
    """Ten records, of which `close` makes all durable once the disk lets it."""

    accepted, durable = 10, 7

    def __init__(self, disk: threading.Event) -> None:
        self.disk = disk

    def close(self) -> None:
        self.disk.wait()
        self.durable = self.accepted


async def test_closing_the_journal_tells_that_nothing_is_left() -> None:
    disk = threading.Event()
    disk.set()
    assert await process.close_journal(cast("Any", FakeJournal(disk))) == 0


async def test_a_disk_that_hangs_leaves_what_is_not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "JOURNAL_STOP_S", 0.02)
    disk = threading.Event()
    began = time.monotonic()
    assert await process.close_journal(cast("Any", FakeJournal(disk))) == 3
    assert time.monotonic() - began < 1
    disk.set()
    await asyncio.sleep(0)
