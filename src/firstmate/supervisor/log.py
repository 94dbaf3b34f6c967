"""The supervisor's lines on stderr: `LEVEL supervisor text`, with journald's priority where journald reads.

A reader that stands still must not stop us: a line that would block is dropped and counted.
"""

import os
import select
import sys

_PRIORITY = {"ERROR": "<3>", "WARNING": "<4>", "INFO": "<6>"}


class _Lost:
    lines = 0


def info(text: str) -> None:
    _write("INFO", text)


def warning(text: str) -> None:
    _write("WARNING", text)


def error(text: str) -> None:
    _write("ERROR", text)


def _write(level: str, text: str) -> None:
    lines = [(level, line) for line in text.splitlines()]
    if not _has_room():
        _Lost.lines += len(lines)
        return
    if _Lost.lines:
        lines.insert(0, ("WARNING", f"{_Lost.lines} lines were lost: whoever reads this log did not read"))
        _Lost.lines = 0
    journald = bool(os.environ.get("JOURNAL_STREAM"))
    whole = "".join(f"{_PRIORITY[level] if journald else ''}{level} supervisor {line}\n" for level, line in lines)
    try:
        sys.stderr.write(whole)
        sys.stderr.flush()
    except OSError:
        return  # nobody reads our log any more; that must not end us


def _has_room() -> bool:
    """Would stderr take a line now? A pipe that is ready takes at least 4096 octets."""
    try:
        poll = select.poll()
        poll.register(sys.stderr.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True  # no file behind it
