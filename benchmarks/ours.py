"""Reader A: this collector, whole, as `marketprism run` starts it, measured from inside.

It owns a configuration for the player's address and a temporary journal, and reads the collector's own cells. Nothing
is left out: the service, its journal with syncs, the cells, the log, /health.

    python -m benchmarks.ours '{"port": …, "ca_file": …, "instruments": […], "start": …, "sent": {…}}'
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import msgspec
import yaml

from benchmarks.measure import measure
from benchmarks.results import HOST, Offer, Result, result, say
from benchmarks.tape import KINDS, Kind
from collector.config import load
from collector.config.model import Venues
from collector.service.app import Service
from collector.web.server import bind

AT = {"venue": "binance", "market": "spot"}
RECORDS: dict[Kind, str] = {"trades": "Trade", "quotes": "Quote", "book": "BookDelta"}


async def read(offer: Offer) -> Result:
    """Collect the whole tape and stop as by SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="marketprism-bench-") as directory:
        service = Service(load(_configuration(offer, Path(directory)), {}))
        serving = asyncio.ensure_future(service.serve(bind(HOST, 0)))
        counter = service.metrics.counter
        received = [counter("marketprism.messages.received").cell(channel=kind, **AT) for kind in KINDS]
        measuring = asyncio.ensure_future(
            measure(lambda: sum(cell.n for cell in received), offer.start, sum(offer.sent.values()))
        )
        await asyncio.wait({serving, measuring}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            measuring.cancel()
            raise RuntimeError(f"the collector ended by itself: {serving.exception() or serving.result()}")
        written = counter("marketprism.records.written")
        gaps = written.cell(record_type="Gap", **AT).n  # before the end, which opens one for every stream
        os.kill(os.getpid(), signal.SIGTERM)
        code = await serving
    accepted, durable, dropped = (
        sum(cell.n for cell in counter(f"marketprism.journal.records.{name}").cells.values())
        for name in ("accepted", "durable", "dropped")
    )
    published = sum(cell.n for cell in written.cells.values())
    # Every segment begins with a snapshot of each book, which is accepted and never was published.
    bad = code or dropped or gaps or accepted != durable or accepted < published
    wrong = f"exit {code}; {published} records, {accepted} accepted, {durable} durable, {dropped} dropped, {gaps} gaps"
    made = {kind: written.cell(record_type=record, **AT).n for kind, record in RECORDS.items()}
    return result(measuring.result(), made, wrong if bad else "")


def _configuration(offer: Offer, directory: Path) -> Path:
    """Write the file: defaults, but for the addresses, what the tape has, aggTrade (as in cryptofeed), and the log."""
    host = f"{HOST}:{offer.port}"
    binance = {"ws_url": f"wss://{host}", "rest_url": f"https://{host}", "trade_stream": "aggTrade"}
    path = directory / "marketprism.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "instruments": offer.instruments,
                "channels": list(RECORDS),
                "venues": {**{venue: {"enabled": False} for venue in Venues.__struct_fields__}, "binance": binance},
                "tls": {"ca_file": offer.ca_file},
                "journal": {"directory": str(directory / "journal")},
                "log": {"level": "error"},
            }
        )
    )
    return path


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        say(loop.run(read(msgspec.json.decode(sys.argv[1], type=Offer))))
