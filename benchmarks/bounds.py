"""What the figures may be: every bound in one place, as ratios of two measurements of one run, so that they hold on any
machine. Tighten them when the product gets faster; loosen one only with the reason beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

BOUNDS: Mapping[str, float] = {
    "ours/cryptofeed": 0.6,
    "ours/cryptofeed paced": 0.9,
    "core/decode trades": 6.0,
    "core/decode quotes": 8.0,
    "core/decode book": 12.0,
}
"""The first two are goals: CPU a message of everything that ours does (decode, verify, encode, write, sync, count), by
that of cryptofeed with callbacks that do nothing. The others guard what was reached: what the core takes from bytes to
verified records, by what msgspec takes to decode the same bytes.
"""


def judged(figures: Mapping[str, float]) -> list[tuple[str, float, float, bool]]:
    """Give name, figure, bound, and whether it holds, for each figure that has a bound."""
    return [(name, figures[name], bound, figures[name] <= bound) for name, bound in BOUNDS.items() if name in figures]
