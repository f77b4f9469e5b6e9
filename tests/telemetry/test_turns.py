"""Exports take turns and pause for breath."""

from __future__ import annotations

import threading
import time

from telemetry.turns import ITEMS_PER_BREATH, TURN_S, Slowly, Turns


def test_items_are_made_on_the_way_with_a_pause_after_every_few() -> None:
    pauses: list[int] = []
    made: list[int] = []

    def make(item: int) -> int:
        made.append(item)
        return item * 2

    items = Slowly(list(range(ITEMS_PER_BREATH * 2 + 1)), make, lambda: pauses.append(len(made)))
    assert (len(items), made) == (ITEMS_PER_BREATH * 2 + 1, [])
    assert list(items) == [item * 2 for item in range(ITEMS_PER_BREATH * 2 + 1)]
    assert pauses == [ITEMS_PER_BREATH, ITEMS_PER_BREATH * 2]
    assert (items[1], list(items[1:3])) == (2, [2, 4])


def test_a_turn_that_hangs_is_not_waited_for_long() -> None:
    turns = Turns()
    held, done = threading.Event(), threading.Event()

    def hang() -> None:
        with turns.turn():
            held.set()
            done.wait(5)

    thread = threading.Thread(target=hang)
    thread.start()
    held.wait(5)
    began = time.monotonic()
    with turns.turn():
        waited = time.monotonic() - began
    done.set()
    thread.join()
    assert TURN_S * 0.9 <= waited < TURN_S + 0.5


def test_turns_come_one_after_the_other() -> None:
    turns, inside, worst = Turns(), [0], [0]

    def work() -> None:
        for _ in range(50):
            with turns.turn():
                inside[0] += 1
                worst[0] = max(worst[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == [1]
