"""The will of a pulse that died, carried out in a network namespace."""

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from tests.lab.netns import Namespace, why_not

from firstmate.linux.netlink import Netlink
from firstmate.model.messages import Bequest, Holding, Will
from firstmate.model.plan import Route, Rule, Vip
from firstmate.supervisor.executor import Executor

WHY_NOT = why_not()
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

OWN, GROUP = IPv4Address("10.0.1.11"), IPv4Address("224.0.0.18")
IP, IP6 = IPv4Address("10.0.1.100"), IPv6Address("2001:db8::64")
NET, VIA = IPv4Address("198.51.100.0"), IPv4Address("10.0.1.1")
WEB = Holding(
    (Vip(IP, 24, "eth0"), Vip(IP6, 64, "eth0")),
    # The last one needs the address as its source: it can go only before it.
    (Route(NET, 24, via=VIA, dev="eth0"), Route(NET, 24, dev="eth0", table=500, source=IP)),
    (Rule(4, 500, 1000, source=IP, source_prefix=32),),
)
MAIL = Holding((Vip(IPv4Address("10.0.1.101"), 24, "eth0"),))


def test_all_that_pulse_has_added_is_taken_away(space: Namespace, netlink: Netlink) -> None:
    for holding in (WEB, MAIL):
        assert netlink.add_addresses(holding.addresses) == [None] * len(holding.addresses)
        for route in holding.routes:
            netlink.add_route(route)
        for rule in holding.rules:
            netlink.add_rule(rule)
    executor = Executor()
    executor.keep("web", Will((Bequest("eth0", OWN, GROUP, b"\x31\x05\0\0\0\x64\0\0"),), (WEB, MAIL)))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as ear:
        ear.bind(("peer0", 0x0800))
        ear.settimeout(2)
        done = executor.execute()
        frame = ear.recv(2048)
    assert done == "said priority 0 1 times and released 3 addresses, 2 routes, 1 rules for it"
    assert (frame[23], frame[26:34], frame[34:42]) == (112, OWN.packed + GROUP.packed, b"\x31\x05\0\0\0\x64\0\0")
    assert [one for one in netlink.addresses() if one.marked] == []
    assert netlink.leftover_routes() == []
    assert netlink.leftover_rules() == []
    assert executor.execute() == ""
    executor._netlink.close()
