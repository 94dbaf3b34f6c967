"""A story of two nodes and a client that the tests of the simulator change as they need."""

from dataclasses import replace
from ipaddress import IPv4Address

from firstmate.model.plan import Node, Plan, Vip, VrrpPlan
from firstmate.model.units import MS, S, Micros
from firstmate.sim.schedule import Fault, Schedule, Start, Weather

STRONG, WEAK = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
VIP = Vip(IPv4Address("192.0.2.200"), 24, "eth0")
WIRE: Micros = 100
STILL = Weather((WIRE, WIRE), 0)  # nobody is late: times can be reckoned
NODES = (Node("n1", STRONG), Node("n2", WEAK))
ROUTER = VrrpPlan(
    name="vi1",
    vrid=7,
    version=3,
    priority=254,
    advert_interval_us=100 * MS,
    interface="eth0",
    source=STRONG,
    vips=(VIP,),
    peers=(WEAK,),
    preempt_delay_us=0,
    garp_refresh_us=10 * S,  # apart from the bursts
)
PLANS = (
    Plan("sim", "n1", NODES, (ROUTER,)),
    Plan("sim", "n2", NODES, (replace(ROUTER, priority=253, source=WEAK, peers=(STRONG,)),)),
)
STORY = Schedule(
    seed=1,
    title="example",
    plans=PLANS,
    starts=(Start(0, 0, 0), Start(0, 0, 5 * S)),
    clients=1,
    resolve_us=3600 * S,
    lifeline=0.0,
    weather=STILL,
    clear=STILL,
    calm=STILL,
    faults=(),
    heal_us=1 * S,
    calm_us=1 * S,
)


def story(*faults: Fault, heal_us: int = 10 * S) -> Schedule:
    return replace(STORY, faults=faults, heal_us=heal_us)
