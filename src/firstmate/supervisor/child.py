"""A child process: how it is started, and how its end is seen (pidfd: at once, and for adopted ones too)."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from firstmate.linux.process import clock_us
from firstmate.model.units import Micros


@dataclass(slots=True)
class Child:
    """A running process; `popen` None: adopted, so that its exit code is unknown."""

    name: str
    pid: int
    generation: int
    pidfd: int
    started_at_us: Micros
    popen: subprocess.Popen[bytes] | None

    def fileno(self) -> int:
        """Readable when the process has ended."""
        return self.pidfd

    def send(self, number: int) -> None:
        """Send a signal; a process that has ended already is fine."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self.pidfd, number)

    def reap(self) -> int:
        """After its end: the exit code, negative for a signal; 0 for an adopted one, whose code nobody has."""
        os.close(self.pidfd)
        return self.popen.wait() if self.popen is not None else 0


def spawn(  # noqa: PLR0913 - all but three are by name, and all are Popen's
    name: str,
    command: list[str],
    generation: int,
    *,
    environment: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
    stderr: int | None = None,
    session: bool = False,
    prepare: Callable[[], None] | None = None,
    user: int | None = None,
    group: int | None = None,
    held_back: Collection[int] = (),
) -> Child:
    """Start a process with an empty stdin. `prepare` runs in it before the program. Raises `OSError`.

    `held_back`: signals that wait in the child until it unblocks them. One that came before its handler is
    there would kill it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held_back)
    try:
        popen = subprocess.Popen(  # noqa: S603 - our own programs, and the haproxy that the operator chose
            command,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            env=environment,
            pass_fds=pass_fds,
            cwd="/",
            start_new_session=session,
            preexec_fn=prepare,  # noqa: PLW1509 - we have no threads
            user=user,
            group=group,
            extra_groups=[] if user is not None else None,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Child(name, popen.pid, generation, os.pidfd_open(popen.pid), clock_us(), popen)


def adopt(name: str, pid: int, generation: int) -> Child | None:
    """Watch a process that a predecessor of ours started; None when it is gone."""
    try:
        return Child(name, pid, generation, os.pidfd_open(pid), clock_us(), None)
    except OSError:
        return None


def bury_orphans(own: Collection[int]) -> None:
    """As process 1 of a container we inherit whoever lost its parent; `own` children are waited for elsewhere."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)
