"""The shape of what leaves the collector."""

import json
from typing import Any

import msgspec
import pytest

from collector.records import BookDelta, BookSnapshot, Gap, Quote, Trade, decode, encode, encode_lines

COMMON: Any = {"venue": "v", "market": "spot", "instrument": "A-B", "symbol": "AB", "ts": None, "recv_ts": 5}
RECORDS = [
    Trade(**COMMON, id="1", id_space="trade", price="1.10", size="0.50", side="buy"),
    Quote(**COMMON, bid="1.10", bid_size="1", ask="1.2", ask_size="2", seq=7),
    BookSnapshot(**COMMON, bids=[("1", "2")], asks=[], first_seq=1, last_seq=1, depth=10, known_bid="1",
                  known_ask=None, cause="sync"),
    BookDelta(**COMMON, bids=[("1", "0")], asks=[], first_seq=2, last_seq=3, depth=10),
    Gap(**COMMON, channel="book", first=1, last=None, count=None, cause="sequence", detected_ts=5, repaired_ts=None),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_one_json_line_with_its_type_first_and_reads_back_as_it_was(record: Trade) -> None:
    line = encode(record)
    assert b"\n" not in line
    assert next(iter(json.loads(line))) == "type"
    assert json.loads(line)["type"] == type(record).__name__
    assert decode(line) == record


def test_a_record_without_a_trace_does_not_mention_one_and_one_with_it_does() -> None:
    trade = RECORDS[0]
    assert b"traceparent" not in encode(trade)
    traced = msgspec.structs.replace(trade, traceparent="00-1-2-01")
    assert json.loads(encode(traced))["traceparent"] == "00-1-2-01"


def test_what_is_not_known_is_null_and_never_left_out() -> None:
    assert json.loads(encode(RECORDS[0])) == {
        "type": "Trade", "schema": 1, "venue": "v", "market": "spot", "instrument": "A-B", "symbol": "AB", "ts": None,
        "recv_ts": 5, "seq": None, "id": "1", "id_space": "trade", "price": "1.10", "size": "0.50", "side": "buy",
    }  # fmt: skip


def test_records_are_encoded_as_lines_each_ended() -> None:
    assert encode_lines(RECORDS) == b"".join(encode(record) + b"\n" for record in RECORDS)


def test_a_line_that_is_no_record_is_refused_with_the_path() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.side"):
        decode(encode(RECORDS[0]).replace(b'"buy"', b'"both"'))
    with pytest.raises(msgspec.DecodeError):
        decode(b"{")
