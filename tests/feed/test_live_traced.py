"""A LiveFeed with journeys: what it gives to whom, without a socket."""

from __future__ import annotations

import io
from random import Random
from typing import cast

from collector.clock import SECOND_NS, Now
from collector.feed.journeys import Journeys, Sampler
from collector.feed.live import LiveFeed, Network
from collector.records import Record
from collector.venues.protocol import Core
from tests.feed.spanbench import FACTS, Bench
from tests.feed.test_journeys import PlainCore


class Traced(Bench):
    """A bench with a feed on it that publishes into `published`."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.published: list[list[Record]] = []
        self.accepts = True
        self.plain = PlainCore(lambda: self.clock.ns)
        journeys = Journeys(
            self.tracer, Sampler(FACTS.channels), self.metrics, FACTS, "0", lambda: self.clock.ns, self.observer.traced
        )
        self.feed = LiveFeed(
            "0",
            cast("Core", self.plain),
            cast("Network", None),
            self.publish,
            self.observer,
            rng=Random(1),
            clock=self.clock,
            journeys=journeys,
        )

    def publish(self, records: list[Record]) -> bool:
        self.published.append(records)
        self.clock.advance(2)
        return self.accepts

    def burst(self, *messages: bytes) -> None:
        now = self.clock()
        for message in messages:
            self.feed.on_frame(message, now)
        self.feed.on_burst_end(now)

    def traced(self) -> list[bool]:
        return [isinstance(record.traceparent, str) for records in self.published for record in records]


async def test_a_feed_traces_one_message_of_a_burst_up_to_its_write() -> None:
    bench = Traced()
    bench.burst(b"trades:a", b"trades:b")
    assert bench.traced() == [True, False]
    message = bench.one("message")
    assert bench.times(message) == (0, 2)
    (exemplar,) = bench.cell("marketprism.message.process.duration", channel="trades").ex.values()
    assert (exemplar.value, exemplar.trace_id) == (1.0, message.ref.trace_id), "two messages share two seconds"
    bench.burst(b"trades:c")
    assert len(bench.tracer.named("marketprism.message")) == 2, "more than a second later"


async def test_records_that_are_not_accepted_are_an_error_of_the_journey() -> None:
    bench = Traced()
    bench.accepts = False
    bench.burst(b"trades:a")
    assert bench.one("message").error == "not_accepted"


async def test_a_traced_message_without_records_publishes_nothing() -> None:
    bench = Traced()
    bench.burst(b"book:")
    assert bench.published == []
    assert bench.times(bench.one("message")) == (0, 0)


async def test_before_a_channel_is_due_again_the_core_gets_the_socket_reads_own_now() -> None:
    bench = Traced()
    bench.burst(b"trades:a", b"quotes:b", b"book:c")
    bench.clock.ns -= 2 * SECOND_NS - 1
    bench.burst(b"trades:d")
    assert type(bench.plain.seen[-1]) is Now
    assert bench.traced() == [True, True, True, False]
