"""What was told is remembered, over a restart and over a broken file, and forgotten in time."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerting.bridge.memory import FILE, Memory, MemoryUnusableError
from alerting.bridge.webhook import Delivery, read_delivery
from telemetry.logs import configure_logs
from tests.alerting.fakes.webhooks import a_delivery, an_alert, encoded


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    yield
    configure_logs()


def delivery(*fingerprints: str, status: str = "firing", group: str = "g") -> Delivery:
    alerts = [an_alert(fingerprint=fingerprint, status=status) for fingerprint in fingerprints]
    return read_delivery(encoded(a_delivery(*alerts, group=group)))


def test_what_was_told_within_the_window_is_known_per_channel_and_group(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 240, 1000.0)
    memory.tell("wecom", [delivery("1", "2")], 1000.0)
    assert memory.knows("wecom", delivery("2", "1"), 1239.9)
    assert memory.knows("wecom", delivery("1"), 1001.0)
    assert not memory.knows("wecom", delivery("1", "3"), 1001.0)
    assert not memory.knows("dingtalk", delivery("1"), 1001.0)
    assert not memory.knows("wecom", delivery("1", group="h"), 1001.0)
    memory.close()


def test_after_the_window_the_same_is_a_reminder(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 240, 1000.0)
    memory.tell("wecom", [delivery("1")], 1000.0)
    assert not memory.knows("wecom", delivery("1"), 1240.0)
    memory.close()


def test_a_clock_that_was_set_back_repeats_rather_than_loses(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 240, 1000.0)
    memory.tell("wecom", [delivery("1")], 5000.0)
    assert not memory.knows("wecom", delivery("1"), 1000.0)
    memory.close()


def test_an_alert_that_was_over_meanwhile_is_told_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 240, 1000.0)
    memory.tell("wecom", [delivery("1"), delivery("1", status="resolved")], 1000.0)
    assert not memory.knows("wecom", delivery("1"), 1001.0)
    assert memory.knows("wecom", delivery("1", status="resolved"), 1001.0)
    memory.close()


def test_a_restart_changes_nothing_and_what_is_old_leaves_the_file(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 240, 1000.0)
    memory.tell("wecom", [delivery("old")], 1000.0)
    memory.sent("wecom", 1000.0)
    memory.tell("wecom", [delivery("new")], 1200.0)
    memory.sent("wecom", 1200.0)
    memory.close()
    again = Memory(tmp_path, 240, 1250.0)
    assert again.knows("wecom", delivery("new"), 1250.0)
    assert not again.knows("wecom", delivery("old"), 1250.0)
    assert again.sent_before("wecom") == [1200.0]
    assert again.sent_before("dingtalk") == []
    again.close()
    with sqlite3.connect(tmp_path / FILE) as database:
        assert database.execute("SELECT fingerprint FROM told").fetchall() == [("new",)]
    database.close()


def test_after_a_restart_the_last_word_counts(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 240, 1000.0)
    memory.tell("wecom", [delivery("1")], 1000.0)
    memory.tell("wecom", [delivery("1", status="resolved")], 1001.0)
    memory.close()
    again = Memory(tmp_path, 240, 1002.0)
    assert not again.knows("wecom", delivery("1"), 1002.0)
    assert again.knows("wecom", delivery("1", status="resolved"), 1002.0)
    again.close()


def test_a_disk_that_takes_nothing_is_told_and_what_was_told_is_still_known(tmp_path: Path) -> None:
    out = io.StringIO()
    configure_logs(stream=out)
    memory = Memory(tmp_path, 240, 1000.0)
    memory._database.execute("PRAGMA query_only=ON")
    memory.tell("wecom", [delivery("1")], 1000.0)
    assert "readonly" in memory.trouble
    assert "marketprism.bridge.memory.failed" in out.getvalue()
    assert memory.knows("wecom", delivery("1"), 1001.0)
    memory._database.execute("PRAGMA query_only=OFF")
    memory.sent("wecom", 1001.0)
    assert memory.trouble == ""
    memory.close()


def test_a_broken_file_is_kept_aside_and_the_bridge_goes_on(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    memory = Memory(tmp_path, 240, 1000.0)
    assert "not readable" in memory.trouble
    memory.tell("wecom", [delivery("1")], 1000.0)
    assert memory.knows("wecom", delivery("1"), 1000.0)
    memory.close()
    assert (tmp_path / f"{FILE}.broken").read_bytes().startswith(b"not a database")


def test_a_directory_that_cannot_be_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MemoryUnusableError, match=r"MARKETPRISM_BRIDGE_DATA: .*/file/x: cannot be written: Not a dir"):
        Memory(tmp_path / "file" / "x", 240, 1000.0)
