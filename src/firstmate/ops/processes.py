"""Counts processes for `[[process]]`: one look through /proc for all that are due. Blocking: it has its own thread.

A process is known by its name (/proc/PID/comm, of which the kernel keeps 15 octets), or by its program's path: then
its first argument is compared. Zombies do not count. It sees what this process may see: those of other namespaces of
the network too, none of other namespaces of processes, and with `hidepid` only those of our own user.
"""

import os
from collections.abc import Iterable

from firstmate.linux.process import clock_us
from firstmate.model.plan import ProcessCheck
from firstmate.policy.world import CheckRan

COMM_OCTETS = 15
READ_OCTETS_MAX = 65_536  # of a command line; a longer one equals no `params` that a configuration holds
PROCESSES_MAX = 200_000  # what a look goes through at most
DEAD = frozenset(b"ZXx")  # states in /proc/PID/stat


class Counting:
    """Looks for the processes of these checks. `look` gives one answer for each."""

    def __init__(self, checks: tuple[ProcessCheck, ...], proc: str = "/proc") -> None:
        self._checks, self._proc = checks, proc
        self._passed: dict[str, bool] = {}

    def look(self) -> list[CheckRan]:
        started_us = clock_us()
        found = self._look(started_us)
        if any(self._passed.get(one.name) and not one.ok for one in found):
            # A program that replaced itself by a child while we looked was perhaps on neither side: look once more.
            found = self._look(started_us)
        self._passed = {one.name: one.ok for one in found}
        return found

    def _look(self, at_us: int) -> list[CheckRan]:
        try:
            counts = count(self._checks, self._proc)
        except OSError as error:
            why = f"{self._proc} cannot be read: {error.strerror}"
            return [CheckRan(check.name, ok=False, line=why, at_us=at_us) for check in self._checks]
        return [CheckRan(check.name, *judge(check, counts[check.name]), at_us) for check in self._checks]


def judge(check: ProcessCheck, count: int) -> tuple[bool, str]:
    """Whether so many are right, and a few words about it."""
    if count < check.quorum:
        return False, f"{count} of {check.process} run, at least {check.quorum} must"
    if check.quorum_max is not None and count > check.quorum_max:
        return False, f"{count} of {check.process} run, at most {check.quorum_max} may"
    return True, f"{count} of {check.process} run"


def count(checks: Iterable[ProcessCheck], proc: str = "/proc") -> dict[str, int]:
    """How many processes each of these checks means, by its name. Raises `OSError` without /proc."""
    counts = {check.name: 0 for check in checks}
    by_comm: dict[bytes, list[ProcessCheck]] = {}
    by_path: dict[bytes, list[ProcessCheck]] = {}
    for check in checks:
        name = os.fsencode(check.process)
        if b"/" in name:
            by_path.setdefault(name, []).append(check)
        else:
            by_comm.setdefault(name[:COMM_OCTETS], []).append(check)
    pids = [name for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208 - a path object for each is dear
    for pid in pids[:PROCESSES_MAX]:
        folder = f"{proc}/{pid}/"
        wanted = list(by_comm.get(_read(folder + "comm").rstrip(b"\n"), ())) if by_comm else []
        words = _words(folder) if by_path or any(check.params is not None for check in wanted) else []
        wanted += by_path.get(words[0], ()) if words else ()
        wanted = [check for check in wanted if check.params is None or _are(check.params, words)]
        if wanted and _lives(folder):
            for check in wanted:
                counts[check.name] += 1
    return counts


def _are(params: tuple[str, ...], words: list[bytes]) -> bool:
    return bool(words) and words[1:] == [os.fsencode(word) for word in params]


def _words(folder: str) -> list[bytes]:
    """The command line; empty: a kernel thread, or it is gone."""
    line = _read(folder + "cmdline")
    return line.removesuffix(b"\0").split(b"\0") if line else []


def _lives(folder: str) -> bool:
    state = _read(folder + "stat").rpartition(b")")[2].lstrip()[:1]
    return bool(state) and state[0] not in DEAD


def _read(path: str) -> bytes:
    """Nothing when the process is gone, or is none of our business."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, READ_OCTETS_MAX)
    except OSError:
        return b""
    finally:
        os.close(file)
