"""How exports share the interpreter with the event loop: one at a time, and with pauses for breath.

It owns these manners, and decides nothing about what is exported. Only one thread of a process runs Python at a time,
so an export that computes for 5 ms, or two that hand the interpreter to each other, make every message wait.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")

TURN_S = 0.1
BREATH_S = 5e-5
ITEMS_PER_BREATH = 10
"""Encoding so many spans or log records takes about 0.3 ms."""


def breathe() -> None:
    """Let other threads run for an instant."""
    time.sleep(BREATH_S)


class Turns:
    """Lets one export compute at a time. A turn that hangs in a request is not waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, but not for long."""
        held = self._lock.acquire(timeout=TURN_S)
        try:
            yield
        finally:
            if held:
                self._lock.release()


class Slowly(Sequence[T]):
    """Items that are made one by one while somebody iterates over them, with pauses for breath."""

    def __init__(self, items: Sequence[T], make: Callable[[T], T], pause: Callable[[], None] = breathe) -> None:
        self._items = items
        self._make = make
        self._pause = pause

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Slowly(self._items[index], self._make, self._pause)
        return self._make(self._items[index])

    def __iter__(self) -> Iterator[T]:
        for number, item in enumerate(self._items, 1):
            yield self._make(item)
            if number % ITEMS_PER_BREATH == 0:
                self._pause()
