"""The dead-letter file: its lines, its bound, and what happens when it cannot be written."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.clock import SECOND_NS, Now
from collector.feed.deadletters import DeadLetters
from collector.feed.tape import body, read_tape
from collector.venues.protocol import DeadLetter, UndecodableReason


def letter(raw: bytes, reason: UndecodableReason = "json", seconds: float = 0.0) -> DeadLetter:
    now = Now(int(seconds * SECOND_NS), 1_700_000_000_000_000 + int(seconds * 1e6))
    return DeadLetter("book", reason, "not JSON", raw, now)


def keep(letters: DeadLetters, *raws: bytes, seconds: float = 0.0) -> list[bool]:
    return [letters.write("kraken", "spot", "kraken-0", letter(raw, seconds=seconds)) for raw in raws]


def raws(path: Path) -> list[bytes]:
    return [body(line) for _, line in read_tape(path)]


def test_a_letter_is_a_tape_line_with_its_reason(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "deep" / "dead.jsonl")
    keep(letters, b'{"torn')
    letters.close()
    line = json.loads((tmp_path / "deep" / "dead.jsonl").read_text())
    assert line == {
        "exchange": "kraken",
        "transport": "ws",
        "channel": "book",
        "raw": '{"torn',
        "run": "kraken-0",
        "n": 0,
        "recv_ts": 1_700_000_000.0,
        "reason": "json",
    }


@given(raw=st.binary(max_size=300))
def test_whatever_came_is_read_back_byte_by_byte(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("letters") / "dead.jsonl"
    letters = DeadLetters(path)
    keep(letters, raw)
    letters.close()
    assert raws(path) == [raw]


def test_a_binary_message_stays_binary_for_replay_even_if_it_could_be_text(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead.jsonl")
    letters.write("kraken", "spot", "kraken-0", letter(b"text", "binary"))
    letters.close()
    ((_, line),) = read_tape(tmp_path / "dead.jsonl")
    assert (line.channel, line.encoding, line.raw) == ("binary", "base64", base64.b64encode(b"text").decode())


def test_a_full_file_becomes_the_older_generation_but_not_more_than_once_an_hour(tmp_path: Path) -> None:
    path, told = tmp_path / "dead.jsonl", list[tuple[str, str]]()
    letters = DeadLetters(path, max_bytes=1000, on_trouble=lambda trouble, _, text: told.append((trouble, text)))
    x = b"x" * 300
    assert keep(letters, b"1" + x, b"2" + x, b"3" + x, b"4" + x) == [True] * 4
    assert (len(raws(path.with_name("dead.jsonl.1"))), len(raws(path))) == (2, 2)
    assert keep(letters, b"5" + x, b"6" + x, seconds=3599) == [False, False]
    assert (letters.written, letters.dropped) == (4, 2)
    size = path.stat().st_size
    assert told == [("full", f"{size} of 1000 bytes are used")], "said once"
    assert keep(letters, b"7" + x, seconds=3600) == [True]
    letters.close()
    assert [raw[:1] for raw in raws(path.with_name("dead.jsonl.1"))] == [b"3", b"4"]
    assert [raw[:1] for raw in raws(path)] == [b"7"]


def test_a_letter_larger_than_the_file_may_be_is_dropped_and_pushes_nothing_out(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead.jsonl", max_bytes=1000)
    assert keep(letters, b"small", b"x" * 2000, b"small") == [True, False, True]
    letters.close()
    assert os.listdir(tmp_path) == ["dead.jsonl"]  # noqa: PTH208 (names only)


@given(cut=st.integers(1, 200))
def test_a_line_that_a_kill_cut_is_removed_at_the_next_start(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("letters") / "dead.jsonl"
    letters = DeadLetters(path)
    keep(letters, b"first", b"x" * 200)
    letters.close()
    os.truncate(path, path.stat().st_size - cut)
    again = DeadLetters(path)
    keep(again, b"third")
    again.close()
    assert raws(path) == [b"first", b"third"]


def test_a_file_that_cannot_be_opened_drops_and_counts_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "dead.jsonl").mkdir()
    told = list[str]()
    letters = DeadLetters(
        tmp_path / "dead.jsonl", on_trouble=lambda trouble, _, text: told.append(f"{trouble}: {text}")
    )
    assert keep(letters, b"1", b"2") == [False, False]
    assert (letters.dropped, told) == (2, ["failing: Is a directory"])
    (tmp_path / "dead.jsonl").rmdir()
    assert keep(letters, b"3") == [True]
    letters.close()
    assert raws(tmp_path / "dead.jsonl") == [b"3"]


def test_a_full_disk_leaves_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = DeadLetters(tmp_path / "dead.jsonl")
    keep(letters, b"first")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
    assert keep(letters, b"second") == [False]
    monkeypatch.undo()
    keep(letters, b"third")
    letters.close()
    assert raws(tmp_path / "dead.jsonl") == [b"first", b"third"]
