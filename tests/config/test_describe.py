"""The default file and the configuration page say what the model says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.config import kinds, load
from collector.config.describe import default_file, page
from collector.config.load import options
from collector.config.model import Config, Option

ENVIRON = {"HOME": "/home/someone"}


def test_the_default_file_loads_to_exactly_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "marketprism.yaml"
    file.write_text(default_file())
    assert load(file, ENVIRON) == load(None, ENVIRON)


def test_the_default_file_and_the_page_name_every_key_with_its_meaning() -> None:
    text = " ".join(default_file().replace("#", " ").split())
    for path, option, _ in options(Config):
        if isinstance(option, Option):
            assert f"{path.rpartition('.')[2]}: " in text, path
            assert option.doc in text, path
            assert f"| `{path}` | {option.kind.expected} |" in page()


def test_the_default_file_is_no_wider_than_a_screen() -> None:
    assert max(map(len, default_file().splitlines())) <= 120


@given(st.integers(0, 1 << 50))
def test_a_size_survives_being_written_and_read(number: int) -> None:
    kind = kinds.size(0, 1 << 50)
    assert kind.parse(kind.render(number)) == number


@given(st.integers(0, 10**9).map(lambda millis: millis / 1000))
def test_a_duration_survives_being_written_and_read(seconds: float) -> None:
    kind = kinds.duration(0, 1e9)
    assert kind.parse(kind.render(seconds)) == pytest.approx(seconds)


def test_the_committed_page_is_what_the_code_makes() -> None:
    assert Path(__file__).parents[2].joinpath("docs", "configuration.md").read_text() == page(), "run make docs"
