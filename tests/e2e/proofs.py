"""The table of what was proven: rule, fault, and how long each step took. Printed by every run; kept in
docs/alerting-proofs.md, or the page that is named, by a run with KEEP_PROOFS=1.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.e2e.chain import Proof

PAGE = Path(__file__).parents[2] / "docs" / "alerting-proofs.md"
KEEP = "KEEP_PROOFS"
HEADS = ("rule", "fault", "visible", "firing", "delivered", "recovery delivered")


def table(proofs: Iterable[Proof]) -> str:
    """Seconds since the fault, or since its end."""
    lines = [HEADS, ("---",) * len(HEADS)]
    for proof in proofs:
        since, healed = proof.began, proof.healed
        delivered = ", ".join(f"{channel} {at - since:.1f}" for channel, at in sorted(proof.delivered.items()))
        recovered = ", ".join(f"{channel} {at - healed:.1f}" for channel, at in sorted(proof.recovered.items()))
        firing = f"{proof.firing - since:.1f}"
        lines.append((proof.rule, proof.fault, f"{proof.visible - since:.1f}", firing, delivered, recovered or "none"))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def show(section: str, text: str, capsys: pytest.CaptureFixture[str], page: Path = PAGE) -> None:
    """Print it, and keep it where that is asked for."""
    with capsys.disabled():
        print(f"\n{section}\n{text}")  # noqa: T201 - it is to be seen
    if os.environ.get(KEEP):
        keep(section, text, page)


def keep(section: str, text: str, path: Path) -> None:
    """Put it into the page, in the place of what stood there."""
    when = f"Measured {time.strftime('%Y-%m-%d', time.gmtime())}, {platform.system()}, {os.cpu_count()} cores."
    page = path.read_text(encoding="utf-8")
    part = re.compile(rf"(<!-- {re.escape(section)} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert part.search(page), f"{path} has no part {section}"
    path.write_text(part.sub(lambda found: f"{found[1]}\n{when}\n\n{text}\n{found[2]}", page), encoding="utf-8")
