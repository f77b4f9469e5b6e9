"""What Alertmanager would do with an alert, read from the configuration alone: its receiver, its timing, and who
silences it. As https://prometheus.io/docs/alerting/latest/configuration/ has it; amtool is the second opinion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_MATCHER = re.compile(r'(?P<label>\w+)(?P<how>=~|!~|!=|=)"(?P<value>[^"]*)"')
_INHERITED = ("receiver", "group_by", "group_wait", "group_interval", "repeat_interval")
Labels = Mapping[str, str]


def matches(matchers: Iterable[str], labels: Labels) -> bool:
    """Whether all of them hold; a label that is missing is empty."""
    return all(_one(matcher, labels) for matcher in matchers)


def _one(matcher: str, labels: Labels) -> bool:
    found = _MATCHER.fullmatch(matcher)
    assert found is not None, matcher
    text, value = labels.get(found["label"], ""), found["value"]
    match found["how"]:
        case "=":
            return text == value
        case "!=":
            return text != value
        case "=~":
            return re.fullmatch(value, text) is not None
        case _:
            return re.fullmatch(value, text) is None


@dataclass
class Routing:
    """A configuration. `used`: the routes that some alert took, by their matchers."""

    config: dict[str, Any]
    used: set[tuple[str, ...]] = field(default_factory=set)

    def route(self, labels: Labels) -> dict[str, Any]:
        """The leaf that an alert ends in, with what it inherits."""
        route, path = self.config["route"], ()
        found = {key: route.get(key) for key in _INHERITED}
        while True:
            below = next(
                (child for child in route.get("routes", []) if matches(child.get("matchers", []), labels)), None
            )
            if below is None:
                self.used.add(path)
                own = {"mute_time_intervals": route.get("mute_time_intervals", [])}
                return found | own
            route, path = below, (*path, *below.get("matchers", []))
            found |= {key: route[key] for key in _INHERITED if key in route}

    def leaves(self, route: dict[str, Any] | None = None, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        """Every route that has none below it."""
        children = (self.config["route"] if route is None else route).get("routes", [])
        if not children:
            return {path}
        return {leaf for child in children for leaf in self.leaves(child, (*path, *child.get("matchers", [])))}

    def channels(self, labels: Labels) -> set[str]:
        """The channels of an alert's receiver."""
        name = self.route(labels)["receiver"]
        (receiver,) = [one for one in self.config["receivers"] if one["name"] == name]
        bridged = {one["url"].rpartition("/")[2] for one in receiver.get("webhook_configs", []) if "url" in one}
        native = {kind for kind in ("email", "slack") if receiver.get(f"{kind}_configs")}
        heartbeat = {"heartbeat" for one in receiver.get("webhook_configs", []) if "url_file" in one}
        return bridged | native | heartbeat

    def silenced(self, target: Labels, firing: Iterable[Labels]) -> bool:
        """Whether an alert that fires inhibits this one."""
        others = [one for one in firing if dict(one) != dict(target)]
        return any(
            matches(rule["target_matchers"], target)
            and any(
                matches(rule["source_matchers"], source)
                and all(source.get(label, "") == target.get(label, "") for label in rule["equal"])
                for source in others
            )
            for rule in self.config["inhibit_rules"]
        )
