"""Kill -9 of a real writer at random moments: what it had accepted is there, nothing torn is left, every segment
rebuilds the book.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from collector.clock import system_clock
from collector.journal import Journal, JournalSettings, read, segments
from collector.records import BookDelta, BookSnapshot
from tests.journal.kit import Heard, Market, ids, rebuild

ROOT = Path(__file__).parents[2]


def write_until_killed(directory: Path, seed: int, lines: int) -> tuple[int, int]:
    """Run the writer, read this many of its lines, kill it; give the last numbers that it printed."""
    command = [sys.executable, "-m", "tests.journal.writer", str(directory), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, bufsize=0) as writer:
        assert writer.stdout is not None
        output = b""
        while output.count(b"\n") < lines:
            part = writer.stdout.read(65_536)
            assert part, "the writer ended by itself"
            output += part
        writer.kill()
        output += writer.stdout.read()
    accepted, durable = output[: output.rfind(b"\n")].split(b"\n")[-1].split()
    return int(accepted), int(durable)


def kill_and_check(directory: Path, kills: int) -> None:
    rng = random.Random(kills)
    settings = JournalSettings(directory=directory, reserve_bytes=0)
    for epoch in range(1, 2 * kills, 2):  # each check opens the journal too, which takes an epoch
        accepted, durable = write_until_killed(directory, epoch, rng.randrange(1, 400))
        assert durable <= accepted
        journal = Journal(settings, system_clock, Heard())
        opened = journal.open()
        journal.close()
        assert opened.epoch == epoch + 1
        assert opened.tail is None or opened.tail.damaged is None
        mine = [(position, record) for position, record in read(directory) if position.epoch == epoch]
        assert [position.offset for position, _ in mine] == list(range(len(mine)))
        assert len(mine) >= accepted
        records = [record for _, record in mine]
        assert ids(records) == list(range(len(ids(records))))
        market = Market(epoch)
        newest = max(record.last_seq or 0 for record in records if isinstance(record, BookDelta | BookSnapshot))
        while market.seq < newest:
            market.delta()
        for segment in segments(directory):
            if segment.start.epoch == epoch:
                for seq, sides in rebuild(record for _, record in read(segment.path)).values():
                    assert sides == market.truth[seq]
        seq, sides = rebuild(records)["BTC-USDT"]
        assert (seq, sides) == (newest, market.sides)
        for segment in segments(directory):
            if segment.start.epoch < epoch:
                segment.path.unlink()


def test_after_kill_9_everything_that_was_accepted_is_there_and_nothing_torn(tmp_path: Path) -> None:
    kill_and_check(tmp_path, 3)


@pytest.mark.full
def test_fifty_kills_at_random_moments_lose_nothing_that_was_accepted(tmp_path: Path) -> None:
    kill_and_check(tmp_path, 50)
