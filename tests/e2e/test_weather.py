"""An hour of normal weather, `make weather`; five minutes of it run beside the proofs of test_alerts.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.proofs import show
from tests.e2e.weather import check, weather

pytestmark = pytest.mark.weather


def test_an_hour_of_normal_weather_raises_nothing_but_the_watchdog(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = weather(tmp_path, 3600)
    show("weather, an hour", report.text(), capsys)
    check(report)
