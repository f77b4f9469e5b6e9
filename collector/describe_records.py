"""Writes docs/records.md from the records themselves: `python -m collector.describe_records [--check]`.

It owns the page's form; names, types and defaults come from the structs, their meaning from their docstrings, so the
page cannot say what the code does not do. `--check` writes nothing and exits 1 when the page is out of date.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, UnsetType

from collector import records
from collector.records import Record

PAGE = Path(__file__).parent.parent / "docs" / "records.md"
COMMON = tuple(field.name for field in msgspec.structs.fields(Record))
ALL: tuple[type[Record], ...] = get_args(records.AnyRecord)

HEAD = """# Records

Made from the code by `make docs`; do not edit.

What leaves the collector: one fact a record, one JSON object a line, `type` first. Prices and sizes are the exact text
that the exchange sent; compare them as decimals, not as text or floats. Times are integer microseconds UTC. `ts` and
`seq` are the venue's own, null where it sends none.

A consumer of one book takes a BookSnapshot and then applies each BookDelta of the same instrument in order: it then
holds exactly the collector's first `depth` levels. A level's identity is its price's text; removing a level that is
not held changes nothing. After a Gap of channel `book` the consumer waits for the next BookSnapshot.
"""


def page() -> str:
    """Give the page's text."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield HEAD
    yield "## Every record\n"
    yield f"{_prose(Record)}\n"
    yield from _table(Record, (), {"type": f"one of {', '.join(f'`{kind.__name__}`' for kind in ALL)}"})
    for kind in ALL:
        yield f"\n## {kind.__name__}\n"
        yield f"{_prose(kind)}\n"
        yield from _table(kind, COMMON, {})
    yield "\n## Causes of a Gap\n"
    yield "| cause | meaning |\n|---|---|"
    meanings = dict(re.findall(r'"(\w+)",  # (.+)', inspect.getsource(records)))
    for cause in get_args(records.GapCause):
        yield f"| `{cause}` | {meanings[cause]} |"


def _prose(kind: type[Record]) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _table(kind: type[Record], without: tuple[str, ...], extra: dict[str, str]) -> Iterator[str]:
    yield "| field | value |\n|---|---|"
    for name, value in extra.items():
        yield f"| `{name}` | {value} |"
    for field in msgspec.structs.fields(kind):
        if field.name not in without:
            yield f"| `{field.encode_name}` | {_value(field.type)}{_default(field.default)} |"


def _default(default: Any) -> str:  # noqa: ANN401 - whatever the struct says
    if default is UNSET:
        return "; left out when there is none"
    return f"; `{default}`" if isinstance(default, int) else ""


def _value(kind: Any) -> str:  # noqa: ANN401 - type expressions have no common type
    """Give a type expression in words."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin in (Union, UnionType):
        return " or ".join(_value(part) for part in args if part is not UnsetType)
    if kind == list[records.Level]:
        return "a list of `[price, size]`"
    return {str: "text", int: "an integer", bool: "true or false", NoneType: "null"}[kind]


def main(argv: list[str] | None = None) -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(prog="python -m collector.describe_records", description="Write docs/records.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of date")
    if not parser.parse_args(argv).check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stderr.write(f"{PAGE}: is not what the code makes; run make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
