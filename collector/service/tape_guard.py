"""Keeps a tape from harming the collection: when it cannot be written any more, it ends, and that is told once.

The feeds hand every input to a tape; a full disk would otherwise look like a defect of the feed. This class owns the
tape's file and whether it still goes on. It never retries: a tape with a hole is no tape.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from collector.feed.tape import TapeWriter
from telemetry.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.clock import Now
    from collector.feed.tape import TapeRun
    from collector.venues.protocol import Answer, CoreSettings, Facts, Fetch, FrameKind, Wanted

log = get_logger("collector.tape")


class GuardedTape:
    """One tape file for all feeds. Raises OSError when it cannot be made. `failed`: why it ended early, or empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.failed = ""
        self._writer = TapeWriter(path)
        log.info("marketprism.tape.opened", path=str(path))

    def run(self, name: str, facts: Facts, wanted: list[Wanted], settings: CoreSettings, now: Now) -> GuardedRun:
        """Begin one core's run. Raises OSError."""
        self.lines += 1
        return GuardedRun(self, self._writer.run(name, facts.venue, facts.market, wanted, settings, now))

    def write(self, line: Callable[[], None]) -> None:
        """Write a line, unless the tape has ended."""
        if self.failed:
            return
        try:
            line()
            self.lines += 1
        except OSError as error:
            self._end(error)

    def close(self) -> None:
        """Write what is buffered and let go."""
        try:
            self._writer.close()
        except OSError as error:
            if not self.failed:
                self._end(error)
        log.info("marketprism.tape.closed", path=str(self.path), lines=self.lines)

    def _end(self, error: OSError) -> None:
        self.failed = f"{self.path.name} ended after {self.lines} lines: {error.strerror or error}"
        log.error(
            "marketprism.tape.failing",
            path=str(self.path),
            lines=self.lines,
            error_message=error.strerror or str(error),
        )


class GuardedRun:
    """One core's inputs: a TapeRun that cannot fail. See `feed.live.Tape`."""

    def __init__(self, tape: GuardedTape, run: TapeRun) -> None:
        self._tape = tape
        self._run = run

    def connected(self, now: Now) -> None:
        """See `Core.connected`."""
        self._tape.write(lambda: self._run.connected(now))

    def disconnected(self, now: Now, cause: str) -> None:
        """See `Core.disconnected`."""
        self._tape.write(lambda: self._run.disconnected(now, cause))

    def frame(self, kind: FrameKind, data: bytes, now: Now) -> None:
        """See `Core.frame`."""
        self._tape.write(lambda: self._run.frame(kind, data, now))

    def binary(self, data: bytes, now: Now) -> None:
        """See `Core.binary`."""
        self._tape.write(lambda: self._run.binary(data, now))

    def reply(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        """See `Core.reply`."""
        self._tape.write(lambda: self._run.reply(fetch, answer, now))

    def wake(self, now: Now) -> None:
        """See `Core.wake`."""
        self._tape.write(lambda: self._run.wake(now))
