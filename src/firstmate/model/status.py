"""The status document, schema `status/1`: the API serves it, the CLI prints it, the lab reads it.

Times are RFC 3339 in UTC; durations are seconds as numbers; columns only grow.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathStatus:
    """One way from a peer to this node."""

    peer: str  # its node's name
    transport: str  # unicast | multicast | udp
    address: str  # where the peer is on this path
    heard_age_s: float | None  # since the last advert by this path; None: none came
    silent: bool  # the peer is MASTER, and should have been heard


@dataclass(frozen=True, slots=True)
class OddityStatus:
    """Something that is wrong on the wire now."""

    code: str  # stable: "two-masters", "vrid-clash", ...
    source: str  # a node's name, an address or a MAC
    text: str
    since: str
    last: str
    count: int


@dataclass(frozen=True, slots=True)
class RouterStatus:
    name: str
    vrid: int
    state: str  # INIT | FAULT | BACKUP | MASTER: this node's
    priority: int  # this node's, effective: after all that it tracks; 0 in FAULT
    master: str  # name of the node that is MASTER as seen from here; its address when it is no node; "" unknown
    addresses: tuple[str, ...]
    held: bool  # the addresses are on this node's interface
    since: str
    for_s: float  # how long this node has been in `state`
    reason: str
    takeover_s: float  # how long a silence of the MASTER a BACKUP bears
    counters: dict[str, int]
    advert_s: float = 0.0  # how often the MASTER says that it is there
    configured_priority: int = 0  # before what it tracks; 0: not known
    paths: tuple[PathStatus, ...] = ()
    oddities: tuple[OddityStatus, ...] = ()
    moves_with: tuple[str, ...] = ()  # the other virtual routers of its sync group


@dataclass(frozen=True, slots=True)
class NodeStatus:
    name: str
    address: str
    this: bool
    reachable: bool  # it told us of itself within the last 3 s; this node always
    states: dict[str, str]  # router name -> state; empty: not known
    priorities: dict[str, int]
    heartbeat_age_s: float | None  # since the last advert we accepted from it; None: none, or this node
    haproxy: str  # "2.6.12 up" | "down: killed by signal 9" | "?"
    servers: str  # "5/5" | "?"
    config: str  # digest
    ready: str  # "yes" | "-" (it is MASTER) | "no: reason" | "?"


@dataclass(frozen=True, slots=True)
class HaproxyStatus:
    up: bool
    version: str
    pid: int | None
    since: str
    restarts: int
    servers_up: int
    servers_total: int
    why: str  # why it is not up; "" when it is


@dataclass(frozen=True, slots=True)
class Status:
    cluster: str
    node: str
    health: str  # HEALTHY | DEGRADED | DOWN
    headline: str  # "lb-a is MASTER for 3 d 4 h   standby ready: lb-b   takeover about 0.6 s"
    as_of: str
    pulse_age_s: float  # age of pulse's last snapshot; large: pulse is not well
    routers: tuple[RouterStatus, ...]
    nodes: tuple[NodeStatus, ...]
    haproxy: HaproxyStatus | None
    troubles: tuple[str, ...]  # each with the command that helps
    schema: str = "status/1"
    oddities: tuple[OddityStatus, ...] = ()  # of no virtual router of ours
