"""A storm of random faults on all venues at once, from a seed: afterwards everything equals the ledger."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import EVERY, SIMULATED, Rig

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
SYMBOLS = ("BTC-USDT", "ETH-USDT", "BTC-USD", "BTC-USDT-PERP", "ETH-USDT-PERP", "BTC-USD-PERP")
CHANNELS = ("trades", "quotes", "tickers", "book", "candles", "instruments", "status")
LISTED = ["BTC-USDT", "ETH-USDT", "BTC-USD"]
BOOKS = {"binance": 2, "binance_usdm": 2, "okx": 2, "okx_swap": 3, "coinbase": 3, "kraken": 3}
"""How many of those each section of the configuration has."""
MESSAGES_PER_STEP = 1.55
"""How many messages a step of the simulator's markets gives, at least."""


def _storm(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    seed: int,
    seconds: float,
    venues: tuple[str, ...] = EVERY,
    rate: int = 600,
) -> None:
    """Fault after fault on this many steps a second, then hold everything against the ledger."""
    chance = random.Random(seed)
    simulated = tuple(dict.fromkeys(SIMULATED.get(venue, venue) for venue in venues))
    options = [part for venue in simulated for part in ("--limit", f"{venue}.connects=10000")]
    options += ["--ledger-limit", "30000000"]
    with Rig(folder, seed=seed, rate=rate, options=tuple(options), venues=venues, symbols=SYMBOLS) as rig:
        rig.start(
            channels=[*CHANNELS, "funding", "open_interest", "liquidations"],
            instruments=LISTED if venues == EVERY else list(LISTED[: BOOKS[venues[0]]]),
        )
        rig.wait_in_sync(60)
        until = time.monotonic() + seconds
        faults = 0
        while time.monotonic() < until:
            fault = {**chance.choice(KINDS), "venue": chance.choice(simulated)}
            if fault["kind"] in ON_FRAMES:
                fault["channel"] = chance.choice((None, "trades", "quotes", "book"))
            rig.control("faults", fault)
            faults += 1
            if faults % 50 == 0:
                rig.follow()  # reading half an hour at once takes longer than standing markets stay normal
            time.sleep(chance.uniform(0.1, 1.0) * max(1.0, seconds / 300))
        received = rig.metric("marketprism_messages_received_total")
        rig.heal()
        rig.wait_in_sync(120)
        time.sleep(5)
        rig.settle()
        books, trades = rig.check_books(), rig.check_trades()
        with capsys.disabled():
            sys.stdout.write(
                f"\nseed {seed}: {faults} faults in {seconds:g} s at {received / seconds:.0f} messages a second: "
                f"{books} books equal the ledger, {trades} trades once or in a Gap, {len(rig.gaps)} Gaps\n"
            )
        assert books == sum(BOOKS[venue] for venue in venues)
        assert trades > seconds * rate / 10
        assert rig.gaps
        assert rig.stop() == 0


def test_after_a_storm_of_faults_everything_equals_the_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _storm(tmp_path, capsys, seed=21, seconds=25)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_after_long_storms_of_other_seeds_everything_equals_the_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    _storm(tmp_path, capsys, seed=seed, seconds=120)


@pytest.mark.soak
@pytest.mark.parametrize("venues", [EVERY, *((venue,) for venue in EVERY)], ids="+".join)
def test_half_an_hour_of_faults_at_five_thousand_messages_a_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], venues: tuple[str, ...]
) -> None:
    _storm(tmp_path, capsys, seed=7, seconds=1800, venues=venues, rate=round(5000 / MESSAGES_PER_STEP))
