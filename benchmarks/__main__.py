"""The command: runs the benchmarks that are named (all, when none is), prints tables for people and, as the last line,
one JSON object for machines.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import core
from benchmarks.bounds import judged
from benchmarks.compare import RunError, compare
from benchmarks.made import MIXES, generated
from benchmarks.results import Settings
from benchmarks.tape import KINDS, Tape, TapeError, recorded

RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"
"""Where the recordings are when there are some: beside the checkout."""
PARTS = ("compare", "paced", "core", "journal", "telemetry")
PACED_S = 5
"""How long a paced round plays."""


def main(arguments: list[str] | None = None) -> int:
    """Run; give the exit code: 0, 1 when a bound is passed (with --check) or a run does not count, 2 for bad usage."""
    options = _parser().parse_args(arguments)
    parts = options.part or PARTS
    figures: dict[str, float] = {}
    try:
        tape = options.tape or ("recorded" if RECORDINGS.is_dir() and options.recordings is None else "quiet")
        if options.recordings is not None:
            tape = "recorded"
        where = options.recordings or RECORDINGS
        print(f"{platform.platform()}, {os.cpu_count()} cores, {_versions()}")
        played = recorded(where) if tape == "recorded" else generated(tape)
        plain = Settings(tape, "", str(where), messages=options.messages)
        if "compare" in parts:
            figures |= _compare(plain, options.rounds, "")
        if "paced" in parts:
            paced = msgspec.structs.replace(plain, rate=options.rate, messages=options.rate * PACED_S)
            figures |= _compare(paced, options.rounds, " paced")
        if "core" in parts:
            figures |= _core(played)
        for part in ("journal", "telemetry"):
            if part in parts:
                _own(part)
    except (RunError, TapeError) as error:
        print(error, file=sys.stderr)
        return 1
    verdicts = judged(figures)
    for name, figure, bound, holds in verdicts:
        print(f"{'ok  ' if holds else 'over'} {name} {figure:.2f}, bound {bound:g}")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}, ensure_ascii=False))
    return int(options.check and not all(holds for *_, holds in verdicts))


def _compare(settings: Settings, rounds: int, name: str) -> dict[str, float]:
    if find_spec("cryptofeed") is None:
        raise RunError("cryptofeed is not installed: pip install 'marketprism[bench,simulator]', or make bench")
    comparison = compare(settings, rounds)
    pace = f"{settings.rate:,} a second" if settings.rate else "as fast as they are read"
    print(f"\ncompare{name}: {comparison.origin}; {settings.messages:,} messages, {pace}, {rounds} rounds")
    for line in comparison.table():
        print(line)
    figures = {f"ours/cryptofeed{name}": median(comparison.ratios())}
    for side, done in comparison.rounds.items():
        figures[f"{side} µs{name}"] = median(one.result.cpu_us for one in done)
        figures[f"{side} messages/s{name}"] = median(one.result.per_s for one in done)
    return figures


def _core(tape: Tape) -> dict[str, float]:
    print(f"\ncore: {tape.origin}; CPU µs a message")
    print(f"{'':12}{'decode':>10}{'core':>10}{'encode':>10}{'core/decode':>14}")
    figures: dict[str, float] = {}
    for kind in KINDS:
        cost = core.measure(tape, kind)
        ratio = cost.core / cost.decode
        print(f"{kind:12}{cost.decode:>10.2f}{cost.core:>10.2f}{cost.encode:>10.2f}{ratio:>14.2f}")
        figures |= {f"core/decode {kind}": ratio, f"core µs {kind}": cost.core, f"decode µs {kind}": cost.decode}
    return figures


def _own(part: str) -> None:
    print(f"\n{part}: see benchmarks/{part}.py", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{part}"], check=True)  # noqa: S603 - a module of ours


def _versions() -> str:
    names = ("cryptofeed", "aiohttp", "msgspec", "uvloop", "websockets")
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What a message costs.")
    parser.add_argument(
        "part",
        nargs="*",
        choices=[*PARTS, []],
        help="compare: beside cryptofeed; paced: the same at a steady rate; the others: these parts alone",
    )
    parser.add_argument("--messages", type=int, default=200_000, help="messages of a round of compare (200000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side (5)")
    parser.add_argument("--rate", type=int, default=5_000, help="messages a second of paced (5000)")
    parser.add_argument("--tape", choices=["recorded", *MIXES], help="what to play (recorded where it is, else quiet)")
    parser.add_argument("--recordings", type=Path, help="the directory of the recordings")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bound is passed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
