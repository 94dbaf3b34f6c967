"""A `Record` as a line of the log: `LEVEL event text key=value`."""

import os
import sys
from typing import TextIO

from firstmate.policy.world import Record

PRIORITY = {"error": 3, "warning": 4, "notice": 5, "info": 6}  # syslog's, as journald reads them
LINE_CHARS_MAX = 2000
SAID_IN_TEXT = frozenset({"node", "from", "to", "reason", "service", "server", "status", "digest", "at_us"})


class Log:
    """Writes to standard error, with journald's prefix where journald reads it."""

    def __init__(self, stream: TextIO | None = None, *, journald: bool | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._journald = bool(os.environ.get("JOURNAL_STREAM")) if journald is None else journald

    def write(self, record: Record) -> None:
        prefix = f"<{PRIORITY[record.level]}>" if self._journald else ""
        try:
            self._stream.write(f"{prefix}{line(record)}\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # nobody reads it any more: no reason to stop


def line(record: Record) -> str:
    """One line, whatever the texts of others hold."""
    pairs = [
        f"{key}={_value(value)}"
        for key, value in record.fields.items()
        if value is not None and key not in SAID_IN_TEXT
    ]
    return _one_line(" ".join([record.level.upper(), record.event, record.text, *pairs]))


def _value(value: str | int) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text


def _one_line(text: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean if len(clean) <= LINE_CHARS_MAX else clean[: LINE_CHARS_MAX - 3] + "..."
