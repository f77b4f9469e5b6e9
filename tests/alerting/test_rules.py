"""The table of the rules, without Prometheus: nothing in it can be wrong by name, and every rule has its proof."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.rules import thresholds
from alerting.rules.__main__ import documents, main
from alerting.rules.model import CHANNELS, Rule, by
from alerting.rules.pages import PageError, filled
from alerting.rules.promql import duration, faster, metrics
from alerting.rules.render import Links, files
from alerting.rules.slo import OBJECTIVES, WINDOWS
from alerting.rules.table import RULES
from alerting.rules.watching import metric_missing
from tests.alerting.proofs.every import PROOFS
from tests.promql import REGISTRY, complaints, selected

ROOT = Path(__file__).parents[2]


def groups() -> list[dict[str, Any]]:
    return [group for text in files().values() for group in yaml.safe_load(text)["groups"]]


def written() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"]]


@pytest.mark.parametrize("path", documents(ROOT))
def test_the_committed_file_is_up_to_date(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == documents(ROOT)[path]


def test_every_expression_parses_and_all_that_it_names_exists() -> None:
    assert {rule.get("alert") or rule["record"]: said for rule in written() if (said := complaints(rule["expr"]))} == {}


def test_every_query_inside_a_text_of_an_alert_parses_and_all_that_it_names_exists() -> None:
    queries = {
        query.replace("%q", '"x"')
        for rule in written()
        for text in rule.get("annotations", {}).values()
        for query in re.findall(r"`([^`]+)` (?=\}\}|\$)", text)
    }
    assert len(queries) == 2 + len(OBJECTIVES)
    assert {query: said for query in queries if (said := complaints(query))} == {}


def test_the_verdicts_have_the_codes_that_the_rules_mean() -> None:
    codes = REGISTRY.metric("marketprism.verdict").codes
    assert {name: codes[name] for name in ("in_sync", "syncing", "acknowledged", "unverifiable", "stale", "gap")} == {
        "in_sync": 0, "syncing": 1, "acknowledged": 2, "unverifiable": 3, "stale": 4, "gap": 5,
    }  # fmt: skip
    assert (codes["diverged"], codes["blocked"]) == (6, 7)


def test_the_latency_that_is_promised_is_a_bound_of_the_histogram() -> None:
    assert thresholds.LATENCY_GOOD_S in REGISTRY.metric("marketprism.feed.lag").buckets


def test_every_span_that_an_alert_links_to_is_in_the_schema() -> None:
    assert {rule.span for rule in RULES if rule.span} <= set(REGISTRY.spans)


def test_every_rule_has_a_proof() -> None:
    def key(rule: Rule) -> tuple[str, str | None, str | None]:
        return rule.name, rule.priority, rule.labels.get("was")

    assert {key(proof.rule) for proof in PROOFS} == {key(rule) for rule in RULES if rule.priority}


def test_an_alert_has_all_that_a_person_needs() -> None:
    for rule in written():
        if "alert" not in rule:
            continue
        texts = rule["annotations"]
        said = {"summary", "description", "summary_zh", "description_zh"}
        assert {*said, "runbook_url", "runbook_url_zh", "dashboard_url"} <= set(texts), rule["alert"]
        assert len({"trace_url", "log_url"} & set(texts)) == 1, rule["alert"]
        for name in ("runbook_url", "runbook_url_zh"):
            _, path = texts[name].split("http://127.0.0.1:8081/")
            assert (ROOT / "docs" / path).exists(), path
        assert texts["description"] != texts["summary"]
        assert rule["labels"]["priority"] in {*CHANNELS, "none"}


def test_both_languages_show_the_same_labels_and_values() -> None:
    shown = re.compile(r"\$(?:labels\.\w+|value(?: \| [^}]+)?)|`[^`]+`")
    for rule in written():
        texts = rule.get("annotations", {})
        for name in {"summary", "description"} & set(texts):
            found = [set(shown.findall(texts[key])) for key in (name, f"{name}_zh")]
            assert found[0] == found[1], (rule["alert"], name)
            assert re.search(r"[\u4e00-\u9fff]", texts[f"{name}_zh"]), rule["alert"]


def test_no_alert_keeps_the_long_names_of_labels() -> None:
    for rule in written():
        kept = set(re.findall(r"marketprism_\w+", " ".join(re.findall(r"\bby\s*\(([^)]*)\)", rule["expr"]))))
        if "alert" in rule and "_over_time" not in rule["expr"]:
            assert {label for label in kept if rule["labels"].get(label) != ""} == set(), rule["alert"]


def test_the_important_rules_are_evaluated_every_five_seconds_and_the_objectives_every_minute() -> None:
    every = {group["name"]: group["interval"] for group in groups()}
    assert every == {
        "P1": "5s", "P2": "5s", "P3": "15s", "P4": "15s", "watchdog": "15s", "objectives": "1m", "budgets": "1m",
    }  # fmt: skip


def test_priorities_go_to_the_channels_that_they_are_promised() -> None:
    goes = {rule.name: rule.channels for rule in RULES}
    assert goes["CollectorDown"] == ("email", "slack", "dingtalk", "wecom", "log")
    assert goes["ExchangeDown"] == ("slack", "dingtalk", "wecom", "log")
    assert goes["MemoryHigh"] == ("slack", "log")
    assert goes["DiskFilling"] == ("email", "slack", "log")
    assert goes["DataLag"] == ("log",)
    assert goes["Watchdog"] == ()


def test_each_window_of_an_objective_counts_its_minutes() -> None:
    for window, samples in WINDOWS.items():
        assert duration(samples * 60) == window


def test_prometheus_keeps_all_that_the_longest_window_of_an_objective_counts() -> None:
    config = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    kept = config["storage"]["tsdb"]["retention"]["time"]
    assert int(kept.removesuffix("d")) * 86_400 > max(WINDOWS.values()) * 60


def test_the_objectives_and_the_table_of_thresholds_are_one_set() -> None:
    assert {objective.name for objective in OBJECTIVES} == set(thresholds.OBJECTIVES)


def test_a_metric_that_a_new_rule_needs_is_watched_for_at_once() -> None:
    rule = metric_missing([RULES[0], RULES[1]])
    assert "absent(marketprism_connection_state)" in rule.expression
    assert "absent(up" not in rule.expression


# -- PromQL


def test_what_is_not_known_without_data_is_not_called_missing_when_the_exchanges_are_away() -> None:
    assert any("marketprism_clock_skew_seconds" in rule.expression for rule in RULES)
    assert "absent(marketprism_clock_skew_seconds)" not in metric_missing(RULES).expression


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        ('sum by (instance, le) (rate(a_bucket{le="1", x=~"b|c"}[5m])) / count without(x) (d)', {"a_bucket", "d"}),
        ("a unless b offset 5m and on (x) max(c) == bool 1e3", {"a", "b", "c"}),
        ('label_replace(absent(slo:a:rate5m), "metric", "not_a_metric", "", "")', {"slo:a:rate5m"}),
        ('{__name__="x"} > inf', set()),
        ("sum(a) by (b)", {"a"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression: str, names: set[str]) -> None:
    assert metrics(expression) == names


def test_the_parser_finds_the_same_metrics_in_every_rule() -> None:
    assert [rule for rule in written() if metrics(rule["expr"]) != selected(rule["expr"])] == []


def test_only_durations_are_divided() -> None:
    text = 'rate(a5m{x="5m"}[5m]) > 300 and b[1h:15s] offset 10m or slo:x:rate5m * 1d2'
    assert faster(text, 60) == 'rate(a5m{x="5m"}[5s]) > 300 and b[1m:250ms] offset 10s or slo:x:rate5m * 1d2'
    assert faster(text, 1) == text


@pytest.mark.parametrize(("seconds", "text"), [(300, "5m"), (90, "90s"), (0.25, "250ms"), (86400, "1d"), (5400, "90m")])
def test_a_duration_is_written_in_its_largest_whole_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# -- the files


def test_divided_rules_differ_from_the_shipped_in_durations_alone() -> None:
    for name, text in files(factor=20).items():
        assert "# Every duration is divided by 20.\n" in text
        shipped, divided = yaml.safe_load(files()[name])["groups"], yaml.safe_load(text)["groups"]
        for old, new in zip(shipped, divided, strict=True):
            assert old["interval"] != new["interval"]
            for a, b in zip(old["rules"], new["rules"], strict=True):
                assert {key: a[key] for key in a if key not in {"for", "expr"}} == {
                    key: b[key] for key in b if key not in {"for", "expr"}
                }
                assert ("for" in a) == ("for" in b)
                plain = re.compile(r"\b\d+(ms|[smhd])\b")
                assert plain.sub("", a["expr"]) == plain.sub("", b["expr"])


def test_links_of_ones_own_are_in_every_alert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--into", str(tmp_path), "--runbooks", "https://r.test/", "--jaeger", "https://j.test"]) == 0
    assert "alerts.yml: written" in capsys.readouterr().out
    text = (tmp_path / "alerts.yml").read_text()
    assert "https://r.test/CollectorDown.md" in text
    assert "https://j.test/search" in text
    assert Links().jaeger not in text


def test_links_of_ones_own_need_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--factor", "20"])
    assert "need --into" in capsys.readouterr().err


def test_check_says_what_is_stale_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    page = (ROOT / "docs" / "alerting.md").read_text()
    (tmp_path / "docs" / "alerting.md").write_text(page)
    assert main(["--check"], tmp_path) == 1
    assert "alerts.yml: not up to date" in capsys.readouterr().out
    assert not (tmp_path / "prometheus").exists()
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0


def test_a_page_without_its_marks_is_refused_with_their_names() -> None:
    with pytest.raises(PageError, match="expected each once: <!-- priorities"):
        filled("# Alerting\n")


def test_a_clause_names_the_series_own_labels() -> None:
    assert by("instance", "venue") == "by (instance, marketprism_venue)"
