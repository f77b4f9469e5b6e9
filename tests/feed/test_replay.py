"""Replay of small tapes: what answers a Fetch, what counts as a finding, what stays the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from collector.feed.deadletters import DeadLetters
from collector.feed.tape import TapeError, TapeRun, TapeWriter
from collector.records import encode_lines
from collector.venues.binance import BinanceCore
from collector.venues.kraken import KrakenCore
from collector.venues.protocol import Answer, Core, CoreSettings, DeadLetter, Wanted
from tests.feed.kit import replayed, write
from tests.venues.kit import (
    Bench,
    Message,
    as_text,
    binance_trade,
    book_ticker,
    depth,
    depth_book,
    exchange_info,
    kraken_ack,
    kraken_book,
    kraken_crc,
    kraken_instruments,
    kraken_trade,
)

BIDS = [("100.0", "1.0"), ("99.0", "1.0")]
ASKS = [("101.0", "1.0"), ("102.0", "1.0")]
DEPTH_REQUEST = "GET https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
LISTING_REQUEST = "GET https://api.binance.com/api/v3/exchangeInfo"


def ws(message: Message, at: float | None = None, **more: Any) -> dict[str, Any]:
    raw = message.decode() if isinstance(message, bytes) else as_text(message)
    line = {"exchange": "binance", "transport": "ws", "channel": "book", "run": "one", "raw": raw, **more}
    return line if at is None else {**line, "recv_ts": 1_700_000_000 + at}


def rest(body: Message, request: str, at: float | None = None, **more: Any) -> dict[str, Any]:
    return ws(body, at, transport="rest", request=request, **more)


SESSION = [
    rest(exchange_info(("BTC", "USDT")), LISTING_REQUEST, 0),
    ws(depth(9, 11, bids=[("100.0", "3.0")]), 1),
    rest(depth_book(10, BIDS, ASKS), DEPTH_REQUEST, 2),
    ws(depth(12, 12, bids=[("99.5", "1.0")]), 3),
    ws(binance_trade(1), 4),
    ws(book_ticker(5), 5),
]


def test_a_tape_of_somebody_else_gives_the_same_records_as_the_live_core(tmp_path: Path) -> None:
    result = replayed(write(tmp_path / "a.jsonl", SESSION))
    assert result.code == 0
    assert [record["type"] for record in result.records] == ["BookSnapshot", "BookDelta", "BookDelta", "Trade", "Quote"]
    assert result.records[0]["recv_ts"] == 1_700_000_002_000_000
    assert result.records[1]["recv_ts"] == 1_700_000_001_000_000
    assert "binance spot BTC-USDT book: in_sync by sequence, to depth 2, book " in result.err
    assert "frames: binance spot book 2" in result.err


def test_two_replays_are_byte_identical(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", SESSION)
    assert replayed(path) == replayed(path)


def test_lines_are_merged_by_receive_time_also_across_files(tmp_path: Path) -> None:
    whole = replayed(write(tmp_path / "a.jsonl", SESSION))
    streams = [line for line in SESSION if line["transport"] == "ws"]
    answers = [line for line in SESSION if line["transport"] == "rest"]
    parts = replayed(write(tmp_path / "ws.jsonl", streams), write(tmp_path / "rest.jsonl", answers))
    assert parts.out == whole.out
    assert replayed(write(tmp_path / "b.jsonl", SESSION[::-1])).out == whole.out


def test_without_receive_times_lines_are_merged_by_their_number_and_records_have_none(tmp_path: Path) -> None:
    lines = [{**{k: v for k, v in line.items() if k != "recv_ts"}, "n": n} for n, line in enumerate(SESSION)]
    result = replayed(write(tmp_path / "a.jsonl", lines[::-1]))
    assert result.code == 0
    assert {record["recv_ts"] for record in result.records} == {None}
    assert len(result.records) == 5


def test_a_line_without_a_run_is_a_connection_of_its_own(tmp_path: Path) -> None:
    lines = [{k: v for k, v in ws(binance_trade(ident)).items() if k != "run"} for ident in (1, 5)]
    result = replayed(write(tmp_path / "a.jsonl", lines))
    assert [record["type"] for record in result.records] == ["Trade", "Trade"]
    assert result.code == 0


def test_two_runs_are_two_cores_one_after_the_other(tmp_path: Path) -> None:
    lines = [ws(binance_trade(ident), ident, run=run) for ident, run in ((1, "a"), (7, "b"), (2, "a"), (8, "b"))]
    result = replayed(write(tmp_path / "a.jsonl", lines))
    assert [record["id"] for record in result.records] == ["1", "2", "7", "8"]


def test_each_depth_line_answers_one_fetch_and_never_one_before_it(tmp_path: Path) -> None:
    lines = [
        *SESSION[:4],
        ws(depth(20, 20), 6),
        rest(depth_book(19, BIDS, ASKS), DEPTH_REQUEST, 7),
        ws(depth(21, 21), 8),
    ]
    result = replayed(write(tmp_path / "a.jsonl", lines))
    assert result.code == 1
    assert [record["last_seq"] for record in result.records if record["type"] == "BookSnapshot"] == [10, 19]
    assert "binance spot BTC-USDT book: gap 13..19 (sequence) at " in result.err
    assert f"{tmp_path}/a.jsonl:5" in result.findings[0]
    assert "book: in_sync" in result.err


def test_an_answer_that_stood_before_the_question_is_not_taken(tmp_path: Path) -> None:
    early = rest(depth_book(11, BIDS, ASKS), DEPTH_REQUEST, 0.5)
    result = replayed(write(tmp_path / "a.jsonl", [SESSION[0], early, SESSION[1], *SESSION[3:]]))
    assert result.code == 1
    assert "not on tape" in result.err


def test_an_answer_that_was_too_old_is_not_given_again(tmp_path: Path) -> None:
    lines = [ws(depth(20, 20), 1), rest(depth_book(10, BIDS, ASKS), DEPTH_REQUEST, 2),
             rest(depth_book(19, BIDS, ASKS), DEPTH_REQUEST, 3)]  # fmt: skip
    result = replayed(write(tmp_path / "a.jsonl", lines))
    assert result.code == 0
    assert [record["last_seq"] for record in result.records] == [19, 20]


def test_time_passes_between_the_lines_of_a_tape(tmp_path: Path) -> None:
    result = replayed(write(tmp_path / "a.jsonl", [*SESSION, ws(binance_trade(2), 700)]))
    snapshots = [record for record in result.records if record["type"] == "BookSnapshot"]
    assert [snapshot["cause"] for snapshot in snapshots] == ["sync", "periodic", "periodic"]
    assert 300 <= (snapshots[1]["recv_ts"] - snapshots[0]["recv_ts"]) / 1e6 < 303


def test_a_fetch_that_the_tape_cannot_answer_fails_and_the_book_does_not_end_in_sync(tmp_path: Path) -> None:
    result = replayed(write(tmp_path / "a.jsonl", [line for line in SESSION if line["transport"] == "ws"]))
    assert result.code == 1
    assert "book: ends syncing" in result.err
    assert "not on tape" in result.err
    assert not any(record["type"].startswith("Book") for record in result.records)


def test_an_answer_for_another_symbol_is_not_taken(tmp_path: Path) -> None:
    other = rest(depth_book(10, BIDS, ASKS), DEPTH_REQUEST.replace("BTC", "ETH"), 2)
    result = replayed(write(tmp_path / "a.jsonl", [*SESSION[:2], other, *SESSION[3:]]))
    assert result.code == 1
    assert "REST lines that nothing asked for: binance spot book 1\n" in result.err


def test_a_listing_may_also_come_from_an_earlier_line(tmp_path: Path) -> None:
    listing = rest(exchange_info(("BTCUS", "DT")), LISTING_REQUEST, 0)
    trades = [ws(binance_trade(1), 1), ws(binance_trade(2), 2)]
    result = replayed(write(tmp_path / "a.jsonl", [listing, *trades]))
    assert {record["instrument"] for record in result.records} == {"BTCUS-DT"}


def test_a_silent_book_that_the_tape_cannot_check_keeps_its_verdict(tmp_path: Path) -> None:
    later = [ws(binance_trade(ident), 100 + ident) for ident in range(2, 200)]
    result = replayed(write(tmp_path / "a.jsonl", [*SESSION, *later]))
    assert result.code == 0
    assert "book: in_sync by sequence" in result.err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (ws(binance_trade(9), 9), "BTC-USDT trades: gap 2..8 (sequence)"),
        (ws("{", 9), "binance spot unknown: undecodable (json: "),
        (ws(binance_trade(2, price="nan"), 9), "binance spot trades: undecodable (value: "),
    ],
)
def test_strict_finds_gaps_and_undecodable_lines_with_their_place(
    tmp_path: Path, line: dict[str, Any], told: str
) -> None:
    path = write(tmp_path / "a.jsonl", [*SESSION, line, ws(depth(13, 13), 10)])
    result = replayed(path)
    assert result.code == 1
    assert any(told in finding and finding.endswith(f"{path}:7") for finding in result.findings)
    assert replayed(path, strict=False).code == 0
    assert "findings: 1\n" in result.err


def test_a_checksum_mismatch_that_healed_by_itself_is_a_finding(tmp_path: Path) -> None:
    snapshot = kraken_book("snapshot", BIDS, ASKS, kraken_crc(BIDS, ASKS))
    frames = [snapshot, kraken_book("update", [("100.0", "2.0")], [], 7), snapshot]
    lines = [ws(frame, at, exchange="kraken") for at, frame in enumerate(frames)]
    result = replayed(write(tmp_path / "a.jsonl", lines))
    assert result.code == 1
    assert "kraken spot BTC-USD book: checksum mismatch (the venue says 7) at " in result.err
    assert "checksums: kraken spot BTC-USD match 2" in result.err
    assert "findings: 2\n" in result.err
    assert "book: in_sync" in result.err


def test_what_is_not_spoken_yet_is_counted_by_name_and_is_no_finding(tmp_path: Path) -> None:
    lines = [
        *SESSION,
        ws("{}", 9, market="options"),
        ws("{}", 9, exchange="okx", market="options"),
        ws({"stream": "btcusdt@avgPrice", "data": {}}, 9),
    ]
    result = replayed(write(tmp_path / "a.jsonl", lines))
    assert result.code == 0
    for name in ("binance options book 1", "okx options book 1", "binance spot avgPrice 1"):
        assert f"not spoken yet: {name}" in result.err


def test_nothing_is_written_when_any_tape_is_unusable(tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", SESSION)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nonsense")
    with pytest.raises(TapeError):
        replayed(good, bad)


@pytest.mark.parametrize(
    "request_text", [DEPTH_REQUEST + "0", "GET http://[bad/api", "", DEPTH_REQUEST.replace("1000", "x")]
)
def test_a_request_that_cannot_be_read_is_no_answer_and_no_exception(tmp_path: Path, request_text: str) -> None:
    lines = [*SESSION[:2], rest(depth_book(10, BIDS, ASKS), request_text, 2), *SESSION[3:]]
    assert replayed(write(tmp_path / "a.jsonl", lines)).code in (0, 1)


# -- tapes of ours -----------------------------------------------------------------------------------------------------


class Recorded(Bench):
    """A bench whose inputs go to a tape, too."""

    def __init__(self, core: Core, run: TapeRun) -> None:
        super().__init__(core)
        self.run = run

    def connect(self) -> None:
        self.run.connected(self.now)
        super().connect()

    def disconnect(self, cause: str = "closed") -> None:
        self.run.disconnected(self.now, cause)
        super().disconnect(cause)

    def frame(self, message: Message) -> Any:
        kind = super().frame(message)
        self.run.frame(kind, message if isinstance(message, bytes) else as_text(message).encode(), self.now)
        return kind

    def reply(self, body: Message = b"", *, status: int = 200, endpoint: str = "", request: str | None = None) -> Any:
        fetch = super().reply(body, status=status, endpoint=endpoint, request=request)
        query = "&".join(f"{key}={value}" for key, value in fetch.params)
        data = body if isinstance(body, bytes) else as_text(body).encode()
        self.run.reply(fetch, Answer(status, data, request or f"GET https://example.org{fetch.path}?{query}"), self.now)
        return fetch

    def wait(self, seconds: float) -> None:
        end = self.mono + int(seconds * 1e9)
        while self.core.deadline <= end:
            self.mono = max(self.mono, self.core.deadline)
            self.run.wake(self.now)
            self.core.wake(self.now)
            self.drain()
        self.mono = end


def binance_session(bench: Bench) -> None:
    bench.connect()
    bench.reply(exchange_info(("BTC", "USDT")))
    bench.frame({"result": None, "id": 1})
    bench.frame(depth(11, 11, bids=[("100.0", "3.0")]))
    bench.reply(b"", status=503)
    bench.wait(3)
    bench.reply(depth_book(10, BIDS, ASKS))
    bench.frames(depth(12, 13), binance_trade(1), b"\xff\xfe", binance_trade(4), depth(20, 20))
    bench.wait(1)
    bench.reply(depth_book(20, BIDS, ASKS))
    bench.wait(700)
    bench.disconnect()
    bench.connect()
    bench.frames(binance_trade(5), {"result": None, "id": 9})


def kraken_session(bench: Bench) -> None:
    bench.connect()
    bench.frames(kraken_instruments("BTC/USD"), kraken_ack("book"), kraken_ack("trade"))
    bench.frame(kraken_book("snapshot", BIDS, ASKS, kraken_crc(BIDS, ASKS)))
    bench.frames(kraken_trade(1), kraken_book("update", [("100.0", "2.0")], [], 7), {"channel": "heartbeat"})
    bench.wait(45)
    bench.frame(kraken_book("snapshot", BIDS, ASKS, kraken_crc(BIDS, ASKS)))
    bench.disconnect("no_message")


def test_a_replay_of_our_own_tape_gives_the_records_of_the_live_run_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    writer = TapeWriter(path)
    binance_wanted = [Wanted("BTC-USDT", "book"), Wanted("BTC-USDT", "trades")]
    kraken_wanted = [Wanted("BTC-USD", "book"), Wanted("BTC-USD", "trades")]
    settings = CoreSettings(depth=10, seed=42)
    first, second = BinanceCore(binance_wanted, settings), KrakenCore(kraken_wanted, settings)
    runs = (
        writer.run("binance-1", "binance", "spot", binance_wanted, settings, Bench(first).now),
        writer.run("kraken-1", "kraken", "spot", kraken_wanted, settings, Bench(second).now),
    )
    benches = Recorded(first, runs[0]), Recorded(second, runs[1])
    binance_session(benches[0])
    kraken_session(benches[1])
    writer.close()

    result = replayed(path, strict=False)
    assert result.out == encode_lines([*benches[0].records, *benches[1].records])
    kinds = {record["type"] for record in result.records}
    assert kinds == {"BookSnapshot", "BookDelta", "Trade", "Gap"}
    assert {record.get("cause") for record in result.records} >= {"periodic", "sequence", "disconnect", "checksum"}
    assert replayed(path).code == 1


def own_tape(folder: Path) -> list[dict[str, Any]]:
    path = folder / "own.jsonl"
    writer = TapeWriter(path)
    core = BinanceCore([Wanted("BTC-USDT", "trades")], CoreSettings())
    bench = Recorded(
        core, writer.run("ours", "binance", "spot", [Wanted("BTC-USDT", "trades")], CoreSettings(), Bench(core).now)
    )
    bench.connect()
    bench.reply(exchange_info(("BTC", "USDT")))
    bench.frame(binance_trade(1))
    bench.disconnect()
    writer.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("at", "change", "told"),
    [
        (0, {"raw": "{}"}, "must begin with a start line"),
        (0, {"raw": '{"wanted":[["BTC-USDT","news"]],"settings":{}}'}, "must begin with a start line"),
        (
            0,
            {"raw": '{"wanted":[["BTC-USDT","candles"]],"settings":{"candle_interval":"9x"}}'},
            "no core can be made of this start line",
        ),
        (0, {"raw": '{"wanted":[["BTC-USDT","funding"]],"settings":{}}'}, "no core can be made of this start line"),
        (1, {"channel": "reborn"}, "unknown control line 'reborn'"),
        (4, {"raw": "{}"}, "a disconnected line must tell its cause"),
        (2, {"fetch": 77}, "answers request 77, which this run never made"),
    ],
)
def test_a_tape_of_ours_that_was_tampered_with_is_told_with_its_place_and_nothing_is_written(
    tmp_path: Path, at: int, change: dict[str, Any], told: str
) -> None:
    lines = own_tape(tmp_path)
    lines[at] |= change
    path = write(tmp_path / "broken.jsonl", [*SESSION, *lines] if at != 2 else lines)
    with pytest.raises(TapeError, match=told) as raised:
        replayed(path)
    assert str(path) in str(raised.value)


def test_a_run_of_ours_that_lost_its_beginning_is_told(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="must begin with a start line"):
        replayed(write(tmp_path / "broken.jsonl", own_tape(tmp_path)[1:]))


# -- dead letters ------------------------------------------------------------------------------------------------------


def test_a_dead_letter_file_is_a_tape_whose_every_line_is_undecodable_again(tmp_path: Path) -> None:
    bench = Bench(BinanceCore([Wanted("BTC-USDT", "trades")], CoreSettings()))
    bench.connect()
    bench.reply(exchange_info(("BTC", "USDT")))
    bench.frames(b"{", b"\xff\xfe", binance_trade(1, price="nan"), {"hello": "world"})
    bench.core.binary(b"\x00", bench.now)
    bench.drain()
    path = tmp_path / "dead-letters.jsonl"
    letters = DeadLetters(path)
    for letter in bench.dead:
        assert isinstance(letter, DeadLetter)
        assert letters.write("binance", "spot", "binance-1", letter)
    letters.close()
    assert len(bench.dead) == 5
    result = replayed(path)
    assert result.code == 1
    assert sum("undecodable" in finding for finding in result.findings) == 5
    assert result.out == b""
