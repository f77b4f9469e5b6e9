"""The numbers of the alerts, once: rules, dashboards and documents take them from here.

Seconds, ratios of 1, or counts. It must hold nothing else.
"""

from __future__ import annotations

from typing import Final

# Critical: answer in 5 minutes.
COLLECTOR_DOWN_FOR_S: Final = 15
ALL_EXCHANGES_DOWN_FOR_S: Final = 30
STORAGE_UNREACHABLE_FOR_S: Final = 60

# Answer in 30 minutes.
EXCHANGE_DOWN_FOR_S: Final = 5 * 60
RECONNECTS: Final = 3
"""In ten minutes, of one connection: as many as this are normal weather."""
API_P95_S: Final = 5
API_ERRORS: Final = 0.10
API_FOR_S: Final = 5 * 60
FEED_STALE_FOR_S: Final = 60
BOOK_OUT_OF_SYNC_FOR_S: Final = 2 * 60
TELEMETRY_SILENT_S: Final = 60
"""Metrics come every 5 s."""
TELEMETRY_SILENT_FOR_S: Final = 30
"""A collector that starts after a longer absence is scraped before its first metrics have come."""
COMPONENT_DOWN_FOR_S: Final = 60
THROTTLED: Final = 2
"""Messages in five minutes that a robot refused for being too many: as many as this are normal weather."""
NOTIFICATIONS_DROPPED_FOR_S: Final = 6 * 60
"""A minute beyond the window in which they are counted: Alertmanager may be away for a minute."""

# Answer in 2 hours.
MEMORY_RATIO: Final = 0.80
MEMORY_FOR_S: Final = 10 * 60
CPU_RATIO: Final = 0.85
"""Of one core: one event loop has no use for a second."""
CPU_FOR_S: Final = 10 * 60
DISK_RATIO: Final = 0.85
DISK_FOR_S: Final = 5 * 60
GAPS: Final = 5
"""In ten minutes, of one channel, not counting interruptions: as many as this are normal weather."""
FEED_SILENT_FOR_S: Final = 15 * 60
BOOK_UNVERIFIABLE_FOR_S: Final = 60
CLOCK_SKEW_S: Final = 1
CLOCK_SKEW_FOR_S: Final = 5 * 60
METRIC_MISSING_FOR_S: Final = 5 * 60

# Answer in 24 hours.
DATA_LAG_S: Final = 300
DATA_LAG_FOR_S: Final = 15 * 60
QUEUE_RATIO: Final = 0.80
QUEUE_FOR_S: Final = 20 * 60

# Escalation: how long an alert may go unanswered, by its priority.
UNANSWERED_FOR_S: Final = {"P1": 5 * 60, "P2": 30 * 60, "P3": 2 * 3600}

# Objectives over 30 days: the ratio that is good.
OBJECTIVES: Final = {"freshness": 0.995, "completeness": 0.999, "latency": 0.99, "delivery": 0.999}
LATENCY_GOOD_S: Final = 1
"""A bound of the histogram marketprism.feed.lag."""
