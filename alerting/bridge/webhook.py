"""What Alertmanager posts: its webhook in version 4, as typed values.

It owns the shapes and their checks; it must never drop a delivery for a key that it does not know (Alertmanager adds
some with nearly every release), and never take one that lacks what a message needs.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from alerting.bridge.settings import PRIORITIES

Status = Literal["firing", "resolved"]
State = frozenset[tuple[str, str]]
Moment = Annotated[datetime, Meta(tz=True)]
"""A time with its zone: without one it cannot be compared with another, nor told."""


class MalformedError(ValueError):
    """The body is no delivery; the message says what was expected where."""


class Alert(Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert. `ends_at` is the year 1 while it fires. `fingerprint` is Alertmanager's id of its labels."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: Moment
    ends_at: Moment | None = None
    fingerprint: Annotated[str, Meta(min_length=1)]

    def __post_init__(self) -> None:
        """ValueError for a time that UTC, in which all are told, does not have."""
        for moment in filter(None, (self.starts_at, self.ends_at)):
            try:
                moment.astimezone(UTC)
            except OverflowError as error:
                raise ValueError(f"expected times in the years 1 to 9999 of UTC, got {moment}") from error

    @property
    def name(self) -> str:
        """Its name."""
        return self.labels.get("alertname", "?")

    @property
    def priority(self) -> str:
        """P1 to P4; empty when it has none."""
        found = self.labels.get("priority", "")
        return found if found in PRIORITIES else ""

    @property
    def told(self) -> str:
        """What somebody who was told of it knows: it fires since then, or what began then is over."""
        return f"{self.status} {self.starts_at.isoformat()}"


class Delivery(Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of one alert group. `truncated_alerts`: how many more there are that Alertmanager did not send."""

    version: Literal["4"]
    group_key: Annotated[str, Meta(min_length=1)]
    status: Status
    receiver: str
    alerts: Annotated[list[Alert], Meta(min_length=1)]
    truncated_alerts: Annotated[int, Meta(ge=0)] = 0
    external_url: str = msgspec.field(default="", name="externalURL")

    @property
    def state(self) -> State:
        """What it says, whatever its words: deliveries of one group with equal states are identical."""
        more = {("", str(self.truncated_alerts))} if self.truncated_alerts else set()
        return frozenset({(alert.fingerprint, alert.told) for alert in self.alerts} | more)

    @property
    def urgent(self) -> bool:
        """Whether a P1 fires in it."""
        return any(alert.status == "firing" and alert.priority == "P1" for alert in self.alerts)


_decoder = msgspec.json.Decoder(Delivery)


def read_delivery(body: bytes) -> Delivery:
    """The delivery of a request's body. Raises MalformedError."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"expected Alertmanager's webhook in version 4: {error}") from error
