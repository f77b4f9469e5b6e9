"""Every rule proven by promtool on the shipped files.

Fires when its time has run out and not before, whole and with its values; is gone after the recovery; silent on healthy
data, in normal weather, and where nothing exists that it reads.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.rules.render import ALERTS, OBJECTIVES
from alerting.rules.table import RULES
from tests.alerting.proofs.every import PROOFS
from tests.alerting.proofs.kit import Level, Phase, Proof, case_of, series_of
from tests.alerting.proofs.world import WORLD, closed, connection, gaps, requests, verdict
from tools import build, programs
from tools.go import toolchain

pytestmark = pytest.mark.full
SHIPPED = Path(__file__).parents[2] / "prometheus" / "rules"
ORDER = {5: ["P1", "P2", "P3", "P4", "watchdog"], 60: ["objectives", "budgets"]}
OF_RULE: dict[str, list[Proof]] = {}
for one in PROOFS:
    OF_RULE.setdefault("-".join(filter(None, (one.alert, one.priority, one.was))), []).append(one)
WATCHDOG = 'ALERTS{alertname="Watchdog", alertstate="firing", priority="none", scope="watching", severity="none"}'


@pytest.fixture(scope="module")
def promtool() -> Path:
    """The real one, from the cache or minutes of building."""
    build.ensure(programs.PROMETHEUS, lambda: toolchain(build.say))
    return programs.path("promtool")


def complaints(promtool: Path, folder: Path, every_s: int, *tests: Mapping[str, Any], rules: Path = SHIPPED) -> str:
    """What promtool objects to, nothing when all is as expected.

    Evaluated every 5 s are the plain alerts, every 60 s the objectives: those count their minutes.
    """
    whole = {
        "rule_files": [str(rules / (ALERTS if every_s == 5 else OBJECTIVES))],
        "evaluation_interval": f"{every_s}s",
        "group_eval_order": ORDER[every_s],
        "tests": list(tests),
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(whole, sort_keys=False, width=1000))
    ran = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def firing(at_s: int, *samples: str) -> dict[str, Any]:
    """At this time exactly these alerts fire, or wait to."""
    expected = [{"labels": sample, "value": 1} for sample in samples]
    return {"expr": "ALERTS", "eval_time": f"{at_s}s", "exp_samples": expected}


def quiet(phases: Sequence[Phase], step_s: int, world: Mapping[str, Level] = WORLD) -> dict[str, Any]:
    """Through all of these phases nothing is seen, not even one that waits, but the Watchdog."""
    end = sum(phase.steps for phase in phases) * step_s
    always = [WATCHDOG] if step_s == 5 else []
    return {
        "name": "quiet",
        "interval": f"{step_s}s",
        "input_series": series_of(world, phases, step_s),
        "promql_expr_test": [firing(at, *always) for at in range(10 * step_s, end, max(step_s, 15))],
    }


@pytest.mark.parametrize("name", OF_RULE)
def test_a_rule_fires_when_its_time_has_run_out_and_is_gone_after_the_recovery(
    promtool: Path, tmp_path: Path, name: str
) -> None:
    proofs = OF_RULE[name]
    assert complaints(promtool, tmp_path, proofs[0].step_s, *(case_of(proof, WORLD) for proof in proofs)) == ""


def test_healthy_data_raises_nothing_but_the_watchdog(promtool: Path, tmp_path: Path) -> None:
    assert complaints(promtool, tmp_path, 5, quiet([Phase(720, {})], 5)) == ""


def test_healthy_data_burns_no_budget(promtool: Path, tmp_path: Path) -> None:
    assert complaints(promtool, tmp_path, 60, quiet([Phase(1500, {})], 60)) == ""


def weather() -> dict[str, Any]:
    """Three reconnects and five gaps in ten minutes, books that come back, quiet markets, one REST error."""
    lost = {connection("kraken"): 0.0, verdict("kraken", "book"): 1.0, verdict("kraken", "trades"): 1.0}
    gap = {verdict("binance", "book"): 5.0, gaps("binance", "book", "sequence"): 1.0}
    error = requests("kraken", "count", http_response_status_code="503", error_type="503")
    phases = [Phase(120, {})]
    for _ in range(3):
        phases += [Phase(1, {**lost, closed("kraken", "remote"): 1}), Phase(3, lost), Phase(20, {})]
    for _ in range(5):
        phases += [Phase(1, gap), Phase(1, {verdict("binance", "book"): 1.0}), Phase(6, {})]
    phases += [Phase(1, {error: 1.0}), Phase(720, {})]
    # An exchange whose books nothing can check is no news; nor is a stream that is not listed.
    world = {**WORLD, verdict("coinbase", "book"): 3.0, verdict("coinbase", "trades"): 7.0}
    return none_fires(phases, world)


def starting() -> dict[str, Any]:
    """Ten seconds of syncing on everything, and then all is well."""
    syncing: dict[str, Level] = {name: 1 for name in WORLD if name.startswith("marketprism_verdict")}
    return none_fires([Phase(2, syncing), Phase(840, {})], WORLD)


def none_fires(phases: Sequence[Phase], world: Mapping[str, Level]) -> dict[str, Any]:
    """From a minute on nothing fires but the Watchdog."""
    end = sum(phase.steps for phase in phases) * 5
    expr = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
    return {
        "name": "none fires",
        "interval": "5s",
        "input_series": series_of(world, phases, 5),
        "promql_expr_test": [{"expr": expr, "eval_time": f"{at}s", "exp_samples": []} for at in range(60, end, 15)],
    }


@pytest.mark.parametrize("every_s", [5, 60])
@pytest.mark.parametrize("of", [weather, starting])
def test_normal_weather_and_a_start_raise_no_alert(
    promtool: Path, tmp_path: Path, of: Callable[[], dict[str, Any]], every_s: int
) -> None:
    assert complaints(promtool, tmp_path, every_s, of()) == ""


def test_where_nothing_exists_only_the_rules_that_say_so_fire(promtool: Path, tmp_path: Path) -> None:
    down = (
        'ALERTS{alertname="CollectorDown", alertstate="firing", job="marketprism-collector", priority="P1", '
        'scope="collector", severity="critical"}'
    )
    assert {rule.name for rule in RULES if rule.absent == "firing"} == {"CollectorDown", "Watchdog"}
    test = quiet([Phase(40, {})], 5, {"nothing": 1})
    test["promql_expr_test"] = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": "180s",
            "exp_samples": [{"labels": text, "value": 1} for text in (down, WATCHDOG)],
        }
    ]
    assert complaints(promtool, tmp_path, 5, test) == ""


def test_a_dead_collector_raises_no_alert_about_its_feeds(promtool: Path, tmp_path: Path) -> None:
    """What it pushed stays for five minutes as it was, and then is gone: silent both ways, and when it is back."""
    dead: dict[str, Level] = {name: None for name in WORLD if "marketprism-collector" in name}
    dead[next(name for name in WORLD if name.startswith("up{") and "marketprism-collector" in name)] = 0
    back: dict[str, Level] = {name: None for name, level in dead.items() if level is None}
    test = quiet([Phase(120, {}), Phase(36, dead), Phase(2, back), Phase(120, {}), Phase(240, dead)], 5)
    test["promql_expr_test"] = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing", alertname!~"Watchdog|.*BudgetBurn"})',
            "eval_time": f"{at}s",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names],
        }
        for at, names in (
            *((at, ()) for at in (610, 780, 785, 790, 800, 900)),
            (700, ("CollectorDown",)),
            (1480, ("CollectorDown",)),
            (2300, ("CollectorDown", "Unanswered")),
        )
    ]
    assert complaints(promtool, tmp_path, 5, test) == ""


def test_the_books_of_an_exchange_that_is_not_connected_are_that_exchanges_alert(
    promtool: Path, tmp_path: Path
) -> None:
    """They cannot come back before it does; once it is back, they have their two minutes."""
    lost: dict[str, Level] = {connection("kraken"): 0, verdict("kraken", "book"): 1}
    test = none_fires(
        [Phase(120, {}), Phase(59, lost), Phase(23, {verdict("kraken", "book"): 1}), Phase(60, {})], WORLD
    )
    assert complaints(promtool, tmp_path, 5, test) == ""


def test_a_collector_that_was_taken_away_is_not_said_to_live_on_without_metrics(promtool: Path, tmp_path: Path) -> None:
    """It is scraped no more, which Prometheus marks, and what it pushed ends; the other goes on."""
    second = {
        name.replace("collector-1", "collector-2"): level for name, level in WORLD.items() if "collector-1" in name
    }
    test = none_fires([Phase(180, {}), Phase(240, dict.fromkeys(second))], {**WORLD, **second})
    for one in test["input_series"]:
        if one["series"].startswith("up{"):
            one["values"] = one["values"].replace("_x240", "stale _x239")
    assert complaints(promtool, tmp_path, 5, test) == ""


def test_promtool_finds_nothing_wrong_with_the_files(promtool: Path) -> None:
    files = [SHIPPED / name for name in (ALERTS, OBJECTIVES)]
    ran = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", *files], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


WRONG = {
    "ExchangeUnstable": ("> 3\n", "> 4\n"),
    "AllExchangesDown": ("for: 30s", "for: 25s"),
    "FeedStale": ("== 4)", "== 5)"),
    "ApiErrors": ('{error_type!=""}', '{error_type=""}'),
    "StorageUnreachable": ("drops what it receives", "receives"),
    "BookUnverifiable": ("[1h]", "[1m]"),
}
"""A text of the shipped file and a wrong one for it, for a few of the ways in which a rule can be wrong."""


@pytest.mark.parametrize("name", WRONG)
def test_a_rule_that_is_wrong_fails_its_proof(promtool: Path, tmp_path: Path, name: str) -> None:
    (proof,) = OF_RULE[name]
    rules = tmp_path / "rules"
    shutil.copytree(SHIPPED, rules)
    text = (rules / ALERTS).read_text()
    start = text.index(f"- alert: {proof.alert}\n")
    right, wrong = WRONG[name]
    assert right in text[start:]
    (rules / ALERTS).write_text(text[:start] + text[start:].replace(right, wrong, 1))
    assert proof.alert in complaints(promtool, tmp_path, 5, case_of(proof, WORLD), rules=rules)


def test_promtool_understands_every_query_of_the_runbooks(promtool: Path, tmp_path: Path) -> None:
    pages = (SHIPPED.parents[1] / "docs" / "runbooks").rglob("*.md")
    queries = {query for page in pages for query in re.findall(r"'query=(.+)'$", page.read_text(), re.MULTILINE)}
    assert len(queries) > 50
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(sorted(queries))]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, width=1000))
    ran = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
