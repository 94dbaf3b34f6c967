"""What the operator asked for, for this node: checked and frozen.

`config` makes a `Plan` from `firstmate.toml` and what the host says of itself; the supervisor writes it
to `plan.json`; `pulse` and `ops` read it at start and on SIGHUP. Nothing here is ever changed in place.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from typing import TypeAlias

from firstmate.model.units import MS, S, Micros

OWNER = 255  # priority of the address owner (RFC 5798, 5.2.4)
PRIORITY_DEFAULT = 100
PRIORITY_FIRST = 254  # the first node of `prefer`; a high priority has a short skew

HAPROXY_FACT = "haproxy"  # name of the fact "HAProxy really serves on this node"


class Transport(Enum):
    UNICAST = "unicast"
    MULTICAST = "multicast"


class ChecksumForm(Enum):
    """What the checksum of a version 3 IPv4 advert covers (`reference/vrrp.md` section 2)."""

    PSEUDO = "pseudo"  # IPv4 pseudo-header and PDU: keepalived, FRR
    PLAIN = "plain"  # PDU only: RFC 9568


@dataclass(frozen=True, slots=True)
class Vip:
    """An address that moves: `ip`/`prefix` on interface `dev`."""

    ip: IPv4Address
    prefix: int  # 0..32
    dev: str


@dataclass(frozen=True, slots=True)
class VrrpPlan:
    """One virtual router as this node takes part in it."""

    name: str
    vrid: int  # 1..255
    version: int  # 2 or 3
    priority: int  # 1..255, this node's
    advert_interval_us: Micros  # v2: whole seconds 1..255; v3: whole centiseconds 1..4095
    interface: str  # adverts leave and arrive here
    source: IPv4Address  # our primary address on it
    vips: tuple[Vip, ...]
    peers: tuple[IPv4Address, ...] = ()  # the other nodes; adverts go to each when unicast
    transport: Transport = Transport.UNICAST
    preempt: bool = True
    preempt_delay_us: Micros = 30 * S
    checksum: ChecksumForm = ChecksumForm.PSEUDO
    auth_pass: bytes = b""  # v2 simple password, at most 8 octets; empty: no authentication
    track: tuple[str, ...] = (HAPROXY_FACT,)  # facts that must be up, or this node is in FAULT
    garp_repeat: int = 5  # gratuitous ARPs for each address on becoming MASTER
    garp_delay_us: Micros = 5 * S  # and as many again after this
    garp_refresh_us: Micros = 1 * S  # one round this often while MASTER; 0: never


class Mode(Enum):
    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Bind:
    """Where a service listens. `address` None: on every address of the virtual routers."""

    port: int
    address: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class HttpCheck:
    method: str
    uri: str
    host: str = ""  # Host header; empty: none is sent
    port: int | None = None  # None: the server's own port
    status: str = "200-399"


@dataclass(frozen=True, slots=True)
class TcpCheck:
    port: int | None = None


@dataclass(frozen=True, slots=True)
class ProtocolCheck:
    """HAProxy's own check of a protocol: `tls`, `mysql`, `pgsql`, `redis`."""

    protocol: str
    port: int | None = None
    user: str = ""


ServiceCheck: TypeAlias = HttpCheck | TcpCheck | ProtocolCheck


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    address: str  # an IP address or a host name
    port: int
    weight: int | None = None  # 0..256; None: HAProxy's default, 1
    backup: bool = False
    maxconn: int | None = None


@dataclass(frozen=True, slots=True)
class ServicePlan:
    name: str
    mode: Mode
    binds: tuple[Bind, ...]
    servers: tuple[Server, ...]
    check: ServiceCheck
    balance: str = "roundrobin"  # HAProxy's `balance` arguments, checked by config
    check_interval_us: Micros = 2 * S
    rise: int = 2
    fall: int = 2
    goal_us: Micros | None = None  # longest acceptable interruption; None: not said
    raw: tuple[str, ...] = ()  # HAProxy lines of the operator, into the backend or frontend


class HaproxyRun(Enum):
    FIRSTMATE = "firstmate"  # our own child
    EXTERNAL = "external"  # somebody else starts it; we only check that it answers


@dataclass(frozen=True, slots=True)
class HaproxyPlan:
    run: HaproxyRun = HaproxyRun.FIRSTMATE
    binary: str = ""  # empty: `haproxy` on PATH, else the wheel's
    config: str = ""  # the operator's own haproxy.cfg; empty: rendered from the services
    socket: str = ""  # runtime socket of the worker; empty: haproxy.sock in the runtime directory
    probe_interval_us: Micros = 100 * MS
    probe_deadline_us: Micros = 250 * MS
    fall: int = 2
    rise: int = 2


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A script that says whether this node is fit (keepalived's `vrrp_script`, without weight)."""

    name: str
    command: tuple[str, ...]
    interval_us: Micros = 2 * S
    timeout_us: Micros = 2 * S
    fall: int = 3
    rise: int = 2
    user: str = ""  # empty: the user of ops


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything this node has to do. `digest` is the same on every node that has the same file."""

    cluster: str
    node: str  # our own name
    nodes: tuple[Node, ...]  # all of them, ourselves included, in file order
    routers: tuple[VrrpPlan, ...]
    services: tuple[ServicePlan, ...] = ()
    haproxy: HaproxyPlan | None = HaproxyPlan()  # None: this node runs no HAProxy at all
    checks: tuple[CommandCheck, ...] = ()
    digest: str = ""  # fingerprint of the parsed file, 12 hex digits
    source: str = ""  # path of the file, for messages
    peer_port: int = 7113  # TCP between the nodes' pulse processes: see ipc.lifeline; 0: off

    @property
    def me(self) -> Node:
        return next(node for node in self.nodes if node.name == self.node)
