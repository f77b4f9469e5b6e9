"""Whatever a foreign tape holds, replay ends with a verdict: no message and no answer of anybody's is an exception."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.clock import Now
from collector.feed.replay import _answers
from collector.feed.tape import VENUES_KNOWN, TapeError, TapeLine
from collector.venues.core import VenueCore
from collector.venues.protocol import Fetch, FrameKind
from tests.feed.kit import Result, replayed, write
from tests.venues import binances

TAPES = Path(__file__).parents[1] / "tapes"
MARKETS = ("spot", "perp", "swap", "usdm-futures", "futures", "options", "")
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63, 10**30, 1.5, -0.0, 1e308, "", "0", "-1", "1e9", "NaN", "Infinity", "0x1",
    "BTC-USDT", "BTCUSDT", "XBT/USD", "btcusdt@depth", "update", "snapshot", "2026-02-30T25:61:61Z", "\ud800", "a" * 99,
    [], {}, [[]], [None], [["1", "2"]], {"a": 1}, {"instId": None}, "9" * 400,
)  # fmt: skip
DEEP = '{"a":[' * 3_000 + "]}" * 3_000
NOTES = ("GET /0/public/Trades (pair XBTUSD)", "GET http://[::1", "", "somebody's note", "GET /api/v3/depth?symbol=%zz")
"""What stands where a request should."""


def known() -> list[dict[str, Any]]:
    """Messages and answers of all venues, as somebody else would have recorded them."""
    lines = [json.loads(line) for path in sorted(TAPES.glob("*.jsonl")) for line in path.read_text().splitlines()]
    kept = ("exchange", "transport", "channel", "market", "request", "raw")
    for line in lines:
        if "request" in line:  # without the simulator's address
            line["request"] = re.sub(r"^http://[^/]+/\w+", "GET https://example.org", line["request"])
    return [
        {key: line[key] for key in kept if key in line}
        for line in lines
        if line["transport"] != "control" and len(line["raw"]) < 5_000
    ]


KNOWN = known()


def bent(value: Any, random: Random) -> Any:
    """The value with one of its parts exchanged for another, left out or doubled."""
    if not isinstance(value, (dict, list)) or not value or random.random() < 0.1:
        return random.choice(ODD)
    if isinstance(value, dict):
        key = random.choice(list(value))
        if random.random() < 0.2:
            return {other: part for other, part in value.items() if other != key}
        return value | {key: bent(value[key], random)}
    at = random.randrange(len(value))
    if random.random() < 0.2:
        return value[:at] + value[at + 1 :] * 2
    return [*value[:at], bent(value[at], random), *value[at + 1 :]]


def line(random: Random) -> dict[str, Any]:
    """A line of a tape: a message as it was, bent, torn, or nobody's."""
    made = dict(random.choice(KNOWN))
    kind = random.random()
    if kind < 0.6:
        made["raw"] = json.dumps(bent(json.loads(made["raw"]), random)) if made["raw"] != "pong" else "ping"
    elif kind < 0.7:
        made["raw"] = made["raw"][: random.randrange(len(made["raw"]) + 1)]
    elif kind < 0.75:
        made["raw"] = random.choice(("", "pong", "nonsense", "\x00", "null", "[]", "{}", "7", '"', DEEP))
    if random.random() < 0.1:
        made |= {"exchange": random.choice(VENUES_KNOWN), "market": random.choice(MARKETS)}
    if random.random() < 0.1:
        made["transport"] = random.choice(("ws", "rest"))
    if random.random() < 0.1:
        made["request"] = random.choice(NOTES)
    if random.random() < 0.1:
        made["status"] = random.choice((0, 200, 404, 418, 429, 503, -1, 10**12))
    if random.random() < 0.8:
        made["recv_ts"] = 1.7e9 + random.random() * 100 if random.random() < 0.99 else random.random() * 1e10
    if random.random() < 0.9:
        made |= {"run": random.choice("ab"), "n": random.randrange(50)}
    return made


def play(lines: list[dict[str, Any]]) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        return replayed(write(Path(folder) / "tape.jsonl", lines))


@given(seed=st.integers(0, 2**32))
def test_no_tape_of_known_unknown_and_broken_lines_is_an_exception(seed: int) -> None:
    random = Random(seed)
    result = play([line(random) for _ in range(30)])
    assert result.code in (0, 1)
    assert (result.code == 1) is ("findings: 0\n" not in result.err)
    assert all(json.loads(record)["type"] for record in result.out.splitlines())


def test_the_messages_of_our_tapes_are_spoken_as_they_are_by_a_core_that_asked_for_nothing() -> None:
    result = play([{**entry, "run": "a", "n": at} for at, entry in enumerate(KNOWN)])
    assert "undecodable" not in result.err
    types = Counter(record["type"] for record in result.records)
    assert min(types[kind] for kind in ("Trade", "Quote", "Ticker", "Candle", "FundingRate", "Liquidation")) > 3


@pytest.mark.parametrize("recv_ts", [-1.0, 1.7e12, 1e300])
def test_a_time_that_is_none_is_named_with_its_line(recv_ts: float, tmp_path: Path) -> None:
    tape = write(tmp_path / "a.jsonl", [KNOWN[0], KNOWN[1] | {"recv_ts": recv_ts}])
    with pytest.raises(TapeError, match=r"a\.jsonl:2: recv_ts .* is no time; expected UTC seconds"):
        replayed(tape)


def test_what_was_fetched_long_before_the_first_message_is_no_silence_of_the_venue() -> None:
    okx = [dict(entry) for entry in KNOWN if entry["exchange"] == "okx" and "market" not in entry]  # spot
    listing = next(entry for entry in okx if entry["channel"] == "listing") | {"recv_ts": 1.7e9}
    quotes = [entry | {"recv_ts": 1.7e9 + 300 + at} for at, entry in enumerate(okx) if entry["channel"] == "quotes"]
    result = play([entry | {"run": "a"} for entry in (listing, *quotes[:9])])
    assert len(result.records) == 9
    assert "reconnects" not in result.err
    assert "REST lines that nothing asked for" not in result.err


@pytest.mark.parametrize("name", ["symbol", "pair", "instId", "product_id"])
def test_an_answer_is_that_of_the_instrument_that_was_asked_for(name: str) -> None:
    fetch = Fetch(1, "depth", "/book", ((name, "A-B"), ("limit", "100")), "A-B", 1)

    def answers(request: str | None) -> bool:
        return _answers(TapeLine(exchange="okx", transport="rest", channel="book", raw="", request=request), fetch)

    assert answers(f"GET https://example.org/book?limit=5&{name}=A-B")
    assert answers(f"/book?{name}=A-B")
    for request in (f"/book?{name}=A-C", "/book?limit=100", f"/books?{name}=A-B", f"/book?{name}=A-B&{name}=C", None):
        assert not answers(request)


def test_time_never_goes_back_on_a_tape_whose_lines_tell_it_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def frame(self: VenueCore, data: bytes, now: Now) -> FrameKind:
        seen.append(now.mono_ns)
        return self.parse(data, now)

    monkeypatch.setattr(VenueCore, "frame", frame)
    entry = next(entry for entry in KNOWN if entry["channel"] == "quotes") | {"run": "a"}
    play([entry | ({} if at is None else {"recv_ts": 1.7e9 + at}) for at in (3, None, 5, 4, None, 9)])
    assert [ns // 10**9 for ns in seen] == [0, 0, 2, 2, 2, 6]


@pytest.mark.parametrize("shape", ["%s", '{"stream":"btcusdt@trade","data":%s}', '{"x":%s}', '{"arg":%s,"events":%s}'])
@pytest.mark.parametrize("exchange", VENUES_KNOWN)
def test_a_message_that_is_nested_without_end_is_undecodable_and_no_more(exchange: str, shape: str) -> None:
    line = {"exchange": exchange, "transport": "ws", "channel": "x", "run": "a", "raw": shape.replace("%s", DEEP)}
    assert ": undecodable (" in play([line]).err


def test_an_answer_that_is_nested_without_end_is_a_failed_answer() -> None:
    made = binances.fresh("binance", "book")
    made.reply(binances.SPOT)
    made.frame({"result": None, "id": 1})
    made.reply(DEEP, endpoint="depth")
    assert [letter.detail for letter in made.dead] == ["depth: nested too deeply"]
    assert made.state("BTC-USDT", "book") == "syncing"
    made.wait(5)
    assert [fetch.endpoint for fetch in made.fetches] == ["depth"]


def test_a_line_of_a_tape_that_is_nested_without_end_is_named(tmp_path: Path) -> None:
    tape = tmp_path / "a.jsonl"
    tape.write_text(json.dumps(KNOWN[0]) + '\n{"x":' + DEEP + "}\n" + json.dumps(KNOWN[1]) + "\n", encoding="utf-8")
    with pytest.raises(TapeError, match=r"a\.jsonl:2: is not JSON"):
        replayed(tape)
