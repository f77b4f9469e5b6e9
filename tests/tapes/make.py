"""Make the tapes of this folder again: `python tests/tapes/make.py`. They are recordings of the simulator, for the
tests that would rather use recordings of exchanges and find none beside a fresh clone.
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


def make(venue: str, depth: int) -> None:
    """Record a few seconds of one simulated venue and instrument."""
    tape = FOLDER / f"{venue}.jsonl"
    tape.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        simulator = [sys.executable, "-m", "simulator", "--port", "0", "--no-tls", "--seed", "5", "--rate", "30"]
        started = subprocess.Popen([*simulator, "--symbols", "BTC-USDT"], stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        port = json.loads(started.stdout.readline())["port"]
        urls = {"ws_url": f"ws://127.0.0.1:{port}/{venue}", "rest_url": f"http://127.0.0.1:{port}/{venue}"}
        others = {name: {"enabled": False} for name in ("binance", "kraken") if name != venue}
        config = Path(folder) / "config.yaml"
        config.write_text(
            json.dumps({"instruments": ["BTC-USDT"], "venues": {venue: {**urls, "depth": depth}, **others}})
        )
        collector = [sys.executable, "-m", "collector", "record", str(tape), "--config", str(config)]
        subprocess.run([*collector, "--seconds", str(SECONDS)], check=True)
        started.send_signal(signal.SIGTERM)
        started.wait()


if __name__ == "__main__":
    make("binance", 100)
    make("kraken", 10)
