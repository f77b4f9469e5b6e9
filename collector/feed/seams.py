"""What a driver tells others while it moves a core: the tape that records its inputs, and whoever counts and logs.

It owns the shape of these two seams and no behaviour, so that a driver can be tested with neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from collector.clock import Now
from collector.net.websocket import ConnectError, End
from collector.records import Record
from collector.venues.protocol import Answer, DeadLetter, Event, Fetch, FrameKind, Send, StreamStatus, VerdictChange


class Tape(Protocol):
    """Who records a core's inputs. Called right after the core, with the same arguments. Must not raise."""

    def connected(self, now: Now) -> None:
        """See `Core.connected`."""

    def disconnected(self, now: Now, cause: str) -> None:
        """See `Core.disconnected`."""

    def frame(self, kind: FrameKind, data: bytes, now: Now) -> None:
        """See `Core.frame`; `kind` is what it answered."""

    def binary(self, data: bytes, now: Now) -> None:
        """See `Core.binary`."""

    def reply(self, fetch: Fetch, answer: Answer, now: Now) -> None:
        """See `Core.reply`."""

    def wake(self, now: Now) -> None:
        """See `Core.wake`."""


class Observer(Protocol):
    """Who counts and logs. Everything but `frame` is called at most once a burst, a command or a connection."""

    def frame(self, kind: FrameKind, size: int) -> None:
        """Count one message: its payload has `size` bytes."""

    def burst(self, duration_ns: int) -> None:
        """Take note that the messages since the last call took this long, from the clock reading of their socket read
        on.
        """

    def records(self, records: list[Record]) -> None:
        """Count records that are about to be published together. May give a Gap its `traceparent`."""

    def said(self, verdicts: list[VerdictChange], dead: list[DeadLetter], events: list[Event]) -> None:
        """Take what else the core said."""

    def sent(self, command: Send) -> None:
        """Take note of a control frame that was put in line."""

    def fetching(self, fetch: Fetch, streams: Callable[[], list[StreamStatus]]) -> None:
        """Take note, in the task of a fetch, that it begins; `streams` tells the core's."""

    def connecting(self, url: str) -> None:
        """Take note that an attempt to connect begins."""

    def opened(self, url: str, seconds: float) -> None:
        """Take note of a connection that was opened, and of how long that took."""

    def refused(self, url: str, error: ConnectError, delay_s: float) -> None:
        """Take note of an attempt that failed; the next one comes after `delay_s` at the earliest."""

    def closed(self, end: End, seconds: float, delay_s: float) -> None:
        """Take note of a connection that ended after this long; the next attempt comes after `delay_s` at the
        earliest.
        """

    def status(self, streams: list[StreamStatus]) -> None:
        """Take every stream's state; called once a second at most."""

    def defect(self, error: Exception) -> None:
        """Take an error that nothing below handled."""

    def stopped(self) -> None:
        """Take note that the feed ends, after everything else."""
