"""A thread that looks at something again and again: what it looks at may hang, and holds up nothing but itself."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

from firstmate.linux.process import clock_us
from firstmate.model.units import MS, S, Micros
from firstmate.policy.world import Event

PAUSE_MIN_US: Micros = 1 * MS


class Lookout:
    """`look` is called in the thread, at once and then each `interval_us`; what it returns is `put` in the loop's."""

    def __init__(
        self, name: str, interval_us: Micros, look: Callable[[], Sequence[Event]], put: Callable[[Event], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._interval_us, self._look, self._put = interval_us, look, put
        self._stopped = threading.Event()
        # A daemon: one that hangs must not keep the process.
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def stop(self) -> None:
        """To be called in the loop's thread: nothing is put any more, whatever the thread is doing."""
        self._stopped.set()

    def _run(self) -> None:
        due_us = clock_us()
        while not self._stopped.is_set():
            events = self._look()
            if events:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    self._loop.call_soon_threadsafe(self._tell, events)
            due_us = max(due_us + self._interval_us, clock_us() + PAUSE_MIN_US)
            self._stopped.wait((due_us - clock_us()) / S)

    def _tell(self, events: Sequence[Event]) -> None:
        if not self._stopped.is_set():
            for event in events:
                self._put(event)
