"""The project's own tapes, recorded from its simulator, stand in where no exchange's recordings are at hand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from collector.feed.replay import replay

TAPES = Path(__file__).parents[1] / "tapes"
VENUES = {
    "binance": "binance spot",
    "binance_usdm": "binance perp",
    "okx": "okx spot",
    "okx_swap": "okx perp",
    "coinbase": "coinbase spot",
    "kraken": "kraken spot",
}


def run(path: Path) -> tuple[int, bytes, str]:
    out, err = io.BytesIO(), io.StringIO()
    return replay([path], out, err, strict=True), out.getvalue(), err.getvalue()


@pytest.mark.parametrize("venue", VENUES)
def test_a_recording_that_ended_in_order_is_clean_and_replays_byte_for_byte(venue: str) -> None:
    code, out, err = run(TAPES / f"{venue}.jsonl")
    assert code == 0, err
    assert f"{VENUES[venue]} BTC-USDT book: in_sync" in err
    assert (code, out, err) == run(TAPES / f"{venue}.jsonl")
    assert "not spoken" not in err


@pytest.mark.parametrize("venue", VENUES)
def test_a_tape_holds_every_channel_of_its_venue(venue: str) -> None:
    _, out, _ = run(TAPES / f"{venue}.jsonl")
    types = {json.loads(line)["type"] for line in out.splitlines()}
    perpetual = {"FundingRate", "OpenInterest", "Liquidation"} if venue in ("binance_usdm", "okx_swap") else set()
    assert types >= {"Trade", "Quote", "Ticker", "BookSnapshot", "BookDelta", "Candle", "Instrument"} | perpetual


@pytest.mark.parametrize("venue", VENUES)
def test_a_book_message_lost_from_a_tape_is_named_or_changes_nothing(venue: str, tmp_path: Path) -> None:
    lines = (TAPES / f"{venue}.jsonl").read_text().splitlines(keepends=True)
    books = [at for at, line in enumerate(lines) if json.loads(line)["channel"] == "book"]
    whole = _book(run(TAPES / f"{venue}.jsonl")[2])
    named = 0
    for at in books[1:-1:5]:
        damaged = tmp_path / "damaged.jsonl"
        damaged.write_text("".join(lines[:at] + lines[at + 1 :]))
        code, _, err = run(damaged)
        if code == 0:
            assert _book(err) == whole
        else:
            named += 1
            assert f"{VENUES[venue]} BTC-USDT book:" in err
            assert "damaged.jsonl:" in err
    assert named > 3


@pytest.mark.parametrize("venue", VENUES)
def test_a_book_message_that_is_cut_short_is_named(venue: str, tmp_path: Path) -> None:
    lines = (TAPES / f"{venue}.jsonl").read_text().splitlines(keepends=True)
    at = [at for at, line in enumerate(lines) if json.loads(line)["channel"] == "book"][9]
    entry = json.loads(lines[at])
    lines[at] = json.dumps(entry | {"raw": entry["raw"][:-9]}) + "\n"
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("".join(lines))
    code, _, err = run(damaged)
    assert code == 1
    assert f"undecodable (json: Input data was truncated) at {damaged}:{at + 1}" in err


def test_a_tape_whose_time_jumps_by_years_is_not_lived_through_second_by_second(tmp_path: Path) -> None:
    frame = '{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":%d,"p":"1","q":"1","T":1,"m":true}}'
    lines = [
        {"exchange": "binance", "transport": "ws", "channel": "trade", "run": "a", "recv_ts": at, "raw": frame % number}
        for number, at in enumerate((0.0, 900_000_000.0))
    ]
    tape = tmp_path / "jump.jsonl"
    tape.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, _ = run(tape)
    assert code == 0
    assert out.count(b'"type":"Trade"') == 2


def _book(err: str) -> str:
    return next(line for line in err.splitlines() if " book: in_sync" in line)
