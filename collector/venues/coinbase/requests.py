"""What is asked for: which messages that takes, and whose answer comes next.

It owns the requests of one connection. A message takes one channel and many products, so what is to be asked for at one
moment is collected and goes out together (`flush`). The venue answers in order and repeats nothing of the request.
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

import msgspec

from collector.clock import SECOND_NS
from collector.venues.coinbase.facts import WIRE_CHANNELS
from collector.venues.protocol import Send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.clock import Now
    from collector.venues.protocol import Command
    from collector.venues.stream import Stream

    Kind = Literal["subscribe", "unsubscribe"]

MEND_S = 10
"""How soon at most streams that are no books are subscribed again, to have what a hole took."""
AGAIN_S = 1
"""How soon at most something is asked for again: books whose turns come within it share their messages."""
MOST_UNANSWERED = 64


class Requests:
    """`commands` is where messages go."""

    def __init__(self, commands: list[Command]) -> None:
        self._commands = commands
        self._again: dict[str, Stream] = {}
        self._torn: dict[str, Stream] = {}
        self._mend_ns = self._again_ns = 0
        self._unanswered: deque[list[Stream]] = deque(maxlen=MOST_UNANSWERED)
        self._held: set[tuple[str, str]] = set()
        """Channels and products that were asked for on this connection."""

    def opened(self) -> None:
        """Begin a fresh connection: ask for heartbeats, since who is silent for five seconds is sent away."""
        self._mend_ns = self._again_ns = 0
        self._again.clear()
        self._torn.clear()
        self._unanswered.clear()
        self._held.clear()
        self._send("subscribe", "heartbeats", ())

    def subscribe(self, streams: Sequence[Stream]) -> None:
        """Ask for streams at once. The snapshot of what is held already must be asked for by letting go first."""
        held = [s for s in streams if (WIRE_CHANNELS[s.channel], s.who.symbol) in self._held]
        self._ask(("unsubscribe", "subscribe"), held)
        self._ask(("subscribe",), [stream for stream in streams if stream not in held])

    def again(self, stream: Stream) -> None:
        """Ask for a stream again with the next `flush`."""
        self._again[stream.name] = stream

    def mend(self, stream: Stream) -> None:
        """Ask for a stream again soon: the snapshot that it begins with shows what was lost."""
        self._torn[stream.name] = stream

    def flush(self, now: Now) -> None:
        """Send what was collected."""
        if self._torn and now.mono_ns >= self._mend_ns:
            self._again |= self._torn
            self._torn.clear()
            self._mend_ns = now.mono_ns + MEND_S * SECOND_NS
        if self._again and now.mono_ns >= self._again_ns:
            self._again_ns = now.mono_ns + AGAIN_S * SECOND_NS
            again = [s for s in self._again.values() if s.asked and s.verdict_now.state != "blocked"]
            self._again.clear()
            self._ask(("unsubscribe", "subscribe"), [stream for stream in again if not stream.tries])
            for stream in again:
                if stream.tries:  # by itself: it may have been another product that the venue did not take
                    self._ask(("unsubscribe", "subscribe"), [stream])

    def answered(self) -> list[Stream]:
        """Give the streams of the request that an answer is about; none when that cannot be told."""
        return self._unanswered.popleft() if self._unanswered else []

    def lost(self) -> None:
        """Take note that answers may be missing."""
        self._unanswered.clear()

    def _ask(self, kinds: Sequence[Kind], streams: Sequence[Stream]) -> None:
        for channel in dict.fromkeys(WIRE_CHANNELS.values()):
            chosen = [stream for stream in streams if WIRE_CHANNELS[stream.channel] == channel]
            if chosen:
                for kind in kinds:
                    self._send(kind, channel, chosen)

    def _send(self, kind: Kind, channel: str, streams: Sequence[Stream]) -> None:
        body: dict[str, object] = {"type": kind, "channel": channel}
        if streams:
            body["product_ids"] = list(dict.fromkeys(stream.who.symbol for stream in streams))
            self._held |= {(channel, stream.who.symbol) for stream in streams}
        self._unanswered.append(list(streams) if kind == "subscribe" else [])
        self._commands.append(Send(msgspec.json.encode(body).decode(), kind, max(1, len(streams))))
