"""What an alert must look like at each channel, to the letter but for times and measured values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from alerting.rules.model import Channel
from tests.alerting import chinese as zh

RUNBOOKS = "https://runbooks.example.net"


@dataclass(frozen=True)
class Expected:
    """An alert as its messages must show it, to the letter.

    `labels`: of it, beside its name and priority; `summary`: exact; `description`: a pattern, for values vary.
    """

    alert: str
    priority: str
    channels: tuple[Channel, ...]
    labels: Mapping[str, str]
    summary: str
    description: str

    @property
    def where(self) -> list[str]:
        return [
            self.labels[name]
            for name in ("venue", "market", "instrument", "channel", "instance")
            if name in self.labels
        ]

    def pattern(self, channel: Channel, state: str) -> re.Pattern[str]:
        """The exact block of this alert in a message. `state`: firing or resolved."""
        mark = "✅" if state == "resolved" else {"P1": "🔴", "P2": "🟠", "P3": "🟡", "P4": "🔵"}[self.priority]
        chinese = channel in {"dingtalk", "wecom"}
        word = {"firing": "触发", "resolved": "已恢复"}[state] if chinese else state
        about = f" ({self.labels['alert']})" if "alert" in self.labels and channel in {"slack", "email"} else ""
        moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
        times = {
            (True, "firing"): f"开始于 {moment}",
            (True, "resolved"): f"{moment} 至 {moment}，持续 [^\n]+",
            (False, "firing"): f"since {moment}",
            (False, "resolved"): f"{moment} to {moment}, for [^\n]+?",
        }[chinese, state]
        runbook = re.escape(f"{RUNBOOKS}/{'zh-CN/' if chinese else ''}{self.alert}.md")
        name, where = f"{self.alert}{about}", self.where
        texts = re.escape(self.summary), self.description
        summary, description = zh.said(self.alert, self.labels) if chinese else texts
        if channel in {"slack", "email"}:
            bold = r"\*" if channel == "slack" else ""
            head = f"{mark} {bold}{self.priority} {word}{bold} · {re.escape(' · '.join([name, *where]))}"
            quote = "> " if channel == "slack" else ""
            said = description.replace("&", "&amp;") if channel == "slack" else description
            link = f"<{runbook}\\|runbook>" if channel == "slack" else f"runbook: {runbook}"
            full = f"{head}\n{summary}\n{quote}{said}\n{times}\n{link}"
            return re.compile(
                f"{full}|{head} · {summary}" if channel == "slack" else full
            )  # a line where they are many
        painted = f"<font color=[^>]+>{self.priority} {word}</font>" if chinese else f"{self.priority} {word}"
        bold = r"\*\*" if chinese else ""
        place = f" · {re.escape(' '.join(where))}" if where else ""
        line = f"{mark} {painted} · {re.escape(name)}{place}"
        head = f"{bold}{line}{bold}"
        said = f"> {description}" if chinese else description
        link = f"\\[处理手册\\]\\({runbook}\\)" if chinese else f"runbook {runbook}"
        between = r" \| " if channel == "log" else r"\n{1,2}"
        full = between.join([head, summary, said, times, link])
        # Where several share a message that has no room for all in full, each has a line.
        return re.compile(f"{full}|{line} · {summary}" if chinese else full)
