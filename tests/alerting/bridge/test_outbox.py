"""Waiting, merging and taking apart, on a clock that only the test moves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerting.bridge.memory import Memory
from alerting.bridge.outbox import Answer, Outbox, Sent
from alerting.bridge.pace import Pace
from alerting.bridge.robots import DingTalk, Robot, Verdict, WeCom
from alerting.bridge.settings import RobotSettings
from alerting.bridge.webhook import Delivery, read_delivery
from tests.alerting.fakes.webhooks import a_delivery, an_alert, encoded

ACCEPTED = Verdict("accepted", "errcode 0", 0, 200)
SETTINGS = RobotSettings("https://robot.test/?key=k", None, "en", {})


@dataclass
class Clock:
    """Waiting moves it, when everything that can happen now has happened."""

    at: float = 1_000_000.0

    def mono(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        if not event.is_set():
            self.at += seconds


@dataclass
class Rig:
    """An outbox to a robot whose verdicts the test gives. `bodies`: what was sent, and when."""

    outbox: Outbox
    clock: Clock
    verdict: Callable[[str], Verdict] = lambda _: ACCEPTED
    texts: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    async def send(self, body: bytes, wall_s: float) -> Verdict:
        markdown = msgspec.json.decode(body)["markdown"]
        self.texts.append(markdown.get("text") or markdown["content"])
        self.times.append(wall_s)
        await asyncio.sleep(0)
        return self.verdict(self.texts[-1])


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async for made in rigged(tmp_path, DingTalk(SETTINGS)):
        yield made


async def rigged(directory: Path, robot: Robot) -> AsyncIterator[Rig]:
    clock = Clock()
    memory = Memory(directory, 240, clock.wall())
    box: list[Rig] = []

    async def send(_: Robot, body: bytes, wall_s: float) -> Verdict:
        return await box[0].send(body, wall_s)

    def on_sent(sent: Sent) -> None:
        box[0].sent.append(sent)

    outbox = Outbox(robot, Pace(20), memory, clock, send, on_sent)
    box.append(Rig(outbox, clock))
    running = asyncio.create_task(outbox.run())
    yield box[0]
    outbox.close()
    await running
    memory.close()


def group(name: str, *alerts: dict[str, Any]) -> Delivery:
    return read_delivery(encoded(a_delivery(*(alerts or (an_alert(name, priority="P2"),)), group=name)))


async def test_a_storm_of_500_alerts_becomes_a_handful_of_messages_and_none_is_lost(rig: Rig) -> None:
    groups = [
        group(f"g{g}", *(an_alert("Stale", priority="P2", fingerprint=f"{g}-{n}", x=f"{g}-{n}") for n in range(5)))
        for g in range(100)
    ]
    answers = await asyncio.gather(*(rig.outbox.deliver(one) for one in groups))
    assert set(answers) == {Answer("delivered", "errcode 0")}
    assert len(rig.texts) <= 8
    assert sum(sent.message.alerts for sent in rig.sent) == 500
    assert [sent.message.cut for sent in rig.sent] == [0] * len(rig.sent)
    assert sum(len(re.findall("Stale", text)) for text in rig.texts) >= 500


async def test_five_hundred_single_groups_one_after_the_other_keep_the_robots_budget(rig: Rig) -> None:
    async def late(number: int) -> Answer:
        while rig.clock.at < 1_000_000 + number / 10:  # noqa: ASYNC110 - the clock is the test's
            await asyncio.sleep(0)
        return await rig.outbox.deliver(group(f"g{number}"))

    async def tick() -> None:
        while rig.clock.at < 1_000_051:
            rig.clock.at += 0.05
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    answers = await asyncio.gather(*(late(number) for number in range(500)))
    await ticking
    assert {answer.outcome for answer in answers} == {"delivered"}
    assert sum(len(sent.deliveries) for sent in rig.sent) == 500
    assert len(rig.times) <= 20
    assert all(later - first > 60 for first, later in zip(rig.times, rig.times[20:], strict=False))


async def test_a_p1_goes_first_and_takes_the_earlier_states_of_its_group_along(rig: Rig) -> None:
    rig.outbox._pace.pause(rig.clock.at, 0)
    for _ in range(8):
        rig.outbox._pace.sent(rig.clock.at)
    waiting = [asyncio.create_task(rig.outbox.deliver(group(f"g{number}"))) for number in range(3)]
    await asyncio.sleep(0)
    over = group("u", an_alert("Main", status="resolved", fingerprint="m"))
    fires = group("u", an_alert("Main", fingerprint="m", starts="2026-11-22T12:00:00Z"))
    waiting += [asyncio.create_task(rig.outbox.deliver(one)) for one in (over, fires)]
    began = rig.clock.at
    await asyncio.gather(*waiting)
    assert [one.group_key for one in rig.sent[0].deliveries][:2] == ["u", "u"]
    assert rig.times[0] == began
    assert "P1 firing" in rig.texts[0]
    assert "P1 resolved" in rig.texts[0]


async def test_a_message_takes_no_more_groups_than_it_can_show_and_the_rest_follow(tmp_path: Path) -> None:
    async for rig in rigged(tmp_path, WeCom(SETTINGS)):
        groups = [
            group(f"g{g}", *(an_alert("Stale", priority="P2", fingerprint=f"{g}-{n}", x="y" * 50) for n in range(9)))
            for g in range(30)
        ]
        await asyncio.gather(*(rig.outbox.deliver(one) for one in groups))
        assert [sent.message.cut for sent in rig.sent] == [0] * len(rig.sent)
        assert 1 < len(rig.sent) < 20
        assert [one.group_key for sent in rig.sent for one in sent.deliveries] == [f"g{g}" for g in range(30)]


async def test_a_delivery_that_is_rejected_does_not_hold_up_the_others(rig: Rig) -> None:
    def verdict(text: str) -> Verdict:
        return Verdict("rejected", "unsafe content", 430104, words=True) if "Bad" in text else ACCEPTED

    rig.verdict = verdict
    names = ["A", "B", "C", "Bad", "D", "E", "F", "G"]
    answers = await asyncio.gather(*(rig.outbox.deliver(group(name)) for name in names))
    outcomes = {name: answer.outcome for name, answer in zip(names, answers, strict=True)}
    assert outcomes == dict.fromkeys(names, "delivered") | {"Bad": "rejected"}
    assert [len(sent.deliveries) for sent in rig.sent] == [8, 4, 2, 2, 1, 1, 4]


async def test_a_robot_that_rejects_everything_is_not_asked_for_each_delivery(rig: Rig) -> None:
    rig.verdict = lambda _: Verdict("rejected", "access_token not exist", 400101)
    answers = await asyncio.gather(*(rig.outbox.deliver(group(f"g{number}")) for number in range(50)))
    assert {answer.outcome for answer in answers} == {"rejected"}
    assert len(rig.sent) == 1


async def test_a_failure_is_told_to_everybody_who_shared_the_message_and_a_later_try_succeeds(rig: Rig) -> None:
    verdicts = [Verdict("failed", "HTTP status 500", status=500), ACCEPTED]
    rig.verdict = lambda _: verdicts.pop(0)
    groups = [group("A"), group("B")]
    for outcome in ("unavailable", "delivered"):
        answers = await asyncio.gather(*(rig.outbox.deliver(one) for one in groups))
        assert [answer.outcome for answer in answers] == [outcome, outcome]
    assert [answer.outcome for answer in [await rig.outbox.deliver(one) for one in groups]] == ["duplicate"] * 2
    assert len(rig.texts) == 2


async def test_nobody_waits_longer_than_a_request_may(rig: Rig) -> None:
    for _ in range(20):
        rig.outbox._pace.sent(rig.clock.at)
    answer = await rig.outbox.deliver(group("A"), hold_s=0)
    assert answer == Answer("unavailable", "the robot's budget left no room within 0 s")
    assert (rig.outbox.waiting, rig.texts) == (0, [])
