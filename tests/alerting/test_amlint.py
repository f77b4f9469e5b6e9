"""amlint on the configuration of Alertmanager: nothing that it warns of, and every rule lands where the table says.

It reads the files as Alertmanager would, by code that knows nothing of ours, and counts the routes that no case takes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.alertmanager import settings as environment
from alerting.alertmanager.__main__ import FOLDER, SAMPLE, write
from alerting.rules.model import CHANNELS
from alerting.rules.table import RULES
from tests.alerting.routing import Labels
from tests.alerting.test_routes import alert_of, by_name, unanswered

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / FOLDER / "alertmanager.yml"
AMLINT = Path(sys.executable).with_name("amlint")
WINDOWS = "venue=kraken thursday 06:00-07:00; sunday 22:00-24:00"


def amlint(*arguments: str | Path) -> tuple[int, str]:
    """Its exit code and what it prints."""
    ran = subprocess.run([AMLINT, *arguments], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def case(labels: Labels, expected: str, **more: Any) -> dict[str, Any]:
    """One case as amlint reads it."""
    return {"name": f"{labels['alertname']} lands at {expected}", "labels": dict(labels), "expect": [expected], **more}


def cases() -> list[dict[str, Any]]:
    """Every rule with its escalation, every channel that may fail, and who silences whom."""
    plain = [rule for rule in RULES if rule.priority]
    down, stale = alert_of(by_name("CollectorDown")), alert_of(by_name("FeedStale"))
    exchange = alert_of(by_name("ExchangeDown"))
    return [
        case(alert_of(by_name("Watchdog")), "heartbeat"),
        *(case(alert_of(rule), f"{rule.priority}{' and email' if rule.also else ''}") for rule in plain),
        *(case(unanswered(rule), "P1") for rule in plain),
        *(
            case(alert_of(by_name("NotificationFailing"), failing=failing), f"all but {failing}")
            for failing in (*CHANNELS["P1"], "webhook")
        ),
        case({"alertname": "SomebodyElses"}, "P3"),
        case(stale, "P2", firing=[down], inhibited=True),
        case(stale, "P2", firing=[exchange], inhibited=True),
        case(stale, "P2", firing=[{**exchange, "venue": "okx"}], inhibited=False),
        case(down, "P1", firing=[exchange], inhibited=False),
    ]


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    file = tmp_path / "routes.yml"
    file.write_text(yaml.safe_dump(cases(), sort_keys=False))
    return file


def test_the_shipped_configuration_has_nothing_that_amlint_warns_of() -> None:
    rules = f"{ROOT}/prometheus/rules/*.yml"
    code, said = amlint("check", "--strict", "--rules", rules, SHIPPED)
    assert code == 0, said


@pytest.mark.parametrize("environ", [{}, {"MARKETPRISM_ALERT_MAINTENANCE": WINDOWS}], ids=["nothing", "maintenance"])
def test_other_configurations_have_no_error(environ: dict[str, str], tmp_path: Path) -> None:
    write(environment.read(environ), tmp_path)
    code, said = amlint("check", tmp_path / "alertmanager.yml")
    assert code == 0, said


def test_every_rule_lands_where_the_table_says_and_no_route_is_left_untried(tests: Path) -> None:
    code, said = amlint("test", "--fail-under", "100", SHIPPED, tests)
    assert code == 0, said
    assert f"{len(cases())} passed" in said


def test_a_route_that_is_wrong_is_found(tests: Path, tmp_path: Path) -> None:
    write(SAMPLE, tmp_path)
    file = tmp_path / "alertmanager.yml"
    text = file.read_text()
    assert text.count("      receiver: P2\n") == 1
    file.write_text(text.replace("      receiver: P2\n", "      receiver: P4\n"))
    code, said = amlint("test", file, tests)
    assert code == 1
    assert "P4  delivered, not expected" in said
