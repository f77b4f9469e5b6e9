"""Client frames, sent in order and no faster than the venue tolerates.

It owns the line of frames that wait. It never drops one while its connection stands (Kraken loses subscriptions sent in
a burst without saying so, Binance closes the connection after more than five frames a second), and never carries one
over to the next connection: the core subscribes anew there. One task for as long as frames wait; none when the line is
empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from collector.clock import SECOND_NS, Clock
from collector.net.connects import Sleep


class ControlSender:
    """Paces one connection's text frames to `per_s` a second, evenly spaced."""

    def __init__(
        self, write: Callable[[str], Awaitable[None]], per_s: float, clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._write = write
        self._gap_ns = int(SECOND_NS / per_s)
        self._clock = clock
        self._sleep = sleep
        self._waiting: deque[str] = deque()
        self._next_ns = 0
        self._task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        """Why the last write failed; the connection is then about to end, which is reported there."""

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._waiting)

    def send(self, text: str) -> None:
        """Put a frame at the end of the line."""
        self._waiting.append(text)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="control frames")

    async def close(self) -> int:
        """Stop; the frames that still wait are dropped and their number is returned. Call it when the connection is
        gone.
        """
        dropped = len(self._waiting)
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        return dropped

    async def _run(self) -> None:
        try:
            while self._waiting:
                wait_ns = self._next_ns - self._clock().mono_ns
                if wait_ns > 0:
                    await self._sleep(wait_ns / SECOND_NS)
                    continue
                self._next_ns = self._clock().mono_ns + self._gap_ns
                await self._write(self._waiting.popleft())
        except OSError as error:  # aiohttp's ClientConnectionResetError is one
            self.error = error
            self._waiting.clear()
        finally:
            self._task = None
