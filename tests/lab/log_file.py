"""What a daemon writes about its states, read as it grows."""

import re
from collections.abc import Callable
from pathlib import Path


class StateLog:
    """The last state of each name in a log; `begin` forgets them, for a daemon that is started again."""

    def __init__(self, path: Path, pattern: re.Pattern[str], read: Callable[[re.Match[str]], tuple[str, str]]) -> None:
        self.path, self._pattern, self._read = path, pattern, read
        self._at = 0
        self._states: dict[str, str] = {}

    def begin(self) -> None:
        self._at = self.path.stat().st_size if self.path.exists() else 0
        self._states = {}

    def state(self, name: str) -> str:
        """Empty: nothing said yet."""
        if self.path.exists() and self.path.stat().st_size > self._at:
            with self.path.open("rb") as file:
                file.seek(self._at)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._at += len(whole)
            self._states |= dict(map(self._read, self._pattern.finditer(whole.decode(errors="replace"))))
        return self._states.get(name, "")
