"""The kinds of fault, and what a request for one may say.

It owns this table and its checks. It must never apply a fault: `faults` does. A kind's scope says where it strikes:
outgoing frames, REST replies, new connections, subscriptions, at once, or as a lasting state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.errors import BadRequestError
from simulator.frames import CHANNELS
from simulator.limits import nearest

FRAME, REST, CONNECT, SUBSCRIBE, NOW, STATE = "frame", "rest", "connect", "subscribe", "now", "state"
HOWS = ("json", "type", "sequence", "checksum", "digit")
CERTIFICATES = ("expired", "untrusted", "wrong_host")


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind strikes, its parameters with their defaults (`...` = must be given), and whether `count` is 1."""

    scope: str
    params: Mapping[str, Any]
    counted: bool = True


_ON_FRAMES = {"of": None}

KINDS: dict[str, Kind] = {
    "drop": Kind(FRAME, _ON_FRAMES),
    "duplicate": Kind(FRAME, _ON_FRAMES),
    "reorder": Kind(FRAME, {}),
    "corrupt": Kind(FRAME, {"how": ..., **_ON_FRAMES}),
    "stall": Kind(FRAME, {"heartbeats": False}, counted=False),
    "slow": Kind(FRAME, {"ms": ..., "endpoint": None, **_ON_FRAMES}),
    "malformed": Kind(FRAME, {"text": "<html>502 Bad Gateway</html>"}),
    "unknown_type": Kind(FRAME, {}),
    "oversized": Kind(FRAME, {"bytes": ...}),
    "binary": Kind(FRAME, {}),
    "http": Kind(REST, {"status": ..., "retry_after": None, "endpoint": None, "error": None}),
    "rest_stale": Kind(REST, {"behind": 1000}),
    "refuse": Kind(CONNECT, {"how": "http", "status": 503}, counted=False),
    "bad_certificate": Kind(CONNECT, {"how": "untrusted"}, counted=False),
    "ack_without_data": Kind(SUBSCRIBE, {}),
    "reject_subscribe": Kind(SUBSCRIBE, {"message": "Subscription rejected"}),
    "close": Kind(NOW, {"code": 1001, "reason": "", "abrupt": False}),
    "clock_skew": Kind(STATE, {"ms": ...}, counted=False),
}
_COMMON = ("kind", "venue", "symbol", "channel", "count", "seconds", "after")
_NUMBERS = ("ms", "bytes", "status", "behind", "code", "count", "after")
_CHOICES = {
    ("corrupt", "how"): HOWS,
    ("bad_certificate", "how"): CERTIFICATES,
    ("refuse", "how"): ("http", "abort", "listen"),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request for a fault. `count` None means without end; `after` frames are let through first."""

    kind: str
    venue: str | None
    symbol: str | None
    channel: str | None
    count: int | None
    seconds: float | None
    after: int
    params: Mapping[str, Any]


def parse(body: object, venues: Mapping[str, list[str]]) -> Request:
    """Check a request, `venues` being each venue's symbols.

    Raises:
        BadRequestError: something is unknown, missing or of the wrong kind; it is named, with the nearest valid name.
    """
    if not isinstance(body, dict):
        raise BadRequestError("expected a JSON object with a kind")
    name = body.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise BadRequestError(f"unknown fault kind {name!r}{nearest(str(name), list(KINDS))}")
    kind = KINDS[name]
    for key in body:
        if key not in _COMMON and key not in kind.params:
            raise BadRequestError(f"fault {name} takes no {key!r}{nearest(key, [*_COMMON, *kind.params])}")
    _check_numbers(name, body)
    venue, symbol, channel = body.get("venue"), body.get("symbol"), body.get("channel")
    if venue is not None and venue not in venues:
        raise BadRequestError(f"unknown venue {venue!r}{nearest(str(venue), list(venues))}")
    if venue is None and name != "bad_certificate" and body.get("how") != "listen":
        raise BadRequestError(f"fault {name} needs a venue, expected one of: {', '.join(sorted(venues))}")
    if symbol is not None and symbol not in venues.get(str(venue), []):
        raise BadRequestError(f"{venue} has no symbol {symbol!r}{nearest(str(symbol), venues.get(str(venue), []))}")
    if channel is not None and channel not in CHANNELS:
        raise BadRequestError(f"unknown channel {channel!r}{nearest(str(channel), list(CHANNELS))}")
    params = {key: body.get(key, default) for key, default in kind.params.items()}
    _check_params(name, params)
    seconds = body.get("seconds")
    if name == "refuse" and params["how"] == "listen" and seconds is None:
        raise BadRequestError("fault refuse with how=listen needs seconds: nobody could lift it")
    count = body.get("count", 1 if kind.counted and seconds is None else None)
    return Request(name, venue, symbol, channel, count, seconds, body.get("after", 0), params)


def _check_numbers(name: str, body: Mapping[str, Any]) -> None:
    for key in _NUMBERS:
        value = body.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise BadRequestError(f"fault {name}: {key} must be a whole number, not {value!r}")
    seconds = body.get("seconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0):
        raise BadRequestError(f"fault {name}: seconds must be a number above 0, not {seconds!r}")
    count = body.get("count")
    if count is not None and count < 1:
        raise BadRequestError(f"fault {name}: count must be at least 1, not {count!r}")


def _check_params(name: str, params: Mapping[str, Any]) -> None:
    for key, value in params.items():
        if value is ...:
            raise BadRequestError(f"fault {name} needs {key!r}")
        choices = _CHOICES.get((name, key))
        if choices is not None and value not in choices:
            raise BadRequestError(f"fault {name}: {key} {value!r} is unknown{nearest(str(value), list(choices))}")
        if key == "of" and value not in (None, "snapshot", "update"):
            raise BadRequestError(f"fault {name}: of must be snapshot or update, not {value!r}")
