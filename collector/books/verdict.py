"""What is known of a stream's correctness right now, and how it is known.

A verdict is never optimistic: what cannot be checked is `unverifiable`, a book being rebuilt is `syncing`. The codes
are the values of the verdict gauge and must not be reordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["in_sync", "syncing", "acknowledged", "unverifiable", "stale", "gap", "diverged", "blocked"]
STATES: tuple[State, ...] = (
    "in_sync",
    "syncing",
    "acknowledged",
    "unverifiable",
    "stale",
    "gap",
    "diverged",
    "blocked",
)
"""In the order of their codes. `acknowledged`: the venue accepted the subscription and has sent no data yet."""

VerifiedBy = Literal["sequence", "checksum", "rest"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`since_us`: UTC µs when this state began.

    `depth`: levels a side that the verdict covers (books only). `reason`: a short sentence.
    """

    state: State
    since_us: int | None = None
    by: VerifiedBy | None = None
    reason: str = ""
