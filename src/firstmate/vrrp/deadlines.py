"""Whose timer is due next: a heap that is corrected when it is looked at, because most timers only move later."""

from heapq import heappop, heappush, heapreplace

from firstmate.model.units import Micros
from firstmate.vrrp.member import Member


class Deadlines:
    """Call `put` after anything that may have moved a deadline to an earlier time."""

    def __init__(self) -> None:
        self._heap: list[tuple[Micros, int, Member]] = []  # the number orders equal times by age
        self._number = 0

    def put(self, one: Member) -> None:
        at_us = one.deadline_us
        if at_us is not None and (one.queued_us is None or at_us < one.queued_us):
            one.queued_us = at_us
            self._number += 1
            heappush(self._heap, (at_us, self._number, one))

    @property
    def earliest_us(self) -> Micros | None:
        """Not later than any deadline. Cheaper than `first`, and it costs a needless look when it has come."""
        return self._heap[0][0] if self._heap else None

    def first(self) -> tuple[Micros, Member] | None:
        heap = self._heap
        while heap:
            at_us, number, one = heap[0]
            if one.queued_us != at_us:  # an earlier place was taken since, or it has left
                heappop(heap)
                continue
            real_us = one.deadline_us
            if real_us is None:
                heappop(heap)
                one.queued_us = None
            elif real_us > at_us:
                heapreplace(heap, (real_us, number, one))
                one.queued_us = real_us
            else:
                return at_us, one
        return None

    def take(self) -> Member:
        """Remove the one that `first` has just told of."""
        _, _, one = heappop(self._heap)
        one.queued_us = None
        return one

    def clear(self) -> None:
        for _, _, one in self._heap:
            one.queued_us = None
        self._heap.clear()
