"""The bridge's settings, from environment variables alone: `MARKETPRISM_BRIDGE_…`.

It owns every name, default and check, and tells all mistakes at once. A secret comes from a variable or from a file
that `<variable>_FILE` names; it has no default, and a placeholder is refused. It must never repeat a secret: a mistake
names the variable and what was expected. What is not configured is off, which `why_off` says.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import parse_qs, urlsplit

from alerting.errors import AlertingError

PREFIX = "MARKETPRISM_BRIDGE_"
Channel = Literal["dingtalk", "wecom", "log"]
CHANNELS: tuple[Channel, ...] = ("dingtalk", "wecom", "log")
Language = Literal["zh-CN", "en"]
LANGUAGES: tuple[Language, ...] = ("zh-CN", "en")
PRIORITIES = ("P1", "P2", "P3", "P4")
ALL = "all"
"""The word for mentioning everybody in a group."""
DEFAULT_LISTEN = "127.0.0.1:8081"
SHORTEST_TOKEN = 16

SECRETS = ("TOKEN", "DINGTALK_URL", "DINGTALK_SECRET", "WECOM_URL")
PLAIN = (
    "LISTEN",
    "DATA",
    "RUNBOOKS",
    "DUPLICATES_WITHIN",
    "MESSAGES_PER_MINUTE",
    "DINGTALK_LANGUAGE",
    "DINGTALK_MENTION",
    "WECOM_LANGUAGE",
    "WECOM_MENTION",
    "LOG_LANGUAGE",
)
# Kubernetes puts these beside a Service that is called marketprism-bridge; they are nobody's mistake.
_SERVICE_LINKS = re.compile(r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")
_PLACEHOLDER = re.compile(
    r"(?i)change[-_ ]?me.*|your[-_ ].*|<.*>|x{3,}[-x]*|\*{3,}|0+|(sec)?0{8,}|placeholder|secret|password|token|key|"
    r"access[-_]?token|example.*|todo|dummy"
)


class SettingsError(AlertingError):
    """The environment is wrong; one line for each mistake."""


@dataclass(frozen=True, slots=True)
class RobotSettings:
    """One group robot. `url` and `secret` are secrets. `mention`: priority → whom to mention; `all` is everybody."""

    url: str
    secret: str | None
    language: Language
    mention: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the bridge is made with. A robot that is None is off.

    `runbooks`: the folder of those that it shows. `duplicates_within_s`: a delivery that says nothing new within so
    many seconds is a duplicate. It has to be longer than Alertmanager's `group_interval` (retries) and shorter than its
    shortest `repeat_interval` (reminders).
    """

    host: str
    port: int
    data: Path
    runbooks: Path | None
    token: str
    dingtalk: RobotSettings | None
    wecom: RobotSettings | None
    log_language: Language
    duplicates_within_s: float
    messages_per_minute: int

    def secrets(self) -> set[str]:
        """What must never be said, in its parts too."""
        found = {self.token}
        for robot in (self.dingtalk, self.wecom):
            if robot is not None:
                found.add(robot.url)
                found |= {value for values in parse_qs(urlsplit(robot.url).query).values() for value in values}
                found |= {robot.secret} if robot.secret else set()
        return {secret for secret in found if len(secret) >= 4}

    def why_off(self) -> dict[Channel, str]:
        """The channels that are off, each with what would turn it on."""
        off: dict[Channel, str] = {}
        if self.dingtalk is None:
            off["dingtalk"] = f"{PREFIX}DINGTALK_URL is not set"
        if self.wecom is None:
            off["wecom"] = f"{PREFIX}WECOM_URL is not set"
        return off


def listen_address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Where the bridge listens, for those who ask it. SettingsError when that is wrong."""
    reader = _Reader(environ)
    address = reader.listen()
    reader.finish()
    return address


def read_token(environ: Mapping[str, str]) -> str:
    """The token that the bridge asks for. SettingsError when there is none."""
    reader = _Reader(environ)
    token = reader.token()
    reader.finish()
    return token


def read_settings(environ: Mapping[str, str], default_data: Path) -> Settings:
    """Read and check everything. Raises SettingsError with every mistake."""
    reader = _Reader(environ)
    reader.unknown()
    host, port = reader.listen()
    settings = Settings(
        host=host,
        port=port,
        data=Path(reader.plain("DATA") or default_data).expanduser().absolute(),
        runbooks=reader.folder("RUNBOOKS"),
        token=reader.token(),
        dingtalk=reader.robot("DINGTALK", "access_token", default_mention="P1=all"),
        wecom=reader.robot("WECOM", "key", default_mention=""),
        log_language=reader.language("LOG_LANGUAGE", "en"),
        duplicates_within_s=reader.number("DUPLICATES_WITHIN", 240, 1, 86400),
        messages_per_minute=reader.number("MESSAGES_PER_MINUTE", 20, 1, 1000),
    )
    reader.finish()
    return settings


class _Reader:
    """One reading of the environment, with the mistakes that it found."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = {name.removeprefix(PREFIX): text for name, text in environ.items() if name.startswith(PREFIX)}
        self._mistakes: list[str] = []

    def finish(self) -> None:
        if self._mistakes:
            raise SettingsError("\n".join(self._mistakes))

    def wrong(self, name: str, sentence: str) -> None:
        self._mistakes.append(f"{PREFIX}{name}: {sentence}")

    def unknown(self) -> None:
        known = [*PLAIN, *SECRETS, *(f"{name}_FILE" for name in SECRETS)]
        for name in sorted(self._given):
            if name not in known and not _SERVICE_LINKS.fullmatch(name):
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {PREFIX}{close[0]}?" if close else f"expected one of {', '.join(known)}"
                self.wrong(name, f"unknown variable; {hint}")

    def plain(self, name: str) -> str:
        return self._given.get(name, "").strip()

    def folder(self, name: str) -> Path | None:
        """A folder that is there; None when it is not given."""
        text = self.plain(name)
        if not text:
            return None
        path = Path(text).expanduser().absolute()
        if not path.is_dir():
            self.wrong(name, f"expected a folder, {path} is none")
        return path

    def secret(self, name: str) -> str | None:
        """The text of a secret, without the space around it; None when it is not given."""
        direct, file = self.plain(name), self.plain(f"{name}_FILE")
        if direct and file:
            self.wrong(name, f"is given twice, also by {PREFIX}{name}_FILE; give one")
            return None
        if not file:
            return direct or None
        try:
            text = Path(file).expanduser().read_text(encoding="utf-8").strip()
        except RuntimeError as error:  # ~name, of whom there is none
            self.wrong(f"{name}_FILE", f"{file} cannot be read: {error}")
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            self.wrong(f"{name}_FILE", f"{file} cannot be read: {reason}")
            return None
        if not text:
            self.wrong(f"{name}_FILE", f"{file} is empty")
        return text or None

    def token(self) -> str:
        token = self.secret("TOKEN")
        if token is None:
            if not self._mistakes:
                self.wrong(
                    "TOKEN", f"expected the token that Alertmanager sends, here or in a file (…TOKEN_FILE); "
                    f"make one of at least {SHORTEST_TOKEN} characters: openssl rand -hex 32"
                )  # fmt: skip
            return ""
        if _PLACEHOLDER.fullmatch(token):
            self.wrong("TOKEN", "is a placeholder; give a real token")
        elif len(token) < SHORTEST_TOKEN or not re.fullmatch(r"[\x21-\x7e]+", token):
            self.wrong("TOKEN", f"expected at least {SHORTEST_TOKEN} printable characters without spaces")
        return token

    def listen(self) -> tuple[str, int]:
        text = self.plain("LISTEN") or DEFAULT_LISTEN
        host, _, port = text.rpartition(":")
        if not host or not re.fullmatch(r"\d{1,5}", port) or int(port) > 65535:
            self.wrong("LISTEN", f"expected an address and a port such as {DEFAULT_LISTEN}, got {text!r}")
            return "", 0
        return host.strip("[]"), int(port)

    def language(self, name: str, default: Language) -> Language:
        text = self.plain(name) or default
        if text not in LANGUAGES:
            self.wrong(name, f"expected one of {', '.join(LANGUAGES)}, got {text!r}")
        return cast("Language", text)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        text = self.plain(name) or str(default)
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            self.wrong(name, f"expected a whole number from {low} to {high}, got {text!r}")
            return default
        return int(text)

    def robot(self, name: str, key: str, default_mention: str) -> RobotSettings | None:
        url = self.secret(f"{name}_URL")
        secret = self.secret("DINGTALK_SECRET") if name == "DINGTALK" else None
        language = self.language(f"{name}_LANGUAGE", "zh-CN")
        mention = self._mention(name, self.plain(f"{name}_MENTION") or default_mention)
        if url is None:
            if secret is not None:
                self.wrong(f"{name}_SECRET", f"is given, but {PREFIX}{name}_URL is not")
            return None
        if why := _url_mistake(url, key):
            self.wrong(f"{name}_URL", why)
        if secret is not None and _PLACEHOLDER.fullmatch(secret):
            self.wrong(f"{name}_SECRET", "is a placeholder; give the robot's secret, or none where it does not sign")
        return RobotSettings(url, secret, language, mention)

    def _mention(self, name: str, text: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for part in filter(None, (part.strip() for part in text.split(";"))):
            priority, _, people = part.partition("=")
            who = tuple(filter(None, (person.strip() for person in people.split(","))))
            valid = all(re.fullmatch(r"[A-Za-z0-9._@+-]{1,64}", person) for person in who)
            if priority.strip() not in PRIORITIES or not who or not valid:
                self.wrong(f"{name}_MENTION", "expected priorities with people, such as P1=all;P2=13900000000")
            elif name == "WECOM" and ALL in who:
                # https://developer.work.weixin.qq.com/document/path/91770: markdown mentions members by <@userid> only
                self.wrong(f"{name}_MENTION", "a WeCom robot can mention only members by their ids, not all")
            found[priority.strip()] = who
        return found


def _url_mistake(url: str, key: str) -> str:
    """What is wrong with a robot's address, without repeating it; empty when it is right."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")  # what is no name of a host could never be resolved
    except ValueError:
        host = None
        parts = urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or re.search(r"\s", url):
        return f"expected the robot's whole address, https://…?{key}=…"
    if parts.scheme == "http" and not _is_loopback(host):
        return "expected https://; http:// is taken only for this host (loopback)"
    given = parse_qs(parts.query).get(key, [])
    if len(given) != 1:
        return f"expected one {key}= in the address"
    if _PLACEHOLDER.fullmatch(given[0]):
        return f"its {key} is a placeholder; give the robot's own address"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
