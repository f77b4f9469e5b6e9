"""Cells count, and are made only as the schema says."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest

from telemetry.cells import Exemplar, Metrics, SeriesError
from telemetry.model import Attribute, AttributeUse, Metric, Registry, SchemaError
from telemetry.registry import load_registry

START = 1_700_000_000_000_000_000


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(load_registry(), now_ns=lambda: START)


def test_the_same_attributes_give_the_same_cell_in_any_order_and_it_begins_at_zero(metrics: Metrics) -> None:
    family = metrics.counter("marketprism.messages.received")
    cell = family.cell(venue="kraken", market="spot", channel="book")
    assert (cell.n, cell.start) == (0, START)
    cell.n += 2
    again = family.cell(channel="book", market="spot", venue="kraken")
    assert again is cell
    assert again.value() == 2
    assert cell.attrs == {
        "marketprism.venue": "kraken",
        "marketprism.market": "spot",
        "marketprism.channel": "book",
    }


def test_a_family_says_what_an_exporter_needs(metrics: Metrics) -> None:
    lag = metrics.histogram("marketprism.feed.lag")
    assert (lag.name, lag.kind, lag.unit, lag.bounds[:2]) == ("marketprism.feed.lag", "hist", "s", (0.0, 0.001))
    assert lag.desc.startswith("From the venue's time stamp")
    assert metrics.counter("marketprism.gaps").monotonic
    memory = metrics.up_down_counter("process.memory.usage")
    assert (memory.kind, memory.monotonic) == ("sum", False)
    assert metrics.gauge("marketprism.up").kind == "gauge"


def test_a_value_on_a_bound_is_in_the_bucket_of_that_bound(metrics: Metrics) -> None:
    cell = metrics.histogram("marketprism.burst.size").cell()
    for value in (1, 2, 3, 256, 257):
        cell.observe(value)
    assert cell.b == [1, 1, 1, 0, 0, 0, 0, 0, 1, 1]
    assert (cell.n, cell.sum) == (5, 519)


def test_the_inline_form_and_observe_do_the_same(metrics: Metrics) -> None:
    family = metrics.histogram("marketprism.feed.lag")
    one = family.cell(venue="kraken", market="spot", channel="book")
    two = family.cell(venue="kraken", market="spot", channel="trades")
    for value in (0.0, 0.0007, 0.3, 100.0):
        i = bisect_left(one.bounds, value)
        one.b[i] += 3
        one.sum += value * 3
        two.observe(value, times=3)
    assert (one.b, one.sum) == (two.b, two.sum)


def test_a_metric_without_attributes_exists_from_the_start_but_a_gauge_not_before_it_is_known(metrics: Metrics) -> None:
    assert len(metrics.counter("marketprism.journal.records.accepted").cells) == 1
    assert len(metrics.histogram("marketprism.burst.size").cells) == 1
    assert len(metrics.gauge("marketprism.journal.free").cells) == 0


def test_a_watched_series_is_asked_when_it_is_read(metrics: Metrics) -> None:
    values = iter([1.5, 2.5])
    cell = metrics.gauge("marketprism.journal.free").watch(lambda: next(values))
    assert [cell.value(), cell.value()] == [1.5, 2.5]


def test_a_value_that_the_system_refuses_is_not_a_number(metrics: Metrics) -> None:
    def refuse() -> float:
        raise PermissionError

    assert math.isnan(metrics.gauge("marketprism.journal.free").watch(refuse).value())


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"venu": "kraken"}, "venu: no such attribute, did you mean venue"),
        ({"venue": "krakn"}, "'krakn' is none of its values, did you mean kraken"),
        ({"venue": "kraken", "market": "spot"}, "channel: expected a value, found none"),
        ({"venue": 7}, "venue: expected string, found 7"),
    ],
)
def test_attributes_that_the_schema_does_not_have_are_refused(
    metrics: Metrics, attrs: dict[str, str | int], message: str
) -> None:
    with pytest.raises(SeriesError, match=message):
        metrics.counter("marketprism.messages.received").cell(**attrs)


def test_an_attribute_that_is_not_required_may_be_left_out(metrics: Metrics) -> None:
    family = metrics.histogram("http.client.request.duration")
    common = {"http_request_method": "GET", "server_address": "h", "venue": "kraken", "endpoint": "depth"}
    ok = family.cell(**common, http_response_status_code=200)
    failed = family.cell(**common, error_type="timeout")
    assert ok is not failed
    assert "error.type" not in ok.attrs
    with pytest.raises(SeriesError, match="expected int, found '200'"):
        family.cell(**common, http_response_status_code="200")
    with pytest.raises(SeriesError, match="expected int, found True"):
        family.cell(**common, http_response_status_code=True)


def test_a_metric_is_asked_for_by_its_kind(metrics: Metrics) -> None:
    with pytest.raises(SeriesError, match="expected a counter, but the schema says that it is a gauge"):
        metrics.counter("marketprism.verdict")
    with pytest.raises(SchemaError, match="no such metric"):
        metrics.gauge("marketprism.nothing")


def small(bound: int, series: int) -> Metrics:
    """Metrics of a schema with one open attribute, `colour`, and one metric beside our own two."""
    colour = Attribute("marketprism.colour", "colour", "string", "A colour.", {}, bound, ())
    things = Metric(
        "marketprism.things",
        "marketprism_things_total",
        "counter",
        "{thing}",
        "Things.",
        (AttributeUse(colour, required=True),),
        (),
        {},
        series,
    )
    own = load_registry().metrics
    ours = {name: own[name] for name in own if name.startswith("marketprism.telemetry.")}
    return Metrics(Registry({colour.name: colour}, {**ours, things.name: things}, {}, {}, {}))


@pytest.mark.parametrize(("bound", "series"), [(2, 2000), (2000, 2)])
def test_what_is_beyond_a_bound_shares_one_series_and_is_counted(bound: int, series: int) -> None:
    metrics = small(bound, series)
    family = metrics.counter("marketprism.things")
    red = family.cell(colour="red")
    family.cell(colour="blue")
    over = family.cell(colour="green")
    assert family.cell(colour="white") is over
    assert family.cell(colour="red") is red
    assert over.attrs == {"otel.metric.overflow": True}
    assert metrics.counter("marketprism.telemetry.series.refused").cell().value() == 2


def test_a_dropped_series_is_gone_and_makes_room() -> None:
    family = small(2, 2000).counter("marketprism.things")
    old = family.cell(colour="red")
    family.cell(colour="blue")
    before = family.generation
    assert family.drop(colour="red")
    assert not family.drop(colour="red")
    assert family.generation == before + 1
    assert family.cell(colour="green").attrs == {"marketprism.colour": "green"}
    assert old not in family.cells.values()


def test_the_number_of_series_is_itself_a_series(metrics: Metrics) -> None:
    series = metrics.gauge("marketprism.telemetry.series").cell()
    before = series.value()
    metrics.counter("marketprism.gap.records.lost").cell(
        venue="kraken", market="spot", channel="book", gap_cause="sequence"
    )
    assert series.value() == before + 1 == metrics.series()


def test_a_cell_keeps_the_last_exemplar_of_a_bucket(metrics: Metrics) -> None:
    cell = metrics.histogram("marketprism.burst.size").cell()
    cell.ex[0] = Exemplar(1.0, START, 7, 8)
    cell.ex[0] = Exemplar(0.5, START + 1, 9, 10)
    assert cell.ex == {0: (0.5, START + 1, 9, 10)}
