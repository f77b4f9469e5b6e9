"""What a core asks for by REST again and again, because the venue does not push it. Moved by the core's wake alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.clock import SECOND_NS

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.clock import Now


@dataclass(slots=True)
class Poll:
    """`ask` every `every_s` seconds of an open connection, the first time at once."""

    every_s: float
    ask: Callable[[Now], None]
    due_ns: int = 0
    """Monotonic ns."""

    def look(self, now: Now) -> None:
        """Ask when it is time."""
        if now.mono_ns >= self.due_ns:
            self.due_ns = now.mono_ns + round(self.every_s * SECOND_NS)
            self.ask(now)

    def again(self, seconds: float, now: Now) -> None:
        """Ask again after `seconds`: the last answer was of no use."""
        self.due_ns = min(self.due_ns, now.mono_ns + round(seconds * SECOND_NS))
