"""pulse and ops as children: their commands, their sockets, and when they are started again."""

import os
import signal
import sys
from dataclasses import dataclass, field

from firstmate.ipc.channel import pair
from firstmate.linux import process
from firstmate.linux.process import clock_us
from firstmate.linux.watchdog import Watchdog
from firstmate.model.units import Micros
from firstmate.policy.restart import Restarts
from firstmate.supervisor.child import Child, spawn
from firstmate.supervisor.runtime import Runtime

PULSE, OPS, HAPROXY = "pulse", "ops", "haproxy"
PULSE_TRIES_MAX = 10  # within a minute of health: a pulse that will not stay up must let go of the addresses


@dataclass(slots=True)
class Slot:
    """A place for one child, empty while it waits to be started again at `due_us`."""

    name: str
    restarts: Restarts
    child: Child | None = None
    due_us: Micros | None = None  # None: it runs, or is not to be started
    generation: int = 0


class Wires:
    """Both ends of every socket: a child that dies leaves its messages in the kernel for its successor."""

    def __init__(self) -> None:
        self.pulse_to_ops, self.ops_to_pulse = pair()
        self.ours_to_ops, self.ops_to_us = pair()
        self.ours_to_pulse, self.pulse_to_us = pair()


@dataclass(slots=True)
class Family:
    """Starts pulse and ops."""

    runtime: Runtime
    wires: Wires
    api_fd: int
    pulse: Slot = field(default_factory=lambda: Slot(PULSE, Restarts(tries_max=PULSE_TRIES_MAX)))
    ops: Slot = field(default_factory=lambda: Slot(OPS, Restarts()))
    watchdog: Watchdog = field(default_factory=Watchdog)  # of pulse

    def start_pulse(self, *arguments: str) -> None:
        """Raises `OSError`."""
        fds = {
            "FIRSTMATE_FD_OPS": self.wires.pulse_to_ops.fileno(),
            "FIRSTMATE_FD_SUPERVISOR": self.wires.pulse_to_us.fileno(),
            "FIRSTMATE_FD_WATCHDOG": self.watchdog.fd,
        }
        self.watchdog.start(clock_us())
        self._start(self.pulse, "firstmate.pulse", fds, arguments)

    def start_ops(self) -> None:
        """Raises `OSError`."""
        fds = {
            "FIRSTMATE_FD_PULSE": self.wires.ops_to_pulse.fileno(),
            "FIRSTMATE_FD_SUPERVISOR": self.wires.ops_to_us.fileno(),
            "FIRSTMATE_FD_API": self.api_fd,
        }
        user = self.runtime.ops_user
        ids = (user.uid, user.gid) if user is not None else (None, None)
        self._start(self.ops, "firstmate.ops", fds, (), *ids)

    def _start(
        self,
        slot: Slot,
        module: str,
        fds: dict[str, int],
        arguments: tuple[str, ...],
        user: int | None = None,
        group: int | None = None,
    ) -> None:
        environment = os.environ | {name: str(fd) for name, fd in fds.items()}
        environment |= {"FIRSTMATE_RUNTIME": str(self.runtime.path), "FIRSTMATE_SUPERVISOR_PID": str(os.getpid())}
        command = [sys.executable, "-m", module, *arguments]
        slot.generation += 1
        slot.child = spawn(
            slot.name,
            command,
            slot.generation,
            environment=environment,
            pass_fds=tuple(fds.values()),
            prepare=_drop_capabilities if slot.name == OPS and user is None else None,
            user=user,
            group=group,
            held_back={signal.SIGHUP, signal.SIGINT},  # a reload may come at any moment, and a Ctrl-C
        )
        slot.due_us = None


def _drop_capabilities() -> None:
    """ops parses what strangers send: as root without capabilities when there is no user for it."""
    process.keep_capabilities()
