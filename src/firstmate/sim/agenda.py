"""Virtual time: what is to happen, in order."""

import heapq
from collections.abc import Callable

from firstmate.model.units import Micros


class Agenda:
    """`changed`: something that the invariants are about may be different; whoever looks clears it."""

    def __init__(self) -> None:
        self.now_us: Micros = 0
        self.changed = True
        self._entries: list[tuple[Micros, int, Callable[[], None]]] = []
        self._count = 0  # of two things at one time, the one that was entered first

    def at(self, at_us: Micros, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._entries, (max(at_us, self.now_us), self._count, what))

    def after(self, wait_us: Micros, what: Callable[[], None]) -> None:
        self.at(self.now_us + wait_us, what)

    def next(self, until_us: Micros) -> Callable[[], None] | None:
        """Advance the clock to the next entry and return it; None: nothing is left before `until_us`."""
        if not self._entries or self._entries[0][0] > until_us:
            self.now_us = until_us
            return None
        self.now_us, _, what = heapq.heappop(self._entries)
        return what
