"""The two group robots: what each is sent, how it is signed, what its answers mean.

It owns the protocol facts; it must never call a robot successful whose `errcode` is not 0, and never put its address
or key where people read. Pure but for `post`, which sends one message and always gives a verdict.

Sources: https://open.dingtalk.com/document/orgapp/custom-robot-access (DingTalk),
https://developer.work.weixin.qq.com/document/path/91770 (WeCom).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol
from urllib.parse import quote_plus, urlsplit

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from alerting.bridge.message import Look, Message
from alerting.bridge.settings import ALL, Channel, RobotSettings
from telemetry.redaction import redact

Outcome = Literal["accepted", "throttled", "failed", "rejected"]

TIMEOUT = aiohttp.ClientTimeout(total=5.0)
"""Alertmanager gives a delivery at least 10 s, of which some may have gone by waiting."""
LARGEST_ANSWER = 64 * 1024
DINGTALK_BYTES = 20_000
"""Of the whole body; more is errcode 460101."""
WECOM_BYTES = 4096
"""Of markdown.content; more is errcode 40058."""
PAUSE_S = 60.0
"""DingTalk shuts a robot out for 10 minutes, WeCom for the rest of the minute: a try a minute finds out which."""
DINGTALK_SKEW_S = 3600

# Meanings of errcodes, HTTP status 200. What is in no set may better itself: it is worth another attempt.
_THROTTLED = {
    "dingtalk": {130101, 410100, 90030},  # over 20 a minute; sending too fast; webhook over limit
    "wecom": {45009, 45033},  # calls over the limit; concurrent calls over the limit
}
_REJECTED = {
    # wrong signature, keyword or address list; group dissolved; token unknown; robot off; message type; robot unknown
    "dingtalk": {310000, 400013, 400101, 400102, 400105, 400106},
    "wecom": {93000, 93008, 40008},  # key unknown; key invalid; message type
}
_REJECTED_WORDS = {
    # unsafe link, text, picture, content; too long, new and old; missing parameter
    "dingtalk": {430101, 430102, 430103, 430104, 460101, 101002, 40035},
    "wecom": {40058, 44004, 47001},  # content too long or invalid; content empty; not JSON
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a message.

    `reason` is for people. `pause_s`: leave the robot alone for so long. `words`: it is about what the message says, so
    that another message may be taken.
    """

    outcome: Outcome
    reason: str
    errcode: int | None = None
    status: int | None = None
    pause_s: float = 0.0
    words: bool = False


class Robot(Protocol):
    """One group robot."""

    channel: Channel
    settings: RobotSettings
    look: Look

    def body(self, message: Message) -> bytes:
        """The request's body."""

    def fits(self, message: Message) -> bool:
        """Whether the robot takes a message of this size."""

    def address(self, wall_s: float) -> URL:
        """Where to post, signed as of now. It is a secret."""

    def explain(self, errcode: int, errmsg: str, skew_s: float | None) -> Verdict:
        """What an errcode other than 0 means. `skew_s`: our clock less the robot's, where it tells."""


class _Answer(Struct):
    errcode: int
    errmsg: str = ""


class DingTalk:
    """A DingTalk custom robot; signed where it has a secret. Implements Robot."""

    channel: Channel = "dingtalk"
    _COLORS: Mapping[str, str] = {
        "P1": "#D93026",
        "P2": "#E8710A",
        "P3": "#B08800",
        "P4": "#1A73E8",
        "resolved": "#188038",
    }

    def __init__(self, settings: RobotSettings) -> None:
        self.settings = settings
        self.look = _markdown("\n\n", "### ", self._color)

    def _color(self, priority: str, text: str) -> str:
        color = self._COLORS.get(priority)
        return f"<font color={color}>{text}</font>" if color else text

    def body(self, message: Message) -> bytes:
        """See Robot. A mention counts only where the text has it too."""
        people = self.settings.mention.get(message.priority, ())
        mobiles = [person for person in people if person != ALL]
        text = message.text + "".join(f"\n\n@{person}" for person in mobiles)
        return msgspec.json.encode(
            {
                "msgtype": "markdown",
                "markdown": {"title": message.title, "text": text},
                "at": {"atMobiles": mobiles, "atUserIds": [], "isAtAll": ALL in people},
            }
        )

    def fits(self, message: Message) -> bool:
        """See Robot."""
        return len(self.body(message)) <= DINGTALK_BYTES

    def address(self, wall_s: float) -> URL:
        """See Robot. The signature is HMAC-SHA256 of time stamp and secret, keyed with the secret."""
        url = self.settings.url
        if self.settings.secret is not None:
            stamp = round(wall_s * 1000)
            url += f"&timestamp={stamp}&sign={sign(stamp, self.settings.secret)}"
        return URL(url, encoded=True)

    def explain(self, errcode: int, errmsg: str, skew_s: float | None) -> Verdict:
        """See Robot."""
        skewed = skew_s is not None and abs(skew_s) > DINGTALK_SKEW_S
        if errcode == 310000 and (skewed or "timestamp" in errmsg.lower()):
            clock = f"; this host's clock is {skew_s:+.0f} s off the robot's" if skew_s is not None else ""
            return Verdict("failed", f"the time stamp is not taken: {errmsg}{clock}", errcode)  # a clock can be set
        return _by_table(self.channel, errcode, errmsg)


class WeCom:
    """A WeCom group robot: it does not sign, its key is the secret. Implements Robot."""

    channel: Channel = "wecom"
    _COLORS: Mapping[str, str] = {
        "P1": "warning",
        "P2": "warning",
        "P3": "comment",
        "P4": "comment",
        "resolved": "info",
    }

    def __init__(self, settings: RobotSettings) -> None:
        self.settings = settings
        self.look = _markdown("\n", "## ", self._color)

    def _color(self, priority: str, text: str) -> str:
        color = self._COLORS.get(priority)
        return f'<font color="{color}">{text}</font>' if color else text

    def _content(self, message: Message) -> str:
        people = self.settings.mention.get(message.priority, ())
        return message.text + "".join(f"\n<@{person}>" for person in people)

    def body(self, message: Message) -> bytes:
        """See Robot."""
        return msgspec.json.encode({"msgtype": "markdown", "markdown": {"content": self._content(message)}})

    def fits(self, message: Message) -> bool:
        """See Robot."""
        return len(self._content(message).encode()) <= WECOM_BYTES

    def address(self, wall_s: float) -> URL:  # noqa: ARG002 - nothing is signed
        """See Robot."""
        return URL(self.settings.url, encoded=True)

    def explain(self, errcode: int, errmsg: str, skew_s: float | None) -> Verdict:  # noqa: ARG002 - no time stamps
        """See Robot."""
        return _by_table(self.channel, errcode, errmsg)


def sign(stamp_ms: int, secret: str) -> str:
    """DingTalk's signature of a time stamp in milliseconds, percent-encoded."""
    digest = hmac.new(secret.encode(), f"{stamp_ms}\n{secret}".encode(), hashlib.sha256).digest()
    return quote_plus(base64.b64encode(digest))


async def post(session: aiohttp.ClientSession, robot: Robot, body: bytes, wall_s: float) -> Verdict:
    """Send one message, signed as of `wall_s` (seconds since 1970). Always a verdict, never an exception."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    try:
        async with session.post(
            robot.address(wall_s), data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            answer = await response.content.read(LARGEST_ANSWER)
            while len(answer) < LARGEST_ANSWER and (more := await response.content.read(LARGEST_ANSWER)):
                answer += more
            return judge(robot, response.status, response.headers, answer, wall_s)
    except TimeoutError:
        return Verdict("failed", f"no answer within {TIMEOUT.total:g} s")
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        reason = redact(getattr(error, "strerror", None) or str(error))
        return Verdict("failed", f"{type(error).__name__}: {reason}")


def judge(robot: Robot, status: int, headers: Mapping[str, str], answer: bytes, wall_s: float) -> Verdict:
    """The verdict of an answer. Only an `errcode` of 0 is success, whatever the HTTP status says."""
    if status == 429:
        return Verdict("throttled", "HTTP status 429", status=status, pause_s=_retry_after(headers))
    if status != 200:
        lasting = 400 <= status < 500 and status not in {408, 425}
        return Verdict("rejected" if lasting else "failed", f"HTTP status {status}", status=status)
    try:
        decoded = msgspec.json.decode(answer, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Verdict("failed", "the answer is not whole, or no JSON with an errcode", status=status)
    if decoded.errcode == 0:
        return Verdict("accepted", "errcode 0", 0, status)
    verdict = robot.explain(decoded.errcode, redact(decoded.errmsg)[:300], _skew(headers, wall_s))
    return replace(verdict, reason=f"errcode {decoded.errcode}: {verdict.reason}", status=status)


def _by_table(channel: Channel, errcode: int, errmsg: str) -> Verdict:
    if errcode in _THROTTLED[channel]:
        return Verdict("throttled", errmsg, errcode, pause_s=PAUSE_S)
    if errcode in _REJECTED_WORDS[channel]:
        return Verdict("rejected", errmsg, errcode, words=True)
    return Verdict("rejected" if errcode in _REJECTED[channel] else "failed", errmsg, errcode)


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return float(min(int(text), 600)) if text.isascii() and text.isdigit() else PAUSE_S


def _skew(headers: Mapping[str, str], wall_s: float) -> float | None:
    """Our clock less the robot's, in seconds, by its Date header."""
    try:
        return wall_s - parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        return None


def host_of(robot: Robot) -> str:
    """The host of a robot, which is no secret."""
    return urlsplit(robot.settings.url).hostname or ""


def _markdown(break_: str, heading: str, color: Callable[[str, str], str]) -> Look:
    return Look(break_, "\n\n", heading, bold="**", quote="> ", link="[{name}]({link})", color=color, plain=_no_markup)


def _no_markup(text: str) -> str:
    """What an alert says cannot begin a tag (`<@all>` would call people), nor be a link or a picture."""
    return text.replace("<", "\uff1c").replace("](", "]\uff08")
