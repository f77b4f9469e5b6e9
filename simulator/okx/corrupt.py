"""How OKX's messages may be corrupted.

It owns this table and nothing else. A type error makes an id or time that is a number or a text something else; a
sequence error moves ids by 1000; a digit error changes the last digit of the first size or rate.
"""

import re
from collections.abc import Callable

from simulator.frames import (
    BOOK,
    CANDLES,
    FUNDING,
    INSTRUMENTS,
    LIQUIDATIONS,
    OPEN_INTEREST,
    QUOTES,
    STATUS,
    TICKERS,
    TRADES,
    Frame,
)

UNKNOWN = b'{"arg":{"channel":"simulated-unknown-channel","instId":"NONE"},"data":[{"ts":"1767225600000"}]}'


def _shift(match: "re.Match[bytes]") -> bytes:
    return match[1] + str(int(match[2]) + 1000).encode()


def _worded(match: "re.Match[bytes]") -> bytes:
    return match[1] + b'"x' + match[2] + b'"'


def _prefixed(match: "re.Match[bytes]") -> bytes:
    return match[1] + b"x" + match[2]


def _next_digit(match: "re.Match[bytes]") -> bytes:
    return match[1] + str(int(match[2]) % 9 + 1).encode()  # never 0, which would be no text of OKX's


_Edit = tuple["re.Pattern[bytes]", Callable[["re.Match[bytes]"], bytes], int]

_SEQ = re.compile(rb'("(?:prevSeqId|seqId)":)(\d+)')
_LEVEL = re.compile(rb'(\["[0-9.]+","[0-9.]*)([0-9])(?=","0",")')
_TIME = re.compile(rb'("ts":")(\d+)')

# (channel, how) -> what is found, what stands there instead, how often.
EDITS: dict[tuple[str, str], _Edit] = {
    (BOOK, "type"): (re.compile(rb'("seqId":)(\d+)'), _worded, 1),
    (BOOK, "sequence"): (_SEQ, _shift, 2),
    (BOOK, "digit"): (_LEVEL, _next_digit, 1),
    (QUOTES, "type"): (re.compile(rb'("seqId":)(\d+)'), _worded, 1),
    (QUOTES, "digit"): (_LEVEL, _next_digit, 1),
    (TRADES, "type"): (re.compile(rb'("tradeId":")(\d+)'), _prefixed, 1),
    (TRADES, "sequence"): (re.compile(rb'("tradeId":")(\d+)'), _shift, 1),
    (TRADES, "digit"): (re.compile(rb'("sz":"[0-9.]*)([0-9])(?=")'), _next_digit, 1),
    (TICKERS, "type"): (_TIME, _prefixed, 1),
    (TICKERS, "digit"): (re.compile(rb'("last":"[0-9.]*)([0-9])(?=")'), _next_digit, 1),
    (CANDLES, "type"): (re.compile(rb'(\[\[")(\d+)'), _prefixed, 1),
    (CANDLES, "digit"): (re.compile(rb'(\[\["\d+","[0-9.]*)([0-9])(?=")'), _next_digit, 1),
    (INSTRUMENTS, "type"): (re.compile(rb'("tickSz":")([0-9.]+)'), _prefixed, 1),
    (INSTRUMENTS, "digit"): (re.compile(rb'("tickSz":"[0-9.]*)([0-9])(?=")'), _next_digit, 1),
    (STATUS, "type"): (re.compile(rb'("begin":")(\d+)'), _prefixed, 1),
    (STATUS, "digit"): (re.compile(rb'("begin":"\d*)([0-9])(?=")'), _next_digit, 1),
    (FUNDING, "type"): (_TIME, _prefixed, 1),
    (FUNDING, "digit"): (re.compile(rb'("(?:fundingRate|markPx)":"[-0-9.]*)([0-9])(?=")'), _next_digit, 1),
    (OPEN_INTEREST, "type"): (_TIME, _prefixed, 1),
    (OPEN_INTEREST, "digit"): (re.compile(rb'("oi":"[0-9.]*)([0-9])(?=")'), _next_digit, 1),
    (LIQUIDATIONS, "type"): (_TIME, _prefixed, 1),
    (LIQUIDATIONS, "digit"): (re.compile(rb'("sz":"[0-9.]*)([0-9])(?=")'), _next_digit, 1),
}


def corrupt(frame: Frame, how: str) -> bytes:
    """The frame's payload, broken as `how` says; `json` cuts it in half."""
    if how == "json":
        return frame.payload[: len(frame.payload) // 2]
    pattern, edit, times = EDITS[frame.channel, how]
    return pattern.sub(edit, frame.payload, count=times)
