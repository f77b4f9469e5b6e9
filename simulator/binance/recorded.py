"""Recorded messages of Binance: the stream that each came on, and the symbols that a tape is about.

It owns this reading alone; whoever subscribed to the stream is then sent the message as it is.
"""

import json

from simulator.tape import TapeVenue

_QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY")


def recorded_symbols(tape: TapeVenue) -> list[str]:
    """The canonical symbols on a tape: known quote currencies are split off."""
    found: dict[str, None] = {}
    for raw in tape.socket_lines():
        stream = (recorded_stream(raw) or ("", b""))[0].partition("@")[0].upper()
        quote = next((quote for quote in _QUOTES if stream.endswith(quote) and stream != quote), None)
        if quote:
            found[f"{stream.removesuffix(quote)}-{quote}"] = None
    return list(found)


def recorded_stream(raw: str) -> tuple[str, bytes] | None:
    """The stream that a recorded message came on, and its text without the envelope."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    stream = body.get("stream")
    if stream is not None:
        start = raw.find('"data":') + len('"data":')
        return stream, raw[start : raw.rstrip().rfind("}")].strip().encode()
    names = {
        "trade": "trade",
        "aggTrade": "aggTrade",
        "bookTicker": "bookTicker",
        "depthUpdate": "depth@100ms",
        "24hrTicker": "ticker",
        "markPriceUpdate": "markPrice",
    }
    name = names.get(body.get("e", ""), "bookTicker" if "u" in body and "e" not in body else None)
    return (f"{body['s'].lower()}@{name}", raw.encode()) if name and "s" in body else None
