"""Make the tapes of this folder again: `python tests/tapes/make.py [VENUE …]`. They are recordings of the simulator,
for the tests that would rather use recordings of exchanges and find none beside a fresh clone.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
SECONDS = 6
DEPTHS = {"binance": 100, "binance_usdm": 100, "okx": 100, "okx_swap": 100, "coinbase": 100, "kraken": 10}
"""Every venue, and the depth of its book."""
SMALL = ["--limit", "coinbase.levels=200"]
"""A snapshot of Coinbase's holds every level of the book."""


def make(venue: str) -> None:
    """Record a few seconds of one simulated venue and instrument."""
    tape = FOLDER / f"{venue}.jsonl"
    tape.unlink(missing_ok=True)
    host = "okx" if venue == "okx_swap" else venue
    with tempfile.TemporaryDirectory() as folder:
        simulator = [sys.executable, "-m", "simulator", "--port", "0", "--no-tls", "--seed", "5", "--rate", "30"]
        simulator += ["--symbols", "BTC-USDT,BTC-USDT-PERP", "--venues", host, *SMALL]
        started = subprocess.Popen(simulator, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        port = json.loads(started.stdout.readline())["port"]
        urls = {"ws_url": f"ws://127.0.0.1:{port}/{host}", "rest_url": f"http://127.0.0.1:{port}/{host}"}
        venues = {name: {"enabled": False} for name in DEPTHS} | {venue: {**urls, "depth": DEPTHS[venue]}}
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps({"instruments": ["BTC-USDT"], "venues": venues}))
        collector = [sys.executable, "-m", "collector", "record", str(tape), "--config", str(config)]
        try:
            subprocess.run([*collector, "--seconds", str(SECONDS)], check=True)
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait()


if __name__ == "__main__":
    for name in sys.argv[1:] or DEPTHS:
        make(name)
