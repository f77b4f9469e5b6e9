"""The bridge's variables: every mistake named, no secret repeated, no placeholder taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.bridge.robots import sign
from alerting.bridge.settings import Settings, SettingsError, listen_address, read_settings

TOKEN = "f2b1c09a7d5e4c63"
DINGTALK = "https://oapi.dingtalk.com/robot/send?access_token=5a1d9e"
WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=7c0ffee1-5eed"


def read(**variables: str) -> Settings:
    given = {"TOKEN": TOKEN, **variables}
    return read_settings({f"MARKETPRISM_BRIDGE_{name}": text for name, text in given.items()}, Path("/data/bridge"))


def test_a_token_is_all_that_it_needs_and_the_rest_is_off() -> None:
    settings = read()
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 8081, Path("/data/bridge"))
    assert settings.why_off() == {
        "dingtalk": "MARKETPRISM_BRIDGE_DINGTALK_URL is not set",
        "wecom": "MARKETPRISM_BRIDGE_WECOM_URL is not set",
    }


def test_everything_can_be_set_and_secrets_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SEC5d2f8c1e\n")
    settings = read(
        LISTEN="[::1]:9000",
        DATA=str(tmp_path),
        DINGTALK_URL=DINGTALK,
        DINGTALK_SECRET_FILE=str(tmp_path / "secret"),
        DINGTALK_MENTION="P1=all; P2=13900000000,13900000001",
        WECOM_URL=WECOM,
        WECOM_LANGUAGE="en",
        LOG_LANGUAGE="zh-CN",
        DUPLICATES_WITHIN="60",
        MESSAGES_PER_MINUTE="10",
    )
    assert (settings.host, settings.port, settings.log_language) == ("::1", 9000, "zh-CN")
    assert settings.dingtalk is not None
    assert settings.wecom is not None
    assert settings.dingtalk.secret == "SEC5d2f8c1e"
    assert settings.dingtalk.mention == {"P1": ("all",), "P2": ("13900000000", "13900000001")}
    assert (settings.wecom.language, settings.wecom.mention) == ("en", {})
    assert settings.secrets() == {TOKEN, DINGTALK, "5a1d9e", "SEC5d2f8c1e", WECOM, "7c0ffee1-5eed"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TOKEN": ""}, "TOKEN: expected the token that Alertmanager sends"),
        ({"TOKEN": "changeme"}, "TOKEN: is a placeholder"),
        ({"TOKEN": "your-secret-token-here"}, "TOKEN: is a placeholder"),
        ({"TOKEN": "short"}, "TOKEN: expected at least 16 printable characters"),
        ({"TOKEN_FILE": "/nowhere"}, "TOKEN: is given twice"),
        ({"TOKEN": "", "TOKEN_FILE": "/nowhere"}, "TOKEN_FILE: /nowhere cannot be read: No such file or directory"),
        ({"TOKEN": "", "TOKEN_FILE": "/dev/null"}, "TOKEN_FILE: /dev/null is empty"),
        ({"DINGTALK_URL": "https://oapi.dingtalk.com/robot/send"}, "DINGTALK_URL: expected one access_token="),
        ({"DINGTALK_URL": DINGTALK.replace("5a1d9e", "xxxxxxxx")}, "DINGTALK_URL: its access_token is a placeholder"),
        ({"DINGTALK_URL": DINGTALK.replace("5a1d9e", "<token>")}, "DINGTALK_URL: its access_token is a placeholder"),
        ({"DINGTALK_URL": DINGTALK.replace("https", "http")}, "DINGTALK_URL: expected https://"),
        ({"DINGTALK_URL": "oapi.dingtalk.com"}, "DINGTALK_URL: expected the robot's whole address"),
        (
            {"DINGTALK_URL": DINGTALK.replace("oapi.", "oapi..")},
            "DINGTALK_URL: expected the robot's whole address",
        ),
        ({"WECOM_URL": WECOM.replace("//", "//" + "a" * 64)}, "WECOM_URL: expected the robot's whole address"),
        ({"TOKEN": "", "TOKEN_FILE": "~nobody-here/x"}, "TOKEN_FILE: ~nobody-here/x cannot be read: "),
        ({"DINGTALK_SECRET": "SEC1"}, "DINGTALK_SECRET: is given, but MARKETPRISM_BRIDGE_DINGTALK_URL is not"),
        ({"DINGTALK_URL": DINGTALK, "DINGTALK_SECRET": "SEC00000000000"}, "DINGTALK_SECRET: is a placeholder"),
        ({"WECOM_URL": WECOM.replace("7c0ffee1-5eed", "your-key")}, "WECOM_URL: its key is a placeholder"),
        ({"WECOM_MENTION": "P1=all"}, "WECOM_MENTION: a WeCom robot can mention only members by their ids"),
        ({"DINGTALK_MENTION": "P7=all"}, "DINGTALK_MENTION: expected priorities with people"),
        ({"DINGTALK_LANGUAGE": "fr"}, "DINGTALK_LANGUAGE: expected one of zh-CN, en, got 'fr'"),
        ({"LISTEN": "8081"}, "LISTEN: expected an address and a port such as 127.0.0.1:8081, got '8081'"),
        ({"LISTEN": "::1:99999"}, "LISTEN: expected an address and a port"),
        ({"MESSAGES_PER_MINUTE": "0"}, "MESSAGES_PER_MINUTE: expected a whole number from 1 to 1000, got '0'"),
        ({"WECOM_LANGAUGE": "en"}, "WECOM_LANGAUGE: unknown variable; did you mean MARKETPRISM_BRIDGE_WECOM_LANGUAGE?"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(**variables)
    assert f"MARKETPRISM_BRIDGE_{said}" in str(raised.value)
    secrets = {text for name, text in variables.items() if name in {"TOKEN", "DINGTALK_URL", "WECOM_URL"} and text}
    assert [secret for secret in secrets if secret in str(raised.value)] == []


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        read(LISTEN="x", LOG_LANGUAGE="y", WECOM_URL="z")
    assert len(str(raised.value).splitlines()) == 3


def test_what_kubernetes_puts_beside_a_service_is_nobodys_mistake() -> None:
    assert read(SERVICE_HOST="10.0.0.1", PORT="tcp://10.0.0.1:8081", PORT_8081_TCP_ADDR="10.0.0.1").port == 8081


def test_where_it_listens_can_be_asked_alone() -> None:
    assert listen_address({}) == ("127.0.0.1", 8081)
    assert listen_address({"MARKETPRISM_BRIDGE_LISTEN": "0.0.0.0:80"}) == ("0.0.0.0", 80)  # noqa: S104 - it is only read


def test_dingtalks_signature_is_as_documented() -> None:
    assert sign(1_700_000_000_000, "SEC000000000000000000000") == "1zJ%2Fw34EOSVAYr7cu7Vo8LnebmK2%2FGrCgegtr8mQrqM%3D"


def test_runbooks_are_a_folder_that_is_there(tmp_path: Path) -> None:
    assert read().runbooks is None
    assert read(RUNBOOKS=str(tmp_path)).runbooks == tmp_path
    with pytest.raises(SettingsError, match=r"^MARKETPRISM_BRIDGE_RUNBOOKS: expected a folder, /nowhere is none$"):
        read(RUNBOOKS="/nowhere")
