"""A journal on a disk that obeys, for each test its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journal.kit import Bench


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make a Bench in `tmp_path/journal`, with these settings; its journal is closed afterwards."""
    made: list[Bench] = []

    def make_bench(**settings: Any) -> Bench:
        bench = Bench(tmp_path / "journal", **settings)
        made.append(bench)
        return bench

    yield make_bench
    for bench in made:
        bench.disk.broken.clear()
        bench.journal.close()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    """An open journal with default settings."""
    made = make()
    made.journal.open()
    return made
