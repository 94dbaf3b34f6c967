"""The faults of the lab, each with its limit; and one way to heal them all.

Healing looks at what is wrong rather than at what was done: it works from another process, twice, and after a crash.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from firstmate.lab.balancers import Balancer, haproxy, haproxy_workers, wait_stopped
from firstmate.lab.lab import Lab, LabHost, ProcessView, wait_until
from firstmate.lab.topology import Role
from firstmate.lab.wire import LabError
from firstmate.model.units import MS, S, Micros

_STOP_WAIT_US: Micros = 2 * S
_STOPPING = "stopping"  # the note that names hosts whose daemon was asked to end
MENDS = True  # the daemon, if it is any good, mends it without help


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    says: str  # what is done, to people
    where: Role | None  # which hosts it can hit; None: it hits the network, not a host
    limit_us: Micros | None  # longest outage that we promise; None: nothing is promised
    inject: Callable[["Scene", str], Micros]
    mends_itself: bool = False
    failed_max: int | None = None  # how many requests may fail; None: as many as the outage costs


@dataclass(frozen=True, slots=True)
class Injection:
    fault: Fault
    host: str  # "" for a fault of the network
    at_us: Micros  # monotonic: just before it was done


@dataclass(frozen=True, slots=True)
class Scene:
    """A lab and what runs on its load balancers."""

    lab: Lab
    balancer: Balancer

    def inject(self, name: str, host: str = "") -> Injection:
        """Do it. `host` "": the load balancer that leads now, or web1. Raises `LabError`."""
        fault = FAULTS.get(name)
        if fault is None:
            raise LabError(f'there is no fault "{name}"; there are {", ".join(FAULTS)}')
        target = self.target(fault, host)
        return Injection(fault, target, fault.inject(self, target))

    def heal(self) -> list[str]:
        """Plug every cable, end partitions, wake what sleeps, start what is gone; says what it did."""
        done = self._heal_network()
        stopped = [process for process in self.lab.processes() if process.stopped]
        if stopped:
            self.lab.kill(stopped, signal.SIGCONT)
            done += [f"{process.host}: process {process.pid} goes on" for process in stopped]
        self._await_stopping()
        processes = self.lab.processes()
        running = {process.host for process in processes if "firstmate.lab.webserver" in process.argv}
        gone = [host.name for host in self.lab.hosts(Role.WEB) if host.name not in running]
        self.lab.start_webs()
        done += [f"{name}: web server started" for name in gone]
        for host in self.lab.balancers:
            mine = [process for process in processes if process.host == host.name]
            if not self.balancer.daemon(mine):
                self.balancer.start(host)
                done.append(f"{host.name}: {self.balancer.name} started")
            elif not haproxy(mine) and not self.balancer.mends_haproxy:
                self.balancer.start_haproxy(host)
                done.append(f"{host.name}: HAProxy started")
        return done

    def target(self, fault: Fault, host: str = "") -> str:
        """Which host it would hit now; "" for the network. Raises `LabError`."""
        if fault.where is None:
            return ""
        names = [plan.name for plan in self.lab.site.of(fault.where)]
        if host:
            if host not in names:
                raise LabError(f'{fault.name} cannot hit "{host}"; it can hit {", ".join(names)}')
            return host
        if fault.where is Role.WEB:
            return names[0]
        leader = self.lab.leader()
        if not leader:
            raise LabError(f"no single host has {self.lab.site.vip} now: say which one, {' or '.join(names)}")
        return leader

    def _heal_network(self) -> list[str]:
        ports = self.lab.ports()
        done = []
        for name in (name for name, port in ports.items() if port["down"]):
            self.lab.host(name).set_cable(plugged=True)
            done.append(f"{name}: cable plugged")
        if any(port["isolated"] for port in ports.values()):
            self.lab.join()
            done.append("the load balancers hear each other again")
        return done

    def _await_stopping(self) -> None:
        """A daemon that was asked to stop still looks alive while it hands over."""
        names = self.lab.notes().get(_STOPPING, [])
        for name in names:
            wait_stopped(self.lab.host(name), self.balancer)
        if names:
            self.lab.note(**{_STOPPING: []})


def _kill_part(part: str) -> Callable[[Scene, str], Micros]:
    def inject(scene: Scene, name: str) -> Micros:
        host = scene.lab.host(name)
        found = scene.balancer.part(host.processes(), part)
        return scene.lab.kill(_some(found, f"{part} of {scene.balancer.name}", host), signal.SIGKILL)

    return inject


def _crash_haproxy(scene: Scene, name: str) -> Micros:
    host = scene.lab.host(name)
    return scene.lab.kill(_some(haproxy(host.processes()), "HAProxy", host), signal.SIGKILL)


def _hang_haproxy(scene: Scene, name: str) -> Micros:
    host = scene.lab.host(name)
    return scene.lab.kill(_some(haproxy_workers(host.processes()), "HAProxy", host), signal.SIGSTOP)


def _kill_daemon(scene: Scene, name: str) -> Micros:
    """Stop all before killing any: a process that outlives its parent by a moment could still say goodbye."""
    at_us = _freeze_daemon(scene, name)
    host = scene.lab.host(name)
    scene.lab.kill(scene.balancer.daemon(host.processes()), signal.SIGKILL)
    wait_until(lambda: "it still runs" if scene.balancer.daemon(host.processes()) else "", _STOP_WAIT_US, "SIGKILL")
    return at_us


def _freeze_daemon(scene: Scene, name: str) -> Micros:
    host = scene.lab.host(name)
    at_us = scene.lab.kill(_some(scene.balancer.daemon(host.processes()), scene.balancer.name, host), signal.SIGSTOP)
    # One that was forked between the look and the signal is caught by a second look.
    late = [process for process in scene.balancer.daemon(host.processes()) if not process.stopped]
    if late:
        scene.lab.kill(late, signal.SIGSTOP)
    return at_us


def _cut_cable(scene: Scene, name: str) -> Micros:
    return scene.lab.host(name).set_cable(plugged=False)


def _partition(scene: Scene, _: str) -> Micros:
    return scene.lab.partition()


def _end_web(scene: Scene, name: str) -> Micros:
    host = scene.lab.host(name)
    found = [process for process in host.processes() if "firstmate.lab.webserver" in process.argv]
    return scene.lab.kill(_some(found, "its web server", host), signal.SIGKILL)


def _stop(scene: Scene, name: str) -> Micros:
    host = scene.lab.host(name)
    _some(scene.balancer.daemon(host.processes()), scene.balancer.name, host)
    scene.lab.note(**{_STOPPING: [*scene.lab.notes().get(_STOPPING, []), name]})
    return scene.balancer.stop(host)


def _some(found: list[ProcessView], what: str, host: LabHost) -> list[ProcessView]:
    if not found:
        raise LabError(f"{host.name}: {what} does not run; `firstmate lab heal` starts what is missing")
    return found


_LB = Role.BALANCER

_THEY = "the load balancers cannot hear each other"

# fmt: off
FAULTS = {fault.name: fault for fault in (
    Fault("haproxy-crash", "SIGKILL HAProxy",                          _LB,      250 * MS,  _crash_haproxy, MENDS),
    Fault("haproxy-hang",  "SIGSTOP HAProxy's worker",                 _LB,      1500 * MS, _hang_haproxy, MENDS),
    Fault("pulse-kill",    "SIGKILL pulse",                            _LB,      250 * MS,  _kill_part("pulse"), MENDS),
    Fault("ops-kill",      "SIGKILL ops",                              _LB,      100 * MS,  _kill_part("ops"), MENDS),
    Fault("daemon-kill",   "SIGKILL all of the daemon, HAProxy stays", _LB,      500 * MS,  _kill_daemon),
    Fault("daemon-freeze", "SIGSTOP all of the daemon, HAProxy stays", _LB,      500 * MS,  _freeze_daemon),
    Fault("link-down",     "pull the network cable",                   _LB,      1000 * MS, _cut_cable),
    Fault("partition",     _THEY,                                      None,     500 * MS,  _partition),
    Fault("web-down",      "SIGKILL a web server",                     Role.WEB, None,      _end_web),
    Fault("stop",          "SIGTERM: a graceful stop",                 _LB,      250 * MS,  _stop, failed_max=0),
)}
# fmt: on
