"""The words of messages, in each language.

It owns every phrase that the bridge says to people, and no order of them: `message` puts them together. What an alert
says of itself stands in its annotations: `summary` and `description`, and for Chinese `summary_zh` and
`description_zh`, where the rule has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alerting.bridge.settings import Language


@dataclass(frozen=True, slots=True)
class Words:
    """The phrases of one language. Those with braces are filled in."""

    firing: str
    resolved: str
    state_firing: str
    state_resolved: str
    separator: str
    headline: str
    one: str
    many: str
    since: str
    over: str
    cut: str
    cut_link: str
    runbook: str
    dashboard: str
    trace: str
    log: str
    annotation_suffix: str
    units: tuple[str, str, str]
    unit_space: str


WORDS: Mapping[Language, Words] = {
    "zh-CN": Words(
        firing="{n} 条告警触发",
        resolved="{n} 条恢复",
        state_firing="触发",
        state_resolved="已恢复",
        separator="，",
        headline="MarketPrism：{counts}",
        one="{mark} {priority} {name}（{state}）",
        many="{mark} MarketPrism：{counts}",
        since="开始于 {start}",
        over="{start} 至 {end}，持续 {duration}",
        cut="另有 {n} 条告警未显示",
        cut_link="查看全部",
        runbook="处理手册",
        dashboard="仪表盘",
        trace="链路",
        log="日志",
        annotation_suffix="_zh",
        units=("小时", "分", "秒"),
        unit_space="",
    ),
    "en": Words(
        firing="{n} firing",
        resolved="{n} resolved",
        state_firing="firing",
        state_resolved="resolved",
        separator=", ",
        headline="MarketPrism: {counts}",
        one="{mark} {priority} {name} ({state})",
        many="{mark} MarketPrism: {counts}",
        since="since {start}",
        over="{start} to {end}, for {duration}",
        cut="{n} more alerts are not shown",
        cut_link="see all",
        runbook="runbook",
        dashboard="dashboard",
        trace="trace",
        log="log",
        annotation_suffix="",
        units=("h", "min", "s"),
        unit_space=" ",
    ),
}


def duration(seconds: float, words: Words) -> str:
    """A duration as people say it: its two largest units."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [(number, unit) for number, unit in zip((hours, minutes, rest), words.units, strict=True) if number]
    shown = parts[:2] or [(0, words.units[2])]
    return words.unit_space.join(f"{number}{words.unit_space}{unit}" for number, unit in shown)
