"""A journal as Parquet: one dataset folder a record type, partitioned by venue and UTC date.

It owns the mapping from records to columns: every field is a column under its own name, text stays text (a price is
never a float), book levels are lists of (price, size), and `epoch`, `offset` say where in the journal a row stood.
Memory is bounded, whatever the journal's size. Nothing is at the output path until all of it is: the dataset is made
beside it and renamed. It reads without a lock, so the collector may run; it never writes to the journal.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import shutil
import sys
import types as python_types
import typing
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET

from collector.journal import JournalError, Position, Segment, segments
from collector.journal.layout import decode_line, read_lines, segment_name
from collector.records import AnyRecord, Level, Record

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tqdm import tqdm

Progress = Literal["auto", "always", "never"]

TYPES: dict[str, type[Record]] = {kind.__name__: kind for kind in typing.get_args(AnyRecord)}
INSTALL = "pip install 'marketprism[export]'"

# How much journal text may wait in memory before it becomes a row group; as Python objects it is ten times as much.
PARTITION_BYTES = 4 << 20
WAITING_BYTES = 16 << 20
OPEN_FILES = 32

NO_DATE = "__HIVE_DEFAULT_PARTITION__"
"""Readers take it as null: https://arrow.apache.org/docs/python/dataset.html#partitioned-datasets"""


class ExportError(Exception):
    """The export was not made and nothing was written; the message says why and what was expected."""


class MissingExtraError(ExportError):
    """pyarrow or tqdm is not installed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records. Empty: all. `since_us` (with), `until_us` (without): UTC µs of `recv_ts`, of `ts` where that is
    null.
    """

    types: Collection[str] = ()
    venues: Collection[str] = ()
    instruments: Collection[str] = ()
    since_us: int | None = None
    until_us: int | None = None

    def takes(self, record: Record, kind: str) -> bool:
        """Whether this record is wanted."""
        if (self.types and kind not in self.types) or (self.venues and record.venue not in self.venues):
            return False
        if self.instruments and record.instrument not in self.instruments:
            return False
        at = _time_of(record)
        after = self.since_us is None or (at is not None and at >= self.since_us)
        return after and (self.until_us is None or (at is not None and at < self.until_us))


@dataclass(slots=True)
class ExportReport:
    """What was exported: rows of each type, files, their bytes; `read` records were looked at, `deleted` segments went
    meanwhile.
    """

    directory: Path
    rows: Counter[str] = field(default_factory=Counter)
    files: int = 0
    size: int = 0
    read: int = 0
    deleted: int = 0


def export(  # noqa: PLR0913 - each is one choice of the command line
    journal_dir: Path,
    out_dir: Path,
    *,
    types: Collection[str] = (),
    venues: Collection[str] = (),
    instruments: Collection[str] = (),
    since: int | None = None,
    until: int | None = None,
    progress: Progress = "auto",
    overwrite: bool = False,
) -> ExportReport:
    """Write a journal's records as Parquet into `out_dir`, which is made. `since`, `until`: UTC µs, the end is not
    included.

    Raises ExportError: a missing extra, no journal, an empty one, damage in it, an unknown type, nothing that matches,
    an output that is there already (with `overwrite`: one that is no earlier export), a full disk. Then nothing is
    left behind.
    """
    wanted = Wanted(types, venues, instruments, since, until)
    for name in types:
        if name not in TYPES:
            near = difflib.get_close_matches(name, TYPES, 1, 0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ExportError(f"{name}: is no record type; expected one of {', '.join(TYPES)}{hint}")
    found = _segments_of(journal_dir)
    _check_output(out_dir, overwrite=overwrite)
    _need_extra()
    work = out_dir.with_name(f".{out_dir.name}.{os.getpid()}.partial")
    try:
        if work.exists():  # of a killed process with our id, which is every one in a container
            shutil.rmtree(work)
        report = _export(found, work, wanted, progress)
        if not report.rows:
            raise ExportError(f"{journal_dir}: none of its {report.read} records matches these filters")
        report.directory = out_dir
        _put_in_place(work, out_dir)
    except JournalError as error:
        raise ExportError(str(error)) from error
    except OSError as error:
        raise ExportError(f"{error.filename or out_dir}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)  # after success it is gone already
    return report


def _segments_of(journal_dir: Path) -> list[tuple[Segment, int]]:
    try:
        found = [(segment, segment.path.stat().st_size) for segment in segments(journal_dir)]
    except (JournalError, OSError) as error:
        raise ExportError(str(error)) from error
    if not found and not (journal_dir / "EPOCH").exists():
        example = segment_name(Position(1, 0))
        raise ExportError(f"{journal_dir}: is no journal; expected a directory with segments like {example}")
    if not any(size for _, size in found):
        raise ExportError(f"{journal_dir}: the journal is empty; expected at least one record")
    return found


def _check_output(out_dir: Path, *, overwrite: bool) -> None:
    if not out_dir.exists():
        return
    if not overwrite:
        raise ExportError(f"{out_dir}: is there already; expected a new directory (or --overwrite)")
    if not out_dir.is_dir():
        raise ExportError(f"{out_dir}: is no directory; only an earlier export is overwritten")
    foreign = sorted(path.name for path in out_dir.iterdir() if path.name not in TYPES)
    if foreign:
        raise ExportError(f"{out_dir}: holds {foreign[0]}, which is no export's; only an earlier export is overwritten")


def _put_in_place(work: Path, out_dir: Path) -> None:
    old = out_dir.with_name(f".{out_dir.name}.{os.getpid()}.old")
    if out_dir.exists():
        out_dir.rename(old)
    try:
        work.rename(out_dir)
    except OSError:
        if old.exists():
            old.rename(out_dir)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _need_extra() -> None:
    for module in ("pyarrow", "tqdm"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"export needs {module}, which is not installed: {INSTALL}")


def _export(found: Sequence[tuple[Segment, int]], work: Path, wanted: Wanted, progress: Progress) -> ExportReport:
    report = ExportReport(work)
    work.parent.mkdir(parents=True, exist_ok=True)
    writer = _Writer(work, report)
    try:
        with _bar(progress, sum(size for _, size in found)) as bar:
            for index, (segment, size) in enumerate(found):
                try:
                    for position, line, record in _records(segment, newest=index == len(found) - 1):
                        report.read += 1
                        kind = type(record).__name__
                        if wanted.takes(record, kind):
                            writer.add(kind, position, record, len(line))
                        bar.update(len(line))
                except JournalError:
                    if segment.path.exists():
                        raise
                    report.deleted += 1  # retention was faster than we: as if we had started later
                    bar.update(size)
        writer.finish()
    finally:
        writer.close()
    return report


def _records(segment: Segment, *, newest: bool) -> Iterator[tuple[Position, bytes, AnyRecord]]:
    for position, line in read_lines(segment, newest=newest):
        yield position, line, decode_line(segment, position, line)


def _bar(progress: Progress, total: int) -> tqdm[Any]:
    from tqdm import tqdm  # noqa: PLC0415 - an extra

    off = progress == "never" or (progress == "auto" and not sys.stderr.isatty())
    return tqdm(total=total, unit="B", unit_scale=True, desc="export", disable=off, file=sys.stderr)


def _time_of(record: Record) -> int | None:
    return record.ts if record.recv_ts is None else record.recv_ts


# Columns.


def _column_type(hint: Any) -> pa.DataType:  # noqa: ANN401 - a type annotation is no type
    """The Parquet type of a field's annotation. Raises TypeError for one that no record has had so far."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    if typing.get_origin(hint) in {typing.Union, python_types.UnionType}:
        (hint,) = (part for part in typing.get_args(hint) if part not in {type(None), type(UNSET)})
    if hint == list[Level]:
        return pa.list_(pa.struct([("price", pa.string()), ("size", pa.string())]))
    if hint is str or typing.get_origin(hint) is Literal:
        return pa.string()
    if hint is int:
        return pa.int64()
    if hint is bool:
        return pa.bool_()
    raise TypeError(f"no Parquet type is known for {hint!r}")


def schema_of(kind: str) -> pa.Schema:
    """The columns of a record type, without `venue`, which is a partition."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    hints = typing.get_type_hints(TYPES[kind])
    names = [name for name in TYPES[kind].__struct_fields__ if name != "venue"]
    place = [("epoch", pa.int64()), ("offset", pa.int64())]
    return pa.schema([*place, *((name, _column_type(hints[name])) for name in names)])


class _Partition:
    """Rows that wait for one folder, and the file that they go to."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.schema = schema_of(kind)
        self.rows: list[tuple[Position, AnyRecord]] = []
        self.waiting = 0
        self.parts = 0
        self.writer: pq.ParquetWriter | None = None

    def flush(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        if not self.rows:
            return
        if self.writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"part-{self.parts:04d}.parquet"
            self.writer = pq.ParquetWriter(path, self.schema, compression="zstd")
            self.parts += 1
        columns: list[list[Any]] = [[position.epoch for position, _ in self.rows], [at.offset for at, _ in self.rows]]
        for name in self.schema.names[2:]:
            values = [getattr(record, name) for _, record in self.rows]
            columns.append([None if value is UNSET else value for value in values])
        arrays = [pa.array(column, type=wanted.type) for column, wanted in zip(columns, self.schema, strict=True)]
        self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
        self.rows.clear()
        self.waiting = 0

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


class _Writer:
    """All partitions; keeps the rows that wait and the files that are open few."""

    def __init__(self, root: Path, report: ExportReport) -> None:
        self._root = root
        self._report = report
        self._partitions: dict[tuple[str, str, str], _Partition] = {}
        self._waiting = 0

    def add(self, kind: str, position: Position, record: AnyRecord, size: int) -> None:
        at = _time_of(record)
        date = NO_DATE if at is None else datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%d")
        key = (kind, record.venue, date)
        partition = self._partitions.get(key)
        if partition is None:
            folder = self._root / kind / f"venue={record.venue}" / f"date={date}"
            partition = self._partitions[key] = _Partition(folder, kind)
        partition.rows.append((position, record))
        partition.waiting += size
        self._waiting += size
        self._report.rows[kind] += 1
        if partition.waiting >= PARTITION_BYTES:
            self._flush(partition)
        if self._waiting >= WAITING_BYTES:
            self._flush(max(self._partitions.values(), key=lambda each: each.waiting))

    def _flush(self, partition: _Partition) -> None:
        self._waiting -= partition.waiting
        partition.flush()
        opened = [each for each in self._partitions.values() if each.writer is not None and each is not partition]
        if len(opened) >= OPEN_FILES:  # the oldest is of the oldest date: little will come for it
            opened[0].close()

    def finish(self) -> None:
        for partition in self._partitions.values():
            partition.flush()
            partition.close()
        files = list(self._root.rglob("*.parquet"))
        self._report.files = len(files)
        self._report.size = sum(path.stat().st_size for path in files)

    def close(self) -> None:
        for partition in self._partitions.values():
            with contextlib.suppress(OSError):  # the files are thrown away
                partition.close()
