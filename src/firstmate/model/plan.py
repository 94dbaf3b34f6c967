"""What the operator asked for, for this node: checked and frozen.

`config` makes a `Plan` from `firstmate.toml` and what the host says of itself; the supervisor writes it
to `pulse.json` for `pulse` and, without its secrets, to `plan.json` for `ops`, which read it at start and on
SIGHUP. Nothing here is ever changed in place.
"""

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from firstmate.model.addresses import Address
from firstmate.model.units import MS, S, Micros

OWNER = 255  # priority of the address owner (RFC 5798, 5.2.4)
PRIORITY_DEFAULT = 100
PRIORITY_FIRST = 254  # the first node of `prefer`; a high priority has a short skew

HAPROXY_FACT = "haproxy"  # name of the fact "HAProxy really serves on this node"
UDP_PORT = 7113  # of adverts in UDP; the same number as `peer_port`, which is TCP


class Transport(Enum):
    UNICAST = "unicast"
    MULTICAST = "multicast"
    UDP = "udp"  # unicast in UDP, always signed: for networks that drop protocol 112


class ChecksumForm(Enum):
    """What the checksum of a version 3 IPv4 advert covers (`reference/vrrp.md` section 2)."""

    PSEUDO = "pseudo"  # IPv4 pseudo-header and PDU: keepalived, FRR
    PLAIN = "plain"  # PDU only: RFC 9568
    GROUP = "group"  # pseudo-header with the group as destination, in unicast too: keepalived until 1.3.6
    AUTO = "auto"  # any of them is heard, and what was heard last is sent; PSEUDO until then


class Auth(Enum):
    """Authentication of version 2 (RFC 2338, 5.3.6)."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - the name of a method
    AH = "ah"


class HmacMode(Enum):
    """What is done with keepalived's `auth_hmac` trailer; a bad one is refused in each of them."""

    ENFORCE = "enforce"  # sign, and refuse what is not signed
    PERMISSIVE = "permissive"  # sign, and hear what is not signed
    RECEIVE_ONLY = "receive-only"  # do not sign, and hear what is not signed


@dataclass(frozen=True, slots=True)
class HmacKey:
    id: int  # 1..255, as it stands in the trailer
    value: bytes = field(repr=False)  # 32..64 octets


@dataclass(frozen=True, slots=True)
class HmacPlan:
    """Signing of adverts (`reference/keepalived.md` section 5.3)."""

    keys: tuple[HmacKey, ...]
    active: int  # id of the key to sign with
    mode: HmacMode = HmacMode.ENFORCE
    window_us: Micros = 5 * S  # how far a sender's clock may be from ours, 1 s..300 s
    monotonic: bool = False  # only the order of adverts counts, no clock is looked at

    @property
    def active_key(self) -> HmacKey:
        return next(key for key in self.keys if key.id == self.active)


@dataclass(frozen=True, slots=True)
class Vip:
    """An address that moves: `ip`/`prefix` on interface `dev`."""

    ip: Address
    prefix: int  # 0..32, IPv6 0..128
    dev: str
    advertised: bool = True  # False: it moves with the others, but no advert names it
    scope: int = 0  # RT_SCOPE_UNIVERSE; 200 site, 253 link, 254 host (rtnetlink(7)); IPv4 only
    label: str = ""  # at most 15 octets, IPv4 only; empty: firstmate's mark
    broadcast: IPv4Address | None = None
    track: bool = True  # False: its interface may be down (keepalived's `no_track`)
    dad: bool = False  # IPv6: let the kernel look for a duplicate first, which takes a second
    fixed: bool = False  # the owner's own: it is announced, and neither added nor removed

    @property
    def place(self) -> tuple[object, ...]:
        """What of it the kernel knows: two with an equal place are one address."""
        return self.ip, self.prefix, self.dev, self.scope, self.label, self.broadcast


class RouteKind(Enum):
    UNICAST = "unicast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"


@dataclass(frozen=True, slots=True)
class Route:
    """A route that exists on the MASTER only."""

    destination: Address
    prefix: int
    kind: RouteKind = RouteKind.UNICAST
    via: Address | None = None
    dev: str = ""  # empty: as the kernel finds `via`
    source: Address | None = None  # preferred source address
    table: int = 0  # 0: the main table, or that of the interface's VRF
    metric: int | None = None
    scope: int | None = None  # None: the kernel's choice by `via`
    onlink: bool = False
    track: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy rule that exists on the MASTER only. `source` and `destination` are of `family` 4 or 6."""

    family: int
    table: int
    priority: int  # 0..2^32-1
    source: Address | None = None
    source_prefix: int = 0
    destination: Address | None = None
    destination_prefix: int = 0
    iif: str = ""
    fwmark: int | None = None
    fwmask: int | None = None
    track: bool = True


@dataclass(frozen=True, slots=True)
class Vmac:
    """A macvlan with the virtual MAC (RFC 5798, 7.3), which holds the addresses of `interface`."""

    name: str  # "vrrp.VRID", IPv6 "vrrp6.VRID"
    mac: str  # "00:00:5e:00:01:01", IPv6 "00:00:5e:00:02:01"
    xmit_base: bool = False  # adverts leave by the interface itself, with its own MAC


@dataclass(frozen=True, slots=True)
class Track:
    """What a fact about this node means for one virtual router (`reference/keepalived.md` section 4.6).

    Weight 0: it must be up, or this node is in FAULT. A positive weight is added while it is up, a negative one while
    it is down. A fact with a number (a tracked file) adds number x weight; with weight 0 any number but 0 is FAULT.
    """

    name: str
    weight: int = 0  # -253..253
    reverse: bool = False  # up and down change places; a number changes its sign


@dataclass(frozen=True, slots=True)
class PathPlan:
    """A further way to the same peers: by another address, another interface, or in UDP."""

    transport: Transport
    interface: str  # as in VrrpPlan
    source: Address
    peers: tuple[Address, ...]  # in the order of VrrpPlan.peers: where each of them is reached on this path


@dataclass(frozen=True, slots=True)
class VrrpPlan:
    """One virtual router as this node takes part in it. Its family is that of `source`."""

    name: str
    vrid: int  # 1..255
    version: int  # 2 or 3
    priority: int  # 1..255, this node's; what it tracks may change it
    advert_interval_us: Micros  # v2: whole seconds 1..255; v3: whole centiseconds 1..4095
    interface: str  # adverts leave and arrive here
    source: Address  # our primary address on it; IPv6 multicast: link-local
    vips: tuple[Vip, ...]  # the advertised ones are of the family of `source`, and come first
    peers: tuple[Address, ...] = ()  # the other nodes; adverts go to each when unicast
    transport: Transport = Transport.UNICAST
    paths: tuple[PathPlan, ...] = ()  # beside the first: transport, interface, source and peers above
    preempt: bool = True
    preempt_delay_us: Micros = 30 * S
    checksum: ChecksumForm = ChecksumForm.PSEUDO
    auth: Auth = Auth.NONE
    auth_pass: bytes = field(default=b"", repr=False)  # v2: password of PASS or AH, at most 8 octets
    hmac: HmacPlan | None = None  # instead of `auth`; UDP demands it
    track: tuple[Track, ...] = (Track(HAPROXY_FACT),)
    track_primary: bool = True  # the link of `interface` must be up, or this node is in FAULT
    track_source: bool = True  # and `source` must be on it
    garp_repeat: int = 5  # gratuitous ARPs (IPv6: unsolicited NAs) for each address on becoming MASTER
    garp_delay_us: Micros = 5 * S  # and as many again after this
    garp_refresh_us: Micros = 1 * S  # `garp_refresh_repeat` rounds this often while MASTER; 0: never
    garp_refresh_repeat: int = 1
    garp_lower_prio_repeat: int | None = None  # after the advert of a weaker MASTER; None: as `garp_repeat`
    garp_lower_prio_delay_us: Micros | None = None  # None: as `garp_delay_us`
    ttl: int = 255  # of unicast adverts; IPv6: hop limit
    min_ttl: int = 0  # of unicast adverts that we hear
    multicast_group: Address | None = None  # None: 224.0.0.18 or ff02::12
    check_source: bool = True  # unicast: only configured peers are heard
    lenient: bool = False  # also hear what keepalived hears: interval 0, no address, a global first IPv6 address
    lower_prio_no_advert: bool = False  # MASTER: do not answer a weaker MASTER (RFC 5798; RFC 9568 answers)
    higher_prio_send_advert: bool = True  # MASTER: one last advert before yielding
    owner_ignore_adverts: bool = False  # priority 255: nobody else is heard (RFC 5798)
    down_timer_adverts: int = 3  # silent intervals before taking over, 1..100
    accept: bool = True  # False: a MASTER that is not the owner drops what is sent to the addresses (RFC 5798, 6.1)
    vmac: Vmac | None = None
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.source.version

    @property
    def moving(self) -> tuple[Vip, ...]:
        """Those that only the MASTER has."""
        return tuple(vip for vip in self.vips if not vip.fixed)

    @property
    def advertised(self) -> tuple[Vip, ...]:
        return tuple(vip for vip in self.vips if vip.advertised)

    @property
    def all_paths(self) -> tuple[PathPlan, ...]:
        return (PathPlan(self.transport, self.interface, self.source, self.peers), *self.paths)

    def tracks(self, fact: str) -> bool:
        return any(track.name == fact for track in self.track)


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Virtual routers that change state together: keepalived's `vrrp_sync_group`."""

    name: str
    members: tuple[str, ...]  # names of virtual routers, at least 2
    tracking_weight: bool = False  # weights of the members count; else only what is FAULT
    track: tuple[Track, ...] = ()  # for all members


class Mode(Enum):
    HTTP = "http"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Bind:
    """Where a service listens. `address` None: on every address of the virtual routers."""

    port: int
    address: Address | None = None


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
    """A script that says whether this node is fit (keepalived's `vrrp_script`)."""

    name: str
    command: tuple[str, ...]
    interval_us: Micros = 2 * S
    timeout_us: Micros = 2 * S
    fall: int = 3
    rise: int = 2
    user: str = ""  # empty: the user of ops
    init_fail: bool = False  # down until it has passed `rise` times; else its first run decides


@dataclass(frozen=True, slots=True)
class ProcessCheck:
    """Up while enough processes of this name run (keepalived's `vrrp_track_process`)."""

    name: str
    process: str  # what /proc/PID/comm says, at most 15 octets are compared; or the program's path with `params`
    params: tuple[str, ...] | None = None  # exactly these arguments; None: any
    quorum: int = 1  # at least so many, 1..65535
    quorum_max: int | None = None  # and at most so many; None: any number
    interval_us: Micros = 1 * S
    rise: int = 1
    fall: int = 1
    init_fail: bool = False


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file with one number in it (keepalived's `vrrp_track_file`); missing, empty or not a number: 0."""

    name: str
    path: str
    interval_us: Micros = 100 * MS


Check: TypeAlias = CommandCheck | ProcessCheck | FileCheck


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    address: IPv4Address
    address6: IPv6Address | None = None  # where IPv6 adverts in unicast or UDP reach it
    more_addresses: tuple[Address, ...] = ()  # further paths to it, each of them in order


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything this node has to do. `digest` is the same on every node that has the same file."""

    cluster: str
    node: str  # our own name
    nodes: tuple[Node, ...]  # all of them, ourselves included, in file order
    routers: tuple[VrrpPlan, ...]
    services: tuple[ServicePlan, ...] = ()
    haproxy: HaproxyPlan | None = HaproxyPlan()  # None: this node runs no HAProxy at all
    checks: tuple[Check, ...] = ()
    groups: tuple[GroupPlan, ...] = ()
    digest: str = ""  # fingerprint of the parsed file, 12 hex digits
    source: str = ""  # path of the file, for messages
    peer_port: int = 7113  # TCP between the nodes' pulse processes: see ipc.lifeline; 0: off
    udp_port: int = UDP_PORT  # of adverts in UDP, on every node
    start_delay_us: Micros = 0  # after the start of pulse: adverts are ignored, and no timer runs
    garp_interval_us: Micros = 0  # least time between two gratuitous ARPs on one interface; 0: no pacing
    gna_interval_us: Micros = 0  # the same for unsolicited NAs
    net_namespace: str = ""  # of `ip netns`; everything runs in it; empty: where we were started

    @property
    def me(self) -> Node:
        return next(node for node in self.nodes if node.name == self.node)
