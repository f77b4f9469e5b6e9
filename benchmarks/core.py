"""What the venue core costs alone: no socket, no loop, no journal.

It owns three figures for each kind of message, CPU µs each: msgspec decoding the bytes to typed text and nothing else
(the floor), the core from bytes to verified records, and encoding those records as the journal does. The core is live
and in sync, as it is in the middle of a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import msgspec
from msgspec import Struct

from benchmarks.tape import KINDS, Frame, Kind, Tape
from collector.clock import Now
from collector.records import encode_lines
from collector.venues.binance import BinanceCore
from collector.venues.binance.wire import AggTradeEvent, BookTickerEvent, DepthEvent
from collector.venues.protocol import Answer, CoreSettings, Fetch, Wanted

MESSAGES = 20_000
ROUNDS = 5
BURST = 256
NOW = Now(1_000_000_000, 1_633_998_512_000_000)


class Cost(NamedTuple):
    """CPU µs a message."""

    decode: float
    core: float
    encode: float


class _Trade(Struct, gc=False):
    stream: str
    data: AggTradeEvent


class _Quote(Struct, gc=False):
    stream: str
    data: BookTickerEvent


class _Book(Struct, gc=False):
    stream: str
    data: DepthEvent


_FLOOR: dict[Kind, Callable[[bytes], object]] = {
    "trades": msgspec.json.Decoder(_Trade).decode,
    "quotes": msgspec.json.Decoder(_Quote).decode,
    "book": msgspec.json.Decoder(_Book).decode,
}


def measure(tape: Tape, kind: Kind) -> Cost:
    """Measure ROUNDS times MESSAGES messages of this kind; the medians."""
    frames = list(tape.frames(MESSAGES, {kind}))
    rounds = [_round(tape, kind, frames) for _ in range(ROUNDS)]
    return Cost(*(median(values) for values in zip(*rounds, strict=True)))


def _round(tape: Tape, kind: Kind, frames: Sequence[Frame]) -> Cost:
    core = live_core(tape)
    payloads = [frame.payload for frame in frames]
    bursts = [payloads[at : at + BURST] for at in range(0, len(payloads), BURST)]
    decode, records = _FLOOR[kind], core.out.records
    spent = [0, 0, 0]
    made = 0
    for burst in bursts:  # step by step, so that records die as young as they do in a run
        start = time.process_time_ns()
        for payload in burst:
            decode(payload)
        decoded = time.process_time_ns()
        for payload in burst:
            core.frame(payload, NOW)
        cored = time.process_time_ns()
        encode_lines(records)
        encoded = time.process_time_ns()
        made += len(records)
        core.out.clear()
        for step, (before, after) in enumerate(pairwise((start, decoded, cored, encoded))):
            spent[step] += after - before
    if made != len(payloads):
        raise RuntimeError(f"{len(payloads)} messages ({kind}) made {made} records; expected one each")
    return Cost(*(step / made / 1e3 for step in spent))


def live_core(tape: Tape) -> BinanceCore:
    """Give a core that is subscribed and in sync with the tape's snapshots."""
    wanted = [Wanted(instrument, kind) for instrument in tape.instruments.values() for kind in KINDS]
    core = BinanceCore(wanted, CoreSettings(trade_stream="aggTrade"))
    core.connected(NOW)
    number = 0
    while core.out.commands:
        commands = core.out.commands[:]
        core.out.clear()
        for command in commands:
            if isinstance(command, Fetch):
                body = tape.snapshots[command.symbol] if command.symbol else tape.listing
                core.reply(command, Answer(200, body, f"{command.path}?limit={dict(command.params).get('limit')}"), NOW)
            else:
                number += 1
                core.frame(f'{{"result":null,"id":{number}}}'.encode(), NOW)
    core.out.clear()
    return core
