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
PERPS = ("binance_usdm", "okx_swap")
RECEIVED = "marketprism_messages_received_total"
CHANNELS = ("trades", "quotes", "tickers", "book", "candles", "instruments", "status")
LISTED = ["BTC-USDT", "ETH-USDT", "BTC-USD"]
BOOKS = {"binance": 2, "binance_usdm": 2, "okx": 2, "okx_swap": 3, "coinbase": 3, "kraken": 3}
"""How many of those each section of the configuration has."""
MOST_STEPS = 1.8
"""A message: a simulator that is asked for more than it can do gives less."""
FOLLOW_S = 5.0
"""Between two looks at the journal: to read half an hour at once takes longer than markets may stand still."""


class Pace:
    """Holds the simulator at so many messages a second: how many a step of its markets gives, and how many are lost to
    faults, depends on venues, rate and luck.
    """

    def __init__(self, rig: Rig, messages: float) -> None:
        self._rig = rig
        self._wanted = messages
        self._rate = messages / 1.5
        self.began = self._at = time.monotonic()
        self._first = self._seen = rig.metric(RECEIVED)

    def adjust(self) -> None:
        """By what came since the last time, so that the mean comes to what is wanted."""
        seen, at = self._rig.metric(RECEIVED), time.monotonic()
        measured = (seen - self._seen) / (at - self._at)
        behind = self._wanted * (at - self.began) - (seen - self._first)
        self._rate *= min(1.5, max(0.7, (self._wanted + behind / 60) / max(measured, 1.0)))
        self._rate = min(self._rate, self._wanted * MOST_STEPS)
        self._rig.control("rate", {"rate": self._rate})
        self._seen, self._at = seen, at

    def age(self) -> float:
        """Seconds since it was adjusted."""
        return time.monotonic() - self._at

    def mean(self) -> float:
        """Messages a second since the beginning."""
        return (self._rig.metric(RECEIVED) - self._first) / (time.monotonic() - self.began)


def _storm(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    seed: int,
    seconds: float,
    venues: tuple[str, ...] = EVERY,
    messages: float = 900,
    pause: float = 1.0,
) -> float:
    """Fault after fault at this many messages a second, then hold everything against the ledger; the pace it had.

    `pause`: the longest from one fault to the next, in seconds.
    """
    chance = random.Random(seed)
    simulated = tuple(dict.fromkeys(SIMULATED.get(venue, venue) for venue in venues))
    options = [part for venue in simulated for part in ("--limit", f"{venue}.connects=10000")]
    options += ["--ledger-limit", "30000000"]
    rate = round(messages / 1.5)
    symbols = tuple(symbol for symbol in SYMBOLS if any(symbol.endswith("-PERP") == (one in PERPS) for one in venues))
    with Rig(folder, seed=seed, rate=rate, options=tuple(options), venues=venues, symbols=symbols) as rig:
        rig.start(
            channels=[*CHANNELS, "funding", "open_interest", "liquidations"],
            instruments=LISTED if venues == EVERY else list(LISTED[: BOOKS[venues[0]]]),
        )
        rig.wait_in_sync(60)
        pace = Pace(rig, messages)
        until = pace.began + seconds
        faults = 0
        while time.monotonic() < until:
            fault = {**chance.choice(KINDS), "venue": chance.choice(simulated)}
            if fault["kind"] in ON_FRAMES:
                fault["channel"] = chance.choice((None, "trades", "quotes", "book"))
            rig.control("faults", fault)
            faults += 1
            if pace.age() > FOLLOW_S:
                rig.follow()
                pace.adjust()
            time.sleep(chance.uniform(0.1, 1.0) * pause)
        mean = pace.mean()
        rig.heal()
        rig.wait_in_sync(120)
        time.sleep(5)
        rig.settle()
        books, trades = rig.check_books(), rig.check_trades()
        with capsys.disabled():
            sys.stdout.write(
                f"\nseed {seed}: {faults} faults in {seconds:g} s at {mean:.0f} messages a second: "
                f"{books} books equal the ledger, {trades} trades once or in a Gap, {len(rig.gaps)} Gaps\n"
            )
        assert books == sum(BOOKS[venue] for venue in venues)
        assert trades > seconds * messages / 15
        assert rig.gaps
        assert rig.stop() == 0
        return mean


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
    mean = _storm(tmp_path, capsys, seed=7, seconds=1800, venues=venues, messages=5000, pause=10.0)
    assert mean > 4900, "the machine is too busy for this"
