"""Both collectors in turn on one tape: A B A B …, each in a process of its own, read by one player.

It owns the processes and the verdict on whether a run counts: a side that lost messages, or made another number of
records than the tape has messages, fails the whole run by name. What the numbers mean is in docs/benchmarks.md.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from benchmarks.results import Offer, Played, Result, Settings

SIDES = {"ours": "benchmarks.ours", "cryptofeed": "benchmarks.theirs"}
T = TypeVar("T", bound=Struct)


class RunError(Exception):
    """A run does not count; the message names the side and what it lost."""


class Round(NamedTuple):
    """One side, once. `player_busy`: the player's CPU by the time that playing took; near 1 it would be the limit."""

    result: Result
    player_busy: float


class Comparison(NamedTuple):
    """All rounds by side. `origin` says what was played."""

    origin: str
    rounds: dict[str, list[Round]]

    def ratios(self) -> list[float]:
        """Ours by cryptofeed, CPU a message, round by round."""
        pairs = zip(self.rounds["ours"], self.rounds["cryptofeed"], strict=True)
        return [ours.result.cpu_us / theirs.result.cpu_us for ours, theirs in pairs]

    def table(self) -> Iterator[str]:
        """Give the lines to print."""
        yield f"{'':12}{'CPU µs a message':>24}{'messages a CPU second':>24}{'messages a second':>20}{'player':>8}"
        for side, rounds in self.rounds.items():
            costs = [one.result.cpu_us for one in rounds]
            cost, rate = median(costs), median(one.result.per_s for one in rounds)
            busy = median(one.player_busy for one in rounds)
            spread = f"{cost:.2f} ({min(costs):.2f} to {max(costs):.2f})"
            yield f"{side:12}{spread:>24}{1e6 / cost:>24,.0f}{rate:>20,.0f}{busy:>8.0%}"
        ratios = self.ratios()
        if ratios:
            yield f"ours/cryptofeed {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def compare(settings: Settings, rounds: int, sides: dict[str, str] | None = None) -> Comparison:
    """Run it. Raises RunError."""
    sides = SIDES if sides is None else sides
    with playing(settings) as player:
        offer = _line(player, Offer, "the player")
        done: dict[str, list[Round]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, module in sides.items():
                result = _read(side, module, offer)
                played = _line(player, Played, "the player")
                done[side].append(Round(result, played.cpu_s / played.wall_s))
    return Comparison(offer.origin, done)


@contextmanager
def playing(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Start the player, and end it."""
    with tempfile.TemporaryDirectory(prefix="marketprism-bench-") as directory:
        order = msgspec.json.encode(msgspec.structs.replace(settings, directory=directory)).decode()
        with subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "benchmarks.player", order], stdout=subprocess.PIPE, text=True
        ) as player:
            try:
                yield player
            finally:
                player.terminate()


def _read(side: str, module: str, offer: Offer) -> Result:
    order = msgspec.json.encode(offer).decode()
    command = [sys.executable, "-m", module, order]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        raise RunError(f"{side}: ended with {done.returncode}; what it said stands above")
    result = msgspec.json.decode(done.stdout, type=Result)
    verify(side, result, offer)
    return result


def verify(side: str, result: Result, offer: Offer) -> None:
    """Raise RunError unless the side made one record or callback of every message."""
    if result.wrong:
        raise RunError(f"{side}: {result.wrong}")
    for kind, sent in offer.sent.items():
        made = result.made.get(kind, 0)
        if made != sent:
            raise RunError(f"{side}: {sent} messages ({kind}) were sent, it made {made} of them")


def _line(process: subprocess.Popen[str], kind: type[T], who: str) -> T:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RunError(f"{who} ended; what it said stands above")
    return msgspec.json.decode(line, type=kind)
