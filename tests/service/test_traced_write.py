"""A write that a journey is part of: its time leads to the journey, and whether it was accepted comes back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from collector.records import Record
from collector.service.collection import Collection
from collector.service.journal_watch import JournalWatch
from telemetry.cells import Metrics
from telemetry.registry import load_registry
from telemetry.tracing import inside
from tests.feed.test_journeys import trade
from tests.net.fakes import FakeClock
from tests.telemetry.spans import FakeTracer


def test_the_time_of_a_traced_write_leads_to_its_journey_and_no_others_does() -> None:
    metrics = Metrics(load_registry())
    watch = JournalWatch(metrics, FakeClock())
    ref = FakeTracer().new_ref("marketprism.message")
    cell = metrics.histogram("marketprism.journal.write.duration").cell()
    watch.written(1, 100, 5_000_000)
    assert cell.ex == {}
    with inside(ref):
        watch.written(1, 100, 3_000_000)
    ((bucket, exemplar),) = cell.ex.items()
    assert cell.bounds[bucket - 1] < exemplar.value <= cell.bounds[bucket]
    assert (exemplar.value, exemplar.trace_id, exemplar.span_id) == (0.003, ref.trace_id, ref.span_id)


@pytest.mark.parametrize("accepts", [True, False])
def test_whether_the_journal_accepted_comes_back_to_the_feed(accepts: bool) -> None:  # noqa: FBT001
    class Spool:
        due = False

        def rotate(self, head: Sequence[Record]) -> bool:
            raise AssertionError(head)

        def append(self, records: Sequence[Record]) -> bool:
            assert records
            return accepts

    assert Collection(Spool(), FakeClock()).publish([trade("a")]) is accepts
    assert Collection(None, FakeClock()).publish([trade("a")]) is None
