"""A Kraken core on a bench, and the messages that its tests share."""

from collections.abc import Sequence

from collector.records import Level
from collector.venues.kraken import KrakenCore
from collector.venues.protocol import Channel, CoreSettings, Wanted
from tests.venues.kit import (
    Bench,
    kraken_ack,
    kraken_book,
    kraken_crc,
    kraken_instruments,
)

BIDS: list[Level] = [(f"{100 - number}.0", "1.00000000") for number in range(10)]
ASKS: list[Level] = [(f"{101 + number}.0", "2.00000000") for number in range(10)]
SNAPSHOT = kraken_book("snapshot", BIDS, ASKS, kraken_crc(BIDS, ASKS))
MISMATCH = kraken_book("update", [("100.0", "5.00000000")], [], 1)


def bench(
    *channels: Channel, instruments: Sequence[str] = ("BTC-USD",), depth: int = 10, listed: Sequence[str] = ("BTC/USD",)
) -> Bench:
    """A core whose streams are subscribed and acknowledged, with nothing said so far."""
    made = Bench(KrakenCore([Wanted(name, channel) for name in instruments for channel in channels],
                            CoreSettings(depth=depth)))  # fmt: skip
    made.connect()
    made.frame(kraken_instruments(*listed))
    for request in made.sent()[1:]:
        for symbol in request["params"]["symbol"]:
            made.frame(kraken_ack(request["params"]["channel"], symbol))
    made.forget()
    return made


def with_book() -> Bench:
    made = bench("book")
    made.frame(SNAPSHOT)
    assert made.state("BTC-USD", "book") == "in_sync"
    made.forget()
    return made


def books(made: Bench) -> list[tuple[str, str]]:
    """What was asked about books since: (method, symbols)."""
    return [(sent["method"], ",".join(sent["params"]["symbol"])) for sent in made.sent() if "symbol" in sent["params"]]


def beating(made: Bench, seconds: float) -> None:
    """Let time pass on a connection that sends heartbeats and nothing else."""
    for _ in range(int(seconds)):
        made.wait(1)
        made.frame({"channel": "heartbeat"})
