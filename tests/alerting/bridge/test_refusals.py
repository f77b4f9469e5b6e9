"""Deliveries that are refused with the reason, and what the bridge says to anybody who asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from gzip import compress
from pathlib import Path
from typing import Any

import pytest

from alerting.bridge import server
from telemetry.logs import configure_logs
from telemetry.redaction import register_secret
from tests.alerting.bridge.kit import TOKEN, Client, bridging
from tests.alerting.fakes.robots import Errcode, FakeRobots
from tests.alerting.fakes.webhooks import a_delivery, an_alert, encoded


@pytest.fixture
async def robots() -> AsyncIterator[FakeRobots]:
    async with FakeRobots() as fakes:
        yield fakes


@pytest.fixture
async def bridge(robots: FakeRobots, tmp_path: Path) -> AsyncIterator[Client]:
    async with bridging(robots, tmp_path) as client:
        yield client


def without(key: str) -> bytes:
    delivery = a_delivery(an_alert())
    del delivery[key]
    return encoded(delivery)


def with_alert(**changes: Any) -> bytes:
    alert = an_alert() | changes
    return encoded(a_delivery(an_alert()) | {"alerts": [alert]})


async def test_a_malformed_delivery_is_refused_with_the_place_and_nothing_is_sent(
    bridge: Client, robots: FakeRobots
) -> None:
    bodies = {
        b"": "truncated",
        b"{": "truncated",
        b"\xff\xfe": "malformed",
        b"[" * 100_000: "version 4",
        b"[]": "Expected `object`, got `array`",
        without("groupKey"): "missing required field `groupKey`",
        without("alerts"): "missing required field `alerts`",
        encoded(a_delivery()): "length >= 1",
        encoded(a_delivery(an_alert(), version="3")): "$.version",
        encoded(a_delivery(an_alert(), truncatedAlerts=-1)): "$.truncatedAlerts",
        with_alert(status="pending"): "$.alerts[0].status",
        with_alert(startsAt="yesterday"): "$.alerts[0].startsAt",
        with_alert(startsAt="2026-11-22T10:00:00"): "$.alerts[0].startsAt",
        with_alert(endsAt="2026-11-22T10:00:00"): "$.alerts[0].endsAt",
        with_alert(startsAt="0001-01-01T00:00:00+14:00"): "$.alerts[0]",
        with_alert(endsAt="9999-12-31T23:59:59-14:00"): "years 1 to 9999",
        with_alert(labels={"a": 1}): "$.alerts[0].labels[...]",
        with_alert(fingerprint=""): "$.alerts[0].fingerprint",
    }
    for body, reason in bodies.items():
        status, text = await bridge.post("dingtalk", body)
        assert (status, reason in text) == (400, True), text
    assert robots.requests == []
    assert bridge.counted("deliveries", alert_channel="dingtalk", webhook_outcome="refused") == len(bodies)


async def test_an_oversized_delivery_is_refused_and_nothing_is_sent(
    robots: FakeRobots, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server, "MAX_BODY", 2000)
    async with bridging(robots, tmp_path / "small") as small:
        status, text = await small.post("wecom", a_delivery(an_alert(annotations={"summary": "长" * 800})))
        assert (status, "larger than 2000 bytes" in text) == (413, True)
        assert robots.requests == []
        assert (await small.post("wecom", a_delivery(an_alert())))[0] == 200


async def test_a_body_that_is_not_compressed_as_it_says_is_refused_and_not_asked_for_again(
    bridge: Client, robots: FakeRobots
) -> None:
    gzip = {"Content-Encoding": "gzip"}
    status, text = await bridge.post("wecom", encoded(a_delivery(an_alert())), **gzip)
    assert (status, "Can not decode content-encoding: gzip" in text) == (400, True), text
    assert robots.requests == []
    assert bridge.counted("deliveries", alert_channel="wecom", webhook_outcome="refused") == 1
    assert (await bridge.post("wecom", compress(encoded(a_delivery(an_alert()))), **gzip))[0] == 200


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper()])
async def test_without_the_token_nothing_is_sent_or_told(bridge: Client, robots: FakeRobots, token: str | None) -> None:
    status, text = await bridge.post("dingtalk", a_delivery(an_alert()), token=token)
    assert status == 401
    assert TOKEN not in text
    assert (await bridge.get("/v1/receipts", token))[0] == 401
    assert robots.requests == []


async def test_a_channel_that_is_off_or_unknown_is_404_and_says_why(robots: FakeRobots, tmp_path: Path) -> None:
    async with bridging(robots, tmp_path, WECOM_URL="") as bridge:
        assert await bridge.post("wecom", a_delivery(an_alert())) == (
            404,
            "the channel wecom is off: MARKETPRISM_BRIDGE_WECOM_URL is not set\n",
        )
        status, text = await bridge.post("pager", a_delivery(an_alert()))
        assert (status, "expected one of dingtalk, wecom, log" in text) == (404, True)
        _, health = await bridge.get("/health")
        assert [(one["channel"], one["state"]) for one in health["channels"]] == [
            ("dingtalk", "ok"),
            ("wecom", "off"),
            ("log", "ok"),
        ]
        assert health["status"] == "ok"


async def test_it_answers_for_itself_without_a_token(bridge: Client) -> None:
    assert (await bridge.get("/live"))[0] == (await bridge.get("/ready"))[0] == 200
    await bridge.post("log", a_delivery(an_alert()))
    status, text = await bridge.get("/metrics")
    assert status == 200
    lines = [
        'marketprism_bridge_channel_on{marketprism_alert_channel="wecom"} 1',
        'marketprism_bridge_messages_total{marketprism_alert_channel="wecom",marketprism_robot_outcome="failed"} 0',
        'marketprism_bridge_messages_total{marketprism_alert_channel="log",marketprism_robot_outcome="accepted"} 1',
        'marketprism_bridge_delivery_duration_seconds_count{marketprism_alert_channel="log"} 1',
    ]
    assert [line for line in lines if line not in text.splitlines()] == []
    assert "marketprism_journal" not in text
    assert "Alertmanager's webhook" in (await bridge.get("/"))[1]


async def test_receipts_tell_what_each_channel_answered(bridge: Client, robots: FakeRobots) -> None:
    robots.faults["wecom"].append(Errcode(-1, "busy"))
    delivery = a_delivery(an_alert(fingerprint="abc"))
    for channel in ("dingtalk", "wecom", "wecom", "log"):
        await bridge.post(channel, delivery)
    _, answer = await bridge.get("/v1/receipts?fingerprint=abc", TOKEN)
    assert answer["channels"] == ["dingtalk", "wecom", "log"]
    told = [(one["channel"], one["outcome"], one["reason"]) for one in answer["receipts"]]
    assert told == [
        ("dingtalk", "accepted", "errcode 0"),
        ("wecom", "failed", "errcode -1: busy"),
        ("wecom", "accepted", "errcode 0"),
        ("log", "accepted", "written"),
    ]
    _, other = await bridge.get("/v1/receipts?fingerprint=other", TOKEN)
    assert other["receipts"] == []


@pytest.fixture
def _logs_as_they_were() -> Iterator[None]:
    yield
    configure_logs()


@pytest.mark.usefixtures("_logs_as_they_were")
async def test_tokens_appear_nowhere(robots: FakeRobots, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for secret in (TOKEN, robots.dingtalk_secret, robots.dingtalk_url, robots.wecom_url):
        register_secret(secret)
    secrets = {TOKEN, robots.dingtalk_secret, robots.wecom_url.partition("key=")[2]}
    secrets.add(robots.dingtalk_url.partition("access_token=")[2])
    for secret in secrets:
        register_secret(secret)
    configure_logs(style="json")
    said: list[str] = []
    async with bridging(robots, tmp_path) as bridge:
        for name in ("dingtalk", "wecom"):
            robots.faults[name].append(Errcode(-1, f"{robots.dingtalk_url} {robots.wecom_url} {TOKEN}"))
        leaking = an_alert(annotations={"summary": f"see {robots.wecom_url}", "runbook_url": robots.dingtalk_url})
        for channel in ("dingtalk", "dingtalk", "wecom", "wecom", "log"):
            said += [(await bridge.post(channel, a_delivery(leaking)))[1]]
        said.append((await bridge.post("log", b"{", token="wrong"))[1])
        for path in ("/", "/health", "/metrics", "/v1/receipts"):
            said += [json.dumps((await bridge.get(path, TOKEN))[1])]
        said += [str(span) for span in bridge.tracer.spans]
    said += [taken.text for taken in robots.taken]
    said.append(capfd.readouterr().err)
    assert len(robots.taken) == 2
    assert "marketprism.bridge.message.failed" in said[-1]
    assert [(secret, text) for secret in secrets for text in said if secret in text] == []


async def test_a_delivery_is_a_span_below_alertmanagers_and_its_message_hangs_on_it(
    bridge: Client, robots: FakeRobots
) -> None:
    robots.faults["wecom"].append(Errcode(45009, "api freq out of limit"))
    parent = f"00-{7:032x}-{8:016x}-01"
    await bridge.post("wecom", a_delivery(an_alert()), traceparent=parent)
    (delivery,) = bridge.tracer.named("marketprism.bridge.delivery")
    (message,) = bridge.tracer.named("marketprism.bridge.message")
    assert delivery.parent is not None
    assert (delivery.ref.trace_id, delivery.parent.span_id) == (7, 8)
    assert delivery.attributes["marketprism.webhook.outcome"] == "unavailable"
    assert delivery.attributes["http.response.status_code"] == 503
    assert (message.parent, message.links) == (delivery.ref, (delivery.ref,))
    assert message.attributes["marketprism.errcode"] == 45009
    assert message.attributes["error.type"] == "throttled"
