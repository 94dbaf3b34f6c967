"""HAProxy as a child (`reference/haproxy.md` section 1.1): master-worker, in a session of its own.

It outlives us: traffic must not stop because firstmate does. `haproxy.json` in the runtime directory says
which process is ours, so that a successor adopts it instead of starting a second one.
"""

import contextlib
import json
import os
import re
import signal
from collections import deque
from dataclasses import replace
from pathlib import Path

from firstmate.haproxy.verdict import explain
from firstmate.model.messages import StartHaproxy
from firstmate.supervisor import log
from firstmate.supervisor.child import Child, adopt, spawn

RECORD = "haproxy.json"
MASTER_SOCKET = "haproxy-master.sock"
STDERR_LINES_KEPT = 50  # of one life: its reason for ending is among its first or last lines
STDERR_OCTETS_AT_ONCE = 65_536

_OURS = ("FIRSTMATE_", "NOTIFY_SOCKET", "WATCHDOG_", "JOURNAL_STREAM")  # what systemd tells us is not for HAProxy
LOADING_FAILED = re.compile(r"Loading failure|Failed to load worker")  # what the master says after a reload in vain
_NUMBER = re.compile(r"\(\d+\)")  # of the process: the only thing that differs when it says the same again


class HaproxyChild:
    """At most one HAProxy. `wanted` is what ops asked for last; None: nothing yet."""

    def __init__(self, runtime: Path, node: str) -> None:
        self.child: Child | None = None
        self.wanted: StartHaproxy | None = None
        self.running: StartHaproxy | None = None
        self._said: deque[str] = deque(maxlen=STDERR_LINES_KEPT)
        self._said_before: frozenset[str] = frozenset()  # by the one before
        self.stderr: int | None = None  # readable: lines for `read_lines`
        self._runtime, self._node = runtime, node
        self._generation = 0

    @property
    def generation(self) -> int:
        """Of the last one that was started or adopted, or could not be."""
        return self._generation

    def why_ended(self) -> str:
        """What the last one gave as its reason, as a sentence; "" when it gave none."""
        return explain("\n".join(self._said))

    def has_said_before(self, line: str) -> bool:
        """Did the one before write this line too?"""
        return _NUMBER.sub("", line) in self._said_before

    def adopt(self) -> bool:
        """Take over what a predecessor left running."""
        try:
            record = json.loads((self._runtime / RECORD).read_text())
            pid, start = int(record["pid"]), str(record["start"])
            running = StartHaproxy(str(record["binary"]), str(record["config"]), str(record["digest"]))
        except (OSError, ValueError, KeyError, TypeError):
            return False
        child = adopt("haproxy", pid, self._generation + 1)
        if child is None:
            return False
        if _start_time(pid) != start:  # another process has its number now
            os.close(child.pidfd)
            return False
        self._generation += 1
        self.child, self.running = child, running
        return True

    def start(self) -> Child:
        """Start it with the wanted file. Raises `OSError`."""
        assert self.wanted is not None
        wanted = self.wanted
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(writer, True)
        command = [wanted.binary, "-W", "-S", f"{self._runtime / MASTER_SOCKET},mode,600"]
        command += ["-f", wanted.config, "-L", self._node]
        self._generation += 1
        self._said_before = frozenset(_NUMBER.sub("", line) for line in self._said)
        self._said.clear()
        try:
            child = spawn(
                "haproxy",
                command,
                self._generation,
                environment={name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
                stderr=writer,
                session=True,
                prepare=_be_ordinary,
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._close_stderr()
        self.child, self.running, self.stderr = child, wanted, reader
        self._record(child, wanted)
        return child

    def reload(self) -> None:
        """The master starts a new worker with the wanted file and hands it the listening sockets."""
        assert self.child is not None
        assert self.wanted is not None
        self._said.clear()
        self.child.send(signal.SIGUSR2)
        self.running = self.wanted
        self._record(self.child, self.wanted)

    def reload_failed(self) -> None:
        """The worker before goes on; the same order again is another try."""
        if self.running is not None:
            self.running = replace(self.running, digest="")

    def kill(self) -> None:
        """End master and workers now, also stopped ones: they are one process group."""
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.child.pid, signal.SIGKILL)

    def ended(self) -> int:
        """After its end: sweep up workers that survived it; returns the exit code."""
        assert self.child is not None
        self.kill()
        status = self.child.reap()
        self.child = None
        self._close_stderr()
        with contextlib.suppress(OSError):
            (self._runtime / RECORD).unlink()
        return status

    def read_lines(self) -> list[str]:
        """What it wrote to stderr since the last call; kept to explain an exit."""
        if self.stderr is None:
            return []
        try:
            data = os.read(self.stderr, STDERR_OCTETS_AT_ONCE)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self._close_stderr()
            return []
        lines = [line for line in data.decode(errors="replace").splitlines() if line.strip()]
        self._said += lines
        return lines

    def _close_stderr(self) -> None:
        if self.stderr is not None:
            os.close(self.stderr)
            self.stderr = None

    def _record(self, child: Child, running: StartHaproxy) -> None:
        record = {
            "pid": child.pid,
            "start": _start_time(child.pid),
            "binary": running.binary,
            "config": running.config,
            "digest": running.digest,
        }
        try:
            (self._runtime / RECORD).write_text(json.dumps(record))
        except OSError as error:
            log.warning(f"cannot write {self._runtime / RECORD}: {error.strerror}; a restart will not adopt HAProxy")


def _start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat: with the pid it names one process for good. "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _be_ordinary() -> None:
    """HAProxy shares the machine fairly; our own nice value is for us alone."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
