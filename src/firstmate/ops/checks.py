"""Keeps the checks of the plan going: commands, processes and files.

Each `[[check]]` command runs in its own process group, with a deadline, and its first line is kept.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from firstmate.linux.process import clock_us
from firstmate.model.plan import Check, CommandCheck, FileCheck, ProcessCheck
from firstmate.model.units import S, Micros, format_duration
from firstmate.ops.files import Reading
from firstmate.ops.lookout import Lookout
from firstmate.ops.processes import Counting
from firstmate.policy.restart import cause
from firstmate.policy.world import CheckRan, Event

OUTPUT_BYTES_MAX = 4096  # of which the first line is kept
LINE_CHARS_MAX = 200
REAP_TIMEOUT_S = 1.0  # a killed process may hang in the kernel; its command is then left behind
PAUSE_MIN_US: Micros = 10_000  # a command that takes longer than its interval starts again after this


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int | None  # exit code, negative for a signal; None: it did not end in time
    output: bytes  # the beginning


class Checks:
    """A task for each command, a thread for each file, and one for all processes that are counted equally often."""

    def __init__(self, tasks: asyncio.TaskGroup, put: Callable[[Event], None]) -> None:
        self._tasks, self._put = tasks, put
        self._running: dict[CommandCheck, asyncio.Task[None]] = {}
        self._lookouts: dict[FileCheck | tuple[ProcessCheck, ...], Lookout] = {}

    def apply(self, checks: tuple[Check, ...]) -> None:
        """Run these from now on: those that did not change go on undisturbed."""
        commands = [check for check in checks if isinstance(check, CommandCheck)]
        for command in self._running.keys() - set(commands):
            self._running.pop(command).cancel()
        for command in commands:
            if command not in self._running:
                self._running[command] = self._tasks.create_task(self._run_forever(command))
        watched = _watched(checks)
        for what in self._lookouts.keys() - set(watched):
            self._lookouts.pop(what).stop()
        for what in watched:
            if what not in self._lookouts:
                self._lookouts[what] = self._look_out(what)

    def stop(self) -> None:
        """End the threads; the tasks end with their group."""
        for lookout in self._lookouts.values():
            lookout.stop()

    def _look_out(self, what: FileCheck | tuple[ProcessCheck, ...]) -> Lookout:
        if isinstance(what, FileCheck):
            reading = Reading(what)
            return Lookout(f"file {what.name}", reading.rest_us, reading.look, self._put)
        return Lookout("processes", what[0].interval_us, Counting(what).look, self._put)

    async def _run_forever(self, check: CommandCheck) -> None:
        while True:
            started_us = clock_us()
            ok, line = await run_check(check)
            self._put(CheckRan(check.name, ok, line, started_us))
            rest_us = check.interval_us - (clock_us() - started_us)
            await asyncio.sleep(max(rest_us, PAUSE_MIN_US) / S)


def _watched(checks: tuple[Check, ...]) -> list[FileCheck | tuple[ProcessCheck, ...]]:
    """Each file, and the processes by their interval: one look through /proc serves all that are due then."""
    files = [check for check in checks if isinstance(check, FileCheck)]
    by_interval: dict[Micros, list[ProcessCheck]] = {}
    for check in checks:
        if isinstance(check, ProcessCheck):
            by_interval.setdefault(check.interval_us, []).append(check)
    return [*files, *(tuple(same) for same in by_interval.values())]


async def run_check(check: CommandCheck) -> tuple[bool, str]:
    """Run it once: whether it passed, and its first line or what became of it."""
    try:
        outcome = await run(check.command, check.timeout_us, check.user or None)
    except FileNotFoundError:
        return False, f"{check.command[0]} does not exist"
    except PermissionError:
        as_user = f" as {check.user}" if check.user else ""
        return False, f"not allowed to run {check.command[0]}{as_user}"
    except (OSError, ValueError, LookupError) as error:
        return False, f"{check.command[0]} cannot be run: {error}"
    line = _first_line(outcome.output)
    if outcome.status is None:
        return False, f"did not end within {format_duration(check.timeout_us)}" + (f"; said: {line}" if line else "")
    if outcome.status == 0:
        return True, line
    return False, f"{cause(outcome.status)}" + (f": {line}" if line else "")


async def run(command: tuple[str, ...], timeout_us: Micros, user: str | None = None) -> Outcome:
    """Run a command to its end, or to its deadline; its whole process group is gone afterwards.

    Raises `OSError` or `ValueError` when it cannot be started.
    """
    loop = asyncio.get_running_loop()
    child = _spawn(command, user)
    pidfd = os.pidfd_open(child.pid)
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    output = bytearray()
    ended: asyncio.Future[None] = loop.create_future()
    loop.add_reader(child.stdout.fileno(), _collect, loop, child.stdout.fileno(), output)
    loop.add_reader(pidfd, _settle, ended)
    in_time = False
    try:
        await asyncio.wait({ended}, timeout=timeout_us / S)
        in_time = ended.done()
        _collect(loop, child.stdout.fileno(), output)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # also what it left in the background
        await asyncio.wait({ended}, timeout=REAP_TIMEOUT_S)
        loop.remove_reader(pidfd)
        loop.remove_reader(child.stdout.fileno())
        os.close(pidfd)
        child.stdout.close()
        status = child.poll()
    return Outcome(status if in_time else None, bytes(output))


def _spawn(command: tuple[str, ...], user: str | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  the operator's own command, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        user=user,
        cwd="/",
        bufsize=0,
    )


def _collect(loop: asyncio.AbstractEventLoop, fd: int, output: bytearray) -> None:
    """Drain the pipe, so that the command is never held up; keep the beginning."""
    try:
        chunk = os.read(fd, OUTPUT_BYTES_MAX)
    except BlockingIOError:
        return
    if not chunk:
        loop.remove_reader(fd)
    output += chunk[: OUTPUT_BYTES_MAX - len(output)]


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _first_line(output: bytes) -> str:
    text = output.decode(errors="replace").strip()
    line = text.splitlines()[0] if text else ""
    return "".join(char if char.isprintable() else " " for char in line)[:LINE_CHARS_MAX]
