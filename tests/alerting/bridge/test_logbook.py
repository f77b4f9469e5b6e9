"""The channel log: a line for each alert, and no success where the line was lost."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerting.bridge.logbook import Logbook
from alerting.bridge.memory import Memory
from alerting.bridge.outbox import Answer
from alerting.bridge.webhook import Delivery, read_delivery
from telemetry.cells import Metrics
from telemetry.logs import configure_logs
from tests.alerting.bridge.kit import REGISTRY
from tests.alerting.fakes.webhooks import a_delivery, an_alert, encoded


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    yield
    configure_logs()


def delivery() -> Delivery:
    over = an_alert("DiskFull", priority="P3", status="resolved", fingerprint="b")
    return read_delivery(encoded(a_delivery(an_alert(fingerprint="a", venue="kraken", market="spot"), over)))


async def test_each_alert_is_a_line_with_its_fields_and_its_words(tmp_path: Path) -> None:
    metrics, out, heard = Metrics(REGISTRY), io.StringIO(), list[bool]()
    configure_logs(style="json", stream=out, metrics=metrics)
    memory = Memory(tmp_path, 240, 0.0)
    book = Logbook("en", metrics, memory, lambda: 0.0, lambda _, well: heard.append(well))
    assert await book.deliver(delivery()) == Answer("delivered", "written")
    assert await book.deliver(delivery()) == Answer("duplicate", "the log has it already")
    memory.close()
    fires, over = (json.loads(line) for line in out.getvalue().splitlines())
    assert (fires["event"], fires["level"]) == ("marketprism.alert.firing", "warning")
    assert (fires["alert_name"], fires["alert_priority"], fires["venue"]) == ("CollectorDown", "P1", "kraken")
    assert fires["message"] == (
        "🔴 P1 firing · CollectorDown · kraken spot | CollectorDown happened. | since 2026-11-22 10:00:00 UTC"
    )
    assert (over["event"], over["level"], "venue" in over) == ("marketprism.alert.resolved", "info", False)
    assert heard == [True]


async def test_a_log_that_takes_no_line_is_no_delivery(tmp_path: Path) -> None:
    metrics, out, heard = Metrics(REGISTRY), io.StringIO(), list[bool]()
    configure_logs(style="json", stream=out, metrics=metrics)
    out.close()
    memory = Memory(tmp_path, 240, 0.0)
    book = Logbook("en", metrics, memory, lambda: 0.0, lambda _, well: heard.append(well))
    assert await book.deliver(delivery()) == Answer("unavailable", "the log's stream takes no lines")
    assert (await book.deliver(delivery())).outcome == "unavailable"
    memory.close()
    assert heard == [False, False]
