"""The stream that both collectors read: Binance spot frames, REST snapshots and the listing, as long as one wants it.

It owns what is on the stream and never how it is sent. A stretch of real messages (a recording), or of made ones
(made.py), is played forward and then backward with every book change undone, again and again: so a short recording
gives a stream of any length whose levels, texts and sizes are the recording's, and whose book never leaves the states
that it really had (played in a circle instead, it would soon be crossed). Only ids and times are made, so that the
chains go on: the same tape is the same bytes every time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

Kind = Literal["trades", "quotes", "book"]
KINDS: tuple[Kind, ...] = ("trades", "quotes", "book")
STREAMS = ("aggTrade", "bookTicker", "depth@100ms")
"""The three of each symbol. aggTrade, because cryptofeed reads no other trades."""
EVENT_MS = 10
"""Between two events of the stream, by the venue's clock."""
RUN = "cryptofeed-BINANCE"
"""The run of the recording: spot, four symbols, 2021."""
REMOVED = "0.00000000"
_KIND: dict[str, Kind] = {"aggTrade": "trades", "bookTicker": "quotes", "depth@100ms": "book"}


class TapeError(Exception):
    """A recording is not what is needed; the message says where and what was expected."""


class Event(NamedTuple):
    """One message. `data` as Binance sends it, with ids and times that are replaced when it is played."""

    kind: Kind
    symbol: str
    stream: str
    data: dict[str, Any]


class Frame(NamedTuple):
    """One message as it is sent."""

    kind: Kind
    payload: bytes


@dataclass(frozen=True, slots=True)
class Tape:
    """`origin` says where it is from. By symbol: `snapshots`, bodies of GET /api/v3/depth, and `instruments`."""

    origin: str
    listing: bytes
    snapshots: dict[str, bytes]
    instruments: dict[str, str]
    stretch: tuple[Event, ...]

    def frames(self, count: int, kinds: Collection[Kind] = KINDS) -> Iterator[Frame]:
        """Give the first `count` messages (of these kinds)."""
        both_ways = [event for event in (*self.stretch, *_undone(self)) if event.kind in kinds]
        last: dict[str, int] = {symbol: json.loads(body)["lastUpdateId"] for symbol, body in self.snapshots.items()}
        quotes = dict(last)
        trades: dict[str, int] = defaultdict(lambda: 10_000_000)
        start_ms = 1_633_998_512_000  # that of the recording: every id and time has as many digits as it would have
        for number in range(count):
            kind, symbol, stream, data = both_ways[number % len(both_ways)]
            at = start_ms + number * EVENT_MS
            if kind == "book":
                first = last[symbol] + 1
                last[symbol] = first + data["u"] - data["U"]
                made: dict[str, int] = {"E": at, "U": first, "u": last[symbol]}
            elif kind == "quotes":
                quotes[symbol] += 1
                made = {"u": quotes[symbol]}
            else:
                trades[symbol] += 1
                made = {"E": at, "a": trades[symbol], "f": trades[symbol], "l": trades[symbol], "T": at}
            yield Frame(kind, msgspec.json.encode({"stream": stream, "data": {**data, **made}}))


def recorded(directory: Path) -> Tape:
    """Read the recording of run `cryptofeed-BINANCE`. TapeError when it is not there or lacks a part."""
    ws, rest = (_lines(directory / f"binance.{transport}.cryptofeed.jsonl") for transport in ("ws", "rest"))
    listing = next((line["raw"] for line in rest if line["channel"] == "status"), None)
    if listing is None:
        raise TapeError(f"{directory}: expected a listing (channel status) of run {RUN}, found none")
    snapshots: dict[str, str] = {}
    for line in rest:
        if line["channel"] == "book":
            snapshots[line["request"].partition("symbol=")[2].partition("&")[0]] = line["raw"]
    at = {symbol: json.loads(body)["lastUpdateId"] for symbol, body in snapshots.items()}
    events: list[Event] = []
    for line in ws:
        message = json.loads(line["raw"])
        name, data = message["stream"], message["data"]
        symbol, _, stream = name.partition("@")
        kind = _KIND.get(stream)
        # What is older than the snapshot would be thrown away by both: the stream begins with the snapshot's successor.
        if kind is not None and not (kind == "book" and data["u"] <= at[data["s"]]):
            events.append(Event(kind, symbol.upper(), name, data))
    if not events:
        raise TapeError(f"{directory}: expected messages of run {RUN}, found none")
    named = {item["symbol"]: f"{item['baseAsset']}-{item['quoteAsset']}" for item in json.loads(listing)["symbols"]}
    return Tape(
        origin=f"recorded: run {RUN}, {len(events)} messages",
        listing=listing.encode(),
        snapshots={symbol: body.encode() for symbol, body in snapshots.items()},
        instruments={symbol: named[symbol] for symbol in snapshots},
        stretch=tuple(events),
    )


def _undone(tape: Tape) -> list[Event]:
    """Give the stretch backward: every book message restores the sizes that the original one replaced."""
    books: dict[str, dict[str, dict[str, str]]] = {}
    for symbol, body in tape.snapshots.items():
        snapshot = json.loads(body)
        books[symbol] = {"b": dict(snapshot["bids"]), "a": dict(snapshot["asks"])}
    undone: list[Event] = []
    for event in tape.stretch:
        if event.kind != "book":
            undone.append(event)
            continue
        data = dict(event.data)
        for side in ("b", "a"):
            book = books[event.symbol][side]
            data[side] = [[price, book.get(price, REMOVED)] for price, _ in event.data[side]]
            book.update(event.data[side])
        undone.append(event._replace(data=data))
    return undone[::-1]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror}; expected the recording of run {RUN}") from error
    return [line for line in lines if line.get("run") == RUN]
