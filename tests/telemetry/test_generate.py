"""The generated files are what the schema implies."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.generate import DOCS, NAMES, documents, main
from telemetry.registry import load_registry

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", [DOCS, NAMES])
def test_the_committed_file_is_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == documents(load_registry())[path]


def test_every_metric_attribute_span_and_event_is_documented() -> None:
    registry = load_registry()
    text = documents(registry)[DOCS]
    assert [name for name in (*registry.metrics, *registry.spans) if f"### {name}\n" not in text] == []
    assert [name for name in (*registry.attributes, *registry.events) if f"`{name}`" not in text] == []


def test_check_says_what_is_stale_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], tmp_path) == 1
    assert "docs/telemetry.md: not up to date" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_writing_makes_the_check_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path) == 0
    assert "docs/telemetry.md: written" in capsys.readouterr().out
    assert main(["--check"], tmp_path) == 0
    assert capsys.readouterr().out == ""
    (tmp_path / NAMES).write_text("other", encoding="utf-8")
    assert main(["--check"], tmp_path) == 1
