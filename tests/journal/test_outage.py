"""An outage of the journal: how it is noticed, that it ends by itself, and that the records say what is missing."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from collector.journal import losses
from collector.journal.system import Space
from collector.records import BookSnapshot, Gap
from tests.journal.kit import START_US, Bench, Market, gap, ids, quote, rebuild, trade, trades

MakeBench = Callable[..., Bench]
GIB = 1 << 30


def fill_up(bench: Bench) -> None:
    bench.disk.room = 0
    bench.journal.append(trades(900, 1))
    assert bench.failing()


def make_room(bench: Bench) -> None:
    bench.disk.room = None
    bench.tend()
    assert bench.due()


def test_the_disk_is_tried_once_a_second_until_it_takes_data_again(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    fill_up(bench)
    bench.disk.calls.clear()
    bench.tend(0.5)
    assert "write" not in bench.disk.calls
    bench.tend(0.5)
    assert "write" in bench.disk.calls
    assert not bench.due()
    bench.disk.room = None
    bench.tend(0.9)
    assert not bench.due()
    bench.tend(0.1)
    assert bench.due()
    assert bench.failing()  # until the service has given the snapshots


def test_after_an_outage_a_new_segment_tells_what_each_stream_lost(bench: Bench) -> None:
    market = Market(1)
    bench.journal.append([market.snapshot("sync"), trade(1), quote(1)])
    bench.disk.room = 0
    bench.clock.advance(5)
    bench.journal.append([trade(2), trade(3), quote(2)])
    bench.journal.append([trade(4), market.delta(), market.delta(), trade(7, "ETH-USDT", id="a-b")])
    make_room(bench)
    assert bench.journal.rotate([market.snapshot()])
    assert bench.failing() is None
    head = [record for record in bench.records() if isinstance(record, Gap) and record.repaired_ts is None]
    assert [(each.instrument, each.channel, each.first, each.last, each.count) for each in head] == [
        ("BTC-USDT", "trades", 2, 4, 3),
        ("BTC-USDT", "quotes", None, None, 1),
        ("BTC-USDT", "book", None, None, 2),
        ("ETH-USDT", "trades", None, None, 1),
    ]
    assert {each.cause for each in head} == {"journal"}
    assert {each.detected_ts for each in head} == {START_US + 5_000_000}
    assert {each.recv_ts for each in head} == {START_US + 6_000_000}
    (recovered,) = bench.heard.all("recovered")
    assert (recovered.was.reason, recovered.gaps) == ("disk_full", tuple(head))
    assert [rotated.kind for rotated in bench.heard.all("rotated")] == ["first", "recovered"]


def test_a_book_whose_snapshot_is_in_the_new_head_is_told_whole_again(bench: Bench) -> None:
    market = Market(1)
    bench.journal.append([market.snapshot("sync")])
    bench.disk.room = 0
    bench.journal.append([market.delta(), trade(1)])
    make_room(bench)
    bench.journal.rotate([market.snapshot()])
    lost, _, snapshot, whole = bench.records()[1:]
    assert isinstance(lost, Gap)
    assert isinstance(snapshot, BookSnapshot)
    assert isinstance(whole, Gap)
    assert (whole.channel, whole.detected_ts) == ("book", lost.detected_ts)
    assert whole.repaired_ts == bench.clock.wall_us
    assert rebuild(bench.records())["BTC-USDT"] == (market.seq, market.sides)


def test_a_gap_that_was_found_during_the_outage_is_written_first(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    fill_up(bench)
    found = gap("trades", "sequence", 1, 899)
    bench.journal.append([found])
    make_room(bench)
    bench.journal.rotate([])
    assert bench.records()[1] == found


def test_the_journal_tells_only_its_own_gaps_of_a_book_whole(bench: Bench) -> None:
    market = Market(1)
    bench.journal.append([market.snapshot("sync")])
    bench.disk.room = 0
    bench.journal.append([gap("book", "sequence"), market.delta()])
    make_room(bench)
    bench.journal.rotate([market.snapshot()])
    told = [(each.cause, each.repaired_ts is not None) for each in bench.records() if isinstance(each, Gap)]
    assert told == [("sequence", False), ("journal", False), ("journal", True)]


def test_when_too_many_gaps_were_held_back_the_streams_loss_has_an_unknown_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "HELD_GAPS", 1)
    bench.journal.append(trades(0, 1))
    bench.disk.room = 0
    bench.journal.append([gap("trades", "sequence", 1, 5), gap("trades", "sequence", 8, 9), trade(10)])
    make_room(bench)
    bench.journal.rotate([])
    held, lost = bench.records()[1:]
    assert isinstance(held, Gap)
    assert isinstance(lost, Gap)
    assert (held.first, held.last) == (1, 5)
    assert (lost.first, lost.last, lost.count) == (8, 10, None)
    assert bench.journal.dropped == 2


def test_a_second_outage_does_not_repeat_the_first_ones_losses(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    fill_up(bench)
    make_room(bench)
    bench.journal.rotate([])
    bench.disk.room = 0
    bench.journal.append([quote(5)])
    make_room(bench)
    bench.journal.rotate([])
    assert [each.channel for each in bench.records() if isinstance(each, Gap)] == ["trades", "quotes"]


def test_when_the_new_segment_does_not_fit_the_outage_goes_on_and_nothing_is_forgotten(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    fill_up(bench)
    make_room(bench)
    bench.disk.room = 50
    assert not bench.journal.rotate(trades(1000, 10))
    assert bench.failing()
    assert not bench.due()
    assert len(bench.paths()) == 1
    make_room(bench)
    assert bench.journal.rotate([])
    assert [each.channel for each in bench.records() if isinstance(each, Gap)] == ["trades"]


def test_a_torn_write_that_could_not_be_cut_off_is_cut_off_before_anything_else_is_written(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.room = 40
    bench.disk.broken["truncate"] = errno.EIO
    bench.journal.append(trades(1, 1))
    assert bench.paths()[0].stat().st_size == bench.journal.size + 40
    bench.disk.room = None
    bench.tend()
    assert not bench.due()  # the tail is still torn
    del bench.disk.broken["truncate"]
    bench.tend()
    assert bench.due()
    assert bench.journal.rotate(trades(2, 1))
    assert ids(bench.records()) == [0, 2]


def test_below_the_reserve_nothing_is_written_and_nothing_is_deleted(make: MakeBench) -> None:
    bench = make(reserve_bytes=GIB)
    bench.journal.open()
    bench.journal.append(trades(0, 1))
    bench.disk.space = Space(GIB - 1, 100 * GIB)
    bench.tend()
    failing = bench.failing()
    assert failing is not None
    assert failing.reason == "reserve"
    assert "1073741824" in failing.detail
    assert not bench.journal.append(trades(1, 1))
    assert bench.heard.all("dropped") == [("reserve", 1)]
    assert ids(bench.records()) == [0]
    assert bench.heard.all("deleted") == []


def test_writing_resumes_only_with_a_margin_above_the_reserve(make: MakeBench) -> None:
    bench = make(reserve_bytes=GIB)
    bench.journal.open()
    bench.disk.space = Space(GIB - 1, 100 * GIB)
    bench.tend()
    bench.disk.space = Space(GIB + 1, 100 * GIB)
    bench.tend()
    assert not bench.due()
    bench.disk.space = Space(GIB + GIB // 16, 100 * GIB)
    bench.tend()
    assert bench.due()
    assert bench.journal.free == GIB + GIB // 16


@pytest.mark.parametrize(("total", "reserve"), [(100 * GIB, GIB), (GIB, GIB // 20)])
def test_by_default_the_reserve_is_a_gibibyte_or_a_twentieth_of_the_disk(
    bench: Bench, total: int, reserve: int
) -> None:
    journal = bench.again()
    bench.disk.space = Space(reserve, total)
    journal.open()
    assert journal.failing is None
    bench.disk.space = Space(reserve - 1, total)
    bench.tend()
    assert journal.failing is not None


def test_a_reserve_of_zero_is_none(make: MakeBench) -> None:
    bench = make(reserve_bytes=0)
    bench.disk.space = Space(0, GIB)
    bench.journal.open()
    assert bench.failing() is None


def test_a_disk_that_is_full_at_the_start_is_an_outage_with_a_gap_not_a_crash(bench: Bench) -> None:
    bench.disk.room = 0
    journal = bench.again()
    journal.open()
    assert journal.failing is not None
    assert journal.failing.reason == "disk_full"
    journal.append([gap("trades", "restart", 5), trade(9)])
    make_room(bench)
    assert journal.rotate([])
    assert [(each.cause, each.first) for each in bench.records() if isinstance(each, Gap)] == [
        ("restart", 5),
        ("journal", 9),
    ]


def test_a_failed_sync_is_never_counted_as_durable_and_ends_the_segment(bench: Bench) -> None:
    bench.journal.append(trades(0, 2))
    bench.journal.append(trades(2, 3))
    bench.disk.broken["sync_data"] = errno.EIO
    bench.tend()
    failing = bench.failing()
    assert failing is not None
    assert failing.error == "EIO"
    del bench.disk.broken["sync_data"]
    bench.tend()
    assert bench.journal.rotate(trades(10, 1))
    bench.journal.append(trades(11, 1))
    bench.tend()
    assert (bench.journal.accepted, bench.journal.durable) == (7, 4)
    assert len(bench.paths()) == 2


def test_a_segment_that_was_deleted_under_the_journals_hands_is_noticed(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.paths()[0].unlink()
    bench.journal.append(trades(1, 1))
    bench.tend()
    failing = bench.failing()
    assert failing is not None
    assert failing.error == "ENOENT"
    bench.tend()
    assert bench.journal.rotate(trades(2, 1))
    assert ids(bench.records()) == [2]
    assert bench.journal.durable < bench.journal.accepted


def test_a_directory_that_vanished_is_an_outage(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.disk.broken["space"] = errno.ENOENT
    bench.tend()
    failing = bench.failing()
    assert failing is not None
    assert failing.path == bench.settings.directory
