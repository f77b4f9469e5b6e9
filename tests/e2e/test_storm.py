"""A storm of random faults on both venues at once, from a seed: afterwards everything equals the ledger."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import VENUES, Rig

pytestmark = pytest.mark.full
KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "drop", "count": 5},
    {"kind": "duplicate", "count": 5},
    {"kind": "reorder", "count": 4},
    {"kind": "corrupt", "how": "json", "count": 2},
    {"kind": "corrupt", "how": "type", "count": 2},
    {"kind": "malformed", "count": 2},
    {"kind": "unknown_type", "count": 2},
    {"kind": "binary"},
    {"kind": "slow", "ms": 30, "seconds": 1},
    {"kind": "close"},
    {"kind": "close", "abrupt": True},
)
ON_FRAMES = ("drop", "duplicate", "reorder", "corrupt")


def _storm(folder: Path, seed: int, faults: int) -> None:
    chance = random.Random(seed)
    unlimited = [f"{venue}.connects=10000" for venue in VENUES]
    with Rig(folder, seed=seed, rate=600, options=("--limit", unlimited[0], "--limit", unlimited[1])) as rig:
        rig.start()
        rig.wait_in_sync()
        for _ in range(faults):
            fault = {**chance.choice(KINDS), "venue": chance.choice(VENUES)}
            if fault["kind"] in ON_FRAMES:
                fault["channel"] = chance.choice((None, "trades", "quotes", "book"))
            rig.control("faults", fault)
            time.sleep(chance.uniform(0.1, 1.0))
        rig.heal()
        rig.wait_in_sync(120)
        time.sleep(5)
        rig.settle()
        assert rig.check_books() == 4
        assert rig.check_trades() > 1000
        assert rig.gaps
        assert rig.stop() == 0


def test_after_a_storm_of_faults_everything_equals_the_ledger(tmp_path: Path) -> None:
    _storm(tmp_path, seed=21, faults=30)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_after_long_storms_of_other_seeds_everything_equals_the_ledger(tmp_path: Path, seed: int) -> None:
    _storm(tmp_path, seed=seed, faults=200)
