"""The client of Alertmanager's API v2: what is sent, what comes back, what is wrong in which words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from alerting.client import (
    Alertmanager,
    AlertmanagerError,
    Matcher,
    NewAlert,
    NewSilence,
    RefusedError,
    Sample,
    UnexpectedError,
    UnreachableError,
    quoted,
    read_samples,
)
from tests.alerting.fakes.alertmanager import FakeAlertmanager

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
async def fake() -> AsyncIterator[FakeAlertmanager]:
    async with FakeAlertmanager() as made:
        yield made


async def test_alerts_come_typed_and_filters_go_as_they_are(fake: FakeAlertmanager) -> None:
    fake.raised({"alertname": "VenueDown", "venue": "kraken"})
    async with Alertmanager(fake.url + "/") as alertmanager:
        (alert,) = await alertmanager.alerts(['alertname="VenueDown"', 'venue=~"k.*"'], inhibited=False, receiver="p.*")
    assert (alert.labels["venue"], alert.status.state, alert.receivers[0].name) == ("kraken", "active", "p1")
    assert alert.starts_at == NOW
    path, query = fake.queries[0]
    assert path == "alerts"
    assert [text for name, text in query if name == "filter"] == ['alertname="VenueDown"', 'venue=~"k.*"']
    assert ("inhibited", "false") in query
    assert ("receiver", "p.*") in query


async def test_alerts_and_silences_are_posted_as_the_api_names_them(fake: FakeAlertmanager) -> None:
    async with Alertmanager(fake.url) as alertmanager:
        await alertmanager.post_alerts([NewAlert(labels={"alertname": "x"}, starts_at=NOW)])
        silence = NewSilence(
            matchers=[Matcher(name="a", value="b")], starts_at=NOW, ends_at=NOW, created_by="me", comment="c"
        )
        assert await alertmanager.create_silence(silence) == "s-1"
    assert fake.posted == [{"labels": {"alertname": "x"}, "startsAt": "2026-11-22T10:00:00Z"}]
    assert fake.silences[0]["matchers"] == [{"name": "a", "value": "b", "isRegex": False, "isEqual": True}]
    assert fake.silences[0]["createdBy"] == "me"


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, b'"bad matcher format"', RefusedError, "/api/v2/alerts: 400: bad matcher format"),
        (422, b'{"code":601,"message":"startsAt in body is required"}', RefusedError, "422: startsAt in body is"),
        (404, b"", RefusedError, "404: no reason given"),
        (302, b"moved", RefusedError, "302: moved"),
        (200, b"<html>", UnexpectedError, "/api/v2/alerts: what answers there does not speak Alertmanager's API v2"),
        (200, b'[{"labels":{}}]', UnexpectedError, "missing required field"),
        (200, b'{"status":"success","data":[]}', UnexpectedError, "Expected `array`, got `object`"),
    ],
)
async def test_an_error_says_where_and_what_came(
    fake: FakeAlertmanager, status: int, body: bytes, kind: type[AlertmanagerError], said: str
) -> None:
    fake.answers["GET", "alerts"] = (status, body)
    async with Alertmanager(fake.url) as alertmanager:
        with pytest.raises(kind) as raised:
            await alertmanager.alerts()
    assert said in str(raised.value)
    assert not isinstance(raised.value, RefusedError) or raised.value.status == status


async def test_nobody_there_is_told_with_the_address() -> None:
    async with Alertmanager("http://127.0.0.1:1") as alertmanager:
        with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:1/api/v2/status: cannot be reached: "):
            await alertmanager.status()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9093", "ftp://x", "http://", "http://x/?a=b", "", "http://[::1", "http://a..b", "http://x:99999"]
)
def test_what_is_no_address_is_told_before_anything_is_asked(url: str) -> None:
    with pytest.raises(AlertmanagerError, match=r"expected an address such as http://127\.0\.0\.1:9093"):
        Alertmanager(url)


def test_a_filter_quotes_what_a_label_may_hold() -> None:
    assert quoted("path", 'a"b\\c\n') == 'path="a\\"b\\\\c\\n"'


def test_samples_are_read_with_and_without_labels() -> None:
    text = '# HELP a_b x\na_b 1\na_c{x="y",z="{q}"} 2.5e+01 1700000000000\nb 3\n'
    assert read_samples(text, "a_") == [Sample("a_b", {}, 1.0), Sample("a_c", {"x": "y", "z": "{q}"}, 25.0)]
