"""When to start a process again: at once, then more slowly; never when it cannot help.

Pure: the supervisor tells what happened and when, and does what it is told.
"""

from dataclasses import dataclass
from typing import TypeAlias

from firstmate.model.units import MS, S, Micros

FIRST_US: Micros = 0  # the first restart is at once: a crash is most often alone
SECOND_US: Micros = 100 * MS
LONGEST_US: Micros = 10 * S
HEALTHY_US: Micros = 60 * S  # after so long a life the next restart is a first one again


@dataclass(frozen=True, slots=True)
class Exited:
    """The process ended: `status` is its exit code, negative when a signal killed it."""

    status: int


@dataclass(frozen=True, slots=True)
class Start:
    after_us: Micros


@dataclass(frozen=True, slots=True)
class GiveUp:
    why: str


Action: TypeAlias = Start | GiveUp


class Restarts:
    """The restarts of one process. `tries_max` None: never give up."""

    def __init__(self, *, tries_max: int | None = None) -> None:
        self.tries_max = tries_max
        self.tries = 0  # restarts since the last life of `HEALTHY_US`
        self.started_at_us: Micros | None = None  # when the last restart was due; None: there was none yet

    def handle(self, event: Exited, now_us: Micros) -> Action:
        """What to do about an exit at `now_us`. A start that is asked for is taken as done when it is due."""
        if self.started_at_us is not None and now_us - self.started_at_us >= HEALTHY_US:
            self.tries = 0
        if self.tries_max is not None and self.tries >= self.tries_max:
            return GiveUp(f"{cause(event.status)} after {self.tries} restarts")
        self.tries += 1
        pause_us = self._pause_us()
        self.started_at_us = now_us + pause_us
        return Start(pause_us)

    def _pause_us(self) -> Micros:
        if self.tries == 1:
            return FIRST_US
        return min(SECOND_US << min(self.tries - 2, 20), LONGEST_US)  # doubles each time


def cause(status: int) -> str:
    """An exit status in words: "killed by signal 9", "exit 1". HAProxy's master says 128 + signal."""
    if status < 0:
        return f"killed by signal {-status}"
    if 128 < status < 160:  # the shell's convention
        return f"killed by signal {status - 128}"
    return f"exit {status}"
