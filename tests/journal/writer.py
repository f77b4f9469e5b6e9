"""A collector in miniature that the kill tests kill: it writes books and trades as fast as it can and prints what was
accepted.

Run with a journal's directory and a seed. Line by line it prints how many records the journal has accepted and how many
are durable; each number was true before it was printed.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from collector.clock import system_clock
from collector.journal import Journal, JournalSettings, restart_gaps
from tests.journal.kit import Heard, Market, trade


def main(directory: str, seed: str) -> None:
    settings = JournalSettings(directory=Path(directory), segment_bytes=60_000, sync_every_s=0.005, reserve_bytes=0)
    journal = Journal(settings, system_clock, Heard())
    rng = random.Random(int(seed))
    journal.append(restart_gaps(journal.open(), system_clock()))
    market = Market(int(seed))
    journal.append([market.snapshot("sync")])
    number = 0
    while True:
        burst = [market.delta() for _ in range(rng.randrange(1, 40))]
        journal.append([*burst, *(trade(number + more) for more in range(5))])
        number += 5
        journal.tend(system_clock())
        if journal.due:
            journal.rotate([market.snapshot()])
        os.write(1, f"{journal.accepted} {journal.durable}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
