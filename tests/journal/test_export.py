"""Export to Parquet."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from collector import export as export_module
from collector.export import TYPES, ExportError, MissingExtraError, export, schema_of
from collector.journal import Journal
from tests.journal.kit import START_US, Bench, Market, gap, others, quote, trade, trades

DAY_US = 86_400_000_000


def rows(out: Path, kind: str) -> list[dict[str, Any]]:
    """As any reader of a Hive-partitioned dataset sees them."""
    table = ds.dataset(out / kind, partitioning="hive").to_table()
    found: list[dict[str, Any]] = table.sort_by([("epoch", "ascending"), ("offset", "ascending")]).to_pylist()
    return found


def untouched(path: Path) -> bool:
    """Neither the output nor anything half made beside it."""
    return sorted(each.name for each in path.parent.iterdir()) == ["journal"]


@pytest.fixture
def journal_dir(bench: Bench) -> Path:
    """Trades of two venues and two days, a quote, a book and a gap, in three segments of two runs."""
    market = Market(1)
    bench.journal.append([trade(1), trade(2, "ETH-USDT"), quote(3), market.snapshot("sync"), market.delta()])
    bench.journal.rotate(
        [market.snapshot(), trade(4, venue="kraken", price="1.10", size="0.000000010", traceparent="00-a")]
    )
    bench.again().open()
    bench.journal.append([gap("trades", "restart", 5), trade(9, recv_ts=START_US + DAY_US)])
    bench.journal.append([trade(10, recv_ts=None, ts=START_US), trade(11, recv_ts=None)])
    return bench.settings.directory


def test_every_record_is_a_row_of_its_types_dataset(journal_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = export(journal_dir, out)
    assert report.rows == {"Trade": 6, "Quote": 1, "BookSnapshot": 2, "BookDelta": 1, "Gap": 1}
    assert report.read == 11
    assert report.directory == out
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert report.files == len(files)
    assert report.size == sum((out / name).stat().st_size for name in files)
    day = datetime.fromtimestamp(START_US // 1_000_000, UTC).date()
    assert f"Trade/venue=kraken/date={day}/part-0000.parquet" in files
    assert f"Trade/venue=binance/date={day + timedelta(days=1)}/part-0000.parquet" in files
    assert "Trade/venue=binance/date=__HIVE_DEFAULT_PARTITION__/part-0000.parquet" in files
    assert {name.split("/")[0] for name in files} == set(report.rows)


def test_every_type_of_record_can_be_exported(bench: Bench, tmp_path: Path) -> None:
    bench.journal.append([trade(1), quote(2), Market(1).snapshot(), Market(1).delta(), gap("book", "venue"), *others()])
    out = tmp_path / "out"
    assert set(export(bench.settings.directory, out).rows) == set(TYPES)
    assert rows(out, "Candle")[0]["closed"] is True
    assert (rows(out, "OpenInterest")[0]["contract_size"], rows(out, "Ticker")[0]["contract_size"]) == ("0.01", None)


def test_text_stays_exact_and_null_stays_null(journal_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(journal_dir, out)
    found = {row["id"]: row for row in rows(out, "Trade")}
    assert found["4"]["price"] == "1.10"
    assert found["4"]["size"] == "0.000000010"
    assert found["4"]["traceparent"] == "00-a"
    assert found["1"]["traceparent"] is None
    assert found["11"]["ts"] is None
    assert found["11"]["recv_ts"] is None
    assert found["1"]["recv_ts"] == START_US + 1
    assert found["4"]["venue"] == "kraken"
    assert (found["9"]["epoch"], found["9"]["offset"]) == (2, 1)


def test_a_books_levels_come_back_as_they_were(journal_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(journal_dir, out)
    market = Market(1)
    snapshot, delta = market.snapshot(), market.delta()
    first = rows(out, "BookSnapshot")[0]
    assert [(level["price"], level["size"]) for level in first["bids"]] == snapshot.bids
    assert [(level["price"], level["size"]) for level in rows(out, "BookDelta")[0]["asks"]] == delta.asks
    assert first["last_seq"] == snapshot.last_seq


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"types": ["Quote", "Gap"]}, {"Quote": 1, "Gap": 1}),
        ({"venues": ["kraken"]}, {"Trade": 1}),
        ({"instruments": ["ETH-USDT"]}, {"Trade": 1}),
        ({"since": START_US + DAY_US}, {"Trade": 1}),
        ({"types": ["Trade"], "since": START_US + 1, "until": START_US + 4}, {"Trade": 2}),
        ({"types": ["Trade"], "until": START_US + 1}, {"Trade": 1}),
    ],
)
def test_filters_choose(journal_dir: Path, tmp_path: Path, filters: dict[str, Any], expected: dict[str, int]) -> None:
    report = export(journal_dir, tmp_path / "out", **filters)
    assert report.rows == expected
    assert report.read == 11


def test_a_filter_that_matches_nothing_is_an_error_and_writes_nothing(journal_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="none of its 11 records matches"):
        export(journal_dir, tmp_path / "out", venues=["okx"])
    assert untouched(tmp_path / "out")


def test_an_unknown_type_is_named_with_the_nearest(journal_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"Trades: is no record type; expected one of Trade, .*; did you mean Trade\?"
    ):
        export(journal_dir, tmp_path / "out", types=["Trades"])


def test_an_empty_journal_is_named_and_nothing_is_written(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="the journal is empty"):
        export(bench.settings.directory, tmp_path / "out")
    assert untouched(tmp_path / "out")


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.write_text("x"), lambda _: None], ids=["bare", "file", "none"]
)
def test_what_is_no_journal_is_named_and_nothing_is_written(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "journal")
    with pytest.raises(ExportError, match=r"journal: (is no journal|cannot be read)"):
        export(tmp_path / "journal", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damage_is_named_with_its_place_and_nothing_is_left(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "PARTITION_BYTES", 1)  # so that files are there when the damage is met
    bench.journal.append(trades(0, 3))
    path = bench.paths()[0]
    path.write_bytes(path.read_bytes().replace(b'"id":"2"', b'"id":2', 1))
    with pytest.raises(ExportError, match=f"{path}:3: is no record"):
        export(bench.settings.directory, tmp_path / "out")
    assert untouched(tmp_path / "out")


def test_an_output_that_is_there_is_not_touched_unless_told(journal_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(journal_dir, out, types=["Quote"])
    with pytest.raises(ExportError, match="out: is there already"):
        export(journal_dir, out)
    assert not (out / "Trade").exists()
    export(journal_dir, out, types=["Trade"], overwrite=True)
    assert [path.name for path in out.iterdir()] == ["Trade"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "out"]


def test_only_an_earlier_export_is_overwritten(journal_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match=r"holds thesis.tex, which is no export's"):
        export(journal_dir, out, overwrite=True)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_a_file_is_never_overwritten(journal_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ExportError, match="is no directory; only an earlier export"):
        export(journal_dir, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out").read_text() == "mine"


def test_the_earlier_export_stays_when_the_new_one_cannot_take_its_place(
    journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export(journal_dir, out, types=["Quote"])
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(5, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ExportError, match="Input/output error"):
        export(journal_dir, out, types=["Trade"], overwrite=True)
    assert [path.name for path in out.iterdir()] == ["Quote"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "out"]


def test_a_missing_extra_is_named_with_its_install_command(
    journal_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else "there")
    with pytest.raises(MissingExtraError, match=r"pyarrow.*pip install 'marketprism\[export\]'"):
        export(journal_dir, tmp_path / "out")
    assert untouched(tmp_path / "out")


def test_the_live_segments_torn_end_does_not_stop_an_export(journal_dir: Path, tmp_path: Path) -> None:
    newest = max(journal_dir.glob("*.jsonl"))
    newest.write_bytes(newest.read_bytes() + b'{"type":"Tr')
    assert export(journal_dir, tmp_path / "out").read == 11


def test_a_segment_that_retention_deletes_meanwhile_is_counted(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.journal.append(trades(0, 3))
    bench.journal.rotate(trades(3, 3))
    found = export_module._segments_of(bench.settings.directory)
    bench.paths()[0].unlink()
    monkeypatch.setattr(export_module, "_segments_of", lambda _: found)
    report = export(bench.settings.directory, tmp_path / "out")
    assert (report.rows["Trade"], report.deleted) == (3, 1)


@pytest.mark.parametrize(("progress", "seen"), [("always", True), ("auto", False), ("never", False)])
def test_progress_goes_to_stderr_only_when_wanted(
    journal_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    progress: export_module.Progress,
    seen: bool,  # noqa: FBT001 - a table's column
) -> None:
    export(journal_dir, tmp_path / "out", progress=progress)
    output = capsys.readouterr()
    assert ("export: 100%" in output.err) is seen
    assert output.out == ""


@pytest.mark.parametrize(("partition", "waiting"), [(4000, 1 << 30), (1 << 30, 6000)])
def test_memory_is_bounded_by_writing_early_and_keeping_few_files_open(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partition: int, waiting: int
) -> None:
    monkeypatch.setattr(export_module, "PARTITION_BYTES", partition)
    monkeypatch.setattr(export_module, "WAITING_BYTES", waiting)
    monkeypatch.setattr(export_module, "OPEN_FILES", 2)
    journal: Journal = bench.journal
    for number in range(400):
        journal.append([trade(number, recv_ts=START_US + (number % 5) * DAY_US)])
    out = tmp_path / "out"
    report = export(bench.settings.directory, out)
    assert report.rows["Trade"] == 400
    assert report.files > 5
    groups = [pq.ParquetFile(path).num_row_groups for path in out.rglob("*.parquet")]
    assert sum(groups) >= 400 * 250 // max(min(partition, waiting), 1) // 2
    assert [row["id"] for row in rows(out, "Trade")] == [str(number) for number in range(400)]


def test_an_output_that_cannot_be_made_is_named(journal_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"file.*: cannot be written: (File exists|Not a directory)"):
        export(journal_dir, tmp_path / "file" / "out")


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_of_record_has_columns(kind: str) -> None:
    assert schema_of(kind).names[:3] == ["epoch", "offset", "schema"]


def test_the_partial_export_is_named_after_its_process(journal_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / f".out.{os.getpid() + 1}.partial"
    other.mkdir()
    export(journal_dir, tmp_path / "out")
    assert other.exists()


def test_what_a_killed_export_of_the_same_process_id_left_is_not_exported(journal_dir: Path, tmp_path: Path) -> None:
    left = tmp_path / f".out.{os.getpid()}.partial" / "Quote" / "venue=okx" / "date=2020-01-01"
    left.mkdir(parents=True)
    (left / "part-0000.parquet").write_text("torn")
    report = export(journal_dir, tmp_path / "out", types=["Trade"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Trade"]
    assert report.files == len(list((tmp_path / "out").rglob("*.parquet")))
