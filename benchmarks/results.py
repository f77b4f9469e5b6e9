"""What the processes of the comparison tell each other, each as one JSON line on standard output.

It owns these shapes and imports neither reader, so that reading one of them loads nothing of the other.
"""

from __future__ import annotations

import sys

import msgspec
from msgspec import Struct

from benchmarks.measure import Reading
from benchmarks.tape import Kind

HOST = "127.0.0.1"


class Settings(Struct):
    """What the player is to play. `tape`: recorded, quiet or busy. `rate`: messages a second; 0: as fast as they are
    read.
    """

    tape: str
    directory: str
    recordings: str = ""
    messages: int = 200_000
    rate: int = 0


class Offer(Struct):
    """What the player says when it listens: where, what, after how many messages it rests, how many it sends in all."""

    port: int
    ca_file: str
    origin: str
    instruments: list[str]
    start: int
    sent: dict[Kind, int]


class Played(Struct):
    """What the player says when a tape has been played: its own CPU and wall seconds from the rest on."""

    cpu_s: float
    wall_s: float


class Result(Struct):
    """What a reader says last. `made`: records or callbacks of each kind. `wrong`: what must not have happened."""

    cpu_us: float
    per_s: float
    made: dict[Kind, int]
    wrong: str = ""


def result(reading: Reading, made: dict[Kind, int], wrong: str = "") -> Result:
    """Give the figures of a reading: CPU µs a message, messages a second."""
    return Result(reading.cpu_ns / reading.messages / 1e3, reading.messages / reading.wall_ns * 1e9, made, wrong)


def say(line: Struct) -> None:
    """Tell the parent."""
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
