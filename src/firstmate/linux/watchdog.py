"""A counter in shared memory that a loop moves on with every turn: a parent sees that it stands still.

To move it costs no system call, so that the loop of a real-time process can afford it each time.
"""

import mmap
import os

from firstmate.model.units import S, Micros

COUNTER_OCTETS = 8
HUNGER_MAX_US: Micros = 3 * S  # a loop that sleeps for a second at most
# Between two looks of ours no more than this counts: when the host was suspended, or we had no processor either, the
# loop gets its chance first.
LOOK_MAX_US: Micros = 1 * S
START_US: Micros = 60 * S  # until the first turn: Python on a busy host


class Feeder:
    """The loop's side, on a descriptor that its parent left it. Raises `OSError`."""

    def __init__(self, fd: int) -> None:
        self._memory = mmap.mmap(fd, COUNTER_OCTETS)
        os.close(fd)
        self._counter = memoryview(self._memory).cast("Q")

    def feed(self) -> None:
        self._counter[0] += 1


class Watchdog:
    """The parent's side. `fd` is for the child. Raises `OSError`."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("firstmate-watchdog", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, COUNTER_OCTETS)
        self._memory = mmap.mmap(self.fd, COUNTER_OCTETS)
        self._counter = memoryview(self._memory).cast("Q")
        self._seen = 0
        self._hunger_us: Micros = 0
        self._looked_at_us: Micros = 0

    def start(self, now_us: Micros) -> None:
        """Another child begins."""
        self._counter[0] = self._seen = 0
        self._hunger_us, self._looked_at_us = 0, now_us

    def is_starved(self, now_us: Micros) -> bool:
        """It has not been fed for too long. To be asked at least each `LOOK_MAX_US`."""
        count = self._counter[0]
        passed_us = min(now_us - self._looked_at_us, LOOK_MAX_US)
        self._looked_at_us = now_us
        if count != self._seen:
            self._seen, self._hunger_us = count, 0
            return False
        self._hunger_us += passed_us
        return self._hunger_us > (HUNGER_MAX_US if count else START_US)
