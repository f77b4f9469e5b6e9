"""What was accepted is on disk: after SIGTERM, after Ctrl-C, after kill -9 at any moment."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from collector.journal import read, segments
from collector.records import BookSnapshot, Gap
from tests.e2e.rig import Books, Rig, poll_until

pytestmark = pytest.mark.full
ACCEPTED = "marketprism_journal_records_accepted_total"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_collector_cleanly_with_every_accepted_record_on_disk(tmp_path: Path, sign: int) -> None:
    with Rig(tmp_path) as rig:
        rig.start()
        rig.wait_in_sync()
        poll_until(lambda: rig.metric(ACCEPTED) > 500, "records are accepted")
        accepted = rig.metric(ACCEPTED)
        assert rig.collector is not None
        rig.collector.send_signal(sign)
        assert rig.collector.wait(timeout=10) == 0
        assert sum(1 for _ in rig.records()) >= accepted


def test_after_a_restart_the_interruption_is_a_gap_of_every_stream(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        for _ in range(2):
            rig.start()
            rig.wait_in_sync()
            time.sleep(2)
            assert rig.stop() == 0
        restarts = {
            (r.venue, r.instrument, r.channel) for r in rig.records() if isinstance(r, Gap) and r.cause == "restart"
        }
        assert len(restarts) == 2 * 2 * 3
        rig.check_trades()


def _killed(rig: Rig, chance: random.Random, wait: float) -> None:
    """Read the accepted counter until the kill, then hold the segments against it and rebuild every book."""
    rig.start(journal={"directory": str(rig.journal), "segment_bytes": "256KiB"})
    rig.wait_in_sync(60)
    epoch = max(segment.start.epoch for segment in segments(rig.journal))
    until = time.monotonic() + chance.uniform(0.0, wait)
    accepted = rig.metric(ACCEPTED)
    while time.monotonic() < until:
        accepted = max(accepted, rig.metric(ACCEPTED))
    rig.kill()
    there = sum(1 for position, _ in read(rig.journal) if position.epoch == epoch)
    assert there >= accepted, f"{accepted:.0f} records were accepted and {there} are there"


def _any_segment_rebuilds(rig: Rig) -> int:
    """Hold the books that each segment alone rebuilds against the ledger; the first of a start may lack some."""
    compared = 0
    newest = segments(rig.journal)[-1]
    for segment in segments(rig.journal):
        books = Books()
        records = [record for _, record in read(segment.path)] if segment is not newest else []
        first = next((r for r in records if isinstance(r, BookSnapshot)), None)
        for record in records:
            books.take(record)
        for key in books.broken:
            books.books.pop(key, None)
        if segment.start.offset and first is not None:
            assert first.cause == "segment"
        compared += rig.compare(Books(books.books, set(), books.last, books.known))
    return compared


@pytest.mark.parametrize("kills", [8])
def test_a_kill_at_a_random_moment_loses_nothing_that_was_accepted(tmp_path: Path, kills: int) -> None:
    chance = random.Random(7)
    with Rig(tmp_path, rate=2000) as rig:
        for _ in range(kills):
            _killed(rig, chance, 1.5)
        rig.start()
        rig.wait_in_sync()
        rig.settle()
        assert rig.check_books() > 0
        assert rig.stop() == 0
        assert _any_segment_rebuilds(rig) > kills


@pytest.mark.soak
def test_fifty_kills_at_random_moments_lose_nothing_that_was_accepted(tmp_path: Path) -> None:
    test_a_kill_at_a_random_moment_loses_nothing_that_was_accepted(tmp_path, 50)
