"""A small plan, and a wait for what must happen soon."""

import select
from ipaddress import IPv4Address

from firstmate.model.plan import Node, Plan, Vip, VrrpPlan
from firstmate.model.units import MS

PLAN = Plan(
    cluster="test",
    node="lb-a",
    nodes=(Node("lb-a", IPv4Address("10.0.1.10")), Node("lb-b", IPv4Address("10.0.1.11"))),
    routers=(
        VrrpPlan(
            name="web",
            vrid=51,
            version=3,
            priority=254,
            advert_interval_us=100 * MS,
            interface="eth0",
            source=IPv4Address("10.0.1.10"),
            vips=(Vip(IPv4Address("10.0.1.80"), 24, "eth0"),),
        ),
    ),
    digest="abcdef012345",
)
SOON_S = 30.0  # a loaded machine is slow, not wrong


def wait_readable(fd: int) -> None:
    assert select.select([fd], [], [], SOON_S)[0], "nothing came"
