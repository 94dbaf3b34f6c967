"""Node lb-a of two, with one virtual router and one service; what it hears and sees."""

from dataclasses import replace
from ipaddress import IPv4Address

from firstmate.model.messages import (
    Beat,
    ChildStarted,
    FactView,
    Oddity,
    PathView,
    PeerView,
    RouterState,
    RouterView,
    Snapshot,
)
from firstmate.model.plan import (
    HAPROXY_FACT,
    Bind,
    CommandCheck,
    FileCheck,
    GroupPlan,
    HttpCheck,
    Mode,
    Node,
    Plan,
    ProcessCheck,
    Server,
    ServicePlan,
    Track,
    Vip,
    VrrpPlan,
)
from firstmate.model.units import MS, S, Micros
from firstmate.policy.decide import decide
from firstmate.policy.life import Answered
from firstmate.policy.world import Action, Event, Record, ServersSeen, ServerView, World, begin

NOW: Micros = 1_000 * S
WALL: Micros = 1_795_000_000 * S
A, B = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.11")
VIP = Vip(IPv4Address("192.0.2.100"), 24, "eth0")
TRACKED = (Track(HAPROXY_FACT), Track("disk"))
ROUTER = VrrpPlan("web", 7, 3, 254, 200 * MS, "eth0", A, (VIP,), (B,), track=TRACKED)
SERVICE = ServicePlan(
    "web",
    Mode.HTTP,
    (Bind(80),),
    (Server("web1", "198.51.100.1", 80), Server("web2", "198.51.100.2", 80)),
    HttpCheck("GET", "/"),
)
DISK = CommandCheck("disk", ("/usr/local/bin/disk-ok",), fall=3, rise=2)
PLAN = Plan(
    "edge",
    "lb-a",
    (Node("lb-a", A), Node("lb-b", B)),
    (ROUTER,),
    (SERVICE,),
    checks=(DISK,),
    digest="7c1e4f000000",
    source="/etc/firstmate/firstmate.toml",
)
NGINX = ProcessCheck("nginx", "nginx", rise=2, fall=2, init_fail=True)
PRIO = FileCheck("prio", "/run/prio")
RICH = replace(
    PLAN,
    routers=(
        replace(ROUTER, track=(*TRACKED, Track("nginx", weight=-20), Track("prio"))),
        replace(ROUTER, name="db", vrid=8, track=(Track("prio", weight=1), Track("disk", reverse=True))),
    ),
    checks=(DISK, NGINX, PRIO),
    groups=(GroupPlan("all", ("web", "db")),),
)
"""Two virtual routers of one sync group, and every kind of check."""
VIEW = RouterView(
    name="web",
    vrid=7,
    state=RouterState.BACKUP,
    priority=254,
    since_us=NOW - 60 * S,
    reason="lb-b has priority 253",
    epoch=1,
    master=B,
    master_priority=253,
    heard_at_us=NOW - 100 * MS,
    down_at_us=NOW + 500 * MS,
    down_interval_us=601 * MS,
    addresses=("192.0.2.100/24",),
    held=False,
    counters={"sent": 1},
)
LEADING = replace(
    VIEW, state=RouterState.MASTER, master=A, held=True, reason="heard nobody for 602 ms", heard_at_us=None
)
BY_VRRP = PathView(B, "unicast", B, NOW - 100 * MS)
BY_UDP = PathView(B, "udp", IPv4Address("198.51.100.11"), NOW - 5 * S)
ONE_WAY = Oddity("one-way", "192.0.2.11", "192.0.2.11 does not hear us", NOW - 10 * S, NOW - S, 7)
FOREIGN = Oddity(
    "vrid-clash", "192.0.2.99", "192.0.2.99 sends adverts for VRID 9, which is none of ours", NOW - S, NOW, 1
)
PEER = PeerView(
    B, connected=True, node="lb-b", config=PLAN.digest, states={"web": "BACKUP"}, priorities={"web": 253},
    haproxy="2.6.12 up", servers="2/2", at_us=NOW,
)  # fmt: skip
PEER_LEADING = replace(PEER, states={"web": "MASTER"})
UP = FactView(HAPROXY_FACT, up=True, why="", at_us=NOW)
DISK_UP = FactView("disk", up=True, why="", at_us=NOW)
SERVERS = ServersSeen((ServerView("web", "web1", True, "UP", ""), ServerView("web", "web2", True, "UP", "")))


def snapshot(
    *routers: RouterView,
    peers: tuple[PeerView, ...] = (PEER,),
    facts: tuple[FactView, ...] = (UP, DISK_UP),
    at_us: Micros = NOW,
    seq: int = 1,
    pid: int = 50,
) -> Snapshot:
    return Snapshot(seq, at_us, pid, realtime=True, routers=routers, facts=facts, peers=peers, counters={})


def answer(started_us: Micros = NOW, *, worker: int = 901, parent: int | None = 900) -> Answered:
    return Answered(started_us, worker, parent, "2.6.12")


def told(world: World, *events: Event, now_us: Micros = NOW) -> World:
    """The world after these events."""
    return decided(world, *events, now_us=now_us)[0]


def decided(world: World, *events: Event, now_us: Micros = NOW) -> tuple[World, list[Action]]:
    """The world after these events, and all that was to be done."""
    done: list[Action] = []
    for event in events:
        world, actions = decide(world, event, now_us)
        done += actions
    return world, done


def orders(actions: list[Action]) -> list[Action]:
    """The actions without the records, and without what is only told to peers."""
    return [action for action in actions if not isinstance(action, Record | Beat)]


def texts(actions: list[Action]) -> list[str]:
    return [action.text for action in actions if isinstance(action, Record)]


def serving(plan: Plan = PLAN, *routers: RouterView, peers: tuple[PeerView, ...] = (PEER,)) -> World:
    """HAProxy generation 1 (master 900, worker 901) serves; two servers are up; pulse has spoken."""
    started = ChildStarted("haproxy", 900, 1, NOW)
    first = snapshot(*(routers or (LEADING,)), peers=peers, facts=(UP,))
    return told(begin(plan, NOW), started, answer(), answer(NOW + 1), SERVERS, first)
