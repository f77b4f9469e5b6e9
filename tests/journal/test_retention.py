"""Retention: what may be deleted, and what a reader is told about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from collector.journal import Position
from tests.journal.kit import Bench, ids, trades

MakeBench = Callable[..., Bench]
DAY = 86_400.0


def three_segments(make: MakeBench, **settings: float) -> Bench:
    bench = make(**settings)
    bench.journal.open()
    bench.journal.append(trades(0, 10))
    bench.journal.rotate(trades(10, 10))
    bench.journal.rotate(trades(20, 10))
    return bench


def test_a_closed_segment_goes_when_it_is_old_and_the_live_one_never(make: MakeBench) -> None:
    bench = three_segments(make, retain_age_s=DAY)
    bench.tend(DAY - 1)
    assert bench.heard.all("deleted") == []
    bench.tend(60)
    assert ids(bench.records()) == list(range(20, 30))
    assert [(each.first, each.end, each.reason) for each in bench.heard.all("deleted")] == [
        (Position(1, 0), Position(1, 10), "age"),
        (Position(1, 10), Position(1, 20), "age"),
    ]
    bench.tend(1000 * DAY)
    assert bench.journal.segments == len(bench.paths()) == 1
    assert bench.journal.size == bench.paths()[0].stat().st_size


def test_age_counts_from_the_last_write_also_of_an_earlier_run(make: MakeBench) -> None:
    bench = three_segments(make, retain_age_s=DAY)
    first, second, third = bench.paths()
    now = bench.clock.wall_us / 1e6
    for path, age in ((first, 2 * DAY), (second, DAY + 1), (third, DAY / 2)):
        os.utime(path, (now - age, now - age))
    bench.again().open()
    bench.tend()
    assert bench.paths() == [third]


def test_over_the_size_limit_the_oldest_goes_first_and_no_more_than_needed(make: MakeBench) -> None:
    bench = three_segments(make)
    size = bench.journal.size
    bench.settings = type(bench.settings)(directory=bench.settings.directory, retain_bytes=size - 1)
    bench.again().open()
    bench.tend()
    assert ids(bench.records()) == list(range(10, 30))
    assert [each.reason for each in bench.heard.all("deleted")] == ["size"]


def test_what_a_rotation_makes_too_much_goes_at_the_next_second(make: MakeBench) -> None:
    bench = make(retain_bytes=5000)
    bench.journal.open()
    bench.tend()
    bench.journal.append(trades(0, 30))
    bench.journal.rotate(trades(30, 1))
    bench.tend()
    assert ids(bench.records()) == [30]


def test_the_live_segment_counts_against_the_limit_but_stays(make: MakeBench) -> None:
    bench = three_segments(make, retain_bytes=1)
    bench.tend()
    assert ids(bench.records()) == list(range(20, 30))


def test_an_old_segment_waits_for_its_reader(make: MakeBench) -> None:
    bench = three_segments(make, retain_age_s=DAY)
    cursor = bench.journal.register_cursor("redis", Position(1, 10))
    bench.tend(2 * DAY)
    assert ids(bench.records()) == list(range(10, 30))
    cursor.position = Position(1, 20)
    bench.tend(60)
    assert ids(bench.records()) == list(range(20, 30))
    assert cursor.lost == []


def test_over_the_size_limit_an_unread_segment_goes_too_and_its_reader_is_told(make: MakeBench) -> None:
    bench = three_segments(make, retain_bytes=1, retain_age_s=DAY)
    behind = bench.journal.register_cursor("redis", Position(1, 5))
    ahead = bench.journal.register_cursor("nats", Position(1, 25))
    bench.tend(2 * DAY)
    assert behind.lost == [(Position(1, 5), Position(1, 10)), (Position(1, 10), Position(1, 20))]
    assert behind.position == Position(1, 20)
    assert (ahead.lost, ahead.position) == ([], Position(1, 25))
    assert [(each.reason, each.unread_by) for each in bench.heard.all("deleted")] == [("size", ("redis",))] * 2


def test_a_segment_that_cannot_be_deleted_is_reported_and_tried_again(make: MakeBench) -> None:
    bench = three_segments(make, retain_age_s=DAY)
    bench.disk.broken["unlink"] = errno.EACCES
    bench.tend(2 * DAY)
    assert len(bench.heard.all("delete_failed")) == 2
    assert bench.journal.segments == 3
    bench.tend(1)
    assert len(bench.heard.all("delete_failed")) == 2
    bench.disk.broken.clear()
    bench.tend(60)
    assert bench.journal.segments == 1


def test_a_segment_that_somebody_else_deleted_is_gone(make: MakeBench) -> None:
    bench = three_segments(make, retain_age_s=DAY)
    bench.paths()[0].unlink()
    bench.tend(2 * DAY)
    assert bench.heard.all("delete_failed") == []
    assert bench.journal.segments == 1


def test_a_cursor_reads_from_its_position_over_segments_and_runs_to_what_is_accepted(make: MakeBench) -> None:
    bench = three_segments(make)
    cursor = bench.journal.register_cursor("redis", Position(1, 8))
    read = list(cursor.read())
    assert [position for position, _ in read] == [Position(1, offset) for offset in range(8, 30)]
    assert all(line.endswith(b"\n") for _, line in read)
    cursor.position = Position(1, 30)
    assert list(cursor.read()) == []
    bench.journal.append(trades(30, 1))
    assert [position for position, _ in cursor.read()] == [Position(1, 30)]


def test_a_cursor_never_reads_a_torn_write_and_goes_on_into_the_next_run(make: MakeBench) -> None:
    bench = three_segments(make)
    with bench.paths()[-1].open("ab") as file:
        file.write(b'{"type":"Trade"}\n')
    cursor = bench.journal.register_cursor("redis", Position(1, 29))
    assert [position for position, _ in cursor.read()] == [Position(1, 29)]
    bench.again().open()
    bench.journal.append(trades(30, 1))
    again = bench.journal.register_cursor("redis", Position(1, 29))
    assert [position for position, _ in again.read()] == [Position(1, 29), Position(2, 0)]
