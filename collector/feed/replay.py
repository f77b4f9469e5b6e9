"""Replay: recorded frames through the very same cores as live, records as JSON lines to stdout, the verdict summary to
stderr.

One core per (exchange, market, run), runs one after the other, in the order in which they first appear; a line without
`run` is a connection of its own. Lines of one run are merged by receive time, else by `n`. A tape of `record` is obeyed
input by input. A foreign tape only holds what was received: `Send` is ignored, `Reconnect` counted, and a `Fetch`
answered by the first unused REST line of the same endpoint and symbol at or after its time, at that line's place (a
listing may also come from an earlier line); otherwise it fails as "not on tape", from which a core concludes nothing.
What no core asks for, or no venue of ours speaks, is counted by name.
Two replays of a tape are byte-identical: nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec

from collector.clock import Now
from collector.feed.summary import Summary
from collector.feed.tape import Closed, Place, RunStart, TapeError, TapeLine, body, read_tape
from collector.quality.candles import interval_us
from collector.records import encode_lines
from collector.venues import BY_MARKET
from collector.venues.protocol import STATUS_NOT_ON_TAPE, Answer, CoreSettings, Fetch, Reconnect, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.records import Market
    from collector.venues.protocol import Core

SPOKEN_MARKETS: Mapping[str, Market] = {"spot": "spot", "perp": "perp", "usdm-futures": "perp", "swap": "perp"}
"""A tape's market names → ours; others are counted as not spoken."""
OK = 200
LATEST_S = 1e11
"""No receive time is later: beyond it are milliseconds that somebody wrote as seconds."""
NAMING = ("symbol", "pair", "instId", "product_id")
"""Parameters of a request that say what it is about; others (a limit, say) may differ from what we would have asked."""
SHUTDOWN = "shutdown"
"""The cause of a disconnect when the recording collector was stopped."""
MOST_WAKES = 3_600
"""Wakes between two lines: a tape whose time jumps by years is not lived through second by second."""
CONTROLS = ("connected", "disconnected", "wake")
"""Control lines after a run's start."""
NOT_ON_TAPE = Answer(STATUS_NOT_ON_TAPE, b"", "", "not on tape")


@dataclass(slots=True)
class Line:
    """A tape line with its place and time."""

    place: Place
    line: TapeLine
    given: bool = False
    """Whether it answered a request."""
    used: bool = False
    """Whether it may not answer another one."""

    @property
    def wall_us(self) -> int | None:
        """Receive time, µs."""
        return None if self.line.recv_ts is None else round(self.line.recv_ts * 1e6)


@dataclass(slots=True)
class Run:
    """The lines of one core."""

    venue: str
    market: Market
    name: str
    lines: list[Line] = field(default_factory=list)


def replay(
    paths: Sequence[Path], out: IO[bytes], err: IO[str], *, strict: bool = False, tolerate_torn: bool = False
) -> int:
    """Replay tapes as one. Gives 0, or with `strict` 1 on any gap, mismatch, undecodable line or book that is not in
    sync at its end.

    Raises TapeError before the first record when a tape is unusable.
    """
    summary = Summary()
    play(paths, out, summary, tolerate_torn=tolerate_torn)
    summary.write(err)
    return 1 if strict and summary.findings else 0


def play(paths: Sequence[Path], out: IO[bytes], summary: Summary, *, tolerate_torn: bool = False) -> None:
    """Replay tapes as one: records to `out`, everything else to `summary`. Raises TapeError as `replay` does."""
    lines = [Line(place, line) for path in paths for place, line in read_tape(path, tolerate_torn=tolerate_torn)]
    for line in lines:
        try:
            body(line.line)
        except TapeError as error:
            raise TapeError(f"{line.place}: {error}; expected base64, the one encoding of a tape") from error
        if not 0 <= (line.line.recv_ts or 0) < LATEST_S:
            raise TapeError(f"{line.place}: recv_ts {line.line.recv_ts} is no time; expected UTC seconds")
    for run, core in [(run, _core(run)) for run in _runs(lines, summary)]:
        player = _Player(run, core, out, summary)
        if run.lines[0].line.transport == "control":
            player.own()
        else:
            player.foreign()
    out.flush()


def _runs(lines: Sequence[Line], summary: Summary) -> list[Run]:
    runs: dict[tuple[str, Market, str], Run] = {}
    for at, line in enumerate(lines):
        market = SPOKEN_MARKETS.get(line.line.market)
        if market is None or (line.line.exchange, market) not in BY_MARKET:
            summary.not_spoken[f"{line.line.exchange} {line.line.market} {line.line.channel}"] += 1
            continue
        name = f"#{at}" if line.line.run is None else line.line.run
        run = runs.setdefault((line.line.exchange, market, name), Run(line.line.exchange, market, name))
        run.lines.append(line)
    for run in runs.values():
        if run.lines[0].line.mono_ns is not None:
            continue  # a tape of ours stands in the order of its inputs
        if all(line.line.recv_ts is not None for line in run.lines):
            run.lines.sort(key=lambda line: line.line.recv_ts or 0.0)
        elif all(line.line.n is not None for line in run.lines):
            run.lines.sort(key=lambda line: line.line.n or 0)
    return list(runs.values())


def _core(run: Run) -> Core:
    """Make the run's core. Raises TapeError when the run cannot be played."""
    controls = [entry for entry in run.lines if entry.line.transport == "control"]
    if not controls:
        venue = BY_MARKET[run.venue, run.market]
        return venue.make_core((), CoreSettings(open_world=True), venue.facts)
    core = _recorded_core(run)
    for entry in controls[1:]:
        if entry.line.channel not in CONTROLS:
            raise TapeError(
                f"{entry.place}: unknown control line {entry.line.channel!r}; expected one of {', '.join(CONTROLS)}"
            )
        if entry.line.channel == "disconnected":
            _cause(entry)
    return core


def _cause(entry: Line) -> str:
    try:
        return msgspec.json.decode(entry.line.raw, type=Closed).cause
    except (msgspec.DecodeError, RecursionError) as error:
        raise TapeError(f"{entry.place}: a disconnected line must tell its cause: {error}") from error


def _recorded_core(run: Run) -> Core:
    first = run.lines[0]
    if (first.line.transport, first.line.channel) != ("control", "start"):
        raise TapeError(f"{first.place}: a recorded run must begin with a start line")
    try:
        start = msgspec.json.decode(first.line.raw, type=RunStart)
        settings = msgspec.convert(start.settings, CoreSettings)
        wanted = [msgspec.convert({"instrument": name, "channel": channel}, Wanted) for name, channel in start.wanted]
    except (msgspec.DecodeError, RecursionError) as error:
        raise TapeError(f"{first.place}: a recorded run must begin with a start line: {error}") from error
    venue = BY_MARKET[run.venue, run.market]
    try:
        interval_us(settings.candle_interval)
        return venue.make_core(wanted, settings, venue.facts)
    except (KeyError, ValueError) as error:
        raise TapeError(f"{first.place}: no core can be made of this start line: {error}") from error


class _Player:
    """Drives one core over one run."""

    def __init__(self, run: Run, core: Core, out: IO[bytes], summary: Summary) -> None:
        self._run = run
        self._core = core
        self._out = out
        self._summary = summary
        self._waiting: deque[Fetch] = deque()
        self._due: dict[int, Fetch] = {}
        self._at = 0
        self._start_us: int | None = None
        self._mono_ns = 1
        self._answers = [at for at, entry in enumerate(run.lines) if entry.line.transport == "rest"]

    # -- tapes of ours
    # --------------------------------------------------------------------------------------------------------

    def own(self) -> None:
        """Obey a recorded run input by input."""
        core = self._core
        asked: dict[int, Fetch] = {}
        cause = ""
        for entry in self._run.lines[1:]:
            line = entry.line
            now = Now(line.mono_ns or 0, entry.wall_us)
            if line.transport == "ws":
                self._frame(entry, now)
            elif line.transport == "rest":
                fetch = asked.pop(line.fetch or 0, None)
                if fetch is None:
                    raise TapeError(f"{entry.place}: answers request {line.fetch}, which this run never made")
                core.reply(fetch, Answer(line.status or 0, body(line), line.request or "", line.error or ""), now)
            elif line.channel == "connected":
                core.connected(now)
            elif line.channel == "disconnected":
                cause = _cause(entry)
                if cause == SHUTDOWN:
                    self._summary.end(core, self._run.name, entry.place)
                core.disconnected(now, cause)
            else:
                core.wake(now)
            # An orderly stop ends every recording, and is not the data's fault: what it cuts off is no finding.
            fetches = self._drain(entry, findings=cause != SHUTDOWN)
            asked.update((fetch.id, fetch) for fetch in fetches)
        if cause != SHUTDOWN:
            self._summary.end(core, self._run.name, self._run.lines[-1].place)

    # -- tapes of others
    # ------------------------------------------------------------------------------------------------------

    def foreign(self) -> None:
        """Feed what somebody received; see the module's docstring for what a tape can and cannot answer."""
        lines = self._run.lines
        # The connection is as old as its first message: what was fetched long before is no silence of the venue's.
        self._at = next((at for at, entry in enumerate(lines) if entry.line.transport == "ws"), 0)
        first, now = lines[self._at], self._now(lines[self._at])
        self._core.connected(now)
        self._settle(first, now)
        for at, entry in enumerate(lines[self._at :], self._at):
            self._at = at
            now = self._now(entry)
            self._wake_until(entry, now)
            if entry.line.transport == "ws":
                self._frame(entry, now)
            elif at in self._due:
                self._answer(self._due.pop(at), entry, now)
            self._settle(entry, now)
        self._summary.end(self._core, self._run.name, lines[-1].place)
        for at in self._answers:
            if not lines[at].given:
                self._summary.unused[f"{self._run.venue} {self._run.market} {lines[at].line.channel}"] += 1

    def _now(self, entry: Line) -> Now:
        """Give the line's time. Time never goes back, and stands still where a line does not tell it."""
        wall = entry.wall_us
        if wall is not None:
            if self._start_us is None:
                self._start_us = wall
            self._mono_ns = max(self._mono_ns, (wall - self._start_us) * 1_000 + 1)
        return Now(self._mono_ns, wall)

    def _wake_until(self, entry: Line, now: Now) -> None:
        """Let the deadlines before this line pass. Without receive times no time passes."""
        if now.wall_us is None or self._start_us is None:
            return
        for wakes in range(MOST_WAKES + 1):
            if self._core.deadline >= now.mono_ns:
                return
            at = max(self._core.deadline, 1) if wakes < MOST_WAKES else now.mono_ns
            self._core.wake(Now(at, self._start_us + at // 1_000))
            self._settle(entry, Now(at, self._start_us + at // 1_000))

    def _settle(self, entry: Line, now: Now) -> None:
        """Drain, and answer what can be answered at once: from an earlier listing, or with "not on tape"."""
        fetches = deque(self._drain(entry))
        while fetches:
            fetch = fetches.popleft()
            found = self._find(fetch)
            if found is None:
                self._core.reply(fetch, NOT_ON_TAPE, now)
            elif found <= self._at:
                self._answer(fetch, self._run.lines[found], now)
            else:
                self._due[found] = fetch
            fetches.extend(self._drain(entry))

    def _find(self, fetch: Fetch) -> int | None:
        """Give the index of the REST line that answers: at or after now (a listing also before)."""
        listing = fetch.symbol is None
        for at in self._answers:
            entry = self._run.lines[at]
            if entry.used or at in self._due or (at < self._at and not listing):
                continue
            if _answers(entry.line, fetch):
                return at
        return None

    def _answer(self, fetch: Fetch, entry: Line, now: Now) -> None:
        entry.given, entry.used = True, fetch.symbol is not None
        self._core.reply(fetch, Answer(entry.line.status or OK, body(entry.line), entry.line.request or ""), now)

    # -- both
    # -----------------------------------------------------------------------------------------------------------------

    def _frame(self, entry: Line, now: Now) -> None:
        data = body(entry.line)
        binary = entry.line.channel == "binary" and entry.line.encoding is not None
        kind = self._core.binary(data, now) if binary else self._core.frame(data, now)
        self._summary.frames[f"{self._run.venue} {self._run.market} {kind}"] += 1

    def _drain(self, entry: Line, *, findings: bool = True) -> list[Fetch]:
        out = self._core.out
        if out.records:
            self._out.write(encode_lines(out.records))
        self._summary.take(self._run.venue, self._run.market, out, entry.place, findings=findings)
        fetches = [command for command in out.commands if isinstance(command, Fetch)]
        self._summary.reconnects += sum(1 for command in out.commands if isinstance(command, Reconnect))
        out.clear()
        return fetches


def _answers(line: TapeLine, fetch: Fetch) -> bool:
    if line.request is None:
        return False
    try:
        url = urlsplit(line.request.rpartition(" ")[2])
    except ValueError:
        return False  # somebody's note rather than an address
    if url.path != fetch.path:
        return False
    asked = parse_qs(url.query)
    return all(asked.get(key) == [value] for key, value in fetch.params if key in NAMING)
