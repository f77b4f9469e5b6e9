"""What the journal costs above a plain write: `python -m benchmarks.journal`.

The same bursts of records go three ways, in turn, several times: through the journal (encode, append, counters,
listener); encoded and written with a bare `os.write`; written as bytes that are encoded already. The best round of each
counts, because noise only slows. Use the ratios: records a second differ between machines.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collector.clock import system_clock
from collector.journal import Journal, JournalSettings
from collector.records import BookDelta, Quote, Record, Trade, encode_lines


class Deaf:
    """A listener that does nothing: what telemetry costs is not the journal's."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Any hook."""
        return self._hear

    def _hear(self, *_: Any) -> None:  # noqa: ANN401 - any hook's details
        return


def make_bursts(bursts: int, size: int) -> list[list[Record]]:
    """Bursts as a Binance socket gives them: mostly book deltas of seven levels, quotes and trades between."""
    common: dict[str, Any] = {"venue": "binance", "market": "spot", "instrument": "BTC-USDT", "symbol": "BTCUSDT"}
    times: dict[str, Any] = {"ts": 1_790_000_000_000_000, "recv_ts": 1_790_000_000_012_345}
    levels = [(f"{61000 + level}.10", "0.01250000") for level in range(7)]
    records: list[Record] = []
    for number in range(size):
        kind = number % 4
        if kind == 0:
            what: dict[str, Any] = {
                "id": str(number),
                "id_space": "trade",
                "price": "61000.10",
                "size": "0.01000000",
                "side": "buy",
            }
            records.append(Trade(**common, **times, **what))
        elif kind == 1:
            best: dict[str, Any] = {
                "bid": "61000.10",
                "bid_size": "1.00000000",
                "ask": "61000.11",
                "ask_size": "2.00000000",
            }
            records.append(Quote(**common, **times, **best))
        else:
            ids: dict[str, Any] = {"first_seq": number, "last_seq": number, "depth": 1000}
            records.append(BookDelta(**common, **times, bids=levels[:4], asks=levels[4:], **ids))
    return [records] * bursts


def seconds(work: Callable[[], None]) -> float:
    """How long this takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def through_journal(directory: Path, bursts: list[list[Record]]) -> float:
    """Through a journal whose segments never end, syncs left out: the other two do not sync either."""
    settings = JournalSettings(directory=directory, segment_bytes=1 << 40, reserve_bytes=0)
    journal = Journal(settings, system_clock, Deaf())
    journal.open()
    journal.append(bursts[0])

    def work() -> None:
        for burst in bursts:
            journal.append(burst)

    took = seconds(work)
    journal.close()
    return took


def plain(path: Path, bursts: list[list[Record]], *, encoded: bool) -> float:
    """With nothing but a file descriptor."""
    lines = [encode_lines(burst) for burst in bursts]
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write_encoded() -> None:
        for line in lines:
            os.write(fd, line)

    def encode_and_write() -> None:
        for burst in bursts:
            os.write(fd, encode_lines(burst))

    took = seconds(write_encoded if encoded else encode_and_write)
    os.close(fd)
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bursts", type=int, default=2000, help="how many bursts a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each way (default: %(default)s)")
    chosen = parser.parse_args()
    print(f"{'records a burst':>15} {'journal rec/s':>14} {'µs/record':>10} {'÷ encode+write':>15} {'÷ write':>8}")
    for size in (1, 4, 16, 64, 256):
        bursts = make_bursts(chosen.bursts if size < 64 else chosen.bursts // 4, size)
        best = [float("inf")] * 3
        for _ in range(chosen.rounds):
            with tempfile.TemporaryDirectory() as directory:
                root = Path(directory)
                took = (
                    through_journal(root / "journal", bursts),
                    plain(root / "encoding", bursts, encoded=False),
                    plain(root / "bytes", bursts, encoded=True),
                )
            best = [min(pair) for pair in zip(best, took, strict=True)]
        journal, encoding, writing = best
        records = len(bursts) * size
        print(
            f"{size:>15} {records / journal:>14,.0f} {journal / records * 1e6:>10.2f} "
            f"{journal / encoding:>15.2f} {journal / writing:>8.2f}"
        )


if __name__ == "__main__":
    main()
