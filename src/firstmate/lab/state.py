"""Where labs live on the host, and how the remains of a killed one are recognised and cleared.

Each lab has one directory with its control socket, its files and `state.json`: the processes that hold it,
each by pid and start time, so that a pid used again by somebody else is never mistaken for ours.
"""

import json
import os
import re
import select
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from firstmate.lab import kernel
from firstmate.lab.wire import LabError

CONTROL = "control.sock"
STATE = "state.json"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_END_WAIT_MS = 5_000  # SIGKILL and the end of nine namespaces take some 50 ms


def directory_of(name: str) -> Path:
    """The directory of the lab called `name`: lower-case letters, digits and hyphens, at most 40."""
    if _NAME.fullmatch(name) is None:
        message = f'"{name[:60]}" is no name for a lab: use lower-case letters, digits and hyphens'
        raise LabError(message)
    return _root() / name


def claim(directory: Path) -> None:
    """Make the directory for a new lab, after clearing what a killed one left. Raises `LabError` when one runs."""
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        if is_running(directory):
            message = (
                f'lab "{directory.name}" is up already: `firstmate lab status` shows it,'
                " `firstmate lab down` takes it down"
            )
            raise LabError(message) from None
        clear(directory)
        directory.mkdir(parents=True)
    except PermissionError as error:
        message = f"{directory} cannot be made ({error.strerror}): remove what is in the way, or set XDG_RUNTIME_DIR"
        raise LabError(message) from error
    record(directory, {"client": os.getpid()})


def record(directory: Path, pids: dict[str, int]) -> None:
    """Say which processes hold the lab."""
    draft = directory / f"{STATE}.new"
    document = {role: [pid, kernel.start_ticks(pid) or 0] for role, pid in pids.items()}
    draft.write_text(json.dumps(document), encoding="utf-8")
    draft.replace(directory / STATE)


def is_running(directory: Path) -> bool:
    """Whether any process that holds this lab is alive."""
    return bool(living(directory))


def living(directory: Path) -> dict[str, int]:
    """The processes that hold this lab and are alive: role -> pid."""
    try:
        document = json.loads((directory / STATE).read_text(encoding="utf-8"))
        recorded = {str(role): (int(pid), int(start)) for role, (pid, start) in document.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return {role: pid for role, (pid, start) in recorded.items() if start and kernel.start_ticks(pid) == start}


def clear(directory: Path) -> None:
    """End what still runs of this lab, and remove its directory."""
    for role, pid in living(directory).items():
        if role != "client":
            _end(pid, signal.SIGKILL)
    remove(directory)


def remove(directory: Path) -> None:
    """Remove the directory of a lab that is down, and the one above it with the last lab."""
    shutil.rmtree(directory, ignore_errors=True)
    with suppress(OSError):  # other labs are in it
        directory.parent.rmdir()


def wait_ended(pids: dict[str, int]) -> None:
    """Wait until these have ended, each for a bounded time; for a look at `living` before asking them to."""
    for pid in pids.values():
        _end(pid, None)


def _root() -> Path:
    if os.geteuid() == 0:
        return Path("/run/firstmate-lab")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime, "firstmate-lab")
    return Path(f"/tmp/firstmate-lab-{os.geteuid()}")  # noqa: S108 (the uid is in the name, and mkdir refuses a stranger's)


def _end(pid: int, number: signal.Signals | None) -> None:
    """Send a signal, if one is given, and wait for the end."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            if number is not None:
                signal.pidfd_send_signal(pidfd, number)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(_END_WAIT_MS)
        finally:
            os.close(pidfd)
