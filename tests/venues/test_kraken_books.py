"""Kraken's books: proven by checksum, cut to depth, compared with REST when silent."""

import pytest

from collector.records import BookDelta, BookSnapshot, Gap, Level
from collector.venues.kraken import KrakenCore
from collector.venues.kraken.facts import rest_pair, throttle_seconds
from collector.venues.protocol import CoreSettings, Wanted
from tests.venues.kit import (
    Bench,
    kraken_ack,
    kraken_book,
    kraken_crc,
    kraken_instruments,
)
from tests.venues.krakens import ASKS, BIDS, MISMATCH, SNAPSHOT, beating, bench, books, with_book


def test_a_snapshot_is_published_with_the_text_of_the_wire() -> None:
    made = bench("book")
    bids: list[Level] = [("100.10", "0.00100000"), ("99.0", "5E-8")]
    crc = kraken_crc([bids[0], ("99.0", "0.00000005")], ASKS)
    assert made.frame(kraken_book("snapshot", bids, ASKS, crc, ticks=5)) == "book"
    (snapshot,) = made.of(BookSnapshot)
    assert (snapshot.bids, snapshot.asks) == (bids, ASKS)
    assert (snapshot.symbol, snapshot.seq, snapshot.ts, snapshot.cause) == (
        "BTC/USD",
        None,
        1_700_000_000_000_005,
        "sync",
    )
    verdict = made.status("BTC-USD", "book")
    assert (verdict.verdict.state, verdict.verdict.by) == ("in_sync", "checksum")


def test_the_verdict_covers_the_ten_levels_that_the_checksum_covers() -> None:
    made = bench("book", depth=25)
    bids: list[Level] = [*BIDS, ("50.0", "1.0")]
    made.frame(kraken_book("snapshot", bids, [*ASKS, ("150.0", "1.0")], kraken_crc(bids, ASKS)))
    assert made.status("BTC-USD", "book").depth == 10


def test_each_side_is_cut_to_the_subscribed_depth_after_each_message() -> None:
    made = with_book()
    bids: list[Level] = [("100.5", "3.00000000"), *BIDS[:9]]
    made.frame(kraken_book("update", [bids[0]], [], kraken_crc(bids, ASKS)))
    assert made.state("BTC-USD", "book") == "in_sync"
    assert made.of(BookDelta)[0].bids == [("100.5", "3.00000000"), ("91.0", "0")]
    # the level that fell out is unknown now: when the better one goes, the exchange sends it anew
    made.frame(kraken_book("update", [("100.5", "0.00000000"), ("91.0", "1.00000000")], [], kraken_crc(BIDS, ASKS)))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_repeated_price_in_one_message_is_applied_in_order() -> None:
    made = with_book()
    bids: list[Level] = [("100.0", "7.00000000"), *BIDS[1:]]
    levels: list[Level] = [("100.0", "0.00000000"), ("100.0", "7.00000000")]
    made.frame(kraken_book("update", levels, [], kraken_crc(bids, ASKS)))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_mismatch_resubscribes_that_symbol_only() -> None:
    made = bench("book", "trades", instruments=("BTC-USD", "ETH-USD"), listed=("BTC/USD", "ETH/USD"))
    made.frames(SNAPSHOT, kraken_book("snapshot", BIDS, ASKS, kraken_crc(BIDS, ASKS), symbol="ETH/USD"))
    made.forget()
    made.frame(MISMATCH)
    assert books(made) == [("unsubscribe", "BTC/USD"), ("subscribe", "BTC/USD")]
    assert (made.state("BTC-USD", "book"), made.state("ETH-USD", "book")) == ("gap", "in_sync")
    assert made.count("checksum_mismatch") == 1
    assert made.of(BookDelta) == []
    made.frame(SNAPSHOT)
    assert made.state("BTC-USD", "book") == "in_sync"
    assert [gap.repaired_ts is not None for gap in made.of(Gap)] == [False, True]


def test_a_book_is_repaired_even_when_acknowledgements_are_lost() -> None:
    made = Bench(KrakenCore([Wanted("BTC-USD", "book")], CoreSettings(depth=10)))
    made.connect()
    made.frame(kraken_instruments("BTC/USD"))
    made.frames(SNAPSHOT, MISMATCH)
    made.sent()
    beating(made, 120)
    assert books(made).count(("subscribe", "BTC/USD")) >= 3
    made.frame(SNAPSHOT)
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_crossed_book_is_never_published_although_its_checksum_passes() -> None:
    made = with_book()
    bids: list[Level] = [("101.0", "1.00000000"), *BIDS[:9]]
    made.frame(kraken_book("update", [bids[0]], [], kraken_crc(bids, ASKS)))
    assert made.of(BookDelta) == []
    assert made.of(Gap)[0].cause == "crossed"


def test_a_disconnect_and_a_new_connection_repair_the_book() -> None:
    made = with_book()
    made.disconnect()
    assert made.state("BTC-USD", "book") == "syncing"
    made.connect()
    made.frames(kraken_instruments("BTC/USD"), kraken_ack("book"), SNAPSHOT)
    assert made.state("BTC-USD", "book") == "in_sync"
    assert [(gap.cause, gap.repaired_ts is not None) for gap in made.of(Gap)] == [
        ("disconnect", False),
        ("disconnect", True),
    ]


def test_the_instruments_precisions_reach_a_book_that_is_already_there() -> None:
    made = bench("book")
    bids: list[Level] = [("100.0", "1.50000000")]
    made.frame(kraken_book("snapshot", [("100", "1.5")], [], kraken_crc(bids, [])))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_an_item_that_cannot_be_decoded_harms_only_the_book_that_it_names() -> None:
    made = bench("book", instruments=("BTC-USD", "ETH-USD"), listed=("BTC/USD", "ETH/USD"))
    made.frames(SNAPSHOT, kraken_book("snapshot", BIDS, ASKS, kraken_crc(BIDS, ASKS), symbol="ETH/USD"))
    made.forget()
    made.frame('{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":7,"asks":[],"checksum":1}]}')
    assert (made.state("BTC-USD", "book"), made.state("ETH-USD", "book")) == ("gap", "in_sync")
    assert [(letter.channel, letter.reason) for letter in made.dead] == [("book", "type")]


def test_a_book_message_that_names_nobody_lowers_every_verdict_until_the_next_proof() -> None:
    made = with_book()
    made.frame('{"channel":"book","type":"update","data":7}')
    assert made.state("BTC-USD", "book") == "unverifiable"
    assert books(made) == []
    bids: list[Level] = [("100.0", "7.00000000"), *BIDS[1:]]
    made.frame(kraken_book("update", [bids[0]], [], kraken_crc(bids, ASKS)))
    assert made.state("BTC-USD", "book") == "in_sync"


def test_a_bad_number_or_time_in_a_book_message_is_a_dead_letter_or_a_gap_never_an_exception() -> None:
    for price, size in (('"100.0"', "1"), ("null", "1"), ("-1", "1"), ("100.0", "true"), ("[]", "{}")):
        made = with_book()
        made.frame(kraken_book("update", [(price, size)], [], 1))
        assert made.state("BTC-USD", "book") == "gap", (price, size)
        assert made.of(BookDelta) == []
    made = with_book()
    made.frame(MISMATCH.replace('"checksum":1', '"checksum":1,"timestamp":"yesterday"'))
    assert [letter.reason for letter in made.dead] == ["value"]
    assert made.state("BTC-USD", "book") == "gap"


def rest_book(bids: list[Level], asks: list[Level]) -> dict[str, object]:
    sides = {"bids": [[*level, 1] for level in bids], "asks": [[*level, 1] for level in asks]}
    return {"error": [], "result": {"XXBTZUSD": sides}}


def silent_book() -> Bench:
    made = with_book()
    beating(made, 12)
    assert [(fetch.endpoint, fetch.path, fetch.params) for fetch in made.fetches] == [
        ("check", "/0/public/Depth", (("pair", "XBTUSD"), ("count", "10")))
    ]
    made.forget()
    return made


def test_a_silent_book_that_equals_the_rest_book_stays_in_sync() -> None:
    made = silent_book()
    made.reply(rest_book(BIDS, ASKS))
    beating(made, 5)
    assert made.state("BTC-USD", "book") == "in_sync"
    assert books(made) == []


def test_a_silent_book_that_differs_from_the_rest_book_is_stale_and_subscribed_again_once() -> None:
    made = silent_book()
    made.reply(rest_book([("100.0", "9.0"), *BIDS[1:]], ASKS))
    assert made.state("BTC-USD", "book") == "in_sync"
    beating(made, 4)
    assert made.state("BTC-USD", "book") == "stale"
    assert [gap.cause for gap in made.of(Gap)] == ["stalled"]
    assert books(made) == [("unsubscribe", "BTC/USD"), ("subscribe", "BTC/USD")]


def test_a_silent_book_with_more_levels_than_the_venues_is_stale_too() -> None:
    made = silent_book()
    made.reply(rest_book(BIDS[:-1], ASKS))
    beating(made, 4)
    assert made.state("BTC-USD", "book") == "stale"


def test_a_difference_that_the_next_message_explains_is_no_stall() -> None:
    made = silent_book()
    bids: list[Level] = [("100.0", "9.00000000"), *BIDS[1:]]
    made.reply(rest_book(bids, ASKS))
    made.frame(kraken_book("update", [bids[0]], [], kraken_crc(bids, ASKS)))
    beating(made, 5)
    assert made.state("BTC-USD", "book") == "in_sync"


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", {"error": ["EService:Busy"]}, rest_book([("x", "1")], []), {"error": [], "result": {}}]
)
def test_a_silent_book_that_could_not_be_checked_is_stale_until_it_could(answer: bytes | dict[str, object]) -> None:
    made = silent_book()
    made.reply(answer)
    assert made.state("BTC-USD", "book") == "stale"
    beating(made, 25)
    made.reply(rest_book(BIDS, ASKS))
    assert (made.state("BTC-USD", "book"), made.verdict("BTC-USD", "book").by) == ("in_sync", "rest")


def test_rest_names_use_the_older_currency_codes() -> None:
    assert [rest_pair(symbol) for symbol in ("BTC/USD", "DOGE/BTC", "ETH/EUR")] == ["XBTUSD", "XDGXBT", "ETHEUR"]


@pytest.mark.parametrize(
    ("status", "body", "rests"),
    [
        (200, b'{"error":[]}', False),
        (200, b'{"error":["EGeneral:Too many requests"]}', True),
        (200, b'{"error":["EAPI:Rate limit exceeded"]}', True),
        (200, b'{"error":["EService: Throttled: 1700000000"]}', True),
        (429, b"", True),
        (503, b"", False),
    ],
)
def test_throttling_is_read_from_the_body_too(status: int, body: bytes, *, rests: bool) -> None:
    assert (throttle_seconds(status, {}, body) is not None) is rests
