"""A recording with one book message removed, doubled or exchanged with the next: named, or healed; never silent."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.feed.kit import Result, replayed, write
from tests.recordings import lines

Tape = list[dict[str, Any]]
KINDS = ("remove", "double", "swap")


class Recording(NamedTuple):
    """One undamaged tape, its replay, and the indices of each instrument's book messages."""

    tape: Tape
    whole: Result
    books: dict[str, list[int]]


def load(folder: Path, *names: str) -> Recording:
    tape = [line for name in names for line in lines(name) if line["market"] == "spot"]
    books: dict[str, list[int]] = {}
    for at, line in enumerate(tape):
        if (line["transport"], line["channel"]) == ("ws", "book"):
            books.setdefault(instrument(line), []).append(at)
    whole = replayed(write(folder / "whole.jsonl", tape))
    assert whole.code == 0
    assert len(whole.books()) == len(books)
    return Recording(tape, whole, books)


def instrument(line: dict[str, Any]) -> str:
    message = json.loads(line["raw"])
    if line["exchange"] == "kraken":
        return str(message["data"][0]["symbol"]).replace("/", "-")
    symbol = str(message["data"]["s"])
    quote = next(quote for quote in ("USDT", "ETH", "BTC", "EUR") if symbol.endswith(quote))
    return f"{symbol.removesuffix(quote)}-{quote}"


def damaged(tape: Tape, kind: str, at: int, following: int) -> Tape:
    lines_now = list(tape)
    if kind == "remove":
        del lines_now[at]
    elif kind == "double":
        lines_now.insert(at, lines_now[at])
    else:
        first, second = lines_now[at], lines_now[following]
        lines_now[at], lines_now[following] = first | {"raw": second["raw"]}, second | {"raw": first["raw"]}
    return lines_now


def check(recording: Recording, folder: Path, step: int) -> dict[tuple[str, str], int]:
    """Damage every `step`-th message in each way; how often it was named and how often it healed."""
    outcomes: dict[tuple[str, str], int] = {}
    for name, places in recording.books.items():
        for position in range(1, len(places) - 1, step):
            for kind in KINDS:
                at, following = places[position], places[position + 1]
                path = write(folder / "damaged.jsonl", damaged(recording.tape, kind, at, following))
                result = replayed(path)
                where = (name, kind, at)
                if result.code == 0:
                    assert result.books() == recording.whole.books(), where
                else:
                    named = [line for line in result.findings if f" spot {name} book: " in line]
                    assert named, where
                    # found at the message itself or, when it is missing, at one that came after it
                    assert int(named[0].rsplit(":", 1)[1]) >= at + 1, (where, named)
                outcome = (kind, "named" if result.code else "healed")
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


@pytest.fixture
def kraken(tmp_path: Path) -> Recording:
    return load(tmp_path, "kraken.ws.python-kraken-sdk.jsonl")


@pytest.fixture
def binance(tmp_path: Path) -> Recording:
    return load(tmp_path, "binance.rest.cryptofeed.jsonl", "binance.ws.cryptofeed.jsonl")


def test_a_sample_of_damaged_kraken_messages_is_named_or_healed(kraken: Recording, tmp_path: Path) -> None:
    outcomes = check(kraken, tmp_path, 40)
    assert outcomes["remove", "named"] >= 8
    assert outcomes["swap", "named"] >= 8


def test_a_sample_of_damaged_binance_messages_is_named_or_healed(binance: Recording, tmp_path: Path) -> None:
    outcomes = check(binance, tmp_path, 12)
    assert outcomes["remove", "named"] >= 8
    assert outcomes["swap", "named"] >= 8
    assert outcomes["double", "healed"] >= 8


@pytest.mark.full
def test_every_damaged_kraken_message_is_named_or_healed(kraken: Recording, tmp_path: Path) -> None:
    assert sum(check(kraken, tmp_path, 1).values()) == 3 * 508


@pytest.mark.full
def test_every_damaged_binance_message_is_named_or_healed(binance: Recording, tmp_path: Path) -> None:
    messages = sum(len(places) - 2 for places in binance.books.values())
    assert messages > 100
    assert sum(check(binance, tmp_path, 1).values()) == 3 * messages
