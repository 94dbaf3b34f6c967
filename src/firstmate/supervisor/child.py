"""A child process: how it is started, and how its end is seen (pidfd: at once, and for adopted ones too)."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
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
) -> Child:
    """Start a process with an empty stdin. `prepare` runs in it before the program. Raises `OSError`."""
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
    return Child(name, popen.pid, generation, os.pidfd_open(popen.pid), clock_us(), popen)


def adopt(name: str, pid: int, generation: int) -> Child | None:
    """Watch a process that a predecessor of ours started; None when it is gone."""
    try:
        return Child(name, pid, generation, os.pidfd_open(pid), clock_us(), None)
    except OSError:
        return None
