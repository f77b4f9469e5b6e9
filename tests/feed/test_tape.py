"""Tapes: what cannot be used is told in one line; what was written is read again."""

import io
import json
from pathlib import Path

import pytest

from collector.clock import Now
from collector.feed.replay import replay
from collector.feed.tape import Place, TapeError, TapeLine, TapeWriter, body, read_tape
from collector.venues.protocol import Answer, CoreSettings, Fetch, Wanted

LINE = '{"exchange":"kraken","transport":"ws","channel":"trade","raw":"{}"}\n'
NOW = Now(5, 1_700_000_000_123_457)


def tape(folder: Path, content: bytes | str) -> Path:
    path = folder / "tape.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\x00\x01\x02\xff\xfe" * 20 + b"\n" + b"\x00", ":1: is not JSON"),
        (b"\x89PNG\r\n\x1a\n" + LINE.encode(), ":1: is not JSON"),
        ("time,price\n1,2\n" + LINE, ":1: is not JSON"),
        (LINE + '{"a":1}\n', ":2: is not a tape line"),
        (LINE + "[1,2]\n", ":2: is not a tape line"),
        (LINE.replace('"ws"', '"pigeon"'), "Invalid enum value 'pigeon'"),
        (LINE.replace('"{}"', "{}"), "Expected `str`, got `object` - at `$.raw`"),
        (LINE.replace("kraken", "krakne"), "expected one of binance, okx, coinbase, kraken; did you mean 'kraken'?"),
        (LINE.replace("kraken", "nyse"), "unknown exchange 'nyse'"),
        (LINE + LINE[:30], ":2: the last line is torn"),
        (LINE + LINE[:30] + "\n", ":2: the last line is torn"),
        (LINE[:30] + "\n" + LINE, ":1: is not JSON"),
    ],
)  # fmt: skip
def test_a_tape_that_cannot_be_used_is_told_in_one_line_with_its_place(
    tmp_path: Path, content: bytes | str, expected: str
) -> None:
    with pytest.raises(TapeError) as raised:
        read_tape(tape(tmp_path, content))
    message = str(raised.value)
    assert expected in message
    assert message.startswith(str(tmp_path / "tape.jsonl"))
    assert "\n" not in message


def test_a_tape_that_is_not_there_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="No such file"):
        read_tape(tmp_path / "missing.jsonl")
    with pytest.raises(TapeError, match="directory"):
        read_tape(tmp_path)


def test_a_torn_last_line_can_be_tolerated_and_only_the_last(tmp_path: Path) -> None:
    assert len(read_tape(tape(tmp_path, LINE + LINE[:30]), tolerate_torn=True)) == 1
    with pytest.raises(TapeError, match=":1: is not JSON"):
        read_tape(tape(tmp_path, LINE[:30] + "\n" + LINE), tolerate_torn=True)


def test_blank_lines_are_skipped_and_places_count_them(tmp_path: Path) -> None:
    (place, line), (other, _) = read_tape(tape(tmp_path, "\n" + LINE + "\n\n" + LINE))
    assert (str(place), other.line) == (f"{tmp_path}/tape.jsonl:2", 5)
    assert line.market == "spot"


def test_unknown_keys_of_other_peoples_tapes_are_ignored(tmp_path: Path) -> None:
    (pair,) = read_tape(tape(tmp_path, LINE.replace('"raw"', '"source":"x","fidelity":7,"raw"')))
    assert pair[1].raw == "{}"


def test_what_a_writer_wrote_is_read_again_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    writer = TapeWriter(path)
    wanted = [Wanted("BTC-USDT", "book")]
    run = writer.run("binance-0", "binance", "spot", wanted, CoreSettings(depth=7, seed=3), NOW)
    fetch = Fetch(4, "depth", "/api/v3/depth", (("symbol", "BTCUSDT"),), "BTCUSDT", 5)
    run.connected(NOW)
    run.frame("trades", '{"price":"1\u00e9"}\n'.encode(), NOW)
    run.frame("unknown", b"\xff\xfe", NOW)
    run.binary(b"\x00\x01", NOW)
    run.reply(fetch, Answer(0, b"", "GET https://x", "refused"), NOW)
    run.wake(Now(9, None))
    run.disconnected(NOW, "closed")
    writer.close()
    lines = [line for _, line in read_tape(path)]
    assert [(line.transport, line.channel) for line in lines] == [
        ("control", "start"), ("control", "connected"), ("ws", "trades"), ("ws", "unknown"), ("ws", "binary"),
        ("rest", "depth"), ("control", "wake"), ("control", "disconnected"),
    ]  # fmt: skip
    assert [body(line) for line in lines[2:5]] == ['{"price":"1é"}\n'.encode(), b"\xff\xfe", b"\x00\x01"]
    start = json.loads(lines[0].raw)
    assert start["wanted"] == [["BTC-USDT", "book"]]
    assert (start["settings"]["depth"], start["settings"]["seed"]) == (7, 3)
    assert (lines[5].fetch, lines[5].status, lines[5].error, lines[5].request) == (4, 0, "refused", "GET https://x")
    assert [line.n for line in lines] == list(range(1, 9))
    assert (lines[6].mono_ns, lines[6].recv_ts) == (9, None)


@pytest.mark.parametrize("wall_us", [1_700_000_000_000_000 + 37 * step for step in range(200)])
def test_a_receive_time_survives_the_tape_to_the_microsecond(wall_us: int) -> None:
    recv_ts = json.loads(json.dumps(wall_us / 1e6))
    assert round(recv_ts * 1e6) == wall_us


def test_an_existing_tape_is_never_overwritten(tmp_path: Path) -> None:
    path = tape(tmp_path, LINE)
    with pytest.raises(FileExistsError):
        TapeWriter(path)
    assert path.read_text() == LINE


def test_broken_base64_is_told_with_its_run() -> None:
    line = TapeLine(exchange="kraken", transport="ws", channel="x", raw="§", run="r", n=3, encoding="base64")
    with pytest.raises(TapeError, match="run r n 3"):
        body(line)


def test_a_place_is_written_as_editors_understand_it() -> None:
    assert str(Place("a.jsonl", 7)) == "a.jsonl:7"


def test_a_raw_that_cannot_be_decoded_is_named_with_its_place(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    tape.write_text('{"exchange":"okx","transport":"ws","channel":"x","raw":"{}","encoding":"gzip"}\n')
    with pytest.raises(TapeError, match=r"tape\.jsonl:1: .* expected base64"):
        replay([tape], io.BytesIO(), io.StringIO())
