"""Reading a journal back."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.journal import JournalCorruptError, JournalError, Position, read, segments
from collector.journal.model import stream_of
from collector.records import AnyRecord
from tests.journal.kit import Bench, Market, gap, ids, others, quote, trade, trades

OTHERS = ("tickers", "candles", "funding", "open_interest", "liquidations", "instruments", "status")


def two_runs(bench: Bench) -> None:
    bench.journal.append(trades(0, 3))
    bench.journal.rotate(trades(3, 3))
    bench.again().open()
    bench.journal.append(trades(6, 3))


def test_a_directory_is_read_in_the_order_in_which_it_was_written(bench: Bench) -> None:
    two_runs(bench)
    (bench.settings.directory / "notes.txt").write_text("not ours")
    assert [segment.start for segment in segments(bench.settings.directory)] == [(1, 0), (1, 3), (2, 0)]
    assert ids(bench.records()) == list(range(9))


def test_one_segment_is_read_alone(bench: Bench) -> None:
    two_runs(bench)
    assert ids([record for _, record in read(bench.paths()[1])]) == [3, 4, 5]


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ((1, 0), 0),
        ((1, 2), 2),
        ((1, 3), 3),
        ((1, 5), 5),
        ((1, 77), 6),
        ((2, 0), 6),
        ((2, 2), 8),
        ((0, 9), 0),
        ((3, 0), 9),
    ],
)
def test_reading_starts_at_any_position(bench: Bench, start: tuple[int, int], first: int) -> None:
    two_runs(bench)
    found = list(read(bench.settings.directory, Position(*start)))
    assert ids([record for _, record in found]) == list(range(first, 9))
    everything = dict(zip(range(9), bench.positions(), strict=True))
    assert [position for position, _ in found] == [everything[number] for number in range(first, 9)]


def test_a_torn_last_line_of_the_newest_segment_is_not_read(bench: Bench) -> None:
    two_runs(bench)
    newest = bench.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-10])
    assert ids(bench.records()) == list(range(8))
    assert ids([record for _, record in read(newest)]) == [6, 7]


def test_a_torn_line_anywhere_else_is_an_error_with_its_place(bench: Bench) -> None:
    two_runs(bench)
    old = bench.paths()[0]
    old.write_bytes(old.read_bytes()[:-10])
    with pytest.raises(JournalCorruptError, match=f"{old}:3: the line has no end"):
        bench.records()
    with pytest.raises(JournalCorruptError, match=":3:"):
        list(read(old))


def test_a_line_that_is_no_record_is_an_error_with_its_place(bench: Bench) -> None:
    two_runs(bench)
    newest = bench.paths()[-1]
    lines = newest.read_bytes().splitlines(keepends=True)
    newest.write_bytes(lines[0] + b'{"type":"Trade"}\n' + lines[2])
    with pytest.raises(JournalCorruptError, match=f"{newest}:2: is no record: .*missing required field"):
        bench.records()


def test_what_is_no_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="nowhere: cannot be read: No such file"):
        segments(tmp_path / "nowhere")
    with pytest.raises(JournalError, match=r"nothing.jsonl: is no segment; expected .* named like 0000000001-0"):
        list(read(tmp_path / "nothing.jsonl"))


def test_a_segment_that_is_deleted_while_it_is_read_is_named(bench: Bench) -> None:
    two_runs(bench)
    reading = read(bench.settings.directory)
    next(reading)
    bench.paths()[1].unlink()
    with pytest.raises(JournalError, match="cannot be read: No such file"):
        list(reading)


@pytest.mark.parametrize(
    ("record", "channel"),
    [
        (trade(1), "trades"),
        (quote(1), "quotes"),
        (Market(1).snapshot(), "book"),
        (Market(1).delta(), "book"),
        (gap("quotes", "venue"), "quotes"),
        *zip(others(), OTHERS, strict=True),
    ],
)
def test_every_record_belongs_to_a_stream(record: AnyRecord, channel: str) -> None:
    assert stream_of(record) == ("binance", "spot", "BTC-USDT", "BTCUSDT", channel)


def test_the_table_above_has_every_type_of_record() -> None:
    samples = [trade(1), quote(1), Market(1).snapshot(), Market(1).delta(), gap("book", "venue"), *others()]
    assert {type(sample) for sample in samples} == set(AnyRecord.__args__)
