"""Writes grafana/dashboards from grafana/boards.

`python -m grafana` writes them, `--check` only says whether they are as they would be written (exit 1 if not). A file
that no board makes is removed: a dashboard that nobody generates is one that nobody keeps right.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana.boards import BOARDS
from grafana.render import text

ROOT = Path(__file__).parents[1]
DASHBOARDS = Path("grafana") / "dashboards"


def documents() -> dict[Path, str]:
    """The text of each dashboard, by its path in the checkout."""
    return {DASHBOARDS / f"{board.uid.removeprefix('marketprism-')}.json": text(board) for board in BOARDS}


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the dashboards; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m grafana", description="Write the dashboards.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not up to date")
    options = parser.parse_args(argv)
    wanted = documents()
    stale = [path for path, said in wanted.items() if not (root / path).exists() or (root / path).read_text() != said]
    left = [path.relative_to(root) for path in sorted((root / DASHBOARDS).glob("*.json"))]
    stale += [path for path in left if path not in wanted]
    if not options.check:
        for path in stale:
            if path in wanted:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(wanted[path], encoding="utf-8")
            else:
                (root / path).unlink()
    for path in stale:
        done = "written" if path in wanted else "removed"
        sys.stdout.write(f"{path}: {'not up to date, run python -m grafana' if options.check else done}\n")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
