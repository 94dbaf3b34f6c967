"""Reads the number in a `[[file]]`. Blocking, for as long as the file system likes: each file has its own thread.

It is read at each look, not only when its time stamp has changed: two writes within one tick of the kernel's clock
have the same time stamp.
"""

import os
import stat
import time

from firstmate.linux.process import clock_us
from firstmate.model.plan import FileCheck
from firstmate.model.units import MS, S, Micros
from firstmate.policy.number import OCTETS_MAX, read_number
from firstmate.policy.world import FileRead

EMPTY_TWICE_US: Micros = 20 * MS  # whoever writes a file empties it first: an empty one is looked at again


class Reading:
    """Looks at one file. `look` gives what is new: at the first look, and whenever the number changes."""

    def __init__(self, check: FileCheck) -> None:
        self._check = check
        self._again_us = min(EMPTY_TWICE_US, check.interval_us // 2)
        self._known: tuple[int, str] | None = None

    @property
    def rest_us(self) -> Micros:
        """How long to wait between two looks, so that a change is told within the interval."""
        return self._check.interval_us - self._again_us

    def look(self) -> list[FileRead]:
        value, line, gone = read(self._check.path)
        if gone and self._known is not None and self._known[1] != line:
            time.sleep(self._again_us / S)
            value, line, gone = read(self._check.path)
        if self._known == (value, line):
            return []
        self._known = value, line
        return [FileRead(self._check.name, value, line, clock_us())]


def read(path: str) -> tuple[int, str, bool]:
    """The number, a few words about it, and whether the file is missing or empty."""
    try:
        # Opening a device may do something, and opening a FIFO may wait.
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - ten times a second
            return 0, "is no regular file: counted as 0", False
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            regular = stat.S_ISREG(os.fstat(file).st_mode)
            content = os.read(file, OCTETS_MAX) if regular else b""
        finally:
            os.close(file)
    except FileNotFoundError:
        return 0, "does not exist: counted as 0", True
    except (OSError, ValueError) as error:
        return 0, f"cannot be read: {getattr(error, 'strerror', None) or error}: counted as 0", False
    if not content.strip():
        return 0, "is empty: counted as 0", True
    number = read_number(content)
    if number is None:
        return 0, "holds no number: counted as 0", False
    return number, f"says {number}", False
