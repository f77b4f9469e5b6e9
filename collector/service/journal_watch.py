"""Makes telemetry of what the journal tells: counters, log lines, and the facts that /health shows.

The journal knows no telemetry; this is its listener. It owns the journal's cells. It must stay cheap (`written` comes
with every burst) and must never fail: it is called from inside the journal.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from collector.clock import SECOND_NS
from collector.feed.spans import mark
from collector.web.health import JournalFacts
from telemetry.logs import get_logger
from telemetry.tracing import current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from collector.clock import Clock
    from collector.journal import Deleted, Failing, Journal, Recovered, Rotated, RotationFailed, Tail
    from collector.journal.model import Reason
    from collector.records import Gap
    from telemetry.cells import Metrics

log = get_logger("collector.journal")


class JournalWatch:
    """The listener. Call `watch` with the journal once both exist."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._accepted = metrics.counter("marketprism.journal.records.accepted").cell()
        self._durable = metrics.counter("marketprism.journal.records.durable").cell()
        self._size = metrics.counter("marketprism.journal.accepted.size").cell()
        self._write = metrics.histogram("marketprism.journal.write.duration").cell()
        self._sync = metrics.histogram("marketprism.journal.sync.duration").cell()
        self._torn = metrics.counter("marketprism.journal.torn.size").cell()
        dropped = metrics.counter("marketprism.journal.records.dropped")
        reasons: tuple[Reason, ...] = ("disk_full", "read_only", "reserve", "error")
        self._dropped = {reason: dropped.cell(drop_reason=reason) for reason in reasons}
        deleted = metrics.counter("marketprism.journal.segments.deleted")
        self._deleted = {reason: deleted.cell(delete_reason=reason) for reason in ("age", "size")}
        self._metrics = metrics
        self._since_us = clock().wall_us
        self._written_us: int | None = None
        self._sync_s: float | None = None

    def watch(self, journal: Journal) -> Callable[[], JournalFacts]:
        """Read the journal's gauges from here on; give what /health asks for facts with."""
        gauge = self._metrics.gauge
        gauge("marketprism.journal.segments").watch(lambda: journal.segments)
        gauge("marketprism.journal.size").watch(lambda: journal.size)
        gauge("marketprism.journal.free").watch(lambda: _known(journal.free))
        gauge("marketprism.journal.capacity").watch(lambda: _known(journal.capacity))
        gauge("marketprism.journal.limit").watch(lambda: journal.settings.retain_bytes)
        gauge("marketprism.journal.state").watch(lambda: 0 if journal.failing else 1)
        return lambda: self._facts(journal)

    def _facts(self, journal: Journal) -> JournalFacts:
        failing = journal.failing
        return JournalFacts(
            accepts=failing is None,
            reason="" if failing is None else _why(failing),
            since_us=self._since_us if failing is None else failing.since_us,
            epoch=journal.epoch,
            accepted=journal.accepted,
            durable=journal.durable,
            dropped=journal.dropped,
            written_us=self._written_us,
            sync_s=self._sync_s,
        )

    def restarted(self, gaps: Sequence[Gap]) -> None:
        """Count the Gaps that the last run's end left."""
        family = self._metrics.counter("marketprism.gaps")
        for gap in gaps:
            family.cell(venue=gap.venue, market=gap.market, channel=gap.channel, gap_cause=gap.cause).n += 1

    def restart_ended(self, gaps: Sequence[Gap]) -> None:
        """Count what those Gaps turned out to have lost."""
        family = self._metrics.counter("marketprism.gap.records.lost")
        for gap in gaps:
            cell = family.cell(venue=gap.venue, market=gap.market, channel=gap.channel, gap_cause=gap.cause)
            cell.n += gap.count or 0

    # -- JournalListener ----------------------------------------------------------------------------------------------

    def written(self, records: int, size: int, duration_ns: int) -> None:
        """Count a burst."""
        self._accepted.n += records
        self._size.n += size
        seconds = duration_ns / SECOND_NS
        self._write.observe(seconds)
        traced = current()
        if traced:
            mark(self._write, seconds, traced, time.time_ns())
        self._written_us = time.time_ns() // 1000

    def dropped(self, reason: Reason, records: int) -> None:
        """Count what could not be accepted."""
        self._dropped[reason].n += records

    def synced(self, records: int, duration_ns: int) -> None:
        """Count what is durable."""
        self._durable.n += records
        self._sync_s = duration_ns / SECOND_NS
        self._sync.observe(self._sync_s)

    def tail_cut(self, tail: Tail) -> None:
        """Count and log the repair at open."""
        self._torn.n += tail.size
        log.warning("marketprism.journal.torn", path=str(tail.path.parent), segment=tail.path.name, size=tail.size)

    def rotated(self, rotated: Rotated) -> None:
        """Log a new segment."""
        log.debug("marketprism.journal.rotated", segment=rotated.path.name, records=rotated.head)

    def rotation_failed(self, failed: RotationFailed) -> None:
        """Log that the old segment goes on."""
        log.error("marketprism.journal.rotation_failed", error_type=failed.error, error_message=failed.detail)

    def failing(self, failing: Failing) -> None:
        """Log that the journal stopped."""
        log.error(
            "marketprism.journal.failing",
            path=str(failing.path),
            drop_reason=failing.reason,
            error_message=failing.detail,
        )

    def recovered(self, recovered: Recovered) -> None:
        """Log that it goes on, and what was lost."""
        self._since_us = self._clock().wall_us
        lost = sum(gap.count or 0 for gap in recovered.gaps)
        began, now = recovered.was.since_us, self._since_us
        seconds = (now - began) / 1e6 if began is not None and now is not None else None
        log.info("marketprism.journal.recovered", path=str(recovered.was.path), duration=seconds, records=lost)

    def deleted(self, deleted: Deleted) -> None:
        """Count and log a deletion."""
        self._deleted[deleted.reason].n += 1
        log.info(
            "marketprism.journal.deleted",
            segment=deleted.path.name,
            delete_reason=deleted.reason,
            size=deleted.size,
        )

    def delete_failed(self, path: Path, detail: str) -> None:
        """Log that a segment stays although it should go."""
        log.error("marketprism.journal.delete_failed", segment=path.name, error_message=detail)


def _known(size: int | None) -> float:
    return math.nan if size is None else size


def _why(failing: Failing) -> str:
    words = {
        "disk_full": "the disk is full",
        "read_only": "the directory cannot be written",
        "reserve": "free space is below the reserve",
        "error": "writing fails",
    }
    return words[failing.reason] + (f" ({failing.error})" if failing.error else "")
