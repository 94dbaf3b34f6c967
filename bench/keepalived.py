"""keepalived as a balancer of the lab, in the styles that the benches compare.

`article` runs inside its host, as everything else does. The others follow HAProxy by `track_process`, which the
kernel serves in the initial network and process namespaces alone: they run outside, and enter their host's network
by `--namespace`. Out there they see the HAProxys of both hosts, and tell them apart by the name on the command
line.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import lan
from styles import Style, configuration, namespace

from firstmate.haproxy.sockets import NoAnswer, ask_blocking
from firstmate.haproxy.stats import BadAnswer, parse_servers
from firstmate.lab import kernel
from firstmate.lab.balancers import haproxy
from firstmate.lab.lab import Lab, LabHost, ProcessView, now_us, wait_until
from firstmate.model.units import S, Micros

LOG = "keepalived.log"
NAMES = Path("/run/netns")  # where keepalived looks for `net_namespace`

_SIOCGSKNS = 0x894C  # the network namespace of a socket
_MNT_DETACH = 2
_SOCKET_WAIT_S = 0.5
_END_WAIT_S = 8.0  # keepalived itself waits five seconds for its child
_DEATH_WAIT_US: Micros = 2 * S


class Keepalived:
    """keepalived and HAProxy side by side, as two units of systemd would run them; nobody restarts either.

    Use it as a block: its end ends what runs outside the lab, and takes the names of the networks away.
    """

    mends_haproxy = False

    def __init__(self, style: Style) -> None:
        self.name = style.name
        self._style = style
        self._binary = ""
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}  # those outside, by host
        self._stopping: set[str] = set()  # hosts whose daemon outside was asked to end
        self._configs: dict[str, str] = {}
        self._named: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What a Balancer is asked.

    def prepare(self, lab: Lab) -> None:
        for host in lab.balancers:
            prepared = lan.render_haproxy(host)
            self._binary = prepared.binary.path
            self._configs[host.name] = prepared.config
            (host.directory / "keepalived.conf").write_text(configuration(self._style, host), encoding="utf-8")
            if self._style.outside:
                self._name_network(host)

    def start(self, host: LabHost) -> None:
        """Start, or let go on, whatever of the two does not run."""
        processes = host.processes()
        if not haproxy(processes):
            self.start_haproxy(host)
        if not self._style.outside:
            if not self.daemon(processes):
                host.spawn(self._command(host), log=LOG).close()
        elif self._pids(host) and host.name not in self._stopping:
            self._signal(host, signal.SIGCONT)
        else:
            self._start_outside(host)

    def start_haproxy(self, host: LabHost) -> None:
        command = [self._binary, "-W", "-L", host.name, "-f", self._configs[host.name]]
        host.spawn(command, log="haproxy.log").close()

    def stop(self, host: LabHost) -> Micros:
        if not self._style.outside:
            return host.lab.kill(self._parents(host.processes()), signal.SIGTERM)
        self._stopping.add(host.name)
        at_us = now_us()
        self._daemons[host.name].terminate()
        return at_us

    def daemon(self, processes: Sequence[ProcessView]) -> list[ProcessView]:
        """Those inside the host; what runs outside answers to `faults`."""
        return [process for process in processes if process.argv and process.argv[0].endswith("keepalived")]

    def part(self, processes: Sequence[ProcessView], name: str) -> list[ProcessView]:
        """Its VRRP child is what pulse is to firstmate."""
        every = self.daemon(processes)
        pids = {process.pid for process in every}
        return [process for process in every if process.parent in pids] if name == "pulse" else []

    def trouble(self, host: LabHost) -> str:
        if not haproxy(host.processes()):
            return f"{host.name}: HAProxy does not run"
        try:
            servers = parse_servers(ask_blocking(lan.haproxy_socket(host), "show stat -1 4 -1", _SOCKET_WAIT_S))
        except (NoAnswer, BadAnswer) as error:
            return f"{host.name}: {error}"
        down = [server.server for server in servers if not server.up]
        if down:
            return f"{host.name}: {', '.join(down)} down"
        state = self._state(host)
        return "" if state in {"MASTER", "BACKUP"} else f"{host.name}: keepalived is {state or 'still starting'}"

    # What the benches ask besides.

    @property
    def faults(self) -> Mapping[str, Callable[[LabHost], Micros]]:
        """Faults of the lab that are done in another way to what runs outside."""
        if not self._style.outside:
            return {}
        return {
            "pulse-kill": self._kill_child,
            "daemon-kill": self._kill,
            "daemon-freeze": lambda host: self._signal(host, signal.SIGSTOP),
            "stop": self.stop,
        }

    def running(self, host: LabHost) -> bool:
        return bool(self._pids(host) if self._style.outside else self.daemon(host.processes()))

    def scheduling(self, host: LabHost) -> str:
        """How its VRRP child is scheduled: "SCHED_RR 50", "SCHED_OTHER"."""
        return scheduling_of(self._pids(host)[-1]) if self._style.outside and self._pids(host) else "SCHED_OTHER"

    def close(self) -> None:
        """End all that runs outside, and take the names away; harmless when repeated."""
        for daemon in self._daemons.values():
            _end_tree(daemon)
        self._daemons = {}
        for path in self._named:
            _unname(path)
        self._named = []

    def _command(self, host: LabHost) -> list[str]:
        directory = host.directory
        files = ["-f", str(directory / "keepalived.conf"), "-p", str(directory / "ka.pid")]
        files += ["-r", str(directory / "ka-vrrp.pid")]
        if self._style.outside:
            files += ["-s", namespace(host)]
        return ["/usr/sbin/keepalived", "-n", "-l", "-D", "-P", *files]

    def _start_outside(self, host: LabHost) -> None:
        self._stopping.discard(host.name)
        old = self._daemons.pop(host.name, None)
        if old is not None:
            old.wait(_END_WAIT_S)
        for name in ("ka.pid", "ka-vrrp.pid"):  # left behind by SIGKILL, and the number may be in use again
            (host.directory / name).unlink(missing_ok=True)
        with (host.directory / LOG).open("ab") as log:
            self._daemons[host.name] = subprocess.Popen(
                self._command(host),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=kernel.die_with_parent,  # noqa: PLW1509  (one thread; a killed bench leaves nothing)
            )

    def _pids(self, host: LabHost) -> list[int]:
        """Of the daemon outside: itself, then its VRRP child and what that runs. Empty when it does not run."""
        daemon = self._daemons.get(host.name)
        return tree(daemon.pid) if daemon is not None and daemon.poll() is None else []

    def _signal(self, host: LabHost, number: int) -> Micros:
        at_us = now_us()
        for pid in self._pids(host):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return at_us

    def _kill(self, host: LabHost) -> Micros:
        """Stop all before killing any: the child of a killed parent says priority 0."""
        at_us = self._signal(host, signal.SIGSTOP)
        pids = self._pids(host)
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._daemons[host.name].wait(_END_WAIT_S)
        wait_until(
            lambda: "it still runs" if any(kernel.start_ticks(pid) for pid in pids) else "", _DEATH_WAIT_US, "SIGKILL"
        )
        return at_us

    def _kill_child(self, host: LabHost) -> Micros:
        _, child, *_ = self._pids(host)
        at_us = now_us()
        os.kill(child, signal.SIGKILL)
        return at_us

    def _parents(self, processes: Sequence[ProcessView]) -> list[ProcessView]:
        children = self.part(processes, "pulse")
        return [process for process in self.daemon(processes) if process not in children]

    def _state(self, host: LabHost) -> str:
        """The last state that its log tells; "" when it tells none since it was started."""
        try:
            text = (host.directory / LOG).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        last = text.rpartition("Starting Keepalived")[2]
        return last.rpartition(") Entering ")[2].partition(" STATE")[0] if ") Entering " in last else ""

    def _name_network(self, host: LabHost) -> None:
        """Bind the host's network to a name in /run/netns, where alone keepalived looks."""
        path = NAMES / namespace(host)
        _unname(path)
        NAMES.mkdir(mode=0o755, exist_ok=True)
        with host.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            fd = fcntl.ioctl(sock.fileno(), _SIOCGSKNS)
        try:
            path.touch()
            self._named.append(path)
            kernel.mount(f"/proc/self/fd/{fd}", str(path), "", kernel.MS_BIND)
        finally:
            os.close(fd)


def tree(root: int) -> list[int]:
    """A process, its children, and theirs, in this order."""
    found, at = [root], 0
    while at < len(found):
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{found[at]}/task/{found[at]}/children").read_text(encoding="ascii")
            found += [int(word) for word in children.split()]
        at += 1
    return found


def scheduling_of(pid: int) -> str:
    """How the kernel runs a process, for people."""
    try:
        policy, priority = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK, os.sched_getparam(pid).sched_priority
    except ProcessLookupError:
        return "gone"
    names = {os.SCHED_RR: "SCHED_RR", os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_OTHER: "SCHED_OTHER"}
    name = names.get(policy, str(policy))
    return f"{name} {priority}" if priority else name


def _end_tree(daemon: "subprocess.Popen[bytes]") -> None:
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGCONT)
        daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(_END_WAIT_S)
            return
        for pid in reversed(tree(daemon.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    daemon.wait()


def _unname(path: Path) -> None:
    if not path.exists():
        return
    encoded = str(path).encode()
    ctypes.CDLL(None).umount2(encoded, _MNT_DETACH)  # fails where nothing is mounted: then there is nothing to do
    path.unlink(missing_ok=True)
