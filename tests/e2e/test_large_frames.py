"""Large frames: what a venue needs passes, what no venue sends is refused by name and the connection made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.records import BookSnapshot
from collector.venues import VENUES
from tests.e2e.rig import Rig, poll_until

pytestmark = pytest.mark.full
MIB = 1024 * 1024


def test_a_snapshot_of_sixteen_megabytes_passes_and_a_frame_of_a_hundred_is_refused_by_name(tmp_path: Path) -> None:
    options = ("--limit", "coinbase.levels=75000")
    with Rig(tmp_path, rate=50, options=options, venues=("coinbase",), symbols=("BTC-USDT",)) as rig:
        rig.start(instruments=["BTC-USDT"])
        rig.wait_in_sync()
        largest = rig.metric("marketprism_received_size_bytes_total", venue="coinbase", channel="book")
        assert largest > 16 * MIB, f"the snapshot and a few updates have {largest:.0f} bytes"
        rig.fault("oversized", "coinbase", bytes=100_000_000)
        too_big = {"venue": "coinbase", "undecodable_reason": "too_big"}
        poll_until(lambda: rig.metric("marketprism_message_undecodable_total", **too_big) == 1, "it is refused by name")
        rig.wait_in_sync()
        rig.settle()
        assert rig.check_books() == 1
        assert any(isinstance(record, BookSnapshot) and len(record.bids) == 1000 for record in rig.records())
        assert rig.stop() == 0
    said = (tmp_path / "collector.log").read_text()
    assert f"exceeds limit {VENUES['coinbase'].facts.max_frame_bytes}" in said.replace("size limit", "limit")
