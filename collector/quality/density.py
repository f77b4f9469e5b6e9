"""Whether ids that a venue does not promise to be dense are dense all the same. Sans-I/O.

A hole in dense ids is a loss; in others it is nothing. What the ids are shows by how often one follows directly on the
one before: of dense ids nearly all do, whatever a bad line loses, of ids that are shared with other streams hardly any.
Until enough of them were seen nothing is said, and holes are kept: when the ids turn out to be dense, they were losses.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

ENOUGH = 8
"""Links before anything is said."""
WINDOW = 64
"""Links that are looked at: the newest."""


@dataclass(slots=True)
class Density:
    """A link is a pair of neighbouring messages: True where the ids of the second follow directly on the first's."""

    held: list[tuple[int, int, int | None]] = field(default_factory=list)
    """Holes of which nothing can be said yet: first, last, µs at which it was found."""
    _links: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _whole: int = 0

    def link(self, *, whole: bool) -> None:
        """Take one link."""
        if len(self._links) == WINDOW:
            self._whole -= self._links[0]
        self._links.append(whole)
        self._whole += whole

    @property
    def dense(self) -> bool | None:
        """Say whether a hole is a loss: when at least half of the links are whole. None: it is too early to say."""
        if len(self._links) < ENOUGH:
            return None
        return 2 * self._whole >= len(self._links)
