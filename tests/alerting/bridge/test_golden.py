"""The messages, word for word: one file in `golden/` for each channel, language and case, one for all rules in Chinese.

To make them anew after a wanted change: GOLDEN=write in the environment; then read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerting.bridge.logbook import LOOK
from alerting.bridge.message import compose, describe
from alerting.bridge.robots import DingTalk, Robot, WeCom
from alerting.bridge.settings import LANGUAGES, Language, RobotSettings
from alerting.bridge.webhook import read_delivery
from tests.alerting.fakes.webhooks import a_delivery, an_alert, encoded
from tests.alerting.proofs.every import PROOFS
from tests.alerting.proofs.kit import Proof, alert_of

GOLDEN = Path(__file__).parent / "golden"
LINKS = {
    "runbook_url": "https://docs.test/runbooks/VenueDown",
    "dashboard_url": "https://grafana.test/d/venues?var-venue=kraken(spot)",
    "trace_url": "https://jaeger.test/search?service=marketprism-collector",
    "log_url": "https://loki.test/explore",
}
VENUE = an_alert(
    "VenueDown",
    priority="P2",
    fingerprint="1",
    venue="kraken",
    market="spot",
    instance="collector-1",
    annotations={
        "summary": "An exchange is down.",
        "description": "kraken spot has not delivered for 5 min;\nits connections are closed.",
        "summary_zh": "交易所中断。",
        "description_zh": "kraken 现货已有 5 分钟没有数据。",
        **LINKS,
    },
)
CASES: dict[str, list[dict[str, Any]]] = {
    "firing": [a_delivery(VENUE)],
    "resolved": [a_delivery(VENUE | {"status": "resolved", "endsAt": "2026-11-22T11:02:03Z"})],
    "merged": [
        a_delivery(VENUE, group="a"),
        a_delivery(
            an_alert("CollectorDown", fingerprint="2", instance="collector-1"),
            an_alert("DiskFull", priority="P3", fingerprint="3", status="resolved"),
            an_alert("Odd", priority="P9", fingerprint="4"),
            group="b",
            truncatedAlerts=3,
        ),
    ],
    "storm": [
        a_delivery(
            *(
                an_alert("BookOutOfSync", priority="P2", instrument=f"COIN{n:03}-USDT", fingerprint=f"{n}")
                for n in range(120)
            )
        )
    ],
}


def a_robot(channel: str, language: Language) -> Robot:
    mention = {"P1": ("all",)} if channel == "dingtalk" else {"P1": ("zhangsan",)}
    settings = RobotSettings("https://robot.test/?key=k", None, language, mention)
    return DingTalk(settings) if channel == "dingtalk" else WeCom(settings)


def written(channel: str, language: Language, case: str) -> str:
    deliveries = [read_delivery(encoded(one)) for one in CASES[case]]
    if channel == "log":
        alerts = [alert for delivery in deliveries for alert in delivery.alerts]
        return "".join(describe(alert, language, LOOK) + "\n" for alert in alerts)
    robot = a_robot(channel, language)
    body = msgspec.json.decode(robot.body(compose(deliveries, language, robot.look, robot.fits)))
    if channel == "dingtalk":
        at = msgspec.json.encode(body["at"]).decode()
        return f"title: {body['markdown']['title']}\nat: {at}\n\n{body['markdown']['text']}\n"
    return f"{body['markdown']['content']}\n"


def approved(file: Path, found: str) -> None:
    if os.environ.get("GOLDEN") == "write":
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", ["dingtalk", "wecom", "log"])
def test_a_message_is_word_for_word_what_was_approved(channel: str, language: Language, case: str) -> None:
    approved(GOLDEN / f"{channel}-{case}.{language}.txt", written(channel, language, case))


def told(proof: Proof, channel: str) -> str:
    """A robot's Chinese message of the alert that promtool proves this rule to raise."""
    alert = alert_of(proof)
    labels = {name: text for name, text in alert["exp_labels"].items() if name != "priority"}
    given = an_alert(proof.alert, priority=str(proof.rule.priority), annotations=alert["exp_annotations"])
    given["labels"] |= labels
    robot = a_robot(channel, "zh-CN")
    return compose([read_delivery(encoded(a_delivery(given)))], "zh-CN", robot.look, robot.fits).text


@pytest.mark.parametrize("channel", ["dingtalk", "wecom"])
def test_every_rule_is_told_in_chinese_word_for_word_as_approved(channel: str) -> None:
    approved(GOLDEN / f"{channel}-rules.zh-CN.txt", "\n\n".join(told(proof, channel) for proof in PROOFS) + "\n")


NAMES = {"MarketPrism", "Prometheus", "Alertmanager", "REST", "API", "UTC", "GiB", "marketprism", "ack"}


@pytest.mark.parametrize("channel", ["dingtalk", "wecom"])
@pytest.mark.parametrize("proof", PROOFS, ids=[f"{proof.alert}-{number}" for number, proof in enumerate(PROOFS)])
def test_a_rule_is_told_in_chinese_alone_but_for_names_and_units(proof: Proof, channel: str) -> None:
    text = re.sub(r"\]\([^)]*\)|</?font[^>]*>", "", told(proof, channel))
    names = NAMES | {proof.alert, *re.findall(r"[A-Za-z_]+", " ".join(proof.labels.values()))}
    assert set(re.findall(r"[A-Za-z_]{2,}", text)) <= names


def test_no_approved_message_is_left_over() -> None:
    expected = {f"{c}-{case}.{lang}.txt" for c in ("dingtalk", "wecom", "log") for case in CASES for lang in LANGUAGES}
    expected |= {"dingtalk-rules.zh-CN.txt", "wecom-rules.zh-CN.txt"}
    assert {file.name for file in GOLDEN.iterdir()} == expected
