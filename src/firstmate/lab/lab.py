"""The lab from the outside: `with Lab(standard_site()) as lab: lab.host("lb-a").spawn([...])`.

A `Lab` made here goes down with its block, and with its process however that ends, unless `detach` is called.
`Lab.attach()` reaches one that another process made. What runs on the load balancers is not its business:
see `firstmate.lab.balancers`.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firstmate.lab import client, state
from firstmate.lab.client import KeeperClient
from firstmate.lab.topology import HostPlan, Role, Site, standard_site
from firstmate.lab.wire import LabError
from firstmate.model import jsonable
from firstmate.model.units import MS, S, Micros, format_duration

_DOWN_WAIT_S = 10.0
_RUN_WAIT_US: Micros = 20 * S
_WEB_WAIT_US: Micros = 10 * S
_POLL_US: Micros = 10 * MS


def now_us() -> Micros:
    """The lab's clock: CLOCK_MONOTONIC, the same in every host."""
    return time.monotonic_ns() // 1000


def wait_until(condition: Callable[[], str], timeout_us: Micros, what: str, *, poll_us: Micros = _POLL_US) -> None:
    """Wait until `condition` returns "" instead of what is still missing. Raises `LabError` with the last of that."""
    deadline_us = now_us() + timeout_us
    while missing := condition():
        if now_us() > deadline_us:
            message = f"{what} took longer than {format_duration(timeout_us)}: {missing}"
            raise LabError(message)
        time.sleep(poll_us / S)


@dataclass(frozen=True, slots=True)
class ProcessView:
    """A process of a host; `pid` and `parent` as the keeper numbers them."""

    host: str
    pid: int
    parent: int
    state: str  # as in ps: R S D T ...
    argv: tuple[str, ...]

    @property
    def stopped(self) -> bool:
        return self.state in "Tt"


class Process:
    """A program that this client started inside a host."""

    def __init__(self, keeper: KeeperClient, host: str, pid: int, pidfd: int) -> None:
        self.host = host
        self.pid = pid
        self._keeper = keeper
        self._pidfd = pidfd

    def wait(self, timeout_us: Micros = _RUN_WAIT_US) -> int:
        """The exit code, negative for a signal. Raises `LabError` when it still runs after `timeout_us`."""
        if not client.wait_readable(self._pidfd, timeout_us):
            message = f"process {self.pid} on {self.host} still runs after {format_duration(timeout_us)}"
            raise LabError(message)
        code = self._keeper.call("exit_code", pid=self.pid)["code"]
        return int(code) if code is not None else -1

    @property
    def running(self) -> bool:
        return not client.wait_readable(self._pidfd, 0)

    def signal(self, number: int) -> Micros:
        """Send a signal; returns the moment just before it was sent."""
        return int(self._keeper.call("kill", pids=[self.pid], signal=int(number))["at_us"])

    def close(self) -> None:
        """Forget the process; it goes on."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


class LabHost:
    """One host of a lab."""

    def __init__(self, lab: "Lab", plan: HostPlan) -> None:
        self.lab = lab
        self.plan = plan

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def directory(self) -> Path:
        """For files about this host; the host itself sees it at the same path."""
        directory = self.lab.directory / self.name
        directory.mkdir(exist_ok=True)
        return directory

    def spawn(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, log: str = "", stdout: int | None = None
    ) -> Process:
        """Start a program in this host. Its output goes to the file `log` of `directory`, or to descriptor `stdout`."""
        name = log or f"{Path(argv[0]).name}.log"
        with Path(os.devnull).open("rb") as null, (self.directory / name).open("ab") as output:
            out = output.fileno() if stdout is None else stdout
            return self._spawn(argv, env, (null.fileno(), out, output.fileno()))

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout_us: Micros = _RUN_WAIT_US
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program in this host to its end, and return what it printed."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as null:
            process = self._spawn(argv, env, (null.fileno(), out.fileno(), err.fileno()))
            try:
                code = process.wait(timeout_us)
            except LabError:
                process.signal(signal.SIGKILL)
                raise
            finally:
                process.close()
            out.seek(0)
            err.seek(0)
            texts = [stream.read().decode(errors="replace") for stream in (out, err)]
        return subprocess.CompletedProcess(list(argv), code, *texts)

    def spawn_on_terminal(self, argv: Sequence[str], terminal: int) -> Process:
        """Start a program whose standard descriptors and controlling terminal are `terminal`."""
        return self._spawn(argv, None, (terminal, terminal, terminal), tty=True)

    def processes(self) -> list[ProcessView]:
        return [process for process in self.lab.processes() if process.host == self.name]

    def addresses(self) -> list[str]:
        """The IPv4 addresses that it has now."""
        return list(self.lab.call("addresses", host=self.name)["addresses"])

    def holds_vip(self) -> bool:
        return self.lab.site.vip in self.addresses()

    def open_socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket in this host's network, used from here."""
        _, fd = self.lab.keeper.call_for_fd("socket", host=self.name, family=family, kind=kind, protocol=protocol)
        return socket.socket(family, kind, protocol, fileno=fd)

    def connect(self, path: str) -> socket.socket:
        """A connection to a unix socket of this host. Raises `LabError` when nobody listens there."""
        _, fd = self.lab.keeper.call_for_fd("connect", host=self.name, path=path)
        return socket.socket(fileno=fd)

    def read_text(self, path: str) -> str:
        """A file as this host sees it. Raises `LabError` when it has none."""
        _, fd = self.lab.keeper.call_for_fd("open", host=self.name, path=path)
        with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
            return file.read()

    def set_cable(self, *, plugged: bool) -> Micros:
        """Pull or plug this host's cable at the switch; the host loses or gains its carrier."""
        return int(self.lab.call("port", host=self.name, up=plugged)["at_us"])

    def _spawn(
        self, argv: Sequence[str], env: Mapping[str, str] | None, stdio: tuple[int, int, int], *, tty: bool = False
    ) -> Process:
        # `firstmate` is found on every host, also where nobody has put this environment on the path.
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        merged = {**os.environ, "PATH": path, "HOSTNAME": self.name, **(env or {})}
        answer, pidfd = self.lab.keeper.call_for_fd(
            "spawn", stdio, host=self.name, argv=list(argv), env=merged, tty=tty
        )
        return Process(self.lab.keeper, self.name, int(answer["pid"]), pidfd)


class Lab:
    """Namespaces, cables and web servers; made by `up` or by entering the block.

    `name` tells labs on one machine apart. Raises `LabError` when the kernel does not allow it, with what to do.
    """

    def __init__(self, site: Site | None = None, *, name: str = "lab") -> None:
        self.site = site or standard_site()
        self.directory = state.directory_of(name)
        self._keeper: KeeperClient | None = None
        self._guardian: subprocess.Popen[bytes] | None = None

    @classmethod
    def attach(cls, name: str = "lab") -> Self:
        """Reach the lab called `name` that another process made."""
        lab = cls(name=name)
        lab._keeper = client.connect(lab.directory)
        document = lab._keeper.call("site")["site"]
        if document is None:
            message = "the lab is still being built: try again in a second"
            raise LabError(message)
        lab.site = jsonable.from_jsonable(Site, document)
        return lab

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def up(self) -> None:
        """Build the network and start the web servers; whatever a killed lab of this name left is cleared first."""
        state.claim(self.directory)
        try:
            self._keeper, self._guardian = client.launch(self.directory)
            self._keeper.call("build", site=jsonable.to_jsonable(self.site))
            self.start_webs()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End everything in the lab and remove its directory; harmless when it is down."""
        living = state.living(self.directory)
        if self._keeper is not None:
            with suppress(LabError):
                self._keeper.call("down")
            self._keeper.close()
            self._keeper = None
        if self._guardian is not None:
            with suppress(subprocess.TimeoutExpired):
                self._guardian.wait(_DOWN_WAIT_S)
            self._guardian = None
        else:
            state.wait_ended({role: pid for role, pid in living.items() if role != "client"})
        state.clear(self.directory)

    def detach(self) -> None:
        """Let the lab live on after this process; `Lab.attach` or `firstmate lab` reach it."""
        self.call("detach")
        if self._guardian is not None:
            self._guardian.returncode = 0  # it is no longer ours to wait for
            self._guardian = None
        self.disconnect()

    def disconnect(self) -> None:
        """Leave an attached lab to itself."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def close(self) -> None:
        """End a lab that is ours, leave one that is not."""
        if self._guardian is not None:
            self.down()
        else:
            self.disconnect()

    @property
    def keeper(self) -> KeeperClient:
        if self._keeper is None:
            message = "this lab is not up"
            raise LabError(message)
        return self._keeper

    def call(self, op: str, **arguments: Any) -> dict[str, Any]:
        return self.keeper.call(op, **arguments)

    def host(self, name: str) -> LabHost:
        try:
            return LabHost(self, self.site.named(name))
        except KeyError:
            known = ", ".join(host.name for host in self.site.hosts)
            message = f'the lab has no host "{name}"; it has {known}'
            raise LabError(message) from None

    def hosts(self, role: Role) -> list[LabHost]:
        return [LabHost(self, plan) for plan in self.site.of(role)]

    @property
    def balancers(self) -> list[LabHost]:
        return self.hosts(Role.BALANCER)

    def processes(self) -> list[ProcessView]:
        """Every process of every host."""
        found = self.call("processes")["processes"]
        return [ProcessView(p["host"], p["pid"], p["parent"], p["state"], tuple(p["argv"])) for p in found]

    def kill(self, processes: Sequence[ProcessView], number: int) -> Micros:
        """Send one signal to all of them; returns the moment just before the first."""
        return int(self.call("kill", pids=[process.pid for process in processes], signal=int(number))["at_us"])

    def partition(self) -> Micros:
        """Keep the load balancers from hearing each other; everybody else hears all of them."""
        return self._isolate(isolated=True)

    def join(self) -> Micros:
        """End a partition."""
        return self._isolate(isolated=False)

    def ports(self) -> dict[str, dict[str, bool]]:
        """Of each host's port at the switch: is it `down`, is it `isolated`."""
        return dict(self.call("ports")["ports"])

    def note(self, **notes: Any) -> None:
        """Keep small JSON values with the lab, for whoever attaches later."""
        self.call("note", notes=notes)

    def notes(self) -> dict[str, Any]:
        return dict(self.call("site")["notes"])

    def start_webs(self) -> None:
        """Start every web server that does not run, and wait until they listen."""
        running = {process.host for process in self.processes() if "firstmate.lab.webserver" in process.argv}
        started = [host for host in self.hosts(Role.WEB) if host.name not in running]
        ports = []
        for host in started:
            read, write = os.pipe()
            argv = [sys.executable, "-m", "firstmate.lab.webserver", host.name]
            host.spawn(argv, log="web.log", stdout=write).close()
            os.close(write)
            ports.append((host, read))
        for host, read in ports:
            ready = client.wait_readable(read, _WEB_WAIT_US) and os.read(read, 16)
            os.close(read)
            if not ready:
                message = f"{host.name}: its web server did not start; see {host.directory / 'web.log'}"
                raise LabError(message)

    def leader(self) -> str:
        """The load balancer that holds the address; "" when none or more than one does."""
        holders = [host.name for host in self.balancers if host.holds_vip()]
        return holders[0] if len(holders) == 1 else ""

    def _isolate(self, *, isolated: bool) -> Micros:
        names = [host.name for host in self.balancers]
        return int(self.call("isolate", hosts=names, isolated=isolated)["at_us"])
