"""The checks of PromQL themselves: what is wrong is said, with the nearest name, and what is right is not."""

from __future__ import annotations

import pytest

from tests.promql import complaints, selected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(", "it does not parse: unclosed left parenthesis"),
        ("nothing_like_it(up)", "it does not parse: unknown function"),
        ("max(marketprism_verdicts)", "there is no metric marketprism_verdicts, did you mean marketprism_verdict?"),
        ('marketprism_verdict{marketprism_chanel="book"}', "has no label marketprism_chanel, did you mean"),
        ('marketprism_verdict{marketprism_channel="bok"}', "marketprism_channel is never bok, did you mean book?"),
        ('marketprism_verdict{marketprism_channel!~"book|bok"}', "marketprism_channel is never bok"),
        ('up{marketprism_venue="kraken"}', "up has no label marketprism_venue"),
        ('marketprism_feed_lag_seconds_sum{le="1"}', "marketprism_feed_lag_seconds_sum has no label le"),
        ("sum by (marketprism_venue) (marketprism_journal_state)", "groups or joins by marketprism_venue"),
        ("marketprism_up * on (venue) marketprism_up", "groups or joins by venue"),
        ("marketprism_up * on () group_left (colour) up", "groups or joins by colour"),
        ('count by (metric) ({nowhere="true"})', "nothing has no label nowhere"),
    ],
)
def test_what_is_wrong_is_said(expression: str, said: str) -> None:
    assert said in "\n".join(complaints(expression))


@pytest.mark.parametrize(
    "expression",
    [
        'rate(http_client_request_duration_seconds_count{error_type!=""}[5m])',
        'histogram_quantile(0.9, sum by (le) (rate(marketprism_feed_lag_seconds_bucket{le=~"1([.]0)?"}[5m])))',
        'count by (metric) (label_replace({otel_metric_overflow="true"}, "metric", "$1", "__name__", "(.+)"))',
        'slo:period_error_budget_remaining:ratio{slo="latency"}',
        "vector(1)",
    ],
)
def test_what_is_right_is_left_alone(expression: str) -> None:
    assert complaints(expression) == []


def test_the_metrics_of_an_expression_are_found_wherever_they_stand() -> None:
    query = "sum_over_time((a > 0 or b)[5m:15s]) / on () group_left () max without (c) (d offset 1m) unless {e='f'}"
    assert selected(query) == {"a", "b", "d"}
