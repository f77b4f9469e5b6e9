"""Pipeline: from the socket to the disk. The journal, its queues, and the process that has one core for all of it."""

from __future__ import annotations

from typing import Final

from alerting.rules import thresholds as at
from grafana import queries as q
from grafana.model import ANY, Board, Panel, Query, Row, above

_OF: Final = q.where("instance")


def _ratio(title: str, says: str, rule: str, limit: float, legend: str = "{{instance}}") -> Panel:
    """What an alert measures, with its limit."""
    return Panel(
        kind="graph",
        title=title,
        says=f"{says} Beyond {limit:.0%} is the alert {rule}.",
        queries=(Query(text=q.mine(q.measured(rule)), legend=legend),),
        unit="percentunit",
        width=6,
        steps=above(limit),
    )


def _duration(title: str, says: str, histogram: str) -> Panel:
    return Panel(
        kind="graph",
        title=title,
        says=says,
        queries=tuple(
            Query(text=q.quantile(ratio, histogram, _OF, "instance"), legend=f"{{{{instance}}}} {name}")
            for ratio, name in ((0.5, "half"), (0.99, "99 of 100"))
        ),
        unit="s",
    )


_RECORDS: Final = Row(
    title="Journal",
    panels=(
        Panel(
            kind="timeline",
            title="Journal",
            says="Whether it accepts records. Failing, it drops what is received, and every drop is counted.",
            queries=(Query(text=f"min by (instance) (marketprism_journal_state{_OF})", legend="{{instance}}"),),
            unit="short",
            width=6,
            names={0: ("failing", "red"), 1: ("accepting", "green")},
        ),
        Panel(
            kind="graph",
            title="Records",
            says="Accepted: the write returned, they survive a kill. Durable: synced, they survive a power loss.",
            queries=(
                Query(text=q.total("marketprism_journal_records_accepted_total", _OF), legend="accepted"),
                Query(text=q.total("marketprism_journal_records_durable_total", _OF), legend="durable"),
            ),
            unit="rps",
            width=6,
        ),
        Panel(
            kind="graph",
            title="Accepted, not yet durable",
            says="What a power loss would take now. It is synced every second.",
            queries=(
                Query(
                    text=(
                        f"marketprism_journal_records_accepted_total{_OF} "
                        f"- marketprism_journal_records_durable_total{_OF}"
                    ),
                    legend="{{instance}}",
                ),
            ),
            unit="short",
            width=6,
        ),
        Panel(
            kind="stack",
            title="Records dropped",
            says="Records that the journal could not accept, by why. Each drop is a Gap.",
            queries=(
                Query(
                    text=(
                        "sum by (marketprism_drop_reason) "
                        f"(increase(marketprism_journal_records_dropped_total{_OF}{q.WINDOW}))"
                    ),
                    legend="{{marketprism_drop_reason}}",
                ),
            ),
            unit="short",
            width=6,
            steps=ANY,
        ),
    ),
)
_DISK: Final = Row(
    title="Disk",
    panels=(
        Panel(
            kind="graph",
            title="Bytes",
            says="Size of the accepted records.",
            queries=(
                Query(
                    text=q.total("marketprism_journal_accepted_size_bytes_total", _OF, "instance"),
                    legend="{{instance}}",
                ),
            ),
            unit="Bps",
            width=6,
        ),
        Panel(
            kind="graph",
            title="Size",
            says="All segments on disk, and the size above which the oldest are deleted.",
            queries=(
                Query(text=f"marketprism_journal_size_bytes{_OF}", legend="{{instance}}"),
                Query(text=f"marketprism_journal_limit_bytes{_OF}", legend="{{instance}} limit"),
            ),
            unit="bytes",
            width=6,
        ),
        _ratio("Disk used", "The file system that the journal is on.", "DiskFilling", at.DISK_RATIO),
        Panel(
            kind="stack",
            title="Segments",
            says="Segments on disk.",
            queries=(Query(text=f"marketprism_journal_segments{_OF}", legend="{{instance}}"),),
            unit="short",
            width=6,
        ),
    ),
)
_SPEED: Final = Row(
    title="Speed",
    panels=(
        _duration("Write", "One write of a burst.", "marketprism_journal_write_duration_seconds"),
        _duration("Sync", "One fdatasync.", "marketprism_journal_sync_duration_seconds"),
        Panel(
            kind="graph",
            title="Records in a burst",
            says="Records written together: those of one read of a socket, at most 256.",
            queries=(
                Query(
                    text=(
                        f"{q.total('marketprism_burst_size_sum', _OF, 'instance')}\n"
                        f"/ {q.total('marketprism_burst_size_count', _OF, 'instance')} >= 0"
                    ),
                    legend="{{instance}}",
                ),
            ),
            unit="short",
            decimals=1,
        ),
    ),
)
_PROCESS: Final = Row(
    title="Queues and process",
    panels=(
        Panel(
            kind="graph",
            title="Queues",
            says=f"How full each queue is, and the journal. Beyond {at.QUEUE_RATIO:.0%} is the alert QueueFilling.",
            queries=(Query(text=q.measured("QueueFilling"), legend="{{instance}} {{queue}}"),),
            unit="percentunit",
            width=6,
            steps=above(at.QUEUE_RATIO),
        ),
        _ratio("CPU", "Of one core: the event loop has no use for a second.", "CpuHigh", at.CPU_RATIO),
        _ratio("Memory", "Of what the process may use.", "MemoryHigh", at.MEMORY_RATIO),
        Panel(
            kind="graph",
            title="Event loop late, 99 of 100",
            says="How late the event loop ran a timer.",
            queries=(
                Query(
                    text=q.quantile(0.99, "marketprism_event_loop_delay_seconds", _OF, "instance"),
                    legend="{{instance}}",
                ),
            ),
            unit="s",
            width=6,
        ),
    ),
)
_KEPT: Final = Row(
    title="What could not be read",
    height=6,
    panels=(
        Panel(
            kind="stat",
            title="Dead letters",
            says="Undecodable messages kept, in the time that is shown.",
            queries=(Query(text=q.grown("marketprism_dead_letters_written_total", _OF)),),
            unit="short",
            decimals=0,
            steps=above(1, warn=1),
        ),
        Panel(
            kind="stat",
            title="Dead letters not kept",
            says="The file was full, or could not be written.",
            queries=(Query(text=q.grown("marketprism_dead_letters_dropped_total", _OF)),),
            unit="short",
            decimals=0,
            steps=ANY,
        ),
        Panel(
            kind="stat",
            title="Open files",
            says="File descriptors of each collector.",
            queries=(Query(text=f"max by (instance) (process_unix_file_descriptor_count{_OF})"),),
            unit="short",
        ),
    ),
)
PIPELINE: Final = Board(
    uid=q.PIPELINE,
    title="Pipeline",
    says="From the socket to the disk: the journal, its queues and the process.",
    rows=(_RECORDS, _DISK, _SPEED, _PROCESS, _KEPT),
)
