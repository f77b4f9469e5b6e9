"""Reader B: cryptofeed 2.4, with callbacks that count and do nothing else.

It owns the addresses and the environment that make cryptofeed trust the player, and changes nothing else: its own
defaults (uvloop, `websockets`, its C order book), the same channels of the same instruments, one connection. Nothing is
encoded or stored, which is less than this collector does.

    python -m benchmarks.theirs '{"port": …, "ca_file": …, "instruments": […], "start": …, "sent": {…}}'
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter

import msgspec

from benchmarks.measure import measure
from benchmarks.results import HOST, Offer, Result, result, say
from benchmarks.tape import Kind


async def read(offer: Offer) -> Result:
    """Read the whole tape."""
    # Both read the environment when they are imported or make their first connection.
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = offer.ca_file
    from cryptofeed import FeedHandler  # noqa: PLC0415
    from cryptofeed.connection import RestEndpoint, WebsocketEndpoint  # noqa: PLC0415
    from cryptofeed.defines import L2_BOOK, TICKER, TRADES  # noqa: PLC0415
    from cryptofeed.exchanges import Binance  # noqa: PLC0415

    counts: Counter[Kind] = Counter()

    async def trade(_: object, _receipt: float) -> None:
        counts["trades"] += 1

    async def ticker(_: object, _receipt: float) -> None:
        counts["quotes"] += 1

    async def book(_: object, _receipt: float) -> None:
        counts["book"] += 1

    host = f"{HOST}:{offer.port}"
    Binance.websocket_endpoints = [WebsocketEndpoint(f"wss://{host}")]
    Binance.rest_endpoints = [RestEndpoint(f"https://{host}", routes=Binance.rest_endpoints[0].routes)]
    config = {"uvloop": True, "log": {"disabled": True}}
    handler = FeedHandler(config=config)
    feed = Binance(
        config=config,
        symbols=offer.instruments,
        channels=[L2_BOOK, TRADES, TICKER],
        callbacks={L2_BOOK: book, TRADES: trade, TICKER: ticker},
    )
    handler.add_feed(feed)
    handler.run(start_loop=False, install_signal_handlers=False)
    (connection,) = (one.conn for one in feed.connection_handlers)
    reading = await measure(lambda: int(connection.received), offer.start, sum(offer.sent.values()))
    await handler.stop_async()
    counts["book"] -= len(offer.instruments)  # each book's snapshot is a callback too
    return result(reading, dict(counts))


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        say(loop.run(read(msgspec.json.decode(sys.argv[1], type=Offer))))
