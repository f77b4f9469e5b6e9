"""Loading the configuration: each kind of mistake is exactly one line, and what is right becomes typed values."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collector.config import Config, ConfigError, load
from collector.config.model import Journal, Venues, data_directory, default_instance_id
from collector.venues import VENUES as SPOKEN
from collector.venues.protocol import CHANNELS

ENVIRON = {"HOME": "/home/someone"}


def mistakes_of(file: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, ENVIRON | (environ or {}))
    return caught.value.mistakes


@pytest.fixture
def config_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("config.yaml")


VENUES = Venues.__struct_fields__
PLACEHOLDER = "the password in this URL is a placeholder; give the real one or leave it out"
TOO_SHORT = "the password in this URL is too short to be kept out of logs; expected one of 4 characters or more"
PAIR = "expected an instrument such as BTC-USDT, got"
SIZE = "expected a size from 64KiB to 16GiB, such as 64MiB, got"
DAYS = "such as 500ms, 30s, 1h or 7d, got"
WRONG = [
    ("journal: {segment_byte: 1MiB}", "journal.segment_byte: unknown key; did you mean segment_bytes?"),
    ("journal: {zzz: 1}", f"journal.zzz: unknown key; expected one of {', '.join(Journal.__struct_fields__)}"),
    ("port: 80", "port: unknown key; did you mean web.port?"),
    ("1: 80", f"1: unknown key; expected one of {', '.join(Config.__struct_fields__)}"),
    ("venues: {binanc: {}}", "venues.binanc: unknown venue; did you mean binance?"),
    ("venues: {bitstamp: {}}", f"venues.bitstamp: unknown venue; expected one of {', '.join(VENUES)}"),
    ("venues: {binance: {depth: many}}", "venues.binance.depth: expected an integer from 1 to 5000, got 'many'"),
    ("venues: {binance: {depth: 0}}", "venues.binance.depth: expected an integer from 1 to 5000, got 0"),
    ("venues: {binance: {depth: true}}", "venues.binance.depth: expected an integer from 1 to 5000, got True"),
    ("venues: {kraken: {depth: 50}}", "venues.kraken.depth: expected one of 10, 25, 100, 500, 1000, got 50"),
    ("venues: {kraken: {depth: {}}}", "venues.kraken.depth: expected one of 10, 25, 100, 500, 1000, got a section"),
    ("venues: {binance: {enabled: 'yes'}}", "venues.binance.enabled: expected true or false, got 'yes'"),
    ("venues: {binance: {trade_stream: aggtrade}}",
     "venues.binance.trade_stream: expected one of trade, aggTrade, got 'aggtrade'; did you mean aggTrade?"),
    ("venues: 3", "venues: is a section; set its keys, for example venues.binance"),
    (f"venues: {{{', '.join(f'{venue}: {{enabled: false}}' for venue in VENUES)}}}",
     f"venues: every venue is disabled; enable one of {', '.join(VENUES)}"),
    ("instruments: [btc-usdt]", f"instruments[0]: {PAIR} 'btc-usdt'; did you mean BTC-USDT?"),
    ("instruments: [BTCUSDT]", f"instruments[0]: {PAIR} 'BTCUSDT'; did you mean BTC-USDT?"),
    ("instruments: [BTC/USD]", f"instruments[0]: {PAIR} 'BTC/USD'; did you mean BTC-USD?"),
    ("instruments: [BTC-USTD]", f"instruments[0]: {PAIR} 'BTC-USTD'; did you mean BTC-USDT?"),
    ("instruments: ['?']", f"instruments[0]: {PAIR} '?'"),
    ("instruments: [BTC-USD, BTC-USD]", "instruments[1]: 'BTC-USD' is listed twice"),
    ("instruments: [7]", "instruments[0]: expected text, got 7"),
    ("instruments: BTC-USD",
     "instruments: expected a list of instruments such as BTC-USDT with at least one, got 'BTC-USD'"),
    ("instruments: []", "instruments: expected a list of instruments such as BTC-USDT with at least one, got []"),
    ("channels: [trade]", "channels[0]: unknown channel 'trade'; did you mean trades?"),
    ("channels: [x]", f"channels[0]: unknown channel 'x'; expected one of {', '.join(CHANNELS)}"),
    ("venues: {binance: {ws_url: 'stream.binance.com'}}",
     "venues.binance.ws_url: expected a URL that starts with wss://, got 'stream.binance.com'"),
    ("venues: {binance: {ws_url: 'https://a'}}",
     "venues.binance.ws_url: expected a URL that starts with wss://, got 'https://a'"),
    ("venues: {binance: {ws_url: 'wss://a:x'}}",
     "venues.binance.ws_url: expected a URL that starts with wss://, got 'wss://a:x'"),
    ("venues: {binance: {ws_url: 'ws://a'}}",
     "venues.binance.ws_url: ws:// is taken only for this host (loopback); a needs wss://"),
    ("venues: {kraken: {rest_url: 'http://10.0.0.1'}}",
     "venues.kraken.rest_url: http:// is taken only for this host (loopback); 10.0.0.1 needs https://"),
    ("venues: {kraken: {rest_url: 'https://u:changeme@h'}}",
     "venues.kraken.rest_url: the password in this URL is a placeholder; give the real one or leave it out"),
    ("venues: {kraken: {rest_url: 'https://u:your-password@h'}}",
     "venues.kraken.rest_url: the password in this URL is a placeholder; give the real one or leave it out"),
    ("venues: {kraken: {rest_url: 'ftp://u:geheim@h'}}",
     "venues.kraken.rest_url: expected a URL that starts with https://, got 'ftp://***@h'"),
    ("tls: {ca_file: /nowhere/ca.pem}", "tls.ca_file: /nowhere/ca.pem cannot be read: No such file or directory"),
    ("tls: {ca_file: /dev/null}", "tls.ca_file: expected a PEM file with certificates; /dev/null has none"),
    ("journal: {directory: 5}", "journal.directory: expected a path, got 5"),
    ("journal: {directory: ' '}", "journal.directory: expected a path, got ' '"),
    ("journal: {segment_bytes: 64mib2}", f"journal.segment_bytes: {SIZE} '64mib2'"),
    ("journal: {segment_bytes: 1}", f"journal.segment_bytes: {SIZE} 1"),
    ("journal: {segment_bytes: 64M}", f"journal.segment_bytes: {SIZE} '64M'"),
    ("journal: {retain_bytes: 100MiB}", "journal.retain_bytes: expected at least two segments (128MiB), got 100MiB"),
    ("journal: {retain_age: 1:30}",
     f"journal.retain_age: expected a duration from 1m to 3650d, {DAYS} '1:30'"),
    ("journal: {sync_every: 1y}", f"journal.sync_every: expected a duration from 10ms to 1m, {DAYS} '1y'"),
    ("web: {port: http}", "web.port: expected an integer from 0 to 65535, got 'http'"),
    ("web: {port: 65536}", "web.port: expected an integer from 0 to 65535, got 65536"),
    ("web: {host: 'a b'}", "web.host: expected a host name or IP address, got 'a b'"),
    ("log: {level: warn}", "log.level: expected one of debug, info, warning, error, got 'warn'; did you mean warning?"),
    ("log: {level: 1}", "log.level: expected one of debug, info, warning, error, got 1"),
    ("instance_id: 'a b'", "instance_id: expected 1 to 63 letters, digits, dots, dashes or underscores, got 'a b'"),
    ("web: {port: 1, port: 2}", "web.port: is given twice (first at config.yaml:1)"),
    ("record: {tape: config.yaml}", None),
    ("web: {port: !!int abc}", "web.port: cannot be read as int"),
    ("log: {level: !!bool maybe}", "log.level: cannot be read as bool"),
    (f"web: {{port: {'9' * 5000}}}", "web.port: cannot be read as int"),
    (f"journal: {{segment_bytes: '{'9' * 400}'}}", f"journal.segment_bytes: {SIZE} '{'9' * 56}…"),
    (f"journal: {{sync_every: {'9' * 400}}}",
     f"journal.sync_every: expected a duration from 10ms to 1m, {DAYS} {'9' * 57}…"),
    ("record: {tape: /tmp/no-tape}\ndead_letters: {file: /tmp/no-tape}",
     "record.tape: /tmp/no-tape: is the dead letters' file; expected one of its own"),
    ("venues: {kraken: {rest_url: 'https://u:abc@h'}}",
     f"venues.kraken.rest_url: {TOO_SHORT}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG, ids=[text for text, _ in WRONG])
def test_a_mistake_in_the_file_is_one_line_with_its_place_and_what_was_expected(
    config_yaml: Path, text: str, expected: str | None
) -> None:
    config_yaml.write_text("# first\n\n" + text)
    expected = expected or f"record.tape: {config_yaml.absolute()} exists; a tape is never overwritten"
    assert mistakes_of(config_yaml) == [f"config.yaml:3: {expected}".replace("config.yaml:1)", "config.yaml:3)")]


NOT_YAML = [
    (b"journal: [", "config.yaml:1: is not valid YAML: expected the node content, but found '<stream end>'"),
    (b"a: b: c", "config.yaml:1: is not valid YAML: mapping values are not allowed here"),
    (b"\x00\x01", "config.yaml: is not valid YAML: it holds characters that text does not"),
    (b"\xff\xfe\x00", "config.yaml: is not text; expected YAML in UTF-8"),
    (b"- a\n- b\n", "config.yaml:1: expected keys with values (key: value)"),
    (b"a: 1\n---\nb: 2\n", "config.yaml:2: is not valid YAML: but found another document"),
    (b"web: &w {port: 1}\nlog: *w\n", "config.yaml:2: aliases (*w) are not used here; write the value out"),
    (b"a: " + b"[" * 1000 + b"]" * 1000, "config.yaml: is nested too deep"),
]


@pytest.mark.parametrize(("content", "expected"), NOT_YAML, ids=range(len(NOT_YAML)))
def test_a_file_that_is_not_yaml_is_one_line(config_yaml: Path, content: bytes, expected: str) -> None:
    config_yaml.write_bytes(content)
    assert mistakes_of(config_yaml) == [expected]


def test_a_file_that_is_not_there_is_named(config_yaml: Path) -> None:
    assert mistakes_of(config_yaml) == ["config.yaml: cannot be read: No such file or directory"]


WRONG_VARIABLES = [
    ("MARKETPRISM_WEB__PORT", "x", "MARKETPRISM_WEB__PORT: expected an integer from 0 to 65535, got 'x'"),
    ("MARKETPRISM_WEB__PROT", "1", "MARKETPRISM_WEB__PROT: unknown key; did you mean MARKETPRISM_WEB__PORT?"),
    ("MARKETPRISM_PROT", "1", "MARKETPRISM_PROT: unknown key; did you mean MARKETPRISM_WEB__PORT?"),
    ("MARKETPRISM_WEB", "1", "MARKETPRISM_WEB: is a section; set its keys, for example MARKETPRISM_WEB__HOST"),
    ("MARKETPRISM_WEB__PORT__X", "1", "MARKETPRISM_WEB__PORT__X: expected an integer from 0 to 65535, got a section"),
    ("MARKETPRISM_INSTRUMENTS", "BTC-USD,eth-usd",
     "MARKETPRISM_INSTRUMENTS[1]: expected an instrument such as BTC-USDT, got 'eth-usd'; did you mean ETH-USD?"),
    ("MARKETPRISM_VENUES__KRAKEN__WS_URL", "wss://u:<token>@h",
     f"MARKETPRISM_VENUES__KRAKEN__WS_URL: {PLACEHOLDER}"),
    ("MARKETPRISM_PORT", "9000", "MARKETPRISM_PORT: unknown key; did you mean MARKETPRISM_WEB__PORT?"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), WRONG_VARIABLES)
def test_a_mistake_in_a_variable_names_the_variable(name: str, value: str, expected: str) -> None:
    assert mistakes_of(None, {name: value}) == [expected]


SECRET_URLS = [
    "https://user:a/hunter2@host",
    "https://user:a hunter2@host",
    "https://hunter2:8@host:x",
    "https:/user:hunter2@host",
    "user:hunter2@host",
    "[https://user:a/hunter2@host]",
    "https://host/?token=hunter2",
]


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_mistake_in_an_address_repeats_no_secret_of_it(config_yaml: Path, url: str) -> None:
    config_yaml.write_text(f"venues: {{kraken: {{rest_url: {url if url[0] == '[' else repr(url)}}}}}")
    (mistake,) = mistakes_of(config_yaml)
    assert "venues.kraken.rest_url: expected a URL that starts with https://, got" in mistake
    assert "hunter2" not in mistake
    assert "host" in mistake


def test_a_value_where_a_variable_needs_a_section_is_told_although_the_variable_wins(config_yaml: Path) -> None:
    config_yaml.write_text("journal: /data/journal\n")
    assert mistakes_of(config_yaml, {"MARKETPRISM_JOURNAL__SEGMENT_BYTES": "1MiB"}) == [
        "config.yaml:1: journal: expected a section, because MARKETPRISM_JOURNAL__SEGMENT_BYTES sets a key of it"
    ]
    both = {"MARKETPRISM_JOURNAL": "/data", "MARKETPRISM_JOURNAL__SEGMENT_BYTES": "1MiB"}
    assert mistakes_of(None, both) == [
        "MARKETPRISM_JOURNAL: expected a section, because MARKETPRISM_JOURNAL__SEGMENT_BYTES sets a key of it"
    ]


def test_every_mistake_is_told_at_once(config_yaml: Path) -> None:
    config_yaml.write_text("web: {port: x}\nlog: {levle: info}\nchannels: [a, b]\n")
    assert len(mistakes_of(config_yaml, {"MARKETPRISM_LOG__STYLE": "x"})) == 5


def test_the_environment_wins_over_the_file_and_an_option_over_both(config_yaml: Path) -> None:
    config_yaml.write_text("web: {port: 1, host: a}\nlog: {style: json}\n")
    environ = ENVIRON | {"MARKETPRISM_WEB__PORT": "2", "MARKETPRISM_LOG__STYLE": "console"}
    config = load(config_yaml, environ, {"log.style": ("auto", "--log-style")})
    assert (config.web.port, config.web.host, config.log.style) == (2, "a", "auto")


def test_variables_read_numbers_lists_and_words(tmp_path: Path) -> None:
    config = load(
        None,
        ENVIRON
        | {
            "MARKETPRISM_INSTRUMENTS": "BTC-USD, ETH-EUR",
            "MARKETPRISM_VENUES__BINANCE__ENABLED": "false",
            "MARKETPRISM_VENUES__KRAKEN__DEPTH": "25",
            "MARKETPRISM_JOURNAL__DIRECTORY": str(tmp_path),
            "MARKETPRISM_JOURNAL__SEGMENT_AGE": "90s",
            "MARKETPRISM_JOURNAL__SEGMENT_BYTES": "1.5 mib",
            "MARKETPRISM_VENUES__KRAKEN__WS_URL": "ws://127.0.0.1:8900/kraken/",
        },
    )
    assert config.instruments == ("BTC-USD", "ETH-EUR")
    assert "binance" not in config.enabled_venues()
    assert (config.venues.kraken.depth, config.venues.kraken.ws_url) == (25, "ws://127.0.0.1:8900/kraken")
    assert (config.journal.directory, config.journal.segment_age) == (tmp_path, 90.0)
    assert config.journal.segment_bytes == 3 << 19


def test_variables_that_kubernetes_makes_of_a_service_are_no_settings() -> None:
    links = {"MARKETPRISM_PORT": "tcp://10.0.0.1:8080", "MARKETPRISM_SERVICE_HOST": "10.0.0.1"}
    links |= {"MARKETPRISM_PORT_8080_TCP_ADDR": "10.0.0.1", "MARKETPRISM_SERVICE_PORT_HTTP": "8080"}
    assert load(None, ENVIRON | links) == load(None, ENVIRON)


def test_variables_of_the_alerting_are_not_the_collectors() -> None:
    alerting = {"MARKETPRISM_BRIDGE_TOKEN": "x", "MARKETPRISM_ALERT_EMAIL_TO": "x"}
    assert load(None, ENVIRON | alerting) == load(None, ENVIRON)


def test_null_and_an_empty_variable_mean_the_default(config_yaml: Path) -> None:
    config_yaml.write_text("web: {port: null}\njournal:\nlog: {level: ~}\n")
    assert load(config_yaml, ENVIRON | {"MARKETPRISM_WEB__HOST": ""}) == load(None, ENVIRON)


def test_without_a_file_the_defaults_collect_btc_and_eth_on_every_venue() -> None:
    config = load(None, ENVIRON)
    assert config.instruments == ("BTC-USDT", "ETH-USDT", "BTC-USD", "ETH-USD")
    assert config.channels == CHANNELS
    assert list(config.enabled_venues()) == ["binance", "binance_usdm", "okx", "okx_swap", "coinbase", "kraken"]
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert config.journal.directory == data_directory(ENVIRON) / "journal"
    assert config.dead_letters_file() == config.journal.directory / "dead-letters.jsonl"


def test_the_data_directory_follows_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert data_directory({"HOME": "/h"}) == Path("/h/.local/share/marketprism")
    assert data_directory({"HOME": "/h", "XDG_DATA_HOME": "/x"}) == Path("/x/marketprism")
    assert data_directory({"HOME": "/h", "XDG_DATA_HOME": "relative"}) == Path("/h/.local/share/marketprism")
    monkeypatch.setattr("sys.platform", "darwin")
    assert data_directory({"HOME": "/h"}) == Path("/h/Library/Application Support/marketprism")


def test_the_instance_id_is_stable_and_differs_between_journals() -> None:
    one = default_instance_id(Path("/a"), "my host!")
    assert one == default_instance_id(Path("/a"), "my host!")
    assert one != default_instance_id(Path("/b"), "my host!")
    assert one.startswith("my-host-")
    assert len(default_instance_id(Path("/a"), "x" * 200)) <= 63
    assert load(None, ENVIRON | {"MARKETPRISM_INSTANCE_ID": "mine"}).instance_id == "mine"


def test_a_wrong_configuration_writes_nothing(config_yaml: Path) -> None:
    config_yaml.write_text("journal: {directory: data, segment_bytes: no}\n")
    mistakes_of(config_yaml)
    assert [path.name for path in Path().iterdir()] == ["config.yaml"]


def test_every_venue_section_is_a_venue_that_is_spoken() -> None:
    assert load(None, ENVIRON).venues.__struct_fields__ == VENUES
    assert set(VENUES) == set(SPOKEN)


def test_the_configuration_cannot_be_changed_after_it_was_loaded() -> None:
    config: Config = load(None, ENVIRON)
    with pytest.raises(AttributeError, match="immutable"):
        config.web = msgspec.structs.replace(config.web, port=1)  # type: ignore[misc]
