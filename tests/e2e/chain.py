"""The whole way of an alert: simulator, collector, OpenTelemetry Collector, Prometheus, Alertmanager, bridge, and fakes
of Slack, DingTalk, WeCom, a mail server and the heartbeat's far end, all as in production but on loopback.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from alerting.rules.model import CHANNELS, Channel
from alerting.rules.render import Links, files
from tests.alerting.fakes.robots import FakeRobots, Fault
from tests.alerting.fakes.smtp import FakeMail
from tests.e2e.expected import RUNBOOKS, Expected
from tests.e2e.rig import poll_until
from tools.components import Alerts, Ports
from tools.stack import Stack

EVERY: tuple[Channel, ...] = CHANNELS["P1"]
STARTING = threading.Lock()
"""One stack after the other: else two would find the same ports free."""


@dataclass(frozen=True)
class Seen:
    """A message as people see it at a channel. `at`: seconds since 1970."""

    channel: Channel
    text: str
    at: float


class Far:
    """The far ends, in a thread of their own."""

    def __init__(self, folder: Path, *, per_minute: int = 20) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.robots = FakeRobots(per_minute=per_minute)
        self.mail = FakeMail(folder / "mail-ca.pem")
        self.beats: list[float] = []
        self._bridge_log = folder / "stack" / "bridge.log"

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _start(self) -> None:
        await self.robots.__aenter__()
        await self.mail.__aenter__()
        app = web.Application()
        app.router.add_post("/beat", self._beat)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.heartbeat = f"http://127.0.0.1:{self._runner.addresses[0][1]}/beat"

    async def _stop(self) -> None:
        await self.robots.__aexit__(None, None, None)
        await self.mail.__aexit__(None, None, None)
        await self._runner.cleanup()
        await self._loop.shutdown_default_executor()

    async def _beat(self, _: web.Request) -> web.Response:
        self.beats.append(time.time())
        return web.Response()

    def fail(self, channel: str, faults: list[Fault]) -> None:
        """What a robot answers next; an empty list heals it."""
        self.robots.faults[channel][:] = faults  # type: ignore[index]

    def environment(self) -> dict[str, str]:
        """All channels on, by files as in production."""
        secrets = {
            "SLACK_URL_FILE": self.robots.slack_url.replace("XXXX", "kj2h4g5"),
            "EMAIL_PASSWORD_FILE": self.mail.password,
            "HEARTBEAT_URL_FILE": self.heartbeat,
        }
        alert = {
            **{name: str(self._secret(name, text)) for name, text in secrets.items()},
            "EMAIL_TO": "oncall@example.net",
            "EMAIL_FROM": "marketprism@example.net",
            "EMAIL_SMARTHOST": f"127.0.0.1:{self.mail.port}",
            "EMAIL_USERNAME": self.mail.user,
            "EMAIL_CA_FILE": str(self.mail.ca),
        }
        bridge = {
            "DINGTALK_URL_FILE": self._secret("dingtalk-url", self.robots.dingtalk_url),
            "DINGTALK_SECRET_FILE": self._secret("dingtalk-secret", self.robots.dingtalk_secret),
            "WECOM_URL_FILE": self._secret("wecom-url", self.robots.wecom_url),
        }
        return {
            **{f"MARKETPRISM_ALERT_{name}": text for name, text in alert.items()},
            **{f"MARKETPRISM_BRIDGE_{name}": str(path) for name, path in bridge.items()},
        }

    def _secret(self, name: str, text: str) -> Path:
        path = self._folder / f"secret-{name}"
        path.write_text(text)
        return path

    def seen(self, channel: Channel) -> list[Seen]:
        """What came, in order."""
        if channel == "email":
            return [Seen("email", f"{mail.subject}\n{mail.text}", mail.at) for mail in list(self.mail.taken)]
        if channel == "log":
            return _logged(self._bridge_log)
        return [
            Seen(channel, _slack(taken.body) if channel == "slack" else taken.text, taken.at)
            for taken in list(self.robots.taken)
            if taken.channel == channel
        ]


def _slack(body: dict[str, Any]) -> str:
    (attachment,) = body["attachments"]
    return f"{attachment['title']}\n{attachment['text']}"


def _logged(log: Path) -> list[Seen]:
    lines = (json.loads(line) for line in log.read_text().splitlines() if '"marketprism.alert.' in line)
    return [
        Seen("log", line["message"], datetime.fromisoformat(line["timestamp"]).timestamp())
        for line in lines
        if line["event"] in {"marketprism.alert.firing", "marketprism.alert.resolved"}
    ]


class Chain:
    """The stack with every channel on, by the rules with every duration divided by `factor`.

    `only`: these of its components. `ready`: called before the start, with the folder that Prometheus will have.
    """

    def __init__(
        self,
        folder: Path,
        *,
        factor: int = 1,
        instance: str = "collector-1",
        per_minute: int = 20,
        only: Sequence[str] | None = None,
        ready: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._factor = factor
        self._instance = instance
        self.far = Far(folder, per_minute=per_minute)
        self.began = 0.0
        self._per_minute = per_minute
        self._only = only
        self._ready = ready

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(self.far)
            rules = self._folder / "rules"
            rules.mkdir()
            links = Links(runbooks=RUNBOOKS)
            for name, text in files(links, factor=self._factor).items():
                (rules / name).write_text(text)
            environment = self.far.environment() | {"MARKETPRISM_BRIDGE_MESSAGES_PER_MINUTE": str(self._per_minute)}
            alerts = Alerts(environment=environment, instance=self._instance, rules=rules, faster=self._factor)
            data = self._folder / "stack"
            self._ready(data / "prometheus" / "tsdb")
            with STARTING:
                self.stack = opened.enter_context(
                    Stack(ports=Ports.free(), data=data, alerts=alerts, only=self._only, say=lambda _: None)
                )
            self.began = time.time()
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def telemetry(self) -> dict[str, str]:
        """What a collector of this chain gets to know."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.stack.ports.otlp_http}",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000" if self._factor > 1 else "5000",
        }

    def stop(self, component: str) -> None:
        """End one component of the stack."""
        self.stack.end(component)

    def start(self, component: str) -> None:
        """And begin it again."""
        self.stack.begin(component)

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.stack.ports.prometheus}/api/v1/{path}", timeout=10
        ) as answer:
            return json.loads(answer.read())["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return list(self.ask(f"query?query={urllib.parse.quote(expression)}")["result"])

    def alerts(self, name: str, **labels: str) -> list[dict[str, Any]]:
        """What Prometheus has of an alert, pending or firing."""
        return [
            alert
            for alert in self.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == name and labels.items() <= alert["labels"].items()
        ]

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}


@dataclass
class Proof:
    """What became of one fault: seconds from the fault to each step; from the recovery to the last word of it."""

    rule: str
    fault: str
    began: float
    visible: float = 0.0
    firing: float = 0.0
    delivered: dict[Channel, float] = field(default_factory=dict)
    healed: float = 0.0
    recovered: dict[Channel, float] = field(default_factory=dict)


@dataclass
class Case:
    """One fault in a chain, followed until every channel has the alert, and then its recovery.

    `visible`: PromQL that has a result as soon as Prometheus can see the fault.
    """

    chain: Chain
    expected: Expected
    fault: str
    hold_s: float
    proof: Proof = field(init=False)

    def begin(self) -> None:
        """The fault is there now."""
        self.proof = Proof(self.expected.alert, self.fault, time.time())

    def poll(self) -> None:
        """Note what can be seen by now."""
        labels = {"priority": self.expected.priority, **self.expected.labels}
        for alert in self.chain.alerts(self.expected.alert, **labels):
            active = datetime.fromisoformat(_micro(alert["activeAt"])).timestamp()
            if active >= self.proof.began - 1:
                self.proof.visible = self.proof.visible or active
                if alert["state"] == "firing":
                    self.proof.firing = self.proof.firing or time.time()
        for channel in self.expected.channels:
            self._find(channel, "firing", self.proof.began, self.proof.delivered)
            if self.proof.healed:
                self._find(channel, "resolved", self.proof.healed, self.proof.recovered)

    def _find(self, channel: Channel, state: str, since: float, into: dict[Channel, float]) -> None:
        if channel in into:
            return
        pattern = self.expected.pattern(channel, state)
        found = [one.at for one in self.chain.far.seen(channel) if one.at >= since and pattern.search(one.text)]
        if found:
            into[channel] = found[0]

    def delivered(self) -> bool:
        """Whether every channel has the alert."""
        self.poll()
        return bool(self.proof.firing) and set(self.proof.delivered) == set(self.expected.channels)

    def heal(self) -> None:
        """The fault is gone now."""
        self.proof.healed = time.time()

    def recovered(self) -> bool:
        """Whether every channel has the recovery."""
        self.poll()
        return set(self.proof.recovered) == set(self.expected.channels)

    def only_its_channels(self) -> None:
        """No other channel has heard of it."""
        for channel in EVERY:
            if channel not in self.expected.channels:
                pattern = self.expected.pattern(channel, "firing")
                assert not [seen for seen in self.chain.far.seen(channel) if pattern.search(seen.text)], channel

    def explain(self) -> str:
        """What is missing, for who reads a failure."""
        missing = [c for c in self.expected.channels if c not in self.proof.delivered]
        unhealed = [c for c in self.expected.channels if c not in self.proof.recovered]
        prometheus = self.chain.alerts(self.expected.alert)
        patterns = [self.expected.pattern(c, "firing").pattern for c in missing[:1]]
        texts = [s.text for c in missing[:1] for s in self.chain.far.seen(c) if self.expected.alert in s.text][-2:]
        return (
            f"{self.expected.alert} {self.expected.labels}: not delivered to {missing}, not recovered at {unhealed}; "
            f"Prometheus: {[(a['labels'], a['state'], a['annotations'].get('description')) for a in prometheus]}; "
            f"expected {patterns} in {texts}"
        )


def follow(
    cases: list[Case], seconds: float, *, recovery: bool = False, ticks: Sequence[Callable[[], None]] = ()
) -> None:
    """Wait for the messages of all these cases. `ticks` are called all the while."""
    done: set[int] = set()

    def all_done() -> bool:
        for tick in ticks:
            tick()
        for number, case in enumerate(cases):
            if number not in done and (case.recovered() if recovery else case.delivered()):
                done.add(number)
        return len(done) == len(cases)

    try:
        poll_until(all_done, "every message is there", seconds)
    except AssertionError as error:
        left = [case.explain() for number, case in enumerate(cases) if number not in done]
        raise AssertionError("\n".join([str(error), *left])) from error


def _micro(text: str) -> str:
    """A time of Go, which has nanoseconds, as Python reads it."""
    return re.sub(r"(\.\d{1,6})\d*", r"\1", text)
