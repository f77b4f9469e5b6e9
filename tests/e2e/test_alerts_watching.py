"""The rules that watch Prometheus itself, all durations divided by one factor, each by its real fault and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerting.rules.table import RULES
from tests.e2e.budgets import alive
from tests.e2e.chain import Case, Chain, Proof, follow
from tests.e2e.expected import Expected
from tests.e2e.proofs import show, table

pytestmark = pytest.mark.full
FACTOR = 20
PROOFS: list[Proof] = []
OWN_RULES = """\
groups:
  - name: own
    interval: 1s
    rules:
      - record: own:bridges
        expr: up{job="bridge"} + on (job) up{job="bridge"}
"""
"""Fails as soon as there are two bridges: which belongs to which?"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("watching")

    def own_rules(_: Path) -> None:
        (folder / "rules" / "own.yml").write_text(OWN_RULES)

    only = ("bridge", "alertmanager", "prometheus")
    with (
        Chain(folder, factor=FACTOR, per_minute=1000, only=only, ready=own_rules) as chain,
        alive(chain.stack.ports.collector),
    ):
        yield chain


def case(chain: Chain, alert: str, summary: str, description: str) -> Case:
    """A fault of Prometheus that is there now."""
    rule = next(rule for rule in RULES if rule.name == alert)
    labels = {"instance": f"127.0.0.1:{chain.stack.ports.prometheus}"}
    assert rule.priority is not None
    expected = Expected(alert, rule.priority, rule.channels, labels, summary, description)
    made = Case(chain, expected, rule.fault, rule.hold_s / FACTOR)
    made.begin()
    PROOFS.append(made.proof)
    return made


def test_a_rule_that_cannot_be_evaluated_is_told_and_so_is_its_repair(chain: Chain) -> None:
    ports, targets = chain.stack.ports, chain.stack.data / "prometheus" / "targets" / "bridge.json"
    well = targets.read_text()
    failing = case(
        chain,
        "RuleEvaluationFailing",
        "A rule cannot be evaluated: its alert can never fire.",
        rf"In 127\.0\.0\.1:{ports.prometheus} \d+ evaluations failed in 5 min, in the rules of \S+/own\.yml;own\.",
    )
    both = [f"127.0.0.1:{ports.bridge}", f"127.0.0.1:{ports.prometheus}"]
    targets.write_text(json.dumps([{"targets": both}]))
    follow([failing], 60)
    failing.only_its_channels()
    targets.write_text(well)
    failing.heal()
    follow([failing], 90, recovery=True)


def test_alerts_that_were_dropped_while_alertmanager_was_away_are_told_when_it_is_back(chain: Chain) -> None:
    dropped = case(
        chain,
        "NotificationsDropped",
        "Prometheus cannot hand its alerts to Alertmanager.",
        rf"127\.0\.0\.1:{chain.stack.ports.prometheus} dropped \d+ alerts in 5 min, for longer than a restart of "
        r"Alertmanager takes\. What fires may be told late, and what was over meanwhile never\.",
    )
    chain.stop("alertmanager")

    def back_when_it_fires() -> None:
        if dropped.proof.firing and not dropped.proof.healed:
            chain.start("alertmanager")
            dropped.heal()

    follow([dropped], 90, ticks=[back_when_it_fires])
    dropped.only_its_channels()
    follow([dropped], 90, recovery=True)


def test_the_times_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(PROOFS) == 2
    show("Prometheus itself, every duration divided by 20", table(PROOFS), capsys)
