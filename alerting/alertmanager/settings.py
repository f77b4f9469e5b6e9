"""Which channels there are: environment variables `MARKETPRISM_ALERT_…`, and those of the bridge.

It owns their names and checks, and tells all mistakes at once. Alertmanager reads secrets from files itself, so a
secret is given as a file here and nowhere else; it is looked at, so that a placeholder or an empty file is refused
before anybody relies on it, and never repeated. What is not configured is off, and `off` says what would turn it on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from alerting.alertmanager.windows import Window, read_windows
from alerting.bridge.settings import LANGUAGES, Language, SettingsError, listen_address, read_settings
from alerting.bridge.settings import PREFIX as BRIDGE
from alerting.rules.model import Channel

PREFIX: Final = "MARKETPRISM_ALERT_"
NAMES: Final = (
    "SLACK_URL_FILE",
    "SLACK_LANGUAGE",
    "EMAIL_TO",
    "EMAIL_FROM",
    "EMAIL_SMARTHOST",
    "EMAIL_USERNAME",
    "EMAIL_PASSWORD_FILE",
    "EMAIL_CA_FILE",
    "EMAIL_LANGUAGE",
    "HEARTBEAT_URL_FILE",
    "BRIDGE_URL",
    "MAINTENANCE",
    "TRACES_URL",
)
_PLACEHOLDER: Final = re.compile(
    r"(?i)change[-_ ]?me.*|your[-_ ].*|<.*>|placeholder|secret|password|token|todo|dummy|x{3,}|\*{3,}"
)
_PLACEHOLDER_IN_URL: Final = re.compile(
    r"(?i)change[-_ ]?me|your[-_ ]|<|placeholder|/x{3,}$|/0+$|example\.(com|org|net)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """An incoming webhook. `url_file`: as Alertmanager sees it."""

    url_file: str
    language: Language = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """A mailbox, over STARTTLS (or TLS from the start, on port 465). `ca_file`: who signs the server, if set."""

    to: str
    sender: str
    smarthost: str
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    language: Language = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The bridge, and which of its channels are on."""

    url: str
    token_file: str
    channels: tuple[Channel, ...] = ("dingtalk", "wecom", "log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is configured. `traces_url`: where Alertmanager sends its own spans, OTLP over HTTP; nowhere when empty.
    `off`: each channel (and `heartbeat`) that is off, with what would turn it on.
    """

    slack: Slack | None = None
    email: Email | None = None
    bridge: Bridge | None = None
    heartbeat_url_file: str = ""
    maintenance: tuple[Window, ...] = ()
    traces_url: str = ""
    off: Mapping[str, str] = field(default_factory=dict)

    @property
    def channels(self) -> frozenset[Channel]:
        """Those that are on."""
        own: set[Channel] = set()
        own |= {"slack"} if self.slack else set()
        own |= {"email"} if self.email else set()
        return frozenset(own | set(self.bridge.channels if self.bridge else ()))


def read(environ: Mapping[str, str]) -> Settings:
    """Read and check everything. Raises SettingsError with every mistake."""
    reader = _Reader(environ)
    settings = Settings(
        slack=reader.slack(),
        email=reader.email(),
        bridge=reader.bridge(),
        heartbeat_url_file=reader.heartbeat(),
        maintenance=reader.maintenance(),
        traces_url=reader.traces(),
        off=reader.off,
    )
    reader.finish()
    return settings


class _Reader:
    """One reading of the environment: the mistakes, and what is off."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._given = {
            name.removeprefix(PREFIX): text.strip()
            for name, text in environ.items()
            if name.startswith(PREFIX) and text.strip()
        }
        self._mistakes: list[str] = []
        self.off: dict[str, str] = {}
        for name in sorted(self._given.keys() - set(NAMES)):
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {PREFIX}{close[0]}?" if close else f"expected one of {', '.join(NAMES)}"
            self._wrong(name, f"unknown variable; {hint}")

    def finish(self) -> None:
        if self._mistakes:
            raise SettingsError("\n".join(self._mistakes))

    def _wrong(self, name: str, sentence: str) -> None:
        self._mistakes.append(f"{PREFIX}{name}: {sentence}")

    def _get(self, name: str) -> str:
        return self._given.get(name, "")

    def slack(self) -> Slack | None:
        language = self._language("SLACK_LANGUAGE")
        if not self._get("SLACK_URL_FILE"):
            self._say_off("slack", "SLACK_URL_FILE")
            return None
        return Slack(url_file=self._url_file("SLACK_URL_FILE"), language=language)

    def email(self) -> Email | None:
        language = self._language("EMAIL_LANGUAGE")
        needed = ("EMAIL_TO", "EMAIL_FROM", "EMAIL_SMARTHOST")
        mine = [name for name in self._given if name.startswith("EMAIL_") and name != "EMAIL_LANGUAGE"]
        if not mine:
            self._say_off("email", "EMAIL_TO")
            return None
        for name in needed:
            if name not in self._given:
                self._wrong(name, f"is not set, but {PREFIX}{mine[0]} is")
        for name in ("EMAIL_TO", "EMAIL_FROM"):
            if self._get(name) and not re.fullmatch(r"[^@\s]+@[^@\s]+", self._get(name)):
                self._wrong(name, "expected one address such as oncall@example.org")
        if self._get("EMAIL_SMARTHOST") and not re.fullmatch(r"[^\s:]+:\d{1,5}", self._get("EMAIL_SMARTHOST")):
            self._wrong("EMAIL_SMARTHOST", "expected a host and a port such as smtp.example.org:587")
        if bool(self._get("EMAIL_USERNAME")) != bool(self._get("EMAIL_PASSWORD_FILE")):
            self._wrong("EMAIL_USERNAME", "expected both, a user name and a password file, or neither")
        if self._get("EMAIL_PASSWORD_FILE"):
            password = self._text("EMAIL_PASSWORD_FILE")
            if password and _PLACEHOLDER.fullmatch(password):
                self._wrong("EMAIL_PASSWORD_FILE", "holds a placeholder; give the real password")
        if self._get("EMAIL_CA_FILE"):
            self._text("EMAIL_CA_FILE")
        return Email(
            to=self._get("EMAIL_TO"),
            sender=self._get("EMAIL_FROM"),
            smarthost=self._get("EMAIL_SMARTHOST"),
            username=self._get("EMAIL_USERNAME"),
            password_file=self._get("EMAIL_PASSWORD_FILE"),
            ca_file=self._get("EMAIL_CA_FILE"),
            language=language,
        )

    def bridge(self) -> Bridge | None:
        token_file = self._environ.get(f"{BRIDGE}TOKEN_FILE", "").strip()
        if not token_file:
            if self._environ.get(f"{BRIDGE}TOKEN", "").strip():
                self._mistakes.append(
                    f"{BRIDGE}TOKEN: Alertmanager reads it from a file: give {BRIDGE}TOKEN_FILE instead"
                )
            for channel in ("dingtalk", "wecom", "log"):
                self.off[channel] = f"{BRIDGE}TOKEN_FILE is not set, so there is no bridge"
            return None
        try:
            settings = read_settings(self._environ, Path())
            host, port = listen_address(self._environ)
        except SettingsError as error:
            self._mistakes.append(str(error))
            return None
        off = settings.why_off()
        self.off |= {str(channel): why for channel, why in off.items()}
        url = self._get("BRIDGE_URL") or (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        if not _is_address(url):
            self._wrong("BRIDGE_URL", "expected where Alertmanager reaches the bridge, such as http://bridge:8081")
        every: tuple[Channel, ...] = ("dingtalk", "wecom", "log")
        return Bridge(
            url=url.rstrip("/"), token_file=token_file, channels=tuple(one for one in every if one not in off)
        )

    def heartbeat(self) -> str:
        if not self._get("HEARTBEAT_URL_FILE"):
            self._say_off("heartbeat", "HEARTBEAT_URL_FILE")
            return ""
        return self._url_file("HEARTBEAT_URL_FILE")

    def maintenance(self) -> tuple[Window, ...]:
        try:
            return read_windows(self._get("MAINTENANCE"))
        except ValueError as error:
            self._wrong("MAINTENANCE", str(error))
            return ()

    def traces(self) -> str:
        url = self._get("TRACES_URL")
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc or urlsplit(url).path):
            self._wrong("TRACES_URL", "expected scheme, host and port alone, such as http://127.0.0.1:4318")
        return url

    def _say_off(self, what: str, name: str) -> None:
        self.off[what] = f"{PREFIX}{name} is not set"

    def _language(self, name: str) -> Language:
        text = self._get(name) or "en"
        if text not in LANGUAGES:
            self._wrong(name, f"expected one of {', '.join(LANGUAGES)}, got {text!r}")
        return cast("Language", text)

    def _url_file(self, name: str) -> str:
        url = self._text(name)
        if url and (not _is_address(url) or re.search(r"\s", url)):
            self._wrong(name, "expected a file with an address, https://…")
        elif url and _PLACEHOLDER_IN_URL.search(url):
            self._wrong(name, "holds a placeholder; give the real address")
        return self._get(name)

    def _text(self, name: str) -> str:
        """The text of the file; empty, and a mistake, where there is none."""
        try:
            text = Path(self._get(name)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            self._wrong(name, f"{self._get(name)} cannot be read: {reason}")
            return ""
        if not text:
            self._wrong(name, f"{self._get(name)} is empty")
        return text


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
