"""Numbers and times as the exchanges write them.

It owns the only place where an integer becomes wire text. It must never see a float: prices are counted in ticks and
sizes in lots, so that a text and its number are the same thing and trailing zeros are kept.
"""

from datetime import UTC, datetime

_MICROS = 1_000_000
_seconds: dict[int, str] = {}
_SECONDS_KEPT = 256


def decimal_text(value: int, decimals: int) -> str:
    """`value` counted in units of ten to the minus `decimals`, with all its decimals: (12, 3) is 0.012."""
    if decimals == 0:
        return str(value)
    if value < 0:
        return f"-{decimal_text(-value, decimals)}"
    digits = str(value)
    if len(digits) <= decimals:
        digits = digits.zfill(decimals + 1)
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def iso_micros(ts_us: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, with six decimals, as Kraken writes times."""
    second, micros = divmod(ts_us, _MICROS)
    prefix = _seconds.get(second)
    if prefix is None:
        if len(_seconds) >= _SECONDS_KEPT:
            _seconds.clear()
        prefix = _seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{prefix}.{micros:06d}Z"


def iso_nanos(ts_us: int) -> str:
    """The same with nine decimals."""
    return f"{iso_micros(ts_us)[:-1]}000Z"
