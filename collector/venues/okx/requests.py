"""What one connection has asked for, and how much it may still ask: OKX allows 480 requests an hour and no more.

It owns the numbers that requests carry (answers repeat them) and the count of the last hour; it sends nothing. What the
text of a refusal names is read here too, because refusals do not repeat the argument that they are about.
https://www.okx.com/docs-v5/en/#overview-websocket-connect, "Request limit"
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from collector.clock import SECOND_NS
from collector.venues.okx.facts import REQUESTS_PER_HOUR, SPARE_REQUESTS
from collector.venues.protocol import Send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from collector.clock import Now
    from collector.venues.okx import wire

HOUR_NS = 3600 * SECOND_NS
_NAMED = re.compile(r"channel:([\w-]+),\s*inst(?:Id|Type):([\w-]+)")
"""As in "Wrong URL or channel:candle1m,instId:BTC-USDT doesn't exist"."""


class Requests:
    """One connection's."""

    def __init__(self) -> None:
        self._sent: deque[int] = deque()
        self._asked: dict[str, tuple[str, ...]] = {}
        self._last = 0

    def clear(self) -> None:
        """Begin anew: the count is the connection's."""
        self._sent.clear()
        self._asked.clear()

    def room(self, now: Now) -> bool:
        """Say whether something can be asked for again, which takes two requests."""
        while self._sent and now.mono_ns - self._sent[0] > HOUR_NS:
            self._sent.popleft()
        return len(self._sent) + 2 <= REQUESTS_PER_HOUR - SPARE_REQUESTS

    def make(self, op: Literal["subscribe", "unsubscribe"], args: Sequence[wire.Arg], now: Now) -> Send:
        """Give the frame that asks."""
        self._last += 1
        self._sent.append(now.mono_ns)
        number = str(self._last)
        if op == "subscribe":
            self._asked[number] = tuple(arg.key for arg in args)
        text = msgspec.json.encode({"id": number, "op": op, "args": args}).decode()
        return Send(text, op, len(args))

    def refused(self, message: wire.Message) -> tuple[str, ...]:
        """Give the subscriptions that a refusal is about: one when it names it, else those of the request."""
        if message.arg is not None:
            return (message.arg.key,)
        found = _NAMED.search(message.msg)
        return self._asked.get(message.id, ()) if found is None else (f"{found[1]}:{found[2]}",)
