"""A planted secret never survives, and what is no secret does."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.redaction import MASK, Plain, Redactor, is_secret_name, redact, redact_value

PLAIN = Redactor()

SECRETS = st.text(
    st.characters(categories=["L", "N", "P", "S"], include_characters=" \n", exclude_characters="*"), min_size=4
).filter(lambda text: len(text.strip()) >= 4)
TOKENS = st.text("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=6).map("Q7".__add__)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent": quote,
    "percent, plus for a space": quote_plus,
    "percent, slashes too": lambda text: quote(text, safe=""),
    "percent, lower case": lambda text: re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), quote(text, safe="")),
    "json": json.dumps,
    "json, unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64, second place": lambda text: base64.b64encode(f"u:{text}".encode()).decode(),
    "base64, third place": lambda text: base64.b64encode(f"us:?{text}".encode()).decode(),
    "base64, amid text": lambda text: base64.b64encode(f"user:{text}, and more".encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(secret=SECRETS)
def test_a_registered_secret_is_masked_in_every_encoding(encoding: str, secret: str) -> None:
    encode = ENCODINGS[encoding]
    redactor = Redactor()
    redactor.register(secret)
    said = redactor.text(f"before {encode(secret)} after")
    assert encode(secret) not in said
    assert MASK in said
    assert said.startswith("before ")
    assert said.endswith(" after")


@given(secret=SECRETS, before=TEXTS, after=TEXTS)
def test_a_registered_secret_survives_in_no_surroundings(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    assert secret not in redactor.text(before + secret + after).replace(MASK, "")
    assert redactor.text(before + secret + after) != before + secret + after


PLACES = [
    "wss://user:{}@host:9443/ws/btcusdt@trade",
    "http://{}@proxy",
    "https://h/robot/send?access_token={}&timestamp=1",
    "https://h/send?key={}",
    "https://h/x?a=1&sign={}&signature={}",
    "https://h/login?next=%2Fx%26token%3D{}",
    "proxy=http%3A%2F%2Fuser%3A{}%40host%2F",
    "Authorization: Bearer {}",
    'authorization: Digest username="x", response="{}"',
    "Proxy-Authorization=Basic {}",
    "Cookie: a=1; session={}; b=2",
    "Set-Cookie: sid={}",
    "X-MBX-APIKEY: {}",
    "OK-ACCESS-SIGN: {}",
    "API-Key: {}",
    "headers were {{'API-Sign': '{}', 'X-Other-Key': \"{}\"}}",
    "headers were [(b'Authorization', b'Bearer {}'), (b'X-A-Key', b'{}')]",
    '{{"api_key":"{}","x":1}}',
    '{{"e":"x","sign": "{}"}}',
    "    password: {}  # from the file",
    "Config(api_secret='{}', size=3)",
    "redis.password={}",
    "accessToken={};secretKey={}",
    "the server said: bearer {} is not valid",
]


@pytest.mark.parametrize("place", PLACES)
@given(secret=TOKENS)
def test_an_unregistered_secret_is_masked_where_its_place_betrays_it(place: str, secret: str) -> None:
    said = PLAIN.text(place.format(secret, secret))
    assert secret not in said
    assert MASK in said


@pytest.mark.parametrize("secret", ["hunter22", 'hu"nter22', "hunt\\er22", "hunter22\\"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_unregistered_secret_is_masked_in_json_that_is_text_within_json(secret: str, depth: int) -> None:
    text = json.dumps({"name": "shown", "token": "", "password": secret, "n": 7})
    for _ in range(depth):
        text = json.dumps({"body": text, "more": "shown too"})
    said = PLAIN.text(text)
    assert "hu" not in said
    assert "er22" not in said
    assert said.count(MASK) == 2
    assert re.findall(r"shown too|shown|\b7\b", said) == ["shown", "7", *["shown too"] * depth]


@pytest.mark.parametrize(
    "text",
    [
        "wss://stream.binance.com:9443/stream?streams=btcusdt@trade/ethusdt@depth",
        "journal.path: expected a directory, found a file",
        "sinks.redis.password: expected text, found 5",
        "unknown key: jurnal, did you mean journal?",
        "tokens left: 5, of a limit of 100",
        "connection to ws.kraken.com lost: [Errno 104] reset",
        '{"e":"trade","s":"BTCUSDT","p":"67000.10","q":"0.001"}',
        "a basic rule of keys and signs",
        "BTC-USDT gap 1001..1004 (sequence)",
        "",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "name",
    ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-MBX-APIKEY", "API-Sign", "API-Key", "key",
     "OK-ACCESS-PASSPHRASE", "access_token", "accessToken", "client_secret", "private_key", "pwd", "SMTP_PASSWORD"],
)  # fmt: skip
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)
    assert redact_value({name: "abc", "other": [name, "abc"]}) == {name: MASK, "other": [name, MASK]}
    assert redact_value({name.encode(): b"abc"}) == {str(name.encode()): MASK}


@pytest.mark.parametrize("name", ["venue", "keys", "tokens", "endpoint", "design", "monkey", "author", "", "passed"])
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    assert not is_secret_name(name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner) | st.tuples(inner, inner) | st.frozensets(TEXTS),
)


def leaves(value: Plain) -> Iterator[str]:
    """Every text, number and key in a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield str(value)


@given(value=VALUES, secret=SECRETS, as_key=st.booleans())
def test_a_registered_secret_survives_nowhere_in_a_nested_value(value: object, secret: str, *, as_key: bool) -> None:
    redactor = Redactor()
    redactor.register(secret)
    planted = {"deep": [value, ({f"x{secret}": 1} if as_key else f"x{secret}y", value)]}
    for leaf in leaves(redactor.value(planted)):
        assert all(secret not in part for part in leaf.split(MASK))


def test_what_is_no_json_becomes_its_redacted_repr() -> None:
    class Config:
        def __repr__(self) -> str:
            return "Config(password='abc')"

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert redact_value([Config(), Broken(), b"token=abc", float("inf"), {"b", "a"}]) == [
        "Config(password=***)",
        "<Broken, whose repr raised RuntimeError>",
        "b'token=***'",
        "inf",
        ["a", "b"],
    ]


def test_a_number_that_is_a_secret_is_masked() -> None:
    redactor = Redactor()
    redactor.register("123456")
    assert redactor.value({"pin": 123456, "n": 5}) == {"pin": MASK, "n": 5}


def test_a_value_without_end_is_cut() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "[...]" in json.dumps(redact_value(loop))


def test_lone_surrogates_become_escapes() -> None:
    redactor = Redactor()
    redactor.register("pass\udce9word")
    assert redactor.text("a \ud800 b pass\udce9word") == f"a \\ud800 b {MASK}"


def test_too_short_a_secret_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="at least 4 characters, this one has 3") as caught:
        Redactor().register("abc")
    assert "'abc'" not in str(caught.value)


@pytest.mark.parametrize(
    "part", ["token", "a", "://", "password='", "%3A%2F%2F", "x=", '"', "a.b-", "http", "\\'", 'token:\\"']
)
def test_no_text_makes_redaction_slow(part: str) -> None:
    redactor = Redactor()
    redactor.register("hunter22")
    text = part * (40_000 // len(part))
    began = time.process_time()
    redactor.text(text)
    assert time.process_time() - began < 1.0  # about 0.02 s; a quadratic pattern takes more than 10
