"""Normal weather: connections that are lost now and then, a message lost here and there, markets that go quiet. In all
of it nobody must be woken.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.chain import EVERY, Chain
from tests.e2e.rig import VENUES, Rig

CALM_S = 30.0
"""From one event to the next, eight kinds in turn: a venue loses its connection once in four minutes."""


@dataclass
class Report:
    """What was done, by its name, and what fired: name to its descriptions."""

    seconds: float
    did: dict[str, int] = field(default_factory=dict)
    fired: dict[str, set[str]] = field(default_factory=dict)
    messages: int = 0
    beats: int = 0

    def text(self) -> str:
        """For people."""
        did = ", ".join(f"{name} {count}" for name, count in sorted(self.did.items()))
        fired = ", ".join(sorted(self.fired))
        return (
            f"{self.seconds / 60:.0f} minutes. Weather: {did}. Fired: {fired}. "
            f"Messages at any channel: {self.messages}. Heartbeats: {self.beats}.\n"
        )


def events(rig: Rig, chance: random.Random) -> dict[str, Callable[[str], object]]:
    """What happens in normal weather, at a venue."""
    return {
        "connection closed": lambda venue: rig.fault("close", venue),
        "market quiet for 15 s": lambda _: quiet(rig, 15),
        "book message lost": lambda venue: rig.fault(
            "drop", venue, channel="book", symbol=chance.choice(("BTC-USDT", "ETH-USDT")), count=1
        ),
        "connection cut": lambda venue: rig.fault("close", venue, abrupt=True),
        "trade lost": lambda venue: rig.fault("drop", venue, channel="trades", count=1),
        "messages twice": lambda venue: rig.fault("duplicate", venue, count=5),
        "another pace": lambda _: rig.control("rate", {"rate": chance.choice((15, 60, 120))}),
        "messages 200 ms late": lambda venue: rig.fault("slow", venue, ms=200, seconds=5),
    }


def quiet(rig: Rig, seconds: float) -> None:
    """The markets stand still."""
    rig.control("market", {"running": False})
    time.sleep(seconds)
    rig.control("market", {"running": True})


def weather(folder: Path, seconds: float, seed: int = 1) -> Report:
    """So much of it, under the rules as they are shipped."""
    chance = random.Random(seed)
    for name in ("chain", "rig"):
        (folder / name).mkdir()
    with Chain(folder / "chain") as chain, Rig(folder / "rig", rate=60, seed=seed) as rig:
        rig.environment = chain.telemetry()
        rig.start(instance_id="collector-1", web={"port": chain.stack.ports.collector})
        rig.wait_in_sync(60)
        report = Report(seconds)
        kinds = list(events(rig, chance).items())
        began = next_at = time.monotonic()
        number = 0
        while time.monotonic() - began < seconds:
            if time.monotonic() >= next_at:
                next_at += CALM_S
                name, act = kinds[number % len(kinds)]
                act(VENUES[(number // len(kinds) + number) % 2])
                report.did[name] = report.did.get(name, 0) + 1
                number += 1
            for alert in chain.ask("alerts")["alerts"]:
                if alert["state"] == "firing":
                    said = report.fired.setdefault(alert["labels"]["alertname"], set())
                    said.add(f"after {time.monotonic() - began:.0f} s: {alert['annotations'].get('description', '')}")
            time.sleep(2)
        report.messages = sum(len(chain.far.seen(channel)) for channel in EVERY)
        report.beats = len(chain.far.beats)
        assert rig.stop() == 0
    return report


def check(report: Report) -> None:
    """Nobody was woken."""
    woken = {name: said for name, said in report.fired.items() if name != "Watchdog"}
    assert woken == {}
    assert report.messages == 0
    assert report.beats >= report.seconds / 60 - 1
    assert len(report.did) >= 8
