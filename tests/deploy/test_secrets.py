"""Channels of alerts in containers: a file that is named is mounted where it is looked for; one that is not is off."""

import json
from pathlib import Path
from typing import Any

import pytest

from alerting.alertmanager.settings import read
from tests.deploy.compose import EXAMPLE, ROOT, compose, environment

FILES = [name for name in EXAMPLE if name.endswith("_FILE")]
VALUES = {
    "MARKETPRISM_ALERT_SLACK_URL_FILE": "https://hooks.slack.test/services/T1/B1/k1",
    "MARKETPRISM_ALERT_HEARTBEAT_URL_FILE": "https://beats.test/b1",
    "MARKETPRISM_ALERT_EMAIL_PASSWORD_FILE": "pw-8f3k2",
    "MARKETPRISM_ALERT_EMAIL_CA_FILE": "-----BEGIN CERTIFICATE-----",
    "MARKETPRISM_BRIDGE_DINGTALK_URL_FILE": "https://oapi.dingtalk.test/robot/send?access_token=t1f3",
    "MARKETPRISM_BRIDGE_DINGTALK_SECRET_FILE": "SEC8c1b",
    "MARKETPRISM_BRIDGE_WECOM_URL_FILE": "https://qyapi.weixin.test/cgi-bin/webhook/send?key=k2d9",
}
MAIL = {
    "MARKETPRISM_ALERT_EMAIL_TO": "oncall@mail.test",
    "MARKETPRISM_ALERT_EMAIL_FROM": "marketprism@mail.test",
    "MARKETPRISM_ALERT_EMAIL_SMARTHOST": "smtp.mail.test:587",
    "MARKETPRISM_ALERT_EMAIL_USERNAME": "marketprism",
}


def resolved(**variables: str) -> dict[str, Any]:
    asked = compose(environment(**variables), "config", "--format", "json")
    assert asked.stderr == ""
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


def mounted(found: dict[str, Any], name: str) -> dict[str, str]:
    """Path inside → path of this host, of a service's secrets."""
    return {
        one["target"]: found["secrets"][one["source"]]["file"] for one in found["services"][name].get("secrets", [])
    }


def seen(found: dict[str, Any], name: str, token: Path) -> dict[str, str]:
    """The service's variables as if it ran here: paths inside are those of this host."""
    inside = mounted(found, name) | {"/run/secrets/bridge-token": str(token)}
    return {key: inside.get(text, text) for key, text in found["services"][name]["environment"].items()}


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "bridge-token"
    file.write_text("b" * 32)
    return file


def test_without_a_channel_all_but_the_log_is_off(token: Path) -> None:
    found = resolved()
    settings = read(seen(found, "setup", token))
    assert settings.channels == {"log"}
    assert set(settings.off) == {"slack", "email", "heartbeat", "dingtalk", "wecom"}
    none = str(ROOT / "secrets" / "none")
    assert {path for path in mounted(found, "setup").values() if not path.endswith("bridge-token")} == {none}


def test_every_channel_that_is_configured_is_on_and_reads_its_secret(token: Path, tmp_path: Path) -> None:
    given = {}
    for name in FILES:
        if name != "MARKETPRISM_CONFIG":
            file = tmp_path / name
            file.write_text(VALUES[name])
            given[name] = str(file)
    found = resolved(**given, **MAIL)
    settings = read(seen(found, "setup", token))
    assert settings.channels == {"slack", "email", "dingtalk", "wecom", "log"}
    assert settings.off == {}


def test_who_uses_a_secret_sees_it_where_it_is_named_and_nobody_else_does() -> None:
    found = resolved(**{name: f"/host/{name}" for name in FILES}, **MAIL)
    setup = mounted(found, "setup")
    for name in ("setup", "bridge"):
        named = [text for text in found["services"][name]["environment"].values() if text.startswith("/run/secrets/")]
        assert set(named) == set(mounted(found, name))
    robots = {path for path in setup if "dingtalk" in path or "wecom" in path}
    token = {"/run/secrets/bridge-token"}
    assert set(mounted(found, "bridge")) == robots | token
    assert set(mounted(found, "alertmanager")) == set(setup) - robots
    others = set(found["services"]) - {"setup", "bridge", "alertmanager"}
    assert {name for name in others if mounted(found, name)} == set()
