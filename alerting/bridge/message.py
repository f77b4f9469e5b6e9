"""Puts the states of alert groups into one message that fits a robot's limit to the byte.

It owns the order (firing before resolved, the highest priority first), the three forms (each alert in full; each in a
line; as many lines as fit), and the promise that an alert that has no room is counted in the message. It must never
cut a character in two, never let what an alert says become markup that calls people or leads elsewhere, and never show
a secret. Pure: nothing here sends, and no clock is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from alerting.bridge.settings import Language
from alerting.bridge.webhook import Alert, Delivery
from alerting.bridge.words import WORDS, Words, duration
from telemetry.redaction import redact

MARKS = {"P1": "🔴", "P2": "🟠", "P3": "🟡", "P4": "🔵", "": "⚪"}
RESOLVED_MARK = "✅"
WHERE = ("venue", "market", "instrument", "channel", "instance")
SUMMARY_CHARS = 120
"""As much of a summary stands in the line of an alert that has only a line."""
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Look:
    """How a channel's markup does things.

    `break_` ends a line, `gap` an alert in full. `color` paints a text by priority ("resolved" is one too); `plain`
    makes text harmless.
    """

    break_: str
    gap: str
    heading: str
    bold: str
    quote: str
    link: str
    color: Callable[[str, str], str]
    plain: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Message:
    """`priority`: the highest that fires, empty when none does. `cut`: alerts that it counts but does not show."""

    title: str
    text: str
    priority: str
    alerts: int
    cut: int


Fits = Callable[[Message], bool]


def compose(deliveries: Sequence[Delivery], language: Language, look: Look, fits: Fits) -> Message:
    """The message of these deliveries, in the longest form that fits."""
    writer = _Writer(WORDS[language], look, deliveries)
    message = writer.message(writer.voice.full, len(writer.alerts))
    if fits(message):
        return message
    shown = len(writer.alerts)
    message = writer.message(writer.voice.brief, shown)
    if fits(message):
        return message
    low, high = 0, shown - 1  # the longest that fits lies between
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(writer.message(writer.voice.brief, middle)) else (low, middle - 1)
    if low:
        return writer.message(writer.voice.brief, low)
    return writer.first_part(fits)


def describe(alert: Alert, language: Language, look: Look) -> str:
    """One alert in full."""
    return _Voice(WORDS[language], look).full(alert)


class _Voice:
    """Says one alert, in full or in a line."""

    def __init__(self, words: Words, look: Look) -> None:
        self.words = words
        self.look = look

    def full(self, alert: Alert) -> str:
        """An alert with all that it says."""
        summary, description = self._said(alert, "summary"), self._said(alert, "description")
        quoted = f"{self.look.quote}{description}" if description else ""
        lines = [f"{self.look.bold}{self._head(alert)}{self.look.bold}", summary, quoted, self._times(alert)]
        links = [
            self.look.link.format(name=name, link=link)
            for key, name in (
                ("runbook_url", self.words.runbook),
                ("dashboard_url", self.words.dashboard),
                ("trace_url", self.words.trace),
                ("log_url", self.words.log),
            )
            if (link := _link(self._annotated(alert, key)))
        ]
        return self.look.break_.join(filter(None, [*lines, " · ".join(links)]))

    def brief(self, alert: Alert) -> str:
        """An alert in a line."""
        summary = self._said(alert, "summary")
        summary = summary if len(summary) <= SUMMARY_CHARS else summary[: SUMMARY_CHARS - 1] + _ELLIPSIS
        return f"{self._head(alert)}{f' · {summary}' if summary else ''}"

    def _head(self, alert: Alert) -> str:
        resolved = alert.status == "resolved"
        mark = RESOLVED_MARK if resolved else MARKS[alert.priority]
        state = self.words.state_resolved if resolved else self.words.state_firing
        where = " ".join(filter(None, (self.one_line(alert.labels.get(name, "")) for name in WHERE)))
        painted = self.look.color("resolved" if resolved else alert.priority, f"{alert.priority} {state}".strip())
        return " · ".join(filter(None, [f"{mark} {painted}", self.one_line(alert.name), where]))

    def _times(self, alert: Alert) -> str:
        start = _utc(alert.starts_at)
        if alert.status == "firing" or alert.ends_at is None:
            return self.words.since.format(start=start)
        lasted = duration((alert.ends_at - alert.starts_at).total_seconds(), self.words)
        return self.words.over.format(start=start, end=_utc(alert.ends_at), duration=lasted)

    def _said(self, alert: Alert, name: str) -> str:
        return self.one_line(self._annotated(alert, name))

    def _annotated(self, alert: Alert, name: str) -> str:
        own = alert.annotations.get(name + self.words.annotation_suffix, "")
        return own or alert.annotations.get(name, "")

    def one_line(self, text: str) -> str:
        return self.look.plain(redact(" ".join(text.split())))


class _Writer:
    """Writes messages of the same alerts in several forms."""

    def __init__(self, words: Words, look: Look, deliveries: Sequence[Delivery]) -> None:
        self.words = words
        self.look = look
        self.voice = _Voice(words, look)
        self.alerts = _in_order(deliveries)
        self.truncated = sum(delivery.truncated_alerts for delivery in deliveries)
        self.link = next(filter(None, (_link(delivery.external_url) for delivery in deliveries)), "")
        firing = [alert for alert in self.alerts if alert.status == "firing"]
        # unknown priorities come last, and mention nobody
        self.priority = min((alert.priority or "P9" for alert in firing), default="").replace("P9", "")
        self.mark = MARKS[self.priority] if firing else RESOLVED_MARK
        counts = [(words.firing, len(firing)), (words.resolved, len(self.alerts) - len(firing))]
        self.counts = words.separator.join(text.format(n=n) for text, n in counts if n)
        self.headline = f"{look.heading}{self.mark} {words.headline.format(counts=self.counts)}"
        self._blocks: dict[tuple[str, int], str] = {}

    def message(self, form: Callable[[Alert], str], shown: int) -> Message:
        blocks = [self._block(form, number) for number in range(shown)]
        between = self.look.gap if form == self.voice.full else self.look.break_
        return self._message([self.headline, between.join(blocks)], len(self.alerts) - shown)

    def first_part(self, fits: Fits) -> Message:
        """Not one line fits: the first is cut between two characters."""
        line = self._block(self.voice.brief, 0)
        rest = len(self.alerts) - 1
        low, high = 0, len(line)
        while low < high:
            middle = (low + high + 1) // 2
            part = self._message([self.headline, line[:middle] + _ELLIPSIS], rest)
            low, high = (middle, high) if fits(part) else (low, middle - 1)
        return self._message([self.headline, line[:low] + _ELLIPSIS], rest)

    def _block(self, form: Callable[[Alert], str], number: int) -> str:
        key = (form.__name__, number)
        if key not in self._blocks:
            self._blocks[key] = form(self.alerts[number])
        return self._blocks[key]

    def _message(self, parts: list[str], left_out: int) -> Message:
        cut = left_out + self.truncated
        if cut:
            said = f"{self.look.bold}{self.words.cut.format(n=cut)}{self.look.bold}"
            link = self.look.link.format(name=self.words.cut_link, link=self.link) if self.link else ""
            parts = [*parts, f"{said} {link}".rstrip()]
        return Message(self._title(), self.look.break_.join(parts), self.priority, len(self.alerts), cut)

    def _title(self) -> str:
        if len(self.alerts) > 1 or self.truncated:
            return self.words.many.format(mark=self.mark, counts=self.counts)
        alert = self.alerts[0]
        state = self.words.state_resolved if alert.status == "resolved" else self.words.state_firing
        name = self.voice.one_line(alert.name)[:80]
        return self.words.one.format(mark=self.mark, priority=alert.priority, name=name, state=state).replace("  ", " ")


def _in_order(deliveries: Iterable[Delivery]) -> list[Alert]:
    """Every alert once for each thing that it says: what fires first, then by priority, name, place and age."""
    every = {(alert.fingerprint, alert.told): alert for delivery in deliveries for alert in delivery.alerts}

    def rank(alert: Alert) -> tuple[object, ...]:
        where = [alert.labels.get(name, "") for name in WHERE]
        over = alert.status == "resolved"
        return over, alert.priority or "P9", alert.name, where, alert.starts_at, alert.fingerprint

    return sorted(every.values(), key=rank)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _link(text: str) -> str:
    """The address as a link may hold it; empty when it is none, or holds a secret."""
    if not re.fullmatch(r"https?://[^\s<>]{1,1000}", text) or redact(text) != text:
        return ""
    return text.replace("(", "%28").replace(")", "%29")
