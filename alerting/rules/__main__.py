"""Writes what follows from the table of alerts: prometheus/rules, and the generated parts of docs/alerting.md.

`python -m alerting.rules` writes them, `--check` only says whether they are as they would be written (exit 1 if not).
With `--into DIR` the rules alone go there: with links of one's own, or with every duration divided, for tests.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from alerting.rules.pages import filled
from alerting.rules.render import Links, files

ROOT = Path(__file__).parents[2]
RULES = Path("prometheus") / "rules"
PAGE = Path("docs") / "alerting.md"
DEFAULT = Links()


def documents(root: Path = ROOT) -> dict[Path, str]:
    """The text of each committed file, by its path in the checkout. The page's own words are read from `root`."""
    rules = {RULES / name: text for name, text in files().items()}
    return rules | {PAGE: filled((root / PAGE).read_text(encoding="utf-8"))}


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the generated files; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m alerting.rules", description="Write what the table implies.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not up to date")
    parser.add_argument("--into", type=Path, metavar="DIR", help="write the rules alone, there")
    parser.add_argument("--runbooks", metavar="URL", default=DEFAULT.runbooks, help="where docs/runbooks can be opened")
    parser.add_argument("--jaeger", metavar="URL", default=DEFAULT.jaeger, help="where Jaeger's pages are")
    parser.add_argument("--grafana", metavar="URL", default=DEFAULT.grafana, help="where Grafana's pages are")
    parser.add_argument(
        "--factor", type=int, metavar="N", default=1, help="divide every duration by so much, for tests"
    )
    options = parser.parse_args(argv)
    links = Links(
        runbooks=options.runbooks.rstrip("/"),
        jaeger=options.jaeger.rstrip("/"),
        grafana=options.grafana.rstrip("/"),
    )
    if options.into is not None:
        wanted = {options.into / name: text for name, text in files(links, factor=options.factor).items()}
    elif (links, options.factor) != (DEFAULT, 1):
        parser.error("links and --factor need --into: the committed files have the defaults")
    else:
        wanted = documents(root)
    stale: list[Path] = []
    for path, text in wanted.items():
        target = root / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not options.check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    said = "not up to date, run python -m alerting.rules" if options.check else "written"
    sys.stdout.writelines(f"{path}: {said}\n" for path in stale)
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
