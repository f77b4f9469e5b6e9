"""How Coinbase's messages may be corrupted.

It owns this table and nothing else. A type error makes the sequence number or the first id a text that is none; a
sequence error puts 1000 before the number; a digit error changes the last digit of the first size.
"""

import re
from collections.abc import Callable

from simulator.frames import BOOK, CANDLES, INSTRUMENTS, MARK, QUOTES, TICKERS, TRADES, Frame

UNKNOWN = (
    b'{"channel":"simulated_unknown_channel","client_id":"","timestamp":"2026-01-01T00:00:00.000000000Z",'
    b'"sequence_num":' + MARK + b',"events":[]}'
)


def _worded(match: "re.Match[bytes]") -> bytes:
    return match[1] + b'"x' + match[2] + b'"'


def _ahead(match: "re.Match[bytes]") -> bytes:
    return match[1] + b"1000" + match[2]


def _next_digit(match: "re.Match[bytes]") -> bytes:
    return match[1] + str(int(match[2]) % 9 + 1).encode()  # never 0: sizes have no trailing zeros


_Edit = tuple["re.Pattern[bytes]", Callable[["re.Match[bytes]"], bytes]]

_NUMBER = re.compile(rb'("sequence_num":)(' + re.escape(MARK) + b")")
_FIELDS = {
    BOOK: rb'("new_quantity":"[0-9.]*)([0-9])(?=")',
    TRADES: rb'("size":"[0-9.]*)([0-9])(?=")',
    QUOTES: rb'("best_bid_quantity":"[0-9.]*)([0-9])(?=")',
    TICKERS: rb'("price":"[0-9.]*)([0-9])(?=")',
    CANDLES: rb'("close":"[0-9.]*)([0-9])(?=")',
    INSTRUMENTS: rb'("base_increment":"[0-9.]*)([0-9])(?=")',
}

# (channel, how) -> what is found (once), what stands there instead.
EDITS: dict[tuple[str, str], _Edit] = {
    **{(channel, "digit"): (re.compile(pattern), _next_digit) for channel, pattern in _FIELDS.items()},
    **{(channel, "sequence"): (_NUMBER, _ahead) for channel in _FIELDS},
    **{(channel, "type"): (_NUMBER, _worded) for channel in _FIELDS},
}


def corrupt(frame: Frame, how: str) -> bytes:
    """The frame's payload, broken as `how` says; `json` cuts it in half."""
    if how == "json":
        return frame.payload[: len(frame.payload) // 2]
    pattern, edit = EDITS[frame.channel, how]
    return pattern.sub(edit, frame.payload, count=1)
