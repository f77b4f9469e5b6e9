"""Writes docs/cli.md and docs/configuration.md from the parser and the configuration's model: `python -m
collector.docs [--check]`.

It owns the pages' form and knows no option by name, so the pages cannot promise what the code lacks. `--check` writes
nothing and exits 1 when a page is not what the code makes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from collector.cli import DESCRIPTION, build_parser
from collector.config import describe

DOCS = Path(__file__).parent.parent / "docs"


def cli_page() -> str:
    """docs/cli.md."""
    return "\n".join(_cli_page()) + "\n"


def _cli_page() -> Iterator[str]:
    yield "# Commands\n"
    yield "Made from the code by `make docs`; do not edit.\n"
    yield f"{DESCRIPTION}\n"
    yield "Exit codes: 0 done · 1 done, and something was found (a strict replay's finding, degraded health) ·"
    yield "2 it could not be done as asked (usage, configuration, input, an unreachable collector) · 130 interrupted ·"
    yield "141 the reader of the output went away. Mistakes are told on standard error, one line each.\n"
    # argparse tells its own actions only here; its help text changes with Python's version, so it is no source
    subparsers = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001
    does = {action.dest: action.help for action in subparsers._choices_actions}  # noqa: SLF001
    yield "| command | does |\n|---|---|"
    for name in subparsers.choices:
        yield f"| [`marketprism {name}`](#marketprism-{name}) | {does[name]} |"
    yield "| `marketprism --version` | Tell the version. |"
    for name, parser in subparsers.choices.items():
        yield f"\n## marketprism {name}\n"
        yield f"{does[name]}\n"
        example = (parser.epilog or "").removeprefix("example:\n").strip()
        yield f"```\n{example}\n```\n"
        yield "| argument | meaning |\n|---|---|"
        yield from (_row(action) for action in parser._actions if action.dest != "help")  # noqa: SLF001


def _row(action: argparse.Action) -> str:
    name = action.option_strings[-1] if action.option_strings else ""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    help_text = (action.help or "").replace("%(default)s", str(action.default))
    shown = f"{name} {value if action.nargs != 0 else ''}".strip().replace("|", "\\|")
    return f"| `{shown}` | {help_text} |"


def main(argv: list[str] | None = None) -> int:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(prog="python -m collector.docs", description="Write the generated pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of date")
    check = parser.parse_args(argv).check
    code = 0
    for name, text in {"cli.md": cli_page(), "configuration.md": describe.page()}.items():
        file = DOCS / name
        if check:
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                sys.stderr.write(f"{file}: is not what the code makes; run make docs\n")
                code = 1
        else:
            file.write_text(text, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
