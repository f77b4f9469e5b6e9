"""What a replay found, for people: every finding with venue, instrument, what and where; every stream's end state.

Owns the text on stderr and the decision what counts as a finding under `--strict`; reads core output and nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from collector.records import Gap

if TYPE_CHECKING:
    from collector.feed.tape import Place
    from collector.venues.protocol import Core, Output

MOST_LINES = 200
"""Findings told one by one; the rest is counted."""


@dataclass(slots=True)
class Summary:
    """Counts and findings of a whole replay."""

    frames: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    not_spoken: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    findings: int = 0
    reconnects: int = 0
    told: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def take(self, venue: str, market: str, out: Output, place: Place, *, findings: bool = True) -> None:
        """Take what a core said while the line at `place` was fed. `findings`: whether a Gap counts as one."""
        for record in out.records:
            self.records[type(record).__name__] += 1
            if findings and isinstance(record, Gap) and record.repaired_ts is None:
                span = "" if record.first is None else f" {record.first}..{'' if record.last is None else record.last}"
                self._find(
                    f"{venue} {market} {record.instrument} {record.channel}: gap{span} ({record.cause}) at {place}"
                )
        for letter in out.dead:
            self._find(f"{venue} {market} {letter.channel}: undecodable ({letter.reason}: {letter.detail}) at {place}")
        for event in out.events:
            if event.kind == "not_spoken":
                self.not_spoken[f"{venue} {market} {event.detail}"] += 1
            elif event.kind in ("checksum_match", "checksum_mismatch"):
                self.checks[f"{venue} {market} {event.instrument} {event.kind.removeprefix('checksum_')}"] += 1
            if event.kind == "checksum_mismatch":
                self._find(f"{venue} {market} {event.instrument} book: checksum mismatch ({event.detail}) at {place}")
            elif event.kind == "sync_failed":
                self._tell(f"{venue} {market} {event.instrument} book: not synced ({event.detail}) at {place}")

    def end(self, core: Core, run: str, place: Place) -> None:
        """Take a core's state after its last line."""
        for stream in core.streams(digests=True):
            verdict = stream.verdict
            by = f" by {verdict.by}" if verdict.by else ""
            depth = "" if stream.depth is None else f", to depth {stream.depth}, book {stream.digest}"
            reason = f" ({verdict.reason})" if verdict.reason else ""
            name = f"{core.facts.venue} {core.facts.market} {stream.instrument} {stream.channel}"
            self.ends.append(f"{name}: {verdict.state}{by}{depth}{reason} [run {run}]")
            if stream.channel == "book" and verdict.state != "in_sync":
                self._find(f"{name}: ends {verdict.state}{reason} at {place}")

    def write(self, err: IO[str]) -> None:
        """Write the whole summary."""
        for line in self.told[:MOST_LINES]:
            err.write(f"{line}\n")
        if len(self.told) > MOST_LINES:
            err.write(f"… and {len(self.told) - MOST_LINES} more\n")
        for line in self.ends:
            err.write(f"{line}\n")
        for title, counts in (
            ("frames", self.frames),
            ("records", self.records),
            ("checksums", self.checks),
            ("not spoken yet", self.not_spoken),
            ("REST lines that nothing asked for", self.unused),
        ):
            for name, count in sorted(counts.items()):
                err.write(f"{title}: {name} {count}\n")
        if self.reconnects:
            err.write(f"reconnects asked for: {self.reconnects}\n")
        err.write(f"findings: {self.findings}\n")

    def _find(self, line: str) -> None:
        self.findings += 1
        self._tell(line)

    def _tell(self, line: str) -> None:
        self.told.append(line)
