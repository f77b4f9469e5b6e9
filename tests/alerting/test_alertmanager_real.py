"""The configuration in the real Alertmanager: storms, inhibition, restarts; amtool as a second opinion on routes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerting.alertmanager import settings as environment
from alerting.alertmanager.__main__ import SAMPLE, write
from alerting.alertmanager.routing import config
from alerting.client import Alertmanager, Matcher, NewAlert, NewSilence
from alerting.rules.table import RULES
from tests.alerting.fakes.robots import FakeRobots
from tests.alerting.fakes.smtp import FakeMail
from tests.alerting.real import command, free_port, process, real_bridge
from tests.alerting.real import environment as clean
from tests.alerting.test_routes import FULL, alert_of, unanswered
from tools import build, programs
from tools.go import toolchain

pytestmark = pytest.mark.full
TOKEN = "5b1f0c2e9d8a7463"
TEMPLATES = Path(__file__).parents[2] / "alerting" / "alertmanager" / "templates"
GOLDEN = Path(__file__).parent / "golden"


def tool(name: str) -> Path:
    return build.ensure(programs.ALERTMANAGER, lambda: toolchain(build.say)) / name


@dataclass
class Running:
    """A bridge, the far ends, and where Alertmanager is to be."""

    folder: Path
    robots: FakeRobots
    mail: FakeMail
    port: int
    environ: dict[str, str]

    @contextlib.asynccontextmanager
    async def alertmanager(self) -> AsyncIterator[Alertmanager]:
        """Alertmanager, on what an earlier one left."""
        url = f"http://127.0.0.1:{self.port}"
        arguments: list[str | Path] = [
            tool("alertmanager"),
            f"--config.file={self.folder / 'config' / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--enable-feature=utf8-strict-mode,receiver-name-in-metrics",
        ]
        async with process(arguments, f"{url}/-/ready", self.folder / "alertmanager.log"), Alertmanager(url) as client:
            yield client

    def logged(self) -> list[dict[str, str]]:
        lines = (json.loads(line) for line in (self.folder / "bridge.log").read_text().splitlines())
        return [line for line in lines if line["event"].startswith("marketprism.alert.")]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    port = free_port()
    async with FakeRobots() as robots, FakeMail(tmp_path / "ca.pem") as mail:
        secrets = {
            "ALERT_SLACK_URL_FILE": robots.slack_url.replace("XXXX", "kj2h4g5"),
            "ALERT_EMAIL_PASSWORD_FILE": mail.password,
            "BRIDGE_TOKEN_FILE": TOKEN,
            "BRIDGE_DINGTALK_URL_FILE": robots.dingtalk_url,
            "BRIDGE_DINGTALK_SECRET_FILE": robots.dingtalk_secret,
            "BRIDGE_WECOM_URL_FILE": robots.wecom_url,
        }
        for name, text in secrets.items():
            (tmp_path / name).write_text(text)
        environ = {
            **{f"MARKETPRISM_{name}": str(tmp_path / name) for name in secrets},
            "MARKETPRISM_BRIDGE_LISTEN": f"127.0.0.1:{port}",
            "MARKETPRISM_ALERT_EMAIL_TO": "oncall@example.net",
            "MARKETPRISM_ALERT_EMAIL_FROM": "marketprism@example.net",
            "MARKETPRISM_ALERT_EMAIL_SMARTHOST": f"127.0.0.1:{mail.port}",
            "MARKETPRISM_ALERT_EMAIL_USERNAME": mail.user,
            "MARKETPRISM_ALERT_EMAIL_CA_FILE": str(mail.ca),
        }
        write(environment.read(environ), tmp_path / "config")
        bridge = {name: text for name, text in environ.items() if "_BRIDGE_" in name}
        async with real_bridge(tmp_path, bridge, port):
            yield Running(tmp_path, robots, mail, free_port(), bridge)


def alert(name: str, *, over: bool = False, age_s: float = 60, priority: str = "P1", **labels: str) -> NewAlert:
    now = datetime.now(UTC)
    return NewAlert(
        labels={"alertname": name, "priority": priority, **labels},
        annotations={"summary": f"{name} happened.", "description": "In words."},
        starts_at=now - timedelta(seconds=age_s),
        ends_at=now if over else now + timedelta(minutes=10),
    )


async def until(check: Callable[[], object], sentence: str, seconds: float = 30) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not check():  # noqa: ASYNC110 - other processes set no Event
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {sentence}") from None


def counted(texts: list[str], words: str) -> int:
    """What the messages say that they are about, in sum."""
    return sum(int(number) for text in texts for number in re.findall(rf"(\d+) ?{words}", text.splitlines()[0]))


async def test_a_storm_of_500_alerts_is_a_handful_of_messages_and_none_is_lost(running: Running) -> None:
    venues = ("binance", "okx", "coinbase", "kraken", "gate")
    storm = [
        {"venue": venue, "market": "spot", "instrument": f"A{number}-USD", "channel": "book", "instance": "c1"}
        for venue in venues
        for number in range(100)
    ]
    robots = running.robots

    def slack() -> list[str]:
        return [taken.body["attachments"][0]["title"] for taken in robots.taken if taken.channel == "slack"]

    async with running.alertmanager() as client:
        for over, chinese, english in ((False, "条告警触发", "firing"), (True, "条恢复", "resolved")):
            await client.post_alerts(
                [alert("FeedStale", over=over, age_s=0, priority="P2", scope="feed", **labels) for labels in storm]
            )
            wanted = {f"FeedStale · {venue} · 100 {english}" for venue in venues}
            await until(lambda: wanted == {title[5:] for title in slack() if english in title}, "Slack has all", 90)  # noqa: B023
            for channel in ("dingtalk", "wecom"):
                await until(lambda: counted(robots.texts(channel), chinese) == 500, f"{channel} has all")  # noqa: B023
            await until(lambda: len(running.logged()) == (1000 if over else 500), "the log has all")  # noqa: B023
        assert len(slack()) == 10
        assert len(robots.texts("dingtalk")) <= 10
        assert len(robots.texts("wecom")) <= 10
        assert len({line["instrument"] + line["venue"] for line in running.logged()}) == 500
        assert running.mail.taken == []


async def test_who_knows_that_a_collector_is_dead_is_not_told_of_its_feeds(running: Running) -> None:
    async with running.alertmanager() as client:
        await client.post_alerts(
            [
                alert("CollectorDown", age_s=0, scope="collector", instance="c1"),
                alert("FeedStale", age_s=0, priority="P2", scope="feed", instance="c1", venue="kraken"),
                alert("FeedStale", age_s=0, priority="P2", scope="feed", instance="c2", venue="okx"),
            ]
        )
        await until(lambda: running.mail.taken, "the mail is there")
        await until(lambda: any("okx" in text for text in running.robots.texts("wecom")), "the other's feed is told")
        told = [line["message"] for line in running.logged()]
        assert [message for message in told if "kraken" in message] == []
        assert [(mail.to, mail.subject) for mail in running.mail.taken] == [
            ("oncall@example.net", "🔴 P1 CollectorDown · firing")
        ]
        assert "<b>🔴 P1 firing · CollectorDown · c1</b>" in running.mail.taken[0].html
        assert running.mail.refused == []
        (suppressed,) = [one for one in await client.alerts() if one.status.state == "suppressed"]
        assert suppressed.labels["venue"] == "kraken"


async def test_a_drill_reaches_every_channel_of_its_priority_and_ends(running: Running) -> None:
    async with running.alertmanager() as client:
        ended = await command("drill", "--alertmanager", client.url, environ=running.environ)
        assert ended.code == 0, ended.out + ended.err
        told = [line.split()[0] for line in ended.out.splitlines()]
        assert sorted(told[:5]) == ["dingtalk", "email", "log", "slack", "wecom"], ended.out
        assert ended.out.endswith("every configured channel answered\n")
        await until(lambda: len(running.mail.taken) == 2, "its end is told by mail", 40)
        assert [mail.subject for mail in running.mail.taken] == ["🔴 P1 Drill · firing", "✅ P1 Drill · resolved"]


async def test_a_restart_keeps_silences_and_does_not_tell_again_what_was_told(running: Running) -> None:
    now = datetime.now(UTC)
    standing = alert("CollectorDown", scope="collector", instance="c1")
    silence = NewSilence(
        matchers=[Matcher(name="venue", value="kraken")],
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        created_by="test",
        comment="maintenance",
    )
    async with running.alertmanager() as client:
        made = await client.create_silence(silence)
        await client.post_alerts([standing])
        await until(lambda: running.mail.taken and running.robots.texts("wecom"), "it is told")
        await asyncio.sleep(1)
        before = (len(running.mail.taken), len(running.robots.requests), len(running.logged()))
    async with running.alertmanager() as client:
        assert (await client.silence(made)).status.state == "active"
        await client.post_alerts([standing, alert("ExchangeDown", priority="P2", venue="kraken", instance="c1")])
        await asyncio.sleep(20)  # the group's first wait, and one interval of 15 s
        assert (len(running.mail.taken), len(running.robots.requests), len(running.logged())) == before
        assert {one.status.state for one in await client.alerts(['alertname="ExchangeDown"'])} == {"suppressed"}
        await client.post_alerts([alert("CollectorDown", over=True, scope="collector", instance="c1")])
        await until(lambda: len(running.mail.taken) == 2, "its end is told")
        assert running.mail.taken[1].subject == "✅ P1 CollectorDown · resolved"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write(SAMPLE, folder)
    return folder / "alertmanager.yml"


def test_amtool_takes_the_configuration_and_finds_the_same_routes(sample: Path) -> None:
    checked = subprocess.run([tool("amtool"), "check-config", sample], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    every = [alert_of(rule) for rule in RULES] + [unanswered(rule) for rule in RULES if rule.priority]
    every += [{"alertname": "NotificationFailing", "failing": name, "priority": "P2"} for name in ("slack", "webhook")]
    for labels in every:
        wanted = FULL.route(labels)["receiver"]
        command: list[str | Path] = [tool("amtool"), "config", "routes", "test", f"--config.file={sample}"]
        given = [f"{name}={value}" for name, value in labels.items()]
        found = subprocess.run([*command, *given], env=clean({}), capture_output=True, text=True, check=True)
        assert found.stdout.strip() == wanted, labels


def test_amtool_takes_a_configuration_with_maintenance_windows(tmp_path: Path) -> None:
    settings = environment.read(
        {"MARKETPRISM_ALERT_MAINTENANCE": "venue=kraken thursday 06:00-07:00; sunday 22:00-24:00"}
    )
    write(settings, tmp_path)
    assert "weekdays" in config(settings)
    checked = subprocess.run(
        [tool("amtool"), "check-config", tmp_path / "alertmanager.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def data(number: int) -> dict[str, Any]:
    """Alerts as a template sees them: one over, the rest firing."""
    alerts: list[dict[str, Any]] = [
        {
            "status": "resolved" if n == 1 else "firing",
            "labels": {"alertname": "FeedStale", "priority": "P2", "venue": "kraken", "instrument": f"A{n}-USD"},
            "annotations": {
                "summary": f"A{n}-USD has gone silent.",
                "description": "Silent for <5 min> & more.",
                **({"summary_zh": "行情静默"} if n == 0 else {}),
                "runbook_url": "https://runbooks.example.net/FeedStale.md",
            },
            "startsAt": "2026-11-22T10:00:00Z",
            "endsAt": "2026-11-22T10:05:30Z" if n == 1 else "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": f"{n}",
        }
        for n in range(number)
    ]
    common = {"alertname": "FeedStale", "priority": "P2", "venue": "kraken"}
    return {
        "receiver": "P2",
        "status": "firing",
        "alerts": alerts,
        "groupLabels": {},
        "commonLabels": common,
        "commonAnnotations": {},
        "externalURL": "https://alerts.example.net",
    }


def rendered(template: str, values: dict[str, Any], directory: Path) -> str:
    """What Alertmanager makes of one of our templates, as amtool says."""
    (directory / "data.json").write_text(json.dumps(values))
    command: list[str | Path] = [tool("amtool"), "template", "render", "--template.glob", TEMPLATES / "*.tmpl"]
    command += ["--template.text", f'{{{{ template "marketprism.{template}" . }}}}']
    command += ["--template.type", "html" if template.endswith("html") else "text"]
    command += ["--template.data", directory / "data.json"]
    return subprocess.run(command, env=clean({}), capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("slack.text", 2),
        ("slack.text", 50),
        ("email.subject", 1),
        ("email.subject", 2),
        ("email.text", 2),
        ("email.html", 2),
    ],
)
def test_slack_and_mail_say_what_they_said(tmp_path: Path, language: str, number: int, part: str) -> None:
    said = rendered(f"{language}.{part}", data(number), tmp_path)
    golden = GOLDEN / f"{part}.{number}.{language}.txt"
    assert said == golden.read_text(encoding="utf-8"), f"{golden}: expected {said}"


@pytest.mark.parametrize("number", [2, 50])
def test_what_a_label_says_cannot_become_slacks_markup(tmp_path: Path, number: int) -> None:
    alerts = data(number)
    for alert in alerts["alerts"]:
        alert["labels"] |= {"alertname": "<!here>", "alert": "<!channel>", "instrument": "<http://evil.test|BTC>"}
    said = rendered("en.slack.text", alerts, tmp_path)
    assert "&lt;!here&gt; (&lt;!channel&gt;) · kraken · &lt;http://evil.test|BTC&gt;" in said
    assert [start for start in ("<!", "<http://evil") if start in said] == []
