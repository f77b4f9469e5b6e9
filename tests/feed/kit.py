"""Replays for tests: lines in, records and summary out."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from collector.feed.replay import replay


class Result(NamedTuple):
    """What one replay gave."""

    code: int
    out: bytes
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def findings(self) -> list[str]:
        """Everything told of one place."""
        return [line for line in self.err.splitlines() if " at " in line]

    def books(self) -> dict[str, str]:
        """Venue, market and instrument of each book that is in sync at its end → its digest."""
        ends = (line for line in self.err.splitlines() if " book: in_sync by " in line)
        return {line.split(" book: ")[0]: line.split(", book ")[1].split(" ")[0] for line in ends}


def replayed(*paths: Path, strict: bool = True, tolerate_torn: bool = False) -> Result:
    out, err = io.BytesIO(), io.StringIO()
    code = replay(paths, out, err, strict=strict, tolerate_torn=tolerate_torn)
    return Result(code, out.getvalue(), err.getvalue())


def write(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
