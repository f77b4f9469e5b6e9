"""The contract between a venue core and whoever drives it (live sockets, a tape, a test).

A core is sans-I/O: it owns one connection's subscriptions, books and verdicts and is moved only by its five inputs,
each with `now`. It never opens a socket, reads a clock, starts a task or emits telemetry. After every input (or burst
of them) the driver drains `core.out`, carries out the commands, and calls `wake` when `core.deadline` has passed. So
live, replay and tests run the very same code, and a recorded sequence of inputs gives the same records again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from collector.books.verdict import Verdict
from collector.clock import Now
from collector.records import Market, Record

Channel = Literal[
    "trades",
    "quotes",
    "tickers",
    "book",
    "candles",
    "instruments",
    "status",
    "funding",
    "open_interest",
    "liquidations",
]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
FrameKind = Channel | Literal["control", "unknown"]
"""What a frame turned out to be; the driver counts by it."""
FRAME_KINDS: tuple[FrameKind, ...] = (*CHANNELS, "control", "unknown")
WHOLE_VENUE = "*"
"""The instrument of what concerns the venue as a whole: channel `status`."""

UndecodableReason = Literal["json", "type", "value", "unknown_type", "unknown_symbol", "binary", "too_big"]


@dataclass(frozen=True, slots=True)
class Send:
    """A text frame for the venue. `streams`: how many subscriptions it concerns (for pacing and counting)."""

    text: str
    purpose: Literal["subscribe", "unsubscribe", "ping"]
    streams: int = 1


@dataclass(frozen=True, slots=True)
class Fetch:
    """A REST GET. `id` is unique within the core; the answer comes back through `reply` with the same Fetch.

    `endpoint` is a bounded name for metrics and tapes (`depth`, `listing`, `check`); `path` and `params` make the
    request; `weight` is what it costs in the pool's unit.
    """

    id: int
    endpoint: str
    path: str
    params: tuple[tuple[str, str], ...]
    symbol: str | None
    weight: int


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Close this connection and open a new one.

    `planned`: the venue asked for it, so it does not count as a failure.
    """

    cause: str
    planned: bool = False


Command = Send | Fetch | Reconnect

STATUS_TRANSPORT = 0
"""Answer.status when no HTTP answer came (refused, reset, timed out)."""
STATUS_NOT_ON_TAPE = -1
"""Answer.status when a replayed tape holds no answer: nothing can be concluded from it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Fetch gave: HTTP status (or one of the two above), the body, and the URL that was really asked (its limit
    bounds a snapshot).
    """

    status: int
    body: bytes
    request: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A stream's verdict changed."""

    instrument: str
    channel: Channel
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A frame that could not be decoded, kept as it came."""

    channel: FrameKind
    reason: UndecodableReason
    detail: str
    raw: bytes
    now: Now


EventKind = Literal[
    "duplicate",  # a trade or update seen before, dropped
    "checksum_match",
    "checksum_mismatch",
    "sync_ok",  # a book reached in_sync
    "sync_failed",  # an attempt to sync failed
    "subscription_acked",
    "subscription_rejected",
    "not_spoken",  # a venue channel that this collector does not read yet
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth counting that is neither a record nor a verdict. `detail` is for the log, never for a label."""

    kind: EventKind
    channel: FrameKind
    instrument: str = ""
    detail: str = ""


@dataclass(slots=True)
class Output:
    """What a core has to say since the last drain. The driver takes the lists and calls `clear`."""

    records: list[Record] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    verdicts: list[VerdictChange] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def clear(self) -> None:
        """Empty all lists in place."""
        self.records.clear()
        self.commands.clear()
        self.verdicts.clear()
        self.dead.clear()
        self.events.clear()


@dataclass(frozen=True, slots=True)
class Pool:
    """A budget shared by all hosts of one API family and one egress address: `limit` weight per `interval_s`.

    `used_header`: the response header that tells the weight used so far in the current interval, where the venue sends
    one.
    """

    name: str
    limit: int
    interval_s: float
    used_header: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A WebSocket path and the channels that are served there (not all of a venue's need be on one)."""

    path: str
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a venue is, as data: every number here is the exchange's, with its source in the venue's facts.py."""

    venue: str
    market: Market
    ws_urls: tuple[str, ...]
    """Base URLs, without the path."""
    endpoints: tuple[Endpoint, ...]
    rest_urls: tuple[str, ...]
    pool: Pool
    control_per_s: float
    """Client frames a second that the venue tolerates, with a margin for pongs."""
    connects: tuple[int, float]
    """Connection attempts per seconds and egress address."""
    streams_per_connection: int
    max_frame_bytes: int
    lifetime_s: float | None
    """The venue closes a connection at this age; None: no such limit."""
    docs: tuple[str, ...]
    instruments_per_connection: int = 1024
    """Where a loss on one connection taints all that it carries, fewer bound the blast."""
    silent_s: float = 60.0
    """Without a byte for so long, not even a ping, a socket is dead: longer than the venue may leave between two."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Every channel that the venue has."""
        return tuple(channel for endpoint in self.endpoints for channel in endpoint.channels)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One stream to collect: canonical instrument and channel."""

    instrument: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """What a core may be told.

    `open_world`: also take streams nobody asked for (a foreign tape says what it carries by carrying it).
    """

    depth: int = 1000
    trade_stream: str = "trade"
    candle_interval: str = "1m"
    snapshot_every_s: float = 300.0
    open_world: bool = False
    seed: int = 0


@dataclass(slots=True)
class StreamStatus:
    """One stream as /health and the gauges show it. Times are UTC µs of receipt, null before the first message."""

    instrument: str
    symbol: str
    channel: Channel
    verdict: Verdict
    last_message_us: int | None
    depth: int | None
    """Book levels a side that the verdict covers; null for other channels."""
    digest: str | None = None
    """Books: a fingerprint of every known level, equal for equal books."""


class Core(Protocol):
    """One connection's brain. See the module docstring for how it is driven."""

    facts: Facts
    out: Output
    deadline: int
    """Monotonic ns at which `wake` wants to be called."""

    def connected(self, now: Now) -> None:
        """Take note that a socket is open: nothing is subscribed on it yet."""

    def disconnected(self, now: Now, cause: str) -> None:
        """Take note that the socket is gone; books are no longer live."""

    def frame(self, data: bytes, now: Now) -> FrameKind:
        """Take one text message's payload (already decompressed).

        Never raises for bad input: it becomes a DeadLetter.
        """

    def binary(self, data: bytes, now: Now) -> FrameKind:
        """Take a binary message, which none of these venues sends: a DeadLetter."""

    def reply(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        """Take the answer to a Fetch, also a failed one."""

    def wake(self, now: Now) -> None:
        """Let deadlines pass: watchdogs, retries, periodic snapshots."""

    def snapshots(self, now: Now) -> list[Record]:
        """Give one BookSnapshot (cause `segment`) per published book: the head of a new journal segment."""

    def streams(self, *, digests: bool = False) -> list[StreamStatus]:
        """Tell every stream's state."""
