"""`marketprism drill`: no channel passes that did not answer, and the alert ends whatever happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from alerting.bridge.observe import Receipt, Receipts
from alerting.bridge.robots import Outcome
from alerting.bridge.settings import Channel
from alerting.client import Alertmanager
from alerting.drill import Answered, Drill, Result
from alerting.errors import AlertingError
from alerting.rules.model import Priority
from collector.cli import main
from tests.alerting.fakes.alertmanager import COUNTERS, FakeAlertmanager


@dataclass
class Clock:
    """Sleeping moves it."""

    at: float = 100.0

    def mono(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 10, 0, tzinfo=UTC) + timedelta(seconds=self.at)

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class FakeBridge:
    """Its receipts come one more with each question. `on`: the channels that are on."""

    coming: list[tuple[str, Outcome, str, str]] = field(default_factory=list)
    on: tuple[str, ...] = ("dingtalk", "wecom", "log")
    asked: int = 0

    async def receipts(self, fingerprint: str) -> Receipts:
        self.asked += 1 if fingerprint else 0
        receipts = [
            Receipt(
                fingerprint="f1",
                alertname="Drill",
                status=status,
                channel=cast("Channel", channel),
                outcome=outcome,
                reason=reason,
                at=0,
                seconds=0.1,
                merged=1,
            )
            for channel, outcome, status, reason in self.coming[: self.asked]
        ]
        return Receipts(channels=[cast("Channel", name) for name in self.on], receipts=receipts)


TAKEN: list[tuple[str, Outcome, str, str]] = [
    (channel, "accepted", "firing", "errcode 0") for channel in ("log", "wecom", "dingtalk")
]


@pytest.fixture
async def fake() -> AsyncIterator[FakeAlertmanager]:
    async with FakeAlertmanager() as made:
        made.counts = {(name, kind): 5 for name in COUNTERS for kind in ("slack", "email", "webhook")}
        yield made


def counting(fake: FakeAlertmanager, *steps: tuple[str, str]) -> Callable[[], None]:
    """With each question for the metrics after the first one more counter rises."""
    left = [None, *steps]

    def on_metrics() -> None:
        step = left.pop(0) if left else None
        if step is not None:
            fake.counts[step] += 1

    return on_metrics


async def drill(
    fake: FakeAlertmanager, bridge: FakeBridge | None, heard: list[Answered], priority: Priority = "P1"
) -> Result:
    clock = Clock()
    async with Alertmanager(fake.url) as alertmanager:
        made = Drill(alertmanager, bridge, priority, "d1", 10.0, clock, clock.sleep)
        return await made.run(heard.append)


async def test_it_passes_when_every_channel_answered_and_ends_its_alert(fake: FakeAlertmanager) -> None:
    fake.on_metrics = counting(fake, (COUNTERS[0], "email"), (COUNTERS[0], "slack"))
    heard: list[Answered] = []
    result = await drill(fake, FakeBridge(TAKEN), heard)
    assert result.passed
    assert sorted(answer.channel for answer in heard) == ["dingtalk", "email", "log", "slack", "wecom"]
    assert all(answer.seconds is not None and answer.seconds <= 1 for answer in heard)
    raised, ended = fake.posted
    assert raised["labels"] == ended["labels"]
    assert raised["labels"]["alertname"] == "Drill"
    assert raised["labels"]["priority"] == "P1"
    assert raised["endsAt"] > ended["endsAt"]


async def test_a_channel_that_did_not_answer_fails_it_and_says_what_it_said(fake: FakeAlertmanager) -> None:
    fake.on_metrics = counting(
        fake, (COUNTERS[0], "email"), (COUNTERS[0], "slack"), (COUNTERS[1], "slack"), (COUNTERS[0], "webhook")
    )
    heard: list[Answered] = []
    bridge = FakeBridge([("wecom", "rejected", "firing", "errcode 93000: invalid webhook url"), *TAKEN[::2]])
    result = await drill(fake, bridge, heard)
    assert not result.passed
    said = {answer.channel: (answer.ok, answer.words) for answer in heard}
    assert said == {
        "email": (True, "Alertmanager: taken"),
        "slack": (False, "Alertmanager: 1 attempts failed; its log says why"),
        "dingtalk": (True, "errcode 0 in 0.10 s"),
        "wecom": (False, "rejected: errcode 93000: invalid webhook url"),
        "log": (True, "errcode 0 in 0.10 s"),
    }
    assert len(fake.posted) == 2


async def test_a_request_that_is_counted_before_its_failure_is_not_taken_for_success(fake: FakeAlertmanager) -> None:
    fake.on_metrics = counting(fake, *((COUNTERS[n % 2], "slack") for n in range(200)))
    fake.config = "receivers: [{name: p1, slack_configs: [{}]}]"
    result = await drill(fake, None, [])
    assert [(answer.channel, answer.ok) for answer in result.answers] == [("slack", False)]


async def test_what_is_not_configured_is_off_with_the_reason_and_not_waited_for(fake: FakeAlertmanager) -> None:
    fake.config = "receivers: [{name: p1, webhook_configs: [{}]}, {name: other, slack_configs: [{}]}]"
    result = await drill(fake, FakeBridge(TAKEN[:1], on=("log",)), [])
    assert result.passed
    assert [answer.channel for answer in result.answers] == ["log"]
    assert result.off == {
        "email": "no email_configs in the receivers that the alert goes to (p1)",
        "slack": "no slack_configs in the receivers that the alert goes to (p1)",
        "dingtalk": "the bridge has it off",
        "wecom": "the bridge has it off",
    }


async def test_a_lower_priority_asks_only_its_channels(fake: FakeAlertmanager) -> None:
    result = await drill(fake, FakeBridge(TAKEN), [], "P4")
    assert [answer.channel for answer in result.answers] == ["log"]
    assert result.off == {}


async def test_a_drill_that_is_silenced_says_by_what_and_ends_its_alert(fake: FakeAlertmanager) -> None:
    fake.state = "suppressed"
    with pytest.raises(AlertingError, match="nobody is told of the drill: silence s-1"):
        await drill(fake, FakeBridge(TAKEN), [])
    assert len(fake.posted) == 2


async def test_the_recovery_alone_is_no_answer(fake: FakeAlertmanager) -> None:
    fake.config = "receivers: [{name: p1}]"
    result = await drill(fake, FakeBridge([("log", "accepted", "resolved", "written")], on=("log",)), [])
    assert not result.passed


def test_the_command_needs_the_token_before_it_raises_anything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MARKETPRISM_BRIDGE_TOKEN", raising=False)
    assert main(["drill", "--alertmanager", "http://127.0.0.1:1"]) == 2
    assert "MARKETPRISM_BRIDGE_TOKEN: expected the token" in capsys.readouterr().err
    assert main(["drill", "--no-bridge", "--alertmanager", "http://127.0.0.1:1"]) == 2
    assert "http://127.0.0.1:1/api/v2/status: cannot be reached" in capsys.readouterr().err
