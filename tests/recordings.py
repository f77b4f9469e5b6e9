"""Where the recordings of real exchange messages are: beside the checkout, read in place, never copied into it."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "recordings"


def recording(name: str) -> Path:
    """The path of one recording; skips the test when this checkout has none beside it."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"no recordings beside this checkout: {path} does not exist")
    return path


def recordings() -> list[Path]:
    """All recordings, or none when there are none beside the checkout."""
    return sorted(FOLDER.glob("*.jsonl"))


def lines(name: str) -> list[dict[str, Any]]:
    """One recording's lines."""
    return [json.loads(line) for line in recording(name).read_text(encoding="utf-8").splitlines()]
