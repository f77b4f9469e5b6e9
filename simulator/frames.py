"""What goes out: one message, encoded once for all who subscribed to it, and the count of all that went.

It owns the message and the meter. It must never decide who gets a message (the venue does) nor whether it is harmed
(the faults do).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

TEXT, BINARY = 1, 2  # WebSocket opcodes
MARK = b"@number@"  # stands in a payload where the number of the message on its connection goes
TRADES, QUOTES, BOOK, TICKERS, CANDLES = "trades", "quotes", "book", "tickers", "candles"
INSTRUMENTS, STATUS = "instruments", "status"
FUNDING, OPEN_INTEREST, LIQUIDATIONS = "funding", "open_interest", "liquidations"
CHANNELS = (
    TRADES,
    QUOTES,
    BOOK,
    TICKERS,
    CANDLES,
    INSTRUMENTS,
    STATUS,
    FUNDING,
    OPEN_INTEREST,
    LIQUIDATIONS,
)


@dataclass(slots=True)
class Frame:
    """One outgoing message.

    `channel` is ours (one of CHANNELS), `key` the venue's subscription. `first` to `last` are the ids that the
    message carries, counted in `ids` (trade, update or time).
    """

    venue: str
    symbol: str
    channel: str
    key: str
    payload: bytes
    ts_us: int
    ids: str
    first: int
    last: int
    snapshot: bool = False
    opcode: int = TEXT
    delay: float = 0.0
    numbers: dict[int, int] | None = None  # by connection, where a venue numbers each one's messages
    _combined: bytes | None = None

    def combined(self) -> bytes:
        """The payload in Binance's combined envelope, made once."""
        if self._combined is None:
            self._combined = b'{"stream":"' + self.key.encode() + b'","data":' + self.payload + b"}"
        return self._combined

    def numbered(self, connection: int) -> bytes:
        """The payload with its number on that connection, where it has one."""
        number = None if self.numbers is None else self.numbers.get(connection)
        return self.payload if number is None else self.payload.replace(MARK, b"%d" % number, 1)


@dataclass(slots=True)
class Sent:
    """Messages and payload bytes (before compression) by channel, of one connection or of a venue."""

    counts: dict[str, list[int]] = field(default_factory=dict)

    def add(self, channel: str, size: int) -> None:
        """Count one message of `size` bytes."""
        count = self.counts.get(channel)
        if count is None:
            self.counts[channel] = [1, size]
        else:
            count[0] += 1
            count[1] += size

    def report(self) -> dict[str, dict[str, int]]:
        """As JSON: channel to messages and bytes."""
        return {channel: {"messages": n, "bytes": size} for channel, (n, size) in sorted(self.counts.items())}


class Meter:
    """Everything that was handed to sockets, by venue and by connection."""

    KEPT = 1000  # closed connections that are still reported

    def __init__(self) -> None:
        self.venues: dict[str, Sent] = {}
        self._open: dict[int, tuple[dict[str, Any], Sent]] = {}
        self._closed: deque[dict[str, Any]] = deque(maxlen=self.KEPT)
        self._last = 0

    def open(self, venue: str, about: dict[str, Any]) -> tuple[int, Sent, Sent]:
        """A new connection: its number, its own counts and its venue's."""
        self._last += 1
        own = Sent()
        self._open[self._last] = ({"connection": self._last, "venue": venue, **about}, own)
        return self._last, own, self.venues.setdefault(venue, Sent())

    def close(self, number: int, why: str) -> None:
        """A connection ended."""
        about, own = self._open.pop(number)
        self._closed.append({**about, "open": False, "ended": why, "channels": own.report()})

    def report(self) -> dict[str, Any]:
        """All of it as JSON."""
        now = [{**about, "open": True, "channels": own.report()} for about, own in self._open.values()]
        return {
            "venues": {name: sent.report() for name, sent in sorted(self.venues.items())},
            "connections": [*self._closed, *now],
        }
