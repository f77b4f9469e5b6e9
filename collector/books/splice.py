"""Puts buffered updates behind a snapshot. Holds no state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.books.contract import Rule, Update


def following(rule: Rule, buffer: Iterable[Update], at: int | None) -> list[Update] | str:
    """Give the buffered updates that follow a snapshot at id `at`, or say why they do not."""
    found: list[Update] = []
    for update in buffer:
        step = rule.step(update, at)
        if step == "gap":
            if found:  # a hole in the buffer: only a snapshot beyond it helps
                return f"an update is missing between {at} and {update.first}"
            return f"the snapshot at {at} does not reach the next update {update.first}"
        if step == "apply":
            found.append(update)
            at = update.last
    return found


def unbroken(rule: Rule, buffer: Iterable[Update]) -> list[Update]:
    """Give the newest part of the buffer in which each update follows the one before.

    No snapshot joins on before a break, and an update that never happened (its id was damaged on the way) would keep
    every snapshot out for as long as it stood in the buffer.
    """
    part: list[Update] = []
    for update in buffer:
        if part and rule.step(update, part[-1].last) != "apply":
            part = []
        part.append(update)
    return part
