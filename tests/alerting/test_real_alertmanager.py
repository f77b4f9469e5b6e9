"""Bridge, client, drill and ack with the real Alertmanager; only the robots are fakes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from alerting.client import Alertmanager, Matcher, NewAlert, NewSilence, RefusedError
from tests.alerting.fakes.robots import Channel, Errcode, FakeRobots, Status
from tests.alerting.fakes.webhooks import a_delivery, an_alert, encoded
from tests.alerting.real import command, free_port, real_alertmanager, real_bridge
from tests.telemetry.otlp_sink import OtlpSink

pytestmark = pytest.mark.full
ROBOTS: tuple[Channel, ...] = ("dingtalk", "wecom")
TOKEN = "5b1f0c2e9d8a7463"
CONFIG = """
route:
  receiver: all
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: all
    slack_configs: [{{api_url: "{slack}", channel: "#a", send_resolved: true}}]
    webhook_configs:
      - &robot
        url: {bridge}/v1/alerts/dingtalk
        send_resolved: true
        http_config: {{authorization: {{credentials_file: {token}}}}}
      - {{<<: *robot, url: {bridge}/v1/alerts/wecom}}
      - {{<<: *robot, url: {bridge}/v1/alerts/log}}
"""


@dataclass
class Chain:
    """Alertmanager, bridge and robots that know each other."""

    alertmanager: str
    bridge: str
    robots: FakeRobots
    directory: Path
    environ: dict[str, str]

    async def run(self, *arguments: str) -> tuple[int, str]:
        ended = await command(*arguments, "--alertmanager", self.alertmanager, environ=self.environ)
        return ended.code, ended.out + ended.err


@contextlib.asynccontextmanager
async def chain(directory: Path) -> AsyncIterator[Chain]:
    token = directory / "token"
    token.write_text(f"{TOKEN}\n")
    port, bridge_port = free_port(), free_port()
    async with FakeRobots() as robots:
        environ = {
            "MARKETPRISM_BRIDGE_LISTEN": f"127.0.0.1:{bridge_port}",
            "MARKETPRISM_BRIDGE_TOKEN_FILE": str(token),
            "MARKETPRISM_BRIDGE_DINGTALK_URL": robots.dingtalk_url,
            "MARKETPRISM_BRIDGE_DINGTALK_SECRET": robots.dingtalk_secret,
            "MARKETPRISM_BRIDGE_WECOM_URL": robots.wecom_url,
        }
        bridge_url = f"http://127.0.0.1:{bridge_port}"
        config = CONFIG.format(slack=robots.slack_url, bridge=bridge_url, token=token)
        async with (
            real_bridge(directory, environ, bridge_port),
            real_alertmanager(directory, config, port) as alertmanager,
        ):
            yield Chain(alertmanager, bridge_url, robots, directory, environ)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Chain]:
    async with chain(tmp_path) as made:
        yield made


def alert(name: str, *, over: bool = False, **labels: str) -> NewAlert:
    now = datetime.now(UTC)
    return NewAlert(
        labels={"alertname": name, "priority": "P1", **labels},
        annotations={"summary": f"{name} happened."},
        starts_at=now - timedelta(minutes=1),
        ends_at=now if over else now + timedelta(minutes=5),
    )


async def until(robots: FakeRobots, channel: Channel, text: str) -> None:
    async with asyncio.timeout(20):
        while not any(text in seen for seen in robots.texts(channel)):  # noqa: ASYNC110 - polled, as by eye
            await asyncio.sleep(0.02)


async def test_a_drill_reaches_every_channel_and_its_recovery_too(running: Chain) -> None:
    code, out = await running.run("drill")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0, out
    assert lines["every"] == "every configured channel answered"
    assert "off       no email_configs in the receivers that the alert goes to (all)" in lines["email"]
    assert "Alertmanager: taken" in lines["slack"]
    for channel in ROBOTS:
        assert "errcode 0 in" in lines[channel]
        await until(running.robots, channel, "Drill")
        await until(running.robots, channel, "已恢复")
    assert "written" in lines["log"]
    for secret in (TOKEN, running.robots.dingtalk_secret, running.robots.wecom_url):
        assert secret not in out + (running.directory / "bridge.log").read_text()


async def test_a_drill_fails_where_a_channel_fails_and_says_in_which_words(running: Chain) -> None:
    running.robots.faults["wecom"] += [Errcode(93000, "invalid webhook url")] * 99
    running.robots.faults["slack"] += [Status(500)] * 99
    code, out = await running.run("drill", "--wait", "3s")
    assert code == 1, out
    assert "FAILED  rejected: errcode 93000: invalid webhook url" in out
    assert "attempts failed; its log says why" in out
    assert "failed: slack, wecom" in out
    async with Alertmanager(running.alertmanager) as alertmanager:
        assert await alertmanager.alerts(['alertname="Drill"']) == []


async def test_alertmanager_tries_again_until_the_robot_takes_it_and_once_only(running: Chain) -> None:
    running.robots.faults["dingtalk"] += [Status(502), Errcode(-1, "busy")]
    async with Alertmanager(running.alertmanager) as alertmanager:
        await alertmanager.post_alerts([alert("CollectorDown")])
        await until(running.robots, "dingtalk", "CollectorDown")
        await asyncio.sleep(2.5)  # more than two group intervals
        assert len(running.robots.texts("dingtalk")) == 1
        await alertmanager.post_alerts([alert("CollectorDown", over=True)])
        await until(running.robots, "dingtalk", "已恢复")


async def test_ack_silences_the_escalation_and_the_alert_keeps_its_recovery(running: Chain) -> None:
    async with Alertmanager(running.alertmanager) as alertmanager:
        await alertmanager.post_alerts(
            [alert("VenueDown", venue="okx"), alert("Unanswered", alert="VenueDown", venue="okx")]
        )
        code, out = await running.run("ack", "VenueDow")
        assert (code, out) == (2, "VenueDow is not firing; did you mean VenueDown?\n")
        code, out = await running.run("ack", "VenueDown", "--match", "venue=okx", "--for", "30m", "--by", "ann")
        assert code == 0, out
        assert "VenueDown (1 firing): no escalation until" in out
        (silence,) = await alertmanager.silences()
        assert (silence.created_by, silence.id in out, silence.status.state) == ("ann", True, "active")
        states = {one.labels["alertname"]: one.status.state for one in await alertmanager.alerts()}
        async with asyncio.timeout(10):
            while states != {"VenueDown": "active", "Unanswered": "suppressed"}:
                await asyncio.sleep(0.1)
                states = {one.labels["alertname"]: one.status.state for one in await alertmanager.alerts()}
        await until(running.robots, "wecom", "VenueDown")
        await alertmanager.post_alerts([alert("VenueDown", over=True, venue="okx")])
        await until(running.robots, "wecom", "已恢复")


async def test_the_client_speaks_all_of_the_api_that_it_has(running: Chain) -> None:
    async with Alertmanager(running.alertmanager) as alertmanager:
        status = await alertmanager.status()
        assert status.cluster.status == "disabled"
        assert "receivers" in status.config.original
        assert TOKEN not in status.config.original
        assert [receiver.name for receiver in await alertmanager.receivers()] == ["all"]
        await alertmanager.post_alerts([alert("A", x='quote " and \\'), alert("B")])
        (found,) = await alertmanager.alerts(['x="quote \\" and \\\\"'])
        assert found.labels["x"] == 'quote " and \\'
        async with asyncio.timeout(10):
            while len(groups := await alertmanager.groups()) < 2:  # noqa: ASYNC110 - another process sets no Event
                await asyncio.sleep(0.05)
        assert {group.labels["alertname"] for group in groups} == {"A", "B"}
        now = datetime.now(UTC)
        silence = NewSilence(
            matchers=[
                Matcher(name="alertname", value="A|B", is_regex=True),
                Matcher(name="x", value="", is_equal=False),
            ],
            starts_at=now,
            ends_at=now + timedelta(hours=1),
            created_by="test",
            comment="all of the API",
        )
        made = await alertmanager.create_silence(silence)
        assert (await alertmanager.silence(made)).matchers == silence.matchers
        await alertmanager.expire_silence(made)
        assert (await alertmanager.silence(made)).status.state == "expired"
        with pytest.raises(RefusedError) as raised:
            await alertmanager.silence("00000000-0000-0000-0000-000000000000")
        assert raised.value.status == 404
        with pytest.raises(RefusedError, match="400"):
            await alertmanager.alerts(["not a filter"])
        assert any(one.name == "alertmanager_build_info" for one in await alertmanager.metrics())


async def test_the_bridge_says_what_is_off_and_ends_well(tmp_path: Path) -> None:
    environ = {"MARKETPRISM_BRIDGE_TOKEN": TOKEN}
    async with real_bridge(tmp_path, environ, free_port()):
        pass
    lines = [json.loads(line) for line in (tmp_path / "bridge.log").read_text().splitlines()]
    said = [(line["event"].removeprefix("marketprism.bridge."), line.get("reason", "")) for line in lines]
    assert ("channel.off", "MARKETPRISM_BRIDGE_DINGTALK_URL is not set") in said
    assert ("channel.off", "MARKETPRISM_BRIDGE_WECOM_URL is not set") in said
    assert [event for event, _ in said][-3:] == ["started", "stopping", "stopped"]


async def test_its_traces_and_logs_go_to_otlp_and_its_metrics_do_not(tmp_path: Path) -> None:
    async with FakeRobots() as robots:
        with OtlpSink() as sink:
            environ = {
                "MARKETPRISM_BRIDGE_TOKEN": TOKEN,
                "MARKETPRISM_BRIDGE_WECOM_URL": robots.wecom_url,
                "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
                "OTEL_METRIC_EXPORT_INTERVAL": "200",
            }
            async with real_bridge(tmp_path, environ, free_port()) as url, aiohttp.ClientSession() as session:
                headers = {"Authorization": f"Bearer {TOKEN}"}
                body = encoded(a_delivery(an_alert()))
                async with session.post(f"{url}/v1/alerts/wecom", data=body, headers=headers) as answer:
                    assert answer.status == 200
        spans = {span.name for span in sink.spans()}
        assert spans == {"marketprism.bridge.delivery", "marketprism.bridge.message"}
        assert {resource["service.name"] for resource in sink.resources()} == {"marketprism-bridge"}
        assert "marketprism.bridge.stopped" in {found.event for found in sink.logs()}
        assert sink.points() == []
        assert robots.wecom_url.partition("key=")[2] not in sink.text()


async def test_the_bridge_does_not_begin_on_a_wrong_environment() -> None:
    ended = await command("bridge", environ={"MARKETPRISM_BRIDGE_TOKEN": "changeme"})
    assert (ended.code, ended.err) == (2, "MARKETPRISM_BRIDGE_TOKEN: is a placeholder; give a real token\n")
