"""The benchmark measures what it says: the stream is whole, both ways of it lead back, nobody's loss goes unnoticed."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import compare as comparing
from benchmarks import core, measure
from benchmarks.bounds import BOUNDS, judged
from benchmarks.compare import RunError, compare, verify
from benchmarks.made import MIXES, generated
from benchmarks.player import blocks, frame
from benchmarks.results import Offer, Result, Settings
from benchmarks.tape import KINDS, Tape, TapeError, recorded
from collector.clock import Now

RAW = {"exchange": "binance", "run": "cryptofeed-BINANCE", "channel": "book"}


@pytest.fixture(scope="module")
def tape() -> Tape:
    return generated("quiet", length=300)


def test_the_same_tape_is_the_same_bytes_every_time(tape: Tape) -> None:
    assert list(tape.frames(700)) == list(generated("quiet", length=300).frames(700))


def test_a_core_that_reads_the_stream_for_many_rounds_stays_in_sync_without_a_gap(tape: Tape) -> None:
    live = core.live_core(tape)
    for number, message in enumerate(tape.frames(2_000)):
        assert live.frame(message.payload, Now(number, number)) == message.kind
    assert not live.out.dead
    kinds = [type(record).__name__ for record in live.out.records]
    assert set(kinds) == {"Trade", "Quote", "BookDelta"}
    assert len(kinds) == 2_000
    assert {status.verdict.state for status in live.streams() if status.channel == "book"} == {"in_sync"}


def test_backward_every_book_goes_through_the_states_that_it_had_forward(tape: Tape) -> None:
    def books(count: int) -> dict[str, str | None]:
        live = core.live_core(tape)
        for message in tape.frames(count):
            live.frame(message.payload, core.NOW)
        return {status.symbol: status.digest for status in live.streams(digests=True) if status.digest is not None}

    assert books(0) == books(600)
    assert books(200) == books(400)
    assert len({str(books(count)) for count in (0, 200, 300)}) == 3


@pytest.mark.parametrize("mix", MIXES)
def test_a_made_stream_has_the_mix_that_it_is_named_after(mix: str) -> None:
    kinds = [message.kind for message in generated(mix).frames(2_000)]
    for kind, share in zip(KINDS, MIXES[mix].shares, strict=True):
        assert kinds.count(kind) / 20 == pytest.approx(share, abs=3)


def test_a_recording_is_played_from_the_first_update_after_its_snapshot(tmp_path: Path) -> None:
    listing = {"symbols": [{"symbol": "AB", "baseAsset": "A", "quoteAsset": "B"}]}
    book = {"lastUpdateId": 7, "bids": [["1.0", "1"]], "asks": [["2.0", "1"]]}
    write(tmp_path, "rest", {"channel": "status", "raw": json.dumps(listing)}, depth_answer(book))
    write(tmp_path, "ws", depth(6, 7), depth(8, 9))
    tape = recorded(tmp_path)
    assert tape.instruments == {"AB": "A-B"}
    ids = [json.loads(message.payload)["data"] for message in tape.frames(3)]
    assert [(data["U"], data["u"]) for data in ids] == [(8, 9), (10, 11), (12, 13)]
    assert [data["b"] for data in ids] == [[["1.0", "5"]], [["1.0", "1"]], [["1.0", "5"]]]


def test_a_directory_without_the_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="expected the recording of run cryptofeed-BINANCE"):
        recorded(tmp_path)


@pytest.mark.parametrize(("size", "head"), [(5, b"\x81\x05"), (126, b"\x81\x7e\x00\x7e"), (70_000, b"\x81\x7f")])
def test_a_payload_becomes_one_text_frame_of_the_right_length(size: int, head: bytes) -> None:
    whole = frame(b"x" * size)
    assert whole.startswith(head)
    assert whole.count(b"x") == size


def test_blocks_hold_every_frame_once_and_in_order() -> None:
    frames = [bytes([number]) * 3_000 for number in range(20)]
    made = list(blocks(frames))
    assert b"".join(made) == b"".join(frames)
    assert len(made) == 4


async def test_a_side_that_stops_receiving_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PATIENCE_S", -1.0)
    with pytest.raises(measure.LostError, match="3 of 10 messages came"):
        await measure.measure(lambda: 3, 0, 10)


async def test_what_came_before_the_start_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOK_S", 0.0)
    counts = iter([0, 2, 5, 9, 10, 10])
    assert (await measure.measure(lambda: next(counts), 2, 10)).messages == 8


def test_the_core_alone_is_measured_for_every_kind(tape: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "MESSAGES", 200)
    monkeypatch.setattr(core, "ROUNDS", 1)
    for kind in KINDS:
        assert min(core.measure(tape, kind)) > 0


def test_a_figure_above_its_bound_is_over_and_one_without_bound_is_not_judged() -> None:
    name, bound = next(iter(BOUNDS.items()))
    assert judged({name: bound * 1.01, "other": 1.0}) == [(name, bound * 1.01, bound, False)]
    assert judged({name: bound}) == [(name, bound, bound, True)]


@pytest.mark.parametrize(("check", "code"), [([], 0), (["--check"], 1)])
def test_only_check_makes_a_passed_bound_an_error(
    check: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(core, "measure", lambda _tape, _kind: core.Cost(1.0, 1_000.0, 1.0))
    assert command.main(["core", "--tape", "quiet", *check]) == code
    *_, verdict, last = capsys.readouterr().out.splitlines()
    assert verdict.startswith("over core/decode book 1000.00")
    assert json.loads(last)["core/decode trades"] == 1000.0


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Result(1.0, 1.0, {"trades": 2, "book": 3}), r"ours: 3 messages \(trades\) were sent, it made 2 of them"),
        (Result(1.0, 1.0, {"trades": 3, "book": 4}), r"ours: 3 messages \(book\) were sent, it made 4 of them"),
        (Result(1.0, 1.0, {"trades": 3}), r"ours: 3 messages \(book\) were sent, it made 0 of them"),
        (Result(1.0, 1.0, {"trades": 3, "book": 3}, "exit 1"), "ours: exit 1"),
    ],
)
def test_a_side_that_lost_or_invented_messages_fails_the_run_by_name(result: Result, said: str) -> None:
    with pytest.raises(RunError, match=said):
        verify("ours", result, Offer(1, "", "", [], 0, {"trades": 3, "book": 3}))


@pytest.mark.full
def test_the_player_and_our_reader_agree_on_two_thousand_messages() -> None:
    done = compare(Settings("quiet", "", messages=2_000), 1, {"ours": comparing.SIDES["ours"]})
    (only,) = done.rounds["ours"]
    assert sum(only.result.made.values()) == 4_000
    assert only.result.cpu_us > 0


def write(directory: Path, transport: str, *lines: dict[str, str]) -> None:
    text = "".join(json.dumps(RAW | line) + "\n" for line in lines)
    (directory / f"binance.{transport}.cryptofeed.jsonl").write_text(text)


def depth_answer(book: dict[str, object]) -> dict[str, str]:
    request = "GET https://api.binance.com/api/v3/depth?symbol=AB&limit=1000"
    return {"request": request, "raw": json.dumps(book)}


def depth(first: int, last: int) -> dict[str, str]:
    data = {"e": "depthUpdate", "E": 1, "s": "AB", "U": first, "u": last, "b": [["1.0", "5"]], "a": []}
    return {"raw": json.dumps({"stream": "ab@depth@100ms", "data": data})}
