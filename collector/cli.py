"""The `marketprism` command: its options, its exit codes, and nothing of the work itself.

Every command ends in a process exit code: 0 done, 1 done and something was found (a gap on a strict replay, degraded
health), 2 it could not be done as asked (usage, configuration, bad input), 130 interrupted. A mistake of the user is
told on standard error in one line each and never as a traceback. What a command needs is imported when it runs:
`marketprism init` must not wait for pyarrow.
"""

from __future__ import annotations

import argparse
import difflib
import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from alerting.commands import add_commands
from alerting.errors import AlertingError
from collector.config import Config, ConfigError, load
from collector.config.model import data_directory
from collector.config.source import CONFIG_VARIABLE

EXIT_OK, EXIT_FOUND, EXIT_UNUSABLE, EXIT_INTERRUPTED, EXIT_PIPE = 0, 1, 2, 130, 141
DESCRIPTION = "Collects live crypto market data and proves how fresh, complete and correct it is."
Command = Callable[[argparse.Namespace], int]


class UnusableError(Exception):
    """It cannot be done as asked; the message is for the user."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes no abbreviations and names the nearest valid word."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one line."""
        wrong = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if wrong:
            valid = re.findall(r"[\w-]+", wrong[2])
            what = message.partition(":")[0].removeprefix("argument ").lower()
            message = f"{wrong[1]!r} is no valid {what}; {_hint(wrong[1], valid)}"
        self.exit(EXIT_UNUSABLE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _hint(word: str, valid: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, valid, n=1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(valid)}"


def build_parser() -> Parser:
    """Make the parser; docs/cli.md is generated from it."""
    parser = Parser(prog="marketprism", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"marketprism {version('marketprism')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Command, does: str, example: str) -> Parser:
        sub = commands.add_parser(
            name,
            help=does,
            description=does,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.set_defaults(run=run, parser=sub)
        return sub

    sub = command(
        "run",
        _run,
        "Collect from the live exchanges until SIGTERM or Ctrl-C.",
        "marketprism run --config marketprism.yaml",
    )
    _add_config(sub)
    sub.add_argument("--tape", metavar="FILE", help="also write every message received to this new tape")

    sub = command(
        "replay",
        _replay,
        "Put recorded messages through the same cores: records to stdout, a verdict summary to stderr.",
        "marketprism replay --strict tape.jsonl > records.jsonl",
    )
    sub.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="tapes; lines of one run may be spread over several"
    )
    sub.add_argument(
        "--strict", action="store_true", help="exit 1 on any gap, mismatch, undecodable line or unproven book"
    )
    sub.add_argument("--tolerate-torn", action="store_true", help="accept a last line that lost its end")

    sub = command(
        "record",
        _record,
        "Write the live exchanges' messages to a tape, without a journal.",
        "marketprism record tape.jsonl --seconds 60",
    )
    sub.add_argument("tape", metavar="TAPE", help="the new file; an existing one is never overwritten")
    _add_config(sub)
    sub.add_argument("--seconds", metavar="N", type=_seconds, help="stop after so long; default: Ctrl-C")

    _add_export(command)
    sub = command(
        "health",
        _health,
        "Ask a running collector how it is: exit 0 ok, 1 degraded, 2 failing or unreachable.",
        "marketprism health --url http://127.0.0.1:8080",
    )
    _add_config(sub)
    sub.add_argument("--url", metavar="URL", help="where it listens; default: as configured")

    sub = command(
        "init",
        _init,
        "Write a commented configuration with every default. Never overwrites.",
        "marketprism init marketprism.yaml",
    )
    sub.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        default="marketprism.yaml",
        help="the new file; - is stdout (default: %(default)s)",
    )
    add_commands(command, lambda: data_directory(os.environ))
    return parser


def _add_config(sub: Parser) -> None:
    sub.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"configuration; default: {CONFIG_VARIABLE}, else the built-in defaults",
    )


def _add_export(command: Callable[[str, Command, str, str], Parser]) -> None:
    sub = command(
        "export",
        _export,
        "Write the journal's records to Parquet, a folder per record type, venue and day.",
        "marketprism export out/ --type Trade --instrument BTC-USDT --since 2026-11-01",
    )
    sub.add_argument("out", metavar="OUT", type=Path, help="the directory to write")
    _add_config(sub)
    sub.add_argument("--journal", metavar="DIR", type=Path, help="the journal's directory; default: as configured")
    sub.add_argument(
        "--type", metavar="T", action="append", dest="types", help="only records of this type; may be repeated"
    )
    sub.add_argument("--venue", metavar="V", action="append", dest="venues", help="only this venue; may be repeated")
    sub.add_argument(
        "--instrument", metavar="I", action="append", dest="instruments", help="only this; may be repeated"
    )
    sub.add_argument(
        "--since", metavar="TIME", type=_time, help="only records received at or after this time (ISO 8601, UTC)"
    )
    sub.add_argument("--until", metavar="TIME", type=_time, help="only records received before this time")
    sub.add_argument("--overwrite", action="store_true", help="replace what OUT holds")
    sub.add_argument(
        "--progress",
        choices=("auto", "always", "never"),
        default="auto",
        help="show a progress bar; auto: on a terminal (default: %(default)s)",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return seconds


def _time(text: str) -> int:
    """ISO 8601, UTC unless it says otherwise, as UTC µs."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-11-22T10:00, got {text!r}") from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    arguments, unknown = build_parser().parse_known_args(argv)
    if unknown:
        options = [option for action in arguments.parser._actions for option in action.option_strings]  # noqa: SLF001 - argparse has no other way
        word = unknown[0].partition("=")[0]
        hint = f"; {_hint(word, options)}" if word.startswith("-") else ""
        arguments.parser.error(f"{word!r} is not expected here{hint}")
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except (ConfigError, UnusableError, AlertingError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNUSABLE
    except BrokenPipeError:
        _drop_output()  # whoever read it has enough
        return EXIT_PIPE
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        _drop_output()
        sys.stderr.write(f"standard output: cannot be written: {error.strerror}\n")
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code


def _drop_output() -> None:
    """Let the interpreter's last flush not complain of an output that takes no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _load(arguments: argparse.Namespace, overrides: dict[str, tuple[str, str]] | None = None) -> Config:
    return load(_file(arguments), os.environ, overrides)


def _file(arguments: argparse.Namespace) -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    return arguments.config or (Path(named) if named else None)


def _run(arguments: argparse.Namespace) -> int:
    tape = {"record.tape": (arguments.tape, "--tape")} if arguments.tape is not None else None
    config = _load(arguments, tape)
    from collector.service import ServiceError, run  # noqa: PLC0415 - see the module's docstring

    try:
        return run(config, str(_file(arguments) or "defaults"))
    except ServiceError as error:
        raise UnusableError(str(error)) from error


def _record(arguments: argparse.Namespace) -> int:
    config = _load(arguments, {"record.tape": (arguments.tape, "TAPE")})
    from collector.service import ServiceError, record  # noqa: PLC0415

    try:
        return record(config, arguments.seconds)
    except ServiceError as error:
        raise UnusableError(str(error)) from error


def _replay(arguments: argparse.Namespace) -> int:
    from collector.feed.replay import replay  # noqa: PLC0415
    from collector.feed.tape import TapeError  # noqa: PLC0415

    strict, torn = arguments.strict, arguments.tolerate_torn
    try:
        return replay(arguments.files, sys.stdout.buffer, sys.stderr, strict=strict, tolerate_torn=torn)
    except TapeError as error:
        raise UnusableError(str(error)) from error


def _export(arguments: argparse.Namespace) -> int:
    from collector.export import ExportError, export  # noqa: PLC0415

    journal = arguments.journal or _load(arguments).journal.directory
    try:
        report = export(
            journal,
            arguments.out,
            types=arguments.types or (),
            venues=arguments.venues or (),
            instruments=arguments.instruments or (),
            since=arguments.since,
            until=arguments.until,
            progress=arguments.progress,
            overwrite=arguments.overwrite,
        )
    except ExportError as error:
        raise UnusableError(str(error)) from error
    rows = ", ".join(f"{count} {kind}" for kind, count in sorted(report.rows.items()))
    sys.stdout.write(f"{report.directory}: {rows} in {report.files} files, {report.size} bytes\n")
    return EXIT_OK


def _health(arguments: argparse.Namespace) -> int:
    from collector.web import client  # noqa: PLC0415

    if arguments.url is None:
        web = _load(arguments).web
        arguments.url = client.url_of(web.host, web.port)
    try:
        status, lines = client.ask(arguments.url)
    except client.UnreachableError as error:
        raise UnusableError(str(error)) from error
    sys.stdout.write("\n".join([status, *(f"  {line}" for line in lines)]) + "\n")
    return {"ok": EXIT_OK, "degraded": EXIT_FOUND}.get(status, EXIT_UNUSABLE)


def _init(arguments: argparse.Namespace) -> int:
    from collector.config.describe import default_file  # noqa: PLC0415

    if arguments.path == "-":
        sys.stdout.write(default_file())
        return EXIT_OK
    try:
        with Path(arguments.path).open("x", encoding="utf-8") as file:
            file.write(default_file())
    except FileExistsError as error:
        raise UnusableError(f"{arguments.path}: exists; init never overwrites") from error
    except OSError as error:
        raise UnusableError(f"{arguments.path}: cannot be written: {error.strerror or error}") from error
    sys.stderr.write(f"{arguments.path} written; use it with: marketprism run --config {arguments.path}\n")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
