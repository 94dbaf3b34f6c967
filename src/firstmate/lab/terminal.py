"""A shell on a host: a terminal of its own there, joined to the one here."""

import fcntl
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from contextlib import suppress

from firstmate.lab.lab import LabHost, Process
from firstmate.model.units import S

_BYTES_MAX = 65_536
_EXIT_WAIT_US = 2 * S


def run_on_terminal(host: LabHost, words: Sequence[str]) -> int:
    """Run `words`, or a shell when there are none, and return its exit code."""
    argv = list(words) or [os.environ.get("SHELL", "/bin/sh")]
    if not sys.stdin.isatty():
        done = host.run(argv, timeout_us=3600 * S)
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done.returncode
    ours, theirs = os.openpty()
    _copy_size(theirs)
    process = host.spawn_on_terminal(argv, theirs)
    os.close(theirs)
    before = termios.tcgetattr(0)
    resized = signal.signal(signal.SIGWINCH, lambda *_: _copy_size(ours))
    try:
        tty.setraw(0, termios.TCSADRAIN)  # what was typed ahead is not lost
        _join(ours, process)
        return process.wait(_EXIT_WAIT_US)
    finally:
        signal.signal(signal.SIGWINCH, resized)
        termios.tcsetattr(0, termios.TCSAFLUSH, before)
        os.close(ours)
        process.close()


def _join(ours: int, process: Process) -> None:
    """Carry bytes both ways until the program ends."""
    while True:
        ready, _, _ = select.select([0, ours], [], [], 0.5)
        with suppress(OSError):  # EIO: nobody has the other end open any more
            if ours in ready and (data := os.read(ours, _BYTES_MAX)):
                os.write(1, data)
                continue
        if not process.running:
            return
        if 0 in ready:
            data = os.read(0, _BYTES_MAX)
            if not data:
                return
            os.write(ours, data)


def _copy_size(fd: int) -> None:
    with suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))
