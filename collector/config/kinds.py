"""How one setting's value is read from YAML or an environment variable, checked, and written back.

A `Kind` is a value: what it expects in words, a parser, a renderer. Parsers raise `Mistake` and nothing else, and
never repeat a secret. They are closed over their limits so that the sentence that a user reads and the check that is
made cannot differ.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
_SIZES = {"B": 1, "KIB": KIB, "MIB": MIB, "GIB": GIB, "TIB": TIB, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_PLACEHOLDER = re.compile(
    r"(?i)change[-_ ]?me.*|your[-_ ].*|<.*>|x{3,}|\*{3,}|placeholder|secret|password|example|todo|dummy"
)
_BEFORE_USER = re.compile(r"[\['\"]*(?:[A-Za-z]+:/+)?")
_QUERY = re.compile(r"\?[^'\"]*=[^'\"]*")
_SHORTEST_PASSWORD = 4  # what is shorter stands in ordinary text and could not be masked in it
_INSTRUMENT = re.compile(r"[A-Z0-9]{1,20}-[A-Z0-9]{2,10}")
_QUOTES = (
    "FDUSD",
    "USDT",
    "USDC",
    "TUSD",
    "USD",
    "EUR",
    "GBP",
    "TRY",
    "BRL",
    "JPY",
    "AUD",
    "CAD",
    "CHF",
    "BTC",
    "ETH",
    "BNB",
    "DAI",
)


class Mistake(Exception):  # noqa: N818 - it is the user's mistake, told to the user
    """One or more things wrong with a value: (suffix of the key such as `[2]`, sentence)."""

    def __init__(self, *notes: tuple[str, str]) -> None:
        super().__init__("; ".join(text for _, text in notes))
        self.notes = notes


@dataclass(frozen=True, slots=True)
class Kind:
    """`expected`: noun phrase for messages. `from_text` makes a YAML value of a variable's text, `parse` takes that."""

    expected: str
    parse: Callable[[object], object]
    render: Callable[[object], str] = str
    from_text: Callable[[str], object] = str


def show(value: object) -> str:
    """A wrong value as a message may repeat it: short, without a URL's user, password and query. It may be no URL at
    all (a space, a slash in the password), so all that could be a user's goes.
    """
    text = _QUERY.sub("?***", repr(value))
    if "@" in text:
        before = _BEFORE_USER.match(text)
        text = f"{before[0] if before else ''}***@{text.rpartition('@')[2]}"
    return text if len(text) <= 60 else text[:57] + "…"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that was most likely meant; case does not matter."""
    folded = {candidate.casefold(): candidate for candidate in valid}
    found = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else None


def suggest(name: str, valid: Sequence[str]) -> str:
    """` did you mean X?` or the list of what there is."""
    close = nearest(name, valid)
    return f"did you mean {close}?" if close else f"expected one of {', '.join(valid)}"


def _wrong(expected: str, value: object) -> Mistake:
    return Mistake(("", f"expected {expected}, got {show(value)}"))


def integer(low: int, high: int) -> Kind:
    """A whole number, both limits included."""
    expected = f"an integer from {low} to {high}"

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(expected, value)
        return value

    return Kind(expected, parse, from_text=_number_from_text)


def integer_of(*allowed: int) -> Kind:
    """One of a few whole numbers."""
    expected = f"one of {', '.join(map(str, allowed))}"

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            raise _wrong(expected, value)
        return value

    return Kind(expected, parse, from_text=_number_from_text)


def _number_from_text(text: str) -> object:
    return int(text) if re.fullmatch(r"[-+]?\d{1,18}", text) else text


def boolean() -> Kind:
    """True or false, spelt so."""
    expected = "true or false"

    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise _wrong(expected, value)
        return value

    return Kind(
        expected,
        parse,
        render=lambda value: "true" if value else "false",
        from_text=lambda text: {"true": True, "false": False}.get(text.lower(), text),
    )


def choice(*names: str) -> Kind:
    """One of a few words."""
    expected = f"one of {', '.join(names)}"

    def parse(value: object) -> str:
        if value not in names or not isinstance(value, str):
            close = nearest(value, names) if isinstance(value, str) else None
            hint = f"; did you mean {close}?" if close else ""
            raise Mistake(("", f"expected {expected}, got {show(value)}{hint}"))
        return value

    return Kind(expected, parse)


def _quantity(value: object, units: dict[str, float] | dict[str, int]) -> float | None:
    """The value in the base unit; None when it is not a quantity. A number without a unit counts in the base unit."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    number, unit = match.groups()
    factor = units.get(unit) if unit else 1
    return None if factor is None else float(number) * factor


def size(low: int, high: int) -> Kind:
    """Bytes: a number, or text such as `64MiB`."""
    expected = f"a size from {render_size(low)} to {render_size(high)}, such as 64MiB"

    def parse(value: object) -> int:
        number = _quantity(value.upper() if isinstance(value, str) else value, _SIZES)
        if number is None or not low <= number <= high or number != int(number):
            raise _wrong(expected, value)
        return int(number)

    return Kind(expected, parse, render=render_size)


def render_size(value: object) -> str:
    """Bytes in the largest binary unit that tells them exactly."""
    assert isinstance(value, int)  # noqa: S101 - for the type checker: the parser gave it
    for unit, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return f"{value}B"


def duration(low: float, high: float) -> Kind:
    """Seconds: a number, or text such as `500ms`, `1h`, `7d`."""
    expected = f"a duration from {render_duration(low)} to {render_duration(high)}, such as 500ms, 30s, 1h or 7d"

    def parse(value: object) -> float:
        number = _quantity(value.lower() if isinstance(value, str) else value, _DURATIONS)
        if number is None or not low <= number <= high:
            raise _wrong(expected, value)
        return float(number)

    return Kind(expected, parse, render=render_duration)


def render_duration(value: object) -> str:
    """Seconds in the largest unit that tells them in whole numbers."""
    assert isinstance(value, int | float)  # noqa: S101 - for the type checker: the parser gave it
    millis = round(value * 1000)
    for unit, factor in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if millis and millis % factor == 0:
            return f"{millis // factor}{unit}"
    return f"{millis}ms"


def text(pattern: str, expected: str) -> Kind:
    """Text that fully matches `pattern`."""
    compiled = re.compile(pattern)

    def parse(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise _wrong(expected, value)
        return value

    return Kind(expected, parse)


def path() -> Kind:
    """A file or directory; `~` is the home directory. Made absolute: a later change of directory moves nothing."""
    expected = "a path"

    def parse(value: object) -> Path:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise _wrong(expected, value)
        try:
            return Path(value).expanduser().absolute()
        except RuntimeError as error:  # "~nobody", or no home directory
            raise Mistake(("", f"expected {expected}, got {show(value)}: {error}")) from error

    return Kind(expected, parse)


def certificates() -> Kind:
    """A PEM file that exists and holds at least one certificate."""
    expected = "a PEM file with certificates"
    as_path = path()

    def parse(value: object) -> Path:
        file = as_path.parse(value)
        assert isinstance(file, Path)  # noqa: S101 - for the type checker
        try:
            content = file.read_bytes()
        except OSError as error:
            raise Mistake(("", f"{file} cannot be read: {error.strerror or error}")) from error
        if b"-----BEGIN CERTIFICATE-----" not in content:
            raise Mistake(("", f"expected {expected}; {file} has none"))
        return file

    return Kind(expected, parse)


def url(plain: str, secure: str) -> Kind:
    """A base URL. `plain` is taken only to this host itself: market data must not be changed on its way unseen."""
    expected = f"a URL that starts with {secure}://"

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise _wrong(expected, value)
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise _wrong(expected, value) from error
        if parts.scheme not in (plain, secure) or not host or parts.query or parts.fragment or re.search(r"\s", value):
            raise _wrong(expected, value)
        if parts.scheme == plain and not is_loopback(host):
            raise Mistake(("", f"{plain}:// is taken only for this host (loopback); {host} needs {secure}://"))
        if parts.password is not None and _PLACEHOLDER.fullmatch(parts.password):
            raise Mistake(("", "the password in this URL is a placeholder; give the real one or leave it out"))
        if parts.password and len(unquote(parts.password)) < _SHORTEST_PASSWORD:
            wanted = f"expected one of {_SHORTEST_PASSWORD} characters or more"
            raise Mistake(("", f"the password in this URL is too short to be kept out of logs; {wanted}"))
        return value.rstrip("/")

    return Kind(expected, parse)


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def names(kind: str, check: Callable[[str], str | None]) -> Kind:
    """A list of distinct words, `A,B` in an environment variable. `check` says what is wrong with a word."""
    expected = f"a list of {kind}"

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise _wrong(f"{expected} with at least one", value)
        notes: list[tuple[str, str]] = []
        for index, item in enumerate(value):
            wrong = check(item) if isinstance(item, str) else f"expected text, got {show(item)}"
            if wrong is None and item in value[:index]:
                wrong = f"{show(item)} is listed twice"
            if wrong is not None:
                notes.append((f"[{index}]", wrong))
        if notes:
            raise Mistake(*notes)
        return tuple(value)

    return Kind(
        expected,
        parse,
        render=lambda value: f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value),
        from_text=lambda text: [word.strip() for word in text.split(",") if word.strip()],
    )


def instruments() -> Kind:
    """Canonical instruments: `BTC-USDT`. USD, USDT and USDC are different currencies."""

    def check(name: str) -> str | None:
        meant = _instrument_meant(name)
        if meant == name:
            return None
        hint = f"; did you mean {meant}?" if meant else ""
        return f"expected an instrument such as BTC-USDT, got {show(name)}{hint}"

    return names("instruments such as BTC-USDT", check)


def _instrument_meant(name: str) -> str | None:
    """The well-formed instrument nearest to `name`; None when there is none."""
    upper = re.sub(r"[/_: ]", "-", name.strip().upper())
    if "-" not in upper:
        quote = next((quote for quote in _QUOTES if upper.endswith(quote) and upper != quote), None)
        upper = f"{upper.removesuffix(quote)}-{quote}" if quote else upper
    if not _INSTRUMENT.fullmatch(upper):
        return None
    base, _, quote = upper.partition("-")
    # swapped letters (USTD) are a slip, not a new currency; any other quote may be new: the venue's listing will tell
    swapped = next((known for known in _QUOTES if known != quote and sorted(known) == sorted(quote)), None)
    return f"{base}-{swapped}" if swapped and quote not in _QUOTES else upper


def channels(*valid: str) -> Kind:
    """Channels by name."""
    return names(
        f"channels ({', '.join(valid)})",
        lambda name: None if name in valid else f"unknown channel {show(name)}; {suggest(name, valid)}",
    )
