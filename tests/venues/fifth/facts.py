"""What the fifth exchange is, as data. It exists nowhere: it is the walk of docs/adding-a-venue.md, walked.

In a real venue each number has the exchange's page beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.venues.protocol import Endpoint, Facts, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.records import InstrumentStatus

PAGE = "https://example.org/docs"

FACTS = Facts(
    venue="fifth",
    market="spot",
    ws_urls=("wss://stream.example.org",),
    endpoints=(Endpoint("/stream", ("trades", "quotes", "book")),),
    rest_urls=("https://api.example.org",),
    pool=Pool(name="fifth", limit=10, interval_s=1.0),
    control_per_s=5.0,
    connects=(60, 60.0),
    streams_per_connection=100,
    max_frame_bytes=1024 * 1024,
    lifetime_s=None,
    docs=(PAGE,),
)
MESSAGE_DEADLINE_S = 10.0
LISTING_EVERY_S = 300.0
STATES: Mapping[str, InstrumentStatus] = {"open": "trading", "closed": "halted"}


def throttle_seconds(status: int, headers: Mapping[str, str], body: bytes) -> float | None:
    """Give how long the whole pool must rest after this answer, or None."""
    del headers, body
    return 5.0 if status == 429 else None
