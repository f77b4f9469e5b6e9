"""Keeps secrets out of whatever leaves the process as text: logs, errors, spans, the attributes of metrics.

It owns the knowledge of what a secret looks like. It must never raise and never let through what it knows: when in
doubt it masks. Three nets, one behind the other: exact values that the configuration registers, wherever they stand
and in the encodings that they travel in; names that only secrets have (`password=`, `X-MBX-APIKEY`, `Authorization`);
and the part of a URL before the `@`. The registered values are the process's, not an object's: a value that is secret
in one place is secret everywhere, so this is the one module here with a global.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST_SECRET = 4
"""Characters. Anything shorter appears in ordinary text, and masking it everywhere would make logs unreadable."""

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]
"""What is left of a value after redaction: only what JSON has."""

_DEEPEST = 12
_REMEMBERED = 4096
"""Results that are kept: attributes repeat, and a search costs several µs."""

# A name is a secret's when it has one of the parts, or one of the strong words, or when its last word is a weak one.
# The weak are ordinary words too: in running text they count only where they are clearly a name (`?key=`, `API-Sign:`).
_PARTS = ("password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "credential")
_STRONG = {"token", "signature", "authorization", "authenticate", "cookie", "cookies"}
_WEAK = {"key", "sign", "sig", "auth", "pass", "pwd"}
_WHOLE_LINE = {"authorization", "authenticate", "cookie", "cookies"}

_URL_USER = [
    # scheme://user:password@host ; a path may hold an @ (btcusdt@trade), so this ends at the first slash.
    (re.compile(r"(?i)(?P<head>[a-z][a-z0-9+.-]{0,30}://)[^\s/?#\"'<>]*@"), rf"\g<head>{MASK}@"),
    # The same, percent-encoded inside another URL.
    (re.compile(r"(?i)(?P<head>%3A%2F%2F)(?:(?!%2F)[^\s/?#&\"'<>])*(?P<at>%40|@)"), rf"\g<head>{MASK}\g<at>"),
    (re.compile(r"(?P<head>\b(?i:bearer|basic)[ \t]+)[A-Za-z0-9._~+/=-]{6,}"), rf"\g<head>{MASK}"),
]
# A name and what stands before its value: `name=`, `"name": `, `('name', `, `name%3D`, and `\"name\": ` of JSON that is
# text within JSON. Possessive: no text is slow.
_HEAD = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]++)(?P<quote>(?:\\*+[\"'])?+)"
    r"(?P<sep>[ \t]*+(?:=>?|:|,(?=[ \t]*+b?[\"'])|%3[ADad])[ \t]*+)"
)
_QUOTED = r"""b?"(?:[^"\\]|\\.)*+"?|b?'(?:[^'\\]|\\.)*+'?"""
_ESCAPED = r"""(?s:(?P<open>\\++["'])(?:(?:.*?[^\\])??(?P=open)|.*))"""
"""A value in escaped quotes ends at the same ones; one that has no end is all that follows."""
_ONE_VALUE = re.compile(rf"{_QUOTED}|{_ESCAPED}|[^\s&;,\"'<>)}}\]]+")
_LINE_VALUE = re.compile(rf"{_QUOTED}|{_ESCAPED}|[^\r\n]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{4,}+=*")
_NO_VALUE = re.compile(r"(?:expected|must) ")
"""How our own error messages go on: `alerting.token: expected text` shall stay readable."""


class Redactor:
    """The registered secrets, and the masking. The process has one: `register_secret` and `redact` use it."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._exact: re.Pattern[str] | None = None
        self._cores: re.Pattern[str] | None = None
        self._cleaned: dict[tuple[str, str], str] = {}

    def register(self, secret: str) -> None:
        """Mask this text from now on, also percent-encoded, base64-encoded, and escaped as in JSON or in a repr.

        ValueError when it is shorter than SHORTEST_SECRET characters: it could not be kept out of the logs.
        """
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"a secret has at least {SHORTEST_SECRET} characters, this one has {len(secret)}")
        self._secrets.add(_encodable(secret))
        self._exact = _any_of(form for known in self._secrets for form in _forms(known))
        self._cores = _any_of(core for known in self._secrets for core in _base64_cores(known))
        self._cleaned = {}

    def text(self, text: str) -> str:
        """The text without secrets. Lone surrogates, which no encoder takes, become escapes."""
        text = _encodable(text)
        if self._exact is not None:
            text = _BASE64.sub(self._mask_base64, self._exact.sub(MASK, text))
        for pattern, replacement in _URL_USER:
            text = pattern.sub(replacement, text)
        return _mask_named(text)

    def value(self, value: object, depth: int = 0) -> Plain:
        """The value without secrets, as plain JSON: a value of a secret's name is masked whole, other text is searched.

        Pairs count as name and value, as in a list of headers. What is no JSON becomes its repr.
        """
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value)
        if isinstance(value, str):
            return self.text(value)
        if depth < _DEEPEST:
            if isinstance(value, Mapping):
                return {self.text(str(key)): self._named(key, item, depth) for key, item in value.items()}
            if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
                return self._sequence(value, depth)
            if isinstance(value, AbstractSet):
                return sorted((self.value(item, depth + 1) for item in value), key=str)
        return self.text(_repr(value))

    def attribute(self, name: str, value: object) -> str | int | float | bool | list[str]:
        """The value of an attribute of this name, without secrets: as `value`, remembered, lists as lists of text."""
        if isinstance(value, str):
            known = self._cleaned
            found = known.get((name, value))
            if found is None:
                found = MASK if is_secret_name(name) else self.text(value)
                if len(known) >= _REMEMBERED:
                    known.clear()
                known[name, value] = found
            return found
        plain = MASK if is_secret_name(name) else self.value(value)
        if isinstance(plain, str | int | float):
            return plain
        return [str(item) for item in plain] if isinstance(plain, list) else str(plain)

    def _mask_base64(self, run: re.Match[str]) -> str:
        return MASK if self._cores is not None and self._cores.search(run[0]) else run[0]

    def _number(self, value: float) -> Plain:
        text = str(value)
        masked = self.text(text)
        return value if masked == text and math.isfinite(value) else masked

    def _named(self, key: object, item: object, depth: int) -> Plain:
        if item is not None and is_secret_name(_decoded(key)):
            return MASK
        return self.value(item, depth + 1)

    def _sequence(self, value: Sequence[object], depth: int) -> list[Plain]:
        if len(value) == 2 and isinstance(value[0], str | bytes) and is_secret_name(_decoded(value[0])):
            return [self.value(value[0], depth + 1), MASK]
        return [self.value(item, depth + 1) for item in value]


_process = Redactor()


def register_secret(secret: str) -> None:
    """Mask this text in everything that the process says. As `Redactor.register`."""
    _process.register(secret)


def redact(text: str) -> str:
    """The text without secrets: for error messages and all else that leaves the process."""
    return _process.text(text)


def redact_value(value: object) -> Plain:
    """The value without secrets. As `Redactor.value`."""
    return _process.value(value)


def clean(name: str, value: object) -> str | int | float | bool | list[str]:
    """The value of an attribute, without secrets. As `Redactor.attribute`."""
    return _process.attribute(name, value)


def is_secret_name(name: str) -> bool:
    """Whether a header, query field or configuration key of this name holds a secret: `X-MBX-APIKEY`, `sign`."""
    words = _words(name)
    return _is_strong(words) or (bool(words) and words[-1] in _WEAK)


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())


def _is_strong(words: list[str]) -> bool:
    joined = "".join(words)
    return any(part in joined for part in _PARTS) or joined.endswith("token") or not _STRONG.isdisjoint(words)


def _mask_named(text: str) -> str:
    """Mask the values of secrets' names in running text."""
    done: list[str] = []
    position = 0
    for head in _HEAD.finditer(text):
        if head.start() < position or not _names_secret(head):
            continue
        words = _name_words(head)
        value = (_ONE_VALUE if _WHOLE_LINE.isdisjoint(words) else _LINE_VALUE).match(text, head.end())
        if value is None or (not head["quote"] and ":" in head["sep"] and _NO_VALUE.match(text, head.end())):
            continue
        done += [text[position : value.start()], MASK]
        position = value.end()
    return "".join([*done, text[position:]])


def _name_words(head: re.Match[str]) -> list[str]:
    """The words of a name in running text. After a percent sign it begins with two digits, of an encoded `&` or `?`."""
    encoded = head.start() > 0 and head.string[head.start() - 1] == "%"
    return _words(head["name"][2:] if encoded else head["name"])


def _names_secret(head: re.Match[str]) -> bool:
    words = _name_words(head)
    if _is_strong(words):
        return True
    if not words or words[-1] not in _WEAK:
        return False
    return bool(head["quote"]) or head["sep"].startswith(("=", "%3")) or "-" in head["name"]


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(text) for text in sorted(set(texts), key=lambda text: (-len(text), text))))


def _forms(secret: str) -> set[str]:
    """The secret as itself, percent-encoded in the usual ways, and escaped as in JSON or in a repr."""
    encoded = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in encoded}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    in_bytes = repr(secret.encode())[2:-1]
    return {secret, in_bytes, *encoded, *lower, *escaped}


def _base64_cores(secret: str) -> set[str]:
    """What base64 makes of the secret at its three alignments, less the characters that its neighbours change."""
    data = secret.encode()
    cores: set[str] = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        end = len(encoded) - (1 if (shift + len(data)) % 3 else 0)
        core = encoded[(0, 2, 3)[shift] : end]
        cores |= {core, core.replace("+", "-").replace("/", "_")}
    return cores


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _decoded(key: object) -> str:
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a foreign repr may raise anything, and a log line must not
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
