"""What `run --tape` recorded gives the same records again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.journal import segments
from tests.e2e.rig import Rig

pytestmark = pytest.mark.full


def _comparable(line: bytes) -> tuple[str, dict[str, Any]] | None:
    record = msgspec.json.decode(line)
    record.pop("traceparent", None)
    if record["type"] == "Gap" and record["cause"] in ("restart", "journal"):
        return None
    if record["type"] == "BookSnapshot" and record["cause"] == "segment":
        return None
    return record["venue"], record


def _by_venue(lines: list[bytes]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        pair = _comparable(line)
        if pair is not None:
            found[pair[0]].append(pair[1])
    return found


def test_a_recorded_run_with_faults_replays_to_the_same_records(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with Rig(tmp_path, rate=300) as rig:
        rig.start("--tape", str(tape), journal={"directory": str(rig.journal), "segment_bytes": "512KiB"})
        rig.wait_in_sync()
        for fault in (
            {"kind": "drop", "channel": "book"},
            {"kind": "malformed"},
            {"kind": "close"},
            {"kind": "reorder"},
        ):
            for venue in ("binance", "kraken"):
                rig.control("faults", {"venue": venue, **fault})
                time.sleep(0.7)
        rig.wait_in_sync(60)
        time.sleep(2)
        assert rig.stop() == 0
        files = [segment.path for segment in segments(rig.journal)]
        live = _by_venue([line for path in files for line in path.read_bytes().splitlines()])
    command = [sys.executable, "-m", "collector", "replay", str(tape)]
    first = subprocess.run(command, capture_output=True, check=True)
    second = subprocess.run(command, capture_output=True, check=True)
    assert first.stdout == second.stdout
    assert first.stderr == second.stderr
    replayed = _by_venue(first.stdout.splitlines())
    assert set(live) == set(replayed) == {"binance", "kraken"}
    for venue, records in live.items():
        assert len(records) > 200
        assert replayed[venue] == records
