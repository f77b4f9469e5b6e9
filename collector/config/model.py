"""Every setting of the collector: its name, type, limits, default and what it means.

The structs are the single source: loading, error messages, `marketprism init` and docs/configuration.md are all made
from them. They hold plain values (bytes, seconds, paths) and no behaviour beyond looking one up. Every key has a
default, and null means that default.
"""

from __future__ import annotations

import hashlib
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct

from collector.config import kinds
from collector.config.kinds import GIB, KIB, MIB, TIB, Kind
from collector.venues.protocol import CHANNELS, Channel

DEFAULT_INSTRUMENTS = ("BTC-USDT", "ETH-USDT", "BTC-USD", "ETH-USD")
DAY, HOUR = 86400.0, 3600.0
Environ = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of one key. `default_from` makes a default that depends on the machine, `default_text` says it."""

    kind: Kind
    doc: str
    default_from: Callable[[Environ], object] | None = None
    default_text: str | None = None


def data_directory(environ: Environ) -> Path:
    """The platform's directory for a user's data, for MarketPrism."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "marketprism"
    xdg = environ.get("XDG_DATA_HOME", "")
    # the XDG base directory specification: a relative path is to be ignored
    base = Path(xdg) if xdg.startswith("/") else home / ".local" / "share"
    return base / "marketprism"


def _journal_directory(environ: Environ) -> Path:
    return data_directory(environ) / "journal"


_BINANCE_INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
_KRAKEN_INTERVALS = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
_DEPTH = "Book levels a side that are published."


def _interval(*valid: str) -> Option:
    return Option(kinds.choice(*valid), "Length of candles.")


class _Venue(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be set of every venue."""

    enabled: Annotated[bool, Option(kinds.boolean(), "Collect from this venue.")] = True
    instruments: Annotated[
        tuple[str, ...] | None,
        Option(kinds.instruments(), "Instruments of this venue.", default_text="the general list"),
    ] = None
    channels: Annotated[
        tuple[Channel, ...] | None,
        Option(
            kinds.channels(*CHANNELS),
            "Channels of this venue; what it does not have is left out.",
            default_text="the general list",
        ),
    ] = None
    ws_url: Annotated[
        str | None,
        Option(kinds.url("ws", "wss"), "Base of the WebSocket address.", default_text="the venue's own"),
    ] = None
    rest_url: Annotated[
        str | None,
        Option(kinds.url("http", "https"), "Base of the REST address.", default_text="the venue's own"),
    ] = None


class Binance(_Venue, frozen=True, kw_only=True, omit_defaults=True):
    """Binance spot."""

    depth: Annotated[
        int,
        Option(
            kinds.integer(1, 5000),
            f"{_DEPTH} Up to 1000 costs 50 of the REST budget a sync, more 250.",
        ),
    ] = 1000
    trade_stream: Annotated[
        Literal["trade", "aggTrade"],
        Option(
            kinds.choice("trade", "aggTrade"),
            "Single trades, or fills of one order at one price as one; a record says which.",
        ),
    ] = "trade"
    candle_interval: Annotated[str, _interval(*_BINANCE_INTERVALS)] = "1m"


class BinanceUsdm(_Venue, frozen=True, kw_only=True, omit_defaults=True):
    """Binance USDⓈ-M perpetuals."""

    depth: Annotated[
        int,
        Option(kinds.integer(1, 1000), f"{_DEPTH} Up to 500 costs 10 of the REST budget a sync, more 20."),
    ] = 1000
    candle_interval: Annotated[str, _interval(*_BINANCE_INTERVALS)] = "1m"


class Okx(_Venue, frozen=True, kw_only=True, omit_defaults=True):
    """OKX spot."""

    depth: Annotated[int, Option(kinds.integer(1, 400), _DEPTH)] = 400
    candle_interval: Annotated[str, _interval(*_BINANCE_INTERVALS[:8], "12h", "1d")] = "1m"


class OkxSwap(Okx, frozen=True, kw_only=True, omit_defaults=True):
    """OKX perpetuals (swaps). Sizes count contracts; a record says what one is worth."""


class Coinbase(_Venue, frozen=True, kw_only=True, omit_defaults=True):
    """Coinbase Advanced Trade."""

    depth: Annotated[int, Option(kinds.integer(1, 5000), _DEPTH)] = 1000
    candle_interval: Annotated[str, _interval("5m")] = "5m"


class Kraken(_Venue, frozen=True, kw_only=True, omit_defaults=True):
    """Kraken, WebSocket API v2."""

    depth: Annotated[int, Option(kinds.integer_of(10, 25, 100, 500, 1000), "Book levels a side to subscribe to.")] = (
        1000
    )
    candle_interval: Annotated[str, _interval(*_KRAKEN_INTERVALS)] = "1m"


Venue = Binance | BinanceUsdm | Okx | OkxSwap | Coinbase | Kraken


class Venues(Struct, frozen=True, kw_only=True):
    """The exchanges."""

    binance: Binance
    binance_usdm: BinanceUsdm
    okx: Okx
    okx_swap: OkxSwap
    coinbase: Coinbase
    kraken: Kraken


class Tls(Struct, frozen=True, kw_only=True):
    """Certificates are always verified."""

    ca_file: Annotated[
        Path | None,
        Option(
            kinds.certificates(),
            "Further certificate authorities to trust (PEM), beside the system's.",
            default_text="none",
        ),
    ] = None


class Journal(Struct, frozen=True, kw_only=True):
    """The files that every record is written to first."""

    directory: Annotated[
        Path,
        Option(
            kinds.path(),
            "Where the segments are. Created when absent, readable by the owner alone.",
            default_from=_journal_directory,
            default_text="`~/.local/share/marketprism/journal` (under `XDG_DATA_HOME` where set); "
            "on macOS `~/Library/Application Support/marketprism/journal`",
        ),
    ]
    segment_bytes: Annotated[int, Option(kinds.size(64 * KIB, 16 * GIB), "A new segment is begun at this size,")] = (
        64 * MIB
    )
    segment_age: Annotated[float, Option(kinds.duration(1, 7 * DAY), "or at this age.")] = HOUR
    retain_age: Annotated[
        float, Option(kinds.duration(60, 3650 * DAY), "A segment is deleted when this long was not written to.")
    ] = 7 * DAY
    retain_bytes: Annotated[
        int, Option(kinds.size(MIB, 1024 * TIB), "The oldest segments are deleted above this total.")
    ] = 20 * GIB
    reserve_bytes: Annotated[
        int | None,
        Option(
            kinds.size(0, 1024 * TIB),
            "Writing stops while the file system has less free space than this. Nothing is deleted for it.",
            default_text="the smaller of 1 GiB and 5 % of the file system",
        ),
    ] = None
    sync_every: Annotated[
        float, Option(kinds.duration(0.01, 60), "How often written records are made safe against power loss.")
    ] = 1.0


class DeadLetters(Struct, frozen=True, kw_only=True):
    """Messages that could not be decoded, kept as they came; `marketprism replay` reads the file."""

    file: Annotated[
        Path | None, Option(kinds.path(), "The file.", default_text="`dead-letters.jsonl` in the journal's directory")
    ] = None
    max_bytes: Annotated[
        int, Option(kinds.size(64 * KIB, GIB), "Its largest size; one older generation of the same size is kept.")
    ] = 16 * MIB


class Record(Struct, frozen=True, kw_only=True):
    """Raw input, recorded beside the normal run."""

    tape: Annotated[
        Path | None,
        Option(
            kinds.path(),
            "Also write every message received to this new tape; grows without limit.",
            default_text="no tape",
        ),
    ] = None


class Web(Struct, frozen=True, kw_only=True):
    """/live, /ready, /health and /metrics. They have no login: keep them on this host or a private network."""

    host: Annotated[
        str, Option(kinds.text(r"[A-Za-z0-9.:_-]{1,253}", "a host name or IP address"), "Address to listen on.")
    ] = "127.0.0.1"
    port: Annotated[int, Option(kinds.integer(0, 65535), "Port to listen on; 0 takes any free one.")] = 8080


class Log(Struct, frozen=True, kw_only=True):
    """Logs go to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Option(kinds.choice("debug", "info", "warning", "error"), "The least level that is written."),
    ] = "info"
    style: Annotated[
        Literal["auto", "json", "console"],
        Option(kinds.choice("auto", "json", "console"), "auto: readable on a terminal, JSON lines elsewhere."),
    ] = "auto"


class Config(Struct, frozen=True, kw_only=True):
    """The whole configuration."""

    instance_id: Annotated[
        str,
        Option(
            kinds.text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "1 to 63 letters, digits, dots, dashes or underscores"),
            "Name of this collector among others; the same after a restart.",
            default_text="the host's name and a hash of the journal's directory",
        ),
    ] = ""
    instruments: Annotated[
        tuple[str, ...],
        Option(
            kinds.instruments(),
            "What to collect, on every venue that lists it. USD, USDT and USDC are different currencies.",
        ),
    ] = DEFAULT_INSTRUMENTS
    channels: Annotated[
        tuple[Channel, ...],
        Option(
            kinds.channels(*CHANNELS),
            "What to collect of them, where the venue has it: trades, best bid and ask (quotes), 24 h statistics "
            "(tickers), order book (book), candles, instruments, the venue's status, and of perpetuals funding, "
            "open_interest and liquidations.",
        ),
    ] = CHANNELS
    venues: Venues
    tls: Tls
    journal: Journal
    dead_letters: DeadLetters
    record: Record
    web: Web
    log: Log

    def enabled_venues(self) -> dict[str, Venue]:
        """Venues to collect from, by name."""
        every: dict[str, Venue] = {name: getattr(self.venues, name) for name in self.venues.__struct_fields__}
        return {name: venue for name, venue in every.items() if venue.enabled}

    def dead_letters_file(self) -> Path:
        """Where undecodable messages go."""
        return self.dead_letters.file or self.journal.directory / "dead-letters.jsonl"


def default_instance_id(journal_directory: Path, host: str | None = None) -> str:
    """A name that survives restarts and differs between two journals of one host."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "-" for c in host or socket.gethostname())
    digest = hashlib.sha256(str(journal_directory).encode()).hexdigest()[:8]
    return f"{(name.strip('.-_') or 'host')[:54]}-{digest}"
