"""What our own processes tell each other: one frozen record each, the whole table in one place.

    pulse -> ops          Snapshot each second and on request (then all virtual routers); Transition; Notice
    ops -> pulse          FactChanged, Beat, WantSnapshot; Drained, the last step of a planned handover
    supervisor -> pulse   FactChanged (down only: the process is gone); Park, the first step of a handover
    pulse -> supervisor   Will: what to say for pulse when it is killed; Bequeathed: one virtual router's part of it
    supervisor -> ops     ChildStarted, ChildExited, HandOver
    ops -> supervisor     StartHaproxy (which also reloads), KillHaproxy

Times are monotonic microseconds (CLOCK_BOOTTIME), the same clock in every process of a host.
No message asks a question whose answer anyone waits for.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from firstmate.model.addresses import Address
from firstmate.model.plan import HmacKey, Route, Rule, Transport, Vip
from firstmate.model.units import Micros


class RouterState(Enum):
    """The field's words; RFC 9568 says Active for MASTER."""

    INIT = "INIT"
    FAULT = "FAULT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"


@dataclass(frozen=True, slots=True)
class PathView:
    """One way from one peer to us, and when an accepted advert last came by it."""

    peer: Address  # the peer's first address, which names it
    transport: str  # value of a Transport
    address: Address  # where the peer is on this path
    heard_at_us: Micros | None  # None: never


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that is wrong now: it was seen again lately enough to be so still."""

    code: str  # "two-masters", "vrid-clash", ...: stable, for machines
    source: str  # who: an address, a MAC; empty: nobody in particular
    text: str  # one sentence without a full stop
    since_us: Micros
    last_us: Micros  # when it was last seen
    count: int  # how often it was seen


@dataclass(frozen=True, slots=True)
class RouterView:
    """One virtual router as pulse sees it now."""

    name: str
    vrid: int
    state: RouterState
    priority: int  # 0 in FAULT
    since_us: Micros  # when this state began
    reason: str  # why: one sentence without a full stop
    epoch: int  # grows with every mastership
    master: Address | None  # whose advert we last obeyed, or ourselves; None: nobody known
    master_priority: int | None
    heard_at_us: Micros | None  # the last accepted advert; None: never
    down_at_us: Micros | None  # BACKUP: when we take over if nothing is heard; else None
    down_interval_us: Micros  # how long a silence we bear
    addresses: tuple[str, ...]  # "10.0.1.100/24"
    held: bool  # our addresses are on the interface
    counters: dict[str, int]
    paths: tuple[PathView, ...] = ()
    oddities: tuple[Oddity, ...] = ()


@dataclass(frozen=True, slots=True)
class FactView:
    name: str
    up: bool
    why: str
    at_us: Micros
    value: int | None = None  # as in FactChanged


@dataclass(frozen=True, slots=True)
class PeerView:
    """A peer as its own pulse describes it over the lifeline (ipc.lifeline)."""

    address: Address
    connected: bool
    node: str = ""  # its name, once it has said it
    config: str = ""  # its config digest
    states: dict[str, str] | None = None  # router name -> RouterState value; None: not said yet
    priorities: dict[str, int] | None = None
    haproxy: str = ""  # one word or sentence: "2.6.12 up"
    servers: str = ""  # "5/5"
    at_us: Micros = 0  # when it last spoke, by our clock


@dataclass(frozen=True, slots=True)
class Snapshot:
    seq: int
    at_us: Micros
    pid: int
    realtime: bool  # SCHED_RR was allowed
    routers: tuple[RouterView, ...]
    facts: tuple[FactView, ...]
    peers: tuple[PeerView, ...]
    counters: dict[str, int]  # router-wide: checksum_errors, version_errors, vrid_errors, dropped_messages, ...
    whole: bool = True  # False: only some of the virtual routers; the last view of each of the others still holds
    oddities: tuple[Oddity, ...] = ()  # of no virtual router: a foreign VRID on our wire


@dataclass(frozen=True, slots=True)
class Transition:
    seq: int
    at_us: Micros
    router: str
    vrid: int
    was: RouterState
    is_: RouterState
    reason: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something an operator should know, said once: a foreign VRID, a peer with another interval."""

    seq: int
    at_us: Micros
    code: str  # "vrid-clash", "interval-differs", ...: stable, for machines
    text: str


@dataclass(frozen=True, slots=True)
class FactChanged:
    name: str
    up: bool
    why: str
    at_us: Micros
    generation: int = 0  # which start of the thing this is about: an "up" of an older one is ignored
    value: int | None = None  # the number in a tracked file; None: this fact is only up or down


@dataclass(frozen=True, slots=True)
class Beat:
    """ops is alive, and what this node tells its peers of itself."""

    at_us: Micros
    haproxy: str = ""
    servers: str = ""


@dataclass(frozen=True, slots=True)
class WantSnapshot:
    pass


@dataclass(frozen=True, slots=True)
class HandOver:
    """This node is about to stop, and HAProxy ignores SYNs since then: wait until it is idle, then tell pulse."""

    parked_at_ns: int  # CLOCK_REALTIME


@dataclass(frozen=True, slots=True)
class Park:
    """Keep the SYNs that come from now on; HAProxy is about to ignore them (`pulse.handover`)."""

    at_us: Micros


@dataclass(frozen=True, slots=True)
class Drained:
    """HAProxy has ignored SYNs since `parked_at_ns` (CLOCK_REALTIME) and has finished the rest: resign and end."""

    parked_at_ns: int


@dataclass(frozen=True, slots=True)
class Bequest:
    """One advert of priority 0 to send for pulse: the PDU, and what is needed to sign it when it is sent."""

    interface: str
    source: Address
    destination: Address
    pdu: bytes
    transport: Transport = Transport.UNICAST
    port: int = 0  # UDP
    ttl: int = 255
    version: int = 3
    hmac_key: HmacKey | None = None  # sign with keepalived's trailer
    ah_key: bytes = b""  # sign with AH


@dataclass(frozen=True, slots=True)
class Holding:
    """What one virtual router has put into the kernel: taken away in this order reversed."""

    addresses: tuple[Vip, ...]
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Will:
    """What the supervisor does at once when pulse dies without a word.

    By itself it is pulse's first message, which is empty and replaces all of a predecessor's.
    """

    bequests: tuple[Bequest, ...]
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class Bequeathed:
    """The part of the will that is about one virtual router; replaces that part of before."""

    router: str
    will: Will


@dataclass(frozen=True, slots=True)
class ChildStarted:
    name: str
    pid: int
    generation: int
    at_us: Micros


@dataclass(frozen=True, slots=True)
class ChildExited:
    name: str
    pid: int
    generation: int
    status: int  # exit code; negative: killed by that signal
    restart_in_us: Micros | None  # None: it will not be started again
    at_us: Micros
    why: str = ""  # what it gave as its reason; empty: nothing


@dataclass(frozen=True, slots=True)
class StartHaproxy:
    """Run HAProxy with this file, which `haproxy -c` has accepted; reload it when it runs already."""

    binary: str
    config: str
    digest: str


@dataclass(frozen=True, slots=True)
class KillHaproxy:
    """HAProxy is hung and its addresses are gone: end it; the supervisor starts it again."""

    generation: int
    why: str


FromPulse: TypeAlias = Snapshot | Transition | Notice
ToPulse: TypeAlias = FactChanged | Beat | WantSnapshot | Drained
ToPulseFromSupervisor: TypeAlias = FactChanged | Park
FromPulseToSupervisor: TypeAlias = Will | Bequeathed
FromSupervisor: TypeAlias = ChildStarted | ChildExited | HandOver
ToSupervisor: TypeAlias = StartHaproxy | KillHaproxy
