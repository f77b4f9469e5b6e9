"""The bridge shows what an alert's link leads to: its runbook, in both languages, to anybody, and no other file."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.errors import AlertingError
from tests.alerting.bridge.kit import bridging
from tests.alerting.fakes.robots import FakeRobots

ROOT = Path(__file__).parents[3]


async def test_a_runbook_is_shown_as_text_in_both_languages_without_a_token(tmp_path: Path) -> None:
    folder = ROOT / "docs" / "runbooks"
    async with FakeRobots() as robots, bridging(robots, tmp_path, RUNBOOKS=str(folder)) as bridge:
        for name in ("FeedStale.md", "zh-CN/FeedStale.md"):
            assert await bridge.get(f"/runbooks/{name}") == (200, (folder / name).read_text())


@pytest.mark.parametrize(
    "path", ["../secret.md", "%2e%2e/secret.md", "..%2fsecret.md", "zh-CN/%2e%2e/%2e%2e/secret.md"]
)
async def test_no_other_file_is_shown(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (tmp_path / "secret.md").write_text("hidden")
    async with FakeRobots() as robots, bridging(robots, tmp_path / "data", RUNBOOKS=str(folder)) as bridge:
        status, text = await bridge.get(f"/runbooks/{path}")
    assert status == 404
    assert "hidden" not in text


async def test_a_name_that_there_is_not_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "Known.md").write_text("# Known\n")
    async with FakeRobots() as robots, bridging(robots, tmp_path, RUNBOOKS=str(tmp_path)) as bridge:
        assert await bridge.get("/runbooks/Nothing.md") == (404, "no such runbook; there are Known.md\n")


async def test_without_a_folder_the_answer_says_which_variable_gives_one(tmp_path: Path) -> None:
    async with FakeRobots() as robots, bridging(robots, tmp_path) as bridge:
        status, text = await bridge.get("/runbooks/FeedStale.md")
    assert status == 404
    assert "MARKETPRISM_BRIDGE_RUNBOOKS is not set" in text


async def test_a_runbook_that_is_no_text_is_named_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "Broken.md").write_bytes(b"\xff")
    async with FakeRobots() as robots:
        with pytest.raises(AlertingError, match=r"MARKETPRISM_BRIDGE_RUNBOOKS: .*Broken\.md cannot be read"):
            async with bridging(robots, tmp_path / "data", RUNBOOKS=str(folder)):
                pass
