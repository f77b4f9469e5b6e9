"""One digit of one message becomes another: does anybody notice? Measured, field by field.

A session with the simulator is recorded once, as the inputs of its core; each trial gives the same inputs to a fresh
core, with one digit changed, and compares what comes out. It is noticed when anything says so (a dead letter, a Gap, a
duplicate, a checksum, a verdict), harmless when the records are the same, silent when other records come out as if
nothing were wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any, Literal, NamedTuple

from collector.records import Gap, encode_lines
from collector.venues import VENUES
from collector.venues.protocol import Core, CoreSettings, FrameKind, Wanted
from tests.venues.kit import Bench
from tests.venues.sessions import PERP, PUBLIC, SPOT, USD, Case, Session

STEPS = 160
Field = tuple[str, str]
"""Our channel, and the venue's name of the field."""
Noticed = Literal["noticed", "harmless", "silent"]
ALL: dict[str, tuple[Case, ...]] = {
    "binance": (Case("binance", "binance", "/stream", SPOT, ("book", "trades", "quotes", "tickers", "candles")),),
    "binance_usdm": (
        Case("binance_usdm", "binance_usdm", "/public/stream", PERP, ("book", "quotes")),
        Case(
            "binance_usdm", "binance_usdm", "/market/stream", PERP,
            ("trades", "tickers", "candles", "funding", "liquidations"),
        ),
    ),
    "okx": (
        Case("okx", "okx", PUBLIC, SPOT, ("book", "trades", "quotes", "tickers"), 400),
        Case("okx", "okx", "/ws/v5/business", SPOT, ("candles",)),
    ),
    "okx_swap": (
        Case(
            "okx_swap", "okx", PUBLIC, PERP,
            ("book", "trades", "quotes", "tickers", "funding", "open_interest", "liquidations"), 400,
        ),
        Case("okx_swap", "okx", "/ws/v5/business", PERP, ("candles",)),
    ),
    "coinbase": (Case("coinbase", "coinbase", "", USD, ("book", "trades", "quotes", "tickers", "candles")),),
    "kraken": (Case("kraken", "kraken", "/v2", USD, ("book", "trades", "quotes", "tickers", "candles"), 25),),
}  # fmt: skip
"""Everything that a section's streams carry."""
_DIGIT = re.compile(rb"[0-9]")


class Input(NamedTuple):
    """One input of a core: what it was, and of a frame what it was taken for."""

    give: Callable[[Core, bytes], object]
    frame: bytes
    kind: FrameKind


class Recorded(NamedTuple):
    case: Case
    inputs: list[Input]
    signs: Counter[str]
    records: bytes


class Place(NamedTuple):
    """A digit of a frame."""

    frame: int
    at: int


def made(case: Case) -> Core:
    venue = VENUES[case.section]
    names = [symbol.removesuffix("-PERP") for symbol in case.symbols]
    wanted = [Wanted(name, channel) for name in names for channel in case.channels]
    return venue.make_core(wanted, CoreSettings(depth=case.depth), venue.facts)


@lru_cache
def recorded(case: Case, seed: int) -> Recorded:
    """A quiet session: nothing is damaged, every request is answered."""
    session = Session(case, seed, [])
    inputs: list[Input] = []
    core = session.core
    inner = {name: getattr(core, name) for name in ("connected", "disconnected", "frame", "reply", "wake")}

    def noted(name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            done = inner[name](*args)
            if name == "frame":
                now = args[1]
                inputs.append(Input(lambda other, data: other.frame(data, now), args[0], done))
            else:
                inputs.append(Input(lambda other, _: getattr(other, name)(*args), b"", "control"))
            return done

        return call

    for name in inner:
        setattr(core, name, noted(name))
    session.connect()
    for _ in range(STEPS):
        session.step(rest_fails=0.0)
    signs, records = outcome(case, inputs, None, b"")
    assert not any(sign.startswith("dead") for sign in signs), signs
    return Recorded(case, inputs, signs, records)


def outcome(case: Case, inputs: list[Input], changed: int | None, instead: bytes) -> tuple[Counter[str], bytes]:
    """What a fresh core says to these inputs: what it complains of, and its records."""
    core = made(case)
    bench = Bench(core)
    for number, given in enumerate(inputs):
        given.give(core, instead if number == changed else given.frame)
    bench.drain()
    signs = Counter(f"dead {letter.reason}" for letter in bench.dead)
    signs.update(event.kind for event in bench.events if event.kind in ("duplicate", "checksum_mismatch", "not_spoken"))
    signs.update(f"gap {gap.cause}" for gap in bench.of(Gap))
    signs.update(f"{change.channel} {change.verdict.state}" for change in bench.verdicts)
    return signs, encode_lines(bench.records)


def places(found: Recorded) -> dict[Field, list[Place]]:
    """Every digit of the data messages in the middle, by its field: those before warm up, those after show harm."""
    by_field: defaultdict[Field, list[Place]] = defaultdict(list)
    for number, given in enumerate(found.inputs):
        if given.kind in found.case.channels and 0.25 < number / len(found.inputs) < 0.55:
            for at, field in fields(given.frame):
                by_field[str(given.kind), field].append(Place(number, at))
    return dict(by_field)


def fields(frame: bytes) -> list[tuple[int, str]]:
    """Each digit of a message with the name of the field that it is in: the nearest key; of a list in a list, the outer
    list's.
    """
    found: list[tuple[int, str]] = []
    keys: list[str] = [""]
    name = ""
    for token in re.finditer(rb'"((?:[^"\\]|\\.)*)"(\s*:)?|[\[\]{}]|[-0-9.eE+]+|[a-z]+', frame):
        text = token.group()
        if text in (b"{", b"["):
            keys.append(name)
        elif text in (b"}", b"]"):
            name = keys.pop()
        elif token.group(2):
            name = token.group(1).decode()
        else:
            found += [(token.start() + digit.start(), name) for digit in _DIGIT.finditer(text)]
    return found


def trial(found: Recorded, place: Place, random: Random) -> Noticed:
    """Change one digit."""
    frame = found.inputs[place.frame].frame
    digit = random.choice([one for one in b"0123456789" if one != frame[place.at]])
    instead = frame[: place.at] + bytes([digit]) + frame[place.at + 1 :]
    signs, records = outcome(found.case, found.inputs, place.frame, instead)
    if signs != found.signs:
        return "noticed"
    return "harmless" if records == found.records else "silent"


def measured(section: str, trials: int, seed: int) -> dict[Field, Counter[Noticed]]:
    """So many trials of each field of a section's messages."""
    random = Random(seed)
    results: dict[Field, Counter[Noticed]] = {}
    for case in ALL[section]:
        found = recorded(case, seed)
        for field, where in places(found).items():
            tally = results.setdefault(field, Counter())
            tally.update(trial(found, random.choice(where), random) for _ in range(trials))
    return results
