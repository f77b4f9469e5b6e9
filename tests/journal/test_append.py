"""Appending: what is accepted, where it is, and what a failed write leaves."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Callable

import pytest

from collector.journal import Position
from collector.journal.model import Reason
from tests.journal.kit import Bench, gap, ids, quote, trade, trades

MakeBench = Callable[..., Bench]


def test_a_burst_is_one_write(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.writes.clear()
    assert bench.journal.append(trades(1, 256))
    assert len(bench.disk.writes) == 1


def test_a_long_list_is_cut_into_writes_of_256_records(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.writes.clear()
    assert bench.journal.append(trades(1, 600))
    assert [args[0] for args in bench.heard.all("written")[1:]] == [256, 256, 88]
    assert len(bench.disk.writes) == 3
    assert ids(bench.records()) == list(range(601))


def test_what_was_accepted_is_counted_and_on_disk_before_any_sync(bench: Bench) -> None:
    bench.journal.append(trades(0, 2))
    bench.journal.append(trades(2, 3))
    journal = bench.journal
    assert (journal.accepted, journal.durable) == (5, 2)  # the first burst came with its segment, which is made durable
    assert journal.accepted_bytes == journal.size == sum(path.stat().st_size for path in bench.paths())
    assert ids(bench.records()) == [0, 1, 2, 3, 4]


def test_a_position_is_the_ordinal_in_the_epoch(bench: Bench) -> None:
    bench.journal.append(trades(0, 3))
    bench.journal.rotate(trades(3, 1))
    bench.journal.append(trades(4, 2))
    assert bench.positions() == [Position(1, offset) for offset in range(6)]
    assert [path.name for path in bench.paths()] == [
        "0000000001-0000000000000000.jsonl",
        "0000000001-0000000000000003.jsonl",
    ]
    assert bench.journal.position == Position(1, 6)
    assert str(bench.journal.position) == "1-6"


def test_an_empty_list_writes_nothing(bench: Bench) -> None:
    assert bench.journal.append([])
    assert bench.paths() == []


def test_before_open_nothing_can_be_appended(make: MakeBench) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        make().journal.append(trades(0, 1))


def test_short_writes_are_finished(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.most = 100
    assert bench.journal.append(trades(1, 5))
    assert len(bench.disk.writes) > 5
    assert ids(bench.records()) == list(range(6))


def test_a_system_that_writes_nothing_and_says_so_is_an_error_not_a_loop(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.most = 0
    assert not bench.journal.append(trades(1, 1))
    failing = bench.failing()
    assert failing is not None
    assert failing.error == "EIO"


def test_a_disk_that_fills_up_within_a_burst_leaves_what_was_accepted_and_nothing_else(bench: Bench) -> None:
    bench.journal.append(trades(0, 10))
    before = bench.paths()[0].read_bytes()
    bench.disk.room = len(before) // 2
    assert not bench.journal.append(trades(10, 10))
    assert bench.paths()[0].read_bytes() == before
    assert (bench.journal.accepted, bench.journal.dropped) == (10, 10)
    assert bench.heard.all("dropped") == [("disk_full", 10)]


def test_writes_of_a_long_list_that_were_done_stay_accepted_when_a_later_one_fails(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.room = bench.journal.size * 300
    assert not bench.journal.append(trades(1, 600))
    assert (bench.journal.accepted, bench.journal.dropped) == (257, 344)
    assert ids(bench.records()) == list(range(257))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EFBIG, "disk_full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "read_only"),
        (errno.EIO, "error"),
    ],
)
def test_the_reason_of_a_failure_is_named(bench: Bench, code: int, reason: Reason) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.broken["write"] = code
    assert not bench.journal.append(trades(1, 1))
    (failing,) = bench.heard.all("failing")
    assert failing == bench.failing()
    assert (failing.reason, failing.error, failing.path) == (reason, errno.errorcode[code], bench.paths()[0])
    assert failing.since_us == bench.clock.wall_us


def test_while_failing_nothing_is_tried_and_everything_is_counted(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.broken["write"] = errno.EIO
    bench.journal.append(trades(1, 1))
    bench.disk.calls.clear()
    assert not bench.journal.append([trade(2), quote(3)])
    assert bench.disk.calls == []
    assert bench.journal.dropped == 3


def test_a_gap_that_cannot_be_written_is_held_back_not_lost(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.broken["write"] = errno.EIO
    bench.journal.append([gap("trades", "sequence", 1, 5), trade(6)])
    assert bench.journal.dropped == 1


def test_the_first_segment_that_cannot_be_made_drops_its_records_and_leaves_no_file(bench: Bench) -> None:
    bench.disk.broken["rename"] = errno.ENOSPC
    assert not bench.journal.append(trades(0, 3))
    assert bench.paths() == []
    assert not any(name.endswith(".jsonl.new") for name in bench.files())
    assert bench.journal.dropped == 3


def test_a_file_size_limit_of_the_real_system_harms_nothing_that_was_accepted(make: MakeBench) -> None:
    bench = make()
    bench.journal.open()
    bench.journal.append(trades(0, 10))
    before = bench.paths()[0].read_bytes()
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN  # as Python starts
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 700, hard))
    try:
        accepted = bench.journal.append(trades(10, 10))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not accepted
    assert bench.paths()[0].read_bytes() == before
    failing = bench.failing()
    assert failing is not None
    assert failing.error == "EFBIG"
    bench.tend()
    assert bench.due()
    assert bench.journal.rotate([])
    assert bench.journal.append(trades(20, 10))
    assert ids(bench.records()) == [*range(10), *range(20, 30)]
