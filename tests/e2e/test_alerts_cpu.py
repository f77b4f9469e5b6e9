"""CpuHigh by its real fault. Its window is divided by less than in test_alerts_faster.py: a collector without a core to
spare exports late, and three seconds would often hold one sample.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.rules.table import RULES
from tests.e2e.chain import Case, Chain, follow
from tests.e2e.expected import Expected
from tests.e2e.pressure import asked_without_a_pause, first
from tests.e2e.proofs import show, table
from tests.e2e.rig import Rig

pytestmark = pytest.mark.soak  # four minutes on two cores that do nothing else
FACTOR = 5


def test_a_core_that_is_busy_is_told_and_so_is_its_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rule,) = [rule for rule in RULES if rule.name == "CpuHigh"]
    assert rule.priority is not None
    expected = Expected(
        rule.name,
        rule.priority,
        rule.channels,
        {"instance": "collector-1"},
        "A collector uses most of its one core.",
        r"collector-1 uses [\d.]+% of a core\. At 100 % data comes late\.",
    )
    for name in ("chain", "rig"):
        (tmp_path / name).mkdir()
    with Chain(tmp_path / "chain", factor=FACTOR) as chain, Rig(tmp_path / "rig", rate=60) as rig:
        rig.environment = chain.telemetry()
        rig.start(instance_id="collector-1", web={"port": chain.stack.ports.collector})
        rig.wait_in_sync()
        assert rig.collector is not None
        first(rig.collector.pid)
        busy = Case(chain, expected, "/metrics is asked for without a pause", rule.hold_s / FACTOR)
        busy.begin()
        with asked_without_a_pause(chain.stack.ports.collector):
            follow([busy], 240)
        busy.only_its_channels()
        busy.heal()
        follow([busy], 120, recovery=True)
        show(f"every duration divided by {FACTOR}", table([busy.proof]), capsys)
        assert rig.stop() == 0
