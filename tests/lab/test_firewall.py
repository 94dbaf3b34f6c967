"""`accept = false` with the real nft: a ping to the address is dropped, and who asks for it is answered."""

import os
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from tests.lab.netns import MACS, Namespace, why_not

from firstmate.linux.firewall import Firewall
from firstmate.linux.netlink import Netlink
from firstmate.model.addresses import Address
from firstmate.model.plan import OWNER, Node, Plan, Vip, VrrpPlan
from firstmate.model.units import S

WHY_NOT = why_not() or ("" if shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") else "needs nft of nftables")
pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

OWN = IPv4Address("10.0.1.11")
IP, IP6 = IPv4Address("10.0.1.100"), IPv6Address("2001:db8::64")


def plan(*, accept: bool, priority: int = 100) -> Plan:
    vips = (Vip(IP, 24, "eth0"), Vip(IP6, 64, "eth0"))
    return Plan(
        "site",
        "lb-a",
        (Node("lb-a", OWN),),
        (VrrpPlan("web", 5, 3, priority, S, "eth0", OWN, vips, accept=accept),),
    )


@pytest.fixture
def client(space: Namespace, netlink: Netlink) -> Iterator[Namespace]:
    """The other end of the cable; eth0 has the addresses."""
    made = Namespace()
    space.ip(f"link set peer0 netns /proc/{os.getpid()}/fd/{made.fd}")
    made.ip(
        "link set peer0 up",
        "addr add 10.0.1.7/24 dev peer0",
        "addr add 2001:db8::7/64 dev peer0 nodad",
    )
    netlink.add_address(Vip(IP, 24, "eth0"))
    netlink.add_address(Vip(IP6, 64, "eth0"))
    yield made
    made.close()


def pings(client: Namespace, ip: Address, tries: int = 5) -> bool:
    """An echo is answered."""
    kind, family, protocol = (8, socket.AF_INET, socket.IPPROTO_ICMP)
    if ip.version == 6:
        kind, family, protocol = (128, socket.AF_INET6, socket.IPPROTO_ICMPV6)
    echo = struct.pack("!BBHHH", kind, 0, 0xFFFF - (kind << 8) - 0x1234 - 1, 0x1234, 1)
    with client.entered(), socket.socket(family, socket.SOCK_RAW, protocol) as end:
        end.settimeout(0.2)
        for _ in range(tries):
            try:
                end.sendto(echo, (str(ip), 0))
                while True:
                    said, sender = end.recvfrom(2048)
                    answer = said[20:] if ip.version == 4 else said
                    if sender[0] == str(ip) and answer[0] == (0 if ip.version == 4 else 129):
                        return True
            except (TimeoutError, OSError):
                time.sleep(0.05)
    return False


def neighbour(client: Namespace, ip: Address) -> str:
    """The MAC that the client has learned for it."""
    words = client.run(["ip", "neigh", "show", str(ip)]).split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else ""


@pytest.mark.parametrize("ip", [IP, IP6], ids=["IPv4", "IPv6"])
def test_what_is_sent_to_the_address_is_dropped_and_its_mac_is_told(
    space: Namespace, client: Namespace, ip: Address
) -> None:  # C90
    firewall = Firewall()
    firewall.apply(plan(accept=False))
    assert not pings(client, ip)
    assert neighbour(client, ip) == MACS["a"]
    assert pings(client, OWN)
    firewall.apply(plan(accept=True))
    assert pings(client, ip)
    firewall.apply(plan(accept=False))
    assert not pings(client, ip)
    firewall.apply(plan(accept=False, priority=OWNER))
    assert pings(client, ip)


def test_a_neighbour_may_ask_again_by_unicast(space: Namespace, client: Namespace) -> None:
    """So a host confirms what it knows (RFC 4861, 7.3.3): unanswered, it would forget the address."""
    Firewall().apply(plan(accept=False))
    pings(client, IP6, 1)
    client.ip(f"neigh replace {IP6} lladdr {MACS['a']} dev peer0 nud probe")
    deadline = time.monotonic() + 5
    while "REACHABLE" not in client.run(["ip", "neigh", "show", str(IP6)]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_at_the_end_nothing_is_left(space: Namespace, client: Namespace) -> None:
    firewall = Firewall()
    firewall.apply(plan(accept=False))
    assert "table inet firstmate" in space.run(["nft", "list", "ruleset"])
    firewall.clear()
    assert space.run(["nft", "list", "ruleset"]) == ""


def test_tables_of_others_are_left_alone(space: Namespace, tmp_path: Path) -> None:
    space.run(["nft", "add", "table", "inet", "keepalived"])
    firewall = Firewall()
    firewall.apply(plan(accept=False))
    firewall.clear()
    assert "table inet keepalived" in space.run(["nft", "list", "ruleset"])
