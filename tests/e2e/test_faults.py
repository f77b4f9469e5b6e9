"""Every fault that the simulator knows, against the running collector: afterwards every book equals the ledger and
every trade is there once or inside a Gap.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import EVERY, VENUES, Rig, poll_until

pytestmark = pytest.mark.full
SYMBOLS = ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP")
LABELS: dict[str, dict[str, str]] = {
    "binance": {"marketprism_venue": "binance", "marketprism_market": "spot"},
    "binance_usdm": {"marketprism_venue": "binance", "marketprism_market": "perp"},
    "okx": {"marketprism_venue": "okx"},
    "coinbase": {"marketprism_venue": "coinbase"},
    "kraken": {"marketprism_venue": "kraken"},
}
"""The simulator's venues, and how the collector's metrics call them."""

FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    # Kraken's checksum covers ten levels of a thousand: of ten lost messages at least one is among them
    "drop": ({"kind": "drop", "count": 10, "channel": "book"}, "gap"),
    "drop a trade": ({"kind": "drop", "count": 2, "channel": "trades"}, "gap"),
    "duplicate": ({"kind": "duplicate", "count": 5}, "none"),
    "reorder": ({"kind": "reorder", "count": 3, "channel": "book"}, "any"),
    "reorder trades": ({"kind": "reorder", "count": 3, "channel": "trades"}, "any"),
    "corrupt json": ({"kind": "corrupt", "how": "json", "count": 3}, "undecodable"),
    "corrupt type": ({"kind": "corrupt", "how": "type", "count": 3}, "undecodable"),
    "malformed": ({"kind": "malformed", "count": 2}, "undecodable"),
    "unknown type": ({"kind": "unknown_type", "count": 2}, "undecodable"),
    "binary": ({"kind": "binary", "count": 2}, "undecodable"),
    "oversized": ({"kind": "oversized", "bytes": 40_000_000, "count": 1}, "reconnect"),
    "close": ({"kind": "close", "code": 1001}, "reconnect"),
    "abort": ({"kind": "close", "abrupt": True}, "reconnect"),
    "slow": ({"kind": "slow", "ms": 50, "seconds": 2}, "none"),
    "clock skew": ({"kind": "clock_skew", "ms": -90_000, "seconds": 2}, "none"),
}
OWN_FAULTS: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "corrupt sequence": (
        {"kind": "corrupt", "how": "sequence", "channel": "book", "count": 2},
        "gap",
        ("binance", "binance_usdm", "okx"),
    ),
    "stale snapshot": ({"kind": "rest_stale", "behind": 1000, "count": 2}, "none", ("binance", "binance_usdm")),
    "corrupt checksum": ({"kind": "corrupt", "how": "checksum", "channel": "book", "count": 2}, "gap", ("kraken",)),
}
"""Faults that only some venues can have."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One collector of every venue lives through all the faults of this module."""
    unlimited = tuple(part for venue in LABELS for part in ("--limit", f"{venue}.connects=10000"))
    folder = tmp_path_factory.mktemp("faults")
    with Rig(folder, rate=500, venues=EVERY, symbols=SYMBOLS, options=unlimited) as rig:
        rig.start()
        rig.wait_in_sync()
        yield rig
        assert rig.stop() == 0


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Rig]:
    """A collector without a past: it has not learned patience from the faults before."""
    with Rig(tmp_path) as rig:
        rig.start()
        rig.wait_in_sync()
        yield rig
        assert rig.stop() == 0


def _counts(rig: Rig, venue: str) -> dict[str, float]:
    return {
        "gap": rig.metric("marketprism_gaps_total", **LABELS[venue]),
        "undecodable": rig.metric("marketprism_message_undecodable_total", **LABELS[venue]),
        "reconnect": rig.metric("marketprism_connection_attempts_total", **LABELS[venue]),
    }


def _whole_again(rig: Rig) -> None:
    """Lift the faults, let the markets stand, and compare.

    Kraken's books can be compared from their first update on.
    """
    rig.heal()
    compared = 0
    for seconds in (1.0, 5.0):
        rig.control("market", {"running": True})
        time.sleep(1.0)
        rig.wait_in_sync(60)
        time.sleep(seconds)
        rig.settle()
        compared = rig.check_books()
        if compared == 2 * len(rig.venues):
            break
    assert compared == 2 * len(rig.venues)
    assert rig.check_trades() > 0
    rig.control("market", {"running": True})


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_every_book_equals_the_ledger_and_every_trade_is_there_once_or_in_a_gap(
    rig: Rig, name: str
) -> None:
    _run_fault(rig, *FAULTS[name], tuple(LABELS))


@pytest.mark.parametrize("name", OWN_FAULTS)
def test_after_a_fault_of_its_own_a_venue_is_whole_again(rig: Rig, name: str) -> None:
    _run_fault(rig, *OWN_FAULTS[name])


def _run_fault(rig: Rig, fault: dict[str, Any], seen_as: str, venues: tuple[str, ...]) -> None:
    """Strike all these venues at once."""
    rig.wait_in_sync(60)
    before = {venue: _counts(rig, venue) for venue in venues}
    for venue in venues:
        rig.control("faults", {"venue": venue, **fault})
    if seen_as in before[venues[0]]:
        poll_until(
            lambda: all(_counts(rig, venue)[seen_as] > before[venue][seen_as] for venue in venues),
            f"the fault is counted as {seen_as} of every venue",
        )
    else:
        time.sleep(2.0)
    _whole_again(rig)


@pytest.mark.parametrize("venue", ["binance", "okx", "kraken"])
def test_a_stalled_book_is_found_by_its_silence_although_the_socket_lives(rig: Rig, venue: str) -> None:
    rig.wait_in_sync(60)
    rig.fault("stall", venue, channel="book", symbol="BTC-USDT", heartbeats=True)

    def noticed() -> bool:
        rig.follow()
        stalled = {(gap.venue, gap.market, gap.instrument) for gap in rig.gaps if gap.cause == "stalled"}
        return (venue, "spot", "BTC-USDT") in stalled

    poll_until(noticed, "the stall is a Gap", 60)
    _whole_again(rig)


@pytest.mark.parametrize("venue", ["binance", "kraken"])
def test_a_venue_that_refuses_connections_is_tried_until_it_lets_us_in(fresh: Rig, venue: str) -> None:
    fresh.fault("refuse", venue)
    fresh.fault("close", venue)
    poll_until(
        lambda: fresh.metric(
            "marketprism_connection_attempts_total", marketprism_venue=venue, marketprism_attempt_outcome="http"
        ),
        "the refusal is counted",
    )
    _whole_again(fresh)


NOT_BACK: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "acknowledged and silent": (("ack_without_data", {"channel": "trades"}),),
    "refused": (("reject_subscribe", {}),),
    "both": (("reject_subscribe", {}), ("ack_without_data", {})),
}


@pytest.mark.parametrize("name", NOT_BACK)
def test_a_venue_is_in_sync_after_a_reconnect_only_when_its_trades_flow_again(fresh: Rig, name: str) -> None:
    time.sleep(3.0)  # the pace of every stream is known
    before = {venue: _opened(fresh, venue) for venue in VENUES}
    for venue in VENUES:
        for kind, where in NOT_BACK[name]:
            fresh.fault(kind, venue, count=2, **where)
        fresh.fault("close", venue)
    waited: set[str] = set()

    def back() -> bool:
        for told in fresh.health()["venues"]:
            since = told["connections"][0]["since"]
            last = [stream["last_message"] for stream in told["streams"] if stream["channel"] == "trades"]
            if told["state"] != "in_sync":
                waited.add(told["venue"])
            elif since > before[told["venue"]]:
                assert min(last) > since, f"{told['venue']} is in sync without its trades since {since}: {last}"
        return waited == set(VENUES) and fresh.in_sync()

    poll_until(back, "both venues are in sync again", 150)
    struck = {(one["venue"], one["kind"]) for one in fresh.control("faults")["applied"]}
    assert struck >= {(venue, kind) for venue in VENUES for kind, _ in NOT_BACK[name]}
    _whole_again(fresh)


def _opened(rig: Rig, venue: str) -> str:
    """When the venue's connection was opened."""
    return next(str(told["connections"][0]["since"]) for told in rig.health()["venues"] if told["venue"] == venue)


@pytest.mark.parametrize(("status", "after"), [(429, 2), (418, 2), (451, None), (503, None)])
def test_rest_refusals_delay_a_book_and_never_break_it(fresh: Rig, status: int, after: int | None) -> None:
    fresh.fault("http", "binance", status=status, retry_after=after, endpoint="depth", count=2)
    fresh.fault("drop", "binance", channel="book", count=1)
    poll_until(
        lambda: fresh.metric("http_client_request_duration_seconds_count", http_response_status_code=str(status)),
        f"the answer {status} is counted",
    )
    _whole_again(fresh)


def test_a_certificate_that_cannot_be_verified_is_never_accepted(fresh: Rig) -> None:
    fresh.fault("bad_certificate", "kraken")

    def refused() -> float:
        # Here both venues share a host, so a connection that was verified before may be taken up again once or twice.
        fresh.fault("close", "kraken")
        time.sleep(1.0)
        return fresh.metric(
            "marketprism_connection_attempts_total", marketprism_venue="kraken", marketprism_attempt_outcome="tls"
        )

    poll_until(refused, "the refusal is counted as tls", 60)
    _whole_again(fresh)


def test_a_server_shutdown_notice_reconnects_at_once(rig: Rig) -> None:
    rig.wait_in_sync(60)
    before = rig.metric("marketprism_connection_closed_total", marketprism_venue="binance")
    rig.control("shutdown-notice", {"venue": "binance"})
    poll_until(
        lambda: rig.metric("marketprism_connection_closed_total", marketprism_venue="binance") > before,
        "the connection was replaced",
    )
    _whole_again(rig)


def test_a_gap_taints_its_instrument_alone_and_on_coinbase_all_of_its_socket(tmp_path: Path) -> None:
    with Rig(tmp_path, seed=3, rate=500, venues=EVERY, symbols=SYMBOLS) as rig:
        rig.start(channels=["book"])
        rig.wait_in_sync()
        for venue in LABELS:
            perp = "-PERP" if venue == "binance_usdm" else ""
            rig.fault("drop", venue, channel="book", symbol=f"BTC-USDT{perp}", count=10)
        poll_until(lambda: all(_counts(rig, venue)["gap"] for venue in LABELS), "all gaps are there")
        rig.wait_in_sync()
        rig.settle()
        rig.check_books()
        alone = {("binance", "spot"), ("binance", "perp"), ("okx", "spot"), ("kraken", "spot")}
        tainted = {(venue, market, "BTC-USDT") for venue, market in alone}
        tainted |= {("coinbase", "spot", "BTC-USDT"), ("coinbase", "spot", "ETH-USDT")}
        assert {(gap.venue, gap.market, gap.instrument) for gap in rig.gaps} == tainted
        assert rig.stop() == 0
