"""The faults in force: which strike what, how often still, and the list of all that they did.

It owns the harm. It must never alter the truth: the ledger is written before a frame comes here, so that what a client
ends up with can be compared with what happened. A venue hands over each outgoing frame and sends what comes back.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from simulator.clock import Clock
from simulator.errors import BadRequestError
from simulator.faultkinds import CONNECT, FRAME, KINDS, REST, SUBSCRIBE, Request
from simulator.frames import BINARY, Frame

_ENDPOINTS = {
    "book": ("depth", "books", "product_book"),
    "tickers": ("ticker", "tickers", "24hr"),
    "candles": ("klines", "ohlc", "candles", "history-candles"),
    "instruments": ("exchangeinfo", "assetpairs", "instruments", "products", "product"),
    "status": ("status", "systemstatus"),
    "funding": ("premiumindex", "fundingrate", "funding-rate", "mark-price"),
    "open_interest": ("openinterest", "open-interest"),
}
_CHANNELS = {endpoint: channel for channel, endpoints in _ENDPOINTS.items() for endpoint in endpoints}
"""REST endpoints, by the end of their path in small letters, and the channel that each belongs to."""

Corrupt = Callable[[Frame, str], bytes]


@dataclass(slots=True)
class Fault:
    """One fault in force: `left` strikes to go (None: without end), until the monotonic second `until`."""

    id: int
    request: Request
    left: int | None
    until: float | None
    skip: int

    def matches(self, venue: str, symbol: str | None, channel: str | None) -> bool:
        """Whether it strikes there. What has no symbol or channel is struck only by faults that name none."""
        request = self.request
        return (
            request.venue in (None, venue) and request.symbol in (None, symbol) and request.channel in (None, channel)
        )

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {"id": self.id, **asdict(self.request), "left": self.left}


@dataclass(slots=True)
class Applied:
    """One thing that a fault did, or a run of them on one subscription: the ids touched, `first` to `last`."""

    fault: int
    kind: str
    venue: str
    symbol: str | None
    channel: str | None
    key: str | None
    ids: str | None
    first: int | None
    last: int | None
    ts_us: int
    strikes: int = 1


class Faults:
    """All faults of the simulator. `corrupters` has each venue's way to corrupt a frame."""

    KEPT = 100_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active: list[Fault] = []
        self._held: dict[tuple[str, str], list[Frame]] = {}  # by venue and key: two venues may share a key
        self._last_id = 0
        self.applied: list[Applied] = []
        self._corrupters: dict[str, Corrupt] = {}
        self._corruptible: dict[str, frozenset[tuple[str, str]]] = {}
        self._unknowns: dict[str, bytes] = {}

    def register(self, venue: str, corrupt: Corrupt, ways: frozenset[tuple[str, str]], unknown: bytes) -> None:
        """How a venue's frames are corrupted, which (channel, how) it has, and a message of an unknown type."""
        self._corrupters[venue] = corrupt
        self._corruptible[venue] = ways
        self._unknowns[venue] = unknown

    def check(self, request: Request) -> None:
        """Refuse what a venue has not.

        Raises:
            BadRequestError: nothing of this venue and channel can be corrupted that way.
        """
        if request.kind != "corrupt" or request.params["how"] == "json" or request.venue is None:
            return
        how = request.params["how"]
        ways = self._corruptible[request.venue]
        if not any(one == how and request.channel in (None, channel) for channel, one in ways):
            where = f"{request.venue} {request.channel or 'frames'}"
            raise BadRequestError(f"{where} carry nothing that corrupt how={how} could break")

    def add(self, request: Request) -> Fault:
        """Put a fault in force."""
        self._last_id += 1
        until = None if request.seconds is None else self._clock.mono() + request.seconds
        fault = Fault(self._last_id, request, request.count, until, request.after)
        self._active.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Lift one fault, or all; how many were lifted."""
        before = len(self._active)
        self._active = [] if fault_id is None else [fault for fault in self._active if fault.id != fault_id]
        return before - len(self._active)

    def active(self) -> list[Fault]:
        """Those still in force."""
        if self._active:
            now = self._clock.mono()
            self._active = [f for f in self._active if f.left != 0 and (f.until is None or now < f.until)]
        return self._active

    def _matching(self, scope: str, venue: str, symbol: str | None, channel: str | None) -> list[Fault]:
        return [
            fault
            for fault in self.active()
            if KINDS[fault.request.kind].scope == scope and fault.matches(venue, symbol, channel)
        ]

    def _use(self, fault: Fault, frame: Frame | None, venue: str, symbol: str | None) -> None:
        if fault.left is not None:
            fault.left -= 1
        if frame is None:
            self.note(fault, venue, symbol)
            return
        last = self.applied[-1] if self.applied else None
        if last is not None and last.fault == fault.id and last.key == frame.key and last.last == frame.first - 1:
            last.last = frame.last
            last.strikes += 1
            return
        self._keep(
            Applied(
                fault.id,
                fault.request.kind,
                venue,
                frame.symbol,
                frame.channel,
                frame.key,
                frame.ids,
                frame.first,
                frame.last,
                frame.ts_us,
            )
        )

    def note(self, fault: Fault, venue: str, symbol: str | None) -> None:
        """Write down that a fault struck something that is no frame."""
        kind = fault.request.kind
        self._keep(
            Applied(fault.id, kind, venue, symbol, fault.request.channel, None, None, None, None, self._clock.wall_us())
        )

    def _keep(self, applied: Applied) -> None:
        if len(self.applied) >= self.KEPT:
            del self.applied[: self.KEPT // 10]
        self.applied.append(applied)

    def on_frame(self, frame: Frame) -> list[Frame]:
        """What is to be sent for `frame`, in order."""
        if not self._active and not self._held:
            return [frame]
        out = [frame]
        held = [] if frame.snapshot else self._held.pop((frame.venue, frame.key), [])
        for fault in self._matching(FRAME, frame.venue, frame.symbol, frame.channel):
            if not self._strikes(fault, frame, released=bool(held)):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            kind = fault.request.kind
            self._use(fault, frame, frame.venue, frame.symbol)
            if kind in ("drop", "stall"):
                out = []
                break
            if kind == "reorder":
                self._held[frame.venue, frame.key] = out
                out = []
                break
            out = self._harm(kind, fault.request.params, frame, out)
        return out + held

    def _strikes(self, fault: Fault, frame: Frame, *, released: bool) -> bool:
        params = fault.request.params
        if fault.request.kind == "corrupt" and params["how"] != "json":
            ways = self._corruptible[frame.venue]
            if (frame.channel, params["how"]) not in ways:
                return False
        if fault.request.kind == "slow" and params["endpoint"] is not None:
            return False
        if fault.request.kind == "reorder" and (frame.snapshot or released):
            return False  # a snapshot has no next of its kind; and a frame that lets one go is not held itself
        return params.get("of") in (None, "snapshot" if frame.snapshot else "update")

    def _harm(self, kind: str, params: Mapping[str, Any], frame: Frame, out: list[Frame]) -> list[Frame]:
        if kind == "duplicate":
            return [*out, *out]
        if kind == "corrupt":
            return [
                replace(one, payload=self._corrupters[one.venue](one, params["how"]), _combined=None) for one in out
            ]
        if kind == "slow":
            return [replace(one, delay=one.delay + params["ms"] / 1000) for one in out]
        extra = replace(frame, numbers=None if frame.numbers is None else {}, _combined=None)
        if kind == "malformed":
            extra.payload = params["text"].encode()
        elif kind == "unknown_type":
            extra.payload = self._unknowns[frame.venue]
        elif kind == "oversized":
            body = self._unknowns[frame.venue]
            extra.payload = body[:-1] + b',"padding":"' + b"x" * max(params["bytes"] - len(body) - 13, 0) + b'"}'
        else:
            extra.payload, extra.opcode = bytes(range(256)), BINARY
        return [extra, *out]

    def heartbeats(self, venue: str) -> bool:
        """Whether the venue may send heartbeats: not while all of it is stalled."""
        return not any(
            fault.request.kind == "stall" and not fault.request.params["heartbeats"]
            for fault in self._matching(FRAME, venue, None, None)
        )

    def skew_us(self, venue: str) -> int:
        """How far the venue's clock is off."""
        if not self._active:
            return 0
        return 1000 * sum(
            int(fault.request.params["ms"])
            for fault in self.active()
            if fault.request.kind == "clock_skew" and fault.matches(venue, None, None)
        )

    def take(self, kind: str, venue: str, symbol: str | None = None, channel: str | None = None) -> Fault | None:
        """Use up one strike of a fault on connections or subscriptions, if one is in force there."""
        if not self._active:
            return None
        for fault in self._matching(CONNECT, venue, symbol, channel) + self._matching(
            SUBSCRIBE, venue, symbol, channel
        ):
            if fault.request.kind == kind:
                self._use(fault, None, venue, symbol)
                return fault
        return None

    def take_rest(self, kind: str, venue: str, endpoint: str, symbol: str | None) -> Fault | None:
        """Use up one strike of `http`, `rest_stale` or `slow` on a REST reply of `endpoint` (`ws`: the upgrade)."""
        scope = FRAME if kind == "slow" else REST
        for fault in self._matching(scope, venue, symbol, fault_channel(endpoint)) if self._active else []:
            named = fault.request.params.get("endpoint")
            if fault.request.kind != kind or (kind == "slow" and named is None):
                continue
            if named in (endpoint, "*") or (named is None and endpoint != "ws"):
                self._use(fault, None, venue, symbol)
                return fault
        return None

    def certificate(self) -> str | None:
        """How the TLS port's certificate is bad right now, or None."""
        for fault in self.active():
            if fault.request.kind == "bad_certificate":
                self._use(fault, None, fault.request.venue or "all", None)
                return str(fault.request.params["how"])
        return None


def fault_channel(endpoint: str) -> str | None:
    """Which of our channels a REST endpoint belongs to, so that a fault may name the channel instead."""
    name = endpoint.lower()
    return "trades" if name.endswith("trades") else _CHANNELS.get(name)
