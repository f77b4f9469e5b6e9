"""A FeedObserver that also remembers what /health says of its connection.

It adds a note and changes nothing of what is counted and logged. Texts of errors come redacted from net.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from collector.feed.observe import FeedObserver

if TYPE_CHECKING:
    from collector.net.websocket import ConnectError, End
    from collector.service.collection import Note


class NotingObserver(FeedObserver):
    """Set `note` before the feed runs."""

    note: Note

    def opened(self, url: str, seconds: float) -> None:
        """See Observer."""
        super().opened(url, seconds)
        self.note.handshake_s = round(seconds, 6)
        self._became("")

    def refused(self, url: str, error: ConnectError, delay_s: float) -> None:
        """See Observer."""
        super().refused(url, error, delay_s)
        self.note.detail = f"{error.outcome}: {error}"  # it was closed before: since when does not change

    def closed(self, end: End, seconds: float, delay_s: float) -> None:
        """See Observer."""
        super().closed(end, seconds, delay_s)
        self._became(f"{end.cause}: {end.text}" if end.text else end.cause)

    def _became(self, detail: str) -> None:
        self.note.since_us = time.time_ns() // 1000
        self.note.detail = detail
