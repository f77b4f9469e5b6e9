"""Opening: the lock, the epoch, the repair of a torn end, and the Gaps of a restart."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.clock import Now
from collector.journal import JournalError, JournalLockedError, Position, Tail, recovery, restart_gaps
from collector.records import Gap, encode_lines
from tests.journal.kit import START_US, Bench, Market, gap, ids, quote, trade, trades

MakeBench = Callable[..., Bench]
NOW = Now(0, START_US + 99)


def test_the_directory_is_made_for_the_owner_only(bench: Bench) -> None:
    assert bench.settings.directory.stat().st_mode & 0o777 == 0o700
    bench.journal.append(trades(0, 1))
    assert {path.stat().st_mode & 0o777 for path in bench.settings.directory.iterdir()} == {0o600}


def test_a_new_directory_has_nothing_to_tell(make: MakeBench) -> None:
    opened = make().journal.open()
    assert (opened.epoch, opened.tail, opened.streams, opened.segments, opened.size) == (1, None, (), 0, 0)


def test_a_second_collector_is_refused_by_name(bench: Bench) -> None:

    with pytest.raises(JournalLockedError, match=f"is in use by process {os.getpid()}; .*LOCK"):
        bench.new().open()
    bench.journal.append(trades(0, 1))
    assert ids(bench.records()) == [0]


def test_after_a_close_the_next_collector_may_open(bench: Bench) -> None:
    assert bench.again().open().epoch == 2


def test_a_file_in_the_directorys_place_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("")
    with pytest.raises(JournalError, match=f"{path}: .*expected a writable directory"):
        Bench(path).journal.open()


def test_a_directory_that_cannot_be_repaired_is_refused_and_unlocked(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    bench.journal.close()
    bench.paths()[0].write_bytes(bench.paths()[0].read_bytes() + b"torn")
    bench.disk.broken["truncate"] = errno.EROFS
    with pytest.raises(JournalError, match="Read-only"):
        bench.new().open()
    bench.disk.broken.clear()
    assert bench.again().open().epoch == 2


def test_the_epoch_rises_with_every_start_also_when_nothing_was_written_or_everything_was_deleted(bench: Bench) -> None:
    bench.journal.append(trades(0, 1))
    assert bench.again().open().epoch == 2
    assert bench.again().open().epoch == 3
    for path in bench.paths():
        path.unlink()
    assert bench.again().open().epoch == 4
    bench.journal.append(trades(0, 1))
    assert bench.positions() == [Position(4, 0)]


def test_the_epoch_is_above_every_segments_also_when_its_file_is_lost(bench: Bench) -> None:
    bench.again().open()
    bench.journal.append(trades(0, 1))
    (bench.settings.directory / recovery.EPOCH).unlink()
    assert bench.again().open().epoch == 3


def test_an_epoch_file_that_is_no_number_is_refused(bench: Bench) -> None:
    (bench.settings.directory / recovery.EPOCH).write_text("seven\n")
    with pytest.raises(JournalError, match=r"EPOCH: expected one number.* got 'seven'"):
        bench.again().open()


def test_a_head_that_a_crash_left_unfinished_is_removed(bench: Bench) -> None:
    leftover = bench.settings.directory / "0000000001-0000000000000000.jsonl.new"
    leftover.write_bytes(encode_lines(trades(0, 2)))
    bench.again().open()
    assert not leftover.exists()


LINES = encode_lines([trade(0), quote(1), Market(1).snapshot(), trade(3), gap("book", "sequence"), trade(5)])


@given(st.integers(0, len(LINES)))
def test_a_file_that_was_cut_anywhere_keeps_all_whole_lines_and_nothing_else(cut: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        path = bench.settings.directory / "0000000001-0000000000000000.jsonl"
        path.write_bytes(LINES[:cut])
        opened = bench.journal.open()
        whole = LINES[: LINES.rfind(b"\n", 0, cut) + 1]
        assert path.exists() is bool(whole)
        assert not whole or path.read_bytes() == whole
        assert opened.epoch == 2
        torn = cut - len(whole)
        assert opened.tail == (Tail(path, torn, 0, None) if torn else None)
        assert bench.heard.all("tail_cut") == ([opened.tail] if torn else [])
        assert not any(name.endswith(".damaged") for name in bench.files())
        bench.journal.append(trades(6, 1))
        assert len(bench.records()) == whole.count(b"\n") + 1
        bench.journal.close()


@given(st.binary(min_size=1, max_size=40))
def test_whatever_bytes_a_power_loss_leaves_at_the_end_are_cut_off(noise: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        path = bench.settings.directory / "0000000001-0000000000000000.jsonl"
        path.write_bytes(LINES + noise)
        opened = bench.journal.open()
        bench.journal.close()
        assert path.read_bytes() == LINES
        assert opened.tail == Tail(path, len(noise), 0, None)


@pytest.mark.parametrize("damage", [b"\0" * 30, b'{"type":"Trade"}', b"\xff\xfe", b'{"type":"Nothing"}', b""])
def test_valid_records_behind_a_damaged_line_are_kept_beside_the_segment_and_counted(
    bench: Bench, damage: bytes
) -> None:
    lines = LINES.splitlines(keepends=True)
    bench.journal.append(trades(0, 1))
    path = bench.paths()[0]
    rest = damage + b"\n" + b"".join(lines[3:]) + b'{"ty'
    path.write_bytes(b"".join(lines[:2]) + rest)
    tail = bench.again().open().tail
    damaged = path.with_name(path.name + ".damaged")
    assert tail == Tail(path, len(rest), 3, damaged)
    assert path.read_bytes() == b"".join(lines[:2])
    assert damaged.read_bytes() == rest


def test_only_whole_lines_survive_also_when_the_torn_one_happens_to_be_complete_json(bench: Bench) -> None:
    bench.journal.append(trades(0, 2))
    path = bench.paths()[0]
    path.write_bytes(path.read_bytes()[:-1])
    bench.again().open()
    assert ids(bench.records()) == [0]


def gaps_of(bench: Bench) -> list[Gap]:
    return restart_gaps(bench.again().open(), NOW)


def test_each_stream_of_the_last_run_gets_a_restart_gap_that_names_the_next_trade(bench: Bench) -> None:
    market = Market(1)
    bench.journal.append([trade(7), trade(8), quote(1), market.snapshot(), trade(3, "ETH-USDT", id="x")])
    found = gaps_of(bench)
    assert [(each.instrument, each.symbol, each.channel, each.first) for each in found] == [
        ("BTC-USDT", "BTCUSDT", "trades", 9),
        ("BTC-USDT", "BTCUSDT", "quotes", None),
        ("BTC-USDT", "BTCUSDT", "book", None),
        ("ETH-USDT", "ETHUSDT", "trades", None),
    ]
    for each in found:
        assert (each.last, each.count, each.cause, each.repaired_ts) == (None, None, "restart", None)
        assert (each.detected_ts, each.recv_ts, each.ts) == (NOW.wall_us, NOW.wall_us, None)


def test_what_was_seen_last_is_told_with_its_time(bench: Bench) -> None:
    bench.journal.append([trade(7), trade(9), quote(20)])
    streams = bench.again().open().streams
    assert [(seen.stream.channel, seen.last_id, seen.last_recv_us) for seen in streams] == [
        ("trades", 9, START_US + 9),
        ("quotes", None, START_US + 20),
    ]


def test_a_quiet_stream_is_found_in_an_earlier_segment_of_the_run(bench: Bench) -> None:
    bench.journal.append([trade(7), trade(40, "ETH-USDT")])
    bench.journal.rotate([trade(8)])
    bench.journal.rotate([quote(1), gap("trades", "undecodable")])
    assert {(each.instrument, each.channel, each.first) for each in gaps_of(bench)} == {
        ("BTC-USDT", "trades", 9),
        ("ETH-USDT", "trades", 41),
        ("BTC-USDT", "quotes", None),
    }


def test_the_look_back_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.journal.append([trade(40, "ETH-USDT")])
    bench.journal.rotate([trade(8)])
    bench.journal.rotate([quote(1)])
    monkeypatch.setattr(recovery, "LOOK_BACK_BYTES", bench.paths()[1].stat().st_size)
    assert {(each.instrument, each.channel) for each in gaps_of(bench)} == {
        ("BTC-USDT", "trades"),
        ("BTC-USDT", "quotes"),
    }


def test_a_stream_that_was_told_lost_and_not_seen_again_is_told_once_more_with_its_id(bench: Bench) -> None:
    bench.journal.append([trade(7), quote(1)])
    first = gaps_of(bench)
    bench.journal.append(first)
    second = gaps_of(bench)
    assert [(each.channel, each.first) for each in second] == [("trades", 8), ("quotes", None)]
    bench.journal.append(second)
    assert len(gaps_of(bench)) == 2


def test_damage_in_an_earlier_segment_does_not_keep_the_collector_from_starting(bench: Bench) -> None:
    bench.journal.append([trade(7), trade(8)])
    bench.journal.rotate([quote(1)])
    old = bench.paths()[0]
    old.write_bytes(b"garbage\n" + old.read_bytes())
    assert {(each.channel, each.first) for each in gaps_of(bench)} == {("quotes", None), ("trades", 9)}
