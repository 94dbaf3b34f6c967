"""The supervisor's lines on stderr: `LEVEL supervisor text`, with journald's priority where journald reads."""

import os
import sys

_PRIORITY = {"ERROR": "<3>", "WARNING": "<4>", "INFO": "<6>"}


def info(text: str) -> None:
    _write("INFO", text)


def warning(text: str) -> None:
    _write("WARNING", text)


def error(text: str) -> None:
    _write("ERROR", text)


def _write(level: str, text: str) -> None:
    prefix = _PRIORITY[level] if os.environ.get("JOURNAL_STREAM") else ""
    try:
        sys.stderr.write("".join(f"{prefix}{level} supervisor {line}\n" for line in text.splitlines()))
        sys.stderr.flush()
    except OSError:
        return  # nobody reads our log any more; that must not end us
