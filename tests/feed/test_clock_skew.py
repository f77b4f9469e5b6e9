"""The clocks' difference as a feed sees it: the least delay of half a minute's messages."""

from __future__ import annotations

import math

import msgspec
import pytest

from collector.feed.observe import SKEW_LOOKS, FeedObserver
from collector.records import Quote
from collector.venues import VENUES
from telemetry.cells import Metrics
from telemetry.registry import load_registry

QUOTE = Quote(
    venue="kraken", market="spot", instrument="A-B", symbol="AB", ts=1_000_000_000, recv_ts=1_000_000_000,
    bid="1", bid_size="1", ask="2", ask_size="1",
)  # fmt: skip


@pytest.fixture
def bench() -> tuple[FeedObserver, Metrics]:
    metrics = Metrics(load_registry())
    return FeedObserver(metrics, VENUES["kraken"].facts, "0", lambda: 0), metrics


def skew(metrics: Metrics) -> float:
    (cell,) = metrics.gauge("marketprism.clock.skew").cells.values()
    return cell.n


def look(observer: FeedObserver, times: int = SKEW_LOOKS) -> None:
    for _ in range(times):
        observer.status([])


def late(*seconds: float) -> list[Quote]:
    assert QUOTE.ts is not None
    return [msgspec.structs.replace(QUOTE, recv_ts=QUOTE.ts + int(each * 1e6)) for each in seconds]


@pytest.mark.parametrize(("delays", "least"), [((0.3, 0.05, 9), 0.05), ((0.1, -2.5), -2.5), ((7, 5), 5)])
def test_the_least_delay_is_told_after_half_a_minute(
    bench: tuple[FeedObserver, Metrics], delays: tuple[float, ...], least: float
) -> None:
    observer, metrics = bench
    assert math.isnan(skew(metrics))
    observer.records([*late(*delays)])
    look(observer, SKEW_LOOKS - 1)
    assert math.isnan(skew(metrics))
    look(observer, 1)
    assert skew(metrics) == least


def test_what_was_long_ago_is_forgotten_and_silence_is_not_zero(bench: tuple[FeedObserver, Metrics]) -> None:
    observer, metrics = bench
    observer.records([*late(-1)])
    look(observer)
    observer.records([*late(0.2)])
    look(observer)
    assert skew(metrics) == 0.2
    look(observer)
    assert math.isnan(skew(metrics))


def test_a_record_without_a_venue_time_says_nothing(bench: tuple[FeedObserver, Metrics]) -> None:
    observer, metrics = bench
    observer.records([msgspec.structs.replace(QUOTE, ts=None)])
    look(observer)
    assert math.isnan(skew(metrics))
