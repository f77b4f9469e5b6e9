"""Recorded frames, to be played instead of a generated market.

It owns the reading of a tape (JSON lines: exchange, transport, raw; channel, market, run, n, recv_ts, request where
known) and the position in it. It must never interpret a venue's message: the venue says which of its keys a line is
for. The whole tape is checked before the first line is played.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_NEEDED = ("exchange", "transport", "raw")
_VENUES = {
    ("binance", "spot"): "binance",
    ("binance", "usdm-futures"): "binance_usdm",
    ("kraken", "spot"): "kraken",
    ("okx", "spot"): "okx",
    ("okx", "swap"): "okx",
    ("coinbase", "spot"): "coinbase",
}
"""The venue that a line is for, by its exchange and market."""
_SYMBOL_KEYS = ("symbol", "pair", "instId", "instType", "product_id")


@dataclass(frozen=True, slots=True)
class Line:
    """One recorded message; `at` is its receive time in seconds, if the tape knows it."""

    transport: str
    raw: str
    at: float | None
    endpoint: str | None
    symbol: str | None


@dataclass(slots=True)
class TapeVenue:
    """One exchange's lines in order. `position` counts the lines that were played."""

    lines: list[Line]
    position: int = 0
    _rest: dict[tuple[str, str | None], list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the REST lines."""
        for index, line in enumerate(self.lines):
            if line.transport == "rest" and line.endpoint is not None:
                self._rest.setdefault((line.endpoint, line.symbol), []).append(index)

    def next(self) -> Line | None:
        """The next line, or None at the end."""
        if self.position >= len(self.lines):
            return None
        self.position += 1
        return self.lines[self.position - 1]

    def due(self) -> float | None:
        """When the next line was received (seconds), if there is one and the tape knows."""
        return self.lines[self.position].at if self.position < len(self.lines) else None

    def timed(self) -> bool:
        """Whether every line has a receive time."""
        return all(line.at is not None for line in self.lines)

    def answer(self, endpoint: str, symbol: str | None) -> str | None:
        """The newest recorded answer up to now, or the first one to come; None when there is none on the tape."""
        indexes = self._rest.get((endpoint, symbol))
        if not indexes:
            return None
        past = [index for index in indexes if index <= self.position]
        return self.lines[past[-1] if past else indexes[0]].raw

    def socket_lines(self) -> list[str]:
        """All WebSocket messages on the tape."""
        return [line.raw for line in self.lines if line.transport == "ws"]


def read_tape(path: Path) -> dict[str, TapeVenue]:
    """The lines of a tape, by venue: by receive time where a run has one, else as numbered.

    Raises:
        ValueError: a line is no JSON object or lacks a key; the message names the line.
        OSError: the file cannot be read.
    """
    found: dict[str, list[tuple[tuple[float, ...], Line]]] = {}
    runs: dict[str, int] = {}
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: not JSON: {error}") from None
        missing = [key for key in _NEEDED if not isinstance(record, dict) or key not in record]
        if missing:
            raise ValueError(f"{path}:{number}: not a line of a tape: {', '.join(missing)} missing")
        name = _VENUES.get((record["exchange"], record.get("market", "spot")))
        if name is None:
            continue
        line, at = _line(record), record.get("recv_ts")
        run = runs.setdefault(str(record.get("run", "")), len(runs))
        order = (at,) if at is not None else (float("-inf"), run, record.get("n", number))
        found.setdefault(name, []).append((order, line))
    if not found:
        raise ValueError(f"{path}: no line of a venue on this tape")
    return {
        name: TapeVenue([line for _, line in sorted(lines, key=lambda one: one[0])]) for name, lines in found.items()
    }


def _line(record: dict[str, Any]) -> Line:
    endpoint = symbol = None
    request = record.get("request")
    if record["transport"] == "rest" and request:
        address = urlsplit(str(request).split(" ")[1] if " " in str(request) else str(request))
        query = parse_qs(address.query)
        endpoint = address.path.rstrip("/").rpartition("/")[2]
        symbol = next((query[key][0] for key in _SYMBOL_KEYS if key in query), None)
    return Line(record["transport"], record["raw"], record.get("recv_ts"), endpoint, symbol)
