"""Virtual routers of a site, and each make of daemon as one of those who take part in them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Protocol

from tests.lab import frr, keepalived
from tests.lab.balancer import Balancer
from tests.lab.frr import Frr
from tests.lab.keepalived import Interface, Keepalived
from tests.lab.netns import ADDRESSES, ADDRESSES6, LINK_LOCALS, MACS, Site

from firstmate.model.addresses import Address
from firstmate.model.plan import Auth, HmacPlan, Node, PathPlan, Plan, Transport, Vip, VrrpPlan
from firstmate.model.units import MS

PASSWORD = "secret12"


@dataclass(frozen=True, slots=True)
class Cell:
    """One virtual router. Its name and its addresses come of what it is."""

    vrid: int  # 100..199: it is the last octet of the address
    priorities: Mapping[str, int]  # host -> priority
    version: int = 3
    family: int = 4
    transport: Transport = Transport.MULTICAST
    auth: Auth = Auth.NONE
    interval_s: float = 0.4
    intervals_s: tuple[tuple[str, float], ...] = ()  # of hosts with another one
    preempt: bool = True
    hmac: HmacPlan | None = None
    two_paths: bool = False  # UDP beside it

    @property
    def name(self) -> str:
        words = [f"v{self.version}", f"ipv{self.family}", self.transport.value, str(self.vrid)]
        if self.auth is not Auth.NONE:
            words.append(self.auth.value)
        if self.hmac is not None:
            words.append("hmac")
        if self.two_paths:
            words.append("paths")
        if self.intervals_s:
            words.append("learned")
        if not self.preempt:
            words.append("nopreempt")
        return "_".join(words)

    @property
    def vips(self) -> tuple[Interface, ...]:
        if self.family == 4:
            return (IPv4Interface(f"192.0.2.{self.vrid}/24"),)
        return IPv6Interface(f"fe80::{self.vrid}/64"), IPv6Interface(f"fd00::{self.vrid}/64")

    @property
    def carrier(self) -> str:
        """As the oracle calls it."""
        if self.transport is Transport.UDP:
            return "udp"
        return "ah" if self.auth is Auth.AH else "plain"

    @property
    def hosts(self) -> list[str]:
        return list(self.priorities)

    def source(self, host: str) -> Address:
        if self.family == 4:
            return ADDRESSES[host].ip
        return LINK_LOCALS[host] if self.transport is Transport.MULTICAST else ADDRESSES6[host].ip

    def peers(self, host: str) -> tuple[Address, ...]:
        return tuple(self.source(other) for other in self.hosts if other != host)

    def interval(self, host: str) -> float:
        return dict(self.intervals_s).get(host, self.interval_s)

    def skew_s(self, host: str, heard: str) -> float:
        """How long `host` waits when `heard`, its MASTER, resigns (`reference/vrrp.md` section 4)."""
        return (256 - self.priorities[host]) / 256 * (1 if self.version == 2 else self.interval(heard))

    def down_s(self, host: str, heard: str) -> float:
        """How long a silence of `heard` it bears."""
        return 3 * self.interval(heard) + self.skew_s(host, heard)


class Make(Protocol):
    """A daemon on one host."""

    host: str
    make: str

    def start(self) -> None: ...
    def stop(self) -> float: ...
    def kill(self) -> float: ...
    def close(self) -> None: ...
    def state(self, cell: Cell) -> str: ...
    def mac(self, cell: Cell) -> str: ...
    def said(self) -> str: ...
    def complaints(self) -> list[str]: ...


def new(make: str, site: Site, host: str, directory: Path, cells: Sequence[Cell]) -> Make:
    made: dict[str, Callable[[Site, str, Path, Sequence[Cell]], Make]]
    made = {"firstmate": OfFirstmate, "keepalived": OfKeepalived, "frr": OfFrr}
    return made[make](site, host, directory, cells)


class OfFirstmate:
    make = "firstmate"

    def __init__(self, site: Site, host: str, directory: Path, cells: Sequence[Cell]) -> None:
        self.host, self.cells = host, cells
        self.balancer = Balancer(site, host, directory)

    def start(self) -> None:
        self.balancer.start(self.plan())

    def plan(self) -> Plan:
        hosts = self.balancer.site.balancers
        nodes = tuple(Node(f"lb-{name}", ADDRESSES[name].ip, ADDRESSES6[name].ip) for name in hosts)
        routers = tuple(_router(cell, self.host) for cell in self.cells)
        return Plan("site", f"lb-{self.host}", nodes, routers, haproxy=None, peer_port=0)

    def stop(self) -> float:
        return self.balancer.stop()

    def kill(self) -> float:
        return self.balancer.kill()

    def close(self) -> None:
        self.balancer.close()

    def state(self, cell: Cell) -> str:
        self.balancer.listen()
        state = self.balancer.states.get(cell.name)
        return state.value if state else ""

    def mac(self, cell: Cell) -> str:  # noqa: ARG002 - of the interface, whatever it is
        return MACS[self.host]

    def said(self) -> str:
        states = [f"{one.router} {one.is_.value}: {one.reason}" for one in self.balancer.transitions]
        notices = [f"{one.code}: {one.text}" for one in self.balancer.notices]
        log = self.balancer.log.read_text() if self.balancer.log.exists() else ""
        return "\n".join([*states, *notices, log])

    def complaints(self) -> list[str]:
        refused = [one.text for one in self.balancer.notices if one.code.startswith(("refused-", "kernel-"))]
        return [*refused, *self.balancer.log.read_text().splitlines()]


class OfKeepalived:
    make = "keepalived"

    def __init__(self, site: Site, host: str, directory: Path, cells: Sequence[Cell]) -> None:
        self.host = host
        self.daemon = Keepalived(site, host, directory, *(_instance(cell, host) for cell in cells))

    def start(self) -> None:
        self.daemon.start()

    def stop(self) -> float:
        return self.daemon.stop()

    def kill(self) -> float:
        return self.daemon.kill()

    def close(self) -> None:
        self.daemon.close()

    def state(self, cell: Cell) -> str:
        return self.daemon.state(cell.name)

    def mac(self, cell: Cell) -> str:  # noqa: ARG002 - of the interface, whatever it is
        return MACS[self.host]

    def said(self) -> str:
        return self.daemon.said()

    def complaints(self) -> list[str]:
        return self.daemon.errors()


class OfFrr:
    make = "frr"

    def __init__(self, site: Site, host: str, directory: Path, cells: Sequence[Cell]) -> None:  # noqa: ARG002 - it has its own
        self.host = host
        self.daemon = Frr(site, host, [_frr(cell, host) for cell in cells])

    def start(self) -> None:
        self.daemon.start()

    def stop(self) -> float:
        return self.daemon.stop()

    def kill(self) -> float:
        return self.daemon.kill()

    def close(self) -> None:
        self.daemon.close()

    def state(self, cell: Cell) -> str:
        return self.daemon.state(cell.vrid, cell.family)

    def mac(self, cell: Cell) -> str:
        return f"00:00:5e:00:{1 if cell.family == 4 else 2:02x}:{cell.vrid:02x}"

    def said(self) -> str:
        return self.daemon.said()

    def complaints(self) -> list[str]:
        return []  # it writes of much, and of all in one tone


def _router(cell: Cell, host: str) -> VrrpPlan:
    udp = PathPlan(Transport.UDP, "eth0", cell.source(host), cell.peers(host))
    return VrrpPlan(
        name=cell.name,
        vrid=cell.vrid,
        version=cell.version,
        priority=cell.priorities[host],
        advert_interval_us=round(cell.interval(host) * 1000) * MS,
        interface="eth0",
        source=cell.source(host),
        vips=tuple(Vip(vip.ip, vip.network.prefixlen, "eth0") for vip in cell.vips),
        peers=cell.peers(host),
        transport=cell.transport,
        paths=(udp,) if cell.two_paths else (),
        preempt=cell.preempt,
        preempt_delay_us=0,
        auth=cell.auth,
        auth_pass=b"" if cell.auth is Auth.NONE else PASSWORD.encode(),
        hmac=cell.hmac,
        track=(),
    )


def _instance(cell: Cell, host: str) -> keepalived.Instance:
    unicast = cell.transport is Transport.UNICAST
    return keepalived.Instance(
        name=cell.name,
        vrid=cell.vrid,
        version=cell.version,
        priority=cell.priorities[host],
        interval_s=cell.interval(host),
        vips=cell.vips,
        source=cell.source(host) if unicast else None,
        peers=cell.peers(host) if unicast else (),
        auth=cell.auth,
        password=PASSWORD,
        preempt=cell.preempt,
    )


def _frr(cell: Cell, host: str) -> frr.Instance:
    return frr.Instance(
        cell.vrid, cell.version, cell.priorities[host], cell.interval(host), cell.vips, preempt=cell.preempt
    )
