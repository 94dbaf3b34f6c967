"""The virtual router of the conformance checklist: VRID 50, priority 100, 192.0.2.10, its peer .77, one address."""

from ipaddress import IPv4Address

from firstmate.model.plan import Vip, VrrpPlan
from firstmate.model.units import S

OURS, PEER, LOWER, STRANGER = map(IPv4Address, ("192.0.2.10", "192.0.2.77", "192.0.2.9", "192.0.2.99"))
VIP = Vip(IPv4Address("203.0.113.1"), 24, "eth0")
OTHER_VIP = Vip(IPv4Address("203.0.113.2"), 24, "eth0")
PLAN = VrrpPlan(
    name="web",
    vrid=50,
    version=3,
    priority=100,
    advert_interval_us=S,
    interface="eth0",
    source=OURS,
    vips=(VIP,),
    peers=(PEER, LOWER),
    preempt_delay_us=0,
    track=(),
    track_source=False,
    garp_refresh_us=10 * S,  # ten intervals: apart from the bursts
)

NOW = 1_000 * S
SKEW, DOWN = 609_375, 3_609_375  # of priority 100 at one second (checklist C53, C54)
