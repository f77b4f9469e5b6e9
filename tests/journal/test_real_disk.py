"""The same outages on real file systems: one that fills up and one that is made read-only. Needs the right to mount."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.clock import system_clock
from collector.journal import Journal, JournalError, JournalSettings, read
from collector.records import Gap
from tests.journal.kit import Heard, ids, trades

pytestmark = pytest.mark.full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command here")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def opened(directory: Path, reserve: int = 0) -> Journal:
    journal = Journal(JournalSettings(directory=directory, reserve_bytes=reserve), system_clock, Heard())
    journal.open()
    return journal


def fill(journal: Journal) -> int:
    number = 0
    while journal.append(trades(number, 50)):
        number += 50
    return number


def test_a_real_full_disk_harms_nothing_and_collection_resumes_when_there_is_room(small_disk: Path) -> None:
    other = small_disk / "other"
    other.write_bytes(bytes(400_000))
    journal = opened(small_disk / "journal")
    accepted = fill(journal)
    assert journal.failing is not None
    assert (journal.failing.reason, journal.failing.error) == ("disk_full", "ENOSPC")
    assert ids([record for _, record in read(small_disk / "journal")]) == list(range(accepted))
    other.unlink()
    now = system_clock()
    journal.tend(now._replace(mono_ns=now.mono_ns + 2_000_000_000))
    assert journal.due
    assert journal.rotate([])
    assert journal.append(trades(accepted + 50, 1))
    journal.close()
    records = [record for _, record in read(small_disk / "journal")]
    assert ids(records) == [*range(accepted), accepted + 50]
    (gap,) = (record for record in records if isinstance(record, Gap))
    assert (gap.first, gap.last, gap.count) == (accepted, accepted + 49, 50)
    assert journal.durable == journal.accepted


def test_a_real_full_disk_at_the_start_is_an_outage(small_disk: Path) -> None:
    journal = opened(small_disk / "journal")
    fill(journal)
    with (small_disk / "rest").open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while rest.write(bytes(4096)):
            pass
    journal.close()
    again = opened(small_disk / "journal")
    assert again.failing is not None
    assert again.failing.error == "ENOSPC"
    again.close()


def test_the_reserve_is_kept_on_a_real_disk(small_disk: Path) -> None:
    journal = opened(small_disk / "journal", reserve=500_000)
    (small_disk / "other").write_bytes(bytes(700_000))
    journal.tend(system_clock())
    assert journal.failing is not None
    assert journal.failing.reason == "reserve"
    journal.close()


def test_a_disk_that_is_made_read_only_is_named(small_disk: Path) -> None:
    journal = opened(small_disk / "journal")
    journal.append(trades(0, 10))
    journal.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(JournalError, match="LOCK: Read-only file system; expected a writable directory"):
        opened(small_disk / "journal")
    assert ids([record for _, record in read(small_disk / "journal")]) == list(range(10))
