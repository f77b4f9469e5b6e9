"""Pictures as SVG: a terminal with what was typed and answered, and a trace as a waterfall.

Owns how they look: dark on light, at most 1000 wide, any monospace font, each line held to its width so that another
font cannot make it overflow. It must never change what it shows: it only wraps lines, as a terminal does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

WIDTH = 960
COLUMNS = 114
CELL, SMALL_CELL = 8.0, 7.2
ROW = 19
PAD = 22
HEAD = 34
INK, QUIET, PAPER, RULE, TYPED, MARKED = "#24292f", "#59636e", "#ffffff", "#d1d9e0", "#0550ae", "#b35900"
OVER = f' paint-order="stroke" stroke="{PAPER}" stroke-width="4"'
"""Text on top of a line."""
COLOURS = ("#cf222e", "#0969da", "#1a7f37")
FONT = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


@dataclass(frozen=True)
class Bar:
    """A span of a waterfall. `start_ms` counts from the trace's start; `about` is a line of its attributes."""

    name: str
    depth: int
    start_ms: float
    length_ms: float
    about: str


def terminal(title: str, lines: Iterable[str], mark: str = "") -> str:
    r"""A terminal. A line that begins with `$ ` was typed, and what follows its `\\`; `# ` is a remark.

    `mark`: a pattern that stands out.
    """
    rows: list[str] = []
    goes_on = False
    for line in lines:
        typed = line.startswith("$ ") or goes_on
        goes_on = typed and line.endswith("\\")
        colour = TYPED if typed else QUIET if line.startswith("# ") else INK
        marked = {at for found in re.finditer(mark, line) for at in range(*found.span())} if mark else set()
        for part in _wrapped(line):
            y = HEAD + PAD + ROW * len(rows)
            rows.append(_row(line, part, y, colour, marked))
    return _picture(title, HEAD + PAD + ROW * len(rows) + PAD - ROW, rows)


def waterfall(title: str, bars: Sequence[Bar]) -> str:
    """The spans of a trace, each below its parent, over one axis of time."""
    total = max(bar.start_ms + bar.length_ms for bar in bars)
    left, right = PAD + 220, WIDTH - PAD - 90
    scale = (right - left) / total
    bottom = HEAD + 40 + 52 * len(bars)
    parts = []
    for quarter in range(5):
        x = left + (right - left) * quarter / 4
        parts.append(f'<path d="M{x:.1f} {HEAD + 24}V{bottom}" stroke="{RULE}"/>')
        parts.append(
            _text(x, HEAD + 18, f"{total * quarter / 4:.0f} ms", QUIET, ' font-size="12" text-anchor="middle"')
        )
    for number, bar in enumerate(bars):
        y = HEAD + 40 + 52 * number
        x, wide = left + bar.start_ms * scale, max(bar.length_ms * scale, 2)
        parts.append(_text(PAD + 16 * bar.depth, y + 13, bar.name, INK, ' font-weight="bold"'))
        colour = COLOURS[bar.depth % len(COLOURS)]
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="18" rx="2" fill="{colour}"/>')
        parts.append(_text(x + wide + 6, y + 13, f"{bar.length_ms:.1f} ms", INK))
        about, held = bar.about.replace(" ", "\N{NO-BREAK SPACE}"), f' textLength="{len(bar.about) * SMALL_CELL:.0f}"'
        parts.append(_text(PAD + 16 * bar.depth, y + 35, about, QUIET, ' font-size="12"' + held + OVER))
    return _picture(title, bottom + 12, parts)


def _wrapped(line: str) -> list[range]:
    """The places of a line's characters, row by row."""
    rows, start, cells = [], 0, 0
    for at, letter in enumerate(line):
        wide = _cells(letter)
        if cells + wide > COLUMNS:
            rows.append(range(start, at))
            start, cells = at, 0
        cells += wide
    return [*rows, range(start, len(line))]


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _row(line: str, part: range, y: int, colour: str, marked: set[int]) -> str:
    text = line[part.start : part.stop]
    if not text.strip():
        return ""
    runs, start = [], part.start
    for at in range(part.start + 1, part.stop + 1):
        if at == part.stop or (at in marked) != (start in marked):
            run = escape(line[start:at], quote=False).replace(" ", "\N{NO-BREAK SPACE}")  # else they collapse
            runs.append(f'<tspan fill="{MARKED}" font-weight="bold">{run}</tspan>' if start in marked else run)
            start = at
    return _text(PAD, y, "".join(runs), colour, f' textLength="{_cells(text) * CELL:.0f}"', ready=True)


def _text(x: float, y: float, text: str, colour: str, more: str = "", *, ready: bool = False) -> str:
    shown = text if ready else escape(text, quote=False)
    return f'<text x="{x:.1f}" y="{y}" fill="{colour}"{more}>{shown}</text>'


def _picture(title: str, height: int, parts: Iterable[str]) -> str:
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="{FONT}" font-size="13">\n'
        f"<title>{escape(title, quote=False)}</title>\n"
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" fill="{PAPER}" stroke="{RULE}"/>\n'
        f'<path d="M0.5 {HEAD - 4}H{WIDTH - 0.5}" stroke="{RULE}"/>\n'
        f"{_text(PAD, 20, title, QUIET)}\n{body}\n</svg>\n"
    )
