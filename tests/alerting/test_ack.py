"""`marketprism ack`: the escalation is silenced and nothing else, and only of what fires."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from alerting.ack import acknowledge, read_duration, read_matches
from alerting.client import Alertmanager
from alerting.errors import AlertingError
from collector.cli import main
from tests.alerting.fakes.alertmanager import FakeAlertmanager

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
async def fake() -> AsyncIterator[FakeAlertmanager]:
    async with FakeAlertmanager() as made:
        made.raised({"alertname": "VenueDown", "venue": "kraken", "market": "spot"})
        made.raised({"alertname": "VenueDown", "venue": "okx", "market": "perp"})
        made.raised({"alertname": "Unanswered", "alert": "VenueDown"})
        yield made


async def ack(fake: FakeAlertmanager, name: str, **labels: str) -> None:
    async with Alertmanager(fake.url) as alertmanager:
        await acknowledge(alertmanager, name, labels, until=NOW + timedelta(hours=2), now=NOW, by="ann", comment="c")


async def test_only_the_escalation_of_this_alert_is_silenced(fake: FakeAlertmanager) -> None:
    await ack(fake, "VenueDown", venue="kraken")
    (silence,) = fake.silences
    matchers = {one["name"]: (one["value"], one["isRegex"], one["isEqual"]) for one in silence["matchers"]}
    assert matchers == {
        "alertname": ("Unanswered", False, True),
        "alert": ("VenueDown", False, True),
        "venue": ("kraken", False, True),
    }
    assert (silence["startsAt"], silence["endsAt"]) == ("2026-11-22T10:00:00Z", "2026-11-22T12:00:00Z")
    assert (silence["createdBy"], silence["comment"]) == ("ann", "c")


@pytest.mark.parametrize(
    ("name", "labels", "said"),
    [
        ("VenuDown", {}, "VenuDown is not firing; did you mean VenueDown?"),
        ("DiskFull", {}, "DiskFull is not firing; what fires: VenueDown"),
        ("Unanswered", {}, "Unanswered is the escalation itself; name the alert that it is about"),
        ("VenueDown", {"venue": "binance"}, "VenueDown is firing, but not with venue=binance: venue is kraken or okx"),
        ("VenueDown", {"site": "x"}, "VenueDown is firing, but not with site=x: it has no label site"),
        (
            "VenueDown",
            {"venue": "kraken", "market": "perp"},
            "VenueDown is firing, but no one alert has all of venue=kraken, market=perp",
        ),
    ],
)
async def test_what_does_not_fire_cannot_be_acknowledged(
    fake: FakeAlertmanager, name: str, labels: dict[str, str], said: str
) -> None:
    with pytest.raises(AlertingError) as raised:
        await ack(fake, name, **labels)
    assert said in str(raised.value)
    assert fake.silences == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("30m", 1800), ("1h30m", 5400), ("1d", 86400), ("45s", 45)]
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "2", "h", "0h", "-1h", "2 h", "2w", "30m1h"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 2h or 30m"):
        read_duration(text)


@pytest.mark.parametrize("text", ["venue", "venue=", "=x", "ve nue=x", "venue=~okx", "alert=x", "alertname=x"])
def test_what_is_no_match_is_told(text: str) -> None:
    with pytest.raises(AlertingError, match=r"^--match "):
        read_matches([text])
    assert read_matches(["venue=okx", "market=perp"]) == {"venue": "okx", "market": "perp"}


def test_the_command_ends_with_2_and_one_line_when_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ack", "VenueDown", "--alertmanager", "http://127.0.0.1:1"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("http://127.0.0.1:1/api/v2/alerts: cannot be reached: ")
    assert err.count("\n") == 1
