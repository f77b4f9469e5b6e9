"""Every rule lands at the channels of the table, whatever is configured; who knows the cause is not told the rest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from alerting.alertmanager import settings as environment
from alerting.alertmanager.__main__ import FOLDER, SAMPLE, documents, main, said
from alerting.alertmanager.routing import PACES, config
from alerting.alertmanager.settings import Bridge, Email, Settings, Slack
from alerting.alertmanager.windows import read_windows
from alerting.bridge.settings import SettingsError
from alerting.rules.model import CHANNELS, Rule
from alerting.rules.render import labels
from alerting.rules.table import RULES
from tests.alerting.routing import Labels, Routing

ROOT = Path(__file__).parents[2]
FULL = Routing(yaml.safe_load(config(SAMPLE)))
PLACE = {"instance": "c1", "venue": "kraken", "market": "spot", "instrument": "BTC-USD", "channel": "book"}
TOKEN = "3f0d9a7c51e84b26"


def alert_of(rule: Rule, **more: str) -> Labels:
    """The labels that its alert has, templates filled in."""
    fixed = {name: text for name, text in labels(rule).items() if text and "{{" not in text}
    return {"alertname": rule.name, **fixed, **{name: PLACE[name] for name in rule.by}, **more}


def unanswered(rule: Rule) -> Labels:
    """The escalation of an alert, as the rule `Unanswered` labels it."""
    return {
        **alert_of(rule),
        "alertname": "Unanswered",
        "alert": rule.name,
        "priority": "P1",
        "was": str(rule.priority),
    }


def by_name(name: str) -> Rule:
    return next(rule for rule in RULES if rule.name == name)


def test_the_committed_configuration_and_templates_are_as_they_would_be_written() -> None:
    assert main(["--check"]) == 0
    assert {path: (ROOT / FOLDER / path).read_text() for path in documents(SAMPLE)} == documents(SAMPLE)


def test_a_file_that_was_changed_by_hand_is_named_and_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([], root=tmp_path) == 0
    (tmp_path / FOLDER / "alertmanager.yml").write_text("route: {}\n")
    capsys.readouterr()
    assert main(["--check"], root=tmp_path) == 1
    out = capsys.readouterr().out
    assert out == "alerting/alertmanager/alertmanager.yml: not up to date, run python -m alerting.alertmanager\n"
    assert main([], root=tmp_path) == 0
    assert main(["--check"], root=tmp_path) == 0


@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if rule.priority],
    ids=lambda rule: "-".join([rule.name, str(rule.priority), *rule.labels.values()]),
)
def test_every_rule_lands_at_the_channels_of_the_table(rule: Rule) -> None:
    assert FULL.channels(alert_of(rule)) == set(rule.channels)
    assert rule.priority is not None
    found = FULL.route(alert_of(rule))
    assert {key: found[key] for key in PACES[rule.priority].options()} == PACES[rule.priority].options()


def test_the_watchdog_goes_to_the_heartbeat_alone() -> None:
    assert FULL.channels(alert_of(by_name("Watchdog"))) == {"heartbeat"}


@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ("email", {"slack", "dingtalk", "wecom", "log"}),
        ("slack", {"email", "dingtalk", "wecom", "log"}),
        ("dingtalk", {"email", "slack", "wecom", "log"}),
        ("wecom", {"email", "slack", "dingtalk", "log"}),
        ("log", {"email", "slack", "dingtalk", "wecom"}),
        ("webhook", {"email", "slack"}),
    ],
)
def test_a_channel_that_fails_is_told_of_by_the_others(failing: str, told: set[str]) -> None:
    assert FULL.channels(alert_of(by_name("NotificationFailing"), failing=failing)) == told


def test_the_only_channel_that_fails_is_tried_all_the_same() -> None:
    alone = Routing(yaml.safe_load(config(Settings(slack=Slack(url_file="/s")))))
    assert alone.channels(alert_of(by_name("NotificationFailing"), failing="slack")) == {"slack"}


def test_an_alert_of_no_known_priority_is_seen() -> None:
    assert FULL.channels({"alertname": "SomebodyElses"}) == set(CHANNELS["P3"])


def test_every_route_is_taken_by_some_alert() -> None:
    for rule in RULES:
        FULL.route(alert_of(rule))
    for failing in ("email", "slack", "dingtalk", "wecom", "log", "webhook"):
        FULL.route(alert_of(by_name("NotificationFailing"), failing=failing))
    assert FULL.used >= FULL.leaves()


SLACK = Slack(url_file="/s")
EMAIL = Email(to="a@b.c", sender="d@e.f", smarthost="h:587")


@pytest.mark.parametrize(
    "subset", [set(some) for n in range(6) for some in itertools.combinations(CHANNELS["P1"], n)], ids=sorted
)
def test_any_subset_of_the_channels_works(subset: set[str]) -> None:
    bridged = tuple(channel for channel in CHANNELS["P1"] if channel in subset & {"dingtalk", "wecom", "log"})
    routing = Routing(
        yaml.safe_load(
            config(
                Settings(
                    slack=SLACK if "slack" in subset else None,
                    email=EMAIL if "email" in subset else None,
                    bridge=Bridge(url="http://b", token_file="/t", channels=bridged) if bridged else None,
                )
            )
        )
    )
    for rule in RULES:
        if rule.priority:
            assert routing.channels(alert_of(rule)) == set(rule.channels) & subset


# -- inhibition -------------------------------------------------------------------------------------------------------

DOWN, ALONE, VENUE = (alert_of(by_name(name)) for name in ("CollectorDown", "AllExchangesDown", "ExchangeDown"))


@pytest.mark.parametrize(
    ("source", "scopes"),
    [(DOWN, {"collector", "venue", "feed"}), (ALONE, {"venue", "feed"})],
    ids=["CollectorDown", "AllExchangesDown"],
)
def test_what_follows_from_a_dead_collector_is_not_told(source: Labels, scopes: set[str]) -> None:
    for rule in RULES:
        mine = alert_of(rule)
        follows = rule.scope in scopes and rule.name != source["alertname"]
        assert FULL.silenced(mine, [source, mine]) == follows, rule.name
        assert not FULL.silenced({**mine, "instance": "c2"}, [source]), rule.name


def test_a_dead_venue_silences_its_instruments_and_nothing_of_another() -> None:
    for name in ("FeedStale", "BookOutOfSync", "SequenceGaps", "DataLag"):
        mine = alert_of(by_name(name))
        assert FULL.silenced(mine, [VENUE])
        for other in ({"venue": "okx"}, {"market": "usdm"}, {"instance": "c2"}):
            assert not FULL.silenced({**mine, **other}, [VENUE])
    assert not FULL.silenced(alert_of(by_name("MemoryHigh")), [VENUE])


@pytest.mark.parametrize("name", ["CollectorDown", "AllExchangesDown", "ExchangeDown"])
def test_the_escalation_of_a_cause_comes_through_and_that_of_what_follows_does_not(name: str) -> None:
    source = by_name(name)
    firing = [alert_of(source)]
    assert not FULL.silenced(unanswered(source), firing)
    assert FULL.silenced(unanswered(by_name("FeedStale")), firing)
    assert FULL.channels(unanswered(by_name("FeedStale"))) == set(CHANNELS["P1"])


def test_no_alert_inhibits_itself() -> None:
    for rule in RULES:
        mine = alert_of(rule)
        assert not FULL.silenced(mine, [mine])


# -- maintenance ------------------------------------------------------------------------------------------------------


def test_a_window_mutes_what_it_names_and_a_general_one_mutes_all_but_the_heartbeat() -> None:
    windows = read_windows("venue=kraken thursday 06:00-07:00; sunday 22:00-24:00; venue=kraken friday 06:00-06:30")
    routing = Routing(yaml.safe_load(config(Settings(slack=SLACK, maintenance=windows))))
    kraken, general = [window.name for window in windows if window.label], ["sunday 22:00-24:00"]
    for rule in RULES:
        wanted = general if rule.priority else []
        wanted = [*kraken, *general] if "venue" in rule.by else wanted
        found = routing.route(alert_of(rule))
        assert found["mute_time_intervals"] == wanted, rule.name
        assert found["receiver"] == FULL.route(alert_of(rule))["receiver"]
    assert routing.route({**alert_of(by_name("FeedStale")), "venue": "okx"})["mute_time_intervals"] == general
    names = [interval["name"] for interval in routing.config["time_intervals"]]
    assert names == [window.name for window in windows]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("thursday", "expected windows such as"),
        ("donnerstag 06:00-07:00", "expected a day such as thursday, got 'donnerstag'"),
        ("thursday 07:00-06:00", "ends after it begins"),
        ("thursday 06:00-25:00", "expected times from 00:00 to 24:00, got 25:00"),
        ("thursday 06:00-06:75", "got 06:75"),
        ("sunday 01:00-02:00; sunday 01:00-02:00", "given twice"),
    ],
)
def test_a_window_that_is_none_is_refused_with_what_was_expected(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_windows(text)


# -- the environment --------------------------------------------------------------------------------------------------


@pytest.fixture
def everything(tmp_path: Path) -> dict[str, str]:
    secrets = {
        "ALERT_SLACK_URL_FILE": "https://hooks.slack.com/services/T1/B2/abc",
        "ALERT_EMAIL_PASSWORD_FILE": "c0rrect-h0rse",
        "ALERT_HEARTBEAT_URL_FILE": "https://hc.monitoring.test/a1b2",
        "BRIDGE_TOKEN_FILE": TOKEN,
        "BRIDGE_WECOM_URL_FILE": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=7c0ffee1-5eed-4bad",
    }
    for name, text in secrets.items():
        (tmp_path / name).write_text(text)
    return {
        **{f"MARKETPRISM_{name}": str(tmp_path / name) for name in secrets},
        "MARKETPRISM_ALERT_EMAIL_TO": "oncall@example.net",
        "MARKETPRISM_ALERT_EMAIL_FROM": "marketprism@example.net",
        "MARKETPRISM_ALERT_EMAIL_SMARTHOST": "smtp.example.net:587",
        "MARKETPRISM_ALERT_EMAIL_USERNAME": "marketprism",
        "MARKETPRISM_ALERT_SLACK_LANGUAGE": "zh-CN",
        "PATH": "/bin",
    }


def test_what_is_configured_is_on_and_what_is_not_is_off_and_said(
    everything: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--into", str(tmp_path / "out")], environ=everything) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "email: on",
        "slack: on",
        "wecom: on",
        "log: on",
        "heartbeat: on",
        "dingtalk: off, MARKETPRISM_BRIDGE_DINGTALK_URL is not set",
    ]
    text = (tmp_path / "out" / "alertmanager.yml").read_text()
    assert "# dingtalk is off: MARKETPRISM_BRIDGE_DINGTALK_URL is not set." in text
    assert "marketprism.zh-CN.slack.text" in text
    for secret in (TOKEN, "c0rrect-h0rse", "7c0ffee1", "hooks.slack.com", "a1b2"):
        assert secret not in text + out
    assert (tmp_path / "out" / "templates" / "zh-CN.tmpl").exists()


def test_nothing_configured_is_a_configuration_too_and_says_what_would_turn_each_channel_on() -> None:
    lines = said(environment.read({}))
    assert [line.partition(":")[0] for line in lines] == ["slack", "email", "dingtalk", "wecom", "log", "heartbeat"]
    assert all("is not set" in line for line in lines)


def wrong(environ: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as raised:
        environment.read(environ)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("ALERT_SLACK_URL_FIEL", "/x", "unknown variable; did you mean MARKETPRISM_ALERT_SLACK_URL_FILE?"),
        ("ALERT_SLACK_URL_FILE", "/nowhere", "/nowhere cannot be read: No such file or directory"),
        ("ALERT_SLACK_LANGUAGE", "de", "expected one of zh-CN, en, got 'de'"),
        ("ALERT_EMAIL_TO", "nobody", "expected one address such as oncall@example.org"),
        ("ALERT_EMAIL_FROM", "", "MARKETPRISM_ALERT_EMAIL_FROM: is not set, but"),
        ("ALERT_EMAIL_SMARTHOST", "smtp", "expected a host and a port such as smtp.example.org:587"),
        ("ALERT_EMAIL_USERNAME", "", "expected both, a user name and a password file, or neither"),
        ("ALERT_EMAIL_CA_FILE", "/nowhere", "ALERT_EMAIL_CA_FILE: /nowhere cannot be read: No such file or directory"),
        ("ALERT_EMAIL_CA_FILE", "/dev/null", "ALERT_EMAIL_CA_FILE: /dev/null is empty"),
        ("ALERT_BRIDGE_URL", "http://[::1", "expected where Alertmanager reaches the bridge"),
        ("ALERT_BRIDGE_URL", "bridge", "expected where Alertmanager reaches the bridge"),
        ("ALERT_MAINTENANCE", "always", "expected windows such as"),
        ("BRIDGE_WECOM_URL_FILE", "/nowhere", "MARKETPRISM_BRIDGE_WECOM_URL_FILE: /nowhere cannot be read"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(everything: dict[str, str], name: str, text: str, why: str) -> None:
    assert why in wrong({**everything, f"MARKETPRISM_{name}": text})


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("ALERT_SLACK_URL_FILE", "https://hooks.slack.com/services/your-webhook", "holds a placeholder"),
        ("ALERT_SLACK_URL_FILE", "hooks.slack.com", "expected a file with an address"),
        ("ALERT_SLACK_URL_FILE", "https://[hooks.slack.com", "expected a file with an address"),
        ("ALERT_SLACK_URL_FILE", " ", "is empty"),
        ("ALERT_EMAIL_PASSWORD_FILE", "changeme", "holds a placeholder; give the real password"),
        ("BRIDGE_TOKEN_FILE", "changeme", "MARKETPRISM_BRIDGE_TOKEN: is a placeholder"),
    ],
)
def test_a_placeholder_is_refused_and_a_secret_is_never_repeated(
    everything: dict[str, str], name: str, text: str, why: str
) -> None:
    Path(everything[f"MARKETPRISM_{name}"]).write_text(text)
    told = wrong(everything)
    assert why in told
    assert "hooks" not in told


def test_a_token_that_alertmanager_could_not_read_is_refused() -> None:
    assert "Alertmanager reads it from a file" in wrong({"MARKETPRISM_BRIDGE_TOKEN": TOKEN})


def test_all_mistakes_are_told_at_once(everything: dict[str, str]) -> None:
    bad = {**everything, "MARKETPRISM_ALERT_EMAIL_TO": "x", "MARKETPRISM_ALERT_SLACK_LANGUAGE": "x"}
    assert len(wrong(bad).splitlines()) == 2
