"""Messages at the robots' limits: to the byte, in Chinese, and nothing left out in silence."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from alerting.bridge.message import Message, compose
from alerting.bridge.robots import DINGTALK_BYTES, WECOM_BYTES, DingTalk, Robot, WeCom
from alerting.bridge.settings import RobotSettings
from alerting.bridge.webhook import Delivery, read_delivery
from tests.alerting.fakes.webhooks import a_delivery, an_alert, encoded


def settings(mention: dict[str, tuple[str, ...]] | None = None) -> RobotSettings:
    return RobotSettings("https://robot.test/?key=k", None, "zh-CN", mention or {})


ROBOTS: dict[str, Robot] = {"dingtalk": DingTalk(settings()), "wecom": WeCom(settings())}


def size(robot: Robot, message: Message) -> int:
    """As the robot counts: DingTalk the body's bytes, WeCom the content's."""
    body = robot.body(message)
    return len(body) if isinstance(robot, DingTalk) else len(msgspec.json.decode(body)["markdown"]["content"].encode())


def delivery(*alerts: dict[str, Any], **more: Any) -> Delivery:
    return read_delivery(encoded(a_delivery(*alerts, **more)))


def made(robot: Robot, *deliveries: Delivery) -> Message:
    return compose(deliveries, "zh-CN", robot.look, robot.fits)


def described(characters: int, text: str = "汉") -> Delivery:
    return delivery(an_alert(annotations={"summary": "行情中断。", "description": text * characters}))


@pytest.mark.parametrize(("name", "limit"), [("dingtalk", DINGTALK_BYTES), ("wecom", WECOM_BYTES)])
def test_a_message_of_exactly_the_limit_is_whole_and_one_byte_more_loses_its_description(name: str, limit: int) -> None:
    robot = ROBOTS[name]
    room = limit - size(robot, made(robot, described(1)))
    characters, rest = 1 + room // 3, room % 3
    exact = delivery(
        an_alert(annotations={"summary": "行情中断。", "description": "汉" * characters + "a" * rest}),
    )
    message = made(robot, exact)
    assert (size(robot, message), message.cut, "汉" in message.text) == (limit, 0, True)
    over = delivery(
        an_alert(annotations={"summary": "行情中断。", "description": "汉" * characters + "a" * (rest + 1)}),
    )
    shorter = made(robot, over)
    assert size(robot, shorter) < limit
    assert (shorter.cut, "汉" in shorter.text, "行情中断。" in shorter.text) == (0, False, True)


@pytest.mark.parametrize(("name", "limit"), [("dingtalk", DINGTALK_BYTES), ("wecom", WECOM_BYTES)])
def test_more_alerts_than_fit_are_counted_in_the_message(name: str, limit: int) -> None:
    robot = ROBOTS[name]
    alerts = [
        an_alert("BookOutOfSync", priority="P2", instrument=f"代币{number:03}-USDT", fingerprint=f"{number}")
        for number in range(500)
    ]
    message = made(robot, delivery(*alerts))
    shown = len(re.findall(r"代币\d\d\d-USDT", message.text))
    assert 0 < shown < 500
    assert message.cut == 500 - shown
    assert f"另有 {message.cut} 条告警未显示" in message.text
    assert "(http://alertmanager:9093)" in message.text
    assert "500 条告警触发" in message.text
    assert limit - 120 < size(robot, message) <= limit


def test_alerts_that_alertmanager_itself_cut_are_counted_too() -> None:
    message = made(ROBOTS["wecom"], delivery(an_alert(), truncatedAlerts=7))
    assert (message.cut, "另有 7 条告警未显示" in message.text) == (7, True)


@pytest.mark.parametrize("name", ["dingtalk", "wecom"])
@pytest.mark.parametrize("text", ["汉", "a汉", "🔴", '"\\\n'])
def test_a_single_alert_that_is_larger_than_a_message_is_cut_between_characters(name: str, text: str) -> None:
    robot = ROBOTS[name]
    huge = delivery(an_alert("名" * 3000 + text * 9000))
    message = made(robot, huge)
    limit = DINGTALK_BYTES if name == "dingtalk" else WECOM_BYTES
    assert limit - 5 < size(robot, message) <= limit
    assert message.text.endswith("…")
    assert "�" not in robot.body(message).decode()


def test_what_is_left_out_is_the_least_urgent() -> None:
    alerts = [an_alert("Later", priority="P4", fingerprint=f"{n}", instrument=f"代币{n}") for n in range(200)]
    alerts += [an_alert("Over", status="resolved", fingerprint=f"r{n}", instrument=f"代币{n}") for n in range(200)]
    alerts.append(an_alert("Now", priority="P1", fingerprint="now"))
    message = made(ROBOTS["wecom"], delivery(*alerts))
    lines = message.text.splitlines()
    assert "Now" in lines[1]
    assert "Over" not in message.text
    assert message.priority == "P1"


def test_mentions_count_towards_the_limit_and_follow_the_priority() -> None:
    people = {"P1": ("13900000001", "13900000002"), "P2": ("all",)}
    robot = DingTalk(settings(people))
    full = made(robot, *[delivery(*[an_alert(fingerprint=f"{n}", instrument=f"代币{n}") for n in range(900)])])
    body = msgspec.json.decode(robot.body(full))
    assert len(robot.body(full)) <= DINGTALK_BYTES
    assert body["at"] == {"atMobiles": ["13900000001", "13900000002"], "atUserIds": [], "isAtAll": False}
    assert body["markdown"]["text"].endswith("@13900000001\n\n@13900000002")
    second = msgspec.json.decode(robot.body(made(robot, delivery(an_alert(priority="P2")))))
    assert second["at"] == {"atMobiles": [], "atUserIds": [], "isAtAll": True}
    over = msgspec.json.decode(robot.body(made(robot, delivery(an_alert(status="resolved")))))
    assert over["at"] == {"atMobiles": [], "atUserIds": [], "isAtAll": False}
    wecom = WeCom(settings({"P1": ("zhangsan",)}))
    content = msgspec.json.decode(wecom.body(made(wecom, delivery(an_alert()))))["markdown"]["content"]
    assert content.endswith("\n<@zhangsan>")


@pytest.mark.parametrize("name", ["dingtalk", "wecom"])
def test_what_an_alert_says_cannot_become_markup_that_calls_people(name: str) -> None:
    robot = ROBOTS[name]
    said = {
        "summary": "<@all> <font color=red>\n# fire",
        "description": "a\r\n\r\n<@boss>",
        "runbook_url": "javascript:x",
    }
    text = made(robot, delivery(an_alert(annotations=said, venue="<@all>\n"))).text
    assert "<@" not in text
    assert "\n#" not in text[1:]
    assert "javascript" not in text


@pytest.mark.parametrize("name", ["dingtalk", "wecom"])
def test_what_an_alert_says_cannot_become_a_link_or_a_picture(name: str) -> None:
    said = {"summary": "see [the runbook](http://evil.test) [5m]", "runbook_url": "https://good.test/r"}
    labels = {"instrument": "![x](http://evil.test/x.png)", "venue": "okx](http://evil.test)"}
    message = made(ROBOTS[name], delivery(an_alert("[A](http://evil.test)", annotations=said, **labels)))
    assert re.findall(r"\]\((.*?)\)", message.text) == ["https://good.test/r"]
    assert "](" not in message.title
    assert "[5m]" in message.text
