"""The contract with the robots and with Alertmanager: what is answered, what arrives, how often.

The robots are fakes that refuse what the real ones refuse; everything else is the real bridge over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from alerting.bridge import robots as protocol
from tests.alerting.bridge.kit import Client, any_group, bridging
from tests.alerting.fakes.robots import Body, Channel, Errcode, FakeRobots, Fault, Half, Hang, Slow, Status
from tests.alerting.fakes.webhooks import a_delivery, an_alert

ROBOTS: tuple[Channel, ...] = ("dingtalk", "wecom")


@pytest.fixture
async def robots() -> AsyncIterator[FakeRobots]:
    async with FakeRobots() as fakes:
        yield fakes


@pytest.fixture
async def bridge(robots: FakeRobots, tmp_path: Path) -> AsyncIterator[Client]:
    async with bridging(robots, tmp_path) as client:
        yield client


@pytest.mark.parametrize("channel", ROBOTS)
async def test_a_delivery_is_answered_200_when_the_robot_took_it(
    bridge: Client, robots: FakeRobots, channel: Channel
) -> None:
    status, text = await bridge.post(channel, a_delivery(an_alert()))
    assert (status, text) == (200, f"{channel}: delivered: errcode 0\n")
    assert "CollectorDown" in robots.texts(channel)[0]
    assert bridge.counted("messages", alert_channel=channel, robot_outcome="accepted") == 1
    assert bridge.counted("deliveries", alert_channel=channel, webhook_outcome="delivered") == 1


FAILURES: list[tuple[Channel, Fault, int, str]] = [
    ("dingtalk", Errcode(310000, "keywords not in content"), 424, "keywords not in content"),
    ("dingtalk", Errcode(130101, "send too fast"), 503, "errcode 130101: send too fast"),
    ("dingtalk", Errcode(-1, "system busy"), 503, "errcode -1"),
    ("dingtalk", Errcode(987654, "new in a later year"), 503, "errcode 987654: new in a later year"),
    ("wecom", Errcode(93000, "invalid webhook url"), 424, "errcode 93000"),
    ("wecom", Errcode(45009, "api freq out of limit"), 503, "errcode 45009"),
    ("wecom", Errcode(-1, "system busy"), 503, "errcode -1"),
    *((channel, Status(429, {"Retry-After": "7"}), 503, "HTTP status 429") for channel in ROBOTS),
    *((channel, Status(502), 503, "HTTP status 502") for channel in ROBOTS),
    *((channel, Status(404), 424, "HTTP status 404") for channel in ROBOTS),
    *((channel, Status(302, {"Location": "http://127.0.0.1:1/"}), 503, "HTTP status 302") for channel in ROBOTS),
    *((channel, Half(), 503, "ClientPayloadError") for channel in ROBOTS),
    *((channel, Body(b'{"errcode":0'), 503, "not whole") for channel in ROBOTS),
    *((channel, Body(b"{}"), 503, "no JSON with an errcode") for channel in ROBOTS),
    *((channel, Body(b'{"errcode":"0","errmsg":"ok"}'), 503, "no JSON with an errcode") for channel in ROBOTS),
    *((channel, Body(b"<html>log in to the proxy</html>"), 503, "no JSON") for channel in ROBOTS),
]


@pytest.mark.parametrize(("channel", "fault", "status", "reason"), FAILURES)
async def test_what_is_not_errcode_0_is_no_success_and_only_what_can_better_itself_is_5xx(
    bridge: Client, robots: FakeRobots, channel: Channel, fault: Fault, status: int, reason: str
) -> None:
    robots.faults[channel].append(fault)
    answer = await bridge.post(channel, a_delivery(an_alert()))
    assert answer[0] == status
    assert reason in answer[1]
    _, health = await bridge.get("/health")
    assert health["status"] == "degraded"
    assert reason in " ".join(health["not_ok"])


async def test_no_answer_in_time_is_503(bridge: Client, robots: FakeRobots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    hang = Hang()
    robots.faults["wecom"].append(hang)
    status, text = await bridge.post("wecom", a_delivery(an_alert()))
    hang.until.set()
    assert (status, text) == (503, "wecom: unavailable: no answer within 0.05 s\n")


async def test_a_robot_that_cannot_be_reached_is_503(tmp_path: Path) -> None:
    async with FakeRobots() as gone:
        pass
    async with bridging(gone, tmp_path) as bridge:
        status, text = await bridge.post("dingtalk", a_delivery(an_alert()))
    assert status == 503
    assert "ClientConnectorError" in text
    assert "access_token" not in text


async def test_a_wrong_signature_is_told_and_not_tried_again(robots: FakeRobots, tmp_path: Path) -> None:
    async with bridging(robots, tmp_path, DINGTALK_SECRET="SECffffffff00000001") as bridge:
        status, text = await bridge.post("dingtalk", a_delivery(an_alert()))
    assert (status, text) == (424, "dingtalk: rejected: errcode 310000: sign not match\n")
    assert robots.taken == []


async def test_a_clock_that_is_off_is_told_and_tried_again(tmp_path: Path) -> None:
    async with FakeRobots(wall=lambda: 1_700_000_000.0) as robots, bridging(robots, tmp_path) as bridge:
        status, text = await bridge.post("dingtalk", a_delivery(an_alert()))
    assert status == 503
    assert "the time stamp is not taken: invalid timestamp; this host's clock is" in text


@pytest.mark.parametrize("channel", [*ROBOTS, "log"])
async def test_an_identical_delivery_reaches_the_channel_once(bridge: Client, channel: str) -> None:
    delivery = a_delivery(an_alert(), an_alert("VenueDown", venue="okx"))
    again = a_delivery(*reversed(delivery["alerts"]), status="firing", notification_reason="")
    answers = [await bridge.post(channel, one) for one in (delivery, delivery, again)]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert ["duplicate" in text for _, text in answers] == [False, True, True]
    assert bridge.counted("messages", alert_channel=channel, robot_outcome="accepted") == 1
    assert bridge.counted("deliveries", alert_channel=channel, webhook_outcome="duplicate") == 2


async def test_an_identical_delivery_that_comes_while_the_first_is_on_its_way_is_told_once(
    bridge: Client, robots: FakeRobots
) -> None:
    slow = Slow()
    robots.faults["wecom"].append(slow)
    delivery = a_delivery(an_alert())
    first = asyncio.create_task(bridge.post("wecom", delivery))
    await robots.arrived.wait()
    second = asyncio.create_task(bridge.post("wecom", delivery))
    while bridge.tracer.made < 2:  # noqa: ASYNC110 - until the second has arrived
        await asyncio.sleep(0)
    slow.until.set()
    assert [await first, await second] == [(200, "wecom: delivered: errcode 0\n")] * 2
    assert robots.count("wecom") == 1


async def test_every_new_group_state_reaches_the_robot(bridge: Client, robots: FakeRobots) -> None:
    one, two = an_alert(fingerprint="1"), an_alert("VenueDown", fingerprint="2")
    over = an_alert(fingerprint="1", status="resolved")
    again = an_alert(fingerprint="1", starts="2026-11-22T11:00:00Z")
    states = [a_delivery(one), a_delivery(one, two), a_delivery(over, two), a_delivery(one, two), a_delivery(again)]
    for state in states:
        assert (await bridge.post("wecom", state))[0] == 200
    assert len(robots.texts("wecom")) == 5
    assert "已恢复" in robots.texts("wecom")[2]


async def test_a_late_copy_of_an_older_state_that_says_nothing_new_is_not_told(
    bridge: Client, robots: FakeRobots
) -> None:
    one, two = an_alert(fingerprint="1"), an_alert("VenueDown", fingerprint="2")
    for state in (a_delivery(one), a_delivery(one, two), a_delivery(one)):
        assert (await bridge.post("wecom", state))[0] == 200
    assert len(robots.texts("wecom")) == 2


async def test_what_was_delivered_before_a_restart_is_not_delivered_again(robots: FakeRobots, tmp_path: Path) -> None:
    told, new = a_delivery(an_alert(), group="a"), a_delivery(an_alert(), group="b")
    async with bridging(robots, tmp_path) as bridge:
        assert (await bridge.post("dingtalk", told))[0] == 200
    async with bridging(robots, tmp_path) as bridge:
        assert (await bridge.post("dingtalk", told))[1] == "dingtalk: duplicate: the channel has it already\n"
        assert (await bridge.post("dingtalk", new))[0] == 200
        assert (await bridge.post("wecom", told))[0] == 200
    assert [len(robots.texts(channel)) for channel in ROBOTS] == [2, 1]


async def test_a_restart_does_not_spend_the_robots_minute_twice(robots: FakeRobots, tmp_path: Path) -> None:
    async with bridging(robots, tmp_path, MESSAGES_PER_MINUTE="1") as bridge:
        assert (await bridge.post("wecom", a_delivery(an_alert(), group="a")))[0] == 200
    async with bridging(robots, tmp_path, MESSAGES_PER_MINUTE="1") as bridge:
        second = asyncio.create_task(bridge.post("wecom", a_delivery(an_alert(), group="b")))
        await bridge.until_waiting("wecom", 1)
        await bridge.get("/live")  # long enough for a message that does not wait
        await bridge.get("/live")
        assert robots.count("wecom") == 1
    assert await second == (503, "wecom: unavailable: the bridge stops\n")


async def test_what_failed_before_a_restart_is_delivered_after_it(robots: FakeRobots, tmp_path: Path) -> None:
    robots.faults["dingtalk"].append(Status(500))
    delivery = a_delivery(an_alert())
    async with bridging(robots, tmp_path) as bridge:
        assert (await bridge.post("dingtalk", delivery))[0] == 503
    async with bridging(robots, tmp_path) as bridge:
        assert (await bridge.post("dingtalk", delivery))[0] == 200
    assert len(robots.texts("dingtalk")) == 1


async def test_a_robot_that_is_throttled_is_left_alone_and_alertmanager_is_told_at_once(
    bridge: Client, robots: FakeRobots
) -> None:
    robots.faults["dingtalk"].append(Errcode(130101, "send too fast"))
    answers = [await bridge.post("dingtalk", a_delivery(an_alert(), group=any_group())) for _ in range(3)]
    assert [status for status, _ in answers] == [503, 503, 503]
    assert robots.count("dingtalk") == 1
    assert "the next try is in" in answers[2][1]
    assert (await bridge.post("wecom", a_delivery(an_alert())))[0] == 200


async def test_who_goes_away_takes_the_delivery_back(bridge: Client, robots: FakeRobots) -> None:
    slow = Slow()
    robots.faults["wecom"].append(slow)
    first = asyncio.create_task(bridge.post("wecom", a_delivery(an_alert(), group="a")))
    await robots.arrived.wait()
    second = asyncio.create_task(bridge.post("wecom", a_delivery(an_alert("VenueDown"), group="b")))
    await bridge.until_waiting("wecom", 2)
    second.cancel()
    await bridge.until_waiting("wecom", 1)
    slow.until.set()
    assert (await first)[0] == 200
    assert len(robots.texts("wecom")) == 1
    assert bridge.counted("deliveries", alert_channel="wecom", webhook_outcome="abandoned") == 1


async def test_a_bridge_that_ends_answers_what_waits(robots: FakeRobots, tmp_path: Path) -> None:
    slow = Slow()
    robots.faults["wecom"].append(slow)
    async with bridging(robots, tmp_path) as bridge:
        first = asyncio.create_task(bridge.post("wecom", a_delivery(an_alert(), group="a")))
        await robots.arrived.wait()
        second = asyncio.create_task(bridge.post("wecom", a_delivery(an_alert(), group="b")))
        await bridge.until_waiting("wecom", 2)
        asyncio.get_running_loop().call_later(0.05, slow.until.set)
    assert await first == (200, "wecom: delivered: errcode 0\n")
    assert await second == (503, "wecom: unavailable: the bridge stops\n")
    assert len(robots.texts("wecom")) == 1
