"""What Alertmanager posts, made to measure."""

from __future__ import annotations

import json
from typing import Any

START = "2026-11-22T10:00:00.123456789Z"
END = "2026-11-22T10:05:30Z"
NEVER = "0001-01-01T00:00:00Z"


def an_alert(
    name: str = "CollectorDown",
    *,
    priority: str = "P1",
    status: str = "firing",
    fingerprint: str = "",
    starts: str = START,
    annotations: dict[str, str] | None = None,
    **labels: str,
) -> dict[str, Any]:
    """One alert of a delivery; its fingerprint follows from its name and labels where none is given."""
    return {
        "status": status,
        "labels": {"alertname": name, "priority": priority, **labels},
        "annotations": {"summary": f"{name} happened."} if annotations is None else annotations,
        "startsAt": starts,
        "endsAt": NEVER if status == "firing" else END,
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
        "fingerprint": fingerprint or f"{abs(hash((name, *labels.items()))):016x}",
    }


def a_delivery(*alerts: dict[str, Any], group: str = "{}:{alertname=x}", **more: Any) -> dict[str, Any]:
    """A delivery of these alerts, with a key that no version of Alertmanager has."""
    return {
        "version": "4",
        "groupKey": group,
        "truncatedAlerts": 0,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "receiver": "p1",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "notification_reason": "first notification",
        "something_new": {"of": ["a", "later", "release"]},
        "alerts": list(alerts),
        **more,
    }


def encoded(delivery: dict[str, Any]) -> bytes:
    return json.dumps(delivery, ensure_ascii=False).encode()
