"""pulse of one host, run for real and without a supervisor: the test holds the other ends of its channels."""

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.lab.netns import MACS, VIP, A, B, Site

from firstmate.ipc.channel import Channel, EndOfChannel, pair
from firstmate.model import jsonable
from firstmate.model.messages import (
    Bequeathed,
    FromPulse,
    FromPulseToSupervisor,
    Notice,
    RouterState,
    RouterView,
    Snapshot,
    Transition,
    Will,
)
from firstmate.model.plan import Node, Plan, Vip, VrrpPlan
from firstmate.model.units import MS

ADDRESSES = {"a": A.ip, "b": B.ip}
PRIORITIES = {"a": 254, "b": 253}


def router(host: str, **changes: object) -> VrrpPlan:
    """What `firstmate.toml` gives for a 100 ms cluster of both hosts, without HAProxy."""
    plan = VrrpPlan(
        name="web",
        vrid=50,
        version=3,
        priority=PRIORITIES[host],
        advert_interval_us=100 * MS,
        interface="eth0",
        source=ADDRESSES[host],
        vips=(Vip(VIP.ip, VIP.network.prefixlen, "eth0"),),
        peers=tuple(address for name, address in ADDRESSES.items() if name != host),
        preempt_delay_us=0,
        track=(),
    )
    return replace(plan, **changes)  # type: ignore[arg-type] # fields of the plan, whichever


def plan(host: str, *routers: VrrpPlan, peer_port: int = 0) -> Plan:
    nodes = tuple(Node(f"lb-{name}", address) for name, address in ADDRESSES.items())
    return Plan("site", f"lb-{host}", nodes, routers or (router(host),), haproxy=None, peer_port=peer_port)


class Balancer:
    def __init__(self, site: Site, host: str, directory: Path) -> None:
        self.site, self.host, self.runtime = site, host, directory / host
        self.runtime.mkdir(exist_ok=True)
        self.log = self.runtime / "stderr"
        self.process: subprocess.Popen[bytes] | None = None
        self.transitions: list[Transition] = []
        self.notices: list[Notice] = []
        self.snapshot: Snapshot | None = None
        self.views: dict[str, RouterView] = {}
        self.states: dict[str, RouterState] = {}  # of each router since the start; a snapshot tells what a burst lost
        self._wills: dict[str, Will] = {}
        self._ops: Channel | None = None
        self._supervisor: Channel | None = None

    def write(self, wanted: Plan) -> None:
        (self.runtime / "pulse.json").write_text(jsonable.dumps(wanted))

    def start(self, wanted: Plan | None = None, *arguments: str, command: tuple[str, ...] = ()) -> None:
        if wanted is not None or not (self.runtime / "pulse.json").exists():
            self.write(wanted or plan(self.host))
        (ops, ops_end), (supervisor, supervisor_end) = pair(), pair()
        environment = os.environ | {
            "FIRSTMATE_RUNTIME": str(self.runtime),
            "FIRSTMATE_SUPERVISOR_PID": str(os.getpid()),
            "FIRSTMATE_FD_OPS": str(ops_end.fileno()),
            "FIRSTMATE_FD_SUPERVISOR": str(supervisor_end.fileno()),
        }
        self.process = self.site.hosts[self.host].start(
            [*command, sys.executable, "-m", "firstmate.pulse", *arguments],
            self.log,
            env=environment,
            pass_fds=(ops_end.fileno(), supervisor_end.fileno()),
        )
        ops_end.close()
        supervisor_end.close()
        self._close_channels()
        self.states = {}
        self._ops, self._supervisor = Channel(ops, FromPulse), Channel(supervisor, FromPulseToSupervisor)

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._close_channels()

    def send(self, number: signal.Signals) -> float:
        """Send a signal; the time of it, as the observer has it."""
        assert self.process is not None
        at = time.time()
        self.process.send_signal(number)
        return at

    def kill(self) -> float:
        """SIGKILL, and wait for the end."""
        at = self.send(signal.SIGKILL)
        self.wait_for_end(-signal.SIGKILL)
        return at

    def stop(self) -> float:
        """SIGTERM, and wait for the end."""
        at = self.send(signal.SIGTERM)
        self.wait_for_end(0)
        return at

    def wait_for_end(self, code: int = 0) -> None:
        assert self.process is not None
        assert self.process.wait(10) == code, self.log.read_text()
        self.listen()

    def lose_supervisor(self) -> float:
        assert self._supervisor is not None
        at = time.time()
        self._supervisor.close()
        return at

    def tell(self, message: object) -> None:
        """Say something as ops."""
        assert self._ops is not None
        assert self._ops.send(message)

    @property
    def will(self) -> Will:
        wills = self._wills.values()
        bequests = tuple(one for will in wills for one in will.bequests)
        return Will(bequests, tuple(one for will in wills for one in will.holdings))

    @property
    def state(self) -> RouterState | None:
        self.listen()
        return self.transitions[-1].is_ if self.transitions else None

    @property
    def reason(self) -> str:
        self.listen()
        return self.transitions[-1].reason

    def view(self, name: str = "web") -> RouterView:
        """As of the last snapshot, at most a second old."""
        self.listen()
        return self.views[name]

    def told(self, code: str) -> list[str]:
        self.listen()
        return [notice.text for notice in self.notices if notice.code == code]

    def wait(self, state: RouterState, timeout_s: float = 6.0) -> None:
        """Until it is in this state."""
        self.site.observer.wait(lambda: self.state is state, timeout_s, f"{self.host} is {state}: {self._story()}")

    def _story(self) -> str:
        said = self.log.read_text() if self.log.exists() else ""
        return f"{[(one.is_.value, one.reason) for one in self.transitions]} {said}"

    def listen(self) -> None:
        for channel in (self._ops, self._supervisor):
            if channel is None or channel.fileno() < 0 or not select.select([channel], [], [], 0)[0]:
                continue
            try:
                messages = channel.receive()
            except EndOfChannel:
                continue
            for message in messages:
                self._take(message)

    def _take(self, message: object) -> None:
        match message:
            case Transition():
                self.transitions.append(message)
                self.states[message.router] = message.is_
            case Notice():
                self.notices.append(message)
            case Snapshot():
                self.snapshot = message
                self.views |= {view.name: view for view in message.routers}
                self.states |= {view.name: view.state for view in message.routers}
            case Will():
                self._wills.clear()
            case Bequeathed(name, will):
                self._wills[name] = will
            case _:
                raise AssertionError(message)

    def _close_channels(self) -> None:
        for channel in (self._ops, self._supervisor):
            if channel is not None:
                channel.close()
        self._ops = self._supervisor = None


def elect(a: Balancer, b: Balancer, peer_port: int = 0) -> None:
    """a MASTER, b BACKUP, and the client has learned so."""
    a.start(plan("a", peer_port=peer_port))
    b.start(plan("b", peer_port=peer_port))
    a.wait(RouterState.MASTER)
    b.wait(RouterState.BACKUP)
    site = a.site
    site.client_talks()
    wait_for_client(site, "a")


def wait_for_client(site: Site, host: str, timeout_s: float = 2.0) -> None:
    site.observer.wait(lambda: site.whom_the_client_asks() == MACS[host], timeout_s, f"the client asks {host}")
