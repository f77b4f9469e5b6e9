"""Maintenance windows: hours of the week in which nobody is told of what is about an exchange, or of anything.

`venue=kraken thursday 06:00-07:00; sunday 22:00-24:00`, in UTC. Alerts fire and are seen in Alertmanager all the same;
what still fires when the window ends is told then. It owns the notation, and nothing that is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WINDOW: Final = re.compile(
    r"(?:(?P<label>venue|market|instance)=(?P<value>[A-Za-z0-9._:-]+)\s+)?"
    r"(?P<day>[a-z]+)\s+(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)"
)
_EXPECTED: Final = "expected windows such as venue=kraken thursday 06:00-07:00, in UTC, with ; between them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window. `label`, `value`: of the alerts that it mutes; empty: of all."""

    label: str
    value: str
    day: str
    start: str
    end: str

    @property
    def name(self) -> str:
        """As Alertmanager shows it."""
        where = f"{self.label}={self.value} " if self.label else ""
        return f"{where}{self.day} {self.start}-{self.end}"

    @property
    def matchers(self) -> tuple[str, ...]:
        """Of the alerts that it is about."""
        return (f'{self.label}="{self.value}"',) if self.label else ()

    @property
    def interval(self) -> dict[str, Any]:
        """As https://prometheus.io/docs/alerting/latest/configuration/#time_interval has it."""
        times = [{"start_time": self.start, "end_time": self.end}]
        return {"name": self.name, "time_intervals": [{"weekdays": [self.day], "times": times, "location": "UTC"}]}


def read_windows(text: str) -> tuple[Window, ...]:
    """The windows of a text. ValueError says what was expected."""
    windows = tuple(_read(part.strip()) for part in text.split(";") if part.strip())
    if len({window.name for window in windows}) < len(windows):
        raise ValueError("a window is given twice")
    return windows


def _read(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"{_EXPECTED}; got {text!r}")
    if found["day"] not in DAYS:
        raise ValueError(f"expected a day such as thursday, got {found['day']!r}")
    for time in (found["start"], found["end"]):
        hour, minute = (int(part) for part in time.split(":"))
        if minute > 59 or hour * 60 + minute > 24 * 60:
            raise ValueError(f"expected times from 00:00 to 24:00, got {time}")
    if found["start"] >= found["end"]:
        raise ValueError(f"expected a window that ends after it begins, on the same day; got {text!r}")
    return Window(
        label=found["label"] or "", value=found["value"] or "", day=found["day"], start=found["start"], end=found["end"]
    )
