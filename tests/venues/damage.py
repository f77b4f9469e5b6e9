"""A wire that damages what it carries, as a plan says: drops, doubles, delays, cuts, flips one bit.

One damage is left out on purpose: a digit that becomes another digit. Where nothing covers that digit nobody can see
it; docs/integrity.md lists where, and `digits` measures it.
"""

from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st


class Damage(NamedTuple):
    kind: str
    where: int


PLANS = st.lists(
    st.builds(
        Damage, st.sampled_from(["ok", "ok", "ok", "drop", "double", "delay", "cut", "flip"]), st.integers(0, 10_000)
    ),
    max_size=30,
)
DIGITS = b"0123456789"
BLANK = 0x20
ENDS = (b",", b"}", b"]")
"""What may follow a JSON number."""


class Wire:
    """Delivers frames in order, but for the damage: one step of the plan a frame, none when the plan is used up."""

    def __init__(self, plan: list[Damage], deliver: Callable[[bytes], None]) -> None:
        self._plan = list(reversed(plan))
        self._deliver = deliver
        self._held: list[tuple[int, bytes]] = []

    @property
    def used_up(self) -> bool:
        return not self._plan and not self._held

    def push(self, frame: bytes) -> None:
        damage = self._plan.pop() if self._plan else Damage("ok", 0)
        if damage.kind == "delay":
            self._held.append((1 + damage.where % 4, frame))
        elif damage.kind == "cut":
            self._deliver(frame[: damage.where % len(frame)])
        elif damage.kind == "flip":
            self._deliver(flipped(frame, damage.where))
        elif damage.kind != "drop":
            self._deliver(frame)
        if damage.kind == "double":
            self._held.append((damage.where % 4, frame))
        late = [held for wait, held in self._held if wait <= 0]
        self._held = [(wait - 1, held) for wait, held in self._held if wait > 0]
        for held in late:
            self._deliver(held)


def flipped(frame: bytes, where: int) -> bytes:
    """One bit turned; another one when a digit would become a digit, or the last one of a JSON number a blank, which
    JSON allows: a shorter number is then as good as another one.
    """
    while True:
        at, bit = where // 8 % len(frame), 1 << where % 8
        turned = frame[at] ^ bit
        shorter = turned == BLANK and frame[at + 1 : at + 2] in ENDS
        if frame[at] not in DIGITS or not (turned in DIGITS or shorter):
            return frame[:at] + bytes([turned]) + frame[at + 1 :]
        where += 1
